/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking kite-probe: see probe_client.h. */
#define LOG_SOURCE "storage.probe"

#include "storage/probe_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/slow_file.h"
#include "storage/probe_protocol.h"

/* So many are kept for the next question. */
enum { IDLE_MAX = 2 };

typedef struct Helper {
    pid_t pid;
    int fd;
    guint32 serial;
} Helper;

/* Guards what follows. */
static GMutex lock;
static Helper idle[IDLE_MAX];
static guint n_idle;
static char *helper_path;

void probe_client_set_helper(const char *path)
{
    g_mutex_lock(&lock);
    g_free(helper_path);
    helper_path = g_strdup(path);
    g_mutex_unlock(&lock);
}

/* The installed one, or that of the build folder the daemon runs from. Caller frees. */
static char *find_helper(void)
{
    g_autofree char *own = NULL;
    g_autofree char *folder = NULL;
    char *path;

    g_mutex_lock(&lock);
    path = g_strdup(helper_path);
    g_mutex_unlock(&lock);
    if (path != NULL || access(KITE_LIBEXECDIR "/" PROBE_HELPER_NAME, X_OK) == 0)
        return path != NULL ? path : g_strdup(KITE_LIBEXECDIR "/" PROBE_HELPER_NAME);
    own = g_file_read_link("/proc/self/exe", NULL);
    folder = own != NULL ? g_path_get_dirname(own) : g_strdup("");
    path = g_build_filename(folder, PROBE_HELPER_NAME, NULL);
    if (access(path, X_OK) != 0) {
        g_free(path);
        path = g_strdup(KITE_LIBEXECDIR "/" PROBE_HELPER_NAME);
    }
    return path;
}

/* --- a helper's life --- */

static gboolean helper_start(Helper *helper, GError **error)
{
    g_autofree char *path = find_helper();
    char *argv[] = {path, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    autofd ours = -1;
    autofd theirs = -1;
    sigset_t signals;
    int pair[2], r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(error, errno, "cannot make a socket for '%s'", path);
    ours = pair[0];
    theirs = pair[1];
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn(&helper->pid, path, &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "image headers are read by '%s', which cannot be started: %s (is Kite installed whole?)", path,
                         g_strerror(r));
    helper->fd = fd_steal(&ours);
    helper->serial = 0;
    return TRUE;
}

/* One that sleeps on a dead server cannot be waited for now; the daemon's reaper does that. */
static void helper_end(Helper *helper)
{
    fd_clear(&helper->fd);
    kill(helper->pid, SIGKILL);
    waitpid(helper->pid, NULL, WNOHANG);
}

static gboolean helper_take(Helper *ret)
{
    gboolean found;

    g_mutex_lock(&lock);
    found = n_idle > 0;
    if (found)
        *ret = idle[--n_idle];
    g_mutex_unlock(&lock);
    return found;
}

static void helper_give(Helper *helper)
{
    gboolean kept;

    g_mutex_lock(&lock);
    kept = n_idle < IDLE_MAX;
    if (kept)
        idle[n_idle++] = *helper;
    g_mutex_unlock(&lock);
    if (!kept)
        helper_end(helper);
}

void probe_client_shut_down(void)
{
    Helper helper;

    while (helper_take(&helper))
        helper_end(&helper);
}

/* --- a question --- */

static int ask(const Helper *helper, int fd)
{
    ProbeRequest request = {.version = PROBE_VERSION, .serial = helper->serial};
    struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(helper->fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(request) ? 0 : -errno;
}

/* 0, or -errno: -ETIMEDOUT, -EPIPE when the helper is gone. */
static int hear(const Helper *helper, ProbeAnswer *ret)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)PROBE_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
    struct pollfd pfd = {.fd = helper->fd, .events = POLLIN};
    ssize_t n;
    int r;

    do {
        gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;

        r = poll(&pfd, 1, (int)CLAMP(left, 0, PROBE_TIMEOUT_MS));
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return -ETIMEDOUT;
    n = recv(helper->fd, ret, sizeof(*ret), MSG_DONTWAIT);
    if (n <= 0)
        return -EPIPE;
    if ((gsize)n != sizeof(*ret) || ret->version != PROBE_VERSION || ret->size != sizeof(*ret) ||
        ret->serial != helper->serial)
        return -EPROTO;
    return 0;
}

/* What comes back is no more to be trusted than the image. */
static gboolean check_text(const char *what, const char *path, char *text, gsize size, GError **error)
{
    text[size - 1] = '\0';
    return g_utf8_validate(text, -1, NULL) ||
           error_set(error, VIR_ERR_INTERNAL_ERROR, "the header of image '%s' names a %s that is no text", path, what);
}

static gboolean check_answer(const char *path, ProbeAnswer *answer, GError **error)
{
    ImageProbe *probe = &answer->probe;

    if (answer->errnum != 0)
        return error_set_errno(error, CLAMP(answer->errnum, 1, 4095), "cannot read header '%s'", path);
    if (probe->format <= IMAGE_FORMAT_AUTO || probe->format >= IMAGE_FORMAT_LAST)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "'%s' was found to have no format", path);
    return check_text("backing image", path, probe->backing_name, sizeof(probe->backing_name), error) &&
           check_text("backing format", path, probe->backing_format, sizeof(probe->backing_format), error) &&
           check_text("data file", path, probe->data_file, sizeof(probe->data_file), error);
}

/* One that was kept may have ended itself meanwhile: then the question goes to a new one. */
static int converse(Helper *helper, int fd, ProbeAnswer *answer, GError **error)
{
    for (;;) {
        gboolean kept = helper_take(helper);
        int r;

        if (!kept && !helper_start(helper, error))
            return -ENOEXEC;
        helper->serial++;
        r = ask(helper, fd);
        if (r == 0)
            r = hear(helper, answer);
        if (r == 0)
            return 0;
        helper_end(helper);
        if (!kept || r == -ETIMEDOUT)
            return r;
    }
}

gboolean probe_fd(int fd, const char *path, ImageProbe *ret, guint64 *ret_payload, GError **error)
{
    ProbeAnswer answer;
    Helper helper;
    int r = converse(&helper, fd, &answer, error);

    if (r == -ENOEXEC)
        return FALSE;
    if (r == -ETIMEDOUT)
        return error_set_errno(error, ETIMEDOUT, "'%s' could not be read within %d ms", path, PROBE_TIMEOUT_MS);
    if (r < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "the process that reads image headers ended over '%s' (%s); see the daemon's log", path,
                         g_strerror(-r));
    helper_give(&helper);
    if (!check_answer(path, &answer, error))
        return FALSE;
    *ret = answer.probe;
    if (ret_payload != NULL)
        *ret_payload = answer.payload;
    return TRUE;
}

int probe_path(const char *path, ImageProbe *ret, struct stat *ret_st, GError **error)
{
    autofd fd = slow_file_open_data(path, O_RDONLY | O_NONBLOCK, ret_st, PROBE_TIMEOUT_MS);

    if (fd < 0) {
        error_set_errno(error, -fd, "Failed to open file '%s'", path);
        return fd;
    }
    return probe_fd(fd, path, ret, NULL, error) ? 0 : -EIO;
}
