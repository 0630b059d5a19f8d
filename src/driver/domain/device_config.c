/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices in and out of a definition that does not run: what may be done to which kind, and libvirt's words when it
 * may not. Source of codes and texts: libvirt's documented errors and the behaviour of its QEMU driver. */
#include <string.h>

#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_filesystem.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_watchdog.h"
#include "driver/domain/devices.h"

enum { CAN_ATTACH = 1, CAN_DETACH = 2, CAN_UPDATE = 4 };

static const guint possible[DEVICE_KIND_LAST] = {
    [DEVICE_DISK] = CAN_ATTACH | CAN_DETACH | CAN_UPDATE,
    [DEVICE_INTERFACE] = CAN_ATTACH | CAN_DETACH | CAN_UPDATE,
    [DEVICE_MEMORY] = CAN_ATTACH | CAN_DETACH | CAN_UPDATE,
    [DEVICE_GRAPHICS] = CAN_UPDATE,
    [DEVICE_SOUND] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_HOSTDEV] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_LEASE] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_CONTROLLER] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_SERIAL] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_PARALLEL] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_CONSOLE] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_CHANNEL] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_FILESYSTEM] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_RNG] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_REDIRDEV] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_SHMEM] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_WATCHDOG] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_INPUT] = CAN_ATTACH | CAN_DETACH,
    [DEVICE_VSOCK] = CAN_ATTACH | CAN_DETACH,
};

static gboolean is_chr(DeviceKind kind)
{
    return kind == DEVICE_SERIAL || kind == DEVICE_PARALLEL || kind == DEVICE_CONSOLE || kind == DEVICE_CHANNEL;
}

const char *device_word(DeviceKind kind)
{
    return is_chr(kind) ? "chr" : device_kind_to_string(kind);
}

static gboolean check_possible(DeviceKind kind, guint what, const char *word, GError **error)
{
    return (possible[kind] & what) ||
           error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "persistent %s of device '%s' is not supported", word,
                     device_word(kind));
}

static gboolean is_serial_console(const DeviceInfo *dev)
{
    return dev->kind == DEVICE_CONSOLE && chr_is_serial_console((const ChrDef *)dev);
}

/* --- finding -------------------------------------------------------------------------------------------- */

static void say_missing_interface(const InterfaceDef *net, GError **error)
{
    g_autofree char *address =
        net->info.address.type == ADDRESS_PCI && net->info.address.u.pci.given
            ? pci_address_text(&net->info.address.u.pci)
            : g_strdup("(<null>)");

    error_set(error, VIR_ERR_DEVICE_MISSING,
              "no device found at address '%s' matching MAC address '%s' and alias '%s'", address,
              net->mac != NULL && !net->mac_generated ? net->mac : "(<null>)",
              net->info.alias != NULL ? net->info.alias : "(<null>)");
}

static void say_missing(const DeviceInfo *wanted, gboolean live, GError **error)
{
    switch (wanted->kind) {
    case DEVICE_DISK:
        error_set(error, VIR_ERR_DEVICE_MISSING, live ? "disk %s not found" : "no target device %s",
                  ((const DiskDef *)wanted)->target);
        break;
    case DEVICE_INTERFACE:
        say_missing_interface((const InterfaceDef *)wanted, error);
        break;
    case DEVICE_CONTROLLER:
        if (live)
            error_set(error, VIR_ERR_DEVICE_MISSING, "controller %s:%d not found",
                      controller_type_to_string(((const ControllerDef *)wanted)->type),
                      ((const ControllerDef *)wanted)->index);
        else
            error_set(error, VIR_ERR_DEVICE_MISSING, "device not present in domain configuration");
        break;
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        if (live)
            error_set(error, VIR_ERR_DEVICE_MISSING, "chr type '%s' device not present in domain configuration",
                      device_kind_to_string(wanted->kind));
        else
            error_set(error, VIR_ERR_INVALID_ARG, "device not present in domain configuration");
        break;
    case DEVICE_WATCHDOG:
        error_set(error, VIR_ERR_DEVICE_MISSING, "domain has no watchdog");
        break;
    default:
        error_set(error, VIR_ERR_DEVICE_MISSING, "matching %s device not found", device_word(wanted->kind));
    }
}

