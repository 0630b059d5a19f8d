/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a guest that has crashed, for those who want to know why: <on_crash>coredump-...</on_crash>.
 */
#define LOG_SOURCE "domain.run"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>

#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/monitor.h"
#include "driver/backend/vm_process.h"
#include "driver/domain/domain_run.h"
#include "driver/driver.h"

enum { DUMP_TIMEOUT_MS = 3600 * 1000 };

static char *dump_path(Domain *dom, GError **error)
{
    g_autofree char *folder = g_build_filename(dom->driver->paths->data_dir, "dump", NULL);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *when = g_date_time_format(now, "%Y-%m-%d-%H:%M:%S");
    LOCK_SCOPE(&dom->lock);

    if (g_mkdir_with_parents(folder, 0700) < 0) {
        error_set_errno(error, errno, "cannot create '%s'", folder);
        return NULL;
    }
    return g_strdup_printf("%s/%d-%s-%s", folder, dom->id, dom->uuid_text, when);
}

static gboolean dump(Domain *dom, VmProcess *vm, GError **error)
{
    g_autofree char *path = dump_path(dom, error);
    autofd fd = -1;

    if (path == NULL)
        return FALSE;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "cannot create '%s'", path);
    if (!vm_dump_memory(vm_process_qmp(vm), fd, "elf", FALSE, DUMP_TIMEOUT_MS, error)) {
        g_unlink(path);
        return FALSE;
    }
    log_info("the memory of domain '%s' is in '%s'", dom->name, path);
    return TRUE;
}

void domain_auto_dump(Domain *dom, VmProcess *vm)
{
    g_autoptr(GError) error = NULL;

    if (!domain_job_begin_active(dom, "core dump", &error)) {
        log_warning("no core dump of domain '%s': %s", dom->name, error->message);
        return;
    }
    if (!dump(dom, vm, &error))
        log_error("no core dump of domain '%s': %s", dom->name, error->message);
    domain_job_end(dom);
}
