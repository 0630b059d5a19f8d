/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The domain object: references, the modify lock, which definition is meant, work handed to workers. See
 * domain.h. */
#define LOG_SOURCE "domain"

#include "driver/domain/domain.h"

#include <string.h>

#include "common/log.h"
#include "driver/backend/agent_client.h"
#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/host/cgroup.h"
#include "driver/host/perf_events.h"

enum { RECONNECT_WAIT_SECONDS = 3, DRAIN_SECONDS = 3, DEFER_AGAIN_MS = 500 };

gint64 domain_job_wait_us = JOB_WAIT_SECONDS * G_USEC_PER_SEC;

/* --- life ----------------------------------------------------------------------------------------------- */

/* What waits in the graveyard to be freed. */
typedef struct Grave {
    gpointer what;
    GDestroyNotify free;
} Grave;

static void grave_clear(gpointer data)
{
    Grave *grave = data;

    grave->free(grave->what);
}

static GArray *graveyard_new(void)
{
    GArray *graveyard = g_array_new(FALSE, FALSE, sizeof(Grave));

    g_array_set_clear_func(graveyard, grave_clear);
    return graveyard;
}

Domain *domain_new(DomainList *list, Driver *driver, const guint8 uuid[16], const char *name)
{
    Domain *dom = g_new0(Domain, 1);

    g_atomic_ref_count_init(&dom->refs);
    dom->list = list;
    dom->driver = driver;
    memcpy(dom->uuid, uuid, sizeof(dom->uuid));
    uuid_format(uuid, dom->uuid_text);
    dom->name = g_strdup(name);
    dom->id = -1;
    dom->state = VIR_DOMAIN_SHUTOFF;
    dom->reason = VIR_DOMAIN_SHUTOFF_UNKNOWN;
    dom->state_since = g_get_monotonic_time();
    dom->agent_timeout = AGENT_TIMEOUT_DEFAULT;
    lock_init(&dom->lock);
    g_cond_init(&dom->stopped);
    g_mutex_init(&dom->job.mutex);
    g_cond_init(&dom->job.freed);
    g_mutex_init(&dom->defer_mutex);
    g_queue_init(&dom->deferred);
    dom->graveyard = graveyard_new();
    return dom;
}

Domain *domain_ref(Domain *dom)
{
    g_atomic_ref_count_inc(&dom->refs);
    return dom;
}

void domain_unref(Domain *dom)
{
    if (dom == NULL || !g_atomic_ref_count_dec(&dom->refs))
        return;
    g_assert(dom->job.owner == NULL && g_queue_is_empty(&dom->deferred));
    if (dom->stats_free != NULL)
        dom->stats_free(dom->stats);
    g_clear_pointer(&dom->vm, vm_process_unref);
    g_clear_pointer(&dom->info, vm_live_info_free);
    g_clear_pointer(&dom->agent, agent_client_unref);
    cgroup_unref(dom->cgroup);
    perf_events_unref(dom->perf);
    domain_def_free(dom->live);
    domain_def_free(dom->config);
    g_array_unref(dom->graveyard);
    g_clear_pointer(&dom->deprecations, g_ptr_array_unref);
    g_free(dom->unplugging);
    g_free(dom->disk_errors);
    g_free(dom->name);
    g_mutex_clear(&dom->defer_mutex);
    g_mutex_clear(&dom->job.mutex);
    g_cond_clear(&dom->job.freed);
    lock_clear(&dom->lock);
    g_cond_clear(&dom->stopped);
    g_free(dom);
}

gboolean domain_check_flags_for(guint flags, guint known, const char *function, GError **error)
{
    if ((flags & ~known) == 0)
        return TRUE;
    return error_set_flags(error, ERROR_FROM, "unsupported flags (0x%x) in function %s", flags & ~known,
                           function);
}

/* --- modify lock ---------------------------------------------------------------------------------------- */

gboolean domain_job_begin(Domain *dom, const char *owner, GError **error)
{
    DomainJob *job = &dom->job;
    gint64 deadline = g_get_monotonic_time() + domain_job_wait_us;
    gboolean taken = FALSE;

    lock_assert_free(&dom->lock);
    g_assert(!domain_job_held(dom));
    g_mutex_lock(&job->mutex);
    job->waiters++;
    while (job->owner != NULL && !job->cancelled) {
        if (!g_cond_wait_until(&job->freed, &job->mutex, deadline) && job->owner != NULL)
            break;
    }
    job->waiters--;
    if (job->cancelled) {
        error_set(error, VIR_ERR_NO_DOMAIN,
                  "no domain with matching uuid '%s' (%s): it was removed meanwhile", dom->uuid_text, owner);
    } else if (job->owner != NULL) {
        error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                  "cannot acquire state change lock (held by monitor=%s for %" G_GINT64_FORMAT
                  " s); destroy ends the domain nevertheless",
                  job->owner, (g_get_monotonic_time() - job->since_us) / G_USEC_PER_SEC);
    } else {
        job->owner = owner;
        job->thread = g_thread_self();
        job->since_us = g_get_monotonic_time();
        taken = TRUE;
    }
    g_mutex_unlock(&job->mutex);
    if (taken)
        domain_job_look(dom);
    return taken;
}

