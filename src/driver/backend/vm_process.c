/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM process: watching, killing, its end. Two threads meet here: the VM thread, which gets events and the
 * end of the process, and everybody else, who kills, waits and asks. The lock guards the queue of undelivered
 * events and the exit record; it is never held across a callback or a system call that waits.
 */
#include "driver/backend/vm_process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/backend.h"

enum {
    LAST_WORDS_MAX = 4096,
    LOST_GRACE_MS = 3000, /* between the end of the monitor and that of the process */
    STRAY_END_MS = 5000,
};

typedef struct HeldEvent {
    char *name;
    json_t *data;
    gint64 seconds;
    guint32 microseconds;
} HeldEvent;

struct VmProcess {
    gatomicrefcount refs;
    /* immutable */
    const BackendOps *ops;
    GMainContext *context;
    pid_t pid;
    guint64 start_time;
    int pidfd;
    char *run_dir, *log_path;
    gint64 log_offset;
    QmpClient *qmp; /* atomic: set once, beside a VM thread that hears of the end and a destroy that kills */
    VmCallbacks callbacks;
    gpointer opaque;
    GDestroyNotify free_opaque;

    gint gone; /* atomic */
    gint killed; /* atomic */
    gint monitor_lost; /* atomic: we killed it for that */

    GMutex lock;
    GCond exit_cond;
    VmExit exit; /* complete when gone */
    GQueue held; /* HeldEvent: until published */
    gboolean flowing; /* events go straight to the callback */
    gboolean exit_told, detached;
    GSource *pidfd_source, *grace_source, *publish_source;
};

static void held_free(HeldEvent *held)
{
    g_free(held->name);
    json_decref(held->data);
    g_free(held);
}

VmProcess *vm_process_ref(VmProcess *vm)
{
    g_atomic_ref_count_inc(&vm->refs);
    return vm;
}

void vm_process_unref(VmProcess *vm)
{
    if (vm == NULL || !g_atomic_ref_count_dec(&vm->refs))
        return;
    if (vm->qmp != NULL)
        qmp_client_unref(vm->qmp);
    if (vm->free_opaque != NULL)
        vm->free_opaque(vm->opaque);
    close(vm->pidfd);
    if (vm->publish_source != NULL)
        g_source_unref(vm->publish_source);
    g_queue_clear_full(&vm->held, (GDestroyNotify)held_free);
    g_main_context_unref(vm->context);
    g_mutex_clear(&vm->lock);
    g_cond_clear(&vm->exit_cond);
    g_free(vm->run_dir);
    g_free(vm->log_path);
    g_free(vm->exit.last_words);
    g_free(vm);
}

pid_t vm_process_pid(const VmProcess *vm)
{
    return vm->pid;
}

guint64 vm_process_start_time(const VmProcess *vm)
{
    return vm->start_time;
}

QmpClient *vm_process_qmp(const VmProcess *vm)
{
    return g_atomic_pointer_get(&((VmProcess *)vm)->qmp);
}

const BackendOps *vm_process_backend(const VmProcess *vm)
{
    return vm->ops;
}

const char *vm_process_log_path(const VmProcess *vm)
{
    return vm->log_path;
}

const char *vm_process_run_dir(const VmProcess *vm)
{
    return vm->run_dir;
}

gboolean vm_process_is_running(const VmProcess *vm)
{
    return !g_atomic_int_get(&vm->gone);
}

const VmExit *vm_process_exit(const VmProcess *vm)
{
    return vm_process_is_running(vm) ? NULL : &vm->exit;
}

/* --- /proc --- */

gboolean process_start_time(pid_t pid, guint64 *ret_start_time)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    char *field;

    if (!g_file_get_contents(path, &text, NULL, NULL) || (field = strrchr(text, ')')) == NULL ||
        field[1] != ' ')
        return FALSE;
    field += 2; /* field 3, the state */
    if (*field == 'Z' || *field == 'X' || *field == 'x')
        return FALSE;
    for (int i = 3; i < 22; i++) {
        field = strchr(field, ' ');
        if (field == NULL)
            return FALSE;
        field++;
    }
    *ret_start_time = g_ascii_strtoull(field, NULL, 10);
    return TRUE;
}

gboolean process_is(pid_t pid, guint64 start_time)
{
    guint64 found;

    return pid > 0 && process_start_time(pid, &found) && found == start_time;
}

