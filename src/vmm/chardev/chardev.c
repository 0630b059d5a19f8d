/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Character back ends. Output is written straight away from the calling thread; what the peer does not take
 * waits in a small buffer that the loop empties. The lock guards the buffer and the connection; callbacks run
 * without it.
 *
 * A pty without a reader answers EPOLLHUP for ever: then the master is asked again twice a second, and output
 * is dropped meanwhile, as nobody is there to read it.
 *
 * #syscalls read readv write writev epoll_ctl poll accept4 close fcntl ioctl
 */
#include "vmm/chardev/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/log.h"

#define OUT_BUFFER 16384
#define PTY_RETRY_NS 500000000ull

typedef enum Kind { KIND_STDIO, KIND_PTY, KIND_SOCKET, KIND_FILE, KIND_NULL } Kind;

struct Chardev {
    char id[64];
    Kind kind;
    Loop *loop;
    const ChardevUser *user;
    void *opaque;
    int listen_fd, in_fd, out_fd, log_fd;
    bool connected; /* lock */
    enum { FRONTEND_USED, FRONTEND_CLOSED, FRONTEND_OPEN } frontend;
    bool escape; /* stdio: Ctrl-A was typed */
    LoopWatch in_watch, out_watch, listen_watch;
    LoopTimer retry;
    LoopPost out_post, in_post;
    pthread_mutex_t lock;
    uint8_t *out; /* OUT_BUFFER bytes, made when first needed */
    size_t out_start, out_len;
    char label[96];
};

static struct termios saved_terminal;
static bool terminal_changed;

void chardev_restore_terminal(void)
{
    if (terminal_changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
}

/* Of a crash, which goes on then. */
static void on_crash(int signum)
{
    chardev_restore_terminal();
    raise(signum);
}

static void watch_crashes(void)
{
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV};
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};

    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct sigaction old;

        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)sigaction(signals[i], &action, NULL);
    }
}

static void raw_terminal(void)
{
    struct termios raw;

    if (terminal_changed || tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
        return;
    raw = saved_terminal;
    raw.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0) {
        terminal_changed = true;
        atexit(chardev_restore_terminal);
        watch_crashes();
    }
}

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* --- connection: loop
 * ----------------------------------------------------------------------------------------- */

static void read_ready(void *opaque, uint32_t events);
static void watch_input(Chardev *c);

static void set_connected(Chardev *c, bool connected)
{
    bool changed;

    pthread_mutex_lock(&c->lock);
    changed = c->connected != connected;
    c->connected = connected;
    if (!connected)
        c->out_len = 0;
    pthread_mutex_unlock(&c->lock);
    if (!connected)
        loop_unwatch(&c->out_watch);
    if (changed && c->user && c->user->connected)
        c->user->connected(c->opaque, connected);
    if (changed && !connected && c->user && c->user->writable)
        c->user->writable(c->opaque);
}

static void disconnect(Chardev *c)
{
    loop_unwatch(&c->in_watch);
    set_connected(c, false);
    if (c->kind == KIND_PTY) {
        (void)loop_timer_set(&c->retry, loop_now() + PTY_RETRY_NS);
    } else if (c->kind == KIND_SOCKET) {
        int in = c->in_fd, out = c->out_fd;

        pthread_mutex_lock(&c->lock);
        c->in_fd = c->out_fd = -1;
        pthread_mutex_unlock(&c->lock);
        if (out >= 0 && out != in)
            close(out);
        if (in >= 0)
            close(in);
        if (c->listen_fd >= 0)
            (void)loop_watch_events(&c->listen_watch, EPOLLIN);
    }
}

static void pty_retry(void *opaque)
{
    Chardev *c = opaque;
    struct pollfd p = {.fd = c->in_fd, .events = POLLIN};

    if (poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP)) {
        (void)loop_timer_set(&c->retry, loop_now() + PTY_RETRY_NS);
        return;
    }
    set_connected(c, true);
    watch_input(c);
}

static void accept_ready(void *opaque, uint32_t events)
{
    Chardev *c = opaque;
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    pthread_mutex_lock(&c->lock);
    c->in_fd = c->out_fd = fd;
    pthread_mutex_unlock(&c->lock);
    /* One peer at a time: others wait in the listen queue. */
    (void)loop_watch_events(&c->listen_watch, 0);
    set_connected(c, true);
    watch_input(c);
}

/* --- input: loop
 * ---------------------------------------------------------------------------------------------- */

static void watch_input(Chardev *c)
{
    size_t room = c->user && c->user->can_receive ? c->user->can_receive(c->opaque) : 0;
    uint32_t events = room > 0 ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP;

    if (c->in_fd < 0 || !c->connected)
        return;
    if (c->in_watch.active)
        (void)loop_watch_events(&c->in_watch, events);
    else if (loop_watch(c->loop, &c->in_watch, c->in_fd, events, read_ready, c) == -EPERM && room > 0)
        log_note("chardev %s: its input is a file and is not read", c->id); /* epoll takes no regular files */
}

