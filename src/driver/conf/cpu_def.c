/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cpu>: see cpu_def.h. */
#include "driver/conf/cpu_def.h"

#include <string.h>

#include "common/error.h"

#define VENDOR_ID_LENGTH 12

ENUM_TABLE(cpu_mode, CpuMode, CPU_MODE_LAST, "custom", "host-model", "host-passthrough", "maximum")
ENUM_TABLE(cpu_match, CpuMatch, CPU_MATCH_LAST, "minimum", "exact", "strict")
ENUM_TABLE(cpu_check, CpuCheck, CPU_CHECK_LAST, "default", "none", "partial", "full")
ENUM_TABLE(cpu_fallback, CpuFallback, CPU_FALLBACK_LAST, "allow", "forbid")
ENUM_TABLE(cpu_feature_policy, CpuFeaturePolicy, CPU_FEATURE_LAST, "force", "require", "optional", "disable",
           "forbid")
ENUM_TABLE(cpu_cache_mode, CpuCacheMode, CPU_CACHE_LAST, "emulate", "passthrough", "disable")
ENUM_TABLE(cpu_maxphysaddr, CpuMaxPhysAddr, CPU_MAXPHYSADDR_LAST, "none", "emulate", "passthrough")

static void feature_clear(gpointer feature)
{
    g_free(((CpuFeature *)feature)->name);
}

GArray *cpu_def_features_new(void)
{
    GArray *features = g_array_new(FALSE, TRUE, sizeof(CpuFeature));

    g_array_set_clear_func(features, feature_clear);
    return features;
}

CpuDef *cpu_def_new(void)
{
    CpuDef *cpu = g_new0(CpuDef, 1);

    cpu->match = CPU_MATCH_EXACT;
    cpu->features = cpu_def_features_new();
    return cpu;
}

void cpu_def_free(CpuDef *cpu)
{
    if (cpu == NULL)
        return;
    g_free(cpu->model);
    g_free(cpu->vendor_id);
    g_free(cpu->vendor);
    g_free(cpu->arch);
    g_free(cpu->microcode);
    g_array_unref(cpu->features);
    g_free(cpu);
}

CpuDef *cpu_def_copy(const CpuDef *cpu)
{
    CpuDef *copy;
    GArray *features;

    if (cpu == NULL)
        return NULL;
    copy = cpu_def_new();
    features = copy->features;
    *copy = *cpu;
    copy->model = g_strdup(cpu->model);
    copy->vendor_id = g_strdup(cpu->vendor_id);
    copy->vendor = g_strdup(cpu->vendor);
    copy->arch = g_strdup(cpu->arch);
    copy->microcode = g_strdup(cpu->microcode);
    copy->features = features;
    for (guint i = 0; i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

        cpu_def_set_feature(copy, f->name, f->policy);
    }
    return copy;
}

const CpuFeature *cpu_def_find_feature(const CpuDef *cpu, const char *name)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

void cpu_def_set_feature(CpuDef *cpu, const char *name, int policy)
{
    CpuFeature *known = (CpuFeature *)cpu_def_find_feature(cpu, name);
    CpuFeature feature = {.policy = policy};

    if (known != NULL) {
        known->policy = policy;
        return;
    }
    feature.name = g_strdup(name);
    g_array_append_val(cpu->features, feature);
}

void cpu_def_remove_feature(CpuDef *cpu, const char *name)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        if (strcmp(g_array_index(cpu->features, CpuFeature, i).name, name) == 0) {
            g_array_remove_index(cpu->features, i);
            return;
        }
    }
}

void cpu_def_steal_model(CpuDef *cpu, CpuDef *src, gboolean vendor)
{
    GArray *features = cpu->features;

    g_free(cpu->model);
    cpu->model = g_steal_pointer(&src->model);
    cpu->features = src->features;
    src->features = features;
    g_array_set_size(features, 0);
    if (!vendor)
        return;
    g_free(cpu->vendor);
    cpu->vendor = g_steal_pointer(&src->vendor);
    g_free(cpu->vendor_id);
    cpu->vendor_id = g_steal_pointer(&src->vendor_id);
}

