/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Helper programs: see helper.h. */
#include "driver/backend/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

void helper_free(Helper *helper)
{
    if (helper == NULL)
        return;
    g_free(helper->what);
    g_free(helper->log_path);
    fd_clear(&helper->pidfd);
    g_free(helper);
}

static gboolean spawn(const BackendConfig *config, const GPtrArray *argv, const int *fds, guint n_fds,
                      const char *log_path, const char *home, gboolean as_vm_user, pid_t *ret_pid,
                      int *ret_pidfd, GError **error)
{
    g_autofree char *home_is = home != NULL ? g_strconcat("HOME=", home, NULL) : NULL;
    const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", home_is, NULL};
    autofd log = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    VmSpawn spawn = {
        .argv = (const char *const *)argv->pdata,
        .env = env,
        .fds = fds,
        .n_fds = n_fds,
        .output_fd = log,
        .uid = as_vm_user ? config->user : (uid_t)-1,
        .gid = as_vm_user ? config->group : (gid_t)-1,
    };

    if (log < 0)
        return error_set_errno(error, errno, "cannot open the log '%s'", log_path);
    return vm_spawn(&spawn, ret_pid, ret_pidfd, error);
}

/* --- beside a VM --- */

typedef struct Watch {
    pid_t pid;
    int pidfd;
} Watch;

static void watch_free(gpointer data)
{
    Watch *watch = data;

    close(watch->pidfd);
    g_free(watch);
}

/* VM thread: reaps it when it ends. */
static gboolean on_end(gint fd, GIOCondition condition, gpointer data)
{
    Watch *watch = data;

    waitpid(watch->pid, NULL, WNOHANG);
    return G_SOURCE_REMOVE;
}

Helper *helper_start_with(const BackendConfig *config, const char *what, const GPtrArray *argv,
                          const int *fds, guint n_fds, const char *log_path, const char *home,
                          gboolean as_vm_user, GError **error)
{
    Helper *helper;
    Watch *watch;
    GSource *source;
    int pidfd;
    pid_t pid;

    if (!spawn(config, argv, fds, n_fds, log_path, home, as_vm_user, &pid, &pidfd, error))
        return NULL;
    helper = g_new0(Helper, 1);
    helper->what = g_strdup(what);
    helper->log_path = g_strdup(log_path);
    helper->pid = pid;
    helper->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    watch = g_new(Watch, 1);
    *watch = (Watch){pid, pidfd};
    source = g_unix_fd_source_new(pidfd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(on_end), watch, watch_free);
    g_source_attach(source, config->context);
    g_source_unref(source);
    return helper;
}

Helper *helper_start(const BackendConfig *config, const char *what, const GPtrArray *argv, int fd, const char *log_path,
                     gboolean as_vm_user, GError **error)
{
    return helper_start_with(config, what, argv, &fd, fd >= 0, log_path, NULL, as_vm_user, error);
}

char *helper_log_path(const char *domain_log, const char *alias, const char *what)
{
    gsize stem = strlen(domain_log) - (g_str_has_suffix(domain_log, ".log") ? strlen(".log") : 0);

    return g_strdup_printf("%.*s-%s-%s.log", (int)stem, domain_log, alias, what);
}

/* The last line of a helper's log that is not about its own logging. Caller frees. */
static char *last_line(const char *path)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    const char *found = "it said nothing";

    if (!g_file_get_contents(path, &text, NULL, NULL) || !g_utf8_validate(text, -1, NULL))
        return g_strdup(found);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if ((*line)[0] != '\0' && !g_str_has_prefix(*line, "Failed to send "))
            found = *line;
    }
    return g_strdup(found);
}

gboolean helper_lives(const Helper *helper, GError **error)
{
    struct pollfd pfd = {.fd = helper->pidfd, .events = POLLIN};
    g_autofree char *words = NULL;

    if (poll(&pfd, 1, 0) <= 0)
        return TRUE;
    words = last_line(helper->log_path);
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s, exited while the domain was started: %s", helper->what, words);
}

void helper_end(const Helper *helper)
{
    pidfd_send_signal(helper->pidfd, SIGTERM, NULL, 0);
}

/* --- to the end --- */

gboolean helper_run(const BackendConfig *config, const GPtrArray *argv, const char *log_path, guint timeout_ms,
                    int *ret_status, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * G_GINT64_CONSTANT(1000);
    struct pollfd pfd = {.events = POLLIN};
    autofd pidfd = -1;
    gint64 left;
    pid_t pid;

    if (!spawn(config, argv, NULL, 0, log_path, NULL, TRUE, &pid, &pidfd, error))
        return FALSE;
    pfd.fd = pidfd;
    while ((left = deadline - g_get_monotonic_time()) > 0 && poll(&pfd, 1, (int)(left / 1000) + 1) <= 0)
        continue;
    if (left <= 0)
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    return left > 0 || error_set(error, VIR_ERR_OPERATION_TIMEOUT, "'%s' has not ended within %u s; see '%s'",
                                 (const char *)argv->pdata[0], timeout_ms / 1000, log_path);
}
