/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that attach, detach and update devices: of the persistent definition any, of a running domain
 * the medium of a CD-ROM or floppy drive. Hot plug is refused by name.
 */
#include "driver/backend/backend.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

enum { AFFECT = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG };

/* One kind of change to a private copy of a definition. dev is the device of the call's XML; taken when *dev
 * is NULLed. */
typedef gboolean (*Edit)(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error);

static gboolean edit_attach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    if (!domain_def_validate_attach(def, *dev, env, error))
        return FALSE;
    domain_def_insert(def, g_steal_pointer(dev));
    return domain_def_assign_addresses(def, env, error);
}

static gboolean edit_detach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    DeviceInfo *found = domain_def_find_device(def, *dev, error);

    if (found == NULL)
        return FALSE;
    device_def_free(domain_def_steal(def, found));
    return TRUE;
}

static gboolean edit_update(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error)
{
    DeviceInfo *found = domain_def_find_device(def, *dev, error);
    guint place;

    if (found == NULL)
        return FALSE;
    if ((*dev)->address.type == ADDRESS_NONE)
        (*dev)->address = found->address;
    if (!g_ptr_array_find(def->devices[found->kind], found, &place))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "the device is not in its list");
    def->devices[found->kind]->pdata[place] = g_steal_pointer(dev);
    device_def_free(found);
    return domain_def_assign_addresses(def, env, error) && domain_def_validate(def, env, error);
}

static gboolean change_config(Domain *dom, const char *xml, Edit edit, GError **error)
{
    const DomainDefEnv *env = domain_env(dom->driver);
    g_autoptr(DomainDef) def = domain_def_copy_inactive(dom->config, domain_env(NULL), error);
    g_autoptr(DeviceInfo) dev = NULL;

    if (def == NULL)
        return FALSE;
    dev = device_def_parse(xml, def, env, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_ABI_UPDATE, error);
    if (dev == NULL || !edit(def, &dev, env, error))
        return FALSE;
    domain_def_settle(NULL, def);
    return domain_replace_config(dom, g_steal_pointer(&def), error);
}

/* --- media of a running domain -------------------------------------------------------------------------- */

static gboolean change_media(Domain *dom, DiskDef *wanted, gboolean force, GError **error)
{
    guint64 run;
    g_autoptr(VmProcess) vm = domain_vm(dom, &run, error);
    DiskDef *disk = (DiskDef *)domain_def_find_disk(dom->live, wanted->target);
    const BackendOps *ops = vm != NULL ? vm_process_backend(vm) : NULL;

    if (vm == NULL)
        return FALSE;
    if (disk == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk '%s' not found", wanted->target);
    if (!disk_is_removable_media(disk))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk source can be changed only in removable drives, which '%s' is not",
                         disk->target);
    if (ops->change_media == NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "media cannot be changed with %s", ops->name);
    if (storage_source_same(disk->source, wanted->source))
        return TRUE;
    if (!ops->change_media(vm, dom->live, disk, wanted->source, force, error) ||
        !domain_still_running(dom, run, error))
        return FALSE;
    lock_acquire(&dom->lock);
    storage_source_free(disk->source);
    disk->source = g_steal_pointer(&wanted->source);
    wanted->source = storage_source_new(STORAGE_TYPE_FILE);
    lock_release(&dom->lock);
    return TRUE;
}

static gboolean change_live(Domain *dom, const char *xml, Edit edit, gboolean force, GError **error)
{
    g_autoptr(DeviceInfo) dev = NULL;
    gboolean done;

    dev = device_def_parse(xml, dom->live, domain_env(dom->driver), DOMAIN_DEF_PARSE_INACTIVE, error);
    if (dev == NULL)
        return FALSE;
    if (edit == edit_update && dev->kind == DEVICE_DISK)
        done = change_media(dom, (DiskDef *)dev, force, error);
    else
        done = error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live %s of device '%s' is not supported",
                         edit == edit_attach   ? "attach"
                         : edit == edit_detach ? "detach"
                                               : "update",
                         device_kind_to_string(dev->kind));
    domain_save_status(dom);
    return done;
}

static gboolean change(Call *call, const WireDomain *wire, const char *xml, guint flags, Edit edit,
                       GError **error)
{
    g_autoptr(Domain) dom = NULL;
    guint affect = flags & AFFECT;
    gboolean done;

    if (!call_check_flags(call, flags, AFFECT | (edit == edit_update ? VIR_DOMAIN_DEVICE_MODIFY_FORCE : 0),
                          error))
        return FALSE;
    dom = domain_from_wire(call, wire, error);
    if (dom == NULL || !domain_job_begin(dom, call_api(call), error))
        return FALSE;
    lock_acquire(&dom->lock);
    done = domain_affect(dom, &affect, error);
    lock_release(&dom->lock);
    /* The running one first: it can fail for more reasons. */
    if (done && (affect & VIR_DOMAIN_AFFECT_LIVE))
        done = change_live(dom, xml, edit, (flags & VIR_DOMAIN_DEVICE_MODIFY_FORCE) != 0, error);
    if (done && (affect & VIR_DOMAIN_AFFECT_CONFIG))
        done = change_config(dom, xml, edit, error);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_attach_device(Call *call, const DomainAttachDeviceArgs *args, DomainAttachDeviceRet *ret,
                                   GError **error)
{
    return change(call, &args->dom, args->xml, VIR_DOMAIN_AFFECT_LIVE, edit_attach, error);
}

gboolean call_domain_attach_device_flags(Call *call, const DomainAttachDeviceFlagsArgs *args,
                                         DomainAttachDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, edit_attach, error);
}

gboolean call_domain_detach_device(Call *call, const DomainDetachDeviceArgs *args, DomainDetachDeviceRet *ret,
                                   GError **error)
{
    return change(call, &args->dom, args->xml, VIR_DOMAIN_AFFECT_LIVE, edit_detach, error);
}

gboolean call_domain_detach_device_flags(Call *call, const DomainDetachDeviceFlagsArgs *args,
                                         DomainDetachDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, edit_detach, error);
}

gboolean call_domain_update_device_flags(Call *call, const DomainUpdateDeviceFlagsArgs *args,
                                         DomainUpdateDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, edit_update, error);
}