gboolean cpu_def_equal(const CpuDef *a, const CpuDef *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->mode != b->mode || a->match != b->match || a->migratable != b->migratable ||
        g_strcmp0(a->model, b->model) != 0 || g_strcmp0(a->vendor, b->vendor) != 0 ||
        g_strcmp0(a->vendor_id, b->vendor_id) != 0 || a->sockets != b->sockets || a->dies != b->dies ||
        a->cores != b->cores || a->threads != b->threads || a->cache_set != b->cache_set ||
        a->cache_level != b->cache_level || a->cache_mode != b->cache_mode ||
        a->maxphysaddr != b->maxphysaddr || a->maxphysaddr_bits != b->maxphysaddr_bits ||
        a->features->len != b->features->len)
        return FALSE;
    for (guint i = 0; i < a->features->len; i++) {
        const CpuFeature *f = &g_array_index(a->features, CpuFeature, i);
        const CpuFeature *g = cpu_def_find_feature(b, f->name);

        if (g == NULL || g->policy != f->policy)
            return FALSE;
    }
    return TRUE;
}

/* --- parse -------------------------------------------------------------------------------------------- */

static gboolean parse_mode(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    g_autofree char *mode = xml_get_attr(node, "mode");
    g_autofree char *match = xml_get_attr(node, "match");
    int value = CPU_CHECK_DEFAULT;

    if (!cpu->guest)
        return TRUE;
    if (mode != NULL) {
        value = cpu_mode_from_string(mode);
        if (value < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid mode attribute '%s'", mode);
        cpu->mode = value;
        cpu->mode_set = TRUE;
    }
    if (match != NULL) {
        value = cpu_match_from_string(match);
        if (value < 0)
            return error_set(error, VIR_ERR_XML_ERROR, "Invalid match attribute '%s' for CPU specification",
                             match);
        cpu->match = value;
    }
    value = CPU_CHECK_DEFAULT;
    if (!xml_attr_get_enum(node, "check", cpu_check_from_string, XML_NONZERO, &value, error) ||
        !xml_attr_get_on_off(node, "migratable", XML_OPTIONAL, &cpu->migratable, error))
        return FALSE;
    cpu->check = value;
    if (cpu->migratable != TRISTATE_ABSENT && cpu->mode != CPU_MODE_HOST_PASSTHROUGH &&
        cpu->mode != CPU_MODE_MAXIMUM)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Attribute migratable is only allowed for 'host-passthrough' / 'maximum' CPU mode");
    return TRUE;
}

static gboolean parse_model(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr model = xml_child(node, "model");
    g_autofree char *text = xml_get_text(model);
    g_autofree char *fallback = NULL;
    int value = CPU_FALLBACK_ALLOW;

    if (text != NULL && *g_strstrip(text) != '\0')
        cpu->model = g_steal_pointer(&text);
    if (model == NULL || !cpu->guest || cpu->mode == CPU_MODE_HOST_PASSTHROUGH || cpu->mode == CPU_MODE_MAXIMUM)
        return TRUE;
    fallback = xml_get_attr(model, "fallback");
    if (fallback != NULL && (value = cpu_fallback_from_string(fallback)) < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid fallback attribute");
    cpu->fallback = value;
    cpu->vendor_id = xml_get_attr(model, "vendor_id");
    if (cpu->vendor_id != NULL && strlen(cpu->vendor_id) != VENDOR_ID_LENGTH)
        return error_set(error, VIR_ERR_XML_ERROR, "vendor_id must be exactly %d characters long",
                         VENDOR_ID_LENGTH);
    if (cpu->vendor_id != NULL && strchr(cpu->vendor_id, ',') != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "vendor id is invalid");
    return TRUE;
}

static gboolean parse_topology(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr topology = xml_child(node, "topology");

    if (topology == NULL)
        return TRUE;
    cpu->dies = 1;
    return xml_attr_get_uint(topology, "sockets", XML_REQUIRED | XML_NONZERO, &cpu->sockets, error) &&
           xml_attr_get_uint(topology, "dies", XML_NONZERO, &cpu->dies, error) &&
           xml_attr_get_uint(topology, "cores", XML_REQUIRED | XML_NONZERO, &cpu->cores, error) &&
           xml_attr_get_uint(topology, "threads", XML_REQUIRED | XML_NONZERO, &cpu->threads, error);
}

static gboolean parse_cache(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr cache = xml_child(node, "cache"), addr = xml_child(node, "maxphysaddr");
    int mode = 0;

    if (xml_count(node, "cache") > 1)
        return error_set(error, VIR_ERR_XML_ERROR, "at most one CPU cache element may be specified");
    if (cache != NULL) {
        cpu->cache_set = TRUE;
        cpu->cache_level = -1;
        if (!xml_attr_get_int(cache, "level", XML_OPTIONAL, &cpu->cache_level, error) ||
            !xml_attr_get_enum(cache, "mode", cpu_cache_mode_from_string, XML_REQUIRED, &mode, error))
            return FALSE;
        if (cpu->cache_level < -1 || cpu->cache_level > 3)
            return error_set(error, VIR_ERR_XML_ERROR, "invalid CPU cache level, must be in range [1,3]");
        cpu->cache_mode = mode;
    }
    if (addr != NULL) {
        mode = 0;
        if (!xml_attr_get_enum(addr, "mode", cpu_maxphysaddr_from_string, XML_REQUIRED | XML_NONZERO, &mode,
                               error) ||
            !xml_attr_get_uint(addr, "bits", XML_OPTIONAL, &cpu->maxphysaddr_bits, error) ||
            !xml_attr_get_uint(addr, "limit", XML_NONZERO, &cpu->maxphysaddr_limit, error))
            return FALSE;
        cpu->maxphysaddr = mode;
    }
    return TRUE;
}

static gboolean parse_features(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    XML_FOREACH(child, node, "feature")
    {
        g_autofree char *name = xml_get_attr(child, "name");
        g_autofree char *named = xml_get_attr(child, "policy");
        int policy = cpu->guest ? CPU_FEATURE_REQUIRE : -1;

        if (name == NULL || *name == '\0')
            return error_set(error, VIR_ERR_XML_ERROR, "Invalid CPU feature name");
        if (cpu->guest && named != NULL && (policy = cpu_feature_policy_from_string(named)) < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid CPU feature policy");
        if (cpu_def_find_feature(cpu, name) != NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "CPU feature '%s' specified more than once", name);
        cpu_def_set_feature(cpu, name, policy);
    }
    return TRUE;
}

/* What only a host's <cpu> has, and what it cannot have. */
static gboolean parse_host(CpuDef *cpu, xmlNodePtr node, GError **error)
{
    g_autofree char *model = xml_get_child_text(node, "model");

    if (xmlHasProp(node, (const xmlChar *)"mode") != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Attribute mode is only allowed for guest CPU");
    cpu->arch = xml_get_child_text(node, "arch");
    if (cpu->arch == NULL || *cpu->arch == '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "Missing CPU architecture");
    if (model == NULL || *g_strstrip(model) == '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "Missing CPU model name");
    cpu->microcode = xml_get_attr(xml_child(node, "microcode"), "version");
    return TRUE;
}

CpuDef *cpu_def_parse(xmlNodePtr node, gboolean is_guest, GError **error)
{
    g_autoptr(CpuDef) cpu = cpu_def_new();
    g_autofree char *vendor = xml_get_child_text(node, "vendor");

    cpu->guest = is_guest;
    if ((!is_guest && !parse_host(cpu, node, error)) || !parse_mode(cpu, node, error) ||
        !parse_model(cpu, node, error))
        return NULL;
    if (vendor != NULL && *vendor != '\0') {
        if (cpu->model == NULL) {
            error_set(error, VIR_ERR_XML_ERROR, "CPU vendor specified without CPU model");
            return NULL;
        }
        cpu->vendor = g_steal_pointer(&vendor);
    }
    if (!parse_topology(cpu, node, error) || !parse_cache(cpu, node, error) ||
        !parse_features(cpu, node, error))
        return NULL;
    if (cpu->guest && cpu->mode == CPU_MODE_CUSTOM && cpu->model == NULL && cpu->features->len > 0) {
        error_set(error, VIR_ERR_XML_ERROR, "Non-empty feature list specified without CPU model");
        return NULL;
    }
    return g_steal_pointer(&cpu);
}

/* --- what a guest can have ------------------------------------------------------------------------------ */

static gboolean validate_cache(const CpuDef *cpu, GError **error)
{
    const char *mode = cpu_cache_mode_to_string(cpu->cache_mode);

    if (cpu->cache_mode == CPU_CACHE_EMULATE)
        return cpu->cache_level == 3 || error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                                  "CPU cache mode '%s' can only be used with level='3'", mode);
    if (cpu->cache_mode == CPU_CACHE_PASSTHROUGH && cpu->mode != CPU_MODE_HOST_PASSTHROUGH &&
        cpu->mode != CPU_MODE_MAXIMUM)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CPU cache mode '%s' can only be used with 'host-passthrough' / 'maximum' CPUs", mode);
    return cpu->cache_level == -1 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported CPU cache level for mode '%s'", mode);
}

gboolean cpu_def_validate(const CpuDef *cpu, GError **error)
{
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_PASSTHROUGH && cpu->maxphysaddr_bits != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CPU maximum physical address bits number specification cannot be used with "
                         "mode='passthrough'");
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_bits == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "if using CPU maximum physical address mode='emulate', bits= must be specified too");
    return !cpu->cache_set || validate_cache(cpu, error);
}

/* --- format ------------------------------------------------------------------------------------------- */

static gboolean has_model_element(const CpuDef *cpu)
{
    return (cpu->mode == CPU_MODE_CUSTOM || cpu->mode == CPU_MODE_HOST_MODEL) &&
           (cpu->model != NULL || cpu->vendor_id != NULL);
}

static void format_model(XmlWriter *w, const CpuDef *cpu)
{
    if (!has_model_element(cpu))
        return;
    xml_open(w, "model");
    if (cpu->guest && cpu->model != NULL)
        xml_attr(w, "fallback", cpu_fallback_to_string(cpu->fallback));
    if (cpu->guest)
        xml_attr(w, "vendor_id", cpu->vendor_id);
    if (cpu->model != NULL)
        xml_text(w, cpu->model);
    xml_close(w);
}

gboolean cpu_def_is_empty(const CpuDef *cpu)
{
    return cpu->mode == CPU_MODE_CUSTOM && !has_model_element(cpu) && cpu->arch == NULL &&
           cpu->vendor == NULL && cpu->microcode == NULL && cpu->sockets == 0 && !cpu->cache_set &&
           cpu->maxphysaddr == CPU_MAXPHYSADDR_NONE && cpu->features->len == 0;
}

static void format_topology(XmlWriter *w, const CpuDef *cpu)
{
    if (cpu->sockets == 0)
        return;
    xml_open(w, "topology");
    xml_attr_u64(w, "sockets", cpu->sockets);
    xml_attr_u64(w, "dies", cpu->dies);
    xml_attr_u64(w, "cores", cpu->cores);
    xml_attr_u64(w, "threads", cpu->threads);
    xml_close(w);
}

void cpu_def_format_body(XmlWriter *w, const CpuDef *cpu)
{
    if (cpu->guest && (cpu->mode != CPU_MODE_CUSTOM || cpu->model != NULL)) {
        xml_attr(w, "mode", cpu_mode_to_string(cpu->mode));
        if (cpu->mode == CPU_MODE_CUSTOM)
            xml_attr(w, "match", cpu_match_to_string(cpu->match));
        if (cpu->check != CPU_CHECK_DEFAULT)
            xml_attr(w, "check", cpu_check_to_string(cpu->check));
        xml_attr(w, "migratable", tristate_on_off(cpu->migratable));
    }
    xml_element_text(w, "arch", cpu->arch);
    format_model(w, cpu);
    if (cpu->vendor != NULL && (cpu->mode == CPU_MODE_CUSTOM || cpu->mode == CPU_MODE_HOST_MODEL))
        xml_element_text(w, "vendor", cpu->vendor);
    if (cpu->microcode != NULL) {
        xml_open(w, "microcode");
        xml_attr(w, "version", cpu->microcode);
        xml_close(w);
    }
    format_topology(w, cpu);
    if (cpu->cache_set) {
        xml_open(w, "cache");
        if (cpu->cache_level != -1)
            xml_attr_u64(w, "level", (guint64)cpu->cache_level);
        xml_attr(w, "mode", cpu_cache_mode_to_string(cpu->cache_mode));
        xml_close(w);
    }
    if (cpu->maxphysaddr != CPU_MAXPHYSADDR_NONE) {
        xml_open(w, "maxphysaddr");
        xml_attr(w, "mode", cpu_maxphysaddr_to_string(cpu->maxphysaddr));
        if (cpu->maxphysaddr_bits > 0)
            xml_attr_u64(w, "bits", cpu->maxphysaddr_bits);
        if (cpu->maxphysaddr_limit > 0)
            xml_attr_u64(w, "limit", cpu->maxphysaddr_limit);
        xml_close(w);
    }
    for (guint i = 0; i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

        xml_open(w, "feature");
        if (cpu->guest)
            xml_attr(w, "policy",
                     cpu_feature_policy_to_string(f->policy < 0 ? CPU_FEATURE_REQUIRE : f->policy));
        xml_attr(w, "name", f->name);
        xml_close(w);
    }
}
