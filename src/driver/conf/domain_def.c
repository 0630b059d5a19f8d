/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making, reading and freeing of domain definitions. Writing is in domain_format.c. */
#include "driver/conf/domain_def.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/def_chr.h"

ENUM_TABLE(virt_type, VirtType, VIRT_LAST, "none", "qemu", "kvm")
ENUM_TABLE(lifecycle_action, LifecycleAction, ACTION_LAST, "destroy", "restart", "rename-restart", "preserve",
           "coredump-destroy", "coredump-restart")
ENUM_TABLE(lock_failure_action, LockFailureAction, LOCKFAIL_LAST, "default", "poweroff", "restart", "pause",
           "ignore")
ENUM_TABLE(perf_event, PerfEvent, PERF_LAST, "cmt", "mbmt", "mbml", "cpu_cycles", "instructions",
           "cache_references", "cache_misses", "branch_instructions", "branch_misses", "bus_cycles",
           "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock", "task_clock",
           "page_faults", "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj",
           "alignment_faults", "emulation_faults")
ENUM_TABLE(seclabel_type, SeclabelType, SECLABEL_LAST, "default", "none", "dynamic", "static")

/* --- making and freeing ------------------------------------------------------------------------------- */

static void vcpu_clear(gpointer vcpu)
{
    vcpu_def_clear(vcpu);
}

static void seclabel_free(gpointer data)
{
    SeclabelDef *seclabel = data;

    g_free(seclabel->model);
    g_free(seclabel->label);
    g_free(seclabel->imagelabel);
    g_free(seclabel->baselabel);
    g_free(seclabel);
}

DomainDef *domain_def_new(void)
{
    DomainDef *def = g_new0(DomainDef, 1);

    def->id = -1;
    def->metadata = g_ptr_array_new_with_free_func(g_free);
    memory_tune_init(&def->memtune);
    def->vcpus = g_array_new(FALSE, TRUE, sizeof(VcpuDef));
    g_array_set_clear_func(def->vcpus, vcpu_clear);
    def->iothreads = g_ptr_array_new_with_free_func((GDestroyNotify)iothread_def_free);
    def->default_iothread_pool_min = def->default_iothread_pool_max = -1;
    def->sysinfo = g_ptr_array_new_with_free_func((GDestroyNotify)sysinfo_def_free);
    def->seclabels = g_ptr_array_new_with_free_func(seclabel_free);
    qemu_namespace_init(&def->qemu);
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++)
        def->devices[kind] = g_ptr_array_new_with_free_func((GDestroyNotify)device_def_free);
    return def;
}

void domain_def_free(DomainDef *def)
{
    if (def == NULL)
        return;
    if (def->backend_private != NULL && def->backend_private_free != NULL)
        def->backend_private_free(def->backend_private);
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++)
        g_ptr_array_unref(def->devices[kind]);
    g_free(def->name);
    g_free(def->title);
    g_free(def->description);
    g_ptr_array_unref(def->metadata);
    memory_tune_clear(&def->memtune);
    blkio_tune_clear(&def->blkiotune);
    g_array_unref(def->vcpus);
    bitmap_free(def->cpuset);
    g_ptr_array_unref(def->iothreads);
    cpu_tune_clear(&def->cputune);
    numa_tune_clear(&def->numatune);
    g_free(def->partition);
    g_free(def->appid);
    g_ptr_array_unref(def->sysinfo);
    os_def_clear(&def->os);
    features_def_clear(&def->features);
    cpu_def_free(def->cpu);
    numa_def_clear(&def->numa);
    clock_def_clear(&def->clock);
    g_free(def->emulator);
    g_ptr_array_unref(def->seclabels);
    g_free(def->keywrap);
    g_free(def->launch_security);
    g_free(def->idmap);
    qemu_namespace_clear(&def->qemu);
    g_free(def);
}

/* --- parse -------------------------------------------------------------------------------------------- */

static gboolean parse_uuid_element(xmlNodePtr domain, const char *name, guint8 uuid[16], GError **error)
{
    g_autofree char *text = xml_get_child_text(domain, name);

    if (text == NULL || *text == '\0') {
        uuid_generate(uuid);
        return TRUE;
    }
    if (!uuid_parse(text, uuid))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "malformed %s element: '%s' is not a UUID", name,
                         text);
    return TRUE;
}

