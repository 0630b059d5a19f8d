/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hot plug and unplug: checks, address and alias here; what QEMU is told in backend/qemu_hotplug.c.
 *
 * An unplug is a request that the guest answers when it likes. The job that asked waits UNPLUG_WAIT_SECONDS for
 * DEVICE_DELETED; what comes later is finished by vm_events.c in a job of its own.
 */
#define LOG_SOURCE "domain"

#include <string.h>

#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_watchdog.h"
#include "driver/domain/devices.h"
#include "driver/domain/placement.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"

enum { UNPLUG_WAIT_SECONDS = 5 };

static const BackendOps *ops_of(VmProcess *vm)
{
    return vm_process_backend(vm);
}

/* The running VM, if its back end can plug; what: "attach" or "detach". New reference, NULL with *error. */
static VmProcess *vm_that_plugs(Domain *dom, const DeviceInfo *dev, const char *what, guint64 *ret_run, GError **error)
{
    VmProcess *vm = domain_vm(dom, ret_run, error);

    if (vm == NULL || ops_of(vm)->plug != NULL)
        return vm;
    error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live %s of device '%s' is not supported by %s", what,
              device_word(dev->kind), ops_of(vm)->name);
    vm_process_unref(vm);
    return NULL;
}

/* --- what may be plugged -------------------------------------------------------------------------------- */

static gboolean check_disk(const DomainDef *def, const DiskDef *disk, GError **error)
{
    const DiskDef *same = (const DiskDef *)domain_def_find_disk(def, disk->target);

    if (disk->device == DISK_DEVICE_FLOPPY)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "floppy device hotplug isn't supported");
    if (same != NULL) {
        g_autofree char *there = storage_source_describe(same->source), *new = storage_source_describe(disk->source);

        return error_set(error, VIR_ERR_XML_ERROR, "target '%s' duplicated for disk sources '%s' and '%s'", disk->target,
                         there != NULL ? there : "(empty)", new != NULL ? new : "(empty)");
    }
    if (disk->bus == DISK_BUS_VIRTIO && disk->device == DISK_DEVICE_CDROM)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "cdrom device with virtio bus isn't supported");
    if (disk->bus == DISK_BUS_USB && disk->device == DISK_DEVICE_LUN)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk device='lun' is not supported for usb bus");
    if (disk->bus != DISK_BUS_VIRTIO && disk->bus != DISK_BUS_SCSI && disk->bus != DISK_BUS_USB)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "disk bus '%s' cannot be hotplugged.",
                         disk_bus_to_string(disk->bus));
    if (disk->bus == DISK_BUS_SCSI && disk->info.address.type == ADDRESS_DRIVE) {
        DOMAIN_DEF_FOREACH(DiskDef, other, def, DEVICE_DISK)
        {
            if (other->bus == DISK_BUS_SCSI && device_address_equal(&other->info.address, &disk->info.address))
                return error_set(error, VIR_ERR_OPERATION_INVALID,
                                 "Domain already contains a disk with that address");
        }
    }
    return TRUE;
}

static gboolean check_interface(const InterfaceDef *net, GError **error)
{
    InterfaceType type = interface_actual_type(net);

    switch (type) {
    case INTERFACE_USER:
    case INTERFACE_ETHERNET:
    case INTERFACE_BRIDGE:
    case INTERFACE_NETWORK:
    case INTERFACE_VHOSTUSER:
    case INTERFACE_SERVER:
    case INTERFACE_CLIENT:
    case INTERFACE_MCAST:
    case INTERFACE_UDP:
        return TRUE;
    default:
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "cannot plug an interface of type '%s' into a running domain: attach it with --config and "
                         "start the domain again",
                         interface_type_to_string(type));
    }
}

static gboolean check_chr(const DomainDef *def, const ChrDef *chr, GError **error)
{
    if (chr->info.kind == DEVICE_CONSOLE && chr_is_serial_console(chr))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "attaching serial console is not supported");
    if (chr->info.kind == DEVICE_PARALLEL ||
        (chr->info.kind == DEVICE_SERIAL && chr->target.serial != SERIAL_TARGET_PCI &&
         chr->target.serial != SERIAL_TARGET_USB) ||
        (chr->info.kind == DEVICE_CHANNEL && chr->target.channel != CHANNEL_TARGET_VIRTIO))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported address type for character device");
    if ((chr->info.kind == DEVICE_CHANNEL || chr->port != -1) &&
        domain_def_find_device(def, &chr->info, NULL) != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "chardev already exists");
    return TRUE;
}

