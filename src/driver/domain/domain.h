/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One domain: its definitions, its state, its VM process when it runs.
 *
 * Two locks, and what each is for
 * -------------------------------
 * Modify lock (a *job*, domain_job_begin/_end): belongs to whoever changes the domain, and is held across QMP
 *   calls, file writes and a whole start. Waiting for it ends after JOB_WAIT_SECONDS with
 *   VIR_ERR_OPERATION_TIMEOUT that names the holder.
 * State lock (dom->lock): guards every field below marked (s). Held for short reads and writes of memory
 * only: never across a QMP call, a file, a wait.
 *
 * Order, outermost first:  modify lock, list lock (domain_list.c), state lock, event lock (events.c).
 *
 * Who may read and write what
 * - Every read call (state, info, XML, lists, look-ups, cached statistics) takes the state lock only, so it
 *   never waits for a guest.
 * - A definition is changed only by the holder of the modify lock, who takes the state lock for the change.
 * So he may read it without the state lock, everybody else needs it. Scalars that a guest changes (balloon,
 * tray, clock offset) are written by event handlers with the state lock alone; do not build on them without
 * it.
 * - Running -> shut off needs the state lock only (domain_stop.c), because nothing may keep a domain from
 * being destroyed. The definition and VmProcess of the run that ended stay allocated until the modify lock is
 * free: a job whose VM went away under it finds out by the error of its QMP call or by
 * domain_still_running(), and may still read what it had in hand.
 * - destroy kills by pidfd before it looks at any lock but the state lock.
 *
 * Threads: workers (handlers), the VM thread (events; must not block, so it takes the state lock and hands
 * what needs a job to domain_defer()).
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/lock.h"

typedef struct Call Call;
typedef struct Client Client;
typedef struct Driver Driver;
typedef struct DomainDef DomainDef;
typedef struct DomainList DomainList;
typedef struct Domain Domain;
typedef struct AgentClient AgentClient;
typedef struct VmProcess VmProcess;
typedef struct QmpClient QmpClient;
typedef struct VmLiveInfo VmLiveInfo;
typedef struct Cgroup Cgroup;
typedef struct PerfEvents PerfEvents;
typedef struct Placement Placement;

enum { JOB_WAIT_SECONDS = 30 };

/* Reasons to write into the log and to show to clients (domain_taint.h). */
typedef enum {
    DOMAIN_TAINT_CUSTOM_ARGV,
    DOMAIN_TAINT_CUSTOM_MONITOR,
    DOMAIN_TAINT_HIGH_PRIVILEGES,
    DOMAIN_TAINT_SHELL_SCRIPTS,
    DOMAIN_TAINT_HOST_CPU,
    DOMAIN_TAINT_CDROM_PASSTHROUGH,
    DOMAIN_TAINT_CUSTOM_DTB,
    DOMAIN_TAINT_CUSTOM_GA_COMMAND,
    DOMAIN_TAINT_CUSTOM_FEATURE,
    DOMAIN_TAINT_DEPRECATED_CONFIG,
    DOMAIN_TAINT_CUSTOM_DEVICE,
    DOMAIN_TAINT_LAST
} DomainTaint;

/* What became of a device that the guest was asked to let go (device_live.c). */
typedef enum { UNPLUG_NONE = 0, UNPLUG_DONE, UNPLUG_REFUSED } UnplugAnswer;

/* The modify lock. Waiters are served in no order. */
typedef struct DomainJob {
    GMutex mutex;
    GCond freed;
    const char *owner; /* what holds it ("virDomainSuspend"); NULL: free. Static string. */
    GThread *thread;
    gboolean cancelled; /* the domain was removed: waiters give up */
    gint64 since_us; /* g_get_monotonic_time() when it was taken */
    guint waiters;
} DomainJob;

struct Domain {
    gatomicrefcount refs;
    DomainList *list; /* immutable */
    Driver *driver; /* immutable; NULL in tests without a daemon */
    guint8 uuid[16]; /* immutable */
    char uuid_text[37];
    DomainJob job; /* the modify lock; locks itself */
    Lock lock; /* the state lock */
    GCond stopped; /* with the state lock: stopping became FALSE, or unplug_answer came */

