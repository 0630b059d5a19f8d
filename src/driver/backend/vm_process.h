/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VmProcess: one running VM as a process of the host, of either back end. Reference counted.
 *
 * It outlives the daemon: it runs in its own session with its output in the log file, and is found again by
 * pid and start time (a pid alone may have been reused). It is watched by a pidfd in the VM thread; when it
 * ends it is reaped (if it is our child, or was re-parented to us), the rest of its QMP events is delivered,
 * then `exited` is called.
 *
 * What is set before `start`/`reconnect` return never changes afterwards and is read without a lock: pid,
 * start time, pidfd, paths, ops, the QMP client. Only the exit record comes later; it is complete when
 * vm_process_is_running() says FALSE.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <sys/types.h>

#include "driver/backend/qmp_client.h"

typedef struct VmProcess VmProcess;
typedef struct BackendOps BackendOps;

typedef struct VmExit {
    gboolean status_known; /* FALSE: not our child, the kernel told us only that it ended */
    int exit_code; /* -1 when ended by a signal or unknown */
    int signal_number; /* 0 when it ended by itself or unknown */
    gboolean core_dumped;
    gboolean killed; /* by vm_process_kill() */
    gboolean monitor_lost; /* killed by us because its monitor was closed or spoke nonsense */
    char *last_words; /* last lines of the log since start, at most 4 KiB, valid UTF-8; never NULL */
} VmExit;

typedef struct VmCallbacks {
    /* VM thread. Every QMP event, under the peer's name and clock. data borrowed, may be NULL. Must not
     * block. */
    void (*event)(VmProcess *vm, const char *name, json_t *data, gint64 seconds, guint32 microseconds,
                  gpointer opaque);
    /* VM thread, exactly once, after the last event: the process is gone and reaped. Not called when start or
     * reconnect failed. */
    void (*exited)(VmProcess *vm, const VmExit *exit, gpointer opaque);
} VmCallbacks;

VmProcess *vm_process_ref(VmProcess *vm);
void vm_process_unref(VmProcess *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmProcess, vm_process_unref)

pid_t vm_process_pid(const VmProcess *vm);
/* Field 22 of /proc/PID/stat: clock ticks since boot. With the pid it names a process for good. */
guint64 vm_process_start_time(const VmProcess *vm);
/* Borrowed; never NULL after start. */
QmpClient *vm_process_qmp(const VmProcess *vm);
const BackendOps *vm_process_backend(const VmProcess *vm);
const char *vm_process_log_path(const VmProcess *vm);
const char *vm_process_run_dir(const VmProcess *vm);

/* FALSE once the process is known to be gone (a zombie is gone). Lock-free. */
gboolean vm_process_is_running(const VmProcess *vm);
/* NULL while it runs. Borrowed, lives as long as vm. */
const VmExit *vm_process_exit(const VmProcess *vm);

/*
 * SIGKILL (force) or SIGTERM by pidfd. Takes no lock, never blocks; works on a stopped process and whatever
 * its monitor does. Also closes the QMP client when force, so that pending calls return. TRUE if the signal
 * was sent or the process is already gone.
 */
gboolean vm_process_kill(VmProcess *vm, gboolean force);
/* Waits until the exit is recorded (and the process reaped), at most timeout_ms. Not on the VM thread, except
 * that the exit is then recorded by this call itself. */
gboolean vm_process_wait(VmProcess *vm, guint timeout_ms);

/* Stops watching and drops the callbacks without touching the process: for a daemon that goes away. After it
 * returns no callback runs any more,
 * so the caller must hold no lock that a callback takes. */
void vm_process_detach(VmProcess *vm);

/* "qemu-system-x86_64 (pid 12) was killed by signal 11 (Segmentation fault): last words". Caller frees. */
char *vm_exit_describe(const VmExit *exit);

/* --- finding processes; also for helpers such as passt --- */
/* FALSE when there is no such process or it is a zombie. */
gboolean process_start_time(pid_t pid, guint64 *ret_start_time);
/* Whether pid lives (is no zombie) and is the one that started then. */
gboolean process_is(pid_t pid, guint64 start_time);
/* Ends the processes that were started for run_dir (they have it as HOME: backend_environment()) by a daemon
 * that was killed before it could note them. Waits for their end, 5 s at most. */
void processes_kill_of(const char *run_dir);
/* One of them, or 0. */
pid_t process_find_of(const char *run_dir);

/* --- for the back ends --- */
typedef struct VmSpawn {
    const char *const *argv; /* argv[0] is a path */
    const char *const *env; /* complete environment, NULL-terminated "K=V" */
    const char *cwd; /* NULL: "/" */
    const int *fds; /* passed under the same numbers; all others are closed by CLOEXEC */
    guint n_fds;
    int output_fd; /* stdout and stderr; stdin is /dev/null */
    uid_t uid; /* (uid_t)-1: as we are */
    gid_t gid;
    const gid_t *groups; /* supplementary groups, when uid or gid is set */
    guint n_groups;
    guint64 max_core; /* RLIMIT_CORE bytes; G_MAXUINT64: unlimited */
    guint64 max_locked; /* RLIMIT_MEMLOCK bytes, 0: leave */
    /* Called, on a thread of its own, while the process exists and has not begun with its program: what limits it can be
     * put around it. FALSE ends it, and vm_spawn() fails with that error. NULL: nobody. */
    gboolean (*gate)(pid_t pid, gpointer opaque, GError **error);
    gpointer gate_opaque;
    gboolean own_memory; /* a copy of ours while it waits: the kernel would move ours with it */
    gboolean no_network; /* where we may: in a network namespace with nothing in it, the same for all */
    int memory_policy; /* MPOL_*, set_mempolicy(2); 0: as we have */
    const gulong *memory_nodes; /* bits */
    gulong memory_nodes_max; /* how many bits */
} VmSpawn;

/* Starts a process in its own session without duplicating our memory (vfork semantics). Thread-safe. On
 * failure of exec the error names the file. *ret_pidfd is close-on-exec. */
gboolean vm_spawn(const VmSpawn *spawn, pid_t *ret_pid, int *ret_pidfd, GError **error);

/* Makes the object; fds are stolen. log_offset: where in the log this run begins. */
VmProcess *vm_process_new(const BackendOps *ops, GMainContext *context, pid_t pid, int pidfd,
                          const char *run_dir, const char *log_path, gint64 log_offset,
                          const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque);
/* Takes the connected monitor socket. Once, before anybody else knows vm. */
QmpClient *vm_process_set_monitor(VmProcess *vm, int fd);
/* From now on callbacks are delivered: earlier events were queued, in order. */
void vm_process_publish(VmProcess *vm);
/* The tail of the log since log_offset. Caller frees. */
char *vm_process_last_words(VmProcess *vm);
