/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings by QMP before the guest runs, and reading back. */
#include "driver/backend/qemu_live.h"

#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_args.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_memballoon.h"

/* --- applying --- */

static gboolean set_graphics_password(const BackendConfig *config, QmpClient *qmp,
                                      const GraphicsDef *graphics, GError **error)
{
    static const char *const connected[AUTH_CONNECTED_LAST] = {[AUTH_CONNECTED_FAIL] = "fail",
                                                               [AUTH_CONNECTED_DISCONNECT] = "disconnect",
                                                               [AUTH_CONNECTED_KEEP] = "keep"};
    const char *protocol = graphics->type == GRAPHICS_VNC ? "vnc" : "spice";
    const char *password = graphics->passwd;
    g_autofree char *when = NULL;

    if (graphics->type != GRAPHICS_VNC && graphics->type != GRAPHICS_SPICE)
        return TRUE;
    if (password == NULL && graphics->type == GRAPHICS_VNC)
        password = config->vnc_password;
    if (password == NULL)
        return TRUE;
    if (!vm_set_password(qmp, protocol, password, connected[graphics->connected], error))
        return FALSE;
    if (graphics->has_passwd_valid_to)
        when = g_strdup_printf("%" G_GINT64_FORMAT, graphics->passwd_valid_to);
    return vm_expire_password(qmp, protocol, when ? when : "never", error);
}

gboolean qemu_live_force_throttle(QmpClient *qmp, const DiskDef *disk, GError **error)
{
    const DiskIotune *t = &disk->iotune;
    g_autofree char *id = qemu_disk_qdev(disk);
    VmIoThrottle throttle = {
        .total_bytes = t->total_bytes_sec,
        .read_bytes = t->read_bytes_sec,
        .write_bytes = t->write_bytes_sec,
        .total_iops = t->total_iops_sec,
        .read_iops = t->read_iops_sec,
        .write_iops = t->write_iops_sec,
        .total_bytes_max = t->total_bytes_sec_max,
        .read_bytes_max = t->read_bytes_sec_max,
        .write_bytes_max = t->write_bytes_sec_max,
        .total_iops_max = t->total_iops_sec_max,
        .read_iops_max = t->read_iops_sec_max,
        .write_iops_max = t->write_iops_sec_max,
        .total_bytes_max_length = t->total_bytes_sec_max_length,
        .read_bytes_max_length = t->read_bytes_sec_max_length,
        .write_bytes_max_length = t->write_bytes_sec_max_length,
        .total_iops_max_length = t->total_iops_sec_max_length,
        .read_iops_max_length = t->read_iops_sec_max_length,
        .write_iops_max_length = t->write_iops_sec_max_length,
        .size_iops = t->size_iops_sec,
        .group = t->group_name,
    };

    return vm_set_io_throttle(qmp, id, &throttle, error);
}

gboolean qemu_live_set_throttle(QmpClient *qmp, const DiskDef *disk, GError **error)
{
    if (!disk_iotune_is_set(&disk->iotune) || storage_source_is_empty(disk->source))
        return TRUE;
    return qemu_live_force_throttle(qmp, disk, error);
}

/* QEMU's own APICs (hw/intc/apic.c, as of 7.2) look for the receivers of an interrupt up to the first number that is not
 * there: a processor behind a gap hears none, and Linux hangs when it brings it up. KVM's do not mind. */
static void warn_of_holes(const DomainDef *live)
{
    guint online = domain_def_vcpus(live);

    for (guint i = 0; i < online; i++) {
        if (live->virt_type != VIRT_KVM && !domain_def_vcpu(live, i)->online) {
            log_warning("domain '%s': vcpu %u is offline and later ones are not; without KVM, QEMU's processors behind "
                        "it get no interrupts and the guest may hang", live->name, i);
            return;
        }
    }
}

/* vCPUs that can be unplugged are plugged, in the order the definition asks for. */
static gboolean plug_vcpus(QmpClient *qmp, const DomainDef *live, GError **error)
{
    guint max = domain_def_vcpus_max(live), wanted = 0;
    g_autoptr(GPtrArray) slots = NULL;

    for (guint i = 0; i < max; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(live, i);

        wanted += vcpu->online && vcpu->hotpluggable == TRISTATE_YES;
    }
    if (wanted == 0)
        return TRUE;
    warn_of_holes(live);
    if (!vm_query_hotpluggable_cpus(qmp, &slots, error))
        return FALSE;
    for (guint order = 0; order <= max && wanted > 0; order++) {
        guint index = 0; /* first vCPU of the slot */

        for (guint s = 0; s < slots->len; index += ((VmCpuSlot *)slots->pdata[s])->vcpus, s++) {
            const VmCpuSlot *slot = slots->pdata[s];
            const VcpuDef *vcpu = index < max ? domain_def_vcpu(live, index) : NULL;
            g_autofree char *id = g_strdup_printf("vcpu%u", index);
            json_t *props;

            if (vcpu == NULL || !vcpu->online || vcpu->hotpluggable != TRISTATE_YES || slot->qom_path != NULL)
                continue;
            /* order 0 (not given) last: after all that have one */
            if ((vcpu->order ? vcpu->order : max) != order)
                continue;
            props = json_pack("{s:s, s:s}", "driver", slot->qom_type, "id", id);
            cpu_place_to_json(&slot->place, props);
            if (!vm_device_add(qmp, props, error))
                return FALSE;
            wanted--;
        }
    }
    return TRUE;
}

