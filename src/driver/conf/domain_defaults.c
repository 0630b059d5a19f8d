/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a definition gets without being asked, in the order in which libvirt 9.0's QEMU driver fills it in, so
 * that a client cannot tell the difference: machine, chipset devices, CPU, defaults of each device,
 * console/serial twin, implicit controllers, video, addresses.
 */
#include <string.h>

#include "common/error.h"
#include "driver/conf/address.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_smartcard.h"
#include "driver/conf/def_video.h"
#include "driver/conf/domain_def.h"

#define DEFAULT_ARCH "x86_64"
#define DEFAULT_MACHINE "pc"
#define DEFAULT_NVRAM_DIR "/var/lib/libvirt/qemu/nvram"
#define AGENT_CHANNEL "org.qemu.guest_agent.0"
#define CONTROLLER_INDEX_MAX 1024

/* --- machine ------------------------------------------------------------------------------------------ */

static gboolean fill_os(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    OsDef *os = &def->os;
    char *canonical;

    if (os->type == NULL || *os->type == '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
    if (strcmp(os->type, "hvm") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'os': type '%s' is not supported; supported is hvm", os->type);
    if (os->arch == NULL)
        os->arch = g_strdup(env->default_arch != NULL ? env->default_arch : DEFAULT_ARCH);
    if (strcmp(os->arch, "x86_64") != 0 && strcmp(os->arch, "i686") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'os': arch '%s' is not supported; supported are x86_64, i686", os->arch);
    if (env->canonical_machine != NULL) {
        canonical = env->canonical_machine(env, def, os->machine, error);
        if (canonical == NULL)
            return FALSE;
        g_free(os->machine);
        os->machine = canonical;
    } else if (os->machine == NULL) {
        os->machine = g_strdup(DEFAULT_MACHINE);
    }
    return TRUE;
}

static gboolean fill_firmware(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    OsDef *os = &def->os;
    LoaderDef *loader = &os->loader;

    if (os->firmware_features[FIRMWARE_FEATURE_ENROLLED_KEYS] == TRISTATE_YES) {
        if (os->firmware_features[FIRMWARE_FEATURE_SECURE_BOOT] == TRISTATE_NO)
            return error_set(
                error, VIR_ERR_XML_DETAIL,
                "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' "
                "is disabled");
        os->firmware_features[FIRMWARE_FEATURE_SECURE_BOOT] = TRISTATE_YES;
    }
    if (loader->path != NULL && loader->type == LOADER_NONE)
        loader->type = LOADER_ROM;
    if (os->firmware == FIRMWARE_NONE && loader->type == LOADER_PFLASH && loader->readonly == TRISTATE_YES &&
        loader->nvram_path == NULL && loader->stateless != TRISTATE_YES) {
        loader->nvram_given = TRUE;
        loader->nvram_path = g_strdup_printf(
            "%s/%s_VARS.fd", env->nvram_dir != NULL ? env->nvram_dir : DEFAULT_NVRAM_DIR, def->name);
    }
    return TRUE;
}

/* --- memory, vCPUs, CPU ------------------------------------------------------------------------------- */

static gboolean fill_memory(DomainDef *def, guint flags, GError **error)
{
    guint64 numa = 0, hotplug = 0;

    if (def->memory == 0 || (flags & DOMAIN_DEF_PARSE_ABI_UPDATE))
        numa = numa_def_memory(&def->numa);
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    hotplug += memory->size;
    if (numa > 0) {
        def->memory = numa + hotplug;
        def->memory_from_numa = TRUE;
    } else if (hotplug > def->memory) {
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Total size of memory devices exceeds the total memory size");
    }
    if (domain_def_memory_initial(def) == 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Memory size must be specified via <memory> or in the <numa> configuration");
    if (def->current_memory > def->memory || def->current_memory == 0)
        def->current_memory = def->memory;
    if (domain_def_has_memory_hotplug(def) && (def->max_memory == 0 || def->memory_slots == 0))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "both maximum memory size and memory slot count must be specified");
    if (def->max_memory > 0 && def->max_memory < def->memory)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "maximum memory size must be equal or greater than the actual memory size");
    return TRUE;
}

static void fill_hotpluggable(DomainDef *def)
{
    for (guint i = 0; i < def->vcpus->len; i++) {
        VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->hotpluggable == TRISTATE_ABSENT)
            vcpu->hotpluggable = vcpu->online ? TRISTATE_NO : TRISTATE_YES;
    }
}

static gboolean fill_vcpus(DomainDef *def, GError **error)
{
    gboolean ordered = domain_def_vcpu(def, 0)->order != 0;
    const VcpuDef *first = domain_def_vcpu(def, 0), *previous = first;

    if (!first->online)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu 0 can't be offline");
    if (first->hotpluggable == TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu0 can't be hotpluggable");
    if (first->order > 1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu0 must be enabled first");
    for (guint i = 1; i < def->vcpus->len; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->online && (vcpu->order != 0) != ordered)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "all vcpus must have either set or unset order");
        if (vcpu->hotpluggable == TRISTATE_NO) {
            if (previous->hotpluggable == TRISTATE_YES)
                return error_set(
                    error, VIR_ERR_CONFIG_UNSUPPORTED,
                    "online non-hotpluggable vcpus need to be ordered prior to hotplugable vcpus");
            if (previous->order > vcpu->order)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "online non-hotpluggable vcpus must be ordered in ascending order");
        }
        previous = vcpu;
    }
    fill_hotpluggable(def);
    for (guint i = 0; i < def->vcpus->len; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->hotpluggable == TRISTATE_NO && !vcpu->online)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "vcpu '%u' is both offline and not hotpluggable", i);
    }
    return TRUE;
}