/* Name, ids, texts, metadata. */
static gboolean parse_identity(DomainDef *def, xmlNodePtr domain, guint flags, GError **error)
{
    g_autofree char *type = xml_get_attr(domain, "type");
    int virt_type = virt_type_from_string(type);

    if (!(flags & DOMAIN_DEF_PARSE_INACTIVE) &&
        !xml_attr_get_int(domain, "id", XML_OPTIONAL, &def->id, error))
        return FALSE;
    def->name = xml_get_child_text(domain, "name");
    if (def->name == NULL || *def->name == '\0')
        return error_set(error, VIR_ERR_NO_NAME, "missing or empty 'name' element of the domain");
    if (!parse_uuid_element(domain, "uuid", def->uuid, error))
        return FALSE;
    if (type == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing domain type attribute");
    if (virt_type <= VIRT_NONE)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "Invalid value for attribute 'type' in element 'domain': '%s': supported are kvm, qemu", type);
    def->virt_type = virt_type;
    if (xml_child(domain, "genid") != NULL) {
        def->genid_given = TRUE;
        if (!parse_uuid_element(domain, "genid", def->genid, error))
            return FALSE;
    }
    def->title = xml_get_child_text(domain, "title");
    if (def->title != NULL && *def->title == '\0')
        g_clear_pointer(&def->title, g_free);
    if (def->title != NULL && strchr(def->title, '\n') != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Domain title can't contain newlines");
    def->description = xml_get_child_text(domain, "description");
    if (def->description != NULL && *def->description == '\0')
        g_clear_pointer(&def->description, g_free);
    return TRUE;
}

/* One element a namespace; elements without namespace are dropped, as libvirt does. */
static void parse_metadata(DomainDef *def, xmlNodePtr domain)
{
    g_autoptr(GHashTable) seen = NULL;

    XML_FOREACH(child, xml_child(domain, "metadata"), NULL)
    {
        if (child->ns == NULL || child->ns->href == NULL)
            continue;
        if (seen == NULL)
            seen = g_hash_table_new(g_str_hash, g_str_equal);
        if (g_hash_table_add(seen, (gpointer)child->ns->href))
            g_ptr_array_add(def->metadata, xml_node_dump(child));
    }
}

static gboolean parse_memory(DomainDef *def, xmlNodePtr domain, GError **error)
{
    xmlNodePtr memory = xml_child(domain, "memory"), max = xml_child(domain, "maxMemory");

    if (!xml_child_get_memory_kib(domain, "memory", XML_OPTIONAL, &def->memory, error) ||
        !xml_child_get_memory_kib(domain, "currentMemory", XML_OPTIONAL, &def->current_memory, error) ||
        !xml_child_get_memory_kib(domain, "maxMemory", XML_OPTIONAL, &def->max_memory, error))
        return FALSE;
    def->current_memory_given = def->current_memory > 0;
    if (max != NULL && !xml_attr_get_uint(max, "slots", XML_OPTIONAL, &def->memory_slots, error))
        return FALSE;
    if (memory != NULL && !xml_attr_get_on_off(memory, "dumpCore", XML_OPTIONAL, &def->dump_core, error))
        return FALSE;
    return memory_tune_parse(&def->memtune, domain, error);
}

static gboolean parse_sysinfo(DomainDef *def, xmlNodePtr domain, GError **error)
{
    gboolean with_uuid = xml_child(domain, "uuid") != NULL;

    XML_FOREACH(child, domain, "sysinfo")
    {
        gboolean has_uuid = FALSE;
        SysinfoDef *sysinfo = sysinfo_def_parse(child, with_uuid ? def->uuid : NULL, &has_uuid, error);

        if (sysinfo == NULL)
            return FALSE;
        g_ptr_array_add(def->sysinfo, sysinfo);
        /* Without <uuid> the one of <sysinfo> is the domain's. */
        if (has_uuid && !with_uuid)
            uuid_parse(sysinfo_def_get(sysinfo, "system", "uuid"), def->uuid);
    }
    return TRUE;
}

static gboolean parse_action(xmlNodePtr domain, const char *name, int (*from_string)(const char *), int *ret,
                             GError **error)
{
    g_autofree char *text = xml_get_child_text(domain, name);
    int value;

    if (text == NULL || *text == '\0')
        return TRUE;
    value = from_string(text);
    if (value < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown %s action: %s", name, text);
    *ret = value;
    return TRUE;
}

static gboolean parse_actions(DomainDef *def, xmlNodePtr domain, GError **error)
{
    int poweroff = ACTION_DESTROY, reboot = ACTION_RESTART, crash = ACTION_DESTROY, lock = LOCKFAIL_DEFAULT;
    xmlNodePtr pm = xml_child(domain, "pm"), mem = xml_child(pm, "suspend-to-mem");
    xmlNodePtr disk = xml_child(pm, "suspend-to-disk");

    if (!parse_action(domain, "on_poweroff", lifecycle_action_from_string, &poweroff, error) ||
        !parse_action(domain, "on_reboot", lifecycle_action_from_string, &reboot, error) ||
        !parse_action(domain, "on_crash", lifecycle_action_from_string, &crash, error) ||
        !parse_action(domain, "on_lockfailure", lock_failure_action_from_string, &lock, error))
        return FALSE;
    def->on_poweroff = poweroff;
    def->on_reboot = reboot;
    def->on_crash = crash;
    def->on_lockfailure = lock;
    if (mem != NULL && !xml_attr_get_yes_no(mem, "enabled", XML_OPTIONAL, &def->pm_s3, error))
        return FALSE;
    if (disk != NULL && !xml_attr_get_yes_no(disk, "enabled", XML_OPTIONAL, &def->pm_s4, error))
        return FALSE;
    XML_FOREACH(child, xml_child(domain, "perf"), "event")
    {
        Tristate enabled = TRISTATE_ABSENT;
        int event = 0;

        if (!xml_attr_get_enum(child, "name", perf_event_from_string, XML_REQUIRED, &event, error) ||
            !xml_attr_get_yes_no(child, "enabled", XML_REQUIRED, &enabled, error))
            return FALSE;
        if (def->perf[event] != TRISTATE_ABSENT)
            return error_set(error, VIR_ERR_XML_ERROR, "perf event '%s' was already specified",
                             perf_event_to_string(event));
        def->perf[event] = enabled;
    }
    return TRUE;
}

static gboolean parse_seclabels(DomainDef *def, xmlNodePtr domain, guint flags, GError **error)
{
    XML_FOREACH(child, domain, "seclabel")
    {
        SeclabelDef *seclabel = g_new0(SeclabelDef, 1);
        int type = SECLABEL_DYNAMIC;

        g_ptr_array_add(def->seclabels, seclabel);
        seclabel->model = xml_get_attr(child, "model");
        if (!xml_attr_get_enum(child, "type", seclabel_type_from_string, XML_NONZERO, &type, error) ||
            !xml_attr_get_yes_no(child, "relabel", XML_OPTIONAL, &seclabel->relabel, error))
            return FALSE;
        seclabel->type = type;
        if (type == SECLABEL_STATIC && seclabel->relabel == TRISTATE_ABSENT)
            seclabel->relabel = TRISTATE_NO;
        else if (seclabel->relabel == TRISTATE_ABSENT)
            seclabel->relabel = type == SECLABEL_NONE ? TRISTATE_NO : TRISTATE_YES;
        if (type == SECLABEL_DYNAMIC && seclabel->relabel != TRISTATE_YES)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "dynamic label type must use resource relabeling");
        if (type == SECLABEL_NONE && seclabel->relabel != TRISTATE_NO)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "resource relabeling is not compatible with 'none' label type");
        if (type == SECLABEL_STATIC || (type == SECLABEL_DYNAMIC && !(flags & DOMAIN_DEF_PARSE_INACTIVE)))
            seclabel->label = xml_get_child_text(child, "label");
        if (type == SECLABEL_STATIC && seclabel->label == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "security label is missing in element 'seclabel'");
        if (type != SECLABEL_NONE && !(flags & DOMAIN_DEF_PARSE_INACTIVE))
            seclabel->imagelabel = xml_get_child_text(child, "imagelabel");
        if (type == SECLABEL_DYNAMIC)
            seclabel->baselabel = xml_get_child_text(child, "baselabel");
    }
    for (guint i = 0; i < def->seclabels->len; i++) {
        const SeclabelDef *seclabel = g_ptr_array_index(def->seclabels, i);

        for (guint j = 0; j < i; j++) {
            if (g_strcmp0(seclabel->model, ((SeclabelDef *)g_ptr_array_index(def->seclabels, j))->model) == 0)
                return error_set(error, VIR_ERR_XML_DETAIL, "seclabel for model %s is already provided",
                                 seclabel->model != NULL ? seclabel->model : "(none)");
        }
    }
    for (guint i = 0; def->seclabels->len > 1 && i < def->seclabels->len; i++) {
        if (((SeclabelDef *)g_ptr_array_index(def->seclabels, i))->model == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "missing security model when using multiple labels");
    }
    return TRUE;
}

