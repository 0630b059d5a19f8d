/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virConnectGetAllDomainStats, virDomainListGetStats. Groups, names, order and types are those of libvirt's
 * QEMU driver (libvirt-domain.c describes them).
 *
 * Three rounds over the domains: ask all monitors, wait for them once (stats_cache.h), then write each
 * record. So it takes as long as the slowest one alone, and never longer than that one deadline.
 */
#include <libvirt/libvirt.h>
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/placement.h"
#include "driver/domain/stats_disk.h"
#include "driver/domain/stats_name.h"
#include "driver/domain/stats_proc.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

typedef struct VcpuFigures {
    guint number;
    guint64 time, wait, delay;
} VcpuFigures;

/* One domain of a call. */
typedef struct Subject {
    Domain *dom; /* reference */
    pid_t pid; /* 0: off */
    Cgroup *cgroup; /* NULL: it has none */
    PerfEvents *perf;
    ProcFigures process;
    CgroupTimes times; /* of its control group, or else of the process */
    GArray *threads; /* pid_t of each online vCPU, NULL: not known */
    GArray *vcpus; /* VcpuFigures */
} Subject;

/* What is common to a whole call. */
typedef struct Survey {
    guint groups; /* VIR_DOMAIN_STATS_* */
    gboolean backing;
    GHashTable *net; /* read when the first interface is met */
} Survey;

/* --- groups; the state lock is held --------------------------------------------------------------------- */

typedef struct Writing {
    Survey *survey;
    const Subject *subject;
    const Domain *dom;
    const DomainDef *def;
    gboolean active;
    const StatsView *view;
    TypedParams *params;
    DiskLookups *lookups;
} Writing;

static void add_ullong(Writing *w, const char *group, guint n, const char *rest, guint64 value)
{
    typed_params_append(w->params, stats_name(group, n, rest), VIR_TYPED_PARAM_ULLONG)->value.ul = value;
}

static void write_state(Writing *w)
{
    typed_params_add_int(w->params, "state.state", w->dom->state);
    typed_params_add_int(w->params, "state.reason", w->dom->reason);
}

/* How long KVM polled before a halted vCPU slept, all vCPUs together. */
static void write_halt_poll(Writing *w)
{
    const GArray *list = w->view->figures[FIGURES_KVM_VCPUS];
    guint64 success = 0, fail = 0;

    if (w->def->virt_type == VIRT_KVM && list == NULL)
        return;
    for (guint i = 0; i < figures_count(list); i++) {
        const KvmFigure *figure = figure_at(list, KvmFigure, i);

        if (strcmp(figure->name, "halt_poll_success_ns") == 0)
            success += figure->value;
        else if (strcmp(figure->name, "halt_poll_fail_ns") == 0)
            fail += figure->value;
    }
    typed_params_add_ullong(w->params, "cpu.haltpoll.success.time", success);
    typed_params_add_ullong(w->params, "cpu.haltpoll.fail.time", fail);
}

static void write_cpu(Writing *w)
{
    const CgroupTimes *times = &w->subject->times;

    typed_params_add_ullong(w->params, "cpu.time", times->total);
    typed_params_add_ullong(w->params, "cpu.user", times->user);
    typed_params_add_ullong(w->params, "cpu.system", times->system);
    if (!w->active)
        return;
    typed_params_add_uint(w->params, "cpu.cache.monitor.count", 0); /* no resctrl monitor is ever made */
    write_halt_poll(w);
}

static const char *balloon_name(int tag)
{
    static const char *const names[VIR_DOMAIN_MEMORY_STAT_NR] = {
        [VIR_DOMAIN_MEMORY_STAT_SWAP_IN] = "balloon.swap_in",
        [VIR_DOMAIN_MEMORY_STAT_SWAP_OUT] = "balloon.swap_out",
        [VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT] = "balloon.major_fault",
        [VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT] = "balloon.minor_fault",
        [VIR_DOMAIN_MEMORY_STAT_UNUSED] = "balloon.unused",
        [VIR_DOMAIN_MEMORY_STAT_AVAILABLE] = "balloon.available",
        [VIR_DOMAIN_MEMORY_STAT_USABLE] = "balloon.usable",
        [VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE] = "balloon.last-update",
        [VIR_DOMAIN_MEMORY_STAT_DISK_CACHES] = "balloon.disk_caches",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC] = "balloon.hugetlb_pgalloc",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL] = "balloon.hugetlb_pgfail",
    };

    return tag >= 0 && tag < (int)G_N_ELEMENTS(names) ? names[tag] : NULL;
}

