/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See perf_events.h. */
#include "driver/host/perf_events.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

#define RDT_TYPE "/sys/devices/intel_cqm/type"
#define RDT_SCALE "/sys/devices/intel_cqm/events/llc_occupancy.scale"

struct PerfEvents {
    gatomicrefcount refs;
    GMutex lock;
    int fds[PERF_LAST]; /* -1: does not count */
    guint64 scale; /* of cmt: bytes a unit */
};

/* By PerfEvent. The first three are of a type that the kernel gives at run time, if it knows of them at all. */
static const struct {
    guint32 type;
    guint64 config;
} events[PERF_LAST] = {
    {G_MAXUINT32, 1}, /* cmt */
    {G_MAXUINT32, 2}, /* mbmt */
    {G_MAXUINT32, 3}, /* mbml */
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS},
};

PerfEvents *perf_events_new(void)
{
    PerfEvents *perf = g_new0(PerfEvents, 1);

    g_atomic_ref_count_init(&perf->refs);
    g_mutex_init(&perf->lock);
    for (int i = 0; i < PERF_LAST; i++)
        perf->fds[i] = -1;
    return perf;
}

PerfEvents *perf_events_ref(PerfEvents *perf)
{
    if (perf != NULL)
        g_atomic_ref_count_inc(&perf->refs);
    return perf;
}

void perf_events_unref(PerfEvents *perf)
{
    if (perf == NULL || !g_atomic_ref_count_dec(&perf->refs))
        return;
    for (int i = 0; i < PERF_LAST; i++)
        fd_clear(&perf->fds[i]);
    g_mutex_clear(&perf->lock);
    g_free(perf);
}

static gboolean read_number(const char *path, guint64 *ret)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, G_MAXUINT32, ret, NULL);
}

/* NULL with nothing changed when the hardware's monitoring is not there. */
static gboolean rdt_type(PerfEvents *perf, PerfEvent event, guint32 *ret_type, GError **error)
{
    guint64 type = 0;

    if (!read_number(RDT_TYPE, &type) || type == 0 || (event == PERF_CMT && !read_number(RDT_SCALE, &perf->scale)))
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "unable to enable host cpu perf event for %s",
                         perf_event_to_string(event));
    *ret_type = (guint32)type;
    return TRUE;
}

gboolean perf_events_enable(PerfEvents *perf, PerfEvent event, pid_t pid, GError **error)
{
    struct perf_event_attr attr = {
        .type = events[event].type, .config = events[event].config, .size = sizeof(attr), .inherit = 1, .disabled = 1};
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&perf->lock);
    autofd fd = -1;

    if (perf->fds[event] >= 0)
        return TRUE;
    if (attr.type == G_MAXUINT32 && !rdt_type(perf, event, &attr.type, error))
        return FALSE;
    fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "unable to open host cpu perf event for %s", perf_event_to_string(event));
    if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
        return error_set_errno(error, errno, "unable to enable host cpu perf event for %s",
                               perf_event_to_string(event));
    perf->fds[event] = fd_steal(&fd);
    return TRUE;
}

gboolean perf_events_disable(PerfEvents *perf, PerfEvent event, GError **error)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&perf->lock);

    if (perf->fds[event] >= 0 && ioctl(perf->fds[event], PERF_EVENT_IOC_DISABLE, 0) < 0)
        return error_set_errno(error, errno, "unable to disable host cpu perf event for %s",
                               perf_event_to_string(event));
    fd_clear(&perf->fds[event]);
    return TRUE;
}

gboolean perf_events_enabled(PerfEvents *perf, PerfEvent event)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = perf != NULL ? g_mutex_locker_new(&perf->lock) : NULL;

    return perf != NULL && perf->fds[event] >= 0;
}

gboolean perf_events_read(PerfEvents *perf, PerfEvent event, guint64 *ret)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = perf != NULL ? g_mutex_locker_new(&perf->lock) : NULL;

    if (perf == NULL || perf->fds[event] < 0 || read(perf->fds[event], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
        return FALSE;
    if (event == PERF_CMT)
        *ret *= perf->scale;
    return TRUE;
}
