/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainScreenshot: what a screen of the guest shows, as a picture in a stream. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_video.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/stream.h"

/* The video device and its head that a screen number means. Screen 0 is QEMU's first one: no device is named.
 * *ret_alias: caller frees. */
static gboolean find_screen(Domain *dom, guint screen, char **ret_alias, guint *ret_head, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    *ret_alias = NULL;
    *ret_head = 0;
    if (!domain_require_active(dom, error))
        return FALSE;
    if (domain_def_n(dom->live, DEVICE_VIDEO) == 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "no screens to take screenshot from");
    if (screen == 0)
        return TRUE;
    DOMAIN_DEF_FOREACH(VideoDef, video, dom->live, DEVICE_VIDEO)
    {
        guint heads = MAX(video->heads, 1);

        if (screen < heads) {
            *ret_alias = g_strdup(video->info.alias);
            *ret_head = screen;
            return TRUE;
        }
        screen -= heads;
    }
    return error_set(error, VIR_ERR_OPERATION_INVALID, "no such screen ID");
}

static GBytes *read_all(int fd, GError **error)
{
    struct stat st;
    g_autofree char *data = NULL;
    gsize have = 0;

    if (fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "cannot look at the picture of the screen");
        return NULL;
    }
    data = g_malloc((gsize)st.st_size + 1);
    while (have < (gsize)st.st_size) {
        ssize_t n = pread(fd, data + have, (gsize)st.st_size - have, (off_t)have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set_errno(error, n < 0 ? errno : EIO, "cannot read the picture of the screen");
            return NULL;
        }
        have += (gsize)n;
    }
    return g_bytes_new_take(g_steal_pointer(&data), have);
}

/* QEMU writes into memory of ours, through a descriptor that it can only write to (as it will open it). */
static GBytes *take(QmpClient *qmp, const char *alias, guint head, const char *format, GError **error)
{
    autofd memory = memfd_create("screenshot", MFD_CLOEXEC);
    autofd writer = -1;
    char path[40];

    if (memory < 0) {
        error_set_errno(error, errno, "no memory for a picture of the screen");
        return NULL;
    }
    g_snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    writer = open(path, O_WRONLY | O_CLOEXEC);
    if (writer < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    return vm_screendump(qmp, alias, head, format, NULL, writer, error) ? read_all(memory, error) : NULL;
}

gboolean call_domain_screenshot(Call *call, const DomainScreenshotArgs *args, DomainScreenshotRet *ret,
                                GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    g_autoptr(GBytes) picture = NULL;
    g_autoptr(GError) no_png = NULL;
    g_autofree char *alias = NULL;
    gboolean png = TRUE;
    guint head;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, 0, error);
    if (dom == NULL || !domain_job_begin_active(dom, "virDomainScreenshot", error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;

    if (!find_screen(dom, args->screen, &alias, &head, error))
        return FALSE;
    vm = domain_vm(dom, NULL, error);
    if (vm == NULL)
        return FALSE;
    /* PNG needs QEMU 7.1 with libpng, and every other failure is repeated by the second try. */
    picture = take(vm_process_qmp(vm), alias, head, "png", &no_png);
    if (picture == NULL && error_is(no_png, VIR_ERR_INTERNAL_ERROR)) {
        png = FALSE;
        picture = take(vm_process_qmp(vm), alias, head, "ppm", error);
    } else if (picture == NULL) {
        g_propagate_error(error, g_steal_pointer(&no_png));
    }
    if (picture == NULL || !stream_attach_bytes(call, picture, error))
        return FALSE;
    ret->mime = g_strdup(png ? "image/png" : "image/x-portable-pixmap");
    return TRUE;
}