static gboolean check_input(const InputDef *input, GError **error)
{
    return input->bus == INPUT_BUS_USB || input->bus == INPUT_BUS_VIRTIO ||
           error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "input device on bus '%s' cannot be hot plugged.",
                     input->bus >= 0 ? input_bus_to_string(input->bus) : "(none)");
}

static gboolean check_plug(const DomainDef *def, const DeviceInfo *dev, GError **error)
{
    switch (dev->kind) {
    case DEVICE_DISK:
        return check_disk(def, (const DiskDef *)dev, error);
    case DEVICE_INTERFACE:
        return check_interface((const InterfaceDef *)dev, error);
    case DEVICE_CONTROLLER:
        return ((const ControllerDef *)dev)->type == CONTROLLER_SCSI ||
               error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "'%s' controller cannot be hot plugged.",
                         controller_type_to_string(((const ControllerDef *)dev)->type));
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        return check_chr(def, (const ChrDef *)dev, error);
    case DEVICE_INPUT:
        return check_input((const InputDef *)dev, error);
    case DEVICE_WATCHDOG:
        return domain_def_n(def, DEVICE_WATCHDOG) == 0 ||
               error_set(error, VIR_ERR_OPERATION_INVALID, "domain already has a watchdog");
    case DEVICE_VSOCK:
        return domain_def_n(def, DEVICE_VSOCK) == 0 ||
               error_set(error, VIR_ERR_OPERATION_INVALID, "the domain already has a vsock device");
    case DEVICE_MEMORY:
        return domain_def_n(def, DEVICE_MEMORY) < def->memory_slots ||
               error_set(error, VIR_ERR_OPERATION_FAILED, "no free memory device slot available");
    case DEVICE_RNG:
    case DEVICE_REDIRDEV:
    case DEVICE_SHMEM:
    case DEVICE_HOSTDEV:
        return TRUE;
    default:
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live attach of device '%s' is not supported",
                         device_word(dev->kind));
    }
}

/* --- plugging ------------------------------------------------------------------------------------------- */

/* Gives dev its place and name, plugs it, and takes it into the definition. */
static gboolean plug(Domain *dom, VmProcess *vm, guint64 run, DeviceInfo **dev, GError **error)
{
    const DomainDefEnv *env = domain_env(dom->driver);
    DomainDef *live = domain_job_live(dom);

    if (!domain_def_assign_device_address(live, *dev, env, error))
        return FALSE;
    domain_def_assign_device_alias(live, *dev);
    if (!domain_def_validate_attach(live, *dev, env, error) ||
        !placement_allow_devices(dom, live, (*dev)->kind, *dev, error))
        return FALSE;
    if (!ops_of(vm)->plug(dom->driver->backend_config, vm, live, *dev, error)) {
        placement_allow_devices(dom, live, DEVICE_DISK, NULL, NULL);
        return FALSE;
    }
    if (!domain_still_running(dom, run, error))
        return FALSE;
    if ((*dev)->kind == DEVICE_DISK)
        placement_add_servers(dom, vm_process_run_dir(vm));
    lock_acquire(&dom->lock);
    if ((*dev)->kind == DEVICE_MEMORY)
        live->memory += ((MemoryDef *)*dev)->size;
    dom->updated = TRUE;
    domain_event_device_added(dom, (*dev)->alias);
    domain_def_insert(live, g_steal_pointer(dev));
    lock_release(&dom->lock);
    return TRUE;
}

