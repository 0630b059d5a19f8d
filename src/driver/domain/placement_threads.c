/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of a VM: their control groups, CPUs, bandwidth, scheduler. See placement.h. */
#define LOG_SOURCE "domain.placement"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "common/log.h"
#include "driver/domain/placement_private.h"

/* --- CPUs and scheduler --------------------------------------------------------------------------------- */

gboolean placement_set_affinity(pid_t tid, const Bitmap *cpus, GError **error)
{
    gsize size = CPU_ALLOC_SIZE(BITMAP_MAX_BITS);
    g_autofree cpu_set_t *set = g_malloc0(size);

    if (cpus == NULL)
        memset(set, 0xff, size); /* the kernel leaves out what there is not */
    BITMAP_FOREACH(bit, cpus)
    {
        CPU_SET_S((size_t)bit, size, set);
    }
    if (sched_setaffinity(tid, size, set) == 0)
        return TRUE;
    return error_set_errno(error, errno, "cannot set CPU affinity on process %d", (int)tid);
}

static gboolean set_scheduler(pid_t tid, const SchedDef *sched, GError **error)
{
    static const int policies[SCHED_CLASS_LAST] = {[SCHED_CLASS_BATCH] = SCHED_BATCH,
                                                   [SCHED_CLASS_IDLE] = SCHED_IDLE,
                                                   [SCHED_CLASS_FIFO] = SCHED_FIFO,
                                                   [SCHED_CLASS_RR] = SCHED_RR};
    struct sched_param param = {0};

    if (sched == NULL || sched->policy == SCHED_NONE)
        return TRUE;
    if (sched->policy == SCHED_CLASS_FIFO || sched->policy == SCHED_CLASS_RR) {
        int min = sched_get_priority_min(policies[sched->policy]), max = sched_get_priority_max(policies[sched->policy]);

        if (sched->priority < min || sched->priority > max)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "Scheduler priority %d out of range [%d, %d]", sched->priority, min, max);
        param.sched_priority = sched->priority;
    }
    if (sched_setscheduler(tid, policies[sched->policy], &param) == 0)
        return TRUE;
    return error_set_errno(error, errno, "Cannot set scheduler parameters for pid %d", (int)tid);
}

