/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's side of a start with QEMU. */
#include "driver/backend/qemu_host.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/hostdev.h"
#include "driver/backend/passt.h"
#include "driver/backend/port_table.h"
#include "driver/backend/qemu_firmware.h"
#include "driver/backend/swtpm.h"
#include "driver/backend/tap.h"
#include "driver/backend/unix_socket.h"
#include "driver/backend/virtiofsd.h"
#include "driver/backend/vsock.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_smartcard.h"

#define SYSFS "/sys"

enum { QUEUES_MAX = 256 };

/* --- keeping --- */

static void close_fds(int *fds, guint n)
{
    for (guint i = 0; i < n; i++)
        close(fds[i]);
    g_free(fds);
}

void qemu_host_free(QemuHost *host)
{
    if (host == NULL)
        return;
    for (guint i = 0; i < host->n_nets; i++) {
        close_fds(host->nets[i].tap, host->nets[i].n_tap);
        close_fds(host->nets[i].vhost, host->nets[i].n_vhost);
        fd_clear(&host->nets[i].stream);
    }
    g_free(host->nets);
    for (guint i = 0; !host->kept && i < host->helpers->len; i++)
        helper_end(host->helpers->pdata[i]);
    g_ptr_array_unref(host->helpers);
    fd_clear(&host->tpm);
    if (!host->kept && host->tpm_lib_dir != NULL)
        swtpm_forget(host->live, host->tpm_lib_dir, VIR_DOMAIN_UNDEFINE_TPM);
    g_free(host->tpm_lib_dir);
    if (!host->kept && host->live != NULL)
        hostdevs_give_back(SYSFS, host->live);
    if (!host->kept && host->hostdev != NULL)
        hostdev_give_back(SYSFS, host->hostdev);
    for (guint i = 0; i < host->ports->len; i++)
        port_table_release(host->config->ports, g_array_index(host->ports, guint, i));
    g_array_unref(host->ports);
    for (guint i = 0; !host->kept && i < host->ovs_ports->len; i++)
        tap_ovs_leave(host->ovs_ports->pdata[i]);
    g_ptr_array_unref(host->ovs_ports);
    for (guint i = 0; !host->kept && i < host->made->len; i++)
        unlink(host->made->pdata[i]);
    g_ptr_array_unref(host->made);
    g_hash_table_unref(host->sockets);
    fd_clear(&host->monitor_fd);
    g_free(host);
}

static void close_value(gpointer value)
{
    close(GPOINTER_TO_INT(value));
}

gboolean qemu_host_helpers_live(const QemuHost *host, GError **error)
{
    for (guint i = 0; i < host->helpers->len; i++) {
        if (!helper_lives(host->helpers->pdata[i], error))
            return FALSE;
    }
    return TRUE;
}

/* --- sockets --- */

static gboolean listen_for(QemuHost *host, const ChrSource *source, const char *alias, GError **error)
{
    int fd;

    if (source->type != CHR_TYPE_UNIX || source->mode != CHR_MODE_BIND)
        return TRUE;
    fd = unix_socket_listen(source->path, 0660, host->config->user, host->config->group, error);
    if (fd < 0)
        return FALSE;
    g_hash_table_insert(host->sockets, g_strdup(alias), GINT_TO_POINTER(fd));
    g_ptr_array_add(host->made, g_strdup(source->path));
    return TRUE;
}

/* Channels without a path get one of ours, by the name the guest sees. */
static void choose_channel_path(ChrDef *chr, const char *run_dir)
{
    g_autofree char *name = NULL;

    if (chr->source.type != CHR_TYPE_UNIX || chr->source.path != NULL)
        return;
    name = g_strdup(chr->name ? chr->name : chr->info.alias);
    g_strdelimit(name, "/", '_');
    chr->source.path = g_build_filename(run_dir, name, NULL);
    chr->source.mode = CHR_MODE_BIND;
}