static gboolean is_default_cpu_wanted(const DomainDef *def)
{
    return def->cpu == NULL || (def->cpu->mode == CPU_MODE_CUSTOM && def->cpu->model == NULL);
}

/* What QEMU's own default is, by binary. */
static const char *emulated_cpu(const DomainDef *def)
{
    gboolean is_32bit = def->emulator != NULL ? g_str_has_suffix(def->emulator, "-i386") : strcmp(def->os.arch, "i686") == 0;

    return is_32bit ? "qemu32" : "qemu64";
}

static gboolean fill_cpu(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    CpuDef *cpu;

    if (def->cpu != NULL && def->cpu->mode == CPU_MODE_CUSTOM && def->cpu->model == NULL &&
        def->cpu->check != CPU_CHECK_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "check attribute specified for CPU with no model");
    if (is_default_cpu_wanted(def)) {
        const char *model = env->default_cpu != NULL ? env->default_cpu(env, def) : emulated_cpu(def);

        if (model == NULL)
            return TRUE;
        if (def->cpu == NULL)
            def->cpu = cpu_def_new();
        def->cpu->guest = TRUE;
        if (strcmp(model, "host") == 0) {
            def->cpu->mode = CPU_MODE_HOST_PASSTHROUGH;
        } else {
            /* Whatever of such a model the host lacks is left out at the start. */
            def->cpu->check = CPU_CHECK_NONE;
            def->cpu->match = CPU_MATCH_EXACT;
            def->cpu->fallback = CPU_FALLBACK_FORBID;
            def->cpu->model = g_strdup(model);
        }
    }
    cpu = def->cpu;
    if (def->id == -1 && cpu->mode == CPU_MODE_HOST_PASSTHROUGH && cpu->migratable == TRISTATE_ABSENT)
        cpu->migratable = TRISTATE_YES;
    if (cpu->check != CPU_CHECK_DEFAULT || is_default_cpu_wanted(def))
        return TRUE;
    if (cpu->mode == CPU_MODE_HOST_MODEL)
        cpu->check = CPU_CHECK_PARTIAL;
    else if (cpu->mode == CPU_MODE_CUSTOM && def->virt_type != VIRT_QEMU)
        cpu->check = CPU_CHECK_PARTIAL;
    else
        cpu->check = CPU_CHECK_NONE;
    return TRUE;
}

