/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * io_uring and worker threads for block nodes. See io.h.
 *
 * The ring's own descriptor is watched by the loop: it is readable while completions wait. Workers are started when
 * the first job comes and take jobs from one list; what they finished goes back through a post.
 *
 * #syscalls io_uring_setup io_uring_enter mmap munmap clone3 clone prctl set_robust_list rseq rt_sigprocmask
 * #syscalls preadv preadv2 pwritev pwritev2 pread64 pwrite64 readv writev fdatasync fsync fallocate ftruncate fstat
 * #syscalls newfstatat statx lseek fcntl ioctl
 */
#include "vmm/block/io.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define RING_ENTRIES 128
#define WORKERS_WITH_RING 2
#define WORKERS_ALONE 4
#define WORKER_STACK (256 * 1024)

struct BlockIo {
    Loop *loop;
    struct io_uring ring;
    bool has_ring;
    unsigned unsubmitted;
    unsigned in_ring; /* transfers that the kernel has */
    LoopWatch watch;
    LoopPeek peek; /* once something was submitted */
    LoopDefer submit;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    BlockJob *jobs, **jobs_tail;
    BlockJob *finished, **finished_tail;
    unsigned idle, waiting;
    bool quit;
    LoopPost post;

    pthread_t workers[WORKERS_ALONE]; /* loop's thread */
    unsigned worker_count;
};

/* --- ring ------------------------------------------------------------------------------------------------- */

static void ring_ready(void *opaque, uint32_t events)
{
    BlockIo *io = opaque;
    struct io_uring_cqe *cqe;

    (void)events;
    while (io_uring_peek_cqe(&io->ring, &cqe) == 0 && cqe != NULL) {
        BlockTransfer *transfer = io_uring_cqe_get_data(cqe);
        int result = cqe->res;

        io->in_ring--;
        /* Given back first: done() may turn the loop again. */
        io_uring_cqe_seen(&io->ring, cqe);
        transfer->done(transfer, result);
    }
}

static bool look_at_ring(void *opaque)
{
    BlockIo *io = opaque;

    if (io->in_ring == 0 || io_uring_cq_ready(&io->ring) == 0)
        return false;
    ring_ready(io, 0);
    return true;
}

static void block_io_submit(BlockIo *io)
{
    while (io->unsubmitted > 0) {
        int n = io_uring_submit(&io->ring);

        if (n > 0) {
            io->unsubmitted -= (unsigned)n < io->unsubmitted ? (unsigned)n : io->unsubmitted;
        } else if (n != -EINTR) {
            /* The kernel is short of something: again when this turn's completions are through. */
            loop_defer(&io->submit);
            return;
        }
    }
}

void block_io_flush(BlockIo *io)
{
    if (io->unsubmitted == 0)
        return;
    block_io_submit(io);
    /* What the page cache had is done already. */
    ring_ready(io, 0);
}

static void submit_deferred(void *opaque)
{
    block_io_flush(opaque);
}

static struct io_uring_sqe *get_sqe(BlockIo *io)
{
    struct io_uring_sqe *sqe;

    if (!io->has_ring)
        return NULL;
    sqe = io_uring_get_sqe(&io->ring);
    if (sqe == NULL) {
        block_io_submit(io);
        sqe = io_uring_get_sqe(&io->ring);
    }
    if (sqe != NULL) {
        io->unsubmitted++;
        io->in_ring++;
        if (io->peek.loop == NULL)
            loop_peek(io->loop, &io->peek, look_at_ring, NULL, io);
        loop_defer(&io->submit);
    }
    return sqe;
}

bool block_io_rw(BlockIo *io, bool write, int fd, const struct iovec *iov, unsigned count, uint64_t offset,
                 BlockTransfer *transfer)
{
    struct io_uring_sqe *sqe = get_sqe(io);

    if (sqe == NULL)
        return false;
    if (count == 1 && write)
        io_uring_prep_write(sqe, fd, iov->iov_base, (unsigned)iov->iov_len, offset);
    else if (count == 1)
        io_uring_prep_read(sqe, fd, iov->iov_base, (unsigned)iov->iov_len, offset);
    else if (write)
        io_uring_prep_writev(sqe, fd, iov, count, offset);
    else
        io_uring_prep_readv(sqe, fd, iov, count, offset);
    io_uring_sqe_set_data(sqe, transfer);
    return true;
}

bool block_io_sync(BlockIo *io, int fd, BlockTransfer *transfer)
{
    struct io_uring_sqe *sqe = get_sqe(io);

    if (sqe == NULL)
        return false;
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data(sqe, transfer);
    return true;
}