static gboolean has_home(const char *pid, const char *home)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/environ", pid);
    g_autofree char *text = NULL;
    gsize length = 0;

    if (!g_file_get_contents(path, &text, &length, NULL))
        return FALSE;
    for (const char *at = text; at < text + length; at += strlen(at) + 1) {
        if (strcmp(at, home) == 0)
            return TRUE;
    }
    return FALSE;
}

/* The next process of dir (of /proc) with that in its environment; 0: no more. *ret_pidfd is that process's.
 */
static pid_t next_with_home(GDir *dir, const char *home, int *ret_pidfd)
{
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        pid_t pid = (pid_t)g_ascii_strtoll(name, NULL, 10);

        if (pid <= 0 || !has_home(name, home) || (*ret_pidfd = pidfd_open(pid, 0)) < 0)
            continue;
        if (has_home(name, home))
            return pid;
        close(*ret_pidfd);
    }
    return 0;
}

pid_t process_find_of(const char *run_dir)
{
    g_autofree char *home = g_strdup_printf("HOME=%s", run_dir);
    GDir *proc = g_dir_open("/proc", 0, NULL);
    autofd pidfd = -1;
    pid_t pid = next_with_home(proc, home, &pidfd);

    if (proc != NULL)
        g_dir_close(proc);
    return pid;
}

void processes_kill_of(const char *run_dir)
{
    g_autofree char *home = g_strdup_printf("HOME=%s", run_dir);
    GDir *proc = g_dir_open("/proc", 0, NULL);
    int pidfd = -1;
    pid_t pid;

    while ((pid = next_with_home(proc, home, &pidfd)) > 0) {
        struct pollfd end = {.fd = pidfd, .events = POLLIN};

        log_warning("process %d of '%s' was started by a daemon that was killed meanwhile; it is ended",
                    (int)pid, run_dir);
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        poll(&end, 1, STRAY_END_MS);
        close(pidfd);
    }
    if (proc != NULL)
        g_dir_close(proc);
}

/* --- last words --- */