/* vCPUs that no NUMA cell lists belong to the first one. */
static void fill_numa_cpus(DomainDef *def)
{
    NumaCell *cell;

    if (numa_def_n_cells(&def->numa) == 0)
        return;
    cell = &g_array_index(def->numa.cells, NumaCell, 0);
    for (guint cpu = 0; cpu < def->vcpus->len; cpu++) {
        gboolean listed = FALSE;

        for (guint i = 0; i < def->numa.cells->len && !listed; i++)
            listed = bitmap_get(numa_def_cell(&def->numa, i)->cpus, cpu);
        if (listed)
            continue;
        if (cell->cpus == NULL)
            cell->cpus = bitmap_new();
        bitmap_set(cell->cpus, cpu);
    }
}

/* --- implicit devices --------------------------------------------------------------------------------- */

static gpointer add_device(DomainDef *def, DeviceKind kind)
{
    DeviceInfo *dev = device_def_new(kind);

    g_ptr_array_add(def->devices[kind], dev);
    return dev;
}

static void ensure_input(DomainDef *def, InputType type)
{
    InputDef *input;

    DOMAIN_DEF_FOREACH(InputDef, other, def, DEVICE_INPUT)
    {
        if (other->type == type && other->bus == INPUT_BUS_PS2)
            return;
    }
    input = add_device(def, DEVICE_INPUT);
    input->type = type;
    input->bus = INPUT_BUS_PS2;
}

static gboolean is_usb2(const ControllerDef *controller)
{
    return controller->type == CONTROLLER_USB &&
           (controller->model == USB_MODEL_ICH9_EHCI1 || controller->model == USB_MODEL_ICH9_UHCI1 ||
            controller->model == USB_MODEL_ICH9_UHCI2 || controller->model == USB_MODEL_ICH9_UHCI3);
}

/* The index of the USB2 controller right before this one in the list, when its group has none of this model
 * yet; else -1. */
static int usb2_group_index(const DomainDef *def, guint position, const ControllerDef *controller)
{
    const ControllerDef *previous = NULL;

    for (guint i = position; i > 0 && previous == NULL; i--) {
        const ControllerDef *other = domain_def_get(def, DEVICE_CONTROLLER, i - 1);

        if (other->type == CONTROLLER_USB)
            previous = other;
    }
    if (previous == NULL || !is_usb2(controller) || !is_usb2(previous))
        return -1;
    DOMAIN_DEF_FOREACH(ControllerDef, other, def, DEVICE_CONTROLLER)
    {
        if (other->type == CONTROLLER_USB && other->index == previous->index &&
            other->model == controller->model)
            return -1;
    }
    return previous->index;
}

/* Controllers without index get the lowest free one of their type, the parts of a USB2 controller one index.
 */
static void fill_controller_indexes(DomainDef *def)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        int index;

        if (controller->index != -1)
            continue;
        index = usb2_group_index(def, controller_i, controller);
        if (index < 0) {
            for (index = 0; controller_find(def, controller->type, index) != NULL;)
                index++;
        }
        controller->index = index;
    }
}

static gboolean has_device(const DomainDefEnv *env, const DomainDef *def, const char *name)
{
    return env->has_device == NULL || env->has_device(env, def, name);
}

static void add_usb_controller(DomainDef *def, const DomainDefEnv *env)
{
    int model = USB_MODEL_DEFAULT;

    if (controller_find(def, CONTROLLER_USB, 0) != NULL)
        return;
    if (os_def_is_q35(&def->os)) {
        if (has_device(env, def, "qemu-xhci"))
            model = USB_MODEL_QEMU_XHCI;
        else if (has_device(env, def, "nec-usb-xhci"))
            model = USB_MODEL_NEC_XHCI;
        else if (has_device(env, def, "ich9-usb-ehci1"))
            model = USB_MODEL_ICH9_EHCI1;
        else
            return;
    }
    controller_add(def, CONTROLLER_USB, 0, model);
    if (model == USB_MODEL_ICH9_EHCI1) {
        for (int i = 0; i < 3; i++) {
            ControllerDef *companion = controller_add(def, CONTROLLER_USB, 0, USB_MODEL_ICH9_UHCI1 + i);

            companion->info.usb_master = TRUE;
            companion->info.usb_master_startport = (guint)i * 2;
        }
    }
}