DeviceInfo *device_find(const DomainDef *def, const DeviceInfo *wanted, gboolean live, GError **error)
{
    g_autoptr(GError) cause = NULL;
    DeviceInfo *found = domain_def_find_device(def, wanted, &cause);
    const InterfaceDef *net = (const InterfaceDef *)wanted;

    if (found != NULL)
        return found;
    if (error_is(cause, VIR_ERR_DEVICE_MISSING))
        say_missing(wanted, live, error);
    else if (wanted->kind == DEVICE_INTERFACE && net->mac != NULL && !net->mac_generated)
        error_set(error, VIR_ERR_OPERATION_FAILED, "multiple devices matching MAC address %s found", net->mac);
    else if (wanted->kind == DEVICE_INTERFACE)
        error_set(error, VIR_ERR_OPERATION_FAILED, "multiple matching devices found");
    else
        g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

gboolean device_compatible(const DomainDef *def, const DeviceInfo *wanted, const DeviceInfo *old, gboolean live,
                           GError **error)
{
    const MemoryDef *memory = (const MemoryDef *)wanted;

    if (old != NULL && live) {
        if (wanted->alias != NULL && old->alias != NULL && strcmp(wanted->alias, old->alias) != 0)
            return error_set(error, VIR_ERR_OPERATION_DENIED, "changing device alias is not allowed");
        if (wanted->acpi_index != old->acpi_index)
            return error_set(error, VIR_ERR_OPERATION_DENIED, "changing device 'acpi index' is not allowed");
    }
    if (wanted->boot_index > 0 && def->os.n_boot > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "per-device boot elements cannot be used together with os/boot elements");
    for (int kind = 0; kind < DEVICE_KIND_LAST && wanted->boot_index > 0; kind++) {
        for (guint i = 0; i < domain_def_n(def, kind); i++) {
            const DeviceInfo *other = domain_def_get(def, kind, i);

            if (other != old && other->boot_index == wanted->boot_index)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "boot order %u is already used by another device", wanted->boot_index);
        }
    }
    if (wanted->kind == DEVICE_MEMORY && def->max_memory == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "cannot use/hotplug a memory device when domain 'maxMemory' is not defined");
    if (wanted->kind == DEVICE_MEMORY && old == NULL && def->memory + memory->size > def->max_memory)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Attaching memory device with size '%" G_GUINT64_FORMAT
                         "' would exceed domain's maxMemory config size '%" G_GUINT64_FORMAT "'",
                         memory->size, def->max_memory);
    return TRUE;
}

/* --- attach --------------------------------------------------------------------------------------------- */

static gboolean check_attach(const DomainDef *def, const DeviceInfo *dev, GError **error)
{
    if (is_serial_console(dev))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "attaching serial console is not supported");
    if (is_chr(dev->kind) && (dev->kind == DEVICE_CHANNEL || ((const ChrDef *)dev)->port != -1) &&
        domain_def_find_device(def, dev, NULL) != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "chardev already exists");
    if ((dev->kind == DEVICE_HOSTDEV || dev->kind == DEVICE_SHMEM || dev->kind == DEVICE_LEASE) &&
        domain_def_find_device(def, dev, NULL) != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "device is already in the domain configuration");
    if (dev->kind == DEVICE_WATCHDOG && domain_def_n(def, DEVICE_WATCHDOG) > 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain already has a watchdog");
    if (dev->kind == DEVICE_VSOCK && domain_def_n(def, DEVICE_VSOCK) > 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain already has a vsock device");
    if (dev->kind == DEVICE_MEMORY && domain_def_n(def, DEVICE_MEMORY) >= def->memory_slots)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no free memory device slot available");
    DOMAIN_DEF_FOREACH(FilesystemDef, fs, def, DEVICE_FILESYSTEM)
    {
        if (dev->kind == DEVICE_FILESYSTEM && g_strcmp0(fs->target, ((const FilesystemDef *)dev)->target) == 0)
            return error_set(error, VIR_ERR_OPERATION_INVALID, "Target already exists");
    }
    return TRUE;
}

/* What follows from a changed list of devices: controllers, twins, addresses; then all checks. */
static gboolean complete(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    return domain_def_post_parse(def, env, DOMAIN_DEF_PARSE_INACTIVE, error) &&
           domain_def_assign_addresses(def, env, error) && domain_def_validate(def, env, error);
}

gboolean device_config_attach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    const MemoryDef *memory = (const MemoryDef *)*dev;

    if (!check_possible((*dev)->kind, CAN_ATTACH, "attach", error) || !device_compatible(def, *dev, NULL, FALSE, error) ||
        !check_attach(def, *dev, error) || !domain_def_validate_attach(def, *dev, env, error))
        return FALSE;
    if (memory->info.kind == DEVICE_MEMORY) {
        def->memory += memory->size;
        def->current_memory += memory->size;
    }
    domain_def_insert(def, g_steal_pointer(dev));
    return complete(def, env, error);
}