bool block_io_has_ring(const BlockIo *io)
{
    return io->has_ring;
}

/* --- workers ---------------------------------------------------------------------------------------------- */

static void *worker_main(void *opaque)
{
    BlockIo *io = opaque;

    prctl(PR_SET_NAME, "block worker");
    pthread_mutex_lock(&io->lock);
    for (;;) {
        BlockJob *job;

        while (io->jobs == NULL && !io->quit) {
            io->idle++;
            pthread_cond_wait(&io->wake, &io->lock);
            io->idle--;
        }
        if (io->jobs == NULL)
            break;
        job = io->jobs;
        io->jobs = job->next;
        if (io->jobs == NULL)
            io->jobs_tail = &io->jobs;
        io->waiting--;
        pthread_mutex_unlock(&io->lock);
        job->work(job);
        pthread_mutex_lock(&io->lock);
        job->next = NULL;
        *io->finished_tail = job;
        io->finished_tail = &job->next;
        loop_post(io->loop, &io->post);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

static void start_worker(BlockIo *io)
{
    sigset_t all, old;
    pthread_attr_t attr;

    /* Signals are the main thread's. */
    sigfillset(&all);
    sigdelset(&all, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    if (pthread_create(&io->workers[io->worker_count], &attr, worker_main, io) == 0)
        io->worker_count++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void finish_posted(void *opaque)
{
    BlockIo *io = opaque;

    for (;;) {
        BlockJob *job;

        pthread_mutex_lock(&io->lock);
        job = io->finished;
        if (job != NULL) {
            io->finished = job->next;
            if (io->finished == NULL)
                io->finished_tail = &io->finished;
        }
        pthread_mutex_unlock(&io->lock);
        if (job == NULL)
            return;
        job->finish(job);
    }
}

void block_io_job(BlockIo *io, BlockJob *job)
{
    unsigned limit = io->has_ring ? WORKERS_WITH_RING : WORKERS_ALONE;
    bool more;

    pthread_mutex_lock(&io->lock);
    more = io->idle <= io->waiting;
    pthread_mutex_unlock(&io->lock);
    if (more && io->worker_count < limit)
        start_worker(io);
    if (io->worker_count == 0) {
        job->work(job);
        job->finish(job);
        return;
    }
    pthread_mutex_lock(&io->lock);
    job->next = NULL;
    *io->jobs_tail = job;
    io->jobs_tail = &job->next;
    io->waiting++;
    pthread_cond_signal(&io->wake);
    pthread_mutex_unlock(&io->lock);
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void watch_ring(BlockIo *io)
{
    loop_defer_init(io->loop, &io->submit, submit_deferred, io);
    if (io->has_ring)
        (void)loop_watch(io->loop, &io->watch, io->ring.ring_fd, EPOLLIN, ring_ready, io);
}

static void unwatch_ring(void *opaque)
{
    BlockIo *io = opaque;

    loop_unwatch(&io->watch);
    loop_unpeek(&io->peek);
    loop_defer_cancel(&io->submit);
    loop_post_cancel(io->loop, &io->post);
}

int block_io_new(Loop *loop, BlockIo **ret, Err *err)
{
    BlockIo *io = calloc(1, sizeof *io);

    if (io == NULL)
        return err_set(err, ENOMEM, "out of memory");
    io->loop = loop;
    io->jobs_tail = &io->jobs;
    io->finished_tail = &io->finished;
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->wake, NULL);
    io->post = (LoopPost){.run = finish_posted, .opaque = io};
    io->has_ring = getenv("KITE_NO_IO_URING") == NULL && io_uring_queue_init(RING_ENTRIES, &io->ring, 0) == 0;
    watch_ring(io);
    *ret = io;
    return 0;
}

void block_io_attach_loop(BlockIo *io, Loop *loop)
{
    loop_call(io->loop, unwatch_ring, io);
    io->loop = loop;
    /* Adding to the new loop touches nothing that its thread touches, and that thread may be waiting for this one. */
    watch_ring(io);
}

void block_io_free(BlockIo *io)
{
    if (io == NULL)
        return;
    pthread_mutex_lock(&io->lock);
    io->quit = true;
    pthread_cond_broadcast(&io->wake);
    pthread_mutex_unlock(&io->lock);
    for (unsigned i = 0; i < io->worker_count; i++)
        pthread_join(io->workers[i], NULL);
    loop_call(io->loop, unwatch_ring, io);
    if (io->has_ring)
        io_uring_queue_exit(&io->ring);
    pthread_mutex_destroy(&io->lock);
    pthread_cond_destroy(&io->wake);
    free(io);
}