void domain_job_look(Domain *dom)
{
    LOCK_SCOPE(&dom->lock);

    dom->job_live = dom->live;
    dom->job_info = dom->info;
}

DomainDef *domain_job_live(const Domain *dom)
{
    return dom->job_live;
}

VmLiveInfo *domain_job_info(const Domain *dom)
{
    return dom->job_info;
}

gboolean domain_job_begin_active(Domain *dom, const char *owner, GError **error)
{
    gboolean active;

    /* Said at once too: nobody has to wait for a lock to learn that a domain is off. */
    lock_acquire(&dom->lock);
    active = domain_require_active(dom, error);
    lock_release(&dom->lock);
    if (!active || !domain_job_begin(dom, owner, error))
        return FALSE;
    lock_acquire(&dom->lock);
    active = domain_require_active(dom, error);
    lock_release(&dom->lock);
    if (!active)
        domain_job_end(dom);
    return active;
}

void domain_job_end(Domain *dom)
{
    DomainJob *job = &dom->job;
    GArray *dead;

    g_assert(domain_job_held(dom));
    lock_acquire(&dom->lock);
    dom->job_live = NULL;
    dom->job_info = NULL;
    dead = dom->graveyard;
    dom->graveyard = graveyard_new();
    lock_release(&dom->lock);
    g_mutex_lock(&job->mutex);
    job->owner = NULL;
    job->thread = NULL;
    g_cond_signal(&job->freed);
    g_mutex_unlock(&job->mutex);
    g_array_unref(dead);
}

gboolean domain_job_held(Domain *dom)
{
    gboolean held;

    g_mutex_lock(&dom->job.mutex);
    held = dom->job.owner != NULL && dom->job.thread == g_thread_self();
    g_mutex_unlock(&dom->job.mutex);
    return held;
}

void domain_job_cancel_waiters(Domain *dom)
{
    g_mutex_lock(&dom->job.mutex);
    dom->job.cancelled = TRUE;
    g_cond_broadcast(&dom->job.freed);
    g_mutex_unlock(&dom->job.mutex);
}

/* What another thread's job may still read is kept until that job ends. */
static void bury(Domain *dom, gpointer what, GDestroyNotify free)
{
    const Grave grave = {what, free};
    gboolean job;

    if (what == NULL)
        return;
    g_mutex_lock(&dom->job.mutex);
    job = dom->job.owner != NULL;
    g_mutex_unlock(&dom->job.mutex);
    if (job)
        g_array_append_val(dom->graveyard, grave);
    else
        free(what);
}

static void free_def(gpointer def)
{
    domain_def_free(def);
}

static void free_info(gpointer info)
{
    vm_live_info_free(info);
}

void domain_put_live(Domain *dom, DomainDef *def)
{
    DomainDef *old = dom->live;

    lock_assert_held(&dom->lock);
    dom->live = def;
    if (def != NULL)
        dom->job_live = def; /* nobody but the job's holder has one to put */
    bury(dom, old, free_def);
}

void domain_put_info(Domain *dom, VmLiveInfo *info)
{
    VmLiveInfo *old = dom->info;

    lock_assert_held(&dom->lock);
    dom->info = info;
    if (info != NULL)
        dom->job_info = info;
    bury(dom, old, free_info);
}

void domain_put_config(Domain *dom, DomainDef *def)
{
    DomainDef *old = dom->config;

    lock_assert_held(&dom->lock);
    dom->config = def;
    bury(dom, old, free_def);
}

/* --- state ---------------------------------------------------------------------------------------------- */

gboolean domain_active(const Domain *dom)
{
    return dom->id > 0;
}

gboolean domain_persistent(const Domain *dom)
{
    return dom->config != NULL;
}

DomainDef *domain_def(const Domain *dom)
{
    return dom->live != NULL ? dom->live : dom->config;
}

void domain_set_state(Domain *dom, int state, int reason)
{
    lock_assert_held(&dom->lock);
    if (dom->state != state)
        dom->state_since = g_get_monotonic_time();
    dom->state = state;
    dom->reason = reason;
}

gboolean domain_require_active(const Domain *dom, GError **error)
{
    if (domain_active(dom))
        return TRUE;
    return error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_OPERATION_INVALID, "domain is not running");
}