/* --- detach --------------------------------------------------------------------------------------------- */

/* The console that is only the first serial port's other name goes with it. */
static void drop_twin(DomainDef *def, const DeviceInfo *serial)
{
    DeviceInfo *console = domain_def_get(def, DEVICE_CONSOLE, 0);

    if (serial->kind == DEVICE_SERIAL && domain_def_get(def, DEVICE_SERIAL, 0) == serial && console != NULL &&
        is_serial_console(console))
        device_def_free(domain_def_steal(def, console));
}

gboolean device_config_detach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    DeviceInfo *found;

    if (!check_possible((*dev)->kind, CAN_DETACH, "detach", error))
        return FALSE;
    if (is_serial_console(*dev))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "detaching serial console is not supported");
    found = (*dev)->kind == DEVICE_WATCHDOG ? domain_def_get(def, DEVICE_WATCHDOG, 0) : NULL;
    if (found == NULL)
        found = device_find(def, *dev, FALSE, error);
    if (found == NULL)
        return FALSE;
    drop_twin(def, found);
    if (found->kind == DEVICE_MEMORY) {
        def->memory -= MIN(def->memory, ((MemoryDef *)found)->size);
        def->current_memory -= MIN(def->current_memory, ((MemoryDef *)found)->size);
    }
    device_def_free(domain_def_steal(def, found));
    return complete(def, env, error);
}

/* --- update --------------------------------------------------------------------------------------------- */

static DeviceInfo *find_for_update(const DomainDef *def, const DeviceInfo *wanted, GError **error)
{
    DeviceInfo *found;

    if (wanted->kind == DEVICE_DISK) {
        found = domain_def_find_disk(def, ((const DiskDef *)wanted)->target);
        if (found == NULL)
            error_set(error, VIR_ERR_INVALID_ARG, "target %s doesn't exist.", ((const DiskDef *)wanted)->target);
    } else if (wanted->kind == DEVICE_GRAPHICS) {
        found = domain_def_find_device(def, wanted, NULL);
        if (found == NULL)
            error_set(error, VIR_ERR_INVALID_ARG, "cannot find existing graphics type '%s' device to modify",
                      graphics_type_to_string(((const GraphicsDef *)wanted)->type));
    } else {
        found = device_find(def, wanted, FALSE, error);
    }
    return found;
}

gboolean device_config_update(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    DeviceInfo *old;
    guint place = 0;

    if (!check_possible((*dev)->kind, CAN_UPDATE, "update", error))
        return FALSE;
    old = find_for_update(def, *dev, error);
    if (old == NULL || !device_compatible(def, *dev, old, FALSE, error))
        return FALSE;
    if ((*dev)->kind == DEVICE_MEMORY)
        def->memory = def->memory - ((MemoryDef *)old)->size + ((MemoryDef *)*dev)->size;
    if ((*dev)->kind == DEVICE_DISK && ((DiskDef *)*dev)->bus != ((DiskDef *)old)->bus) {
        /* Another bus is another place, also in the list. */
        device_def_free(domain_def_steal(def, old));
        domain_def_insert(def, g_steal_pointer(dev));
        return complete(def, env, error);
    }
    if ((*dev)->address.type == ADDRESS_NONE ||
        ((*dev)->address.type == ADDRESS_PCI && !(*dev)->address.u.pci.given))
        (*dev)->address = old->address;
    g_ptr_array_find(def->devices[old->kind], old, &place);
    def->devices[old->kind]->pdata[place] = g_steal_pointer(dev);
    device_def_free(old);
    return complete(def, env, error);
}