    /* (s) below: state lock */
    char *name; /* (s) changes by rename only, list lock held as well */
    DomainDef *live; /* (s) what runs; NULL when shut off */
    DomainDef *config; /* (s) what the next start uses; NULL when transient */
    int id; /* (s) > 0 while active, new at each start; else -1 */
    guint64 run; /* (s) counts starts; tells one run from the next */
    guint64 ended_run; /* (s) the last run whose end is done with entirely */
    int state, reason; /* (s) virDomainState and its reason */
    gint64 state_since; /* (s) monotonic µs of the last change */
    VmProcess *vm; /* (s) reference; NULL when shut off and in the first moments of a start */
    gboolean listed; /* (s) look-ups find it: false for one whose definition is not yet safe on disk */
    gboolean removed; /* (s) was taken out of the list: start anew with another look-up */
    gboolean autostart; /* (s) */
    gboolean managed_save; /* (s) there is an image that the next start restores */
    guint snapshots, checkpoints; /* (s) how many there are */
    gboolean updated; /* (s) the live definition was changed since the start */
    gboolean starting; /* (s) a start job is at work: not to be stopped by process-exit alone */
    gboolean stopping; /* (s) somebody is taking down this run */
    gboolean defining; /* (s) becomes persistent, or not, in a moment: whoever ends a run waits for that, on
                          stopped */
    int stop_reason; /* (s) VIR_DOMAIN_SHUTOFF_*: decided before it ends, by whoever ends it; 0: not */
    int pause_reason; /* (s) VIR_DOMAIN_PAUSED_* for the next STOP event, set by whoever asks for it; 0: not
                       */
    int run_reason; /* (s) VIR_DOMAIN_RUNNING_* for the next RESUME event; 0: not */
    gboolean guest_shutdown; /* (s) SHUTDOWN was announced: its end is no crash */
    gboolean fake_reboot; /* (s) the next SHUTDOWN is one half of a reboot that was asked for */
    gboolean paused_shutdown; /* (s) the STOP that follows such a SHUTDOWN is nobody's business */
    gboolean status_pending; /* (s) a write of the status file is on its way */
    pid_t pid; /* (s) of the running VM, with its start time: known before vm is, after a restart of */
    guint64 pid_start; /*     the daemon; 0: off */
    AgentClient *agent; /* (s) the guest has its agent's channel open; NULL otherwise */
    gint agent_timeout; /* (s) of virDomainAgentSetResponseTimeout; AGENT_TIMEOUT_* or seconds */
    VmLiveInfo *info; /* (s) vCPU and iothread ids and the like; NULL when off */
    Cgroup *cgroup; /* (s) of the running VM, or NULL (placement.h) */
    PerfEvents *perf; /* (s) its counters; NULL when off */
    Placement *placement; /* of a start in progress; start thread only */
    guint64 taints; /* (s) 1 << DomainTaint */
    GPtrArray *deprecations; /* (s) texts of deprecated things in use; may be NULL */
    char *unplugging; /* (s) alias of the device whose end a job waits for; NULL: none */
    UnplugAnswer unplug_answer; /* (s) what was heard of it */
    char *disk_errors; /* (s) reserved for the I/O error of a paused guest: alias of the disk, or NULL */
    gint64 revived; /* (s) when servers of its disks were last looked after; microseconds, monotonic */
    Client *autodestroy; /* (s) pointer compared only, never followed; NULL: lives on */
    gboolean
        autodestroy_lost; /* (s) that client was an earlier daemon's: end it as soon as it is found again */
    GArray *graveyard; /* (s) what was replaced while a job was at work; see bury() */
    DomainDef *job_live; /* the holder's of the modify lock: see domain_job_live() */
    VmLiveInfo *job_info; /* likewise */

    /* Work handed over from the VM thread, done one after another by a worker. */
    GMutex defer_mutex;
    GQueue deferred;
    gboolean defer_running;

    /* For the statistics and guest agent layers: guarded by the state lock, freed by stats_free. */
    gpointer stats;
    GDestroyNotify stats_free;
};

Domain *domain_ref(Domain *dom);
void domain_unref(Domain *dom);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Domain, domain_unref)

/* --- from a call to a domain ---------------------------------------------------------------------------- */

/* define_ops.c: the flags of parsing a new definition of this client's: those of kite:/// get more by default than those
 * who think that they talk to libvirt's QEMU driver. */
guint domain_new_flags(Call *call);

/* The domain a call names (by uuid, as libvirt looks it up). New reference, or NULL and VIR_ERR_NO_DOMAIN.
 * wire: pointer to a generated struct with uuid and name. */
#define domain_from_wire(call, wire, error) domain_for_call((call), (wire)->uuid, (wire)->name, (error))
/* The same after call_check_flags(). */
#define domain_from_wire_flags(call, wire, flags, known, error)                                                       \
    (call_check_flags((call), (flags), (known), (error)) ? domain_from_wire((call), (wire), (error)) : NULL)
Domain *domain_for_call(Call *call, const guint8 uuid[16], const char *name, GError **error);
/* Fills a generated wire domain (uuid, name, id). The state lock must not be held. */
#define domain_to_wire(dom, wire) domain_to_wire_fields((dom), (wire)->uuid, &(wire)->name, &(wire)->id)
void domain_to_wire_fields(Domain *dom, guint8 uuid[16], char **ret_name, gint32 *ret_id);

/* VIR_ERR_INVALID_ARG "unsupported flags (0x…) in function …" when flags has bits outside known. */
#define domain_check_flags(flags, known, error) domain_check_flags_for((flags), (known), __func__, (error))
gboolean domain_check_flags_for(guint flags, guint known, const char *function, GError **error);

/* --- modify lock ---------------------------------------------------------------------------------------- */