/* stdio: Ctrl-A x ends the VM, Ctrl-A Ctrl-A is Ctrl-A. */
static size_t filter_escape(Chardev *c, uint8_t *data, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (c->escape) {
            c->escape = false;
            if (data[i] == 'x')
                raise(SIGTERM);
            if (data[i] != 1)
                continue;
        } else if (data[i] == 1) {
            c->escape = true;
            continue;
        }
        data[n++] = data[i];
    }
    return n;
}

static void read_ready(void *opaque, uint32_t events)
{
    Chardev *c = opaque;
    uint8_t data[4096];
    size_t room = c->user && c->user->can_receive ? c->user->can_receive(c->opaque) : 0;

    if (room > 0 && (events & EPOLLIN)) {
        ssize_t n = read(c->in_fd, data, MIN(room, sizeof data));

        if (n > 0) {
            size_t len =
                c->kind == KIND_STDIO && terminal_changed ? filter_escape(c, data, (size_t)n) : (size_t)n;

            if (len > 0)
                c->user->receive(c->opaque, data, len);
            watch_input(c);
            return;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (c->kind == KIND_STDIO) {
            loop_unwatch(&c->in_watch); /* end of input; output goes on */
            return;
        }
        disconnect(c);
        return;
    }
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
        if (c->kind == KIND_STDIO)
            loop_unwatch(&c->in_watch);
        else
            disconnect(c);
        return;
    }
    watch_input(c);
}

static void accept_input_posted(void *opaque)
{
    watch_input(opaque);
}

void chardev_accept_input(Chardev *c)
{
    loop_post(c->loop, &c->in_post);
}

/* --- output: any thread
 * --------------------------------------------------------------------------------------- */

static void flush_ready(void *opaque, uint32_t events)
{
    Chardev *c = opaque;
    bool empty, gone = false;

    (void)events;
    pthread_mutex_lock(&c->lock);
    while (c->out_len > 0 && c->out_fd >= 0) {
        size_t run = MIN(c->out_len, OUT_BUFFER - c->out_start);
        ssize_t n = write(c->out_fd, c->out + c->out_start, run);

        if (n < 0) {
            gone = errno != EAGAIN && errno != EINTR;
            break;
        }
        c->out_start = (c->out_start + (size_t)n) % OUT_BUFFER;
        c->out_len -= (size_t)n;
    }
    if (gone)
        c->out_len = 0;
    empty = c->out_len == 0;
    pthread_mutex_unlock(&c->lock);
    if (empty) {
        loop_unwatch(&c->out_watch);
        if (c->user && c->user->writable)
            c->user->writable(c->opaque);
    }
}

static void watch_output_posted(void *opaque)
{
    Chardev *c = opaque;

    if (c->out_watch.active || c->out_fd < 0)
        return;
    if (c->in_watch.active && c->in_fd == c->out_fd) {
        /* epoll has one entry a descriptor: a duplicate stands for the output side. */
        int dup = fcntl(c->out_fd, F_DUPFD_CLOEXEC, 0);

        if (dup < 0)
            return;
        pthread_mutex_lock(&c->lock);
        if (c->out_fd == c->in_fd)
            c->out_fd = dup;
        pthread_mutex_unlock(&c->lock);
    }
    if (loop_watch(c->loop, &c->out_watch, c->out_fd, EPOLLOUT, flush_ready, c) == -EPERM)
        flush_ready(c, 0);
}

static void write_log(Chardev *c, const void *data, size_t len)
{
    if (c->log_fd >= 0 && len > 0)
        (void)!write(c->log_fd, data, len);
}