/* An element that is only kept, in libvirt's style. */
static void write_element(XmlWriter *w, xmlNodePtr node)
{
    xml_open(w, (const char *)node->name);
    for (xmlAttrPtr attr = node->properties; attr != NULL; attr = attr->next) {
        g_autofree char *value = xml_get_attr(node, (const char *)attr->name);

        xml_attr(w, (const char *)attr->name, value);
    }
    XML_FOREACH(child, node, NULL)
    write_element(w, child);
    if (xml_child(node, NULL) == NULL) {
        g_autofree char *text = xml_get_text(node);

        if (*text != '\0')
            xml_text(w, text);
    }
    xml_close(w);
}

static char *keep_child(xmlNodePtr domain, const char *name)
{
    xmlNodePtr node = xml_child(domain, name);
    XmlWriter *w;

    if (node == NULL)
        return NULL;
    w = xml_writer_new(0);
    write_element(w, node);
    return xml_writer_finish(w);
}

static gboolean parse_devices(DomainDef *def, xmlNodePtr domain, const DeviceContext *ctx, GError **error)
{
    guint n = 0;
    char *emulator = xml_get_child_text(xml_child(domain, "devices"), "emulator");

    def->emulator = emulator;
    if (emulator != NULL && *emulator == '\0')
        g_clear_pointer(&def->emulator, g_free);
    XML_FOREACH(child, xml_child(domain, "devices"), NULL)
    {
        DeviceInfo *dev;
        int kind = device_kind_of_element(child);

        if (kind < 0)
            continue;
        if (++n > DOMAIN_DEVICES_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "domain '%s' has more than %u devices", def->name,
                             DOMAIN_DEVICES_MAX);
        if (device_def_ops(kind)->single && def->devices[kind]->len > 0)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "only a single %s device is supported",
                             device_kind_to_string(kind));
        dev = device_def_parse_node(child, ctx, error);
        if (dev == NULL)
            return FALSE;
        /* Of consoles it is the order that counts, whatever number they had. */
        if (dev->kind == DEVICE_CONSOLE && !(ctx->flags & DOMAIN_DEF_PARSE_STATUS))
            ((ChrDef *)dev)->port = (int)domain_def_n(def, DEVICE_CONSOLE);
        /* A copy keeps the order of what it was made from: controllers that were added stand last, as with libvirt. */
        if (ctx->flags & DOMAIN_DEF_PARSE_STATUS)
            g_ptr_array_add(def->devices[dev->kind], dev);
        else
            domain_def_insert(def, dev);
    }
    return TRUE;
}