static void write_balloon(Writing *w)
{
    const MemballoonDef *balloon = DOMAIN_DEF_SINGLE(MemballoonDef, w->def, DEVICE_MEMBALLOON);
    const GArray *memory = w->view->figures[FIGURES_GUEST_MEMORY];
    gboolean present = balloon != NULL && balloon->model != MEMBALLOON_NONE;

    typed_params_add_ullong(w->params, "balloon.current", present ? w->def->current_memory : w->def->memory);
    typed_params_add_ullong(w->params, "balloon.maximum", w->def->memory);
    if (!w->active)
        return;
    for (guint i = 0; i < figures_count(memory); i++) {
        const MemoryFigure *figure = figure_at(memory, MemoryFigure, i);

        if (balloon_name(figure->tag) != NULL)
            typed_params_add_ullong(w->params, balloon_name(figure->tag), figure->value);
    }
    typed_params_add_ullong(w->params, "balloon.rss", w->subject->process.rss_kib);
}

static const KvmSchema *schema_of(const GArray *schema, const char *name)
{
    for (guint i = 0; i < figures_count(schema); i++) {
        if (strcmp(figure_at(schema, KvmSchema, i)->name, name) == 0)
            return figure_at(schema, KvmSchema, i);
    }
    return NULL;
}

/* KVM's own counters: PREFIX.NAME.TYPE. */
static void write_kvm(Writing *w, const GArray *list, const char *object, const char *prefix)
{
    for (guint i = 0; i < figures_count(list); i++) {
        const KvmFigure *figure = figure_at(list, KvmFigure, i);
        const KvmSchema *schema;

        if (object != NULL && g_strcmp0(figure->object, object) != 0)
            continue;
        schema = schema_of(w->view->figures[FIGURES_KVM_SCHEMA], figure->name);
        if (schema == NULL || schema->boolean != figure->boolean)
            continue;
        if (figure->boolean)
            typed_params_addf_boolean(w->params, figure->value != 0, "%s.%s.%s", prefix, figure->name,
                                      schema->type);
        else
            typed_params_addf_ullong(w->params, figure->value, "%s.%s.%s", prefix, figure->name,
                                     schema->type);
    }
}

static void write_vcpus(Writing *w)
{
    const GArray *vcpus = w->subject->vcpus;
    const VmLiveInfo *info = w->dom->info;

    typed_params_add_uint(w->params, "vcpu.current", domain_def_vcpus(w->def));
    typed_params_add_uint(w->params, "vcpu.maximum", domain_def_vcpus_max(w->def));
    for (guint i = 0; vcpus != NULL && i < vcpus->len; i++) {
        const VcpuFigures *vcpu = &g_array_index(vcpus, VcpuFigures, i);
        g_autofree char *prefix = NULL;

        typed_params_append(w->params, stats_name("vcpu.", vcpu->number, ".state"), VIR_TYPED_PARAM_INT)
            ->value.i = VIR_VCPU_RUNNING;
        add_ullong(w, "vcpu.", vcpu->number, ".time", vcpu->time);
        add_ullong(w, "vcpu.", vcpu->number, ".wait", vcpu->wait);
        add_ullong(w, "vcpu.", vcpu->number, ".delay", vcpu->delay);
        if (w->view->figures[FIGURES_KVM_VCPUS] == NULL || info == NULL || vcpu->number >= info->n_vcpus ||
            info->vcpus[vcpu->number].qom_path == NULL)
            continue;
        prefix = stats_name("vcpu.", vcpu->number, "");
        write_kvm(w, w->view->figures[FIGURES_KVM_VCPUS], info->vcpus[vcpu->number].qom_path, prefix);
    }
}

static void write_interface(Writing *w, const InterfaceDef *net, guint n)
{
    const NetFigures *found;
    NetFigures figures;
    WireTypedParam *param;

    if (net->target == NULL)
        return;
    param = typed_params_append(w->params, stats_name("net.", n, ".name"), VIR_TYPED_PARAM_STRING);
    param->value.s = g_strdup(net->target);
    if (w->survey->net == NULL)
        w->survey->net = net_figures_read();
    found = g_hash_table_lookup(w->survey->net, net->target);
    if (found == NULL)
        return;
    figures = *found;
    if (interface_actual_type(net) != INTERFACE_DIRECT)
        net_figures_swap(&figures);

    const struct {
        const char *name;
        gint64 value;
    } fields[] = {{".rx.bytes", figures.rx_bytes}, {".rx.pkts", figures.rx_packets},
                  {".rx.errs", figures.rx_errs},   {".rx.drop", figures.rx_drop},
                  {".tx.bytes", figures.tx_bytes}, {".tx.pkts", figures.tx_packets},
                  {".tx.errs", figures.tx_errs},   {".tx.drop", figures.tx_drop}};
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].value >= 0)
            add_ullong(w, "net.", n, fields[i].name, (guint64)fields[i].value);
    }
}