char *vm_process_last_words(VmProcess *vm)
{
    autofd fd = open(vm->log_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char buffer[LAST_WORDS_MAX + 1];
    struct stat st;
    gint64 from;
    ssize_t n;
    char *text, *valid;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return g_strdup("");
    from = MAX(vm->log_offset, (gint64)st.st_size - LAST_WORDS_MAX);
    n = pread(fd, buffer, LAST_WORDS_MAX, from);
    if (n <= 0)
        return g_strdup("");
    for (ssize_t i = 0; i < n; i++) {
        if (buffer[i] == '\0')
            buffer[i] = ' ';
    }
    buffer[n] = '\0';
    text = buffer;
    if (from > vm->log_offset && (text = strchr(buffer, '\n')) != NULL)
        text++; /* not the rest of a cut line */
    valid = g_utf8_make_valid(text ? text : buffer, -1);
    return g_strchomp(valid);
}

char *vm_exit_describe(const VmExit *exit)
{
    GString *text = g_string_new(NULL);

    if (!exit->status_known)
        g_string_append(text, "the process ended");
    else if (exit->signal_number != 0)
        g_string_append_printf(text, "the process was killed by signal %d (%s)%s", exit->signal_number,
                               strsignal(exit->signal_number),
                               exit->core_dumped ? " and left a core dump" : "");
    else
        g_string_append_printf(text, "the process exited with status %d", exit->exit_code);
    if (exit->monitor_lost)
        g_string_append(text, " after its monitor had been closed");
    if (exit->last_words[0] != '\0')
        g_string_append_printf(text, ": %s", exit->last_words);
    return g_string_free(text, FALSE);
}

/* --- the end; VM thread --- */

static void drop_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

static GSource *attach(VmProcess *vm, GSource *source, GSourceFunc func)
{
    g_source_set_callback(source, func, vm_process_ref(vm), (GDestroyNotify)vm_process_unref);
    g_source_attach(source, vm->context);
    return source;
}

/* Calls `exited` if it is due. */
static void tell_exit(VmProcess *vm)
{
    gboolean due;

    g_mutex_lock(&vm->lock);
    due = g_atomic_int_get(&vm->gone) && vm->flowing && !vm->exit_told && !vm->detached;
    if (due)
        vm->exit_told = TRUE;
    g_mutex_unlock(&vm->lock);
    if (due && vm->callbacks.exited != NULL)
        vm->callbacks.exited(vm, &vm->exit, vm->opaque);
}

static void record_exit(VmProcess *vm)
{
    siginfo_t info = {0};
    VmExit record = {.exit_code = -1};

    if (g_atomic_int_get(&vm->gone))
        return;
    if (vm_process_qmp(vm) != NULL)
        qmp_client_drain(vm_process_qmp(vm)); /* what it said before it went */
    if (waitid(P_PIDFD, (id_t)vm->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == vm->pid) {
        record.status_known = TRUE;
        if (info.si_code == CLD_EXITED) {
            record.exit_code = info.si_status;
        } else {
            record.signal_number = info.si_status;
            record.core_dumped = info.si_code == CLD_DUMPED;
        }
    }
    record.killed = g_atomic_int_get(&vm->killed);
    record.monitor_lost = g_atomic_int_get(&vm->monitor_lost);
    record.last_words = vm_process_last_words(vm);

    g_mutex_lock(&vm->lock);
    vm->exit = record;
    g_atomic_int_set(&vm->gone, TRUE);
    drop_source(&vm->pidfd_source);
    drop_source(&vm->grace_source);
    g_cond_broadcast(&vm->exit_cond);
    g_mutex_unlock(&vm->lock);
    if (vm_process_qmp(vm) != NULL)
        qmp_client_close(vm_process_qmp(vm), "the process ended");
    tell_exit(vm);
}

static gboolean on_pidfd(gint fd, GIOCondition condition, gpointer data)
{
    VmProcess *vm = data;

    record_exit(vm);
    return G_SOURCE_REMOVE;
}

/* --- events; VM thread --- */

static void on_event(QmpClient *client, const char *name, json_t *data, gint64 seconds, guint32 microseconds,
                     gpointer opaque)
{
    VmProcess *vm = opaque;
    gboolean straight, detached;

    g_mutex_lock(&vm->lock);
    detached = vm->detached;
    straight = vm->flowing;
    if (!straight && !detached) {
        HeldEvent *held = g_new0(HeldEvent, 1);

        held->name = g_strdup(name);
        held->data = json_incref(data);
        held->seconds = seconds;
        held->microseconds = microseconds;
        g_queue_push_tail(&vm->held, held);
    }
    g_mutex_unlock(&vm->lock);
    if (straight && !detached && vm->callbacks.event != NULL)
        vm->callbacks.event(vm, name, data, seconds, microseconds, vm->opaque);
}

static gboolean on_publish(gpointer data)
{
    VmProcess *vm = data;

    for (;;) {
        HeldEvent *held;

        g_mutex_lock(&vm->lock);
        held = vm->detached ? NULL : g_queue_pop_head(&vm->held);
        if (held == NULL)
            vm->flowing = TRUE;
        g_mutex_unlock(&vm->lock);
        if (held == NULL)
            break;
        if (vm->callbacks.event != NULL)
            vm->callbacks.event(vm, held->name, held->data, held->seconds, held->microseconds, vm->opaque);
        held_free(held);
    }
    tell_exit(vm);
    return G_SOURCE_REMOVE;
}

void vm_process_publish(VmProcess *vm)
{
    g_mutex_lock(&vm->lock);
    if (vm->publish_source == NULL && !vm->detached) {
        vm->publish_source = g_idle_source_new();
        g_source_set_priority(vm->publish_source, G_PRIORITY_DEFAULT);
        attach(vm, vm->publish_source, on_publish);
    }
    g_mutex_unlock(&vm->lock);
}

static gboolean on_grace_over(gpointer data)
{
    VmProcess *vm = data;

    if (vm_process_is_running(vm)) {
        log_warning("VM process %d: its monitor is gone and it did not end: killed", (int)vm->pid);
        g_atomic_int_set(&vm->monitor_lost, TRUE);
        vm_process_kill(vm, TRUE);
    }
    return G_SOURCE_REMOVE;
}

static void on_lost(QmpClient *client, const char *why, gpointer opaque)
{
    VmProcess *vm = opaque;

    g_mutex_lock(&vm->lock);
    if (!vm->detached && !g_atomic_int_get(&vm->gone) && !g_atomic_int_get(&vm->killed) &&
        vm->grace_source == NULL) {
        if (why != NULL)
            log_warning("VM process %d: lost its monitor: %s", (int)vm->pid, why);
        vm->grace_source = g_timeout_source_new(LOST_GRACE_MS);
        attach(vm, vm->grace_source, on_grace_over);
    }
    g_mutex_unlock(&vm->lock);
    vm_process_unref(vm); /* the client's reference: this was its last callback */
}

static const QmpClientOps qmp_ops = {.event = on_event, .lost = on_lost};

QmpClient *vm_process_set_monitor(VmProcess *vm, int fd)
{
    g_assert(vm->qmp == NULL);
    g_atomic_pointer_set(&vm->qmp, qmp_client_new(vm->context, fd, &qmp_ops, vm_process_ref(vm), NULL));
    return vm->qmp;
}

VmProcess *vm_process_new(const BackendOps *ops, GMainContext *context, pid_t pid, int pidfd,
                          const char *run_dir, const char *log_path, gint64 log_offset,
                          const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque)
{
    VmProcess *vm = g_new0(VmProcess, 1);

    g_atomic_ref_count_init(&vm->refs);
    vm->ops = ops;
    vm->context = g_main_context_ref(context);
    vm->pid = pid;
    vm->pidfd = pidfd;
    vm->run_dir = g_strdup(run_dir);
    vm->log_path = g_strdup(log_path);
    vm->log_offset = log_offset;
    if (callbacks != NULL)
        vm->callbacks = *callbacks;
    vm->opaque = opaque;
    vm->free_opaque = free_opaque;
    g_mutex_init(&vm->lock);
    g_cond_init(&vm->exit_cond);
    g_queue_init(&vm->held);
    process_start_time(pid, &vm->start_time); /* 0 when it ended meanwhile: the pidfd says so in a moment */

    g_mutex_lock(&vm->lock);
    vm->pidfd_source = g_unix_fd_source_new(pidfd, G_IO_IN);
    attach(vm, vm->pidfd_source, G_SOURCE_FUNC(on_pidfd));
    g_mutex_unlock(&vm->lock);
    return vm;
}

/* --- any thread --- */

gboolean vm_process_kill(VmProcess *vm, gboolean force)
{
    gboolean sent;

    g_atomic_int_set(&vm->killed, TRUE);
    sent = pidfd_send_signal(vm->pidfd, force ? SIGKILL : SIGTERM, NULL, 0) == 0 || errno == ESRCH;
    if (force && sent && vm_process_qmp(vm) != NULL)
        qmp_client_close(vm_process_qmp(vm), "the process was killed");
    return sent;
}

gboolean vm_process_wait(VmProcess *vm, guint timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    gboolean gone;

    if (g_main_context_is_owner(vm->context)) {
        struct pollfd pfd = {.fd = vm->pidfd, .events = POLLIN};

        while (vm_process_is_running(vm)) {
            int n = poll(&pfd, 1, (int)((MAX(deadline - g_get_monotonic_time(), 0) + 999) / 1000));

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return FALSE;
            record_exit(vm);
        }
        return TRUE;
    }
    g_mutex_lock(&vm->lock);
    while (!g_atomic_int_get(&vm->gone) && g_cond_wait_until(&vm->exit_cond, &vm->lock, deadline))
        ;
    gone = g_atomic_int_get(&vm->gone);
    g_mutex_unlock(&vm->lock);
    return gone;
}

/* VM thread. */
static gboolean on_detach(gpointer data)
{
    gpointer *arg = data;
    GMutex *lock = arg[0];
    GCond *cond = arg[1];

    g_mutex_lock(lock);
    arg[2] = GINT_TO_POINTER(TRUE);
    g_cond_broadcast(cond);
    g_mutex_unlock(lock);
    return G_SOURCE_REMOVE;
}

void vm_process_detach(VmProcess *vm)
{
    gpointer arg[3] = {&vm->lock, &vm->exit_cond, NULL};

    g_mutex_lock(&vm->lock);
    vm->detached = TRUE;
    drop_source(&vm->pidfd_source);
    drop_source(&vm->grace_source);
    drop_source(&vm->publish_source);
    g_mutex_unlock(&vm->lock);
    if (vm_process_qmp(vm) != NULL)
        qmp_client_close(vm_process_qmp(vm), "the daemon stops");
    if (g_main_context_is_owner(vm->context) || !g_main_context_acquire(vm->context)) {
        if (g_main_context_is_owner(vm->context))
            return;
        /* A callback may be under way on the VM thread: wait until it has come round once. */
        g_main_context_invoke(vm->context, on_detach, arg);
        g_mutex_lock(&vm->lock);
        while (arg[2] == NULL)
            g_cond_wait(&vm->exit_cond, &vm->lock);
        g_mutex_unlock(&vm->lock);
        return;
    }
    /* The VM thread does not run: the loss of the monitor has to be dealt with here, or its references would
     * stay. */
    while (g_main_context_iteration(vm->context, FALSE))
        ;
    g_main_context_release(vm->context);
}