/* "auto" of the vCPUs' and of the memory's placement imply each other where the other one is not spoken of.
 */
static void fill_placement(DomainDef *def, xmlNodePtr domain)
{
    gboolean pinned = def->cpuset != NULL || def->cputune.emulator_pin != NULL;

    for (guint i = 0; i < def->vcpus->len; i++)
        pinned |= domain_def_vcpu(def, i)->pin != NULL;
    if (def->numatune.memory_given && def->numatune.placement_auto && !pinned)
        def->placement_auto = TRUE;
    if (def->placement_auto && !def->numatune.memory_given && def->numatune.memnodes == NULL) {
        def->numatune.memory_given = TRUE;
        def->numatune.placement_auto = TRUE;
        def->numatune.mode = NUMATUNE_STRICT;
    }
}

static gboolean parse_all(DomainDef *def, xmlNodePtr domain, const DeviceContext *ctx, GError **error)
{
    xmlNodePtr cpu = xml_child(domain, "cpu"), resource = xml_child(domain, "resource");

    if (!parse_identity(def, domain, ctx->flags, error) || !parse_memory(def, domain, error) ||
        !blkio_tune_parse(&def->blkiotune, domain, error) || !cpu_tune_parse(def, domain, error))
        return FALSE;
    parse_metadata(def, domain);
    if (cpu != NULL) {
        def->cpu = cpu_def_parse(cpu, TRUE, error);
        if (def->cpu == NULL || !numa_def_parse(&def->numa, cpu, error))
            return FALSE;
    }
    if (!numa_tune_parse(&def->numatune, &def->numa, domain, error))
        return FALSE;
    fill_placement(def, domain);
    def->partition = xml_get_child_text(resource, "partition");
    def->appid = xml_get_attr(xml_child(resource, "fibrechannel"), "appid");
    if (def->partition != NULL && *def->partition != '/')
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'partition': resource partition '%s' must start with '/'", def->partition);
    if (!parse_sysinfo(def, domain, error) || !os_def_parse(&def->os, domain, error) ||
        !features_def_parse(&def->features, domain, error) || !clock_def_parse(&def->clock, domain, error) ||
        !parse_actions(def, domain, error) || !parse_seclabels(def, domain, ctx->flags, error) ||
        !qemu_namespace_parse(&def->qemu, domain, error))
        return FALSE;
    def->keywrap = keep_child(domain, "keywrap");
    def->launch_security = keep_child(domain, "launchSecurity");
    def->idmap = keep_child(domain, "idmap");
    return parse_devices(def, domain, ctx, error);
}