static gboolean ensure_pci_root(DomainDef *def, PciModel model, GError **error)
{
    ControllerDef *root = controller_find(def, CONTROLLER_PCI, 0);

    if (root == NULL) {
        controller_add(def, CONTROLLER_PCI, 0, model);
        return TRUE;
    }
    if (root->model != (int)model)
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "The PCI controller with index='0' must be model='%s' for this machine type, but model='%s' "
            "was found instead",
            pci_model_to_string(model), controller_model_text(root));
    return TRUE;
}

static void add_audio(DomainDef *def)
{
    gboolean wanted = domain_def_n(def, DEVICE_GRAPHICS) == 0;
    AudioType type = AUDIO_NONE;
    AudioDef *audio;

    if (domain_def_n(def, DEVICE_AUDIO) > 0)
        return;
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, def, DEVICE_GRAPHICS)
    {
        if (graphics->type == GRAPHICS_VNC || graphics->type == GRAPHICS_SPICE) {
            wanted = TRUE;
            type = graphics->type == GRAPHICS_SPICE ? AUDIO_SPICE : AUDIO_NONE;
        } else if (graphics->type == GRAPHICS_SDL) {
            wanted = FALSE;
        }
    }
    if (!wanted)
        return;
    audio = add_device(def, DEVICE_AUDIO);
    audio->type = type;
    audio->id = 1;
}

static gboolean add_chipset_devices(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    gboolean q35 = os_def_is_q35(&def->os);

    ensure_input(def, INPUT_MOUSE);
    ensure_input(def, INPUT_KEYBOARD);
    if (g_strcmp0(def->os.machine, "isapc") != 0)
        add_usb_controller(def, env);
    if (q35)
        controller_ensure(def, CONTROLLER_SATA, 0, -1);
    if ((q35 && !ensure_pci_root(def, PCI_MODEL_PCIE_ROOT, error)) ||
        (os_def_is_i440fx(&def->os) && !ensure_pci_root(def, PCI_MODEL_PCI_ROOT, error)))
        return FALSE;
    if (domain_def_n(def, DEVICE_MEMBALLOON) == 0)
        add_device(def, DEVICE_MEMBALLOON);
    add_audio(def);
    return TRUE;
}

/* For clients that leave out what a guest of today wants: agent channel and entropy. */
static void add_rich_defaults(DomainDef *def)
{
    gboolean agent = FALSE;

    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    agent |= channel->target.channel == CHANNEL_TARGET_VIRTIO && g_strcmp0(channel->name, AGENT_CHANNEL) == 0;
    if (!agent) {
        ChrDef *channel = add_device(def, DEVICE_CHANNEL);

        channel->source.type = CHR_TYPE_UNIX;
        channel->source.mode = CHR_MODE_BIND;
        channel->target.channel = CHANNEL_TARGET_VIRTIO;
        channel->name = g_strdup(AGENT_CHANNEL);
    }
    if (domain_def_n(def, DEVICE_RNG) == 0) {
        RngDef *rng = add_device(def, DEVICE_RNG);

        rng->model = VIRTIO_MODEL_VIRTIO;
        rng->backend = RNG_BACKEND_RANDOM;
        rng->file = g_strdup("/dev/urandom");
    }
}

/* A client that names no machine counts on free slots, which libvirt's default machine has: q35 has none beyond its
 * ports. */
static gboolean add_spare_ports(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    enum { SPARE_PORTS = 4 };

    if (!os_def_is_q35(&def->os))
        return TRUE;
    for (guint i = 0; i < SPARE_PORTS; i++)
        controller_add(def, CONTROLLER_PCI, -1, PCI_MODEL_PCIE_ROOT_PORT);
    fill_controller_indexes(def);
    return address_assign_all(def, env, FALSE, error);
}

/* --- console and serial ------------------------------------------------------------------------------- */

static void insert_console_twin(DomainDef *def, guint index)
{
    ChrDef *console = (ChrDef *)device_def_new(DEVICE_CONSOLE);

    console->target.console = CONSOLE_TARGET_SERIAL;
    console->port = 0;
    g_ptr_array_insert(def->devices[DEVICE_CONSOLE], (gint)index, console);
}