static void write_interfaces(Writing *w)
{
    if (!w->active)
        return;
    typed_params_add_uint(w->params, "net.count", domain_def_n(w->def, DEVICE_INTERFACE));
    DOMAIN_DEF_FOREACH(InterfaceDef, net, w->def, DEVICE_INTERFACE)
    {
        write_interface(w, net, net_i);
    }
}

static void write_block(Writing *w)
{
    disk_stats_add(w->params, w->def, w->active, w->survey->backing, w->view, w->lookups);
}

static void write_iothreads(Writing *w)
{
    const GArray *threads = w->view->figures[FIGURES_IOTHREADS];

    if (!w->active || w->def->iothreads->len == 0 || figures_count(threads) == 0)
        return;
    typed_params_add_uint(w->params, "iothread.count", w->def->iothreads->len);
    for (guint i = 0; i < threads->len; i++) {
        const IothreadFigure *thread = figure_at(threads, IothreadFigure, i);

        if (!thread->poll_known || domain_def_iothread(w->def, thread->id) == NULL)
            continue;
        add_ullong(w, "iothread.", thread->id, ".poll-max-ns", thread->poll_max_ns);
        typed_params_addf_uint(w->params, thread->poll_grow, "iothread.%u.poll-grow", thread->id);
        typed_params_addf_uint(w->params, thread->poll_shrink, "iothread.%u.poll-shrink", thread->id);
    }
}

static void write_dirty_rate(Writing *w)
{
    const GArray *rates = w->view->figures[FIGURES_DIRTY_RATE];
    const DirtyRateFigure *whole;

    if (!w->active || figures_count(rates) == 0)
        return;
    whole = figure_at(rates, DirtyRateFigure, 0);
    typed_params_add_int(w->params, "dirtyrate.calc_status", whole->status);
    typed_params_add_llong(w->params, "dirtyrate.calc_start_time", whole->start_time);
    typed_params_add_int(w->params, "dirtyrate.calc_period", whole->period);
    typed_params_add_string(w->params, "dirtyrate.calc_mode", whole->mode);
    if (whole->status != VIR_DOMAIN_DIRTYRATE_MEASURED)
        return;
    typed_params_add_llong(w->params, "dirtyrate.megabytes_per_second", whole->rate);
    for (guint i = 1; i < rates->len && strcmp(whole->mode, "dirty-ring") == 0; i++) {
        const DirtyRateFigure *vcpu = figure_at(rates, DirtyRateFigure, i);

        add_ullong(w, "dirtyrate.vcpu.", (guint)vcpu->vcpu, ".megabytes_per_second", (guint64)vcpu->rate);
    }
}

static void write_vm(Writing *w)
{
    if (w->active)
        write_kvm(w, w->view->figures[FIGURES_KVM_VM], NULL, "vm");
}

static void write_perf(Writing *w)
{
    for (int i = 0; w->active && i < PERF_LAST; i++) {
        guint64 value;

        if (perf_events_read(w->subject->perf, i, &value))
            typed_params_addf_ullong(w->params, value, "perf.%s", perf_event_to_string(i));
    }
}

/* Resource control's monitors need kernel facilities that Kite gives no VM: no figures, as with libvirt when none is
 * switched on. */
static void write_nothing(Writing *w)
{
}

static const struct {
    guint group;
    void (*write)(Writing *w);
    guint figures; /* that it needs of the monitor */
} groups[] = {
    {VIR_DOMAIN_STATS_STATE, write_state, 0},
    {VIR_DOMAIN_STATS_CPU_TOTAL, write_cpu, FIGURES_BIT(FIGURES_KVM_VCPUS)},
    {VIR_DOMAIN_STATS_BALLOON, write_balloon, FIGURES_BIT(FIGURES_GUEST_MEMORY)},
    {VIR_DOMAIN_STATS_VCPU, write_vcpus, FIGURES_BIT(FIGURES_KVM_SCHEMA) | FIGURES_BIT(FIGURES_KVM_VCPUS)},
    {VIR_DOMAIN_STATS_INTERFACE, write_interfaces, 0},
    {VIR_DOMAIN_STATS_BLOCK, write_block, FIGURES_BIT(FIGURES_DRIVES) | FIGURES_BIT(FIGURES_IMAGES)},
    {VIR_DOMAIN_STATS_PERF, write_perf, 0},
    {VIR_DOMAIN_STATS_IOTHREAD, write_iothreads, FIGURES_BIT(FIGURES_IOTHREADS)},
    {VIR_DOMAIN_STATS_MEMORY, write_nothing, 0},
    {VIR_DOMAIN_STATS_DIRTYRATE, write_dirty_rate, FIGURES_BIT(FIGURES_DIRTY_RATE)},
    {VIR_DOMAIN_STATS_VM, write_vm, FIGURES_BIT(FIGURES_KVM_SCHEMA) | FIGURES_BIT(FIGURES_KVM_VM)},
};