DomainDef *domain_def_parse_node(xmlNodePtr node, const DomainDefEnv *env, guint flags, GError **error)
{
    g_autoptr(DomainDef) def = domain_def_new();
    DeviceContext ctx = {.flags = flags, .def = def, .env = env != NULL ? env : &domain_def_env_default};

    if (!parse_all(def, node, &ctx, error))
        return NULL;
    if (flags & DOMAIN_DEF_PARSE_STATUS) {
        domain_def_complete(def);
    } else {
        if (!domain_def_post_parse(def, ctx.env, flags, error))
            return NULL;
        if (!(flags & DOMAIN_DEF_PARSE_SKIP_VALIDATE) && !domain_def_validate(def, ctx.env, error))
            return NULL;
    }
    return g_steal_pointer(&def);
}

DomainDef *domain_def_parse(const char *xml, const DomainDefEnv *env, guint flags, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    gsize length = strlen(xml);

    if (length > DOMAIN_XML_MAX) {
        error_set(error, VIR_ERR_XML_ERROR, "the domain definition is %zu bytes long, the limit is %u",
                  length, DOMAIN_XML_MAX);
        return NULL;
    }
    doc = xml_parse(xml, "(domain_definition)", "domain", error);
    if (doc == NULL)
        return NULL;
    if (flags & DOMAIN_DEF_PARSE_VALIDATE_SCHEMA) {
        const char *path =
            env != NULL && env->schema_path != NULL ? env->schema_path : KITE_SCHEMADIR "/domain.rng";

        if (!xml_validate_rng(path, doc, error))
            return NULL;
    }
    return domain_def_parse_node(xmlDocGetRootElement(doc), env, flags, error);
}

DomainDef *domain_def_parse_file(const char *path, const DomainDefEnv *env, guint flags, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    DomainDef *def;

    if (!g_file_get_contents(path, &text, NULL, &cause)) {
        error_set(error, VIR_ERR_OPERATION_FAILED, "Failed to open file '%s': %s", path, cause->message);
        return NULL;
    }
    def = domain_def_parse(text, env, flags, &cause);
    if (def == NULL)
        error_set_from(error, error_from(cause), error_number(cause), "%s: %s", path, cause->message);
    return def;
}

DomainDef *domain_def_copy(const DomainDef *def, const DomainDefEnv *env, GError **error)
{
    g_autofree char *xml = domain_def_format(def, DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_STATUS);

    return domain_def_parse(xml, env, DOMAIN_DEF_PARSE_STATUS | DOMAIN_DEF_PARSE_SKIP_VALIDATE, error);
}

DomainDef *domain_def_copy_inactive(const DomainDef *def, const DomainDefEnv *env, GError **error)
{
    g_autofree char *xml = domain_def_format(def, DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_INACTIVE);

    return domain_def_parse(xml, env, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_STATUS, error);
}