static gboolean serial_gets_console(const ChrDef *serial)
{
    switch (serial->target.serial) {
    case SERIAL_TARGET_NONE:
    case SERIAL_TARGET_ISA:
    case SERIAL_TARGET_SPAPR_VIO:
    case SERIAL_TARGET_SYSTEM:
    case SERIAL_TARGET_SCLP:
        return TRUE;
    default:
        return FALSE;
    }
}

/* The first console of a PC is another name of the first serial port: each brings the other with it. */
static gboolean fill_console(DomainDef *def, GError **error)
{
    GPtrArray *consoles = def->devices[DEVICE_CONSOLE], *serials = def->devices[DEVICE_SERIAL];
    ChrDef *console = domain_def_get(def, DEVICE_CONSOLE, 0), *serial = domain_def_get(def, DEVICE_SERIAL, 0);

    for (guint i = 1; i < consoles->len; i++) {
        if (((ChrDef *)consoles->pdata[i])->target.console == CONSOLE_TARGET_SERIAL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "Only the first console can be a serial port");
    }
    if (console != NULL && (console->target.console == CONSOLE_TARGET_SERIAL ||
                            console->target.console == CONSOLE_TARGET_NONE)) {
        if (serial == NULL) {
            console = g_ptr_array_steal_index(consoles, 0);
            console->info.kind = DEVICE_SERIAL;
            console->target.serial = SERIAL_TARGET_NONE;
            console->port = 0;
            g_ptr_array_add(serials, console);
            insert_console_twin(def, 0);
        } else if (!chr_source_equal(&serial->source, &console->source)) {
            g_ptr_array_remove_index(consoles, 0);
            insert_console_twin(def, 0);
        }
    } else if (serial != NULL && serial_gets_console(serial)) {
        insert_console_twin(def, 0);
    }
    return TRUE;
}

/* --- implicit controllers ----------------------------------------------------------------------------- */

static gboolean ensure_up_to(DomainDef *def, ControllerType type, guint max, int model, GError **error)
{
    if (max >= CONTROLLER_INDEX_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "%s controller index %u is beyond the limit of %u",
                         controller_type_to_string(type), max, CONTROLLER_INDEX_MAX);
    for (guint i = 0; i <= max; i++)
        controller_ensure(def, type, (int)i, model);
    return TRUE;
}

static gboolean add_disk_controllers(DomainDef *def, ControllerType type, DiskBus bus, GError **error)
{
    gboolean any = FALSE;
    guint max = 0;

    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->bus == bus && disk->info.address.type == ADDRESS_DRIVE) {
            any = TRUE;
            max = MAX(max, disk->info.address.u.drive.controller);
        }
    }
    return !any || ensure_up_to(def, type, max, -1, error);
}

static gboolean add_vserial_controllers(DomainDef *def, GError **error)
{
    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    {
        const DeviceAddress *address = &channel->info.address;

        if (channel->target.channel == CHANNEL_TARGET_VIRTIO)
            controller_ensure(def, CONTROLLER_VIRTIO_SERIAL,
                              address->type == ADDRESS_VIRTIO_SERIAL
                                  ? (int)MIN(address->u.vserial.controller, G_MAXINT)
                                  : 0,
                              -1);
    }
    DOMAIN_DEF_FOREACH(ChrDef, console, def, DEVICE_CONSOLE)
    {
        const DeviceAddress *address = &console->info.address;

        if (console->target.console == CONSOLE_TARGET_VIRTIO)
            controller_ensure(def, CONTROLLER_VIRTIO_SERIAL,
                              address->type == ADDRESS_VIRTIO_SERIAL
                                  ? (int)MIN(address->u.vserial.controller, G_MAXINT)
                                  : 0,
                              -1);
    }
    return TRUE;
}