static const MemballoonDef *balloon_of(const DomainDef *live)
{
    const MemballoonDef *balloon = DOMAIN_DEF_SINGLE(MemballoonDef, live, DEVICE_MEMBALLOON);

    return balloon != NULL && balloon->model != MEMBALLOON_NONE && balloon->info.alias != NULL ? balloon
                                                                                               : NULL;
}

gboolean qemu_live_apply(const BackendConfig *config, QmpClient *qmp, DomainDef *live, GError **error)
{
    const MemballoonDef *balloon = balloon_of(live);

    if (!plug_vcpus(qmp, live, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, live, DEVICE_GRAPHICS)
    {
        if (!set_graphics_password(config, qmp, graphics, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(InterfaceDef, net, live, DEVICE_INTERFACE)
    {
        if (net->link == NET_LINK_DOWN && !vm_set_link(qmp, net->info.alias, FALSE, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (!qemu_live_set_throttle(qmp, disk, error))
            return FALSE;
    }
    if (balloon != NULL) {
        g_autofree char *path = vm_balloon_path(balloon->info.alias);

        if (balloon->period != 0 && !vm_balloon_set_period(qmp, path, balloon->period, error))
            return FALSE;
        if (live->current_memory != 0 && live->current_memory < live->memory &&
            !vm_set_balloon(qmp, live->current_memory * 1024, error))
            return FALSE;
    }
    return TRUE;
}

/* --- reading back --- */

static const VmChardev *find_chardev(const GPtrArray *chardevs, const char *alias)
{
    for (guint i = 0; i < chardevs->len; i++) {
        const VmChardev *chardev = chardevs->pdata[i];

        if (g_str_has_prefix(chardev->id, "char") && strcmp(chardev->id + 4, alias) == 0)
            return chardev;
    }
    return NULL;
}

static void take_pty(ChrSource *source, const VmChardev *chardev)
{
    if (source->type != CHR_TYPE_PTY || chardev == NULL || !g_str_has_prefix(chardev->filename, "pty:"))
        return;
    g_free(source->path);
    source->path = g_strdup(chardev->filename + strlen("pty:"));
}

static gboolean read_chardevs(QmpClient *qmp, DomainDef *live, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_SERIAL, DEVICE_PARALLEL, DEVICE_CONSOLE, DEVICE_CHANNEL};
    const ChrDef *serial0 = domain_def_get(live, DEVICE_SERIAL, 0);
    g_autoptr(GPtrArray) chardevs = NULL;

    if (!vm_query_chardev(qmp, &chardevs, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, live, kinds[i])
        {
            gboolean mirror = kinds[i] == DEVICE_CONSOLE && chr_is_serial_console(chr) && serial0 != NULL;
            const char *alias = mirror ? serial0->info.alias : chr->info.alias;
            const VmChardev *chardev = alias ? find_chardev(chardevs, alias) : NULL;

            take_pty(&chr->source, chardev);
            if (kinds[i] == DEVICE_CHANNEL && chardev != NULL && chr->target.channel == CHANNEL_TARGET_VIRTIO)
                chr->state = chardev->frontend_open ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_DISCONNECTED;
        }
    }
    return TRUE;
}

static gboolean read_vnc(QmpClient *qmp, DomainDef *live, GError **error)
{
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, live, DEVICE_GRAPHICS)
    {
        VmVncInfo info;

        if (graphics->type != GRAPHICS_VNC)
            continue;
        if (!vm_query_vnc(qmp, &info, error))
            return FALSE;
        if (info.enabled && info.port != 0)
            graphics->port = (int)info.port;
        vm_vnc_info_clear(&info);
    }
    return TRUE;
}

static gboolean read_trays(QmpClient *qmp, DomainDef *live, GError **error)
{
    g_autoptr(GPtrArray) drives = NULL;
    gboolean any = FALSE;

    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        any |= disk_is_removable_media(disk);
    }
    if (!any)
        return TRUE;
    if (!vm_query_drives(qmp, &drives, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        for (guint i = 0; disk_is_removable_media(disk) && disk->info.alias != NULL && i < drives->len; i++) {
            const VmDrive *drive = drives->pdata[i];

            if (vm_qdev_matches(drive->qdev, disk->info.alias))
                disk->tray = drive->tray_open ? DISK_TRAY_OPEN : DISK_TRAY_CLOSED;
        }
    }
    return TRUE;
}

/* Slots in libvirt's order, each filled by the CPU that has its QOM path. */
static gboolean read_vcpus(QmpClient *qmp, DomainDef *live, VmLiveInfo *info, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GPtrArray) slots = NULL;
    guint index = 0;

    if (!vm_query_cpus(qmp, &cpus, error))
        return FALSE;
    info->n_vcpus = MAX(domain_def_vcpus_max(live), cpus->len);
    info->vcpus = g_new0(VmVcpuInfo, info->n_vcpus);
    for (guint i = 0; i < info->n_vcpus; i++)
        info->vcpus[i] = (VmVcpuInfo){.index = i, .place = CPU_PLACE_NONE};
    if (!vm_query_hotpluggable_cpus(qmp, &slots, NULL)) {
        /* a machine without: in the order of the indexes */
        for (guint i = 0; i < cpus->len; i++) {
            const VmCpu *cpu = cpus->pdata[i];

            info->vcpus[i].tid = cpu->tid;
            info->vcpus[i].online = TRUE;
            info->vcpus[i].qom_path = g_strdup(cpu->qom_path);
        }
        return TRUE;
    }
    for (guint s = 0; s < slots->len && index < info->n_vcpus; s++) {
        const VmCpuSlot *slot = slots->pdata[s];

        for (guint k = 0; k < MAX(slot->vcpus, 1) && index < info->n_vcpus; k++, index++) {
            VmVcpuInfo *vcpu = &info->vcpus[index];

            vcpu->qom_type = g_strdup(slot->qom_type);
            vcpu->place = slot->place;
            vcpu->hotpluggable =
                slot->qom_path == NULL || g_str_has_prefix(slot->qom_path, "/machine/peripheral/");
            for (guint c = 0; slot->qom_path != NULL && c < cpus->len; c++) {
                const VmCpu *cpu = cpus->pdata[c];

                if (g_strcmp0(cpu->qom_path, slot->qom_path) != 0)
                    continue;
                vcpu->online = TRUE;
                vcpu->order = c + 1;
                vcpu->tid = cpu->tid;
                vcpu->qom_path = g_strdup(cpu->qom_path);
                if (g_str_has_prefix(cpu->qom_path, "/machine/peripheral/"))
                    vcpu->alias = g_path_get_basename(cpu->qom_path);
            }
        }
    }
    for (guint i = 0; live->vcpus_individual && i < domain_def_vcpus_max(live); i++)
        domain_def_vcpu(live, i)->order = info->vcpus[i].order;
    /* TCG with one thread for all: the thread is no vCPU's own. */
    for (guint i = 1; i < cpus->len; i++) {
        const VmCpu *first = cpus->pdata[0], *cpu = cpus->pdata[i];

        if (cpu->tid == first->tid) {
            for (guint k = 0; k < info->n_vcpus; k++)
                info->vcpus[k].tid = 0;
            break;
        }
    }
    return TRUE;
}

static gboolean read_iothreads(QmpClient *qmp, DomainDef *live, GError **error)
{
    g_autoptr(GPtrArray) threads = NULL;

    if (live->iothreads->len == 0)
        return TRUE;
    if (!vm_query_iothreads(qmp, &threads, error))
        return FALSE;
    for (guint i = 0; i < threads->len; i++) {
        const VmIothread *thread = threads->pdata[i];
        IothreadDef *def;

        if (!g_str_has_prefix(thread->id, "iothread"))
            continue;
        def = domain_def_iothread(live, (guint)g_ascii_strtoull(thread->id + strlen("iothread"), NULL, 10));
        if (def != NULL)
            def->thread_id = thread->tid;
    }
    return TRUE;
}

gboolean qemu_live_read(QmpClient *qmp, DomainDef *live, VmLiveInfo **ret, GError **error)
{
    g_autoptr(VmLiveInfo) info = g_new0(VmLiveInfo, 1);
    VmStatus status;

    if (!read_chardevs(qmp, live, error) || !read_vnc(qmp, live, error) || !read_trays(qmp, live, error) ||
        !read_vcpus(qmp, live, info, error) || !read_iothreads(qmp, live, error))
        return FALSE;
    if (balloon_of(live) != NULL) {
        guint64 bytes;

        if (vm_query_balloon(qmp, &bytes, NULL))
            info->balloon_kib = bytes / 1024;
    }
    info->kvm = live->virt_type == VIRT_KVM;
    if (!vm_query_status(qmp, &status, error)) /* last: the freshest */
        return FALSE;
    info->running = status.running;
    info->status = status.status;
    *ret = g_steal_pointer(&info);
    return TRUE;
}