const Bitmap *placement_default_cpus(const DomainDef *def)
{
    return def->cpuset != NULL && !def->placement_auto ? def->cpuset : NULL;
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

char *placement_mems(const DomainDef *def)
{
    const NumaTune *tune = &def->numatune;

    if (!tune->memory_given || tune->nodes == NULL ||
        (tune->mode != NUMATUNE_STRICT && tune->mode != NUMATUNE_RESTRICTIVE))
        return NULL;
    return bitmap_format(tune->nodes);
}

/* A vCPU of a cell whose memory is bound by <memnode mode='restrictive'> is bound there itself. */
static char *vcpu_mems(const DomainDef *def, guint vcpu)
{
    const GArray *memnodes = def->numatune.memnodes;

    for (guint i = 0; memnodes != NULL && i < memnodes->len; i++) {
        const NumatuneNode *node = &g_array_index(memnodes, NumatuneNode, i);

        if (node->mode == NUMATUNE_RESTRICTIVE && node->cell < numa_def_n_cells(&def->numa) &&
            bitmap_get(numa_def_cell(&def->numa, node->cell)->cpus, vcpu))
            return bitmap_format(node->nodes);
    }
    return placement_mems(def);
}

/* --- one thread ----------------------------------------------------------------------------------------- */

gboolean placement_has_limits(const ThreadPlace *place)
{
    return place->cpus != NULL || place->all_cpus || place->mems != NULL || place->period != 0 || place->quota != 0 ||
           (place->sched != NULL && place->sched->policy != SCHED_NONE);
}

static gboolean set_group(Cgroup *cgroup, const ThreadPlace *place, GError **error)
{
    if (!cgroup_thread_make(cgroup, place->name, error))
        return FALSE;
    if (cgroup_has(cgroup, CGROUP_CPUSET) &&
        ((place->cpus != NULL && !cgroup_set_cpus(cgroup, place->name, place->cpus, error)) ||
         (place->mems != NULL && !cgroup_set_mems(cgroup, place->name, place->mems, error))))
        return FALSE;
    return cgroup_set_bandwidth(cgroup, place->name, place->period, place->quota, error);
}

gboolean placement_set_thread(Cgroup *cgroup, const ThreadPlace *place, gboolean later, GError **error)
{
    if ((place->period != 0 || place->quota != 0) && !cgroup_has(cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "cgroup cpu is required for scheduler tuning");
    if (cgroup_is_divided(cgroup)) {
        if (!set_group(cgroup, place, error) ||
            (!later && !cgroup_thread_attach(cgroup, place->name, place->tid, error)))
            return FALSE;
    }
    /* After the group, which sets it too. */
    if ((place->cpus != NULL || place->all_cpus) && !placement_set_affinity(place->tid, place->cpus, error))
        return FALSE;
    return set_scheduler(place->tid, place->sched, error);
}

/* --- whether threads have groups of their own ----------------------------------------------------------- */

gboolean placement_divides(const DomainDef *def)
{
    const CpuTune *tune = &def->cputune;
    g_autofree char *mems = placement_mems(def);
    gboolean any = mems != NULL || placement_default_cpus(def) != NULL || tune->emulator_pin != NULL ||
                   tune->period != 0 || tune->quota != 0 || tune->emulator_period != 0 || tune->emulator_quota != 0 ||
                   tune->iothread_period != 0 || tune->iothread_quota != 0;

    for (guint i = 0; !any && i < domain_def_vcpus_max(def); i++) {
        g_autofree char *vcpu = vcpu_mems(def, i);

        any = vcpu != NULL || domain_def_vcpu(def, i)->pin != NULL;
    }
    for (guint i = 0; !any && i < def->iothreads->len; i++)
        any = ((const IothreadDef *)g_ptr_array_index(def->iothreads, i))->pin != NULL;
    return any;
}

/* --- all threads ---------------------------------------------------------------------------------------- */

static void place_clear(gpointer data)
{
    g_free(((ThreadPlace *)data)->mems);
}

static ThreadPlace vcpu_place(const DomainDef *live, guint index, pid_t tid)
{
    const VcpuDef *vcpu = domain_def_vcpu(live, index);
    ThreadPlace place = {.tid = tid,
                         .cpus = vcpu->pin != NULL ? vcpu->pin : placement_default_cpus(live),
                         .period = live->cputune.period,
                         .quota = live->cputune.quota,
                         .sched = &vcpu->sched,
                         .mems = vcpu_mems(live, index)};

    place.all_cpus = place.cpus == NULL && live->cputune.emulator_pin != NULL;
    cgroup_thread(place.name, "vcpu", index);
    return place;
}

static ThreadPlace iothread_place(const DomainDef *live, const IothreadDef *thread)
{
    ThreadPlace place = {.tid = thread->thread_id,
                         .cpus = thread->pin != NULL ? thread->pin : placement_default_cpus(live),
                         .period = live->cputune.iothread_period,
                         .quota = live->cputune.iothread_quota,
                         .sched = &thread->sched,
                         .mems = placement_mems(live)};

    place.all_cpus = place.cpus == NULL && live->cputune.emulator_pin != NULL;
    cgroup_thread(place.name, "iothread", thread->id);
    return place;
}

/* A VM whose vCPUs share a thread cannot have one pinned apart. */
static gboolean check_pins(const DomainDef *live, GError **error)
{
    for (guint i = 0; i < domain_def_vcpus_max(live); i++) {
        const VcpuDef *vcpu = domain_def_vcpu(live, i);

        if (vcpu->online && vcpu->pin != NULL && !bitmap_equal(vcpu->pin, live->cpuset))
            return error_set(error, VIR_ERR_OPERATION_INVALID, "cpu affinity is not supported");
    }
    return TRUE;
}

GArray *placement_threads(const DomainDef *live, const VmLiveInfo *info, GError **error)
{
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(ThreadPlace));

    g_array_set_clear_func(places, place_clear);
    for (guint i = 0; i < info->n_vcpus && i < domain_def_vcpus_max(live); i++) {
        if (info->vcpus[i].online && info->vcpus[i].tid > 0) {
            ThreadPlace place = vcpu_place(live, i, info->vcpus[i].tid);

            g_array_append_val(places, place);
        }
    }
    if (places->len == 0 && !check_pins(live, error))
        return NULL;
    for (guint i = 0; i < live->iothreads->len; i++) {
        const IothreadDef *thread = g_ptr_array_index(live->iothreads, i);

        if (thread->thread_id > 0) {
            ThreadPlace place = iothread_place(live, thread);

            g_array_append_val(places, place);
        }
    }
    return g_steal_pointer(&places);
}

typedef struct Moving {
    Cgroup *cgroup;
    GArray *places;
} Moving;

static void moving_free(gpointer data)
{
    Moving *moving = data;

    cgroup_unref(moving->cgroup);
    g_array_unref(moving->places);
    g_free(moving);
}

static void work_move(Domain *dom, gpointer data)
{
    const Moving *moving = data;

    for (guint i = 0; i < moving->places->len; i++) {
        const ThreadPlace *place = &g_array_index(moving->places, ThreadPlace, i);
        g_autoptr(GError) error = NULL;

        /* It may have ended meanwhile, and all of the VM with it. */
        if (!cgroup_thread_attach(moving->cgroup, place->name, place->tid, &error))
            log_debug("domain '%s': thread %d is not in its control group '%s': %s", dom->uuid_text, (int)place->tid,
                      place->name, error->message);
    }
}

void placement_move_later(Domain *dom, Cgroup *cgroup, GArray *places)
{
    Moving *moving = g_new(Moving, 1);

    *moving = (Moving){cgroup_ref(cgroup), g_array_ref(places)};
    domain_defer(dom, work_move, moving, moving_free);
}

gboolean placement_divide(Domain *dom, const DomainDef *live, GError **error)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(dom);
    g_autoptr(GArray) places = NULL;
    pid_t pid;

    if (cgroup == NULL || cgroup_is_divided(cgroup))
        return TRUE;
    lock_acquire(&dom->lock);
    places = dom->info != NULL ? placement_threads(live, dom->info, error) : NULL;
    pid = dom->pid;
    lock_release(&dom->lock);
    if (places == NULL || pid <= 0) /* it has ended meanwhile: whoever asks will see that */
        return TRUE;
    /* All of it into the emulator's, then those that are not the emulator's. */
    if (!cgroup_thread_make(cgroup, CGROUP_EMULATOR, error) || !cgroup_attach(cgroup, pid, error))
        return FALSE;
    for (guint i = 0; i < places->len; i++) {
        if (!placement_set_thread(cgroup, &g_array_index(places, ThreadPlace, i), FALSE, error))
            return FALSE;
    }
    return TRUE;
}

/* --- threads that come and go --------------------------------------------------------------------------- */

static gboolean add_thread(Domain *dom, const DomainDef *live, ThreadPlace *place, GError **error)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(dom);
    gboolean done = place->tid <= 0 || ((!placement_has_limits(place) || placement_divide(dom, live, error)) &&
                                        placement_set_thread(cgroup, place, FALSE, error));

    g_free(place->mems);
    return done;
}

gboolean placement_add_vcpu(Domain *dom, const DomainDef *live, guint index, pid_t tid, GError **error)
{
    ThreadPlace place = vcpu_place(live, index, tid);

    return add_thread(dom, live, &place, error);
}

gboolean placement_add_iothread(Domain *dom, const DomainDef *live, const IothreadDef *thread, GError **error)
{
    ThreadPlace place = iothread_place(live, thread);

    return add_thread(dom, live, &place, error);
}

void placement_remove_thread(Domain *dom, const char *kind, guint id)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(dom);
    CgroupThread name;

    cgroup_thread_remove(cgroup, cgroup_thread(name, kind, id));
}