static gboolean add_ccid_controllers(DomainDef *def, GError **error)
{
    DOMAIN_DEF_FOREACH(SmartcardDef, card, def, DEVICE_SMARTCARD)
    {
        if (card->info.address.type == ADDRESS_NONE) {
            guint slot = 0;

            DOMAIN_DEF_FOREACH(SmartcardDef, other, def, DEVICE_SMARTCARD)
            {
                if (other->info.address.type == ADDRESS_CCID && other->info.address.u.ccid.controller == 0)
                    slot = MAX(slot, other->info.address.u.ccid.slot + 1);
            }
            card->info.address.type = ADDRESS_CCID;
            card->info.address.u.ccid.slot = slot;
        }
        if (card->info.address.type == ADDRESS_CCID &&
            !ensure_up_to(def, CONTROLLER_CCID, card->info.address.u.ccid.controller, -1, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean add_scsi_hostdev_controllers(DomainDef *def, GError **error)
{
    gboolean any = FALSE;
    guint max = 0;
    int model = SCSI_MODEL_DEFAULT;

    DOMAIN_DEF_FOREACH(HostdevDef, hostdev, def, DEVICE_HOSTDEV)
    {
        const ControllerDef *controller;

        if (hostdev->mode != HOSTDEV_MODE_SUBSYSTEM || hostdev->type != HOSTDEV_SCSI)
            continue;
        if (hostdev->info.address.type == ADDRESS_DRIVE)
            max = MAX(max, hostdev->info.address.u.drive.controller);
        controller = controller_find(def, CONTROLLER_SCSI, (int)MIN(max, G_MAXINT));
        if (controller != NULL && controller->model != SCSI_MODEL_DEFAULT)
            model = controller->model;
        any = TRUE;
    }
    return !any || ensure_up_to(def, CONTROLLER_SCSI, max, model, error);
}

static gboolean add_controllers(DomainDef *def, GError **error)
{
    return add_disk_controllers(def, CONTROLLER_SCSI, DISK_BUS_SCSI, error) &&
           add_disk_controllers(def, CONTROLLER_FDC, DISK_BUS_FDC, error) &&
           add_disk_controllers(def, CONTROLLER_IDE, DISK_BUS_IDE, error) &&
           add_disk_controllers(def, CONTROLLER_SATA, DISK_BUS_SATA, error) &&
           add_vserial_controllers(def, error) && add_ccid_controllers(def, error) &&
           add_scsi_hostdev_controllers(def, error);
}

/* --- all ---------------------------------------------------------------------------------------------- */

static gboolean post_parse_device(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const DeviceDefOps *ops = device_def_ops(dev->kind);

    if (ops->post_parse != NULL && !ops->post_parse(dev, ctx, error))
        return FALSE;
    if (dev->kind == DEVICE_HOSTDEV)
        address_for_scsi_hostdev(ctx->def, dev);
    return dev->kind != DEVICE_DISK || address_from_disk_target(dev, error);
}

static gboolean post_parse_kind(DomainDef *def, DeviceKind kind, const DeviceContext *ctx, GError **error)
{
    DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kind)
    {
        if (!post_parse_device(dev, ctx, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean fill_video(DomainDef *def, const DeviceContext *ctx, GError **error)
{
    VideoDef *video;

    if (domain_def_n(def, DEVICE_GRAPHICS) > 0 && domain_def_n(def, DEVICE_VIDEO) == 0)
        add_device(def, DEVICE_VIDEO);
    video = domain_def_get(def, DEVICE_VIDEO, 0);
    if (video == NULL || video->model == VIDEO_NONE)
        return TRUE;
    /* The one that says primary stands first; else the first one is it. */
    for (guint i = 1; i < domain_def_n(def, DEVICE_VIDEO); i++) {
        VideoDef *other = domain_def_get(def, DEVICE_VIDEO, i);

        if (other->primary && !video->primary) {
            g_ptr_array_steal_index(def->devices[DEVICE_VIDEO], i);
            g_ptr_array_insert(def->devices[DEVICE_VIDEO], 0, other);
            video = other;
        }
    }
    video->primary = TRUE;
    return post_parse_device(&video->info, ctx, error);
}

static gboolean note_boot(DeviceInfo *dev, gpointer data)
{
    *(gboolean *)data |= dev->boot_index > 0;
    return TRUE;
}

/* Without any word on booting it is the first disk. */
static gboolean fill_boot(DomainDef *def, GError **error)
{
    gboolean per_device = FALSE;

    domain_def_visit(def, note_boot, &per_device);
    if (per_device && def->os.n_boot > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "per-device boot elements cannot be used together with os/boot elements");
    if (!per_device && def->os.n_boot == 0) {
        def->os.n_boot = 1;
        def->os.boot[0] = BOOT_DISK;
    }
    return TRUE;
}

/* A live XML that is defined again names sockets that its run made up. */
static void drop_run_paths(DomainDef *def, const DomainDefEnv *env)
{
    /* Those of libvirt's own daemons mean nothing here, whatever host a definition comes from. */
    const char *const made_up[] = {env->run_dir, "/var/lib/libvirt/qemu/channel/", "/run/libvirt/qemu/channel/"};

    if (env->run_dir == NULL)
        return;
    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    {
        for (gsize i = 0; channel->source.type == CHR_TYPE_UNIX && i < G_N_ELEMENTS(made_up); i++) {
            if (channel->source.path != NULL && g_str_has_prefix(channel->source.path, made_up[i]))
                g_clear_pointer(&channel->source.path, g_free);
        }
    }
}

static gboolean fill_devices(DomainDef *def, const DeviceContext *ctx, GError **error)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        if (!post_parse_kind(def, kind, ctx, error))
            return FALSE;
    }
    return TRUE;
}

/* A label of no model is of the host's, and that has none. */
static void fill_seclabel(DomainDef *def)
{
    SeclabelDef *seclabel = def->seclabels->len == 1 ? g_ptr_array_index(def->seclabels, 0) : NULL;

    if (seclabel == NULL || seclabel->model != NULL)
        return;
    seclabel->model = g_strdup("none");
    seclabel->type = SECLABEL_NONE;
    seclabel->relabel = TRISTATE_NO;
}

gboolean domain_def_post_parse(DomainDef *def, const DomainDefEnv *env, guint flags, GError **error)
{
    DeviceContext ctx = {.flags = flags, .def = def, .env = env != NULL ? env : &domain_def_env_default};
    gboolean rich, any_machine = def->os.machine == NULL;

    env = ctx.env;
    rich = env->rich_defaults && (flags & DOMAIN_DEF_PARSE_ABI_UPDATE) && !(flags & DOMAIN_DEF_PARSE_NO_RICH);
    if (def->emulator != NULL && g_strcmp0(def->emulator, env->any_emulator) == 0)
        g_clear_pointer(&def->emulator, g_free);
    if (!fill_os(def, env, error))
        return FALSE;
    drop_run_paths(def, env);
    fill_controller_indexes(def);
    if (!fill_firmware(def, env, error))
        return FALSE;
    if (flags & DOMAIN_DEF_PARSE_INACTIVE)
        fill_seclabel(def);
    if (rich)
        add_rich_defaults(def);
    if (!add_chipset_devices(def, env, error) || !fill_cpu(def, env, error) || !fill_vcpus(def, error))
        return FALSE;
    fill_numa_cpus(def);
    if (!fill_devices(def, &ctx, error) || !fill_memory(def, flags, error) || !fill_boot(def, error) ||
        !fill_console(def, error) || !add_controllers(def, error) || !fill_video(def, &ctx, error))
        return FALSE;
    /* What the steps above have added. */
    if (!post_parse_kind(def, DEVICE_SERIAL, &ctx, error) ||
        !post_parse_kind(def, DEVICE_CONTROLLER, &ctx, error))
        return FALSE;
    if (def->emulator == NULL && env->default_emulator != NULL) {
        g_autoptr(GError) cause = NULL;

        def->emulator = env->default_emulator(env, def, &cause);
        if (cause != NULL) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
    }
    if (!address_assign_all(def, env, !(flags & DOMAIN_DEF_PARSE_ABI_UPDATE), error) ||
        (rich && any_machine && !add_spare_ports(def, env, error)))
        return FALSE;
    domain_def_boot_order(def);
    return TRUE;
}

void domain_def_complete(DomainDef *def)
{
    fill_hotpluggable(def);
    domain_def_boot_order(def);
}
