/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers about memory as the guest and its host see it: virDomainMemoryStats, SetMemoryStatsPeriod,
 * MemoryPeek.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/backend/vm_process.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/stats_cache.h"
#include "driver/domain/stats_proc.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

enum { MEMORY_STATS_MAX = 1024, PEEK_MAX = 4194304 }; /* of the wire */

/* NULL: the domain has none. */
static MemballoonDef *balloon_of(const DomainDef *def)
{
    MemballoonDef *balloon = DOMAIN_DEF_SINGLE(MemballoonDef, def, DEVICE_MEMBALLOON);

    return balloon != NULL && balloon->model != MEMBALLOON_NONE ? balloon : NULL;
}

/* --- statistics ----------------------------------------------------------------------------------------- */

static void put(DomainMemoryStatsRet *ret, guint max, int tag, guint64 value)
{
    if (ret->stats_len >= max)
        return;
    ret->stats[ret->stats_len].tag = tag;
    ret->stats[ret->stats_len].val = value;
    ret->stats_len++;
}

gboolean call_domain_memory_stats(Call *call, const DomainMemoryStatsArgs *args, DomainMemoryStatsRet *ret,
                                  GError **error)
{
    const guint wanted = FIGURES_BIT(FIGURES_BALLOON) | FIGURES_BIT(FIGURES_GUEST_MEMORY);
    g_autoptr(Domain) dom = NULL;
    g_auto(StatsView) view = {0};
    const GArray *balloon, *memory;
    ProcFigures process;
    gboolean active;
    pid_t pid = 0;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->maxStats > MEMORY_STATS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "maxStats > REMOTE_DOMAIN_MEMORY_STATS_MAX");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    ret->stats = g_new0(WireDomainMemoryStat, args->maxStats);
    active = stats_fresh_view(dom, wanted, &view, error);
    balloon = view.figures[FIGURES_BALLOON];
    memory = view.figures[FIGURES_GUEST_MEMORY];
    if (active && dom->live != NULL && balloon_of(dom->live) != NULL) {
        /* BALLOON_CHANGE keeps the definition's value right while the monitor says nothing. */
        put(ret, args->maxStats, VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON,
            figures_count(balloon) > 0 ? figure_at(balloon, BalloonFigure, 0)->kib
                                       : dom->live->current_memory);
    }
    if (active)
        pid = dom->pid;
    lock_release(&dom->lock);
    for (guint i = 0; active && i < figures_count(memory); i++)
        put(ret, args->maxStats, figure_at(memory, MemoryFigure, i)->tag,
            figure_at(memory, MemoryFigure, i)->value);
    if (active && proc_figures(pid, 0, &process))
        put(ret, args->maxStats, VIR_DOMAIN_MEMORY_STAT_RSS, process.rss_kib);
    return active;
}

/* --- period --------------------------------------------------------------------------------------------- */

static gboolean set_period(DomainDef *def, guint period, GError **error)
{
    MemballoonDef *balloon = balloon_of(def);

    if (balloon == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "No memory balloon device configured, can not set the collection period");
    balloon->period = period;
    return TRUE;
}

static gboolean set_period_live(Domain *dom, DomainDef *live, guint period, GError **error)
{
    g_autoptr(VmProcess) vm = domain_vm(dom, NULL, error);
    g_autofree char *path = NULL;
    gboolean good;

    if (vm == NULL)
        return FALSE;
    if (balloon_of(live) == NULL)
        return set_period(live, period, error);
    path = vm_balloon_path(balloon_of(live)->info.alias);
    if (!vm_balloon_set_period(vm_process_qmp(vm), path, period, NULL))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "unable to set balloon driver collection period");
    lock_acquire(&dom->lock);
    good = dom->live == live ? set_period(live, period, error)
                             : error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
    lock_release(&dom->lock);
    domain_save_status(dom);
    return good;
}

gboolean call_domain_set_memory_stats_period(Call *call, const DomainSetMemoryStatsPeriodArgs *args,
                                             DomainSetMemoryStatsPeriodRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(DomainDef) altered = NULL;
    DomainDef *live, *config;

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, error))
        return FALSE;
    if (args->period < 0)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "period in virDomainSetMemoryStatsPeriod must be zero or greater");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin(dom, "virDomainSetMemoryStatsPeriod", error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;
    if (!domain_defs_for(dom, args->flags, &live, &config, error))
        return FALSE;
    if (live != NULL && !set_period_live(dom, live, (guint)args->period, error))
        return FALSE;
    if (config == NULL)
        return TRUE;
    altered = domain_def_copy_inactive(config, domain_list_env(dom->list), error);
    return altered != NULL && set_period(altered, (guint)args->period, error) &&
           domain_replace_config(dom, g_steal_pointer(&altered), error);
}

/* --- peeking -------------------------------------------------------------------------------------------- */

/* QEMU writes into a file that it opens itself, so it must be its user's. */
static int peek_file(Driver *driver, VmProcess *vm, char **ret_path, GError **error)
{
    const BackendConfig *config = driver->backend_config;
    g_autofree char *path = g_strdup_printf("%s/peek-%08x", vm_process_run_dir(vm), g_random_int());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot make file '%s' for the guest's memory", path);
        return -1;
    }
    if (config->privileged && config->user != (uid_t)-1 && fchown(fd, config->user, config->group) < 0) {
        error_set_errno(error, errno, "cannot give file '%s' to the VM's user", path);
        unlink(path);
        close(fd);
        return -1;
    }
    *ret_path = g_steal_pointer(&path);
    return fd;
}

/* This one asks the guest's memory itself, so it waits for its VM, as it must, but takes no lock meanwhile.
 */
gboolean call_domain_memory_peek(Call *call, const DomainMemoryPeekArgs *args, DomainMemoryPeekRet *ret,
                                 GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    g_autofree char *path = NULL;
    g_autofree guint8 *buffer = NULL;
    gboolean is_virtual = args->flags == VIR_MEMORY_VIRTUAL, good;
    ssize_t n;
    int fd;

    if (!call_check_flags(call, args->flags, VIR_MEMORY_VIRTUAL | VIR_MEMORY_PHYSICAL, error))
        return FALSE;
    if (!is_virtual && args->flags != VIR_MEMORY_PHYSICAL)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL");
    if (args->size > PEEK_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "size > maximum buffer size");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || (vm = domain_vm(dom, NULL, error)) == NULL)
        return FALSE;
    if (args->size == 0)
        return TRUE;
    fd = peek_file(call_driver(call), vm, &path, error);
    if (fd < 0)
        return FALSE;
    good = qmp_call(vm_process_qmp(vm), is_virtual ? "memsave" : "pmemsave",
                    json_pack("{s:I, s:I, s:s}", "val", (json_int_t)args->offset, "size",
                              (json_int_t)args->size, "filename", path),
                    0, NULL, error);
    unlink(path);
    buffer = g_malloc(args->size);
    n = good ? pread(fd, buffer, args->size, 0) : 0;
    close(fd);
    if (!good)
        return FALSE;
    if (n != (ssize_t)args->size)
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "failed to read temporary file '%s': it holds %zd of %u bytes of memory", path, n,
                         args->size);
    ret->buffer = g_steal_pointer(&buffer);
    ret->buffer_len = args->size;
    return TRUE;
}