static gboolean check_groups(guint *stats, gboolean enforce, GError **error)
{
    guint known = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++)
        known |= groups[i].group;
    if (enforce && (*stats & ~known))
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                         "Stats types bits 0x%x are not supported by this daemon or QEMU", *stats & ~known);
    *stats = *stats == 0 ? known : *stats & known;
    return TRUE;
}

static guint figures_for(guint stats)
{
    guint wanted = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (stats & groups[i].group)
            wanted |= groups[i].figures;
    }
    return wanted;
}

/* --- the three rounds ----------------------------------------------------------------------------------- */

static void clear_subject(gpointer data)
{
    Subject *subject = data;

    domain_unref(subject->dom);
    cgroup_unref(subject->cgroup);
    perf_events_unref(subject->perf);
    g_clear_pointer(&subject->threads, g_array_unref);
    g_clear_pointer(&subject->vcpus, g_array_unref);
}

/* Host threads of the online vCPUs in their order; NULL when the VM has no thread for each. State lock held.
 */
static GArray *vcpu_threads(const Domain *dom)
{
    const VmLiveInfo *info = dom->info;
    GArray *threads = NULL;

    for (guint i = 0; info != NULL && i < info->n_vcpus; i++) {
        if (info->vcpus[i].online && info->vcpus[i].tid > 0 && threads == NULL)
            threads = g_array_new(FALSE, TRUE, sizeof(pid_t));
    }
    if (threads == NULL)
        return NULL;
    g_array_set_size(threads, info->n_vcpus);
    for (guint i = 0; i < info->n_vcpus; i++)
        g_array_index(threads, pid_t, i) = info->vcpus[i].online ? info->vcpus[i].tid : 0;
    return threads;
}

/* Asks for its figures; FALSE when it is none of those the call is about. */
static gboolean begin(Subject *subject, guint stats, guint filter, StatsRefresh *refresh)
{
    Domain *dom = subject->dom;
    LOCK_SCOPE(&dom->lock);

    if (!dom->listed || dom->removed || !domain_list_match(dom, filter))
        return FALSE;
    if (!domain_active(dom))
        return TRUE;
    subject->pid = dom->pid;
    subject->cgroup = cgroup_ref(dom->cgroup);
    subject->perf = perf_events_ref(dom->perf);
    if (stats & VIR_DOMAIN_STATS_VCPU)
        subject->threads = vcpu_threads(dom);
    stats_refresh_ask(refresh, dom, figures_for(stats));
    return TRUE;
}

/* What the kernel knows. No lock is held. */
static void look_at_process(Subject *subject, guint stats)
{
    if (subject->pid == 0)
        return;
    if (stats & (VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON))
        proc_figures(subject->pid, 0, &subject->process);
    if ((stats & VIR_DOMAIN_STATS_CPU_TOTAL) && !(cgroup_has(subject->cgroup, CGROUP_CPUACCT) &&
                                                  cgroup_cpu_times(subject->cgroup, &subject->times, NULL)))
        subject->times = (CgroupTimes){.total = subject->process.user + subject->process.system,
                                       .user = subject->process.user,
                                       .system = subject->process.system};
    if (subject->threads == NULL)
        return;
    subject->vcpus = g_array_new(FALSE, FALSE, sizeof(VcpuFigures));
    for (guint i = 0; i < subject->threads->len; i++) {
        pid_t tid = g_array_index(subject->threads, pid_t, i);
        ProcFigures thread;
        VcpuFigures figures = {.number = i};

        if (tid == 0)
            continue;
        proc_figures(subject->pid, tid, &thread);
        figures.time = thread.user + thread.system;
        figures.wait = proc_wait(subject->pid, tid);
        figures.delay = proc_delay(subject->pid, tid);
        g_array_append_val(subject->vcpus, figures);
    }
}

