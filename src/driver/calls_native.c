/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virConnectDomainXMLToNative(): a definition as the command line that would start it. The other way does not exist. */
#include <libvirt/libvirt.h>

#include "common/error.h"
#include "driver/backend/backend.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/qemu_firmware.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/host/qemu_caps.h"
#include "driver/rpc/call.h"

#define QEMU_FORMAT "qemu-argv"

enum { FIRST_STAND_IN_FD = 20, STAND_IN_QUEUES = 64 };

/* Ports that a start would choose: the first of its range. */
static void stand_in_ports(Driver *driver, DomainDef *def)
{
    int next = (int)driver->config->remote_display_port_min;

    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, def, DEVICE_GRAPHICS)
    {
        if (graphics->port <= 0 && graphics->autoport)
            graphics->port = next++;
    }
}

/* Descriptors that a start would open: numbers only. fds: STAND_IN_QUEUES numbers, nets: one an interface. */
static void stand_in_fds(const DomainDef *def, int *fds, QemuNetFds *nets)
{
    for (int n = 0; n < STAND_IN_QUEUES; n++)
        fds[n] = FIRST_STAND_IN_FD + n;
    for (guint i = 0; i < domain_def_n(def, DEVICE_INTERFACE); i++) {
        nets[i].tap = &fds[i % STAND_IN_QUEUES];
        nets[i].n_tap = 1;
        nets[i].stream = fds[i % STAND_IN_QUEUES];
    }
}

/* Where the daemon would pass descriptors and make folders, the text has stand-ins: it is for reading. */
static char *to_argv(Driver *driver, DomainDef *def, GError **error)
{
    g_autoptr(QemuCaps) caps = qemu_caps_cache_get(driver->qemu_caps, def->emulator, error);
    g_autofree char *run_dir = persist_run_folder(driver, def->name, def->uuid);
    g_autofree char *memory_dir = g_build_filename(driver->paths->data_dir, "ram", NULL);
    QemuArgsContext context = {
        .caps = caps,
        .emulator = def->emulator,
        .run_dir = run_dir,
        .memory_dir = memory_dir,
        .sandbox = TRUE,
        .privileged = driver->paths->privileged,
        .monitor_fd = 3,
        .now = g_get_real_time() / G_USEC_PER_SEC,
    };
    g_autofree QemuNetFds *nets = g_new0(QemuNetFds, domain_def_n(def, DEVICE_INTERFACE) + 1);
    g_autoptr(QemuArgs) args = NULL;
    int fds[STAND_IN_QUEUES];

    if (caps == NULL)
        return NULL;
    domain_def_assign_aliases(def);
    stand_in_ports(driver, def);
    stand_in_fds(def, fds, nets);
    context.nets = nets;
    if (!qemu_firmware_choose(def, driver->paths->nvram_dir, FALSE, error))
        return NULL;
    qemu_args_prepare(def);
    args = qemu_args_build(def, &context, error);
    return args != NULL ? qemu_args_to_text(args) : NULL;
}

gboolean call_connect_domain_xml_to_native(Call *call, const ConnectDomainXmlToNativeArgs *args,
                                           ConnectDomainXmlToNativeRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    g_autoptr(DomainDef) def = NULL;
    const BackendOps *back_end;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (!g_str_equal(args->nativeFormat, QEMU_FORMAT))
        return error_set(error, VIR_ERR_INVALID_ARG, "unsupported config type %s; there is " QEMU_FORMAT,
                         args->nativeFormat);
    def = domain_def_parse(args->domainXml, domain_env(driver),
                           domain_new_flags(call), error);
    if (def == NULL)
        return FALSE;
    back_end = backend_choose(def, error);
    if (back_end == NULL)
        return FALSE;
    if (back_end != &backend_qemu)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "domain '%s' runs on %s, which takes a description from a descriptor: there is no command line",
                         def->name, back_end->name);
    ret->nativeConfig = to_argv(driver, def, error);
    return ret->nativeConfig != NULL;
}
