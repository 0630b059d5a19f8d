/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that may not answer: see slow_file.h. */
#include "common/slow_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef struct Runner {
    const char *const *paths;
    void (*work)(gpointer data, guint i);
    gpointer data; /* a reference */
    GDestroyNotify clear;
    guint at, end;
    gboolean left; /* the caller has stopped waiting */
    GCond changed;
} Runner;

/* Guards what follows, and every Runner's at and left. */
static GMutex lock;
static GHashTable *hung; /* places (place_of()) of files that callers have given up and that still sleep */
static GThreadPool *threads;

/* What hangs together: the files of a folder; but each device by itself. Caller frees. */
static char *place_of(const char *path)
{
    return g_str_has_prefix(path, "/dev/") ? g_strdup(path) : g_path_get_dirname(path);
}

/* Lock held. */
static gboolean hangs(const char *path)
{
    g_autofree char *place = NULL;

    if (g_hash_table_size(hung) == 0)
        return FALSE;
    place = place_of(path);
    return g_hash_table_contains(hung, place);
}

/* Lock held. */
static void set_hung(const char *path, gboolean on)
{
    char *place = place_of(path);

    if (on) {
        g_hash_table_add(hung, place);
        return;
    }
    g_hash_table_remove(hung, place);
    g_free(place);
}

static void runner_free(Runner *runner)
{
    g_cond_clear(&runner->changed);
    g_atomic_rc_box_release_full(runner->data, runner->clear);
    g_free(runner);
}

static void run(gpointer item, gpointer unused)
{
    Runner *runner = item;
    gboolean left;

    (void)unused;
    g_mutex_lock(&lock);
    left = runner->left;
    if (left) /* given up before this thread had begun */
        set_hung(runner->paths[runner->at], FALSE);
    while (!left && runner->at < runner->end && !hangs(runner->paths[runner->at])) {
        g_mutex_unlock(&lock);
        runner->work(runner->data, runner->at);
        g_mutex_lock(&lock);
        left = runner->left;
        if (left)
            set_hung(runner->paths[runner->at], FALSE);
        else
            runner->at++;
    }
    if (!left) {
        runner->left = TRUE; /* the caller's again */
        g_cond_signal(&runner->changed);
    }
    g_mutex_unlock(&lock);
    if (left)
        runner_free(runner);
}

/* Lock held. Waits until the runner has ended, or has not moved for the time given. TRUE: it has ended. */
static gboolean wait_for(Runner *runner, gint64 patience)
{
    guint seen = runner->at;
    gint64 deadline = g_get_monotonic_time() + patience;

    while (!runner->left) {
        if (g_cond_wait_until(&runner->changed, &lock, deadline))
            continue;
        if (runner->at == seen && !runner->left)
            return FALSE;
        seen = runner->at;
        deadline = g_get_monotonic_time() + patience;
    }
    return TRUE;
}

void slow_file_each(const char *const *paths, guint n, void (*work)(gpointer data, guint i), gpointer data,
                    GDestroyNotify clear, guint timeout_ms, gboolean *ret_done)
{
    gint64 patience = (gint64)(timeout_ms != 0 ? timeout_ms : SLOW_FILE_TIMEOUT_MS) * G_TIME_SPAN_MILLISECOND;

    for (guint start = 0; start < n;) {
        Runner *runner = g_new0(Runner, 1);
        gboolean ended;
        guint stop;

        *runner = (Runner){.paths = paths, .work = work, .clear = clear, .at = start, .end = n};
        runner->data = g_atomic_rc_box_acquire(data);
        g_cond_init(&runner->changed);
        g_mutex_lock(&lock);
        if (hung == NULL) {
            hung = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
            threads = g_thread_pool_new(run, NULL, -1, FALSE, NULL);
        }
        g_thread_pool_push(threads, runner, NULL);
        ended = wait_for(runner, patience);
        stop = runner->at;
        if (!ended) {
            runner->left = TRUE;
            set_hung(paths[stop], TRUE);
        }
        g_mutex_unlock(&lock);
        if (ended)
            runner_free(runner);
        for (guint i = start; i < n && i <= stop; i++)
            ret_done[i] = i < stop;
        start = stop + 1;
    }
}

/* --- open --- */

typedef struct OpenJob {
    char *path;
    int flags;
    gboolean data_only;
    int fd; /* or -errno */
    struct stat st;
} OpenJob;

static gboolean holds_data(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) || S_ISDIR(st->st_mode);
}

static void open_work(gpointer data, guint i)
{
    OpenJob *job = data;

    (void)i;
    if (job->data_only && stat(job->path, &job->st) == 0 && !holds_data(&job->st)) {
        job->fd = -EMEDIUMTYPE;
        return;
    }
    job->fd = open(job->path, job->flags | O_CLOEXEC | O_NOCTTY);
    if (job->fd < 0) {
        job->fd = -errno;
        return;
    }
    if (fstat(job->fd, &job->st) < 0 || (job->data_only && !holds_data(&job->st))) {
        close(job->fd);
        job->fd = -EMEDIUMTYPE; /* it was replaced just now */
    }
}

static void open_job_clear(gpointer data)
{
    OpenJob *job = data;

    if (job->fd >= 0)
        close(job->fd);
    g_free(job->path);
}

static int slow_open(const char *path, int flags, gboolean data_only, struct stat *ret_st, guint timeout_ms)
{
    OpenJob *job = g_atomic_rc_box_new0(OpenJob);
    const char *const *paths;
    gboolean done = FALSE;
    int fd = -ETIMEDOUT;

    job->path = g_strdup(path);
    job->flags = flags;
    job->data_only = data_only;
    job->fd = -1;
    paths = (const char *const *)&job->path;
    slow_file_each(paths, 1, open_work, job, open_job_clear, timeout_ms, &done);
    if (done) {
        fd = job->fd;
        job->fd = -1;
        if (fd >= 0 && ret_st != NULL)
            *ret_st = job->st;
    }
    g_atomic_rc_box_release_full(job, open_job_clear);
    return fd;
}

int slow_file_open(const char *path, int flags, struct stat *ret_st, guint timeout_ms)
{
    return slow_open(path, flags, FALSE, ret_st, timeout_ms);
}

int slow_file_open_data(const char *path, int flags, struct stat *ret_st, guint timeout_ms)
{
    return slow_open(path, flags, TRUE, ret_st, timeout_ms);
}