gboolean domain_still_running(Domain *dom, guint64 run, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (domain_active(dom) && dom->run == run && !dom->stopping)
        return TRUE;
    return error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
}

VmProcess *domain_vm(Domain *dom, guint64 *ret_run, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + RECONNECT_WAIT_SECONDS * G_USEC_PER_SEC;
    LOCK_SCOPE(&dom->lock);

    /* After a restart of the daemon the monitor is usually found within milliseconds. */
    while (domain_active(dom) && dom->vm == NULL) {
        if (!lock_wait(&dom->lock, &dom->stopped, deadline))
            break;
    }
    if (!domain_require_active(dom, error))
        return NULL;
    if (dom->vm == NULL) {
        error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                  "the VM of domain '%s' runs, but its monitor has not answered since the daemon was started",
                  dom->name);
        return NULL;
    }
    if (ret_run != NULL)
        *ret_run = dom->run;
    return vm_process_ref(dom->vm);
}

gboolean domain_affect(const Domain *dom, guint *flags, GError **error)
{
    const guint both = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG;

    if ((*flags & both) == VIR_DOMAIN_AFFECT_CURRENT)
        *flags |= domain_active(dom) ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG;
    if ((*flags & VIR_DOMAIN_AFFECT_LIVE) && !domain_require_active(dom, error))
        return FALSE;
    if ((*flags & VIR_DOMAIN_AFFECT_CONFIG) && !domain_persistent(dom))
        return error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_OPERATION_INVALID,
                              "transient domains do not have any persistent config");
    return TRUE;
}

gboolean domain_defs_for(Domain *dom, guint flags, DomainDef **ret_live, DomainDef **ret_config,
                         GError **error)
{
    LOCK_SCOPE(&dom->lock);

    *ret_live = *ret_config = NULL;
    if (!domain_affect(dom, &flags, error))
        return FALSE;
    if (flags & VIR_DOMAIN_AFFECT_LIVE)
        *ret_live = dom->live;
    if (flags & VIR_DOMAIN_AFFECT_CONFIG)
        *ret_config = dom->config;
    return TRUE;
}

DomainDef *domain_one_def_for(Domain *dom, guint flags, gboolean *ret_is_live, GError **error)
{
    lock_assert_held(&dom->lock);
    if ((flags & VIR_DOMAIN_AFFECT_LIVE) && (flags & VIR_DOMAIN_AFFECT_CONFIG)) {
        error_set_flags(error, VIR_FROM_DOMAIN,
                        "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive");
        return NULL;
    }
    if (!domain_affect(dom, &flags, error))
        return NULL;
    if (ret_is_live != NULL)
        *ret_is_live = (flags & VIR_DOMAIN_AFFECT_LIVE) != 0;
    return (flags & VIR_DOMAIN_AFFECT_LIVE) ? dom->live : dom->config;
}

/* --- saving --------------------------------------------------------------------------------------------- */

gboolean domain_save_config(Domain *dom, GError **error)
{
    g_autofree char *xml = NULL;
    g_autofree char *name = NULL;

    lock_acquire(&dom->lock);
    if (dom->config != NULL) {
        xml = persist_format_config(dom->config);
        name = g_strdup(dom->name);
    }
    lock_release(&dom->lock);
    return xml == NULL || persist_write_config(dom->driver, name, xml, error);
}

gboolean domain_replace_config(Domain *dom, DomainDef *def, GError **error)
{
    g_autofree char *xml = persist_format_config(def);
    g_autofree char *name = NULL;

    g_assert(domain_job_held(dom));
    lock_acquire(&dom->lock);
    name = g_strdup(dom->name);
    lock_release(&dom->lock);
    if (!persist_write_config(dom->driver, name, xml, error)) {
        domain_def_free(def);
        return FALSE;
    }
    lock_acquire(&dom->lock);
    domain_put_config(dom, def);
    lock_release(&dom->lock);
    return TRUE;
}

void domain_save_status(Domain *dom)
{
    g_autoptr(GError) error = NULL;

    gboolean over;

    if (persist_write_status(dom, &error))
        return;
    /* The run may have ended, and its folder gone, between the text and the file. */
    lock_acquire(&dom->lock);
    over = !domain_active(dom) || dom->stopping;
    lock_release(&dom->lock);
    if (!over)
        log_warning(
            "domain '%s' (%s): its status file could not be written, a restart of the daemon may see it as "
            "it was before: %s",
            dom->name, dom->uuid_text, error->message);
}

static void save_status_now(Domain *dom, gpointer unused)
{
    lock_acquire(&dom->lock);
    dom->status_pending = FALSE;
    lock_release(&dom->lock);
    domain_save_status(dom);
}

void domain_save_status_soon(Domain *dom)
{
    lock_assert_held(&dom->lock);
    if (dom->status_pending)
        return;
    dom->status_pending = TRUE;
    domain_defer(dom, save_status_now, NULL, NULL);
}