/* Controllers up to the one that a SCSI disk stands on. */
static gboolean ensure_scsi_controllers(Domain *dom, VmProcess *vm, guint64 run, guint last, GError **error)
{
    int model = -1;

    for (guint index = 0; index <= last; index++) {
        ControllerDef *controller = NULL;
        g_autoptr(DeviceInfo) added = NULL;
        DeviceContext context = {.def = domain_job_live(dom), .env = domain_env(dom->driver)};

        DOMAIN_DEF_FOREACH(ControllerDef, other, domain_job_live(dom), DEVICE_CONTROLLER)
        {
            if (other->type == CONTROLLER_SCSI && other->index == (int)index)
                controller = other;
        }
        if (controller != NULL) {
            model = controller->model;
            continue;
        }
        added = device_def_new(DEVICE_CONTROLLER);
        controller = (ControllerDef *)added;
        controller->type = CONTROLLER_SCSI;
        controller->index = (int)index;
        controller->model = model;
        if (!device_def_ops(DEVICE_CONTROLLER)->post_parse(added, &context, error) ||
            !plug(dom, vm, run, &added, error))
            return FALSE;
    }
    return TRUE;
}

gboolean device_live_attach(Domain *dom, DeviceInfo **dev, GError **error)
{
    DiskDef *disk = (DiskDef *)*dev;
    guint64 run;
    g_autoptr(VmProcess) vm = NULL;

    if (!device_compatible(domain_job_live(dom), *dev, NULL, TRUE, error))
        return FALSE;
    /* An old way to change media. */
    if (disk->info.kind == DEVICE_DISK && disk_is_removable_media(disk)) {
        DiskDef *drive = (DiskDef *)domain_def_find_disk(domain_job_live(dom), disk->target);

        if (drive != NULL)
            return device_change_media(dom, drive, disk, FALSE, error);
    }
    if (!check_plug(domain_job_live(dom), *dev, error))
        return FALSE;
    vm = vm_that_plugs(dom, *dev, "attach", &run, error);
    if (vm == NULL)
        return FALSE;
    if (disk->info.kind == DEVICE_DISK && disk->bus == DISK_BUS_SCSI) {
        if (!domain_def_assign_device_address(domain_job_live(dom), *dev, domain_env(dom->driver), error) ||
            !ensure_scsi_controllers(dom, vm, run, disk->info.address.u.drive.controller, error))
            return FALSE;
    }
    return plug(dom, vm, run, dev, error);
}

/* --- what may be unplugged ------------------------------------------------------------------------------ */

static gboolean controller_is_busy(const DomainDef *def, const ControllerDef *controller)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->bus == DISK_BUS_SCSI && disk->info.address.type == ADDRESS_DRIVE &&
            disk->info.address.u.drive.controller == (guint)controller->index)
            return TRUE;
    }
    return FALSE;
}

static gboolean check_unplug_disk(const DiskDef *disk, GError **error)
{
    gboolean plain = disk->device == DISK_DEVICE_DISK || disk->device == DISK_DEVICE_LUN;

    if (disk->device == DISK_DEVICE_FLOPPY ||
        (disk->device == DISK_DEVICE_CDROM && disk->bus != DISK_BUS_USB && disk->bus != DISK_BUS_SCSI))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "disk device type '%s' cannot be detached",
                         disk_device_to_string(disk->device));
    if (plain && disk->bus != DISK_BUS_VIRTIO && disk->bus != DISK_BUS_USB && disk->bus != DISK_BUS_SCSI)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "This type of disk cannot be hot unplugged");
    if (disk->mirror != NULL)
        return error_set(error, VIR_ERR_BLOCK_COPY_ACTIVE, "disk '%s' already in active block job", disk->target);
    return TRUE;
}

static gboolean check_unplug(const DomainDef *def, const DeviceInfo *dev, GError **error)
{
    switch (dev->kind) {
    case DEVICE_DISK:
        return check_unplug_disk((const DiskDef *)dev, error);
    case DEVICE_CONTROLLER:
        if (((const ControllerDef *)dev)->type != CONTROLLER_SCSI)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "'%s' controller cannot be hot unplugged.",
                             controller_type_to_string(((const ControllerDef *)dev)->type));
        return !controller_is_busy(def, (const ControllerDef *)dev) ||
               error_set(error, VIR_ERR_OPERATION_FAILED, "device cannot be detached: device is busy");
    case DEVICE_WATCHDOG:
        return ((const WatchdogDef *)dev)->model == WATCHDOG_I6300ESB ||
               error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "hot unplug of watchdog of model %s is not supported",
                         watchdog_model_to_string(((const WatchdogDef *)dev)->model));
    case DEVICE_INPUT:
        return ((const InputDef *)dev)->bus == INPUT_BUS_USB || ((const InputDef *)dev)->bus == INPUT_BUS_VIRTIO ||
               error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "input device on bus '%s' cannot be detached",
                         input_bus_to_string(((const InputDef *)dev)->bus));
    default:
        return TRUE;
    }
}