/* FALSE: the domain has ceased to be meanwhile. */
static gboolean write_record(Survey *survey, const Subject *subject, WireDomainStatsRecord *record,
                             TypedParams *params, DiskLookups *lookups)
{
    Domain *dom = subject->dom;
    g_auto(StatsView) view = {0};
    Writing writing = {.survey = survey,
                       .subject = subject,
                       .dom = dom,
                       .view = &view,
                       .params = params,
                       .lookups = lookups};

    lock_acquire(&dom->lock);
    stats_view_take(dom, &view);
    writing.def = domain_def(dom);
    if (writing.def == NULL) {
        lock_release(&dom->lock);
        return FALSE;
    }
    writing.active = domain_active(dom) && dom->live != NULL;
    memcpy(record->dom.uuid, dom->uuid, sizeof(record->dom.uuid));
    record->dom.name = g_strdup(dom->name);
    record->dom.id = dom->id;
    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (survey->groups & groups[i].group)
            groups[i].write(&writing);
    }
    lock_release(&dom->lock);
    return TRUE;
}

/* Fills ret; what must be looked up in files comes last and at once. */
static void write_records(Survey *survey, GArray *list, guint n, ConnectGetAllDomainStatsRet *ret)
{
    g_autofree TypedParams *params = g_new0(TypedParams, MAX(n, 1));
    g_auto(DiskLookups) lookups = {0};
    guint written = 0;

    ret->retStats = g_new0(WireDomainStatsRecord, MAX(n, 1));
    for (guint i = 0; i < n; i++) {
        Subject *subject = &g_array_index(list, Subject, i);

        if (params[written].list == NULL)
            typed_params_init(&params[written]);
        lookups.owner = written;
        look_at_process(subject, survey->groups);
        if (write_record(survey, subject, &ret->retStats[written], &params[written], &lookups))
            written++;
    }
    if (written < n)
        typed_params_clear(&params[written]);
    disk_stats_finish(params, &lookups);
    for (guint i = 0; i < written; i++) {
        ret->retStats[i].params = typed_params_steal(&params[i], &ret->retStats[i].params_len);
        typed_params_clear(&params[i]);
    }
    ret->retStats_len = written;
}

/* Those the call names (in its order, those gone left out), or all. */
static GArray *subjects(Driver *driver, const ConnectGetAllDomainStatsArgs *args)
{
    GArray *list = g_array_new(FALSE, TRUE, sizeof(Subject));
    g_autoptr(GPtrArray) all = args->doms_len == 0 ? domain_list_all(driver->domains) : NULL;

    g_array_set_clear_func(list, clear_subject);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        Subject subject = {.dom = domain_ref(g_ptr_array_index(all, i))};

        g_array_append_val(list, subject);
    }
    for (guint i = 0; i < args->doms_len; i++) {
        Subject subject = {.dom = domain_list_find_uuid(driver->domains, args->doms[i].uuid)};

        if (subject.dom != NULL)
            g_array_append_val(list, subject);
    }
    return list;
}

gboolean call_connect_get_all_domain_stats(Call *call, const ConnectGetAllDomainStatsArgs *args,
                                           ConnectGetAllDomainStatsRet *ret, GError **error)
{
    const guint filters =
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE |
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT | VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT |
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED |
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF | VIR_CONNECT_GET_ALL_DOMAINS_STATS_OTHER;
    const guint known = filters | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT |
                        VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING |
                        (guint)VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS;
    Survey survey = {.groups = args->stats,
                     .backing = (args->flags & VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING) != 0};
    g_autoptr(StatsRefresh) refresh = stats_refresh_new();
    g_autoptr(GArray) list = NULL;
    guint n = 0;

    if (!call_check_flags(call, args->flags, known, error) ||
        !check_groups(&survey.groups,
                      (args->flags & (guint)VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS) != 0, error))
        return FALSE;
    list = subjects(call_driver(call), args);
    for (guint i = 0; i < list->len; i++) {
        Subject *subject = &g_array_index(list, Subject, i);

        if (begin(subject, survey.groups, args->flags & filters, refresh)) {
            if (n != i) {
                Subject skipped = g_array_index(list, Subject, n);

                g_array_index(list, Subject, n) = *subject;
                *subject = skipped;
            }
            n++;
        }
    }
    stats_refresh_wait(refresh);
    write_records(&survey, list, n, ret);
    g_clear_pointer(&survey.net, g_hash_table_unref);
    return TRUE;
}
