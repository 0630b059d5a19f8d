/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainOpenGraphics and virDomainOpenGraphicsFD: a client's own connection to the guest's display. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"

/* QMP's name of the display server with that index; NULL with *error. */
static const char *find_protocol(Domain *dom, guint index, GError **error)
{
    LOCK_SCOPE(&dom->lock);
    const GraphicsDef *graphics;

    if (!domain_require_active(dom, error))
        return NULL;
    graphics = domain_def_get(dom->live, DEVICE_GRAPHICS, index);
    if (graphics == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "No graphics backend with index %u", index);
        return NULL;
    }
    switch (graphics->type) {
    case GRAPHICS_VNC:
        return "vnc";
    case GRAPHICS_SPICE:
        return "spice";
    case GRAPHICS_DBUS:
        return "@dbus-display";
    default:
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                  "Can only open VNC, SPICE or D-Bus p2p graphics backends, not %s",
                  graphics_type_to_string(graphics->type));
        return NULL;
    }
}

static gboolean open_display(Domain *dom, const char *api, guint index, int fd, guint flags, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    const char *protocol;

    if (!domain_job_begin_active(dom, api, error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;

    protocol = find_protocol(dom, index, error);
    vm = protocol != NULL ? domain_vm(dom, NULL, error) : NULL;
    return vm != NULL && vm_add_client(vm_process_qmp(vm), protocol, fd,
                                       (flags & VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH) != 0, error);
}

gboolean call_domain_open_graphics(Call *call, const DomainOpenGraphicsArgs *args, DomainOpenGraphicsRet *ret,
                                   GError **error)
{
    g_autoptr(Domain) dom = NULL;
    autofd fd = -1;

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, error))
        return FALSE;
    fd = call_take_fd(call, 0);
    if (fd < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "no file descriptor came with the call");
    dom = domain_from_wire(call, &args->dom, error);
    return dom != NULL && open_display(dom, "virDomainOpenGraphics", args->idx, fd, args->flags, error);
}

gboolean call_domain_open_graphics_fd(Call *call, const DomainOpenGraphicsFdArgs *args,
                                      DomainOpenGraphicsFdRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    autofd ours = -1, theirs = -1;
    int pair[2];

    dom = domain_from_wire_flags(call, &args->dom, args->flags, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, error);
    if (dom == NULL)
        return FALSE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(error, errno, "cannot make a socket pair for the display of domain '%s'",
                               args->dom.name);
    theirs = pair[0];
    ours = pair[1];
    return open_display(dom, "virDomainOpenGraphicsFD", args->idx, ours, args->flags, error) &&
           call_return_fd(call, fd_steal(&theirs), error);
}