/* Kinds that never go out of a running guest are refused as such, whether there is one or not. */
static gboolean check_unplug_kind(DeviceKind kind, GError **error)
{
    static const DeviceKind known[] = {DEVICE_DISK,    DEVICE_CONTROLLER, DEVICE_WATCHDOG, DEVICE_INPUT, DEVICE_INTERFACE,
                                       DEVICE_SERIAL,  DEVICE_PARALLEL,   DEVICE_CONSOLE,  DEVICE_CHANNEL, DEVICE_RNG,
                                       DEVICE_MEMORY,  DEVICE_VSOCK};

    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (known[i] == kind)
            return TRUE;
    }
    return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live detach of device '%s' is not supported",
                     device_word(kind));
}

/* The place of a PCI device allows it to be taken out. */
static gboolean check_place(const DomainDef *def, const DeviceInfo *dev, GError **error)
{
    g_autofree char *text = NULL;
    const PciAddress *pci = &dev->address.u.pci;

    if (dev->address.type != ADDRESS_PCI)
        return TRUE;
    text = pci_address_text(pci);
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        for (guint i = 0; i < domain_def_n(def, kind); i++) {
            const DeviceInfo *other = domain_def_get(def, kind, i);
            const PciAddress *at = &other->address.u.pci;

            if (other != dev && other->address.type == ADDRESS_PCI && at->domain == pci->domain &&
                at->bus == pci->bus && at->slot == pci->slot)
                return error_set(error, VIR_ERR_OPERATION_FAILED,
                                 "cannot hot unplug %s device with multifunction PCI guest address: %s",
                                 device_word(dev->kind), text);
        }
    }
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && controller->index == (int)pci->bus &&
            controller->hotplug == TRISTATE_NO)
            return error_set(error, VIR_ERR_OPERATION_FAILED,
                             "cannot hot unplug %s device with PCI guest address: %s - not allowed by controller",
                             device_word(dev->kind), text);
    }
    return TRUE;
}

/* --- unplugging ----------------------------------------------------------------------------------------- */

gboolean device_note_deleted(Domain *dom, const char *alias)
{
    lock_assert_held(&dom->lock);
    if (g_strcmp0(dom->unplugging, alias) != 0)
        return FALSE;
    dom->unplug_answer = UNPLUG_DONE;
    g_cond_broadcast(&dom->stopped);
    return TRUE;
}

void device_note_refused(Domain *dom, const char *alias)
{
    lock_assert_held(&dom->lock);
    if (g_strcmp0(dom->unplugging, alias) != 0)
        return;
    dom->unplug_answer = UNPLUG_REFUSED;
    g_cond_broadcast(&dom->stopped);
}

void device_finish_removal(Domain *dom, VmProcess *vm, const char *alias)
{
    g_autoptr(DeviceInfo) dev = NULL;
    ChrDef *twin = NULL;

    lock_acquire(&dom->lock);
    if (dom->vm == vm && !dom->stopping && dom->live != NULL)
        dev = domain_def_find_alias(dom->live, alias);
    if (dev != NULL) {
        dev = domain_def_steal(dom->live, dev);
        if (dev->kind == DEVICE_MEMORY)
            dom->live->memory -= MIN(dom->live->memory, ((MemoryDef *)dev)->size);
        twin = domain_def_get(dom->live, DEVICE_CONSOLE, 0);
        if (dev->kind == DEVICE_SERIAL && domain_def_n(dom->live, DEVICE_SERIAL) == 0 && twin != NULL &&
            chr_is_serial_console(twin))
            twin = (ChrDef *)domain_def_steal(dom->live, &twin->info);
        else
            twin = NULL;
    }
    lock_release(&dom->lock);
    if (dev == NULL) {
        if (g_str_has_prefix(alias, "vcpu"))
            vcpu_note_unplugged(dom, vm);
        return;
    }
    if (ops_of(vm)->unplugged != NULL)
        ops_of(vm)->unplugged(dom->driver->backend_config, vm, dev);
    if (twin != NULL)
        device_def_free(&twin->info);
    lock_acquire(&dom->lock);
    if (dom->vm == vm && !dom->stopping) {
        dom->updated = TRUE;
        domain_event_device_removed(dom, alias);
    }
    lock_release(&dom->lock);
}

