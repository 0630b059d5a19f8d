/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainCoreDump: the guest's memory as a core file, that tools such as crash and gdb read. QEMU writes into a
 * descriptor that we have opened, so the file may be where QEMU's own user may not write. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "driver/backend/monitor.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/rpc/call.h"

static const char *const formats[] = {
    [VIR_DOMAIN_CORE_DUMP_FORMAT_RAW] = "elf",
    [VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_ZLIB] = "kdump-zlib",
    [VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_LZO] = "kdump-lzo",
    [VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_SNAPPY] = "kdump-snappy",
    [VIR_DOMAIN_CORE_DUMP_FORMAT_WIN_DMP] = "win-dmp",
};

static gboolean write_core(VmProcess *vm, const char *path, const char *format, GError **error)
{
    struct stat st;
    gboolean existed = lstat(path, &st) == 0, done;
    autofd fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return error_set_errno(error, errno, "failed to create '%s'", path);
    done = vm_dump_memory(vm_process_qmp(vm), fd, format, FALSE, 0, error);
    if (done && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fsync(fd) < 0)
        done = error_set_errno(error, errno, "unable to write file '%s'", path);
    if (!done && !existed)
        unlink(path);
    return done;
}

static gboolean dump_job(Domain *dom, const char *path, const char *format, guint flags, GError **error)
{
    guint64 run;
    g_autoptr(VmProcess) vm = domain_vm(dom, &run, error);
    gboolean running, done;
    g_autoptr(GError) cause = NULL;

    if (vm == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    running = dom->state == VIR_DOMAIN_RUNNING;
    lock_release(&dom->lock);
    /* A guest that goes on would be half of now and half of later. */
    if (running && !(flags & VIR_DUMP_LIVE) && !domain_pause_guest(dom, vm, VIR_DOMAIN_PAUSED_DUMP, error))
        return FALSE;
    done = write_core(vm, path, format, error) && domain_still_running(dom, run, error);
    if (done && (flags & VIR_DUMP_CRASH))
        return TRUE;
    if (done && (flags & VIR_DUMP_RESET) && !vm_system_reset(vm_process_qmp(vm), error))
        done = FALSE;
    if (running && !(flags & VIR_DUMP_LIVE) && domain_still_running(dom, run, NULL) &&
        !domain_resume_guest(dom, vm, VIR_DOMAIN_RUNNING_UNPAUSED, &cause) && done) {
        g_propagate_error(error, g_steal_pointer(&cause));
        done = FALSE;
    }
    domain_save_status(dom);
    return done;
}

static gboolean core_dump(Call *call, const WireDomain *wire, const char *path, guint format, guint flags,
                          GError **error)
{
    const guint known =
        VIR_DUMP_LIVE | VIR_DUMP_CRASH | VIR_DUMP_BYPASS_CACHE | VIR_DUMP_RESET | VIR_DUMP_MEMORY_ONLY;
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    if (!call_check_flags(call, flags, known, error))
        return FALSE;
    if ((flags & VIR_DUMP_CRASH) && (flags & (VIR_DUMP_LIVE | VIR_DUMP_RESET)))
        return error_set(error, VIR_ERR_INVALID_ARG, "crash and %s flags are mutually exclusive",
                         flags & VIR_DUMP_LIVE ? "live" : "reset");
    if ((flags & VIR_DUMP_LIVE) && (flags & VIR_DUMP_RESET))
        return error_set(error, VIR_ERR_INVALID_ARG, "live and reset flags are mutually exclusive");
    if (format >= G_N_ELEMENTS(formats))
        return error_set(error, VIR_ERR_INVALID_ARG, "dumpformat '%u' in virDomainCoreDumpWithFormat is unknown",
                         format);
    if (format != VIR_DOMAIN_CORE_DUMP_FORMAT_RAW && !(flags & VIR_DUMP_MEMORY_ONLY))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "kdump-compressed format is only supported with memory-only dump");
    if (path[0] != '/')
        return error_set(error, VIR_ERR_INVALID_ARG, "the path of a core file must be absolute: '%s'", path);
    dom = domain_from_wire(call, wire, error);
    if (dom == NULL || !domain_job_begin_active(dom, call_api(call), error))
        return FALSE;
    done = dump_job(dom, path, formats[format], flags, error);
    domain_job_end(dom);
    if (done && (flags & VIR_DUMP_CRASH))
        return domain_destroy(dom, VIR_DOMAIN_SHUTOFF_CRASHED, FALSE, error);
    return done;
}

gboolean call_domain_core_dump(Call *call, const DomainCoreDumpArgs *args, DomainCoreDumpRet *ret, GError **error)
{
    return core_dump(call, &args->dom, args->to, VIR_DOMAIN_CORE_DUMP_FORMAT_RAW, args->flags, error);
}

gboolean call_domain_core_dump_with_format(Call *call, const DomainCoreDumpWithFormatArgs *args,
                                           DomainCoreDumpWithFormatRet *ret, GError **error)
{
    return core_dump(call, &args->dom, args->to, args->dumpformat, args->flags, error);
}