/* --- work for workers ----------------------------------------------------------------------------------- */

typedef struct Deferred {
    DomainWork func;
    gpointer data;
    GDestroyNotify free_data;
} Deferred;

/* Domains with work that waits or runs. */
static struct {
    GMutex mutex;
    GCond idle;
    guint busy;
} deferring;

static void count_busy(int change)
{
    g_mutex_lock(&deferring.mutex);
    deferring.busy += (guint)change;
    if (deferring.busy == 0)
        g_cond_broadcast(&deferring.idle);
    g_mutex_unlock(&deferring.mutex);
}

gboolean domain_defer_drain(void)
{
    gint64 deadline = g_get_monotonic_time() + DRAIN_SECONDS * G_USEC_PER_SEC;
    gboolean idle;

    g_mutex_lock(&deferring.mutex);
    while (deferring.busy > 0 && g_cond_wait_until(&deferring.idle, &deferring.mutex, deadline)) {
    }
    idle = deferring.busy == 0;
    g_mutex_unlock(&deferring.mutex);
    return idle;
}

/* A thread of the pool does all that is waiting for one domain, one after another. */
static void run_deferred(gpointer data, gpointer unused)
{
    Domain *dom = data;

    for (;;) {
        Deferred *work;

        g_mutex_lock(&dom->defer_mutex);
        work = g_queue_pop_head(&dom->deferred);
        if (work == NULL) {
            dom->defer_running = FALSE;
            g_mutex_unlock(&dom->defer_mutex);
            domain_unref(dom); /* what may end with it belongs to the work that is waited for */
            count_busy(-1);
            return;
        }
        g_mutex_unlock(&dom->defer_mutex);
        work->func(dom, work->data);
        if (work->free_data != NULL)
            work->free_data(work->data);
        g_free(work);
    }
}

/* As many threads as domains have work that waits: one that waits for its guest must not hold up another's.
 */
static GThreadPool *defer_pool(void)
{
    static GThreadPool *pool;

    if (g_once_init_enter(&pool))
        g_once_init_leave(&pool, g_thread_pool_new(run_deferred, NULL, -1, FALSE, NULL));
    return pool;
}

/* VM thread. What was pushed waits in the pool's queue; its threads are told to look, when there are any. */
static gboolean try_again(gpointer unused)
{
    return g_thread_pool_set_max_threads(defer_pool(), -1, NULL) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void push(Domain *dom)
{
    g_autoptr(GError) error = NULL;
    GSource *timer;

    if (g_thread_pool_push(defer_pool(), domain_ref(dom), &error))
        return;
    log_warning("domain '%s': work on it waits, there is no thread to do it: %s", dom->uuid_text, error->message);
    timer = g_timeout_source_new(DEFER_AGAIN_MS);
    g_source_set_callback(timer, try_again, NULL, NULL);
    g_source_attach(timer, dom->driver->vm_context);
    g_source_unref(timer);
}

void domain_defer(Domain *dom, DomainWork func, gpointer data, GDestroyNotify free_data)
{
    Deferred *work = g_new(Deferred, 1);

    *work = (Deferred){func, data, free_data};
    g_mutex_lock(&dom->defer_mutex);
    g_queue_push_tail(&dom->deferred, work);
    if (!dom->defer_running) {
        dom->defer_running = TRUE;
        count_busy(1);
        push(dom);
    }
    g_mutex_unlock(&dom->defer_mutex);
}

/* --- the domain of a definition ---------------------------------------------------------------------------
 */

/* Whether dom stays when the run that is just ending has ended. defining: and if another one ends from here
 * on. */
static gboolean outlives_its_run(Domain *dom, gboolean defining)
{
    LOCK_SCOPE(&dom->lock);

    while (dom->stopping)
        lock_wait(&dom->lock, &dom->stopped, -1);
    dom->defining = defining && !dom->removed;
    return !dom->removed;
}

/* The domain of this identity, with its modify lock; one that was removed while we waited makes us begin
 * anew. */
Domain *domain_claim_locked(Driver *driver, const DomainDef *def, guint flags, const char *api,
                            GError **error)
{
    for (;;) {
        g_autoptr(Domain) dom = domain_list_claim(driver->domains, def->uuid, def->name, flags, error);
        g_autoptr(GError) cause = NULL;

        if (dom == NULL)
            return NULL;
        if (domain_job_begin(dom, api, &cause)) {
            if (outlives_its_run(dom, flags == DOMAIN_CLAIM_DEFINE))
                return g_steal_pointer(&dom);
            domain_job_end(dom);
            continue;
        }
        if (!error_is(cause, VIR_ERR_NO_DOMAIN)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
    }
}