size_t chardev_write(Chardev *c, const void *data, size_t len)
{
    const uint8_t *at = data;
    size_t done = 0;
    bool watch = false;

    pthread_mutex_lock(&c->lock);
    if (!c->connected || c->out_fd < 0) {
        pthread_mutex_unlock(&c->lock);
        write_log(c, data, len);
        return len;
    }
    if (c->out_len == 0) {
        ssize_t n = write(c->out_fd, at, len);

        if (n >= 0)
            done = (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            done = len; /* broken: the reading side notices */
    }
    if (done < len && c->out == NULL)
        c->out = malloc(OUT_BUFFER);
    while (done < len && c->out != NULL && c->out_len < OUT_BUFFER) {
        c->out[(c->out_start + c->out_len++) % OUT_BUFFER] = at[done++];
        watch = true;
    }
    watch |= done < len;
    pthread_mutex_unlock(&c->lock);
    write_log(c, data, done); /* the rest comes again */
    if (watch)
        loop_post(c->loop, &c->out_post);
    return done;
}

/* --- life
 * ----------------------------------------------------------------------------------------------------- */

int chardev_new(Props *props, Loop *loop, Chardev **ret, Err *err)
{
    static const char *const kinds[] = {"stdio", "pty", "socket", "file", "null"};
    const char *backend;
    Chardev *c;
    bool server;
    int r, fd = -1, log_fd = -1;
    int kind = -1;

    if ((r = props_string(props, "backend", "null", &backend, err)) < 0 ||
        (r = props_fd(props, "fd", &fd, err)) < 0 || (r = props_fd(props, "logfd", &log_fd, err)) < 0 ||
        (r = props_bool(props, "server", false, &server, err)) < 0 || (r = props_finish(props, err)) < 0)
        return r;
    for (int i = 0; i < (int)ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i], backend) == 0)
            kind = i;
    }
    if (kind < 0)
        return err_set(err, EINVAL, "chardev %s: back end '%s' is not known", props_id(props), backend);
    if (fd < 0 && kind != KIND_STDIO && kind != KIND_NULL)
        return err_set(err, EINVAL, "chardev %s: back end '%s' needs a descriptor", props_id(props), backend);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ENOMEM, "out of memory");
    snprintf(c->id, sizeof c->id, "%s", props_id(props));
    c->kind = (Kind)kind;
    c->loop = loop;
    c->listen_fd = c->in_fd = c->out_fd = -1;
    c->log_fd = log_fd;
    pthread_mutex_init(&c->lock, NULL);
    loop_timer_init(loop, &c->retry, pty_retry, c);
    c->out_post = (LoopPost){.run = watch_output_posted, .opaque = c};
    c->in_post = (LoopPost){.run = accept_input_posted, .opaque = c};
    switch (c->kind) {
    case KIND_STDIO:
        c->in_fd = STDIN_FILENO;
        c->out_fd = STDOUT_FILENO;
        if (isatty(STDIN_FILENO))
            raw_terminal();
        c->connected = true;
        break;
    case KIND_PTY:
        set_nonblocking(fd);
        c->in_fd = c->out_fd = fd;
        c->connected = true;
        break;
    case KIND_FILE:
        c->out_fd = fd;
        c->connected = true;
        break;
    case KIND_SOCKET:
        set_nonblocking(fd);
        if (server) {
            c->listen_fd = fd;
            (void)loop_watch(loop, &c->listen_watch, fd, EPOLLIN, accept_ready, c);
        } else {
            c->in_fd = c->out_fd = fd;
            c->connected = true;
        }
        break;
    default:
        break;
    }
    int pty = -1;

    if (c->kind == KIND_PTY && ioctl(fd, TIOCGPTN, &pty) == 0)
        snprintf(c->label, sizeof c->label, "pty:/dev/pts/%d", pty);
    else
        snprintf(c->label, sizeof c->label, "%s", backend);
    *ret = c;
    return 0;
}

void chardev_free(Chardev *c)
{
    if (c == NULL)
        return;
    loop_unwatch(&c->in_watch);
    loop_unwatch(&c->out_watch);
    loop_unwatch(&c->listen_watch);
    loop_timer_cancel(&c->retry);
    loop_post_cancel(c->loop, &c->out_post);
    loop_post_cancel(c->loop, &c->in_post);
    if (c->kind != KIND_STDIO) {
        if (c->out_fd >= 0 && c->out_fd != c->in_fd)
            close(c->out_fd);
        if (c->in_fd >= 0)
            close(c->in_fd);
    }
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (c->log_fd >= 0)
        close(c->log_fd);
    pthread_mutex_destroy(&c->lock);
    free(c->out);
    free(c);
}

int chardev_attach(Chardev *c, const ChardevUser *user, void *opaque)
{
    if (user != NULL && c->user != NULL)
        return -EBUSY;
    c->user = user;
    c->opaque = opaque;
    c->frontend = FRONTEND_USED;
    if (user == NULL) {
        loop_unwatch(&c->in_watch);
        return 0;
    }
    if (user->connected)
        user->connected(opaque, c->connected);
    watch_input(c);
    return 0;
}

const char *chardev_id(const Chardev *c)
{
    return c->id;
}

bool chardev_in_use(const Chardev *c)
{
    return c->user != NULL;
}

void chardev_set_frontend_open(Chardev *c, bool open)
{
    c->frontend = open ? FRONTEND_OPEN : FRONTEND_CLOSED;
}

bool chardev_frontend_open(const Chardev *c)
{
    return c->user != NULL && c->frontend != FRONTEND_CLOSED;
}

const char *chardev_describe(const Chardev *c)
{
    return c->label;
}