gboolean device_ask_unplug(Domain *dom, VmProcess *vm, const char *alias, gboolean wait, gboolean *ret_gone,
                           GError **error)
{
    gint64 deadline;
    g_autoptr(GError) cause = NULL;
    UnplugAnswer answer;

    lock_acquire(&dom->lock);
    dom->unplug_answer = UNPLUG_NONE;
    dom->unplugging = wait ? g_strdup(alias) : NULL;
    lock_release(&dom->lock);
    *ret_gone = FALSE;
    if (!vm_device_del(vm_process_qmp(vm), alias, &cause)) {
        /* QEMU has no such device any more: the same as being told so. */
        *ret_gone = error_is(cause, VIR_ERR_DEVICE_MISSING);
        lock_acquire(&dom->lock);
        g_clear_pointer(&dom->unplugging, g_free);
        lock_release(&dom->lock);
        if (!*ret_gone)
            g_propagate_error(error, g_steal_pointer(&cause));
        return *ret_gone;
    }
    if (!wait)
        return TRUE;
    deadline = g_get_monotonic_time() + UNPLUG_WAIT_SECONDS * G_USEC_PER_SEC;
    lock_acquire(&dom->lock);
    while (dom->unplug_answer == UNPLUG_NONE && dom->vm == vm && !dom->stopping) {
        if (!lock_wait(&dom->lock, &dom->stopped, deadline))
            break;
    }
    answer = dom->unplug_answer;
    g_clear_pointer(&dom->unplugging, g_free);
    lock_release(&dom->lock);
    *ret_gone = answer == UNPLUG_DONE;
    return answer != UNPLUG_REFUSED ||
           error_set(error, VIR_ERR_OPERATION_FAILED, "unplug of device was rejected by the guest");
}

gboolean device_live_detach_found(Domain *dom, DeviceInfo *dev, gboolean wait, GError **error)
{
    guint64 run;
    g_autoptr(VmProcess) vm = NULL;
    g_autofree char *alias = g_strdup(dev->alias);
    gboolean gone;

    if (!check_unplug_kind(dev->kind, error) || !check_unplug(domain_job_live(dom), dev, error))
        return FALSE;
    if (alias == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot detach %s device with no alias",
                         device_word(dev->kind));
    if (!check_place(domain_job_live(dom), dev, error))
        return FALSE;
    vm = vm_that_plugs(dom, dev, "detach", &run, error);
    if (vm == NULL)
        return FALSE;
    if (!device_ask_unplug(dom, vm, alias, wait, &gone, error))
        return FALSE;
    if (gone)
        device_finish_removal(dom, vm, alias);
    else
        log_debug("domain '%s': the guest has not let go of '%s' yet", dom->name, alias);
    if (!domain_still_running(dom, run, error))
        return FALSE;
    if (gone)
        placement_allow_devices(dom, domain_job_live(dom), DEVICE_DISK, NULL, NULL);
    return TRUE;
}

gboolean device_live_detach(Domain *dom, const DeviceInfo *wanted, gboolean wait, GError **error)
{
    DeviceInfo *dev;
    const ControllerDef *controller = (const ControllerDef *)wanted;

    if (!check_unplug_kind(wanted->kind, error))
        return FALSE;
    if (wanted->kind == DEVICE_CONTROLLER && controller->type != CONTROLLER_SCSI)
        return check_unplug(domain_job_live(dom), wanted, error);
    dev = device_find(domain_job_live(dom), wanted, TRUE, error);
    return dev != NULL && device_live_detach_found(dom, dev, wait, error);
}