static gboolean open_sockets(QemuHost *host, DomainDef *live, const char *run_dir, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_SERIAL, DEVICE_PARALLEL, DEVICE_CONSOLE, DEVICE_CHANNEL};

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, live, kinds[i])
        {
            if (kinds[i] == DEVICE_CONSOLE && chr_is_serial_console(chr))
                continue;
            choose_channel_path(chr, run_dir);
            if (!listen_for(host, &chr->source, chr->info.alias, error))
                return FALSE;
        }
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, live, DEVICE_RNG)
    {
        if (rng->backend == RNG_BACKEND_EGD && !listen_for(host, &rng->egd, rng->info.alias, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RedirdevDef, redirdev, live, DEVICE_REDIRDEV)
    {
        if (!listen_for(host, &redirdev->source, redirdev->info.alias, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(SmartcardDef, card, live, DEVICE_SMARTCARD)
    {
        if (card->mode == SMARTCARD_PASSTHROUGH && !listen_for(host, &card->source, card->info.alias, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(InterfaceDef, net, live, DEVICE_INTERFACE)
    {
        if (net->type == INTERFACE_VHOSTUSER && !listen_for(host, &net->vhostuser, net->info.alias, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean open_vsock(QemuHost *host, VsockDef *vsock, GError **error)
{
    int fd = vsock_open(vsock, error);

    if (fd < 0)
        return FALSE;
    g_hash_table_insert(host->sockets, g_strdup(vsock->info.alias), GINT_TO_POINTER(fd));
    return TRUE;
}

/* --- display ports --- */

static gboolean choose_port(QemuHost *host, const char *what, const char *address, int *port, guint min,
                            guint max, GError **error)
{
    guint chosen;

    if (*port > 0) {
        if (!port_table_reserve(host->config->ports, what, address, (guint)*port, error))
            return FALSE;
        chosen = (guint)*port;
    } else if (!port_table_reserve_any(host->config->ports, what, address, min, max, &chosen, error)) {
        return FALSE;
    }
    g_array_append_val(host->ports, chosen);
    *port = (int)chosen;
    return TRUE;
}

static gboolean prepare_graphics(QemuHost *host, GraphicsDef *graphics, const char *run_dir, GError **error)
{
    const BackendConfig *config = host->config;
    gboolean vnc = graphics->type == GRAPHICS_VNC;
    const char *fallback = vnc ? config->vnc_listen : config->spice_listen;
    GraphicsListen *listen;
    const char *address;

    if (!vnc && graphics->type != GRAPHICS_SPICE)
        return TRUE;
    if (graphics_listen(graphics) == NULL)
        graphics_set_listen(graphics, LISTEN_ADDRESS, NULL);
    listen = graphics_listen(graphics);
    if (listen->type == LISTEN_SOCKET) {
        if (listen->socket == NULL) {
            listen->socket = g_build_filename(run_dir, vnc ? "vnc.sock" : "spice.sock", NULL);
            listen->auto_generated = TRUE;
        }
        return TRUE;
    }
    if (listen->type == LISTEN_NONE)
        return TRUE;
    if (listen->type == LISTEN_NETWORK && listen->address == NULL)
        return error_set(error, VIR_ERR_NO_NETWORK, "no network with matching name '%s'",
                         listen->network ? listen->network : "");
    if (listen->address == NULL) {
        listen->address = g_strdup(fallback ? fallback : "127.0.0.1");
        listen->from_config = TRUE;
    }
    address = listen->address;
    if (graphics->autoport)
        graphics->port = -1;
    if (!choose_port(host, vnc ? "vnc" : "spice", address, &graphics->port,
                     config->vnc_port_min ? config->vnc_port_min : 5900,
                     config->vnc_port_max ? config->vnc_port_max : 65535, error))
        return FALSE;
    if (vnc && graphics->websocket != 0)
        return choose_port(host, "vnc websocket", address, &graphics->websocket,
                           config->websocket_port_min ? config->websocket_port_min : 5700,
                           config->websocket_port_max ? config->websocket_port_max : 65535, error);
    return TRUE;
}

/* --- interfaces --- */

static gboolean open_vhost(const BackendConfig *config, const DomainDef *live, const InterfaceDef *net,
                           QemuNetFds *fds, GError **error)
{
    g_autofree int *opened = NULL;
    int errnum = 0;

    if (!interface_is_virtio(net) || net->driver == NET_DRIVER_QEMU ||
        (live->virt_type != VIRT_KVM && net->driver != NET_DRIVER_VHOST))
        return TRUE;
    opened = g_new(int, fds->n_tap);
    if (vhost_net_open(opened, fds->n_tap, &errnum)) {
        fds->n_vhost = fds->n_tap;
        fds->vhost = g_steal_pointer(&opened);
        return TRUE;
    }
    if (net->driver != NET_DRIVER_VHOST)
        return TRUE; /* QEMU itself moves the packets */
    return error_set_errno(
        error, errnum,
        "interface '%s': vhost-net was requested, but /dev/vhost-net cannot be opened (load the "
        "module vhost_net, or use <driver name='qemu'/>)",
        net->mac);
}

static gboolean open_tap(QemuHost *host, const DomainDef *live, InterfaceDef *net, QemuNetFds *fds, GError **error)
{
    const BackendConfig *config = host->config;
    InterfaceType type = interface_actual_type(net);
    gboolean bridge = type != INTERFACE_ETHERNET;
    char uuid[UUID_TEXT_SIZE];
    const OvsPort port = {.virtualport = &net->virtualport, .vlan = &net->vlan, .vm_uuid = uuid};
    TapRequest request = {
        .name = net->target,
        .mac = net->mac,
        .bridge = bridge ? interface_actual_source(net) : NULL,
        .ovs = interface_is_ovs(net) ? &port : NULL,
        .vnet_hdr = interface_is_virtio(net),
        .queues = MAX(net->queues, 1),
        .mtu = net->mtu,
        .isolated = net->port_isolated == TRISTATE_YES,
        .existing = net->target_managed == TRISTATE_NO,
    };
    g_autofree int *opened = NULL;
    char *name = NULL;

    if (request.queues > QUEUES_MAX || (request.queues > 1 && !request.vnet_hdr))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "interface '%s': %u queues are not possible (up to %d, and only with a virtio card)",
                         net->mac, request.queues, QUEUES_MAX);
    uuid_format(live->uuid, uuid);
    opened = g_new(int, request.queues);
    if (!config->privileged && bridge) {
        const char *helper =
            config->bridge_helper ? config->bridge_helper : "/usr/lib/qemu/qemu-bridge-helper";

        request.queues = 1;
        if (!tap_from_helper(helper, request.bridge, request.vnet_hdr, &opened[0], error))
            return FALSE;
    } else {
        if (!tap_open(&request, opened, &name, error))
            return FALSE;
        g_free(net->target);
        net->target = name;
        if (request.ovs != NULL)
            g_ptr_array_add(host->ovs_ports, g_strdup(name));
    }
    fds->n_tap = request.queues;
    fds->tap = g_steal_pointer(&opened);
    if (net->bandwidth.present && config->privileged &&
        !tap_set_bandwidth(net->target, &net->bandwidth, error))
        return FALSE;
    if (type == INTERFACE_ETHERNET && net->script != NULL) {
        const char *argv[] = {net->script, net->target, NULL};
        g_autoptr(GError) local = NULL;
        int status = 0;

        if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                          NULL, NULL, NULL, NULL, &status, &local) ||
            status != 0)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "interface '%s': script '%s' failed: %s",
                             net->mac, net->script, local ? local->message : "see its own log");
    }
    return open_vhost(config, live, net, fds, error);
}

/* What only other drivers or other switches can do is refused, not left out. */
static gboolean check_interface(const BackendConfig *config, const InterfaceDef *net, GError **error)
{
    if (net->filterref.filter != NULL)
        return error_set_from(error, VIR_FROM_NWFILTER, VIR_ERR_NO_NWFILTER,
                              "no nwfilter with matching name '%s'", net->filterref.filter);
    if (interface_is_ovs(net) && config->privileged)
        return TRUE;
    if (net->vlan.n_tags > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "interface '%s': setting VLAN tags is not supported for this type of network",
                         net->mac);
    if (net->virtualport.present && net->virtualport.type != VIRTUALPORT_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "interface '%s': <virtualport type='%s'> is not supported", net->mac,
                         virtualport_type_to_string(net->virtualport.type));
    if (net->bandwidth.present && (!config->privileged || interface_actual_type(net) == INTERFACE_USER))
        log_warning("interface '%s': <bandwidth> has no effect on this type of network", net->mac);
    return TRUE;
}

static gboolean open_interface(QemuHost *host, DomainDef *live, InterfaceDef *net, QemuNetFds *fds,
                               const VmStartOptions *options, GError **error)
{
    if (!check_interface(host->config, net, error))
        return FALSE;
    switch (interface_actual_type(net)) {
    case INTERFACE_USER:
        if (net->backend == NET_BACKEND_PASST) {
            g_autofree char *name = g_strdup_printf("passt-%s.log", net->info.alias);
            g_autofree char *log = backend_run_path(options->run_dir, name);
            Helper *helper = passt_start(host->config, net, log, &fds->stream, error);

            if (helper == NULL)
                return FALSE;
            g_ptr_array_add(host->helpers, helper);
        }
        return TRUE;
    case INTERFACE_NETWORK:
        if (!net->has_actual)
            return error_set_from(error, VIR_FROM_NETWORK, VIR_ERR_NO_NETWORK,
                                  "no network with matching name '%s'", net->source ? net->source : "");
        return open_tap(host, live, net, fds, error);
    case INTERFACE_HOSTDEV:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "interface '%s': type 'hostdev' needs the MAC address of a virtual function to be set, which is "
                         "not supported; give the device by <hostdev>",
                         net->mac);
    case INTERFACE_BRIDGE:
    case INTERFACE_ETHERNET:
        return open_tap(host, live, net, fds, error);
    default:
        return TRUE;
    }
}

/* --- all of it --- */

static gboolean take_hostdev(QemuHost *host, HostdevDef *dev, GError **error)
{
    int fd;

    if (!hostdev_take(SYSFS, dev, error))
        return FALSE;
    if (dev->mode != HOSTDEV_MODE_SUBSYSTEM || dev->type != HOSTDEV_SCSI_HOST)
        return TRUE;
    fd = open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "Failed to open /dev/vhost-scsi");
    g_hash_table_insert(host->sockets, g_strdup(dev->info.alias), GINT_TO_POINTER(fd));
    return TRUE;
}

static gboolean take_hostdevs(QemuHost *host, DomainDef *live, GError **error)
{
    DOMAIN_DEF_FOREACH(HostdevDef, dev, live, DEVICE_HOSTDEV)
    {
        if (!take_hostdev(host, dev, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean start_filesystems(QemuHost *host, const DomainDef *live, const VmStartOptions *options, GError **error)
{
    DOMAIN_DEF_FOREACH(FilesystemDef, fs, live, DEVICE_FILESYSTEM)
    {
        char *made = NULL;
        Helper *helper;

        if (fs->driver != FS_DRIVER_VIRTIOFS || fs->socket != NULL)
            continue;
        helper = virtiofsd_start(host->config, fs, options, &made, error);
        if (helper == NULL)
            return FALSE;
        g_ptr_array_add(host->helpers, helper);
        g_ptr_array_add(host->made, made);
    }
    return TRUE;
}

static gboolean start_tpm(QemuHost *host, const DomainDef *live, const VmStartOptions *options, GError **error)
{
    DOMAIN_DEF_FOREACH(TpmDef, tpm, live, DEVICE_TPM)
    {
        gboolean made = FALSE;
        Helper *helper;

        if (tpm->backend != TPM_EMULATOR)
            continue;
        helper = swtpm_start(host->config, live, tpm, options, &host->tpm, &made, error);
        if (made)
            host->tpm_lib_dir = g_strdup(options->lib_dir);
        if (helper == NULL)
            return FALSE;
        g_ptr_array_add(host->helpers, helper);
    }
    return TRUE;
}

static QemuHost *host_new(const BackendConfig *config, guint n_nets)
{
    QemuHost *host = g_new0(QemuHost, 1);

    host->config = config;
    host->monitor_fd = -1;
    host->helpers = g_ptr_array_new_with_free_func((GDestroyNotify)helper_free);
    host->tpm = -1;
    host->ports = g_array_new(FALSE, FALSE, sizeof(guint));
    host->made = g_ptr_array_new_with_free_func(g_free);
    host->ovs_ports = g_ptr_array_new_with_free_func(g_free);
    host->sockets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_value);
    host->nets = g_new0(QemuNetFds, MAX(n_nets, 1));
    return host;
}

QemuHost *qemu_host_prepare_device(const BackendConfig *config, DomainDef *live, DeviceInfo *dev,
                                   const char *run_dir, GError **error)
{
    g_autoptr(QemuHost) host = host_new(config, 1);
    const VmStartOptions options = {.run_dir = run_dir};
    ChrDef *chr = (ChrDef *)dev;
    gboolean good = TRUE;

    if (!qemu_check_device_files(config, dev, error))
        return NULL;
    switch (dev->kind) {
    case DEVICE_CHANNEL:
        choose_channel_path(chr, run_dir);
        good = listen_for(host, &chr->source, dev->alias, error);
        break;
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
        good = listen_for(host, &chr->source, dev->alias, error);
        break;
    case DEVICE_RNG:
        if (((RngDef *)dev)->backend == RNG_BACKEND_EGD)
            good = listen_for(host, &((RngDef *)dev)->egd, dev->alias, error);
        break;
    case DEVICE_VSOCK:
        good = open_vsock(host, (VsockDef *)dev, error);
        break;
    case DEVICE_HOSTDEV:
        good = take_hostdev(host, (HostdevDef *)dev, error);
        if (good)
            host->hostdev = (HostdevDef *)dev;
        break;
    case DEVICE_REDIRDEV:
        good = listen_for(host, &((RedirdevDef *)dev)->source, dev->alias, error);
        break;
    case DEVICE_INTERFACE:
        host->nets[0].stream = -1;
        host->n_nets = 1;
        if (((InterfaceDef *)dev)->type == INTERFACE_VHOSTUSER)
            good = listen_for(host, &((InterfaceDef *)dev)->vhostuser, dev->alias, error);
        else
            good = open_interface(host, live, (InterfaceDef *)dev, &host->nets[0], &options, error);
        break;
    default:
        break;
    }
    return good ? g_steal_pointer(&host) : NULL;
}

QemuHost *qemu_host_prepare(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                            GError **error)
{
    g_autoptr(QemuHost) host = host_new(config, domain_def_n(live, DEVICE_INTERFACE));
    g_autofree char *monitor = backend_run_path(options->run_dir, "monitor.sock");
    guint i = 0;

    if (!qemu_firmware_make_nvram(config, live, options->reset_nvram, error) || !qemu_check_files(config, live, error))
        return NULL;
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, live, DEVICE_GRAPHICS)
    {
        if (!prepare_graphics(host, graphics, options->run_dir, error))
            return NULL;
    }
    host->monitor_fd = unix_socket_listen(monitor, 0600, (uid_t)-1, (gid_t)-1, error);
    if (host->monitor_fd < 0)
        return NULL;
    g_ptr_array_add(host->made, g_strdup(monitor));
    if (!open_sockets(host, live, options->run_dir, error))
        return NULL;
    DOMAIN_DEF_FOREACH(InterfaceDef, net, live, DEVICE_INTERFACE)
    {
        host->nets[i].stream = -1;
        host->n_nets = i + 1;
        if (!open_interface(host, live, net, &host->nets[i], options, error))
            return NULL;
        i++;
    }
    DOMAIN_DEF_FOREACH(VsockDef, vsock, live, DEVICE_VSOCK)
    {
        if (!open_vsock(host, vsock, error))
            return NULL;
    }
    host->live = live;
    return take_hostdevs(host, live, error) && start_filesystems(host, live, options, error) &&
                   start_tpm(host, live, options, error)
               ? g_steal_pointer(&host) : NULL;
}