/* Takes the modify lock. owner is a static string: libvirt's name of the API. Fails with OPERATION_TIMEOUT,
 * or with NO_DOMAIN when the domain was removed while waiting. The state lock must not be held. */
gboolean domain_job_begin(Domain *dom, const char *owner, GError **error);
/* Like it, but also fails with OPERATION_INVALID "domain is not running" when it is shut off. */
gboolean domain_job_begin_active(Domain *dom, const char *owner, GError **error);
void domain_job_end(Domain *dom);
gboolean domain_job_held(Domain *dom); /* by this thread; for assertions */
/* For the holder of the modify lock, who need not hold the state lock: the live definition, and the ids, of the run that
 * his job began with (or has started). They stay what they are until the job ends; dom->live and dom->info, without the
 * state lock, are gone the moment somebody destroys the domain. NULL: it was off. */
DomainDef *domain_job_live(const Domain *dom);
VmLiveInfo *domain_job_info(const Domain *dom);

static inline void domain_job_scope_end(Domain **dom)
{
    if (*dom != NULL)
        domain_job_end(*dom);
}
/* DOMAIN_JOB_SCOPE(held) = dom; after a successful begin: ends the job with the block. */
#define DOMAIN_JOB_SCOPE(var) __attribute__((cleanup(domain_job_scope_end), unused)) Domain *var

/* --- state; the state lock is held by the caller unless a line says otherwise
 * ------------------------------- */

gboolean domain_active(const Domain *dom);
gboolean domain_persistent(const Domain *dom);
/* What describes it now: the live definition when active, else the persistent one. Never NULL once listed. */
DomainDef *domain_def(const Domain *dom);
/* Sets state and reason, and when. No event. */
void domain_set_state(Domain *dom, int state, int reason);
gboolean domain_require_active(const Domain *dom,
                               GError **error); /* OPERATION_INVALID "domain is not running" */

/* Takes the state lock itself. Is this still the run that was number run? Sets OPERATION_FAILED "domain is no
 * longer running" otherwise. */
gboolean domain_still_running(Domain *dom, guint64 run, GError **error);
/* Takes the state lock itself; not for inline handlers (waits some seconds for the monitor of a VM that an
 * earlier daemon has left). The VM of a running domain, a new reference (vm_process_unref); ret_run may be
 * NULL. Else NULL and OPERATION_INVALID "domain is not running". */
VmProcess *domain_vm(Domain *dom, guint64 *ret_run, GError **error);

/* Takes the state lock itself. The guest agent of a running domain, a new reference (agent_client_unref).
 * Else NULL and libvirt's error: OPERATION_INVALID (off, paused), ARGUMENT_UNSUPPORTED "QEMU guest agent is
 * not configured", AGENT_UNRESPONSIVE "QEMU guest agent is not connected". */
AgentClient *domain_agent(Domain *dom, GError **error);

/* Which definitions VIR_DOMAIN_AFFECT_* in flags means; resolves CURRENT in place and refuses, with libvirt's
 * errors, LIVE on a domain that is off and CONFIG on a transient one. */
gboolean domain_affect(const Domain *dom, guint *flags, GError **error);
/* As above, giving the definitions to change (NULL where not meant). Both are shared with readers: change
 * them with modify and state lock held. */
gboolean domain_defs_for(Domain *dom, guint flags, DomainDef **ret_live, DomainDef **ret_config,
                         GError **error);
/* For calls that read one: refuses LIVE together with CONFIG. */
DomainDef *domain_one_def_for(Domain *dom, guint flags, gboolean *ret_is_live, GError **error);

/* --- changes; the modify lock is held, the state lock is not
 * ---------------------------------------------------- */

/* Writes the persistent definition to disk (formats under the state lock). Nothing to do for a transient one.
 */
gboolean domain_save_config(Domain *dom, GError **error);
/* Writes the status file of a running domain. Also callable from domain_defer() work without the modify lock.
 * A failure is logged, not reported: the run goes on. */
void domain_save_status(Domain *dom);
/* Swap in an altered copy of the persistent definition, on disk first: when the disk is full nothing has
 * changed. Takes def in any case. */
gboolean domain_replace_config(Domain *dom, DomainDef *def, GError **error);


/* Publishes def as the live definition (NULL: none) or as the persistent one, or the ids of the run. What was there is
 * kept until no job can be looking at it any more. State lock held; takes def. */
void domain_put_live(Domain *dom, DomainDef *def);
void domain_put_config(Domain *dom, DomainDef *def);
void domain_put_info(Domain *dom, VmLiveInfo *info);

/* Writes the status file soon, on another thread. Any thread; state lock held. */
void domain_save_status_soon(Domain *dom);

/* --- handing work to a worker
 * ------------------------------------------------------------------------------------ */

/* Runs func(dom, data) on a worker thread, after what was handed over before for this domain. Any thread,
 * never blocks. The work holds a reference on the domain; it takes the locks it needs. */
typedef void (*DomainWork)(Domain *dom, gpointer data);
void domain_defer(Domain *dom, DomainWork func, gpointer data, GDestroyNotify free_data);
