/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vcpu>, <vcpus>, <iothreads>, <iothreadids>, <defaultiothread>, <cputune>: see tune_def.h. */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000
#define QUOTA_MIN 1000
#define QUOTA_MAX (G_GINT64_CONSTANT(18446744073709551) / 1000)
#define IOTHREADS_MAX 4096

void vcpu_def_clear(VcpuDef *vcpu)
{
    g_clear_pointer(&vcpu->pin, bitmap_free);
}

IothreadDef *iothread_def_new(guint id)
{
    IothreadDef *iothread = g_new0(IothreadDef, 1);

    iothread->id = id;
    iothread->pool_min = iothread->pool_max = -1;
    return iothread;
}

void iothread_def_free(IothreadDef *iothread)
{
    if (iothread == NULL)
        return;
    bitmap_free(iothread->pin);
    g_free(iothread);
}

void cpu_tune_clear(CpuTune *tune)
{
    g_clear_pointer(&tune->emulator_pin, bitmap_free);
    g_clear_pointer(&tune->resctrl, g_ptr_array_unref);
}

/* --- vCPUs -------------------------------------------------------------------------------------------- */

static gboolean parse_cpuset(xmlNodePtr node, Bitmap **ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, "cpuset");
    g_autoptr(Bitmap) map = NULL;

    if (text == NULL)
        return TRUE;
    map = bitmap_parse(text, 0, error);
    if (map == NULL)
        return FALSE;
    if (bitmap_is_empty(map))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid value of 'cpuset' in element '%s': %s",
                         (const char *)node->name, text);
    bitmap_free(*ret);
    *ret = g_steal_pointer(&map);
    return TRUE;
}

static gboolean parse_vcpu(DomainDef *def, xmlNodePtr node, guint *ret_max, guint *ret_current,
                           GError **error)
{
    g_autofree char *text = xml_get_text(node);
    g_autofree char *placement = xml_get_attr(node, "placement");
    guint64 max;

    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, G_MAXUINT, &max, NULL))
        return error_set(error, VIR_ERR_XML_ERROR, "maximum vcpus count must be an integer");
    *ret_max = *ret_current = (guint)max;
    if (!xml_attr_get_uint(node, "current", XML_OPTIONAL, ret_current, error))
        return FALSE;
    if (placement != NULL && strcmp(placement, "auto") != 0 && strcmp(placement, "static") != 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Invalid value for attribute 'placement' in element 'vcpu': '%s'.", placement);
    def->placement_auto = g_strcmp0(placement, "auto") == 0;
    return def->placement_auto || parse_cpuset(node, &def->cpuset, error);
}

static gboolean parse_vcpus(DomainDef *def, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "vcpu"), list = xml_child(domain, "vcpus");
    guint max = 1, current = 1;

    if (node != NULL && !parse_vcpu(def, node, &max, &current, error))
        return FALSE;
    if (!domain_def_set_vcpus_max(def, max, error))
        return FALSE;
    if (xml_child(list, "vcpu") == NULL)
        return domain_def_set_vcpus(def, current, error);
    def->vcpus_individual = TRUE;
    XML_FOREACH(child, list, "vcpu")
    {
        Tristate enabled = TRISTATE_ABSENT;
        guint id = 0;
        VcpuDef *vcpu;

        if (!xml_attr_get_uint(child, "id", XML_REQUIRED, &id, error))
            return FALSE;
        if (id >= def->vcpus->len)
            return error_set(error, VIR_ERR_XML_ERROR, "vcpu id '%u' is out of range of maximum vcpu count",
                             id);
        vcpu = domain_def_vcpu(def, id);
        if (!xml_attr_get_yes_no(child, "enabled", XML_REQUIRED, &enabled, error) ||
            !xml_attr_get_yes_no(child, "hotpluggable", XML_OPTIONAL, &vcpu->hotpluggable, error) ||
            !xml_attr_get_uint(child, "order", XML_OPTIONAL, &vcpu->order, error))
            return FALSE;
        vcpu->online = enabled == TRISTATE_YES;
    }
    return TRUE;
}

void vcpus_format(XmlWriter *w, const DomainDef *def)
{
    g_autofree char *cpuset = def->cpuset != NULL ? bitmap_format(def->cpuset) : NULL;

    xml_open(w, "vcpu");
    xml_attr(w, "placement", def->placement_auto ? "auto" : "static");
    xml_attr(w, "cpuset", cpuset);
    if (domain_def_vcpus(def) != def->vcpus->len)
        xml_attr_u64(w, "current", domain_def_vcpus(def));
    xml_text_u64(w, def->vcpus->len);
    xml_close(w);
    if (!def->vcpus_individual)
        return;
    xml_open(w, "vcpus");
    for (guint i = 0; i < def->vcpus->len; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        xml_open(w, "vcpu");
        xml_attr_u64(w, "id", i);
        xml_attr(w, "enabled", vcpu->online ? "yes" : "no");
        xml_attr(w, "hotpluggable", tristate_yes_no(vcpu->hotpluggable));
        if (vcpu->order != 0)
            xml_attr_u64(w, "order", vcpu->order);
        xml_close(w);
    }
    xml_close(w);
}

/* --- I/O threads -------------------------------------------------------------------------------------- */

static gboolean parse_pool(xmlNodePtr node, int *ret_min, int *ret_max, GError **error)
{
    *ret_min = *ret_max = -1;
    if (!xml_attr_get_int(node, "thread_pool_min", XML_OPTIONAL, ret_min, error) ||
        !xml_attr_get_int(node, "thread_pool_max", XML_OPTIONAL, ret_max, error))
        return FALSE;
    if (*ret_min < -1 || *ret_max < -1)
        return error_set(error, VIR_ERR_XML_ERROR, "thread pool sizes of element '%s' must not be negative",
                         (const char *)node->name);
    return TRUE;
}

static gboolean parse_iothreads(DomainDef *def, xmlNodePtr domain, GError **error)
{
    xmlNodePtr ids = xml_child(domain, "iothreadids"), pool = xml_child(domain, "defaultiothread");
    guint count = 0;

    if (!xml_child_get_uint(domain, "iothreads", XML_OPTIONAL, &count, error))
        return FALSE;
    if (count > IOTHREADS_MAX || xml_count(ids, "iothread") > IOTHREADS_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "too many iothreads, the limit is %u", IOTHREADS_MAX);
    XML_FOREACH(child, ids, "iothread")
    {
        IothreadDef *iothread;
        guint id = 0;

        if (!xml_attr_get_uint(child, "id", XML_REQUIRED | XML_NONZERO, &id, error))
            return FALSE;
        if (domain_def_iothread(def, id) != NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "duplicate iothread id '%u' found", id);
        iothread = iothread_def_new(id);
        g_ptr_array_add(def->iothreads, iothread);
        if (!parse_pool(child, &iothread->pool_min, &iothread->pool_max, error))
            return FALSE;
    }
    for (guint id = 1; def->iothreads->len < count; id++) {
        if (domain_def_iothread(def, id) == NULL) {
            IothreadDef *iothread = iothread_def_new(id);

            iothread->autofill = TRUE;
            g_ptr_array_add(def->iothreads, iothread);
        }
    }
    if (pool != NULL) {
        def->default_iothread_given = TRUE;
        return parse_pool(pool, &def->default_iothread_pool_min, &def->default_iothread_pool_max, error);
    }
    return TRUE;
}

static void pool_attrs(XmlWriter *w, int min, int max)
{
    if (min >= 0)
        xml_attr_u64(w, "thread_pool_min", (guint64)min);
    if (max >= 0)
        xml_attr_u64(w, "thread_pool_max", (guint64)max);
}

static void format_iothreads(XmlWriter *w, const DomainDef *def)
{
    gboolean list = FALSE;

    if (def->iothreads->len > 0)
        xml_element_u64(w, "iothreads", def->iothreads->len);
    for (guint i = 0; i < def->iothreads->len; i++) {
        const IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

        list |= !iothread->autofill || iothread->pool_min >= 0 || iothread->pool_max >= 0;
    }
    if (list) {
        xml_open(w, "iothreadids");
        for (guint i = 0; i < def->iothreads->len; i++) {
            const IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

            xml_open(w, "iothread");
            xml_attr_u64(w, "id", iothread->id);
            pool_attrs(w, iothread->pool_min, iothread->pool_max);
            xml_close(w);
        }
        xml_close(w);
    }
    if (def->default_iothread_given &&
        (def->default_iothread_pool_min >= 0 || def->default_iothread_pool_max >= 0)) {
        xml_open(w, "defaultiothread");
        pool_attrs(w, def->default_iothread_pool_min, def->default_iothread_pool_max);
        xml_close(w);
    }
}

/* --- <cputune> ---------------------------------------------------------------------------------------- */

static gboolean parse_period(xmlNodePtr node, const char *name, guint64 *ret, GError **error)
{
    if (!xml_child_get_u64(node, name, XML_OPTIONAL, ret, error))
        return FALSE;
    if (*ret > 0 && (*ret < PERIOD_MIN || *ret > PERIOD_MAX))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Value of cputune '%s' must be in range [%d, %d]",
                         name, PERIOD_MIN, PERIOD_MAX);
    return TRUE;
}

static gboolean parse_quota(xmlNodePtr node, const char *name, gint64 *ret, GError **error)
{
    g_autofree char *text = xml_get_child_text(node, name);
    char *end;

    if (text == NULL)
        return TRUE;
    *ret = g_ascii_strtoll(g_strstrip(text), &end, 10);
    if (end == text || *end != '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "can't parse cputune %s value '%s'", name, text);
    if (*ret > 0 && (*ret < QUOTA_MIN || *ret > QUOTA_MAX))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Value of cputune '%s' must be in range [%d, %" G_GINT64_FORMAT "]", name, QUOTA_MIN,
                         QUOTA_MAX);
    return TRUE;
}

static gboolean parse_limits(CpuTune *tune, xmlNodePtr node, GError **error)
{
    g_autofree char *shares = xml_get_child_text(node, "shares");

    tune->shares_given = shares != NULL;
    if (!xml_child_get_u64(node, "shares", XML_OPTIONAL, &tune->shares, error))
        return FALSE;
    if (tune->shares > 0 && (tune->shares < SHARES_MIN || tune->shares > SHARES_MAX))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Value of cputune 'shares' must be in range [%d, %d]",
                         SHARES_MIN, SHARES_MAX);
    return parse_period(node, "period", &tune->period, error) &&
           parse_quota(node, "quota", &tune->quota, error) &&
           parse_period(node, "global_period", &tune->global_period, error) &&
           parse_quota(node, "global_quota", &tune->global_quota, error) &&
           parse_period(node, "emulator_period", &tune->emulator_period, error) &&
           parse_quota(node, "emulator_quota", &tune->emulator_quota, error) &&
           parse_period(node, "iothread_period", &tune->iothread_period, error) &&
           parse_quota(node, "iothread_quota", &tune->iothread_quota, error);
}

static gboolean parse_pins(DomainDef *def, xmlNodePtr node, GError **error)
{
    xmlNodePtr emulator = xml_child(node, "emulatorpin");

    XML_FOREACH(child, node, "vcpupin")
    {
        guint id = 0;

        if (!xml_attr_get_uint(child, "vcpu", XML_REQUIRED, &id, error))
            return FALSE;
        /* A pin of a vCPU beyond the maximum is dropped, as libvirt does. */
        if (id >= def->vcpus->len)
            continue;
        if (domain_def_vcpu(def, id)->pin != NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "duplicate vcpupin for vcpu '%u'", id);
        if (!parse_cpuset(child, &domain_def_vcpu(def, id)->pin, error))
            return FALSE;
        if (domain_def_vcpu(def, id)->pin == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing cpuset for vcpupin");
    }
    if (xml_count(node, "emulatorpin") > 1)
        return error_set(error, VIR_ERR_XML_ERROR, "only one emulatorpin is supported");
    if (emulator != NULL) {
        if (!parse_cpuset(emulator, &def->cputune.emulator_pin, error))
            return FALSE;
        if (def->cputune.emulator_pin == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing cpuset for emulatorpin");
    }
    XML_FOREACH(child, node, "iothreadpin")
    {
        IothreadDef *iothread;
        guint id = 0;

        if (!xml_attr_get_uint(child, "iothread", XML_REQUIRED | XML_NONZERO, &id, error))
            return FALSE;
        iothread = domain_def_iothread(def, id);
        if (iothread == NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Cannot find 'iothread' : %u", id);
        if (iothread->pin != NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "duplicate iothreadpin for same iothread '%u'",
                             id);
        if (!parse_cpuset(child, &iothread->pin, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean parse_sched(xmlNodePtr node, SchedDef *ret, GError **error)
{
    int policy = SCHED_NONE;

    if (!xml_attr_get_enum(node, "scheduler", sched_policy_from_string, XML_REQUIRED | XML_NONZERO, &policy,
                           error))
        return FALSE;
    ret->policy = policy;
    if (policy == SCHED_CLASS_FIFO || policy == SCHED_CLASS_RR)
        return xml_attr_get_int(node, "priority", XML_REQUIRED, &ret->priority, error);
    return TRUE;
}

static Bitmap *sched_targets(xmlNodePtr node, const char *attr, GError **error)
{
    g_autofree char *text = xml_get_attr(node, attr);

    if (text == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "Missing %s attribute in element '%s'", attr,
                  (const char *)node->name);
        return NULL;
    }
    return bitmap_parse(text, 0, error);
}

static gboolean parse_scheds(DomainDef *def, xmlNodePtr node, GError **error)
{
    xmlNodePtr emulator = xml_child(node, "emulatorsched");

    if (emulator != NULL && !parse_sched(emulator, &def->cputune.emulator_sched, error))
        return FALSE;
    XML_FOREACH(child, node, "vcpusched")
    {
        g_autoptr(Bitmap) vcpus = sched_targets(child, "vcpus", error);

        if (vcpus == NULL)
            return FALSE;
        BITMAP_FOREACH(id, vcpus)
        {
            if ((guint)id >= def->vcpus->len)
                continue;
            if (domain_def_vcpu(def, id)->sched.policy != SCHED_NONE)
                return error_set(error, VIR_ERR_XML_DETAIL,
                                 "'vcpusched' attributes 'vcpus' must not overlap");
            if (!parse_sched(child, &domain_def_vcpu(def, id)->sched, error))
                return FALSE;
        }
    }
    XML_FOREACH(child, node, "iothreadsched")
    {
        g_autoptr(Bitmap) ids = sched_targets(child, "iothreads", error);

        if (ids == NULL)
            return FALSE;
        BITMAP_FOREACH(id, ids)
        {
            IothreadDef *iothread = domain_def_iothread(def, id);

            if (iothread == NULL)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "iothreadsched attribute 'iothreads': cannot find 'iothread' : %d", id);
            if (!parse_sched(child, &iothread->sched, error))
                return FALSE;
        }
    }
    return TRUE;
}

gboolean cpu_tune_parse(DomainDef *def, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "cputune");

    if (!parse_vcpus(def, domain, error) || !parse_iothreads(def, domain, error))
        return FALSE;
    if (node == NULL)
        return TRUE;
    if (!parse_limits(&def->cputune, node, error) || !parse_pins(def, node, error) ||
        !parse_scheds(def, node, error))
        return FALSE;
    XML_FOREACH(child, node, NULL)
    {
        if (!xml_is(child, "cachetune") && !xml_is(child, "memorytune"))
            continue;
        if (def->cputune.resctrl == NULL)
            def->cputune.resctrl = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(def->cputune.resctrl, xml_node_dump(child));
    }
    return TRUE;
}

static void format_pin(XmlWriter *w, const char *name, const char *attr, guint id, const Bitmap *pin)
{
    g_autofree char *cpuset = NULL;

    if (pin == NULL)
        return;
    cpuset = bitmap_format(pin);
    xml_open(w, name);
    if (attr != NULL)
        xml_attr_u64(w, attr, id);
    xml_attr(w, "cpuset", cpuset);
    xml_close(w);
}

static void format_sched(XmlWriter *w, const char *name, const char *attr, guint id, const SchedDef *sched)
{
    if (sched->policy == SCHED_NONE)
        return;
    xml_open(w, name);
    if (attr != NULL)
        xml_attr_u64(w, attr, id);
    xml_attr(w, "scheduler", sched_policy_to_string(sched->policy));
    if (sched->policy == SCHED_CLASS_FIFO || sched->policy == SCHED_CLASS_RR)
        xml_attr_printf(w, "priority", "%d", sched->priority);
    xml_close(w);
}

static gboolean cpu_tune_is_given(const DomainDef *def)
{
    const CpuTune *tune = &def->cputune;
    gboolean given =
        tune->shares_given ||
        (tune->period | tune->global_period | tune->emulator_period | tune->iothread_period) != 0 ||
        (tune->quota | tune->global_quota | tune->emulator_quota | tune->iothread_quota) != 0 ||
        tune->emulator_pin != NULL || tune->emulator_sched.policy != SCHED_NONE ||
        (tune->resctrl != NULL && tune->resctrl->len > 0);

    for (guint i = 0; i < def->vcpus->len && !given; i++)
        given = domain_def_vcpu(def, i)->pin != NULL || domain_def_vcpu(def, i)->sched.policy != SCHED_NONE;
    for (guint i = 0; i < def->iothreads->len && !given; i++) {
        const IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

        given = iothread->pin != NULL || iothread->sched.policy != SCHED_NONE;
    }
    return given;
}

static void format_limits(XmlWriter *w, const CpuTune *tune)
{
    const struct {
        const char *period_name, *quota_name;
        guint64 period;
        gint64 quota;
    } limits[] = {
        {"period", "quota", tune->period, tune->quota},
        {"global_period", "global_quota", tune->global_period, tune->global_quota},
        {"emulator_period", "emulator_quota", tune->emulator_period, tune->emulator_quota},
        {"iothread_period", "iothread_quota", tune->iothread_period, tune->iothread_quota},
    };

    if (tune->shares_given)
        xml_element_u64(w, "shares", tune->shares);
    for (guint i = 0; i < G_N_ELEMENTS(limits); i++) {
        if (limits[i].period != 0)
            xml_element_u64(w, limits[i].period_name, limits[i].period);
        if (limits[i].quota != 0)
            xml_element_printf(w, limits[i].quota_name, "%" G_GINT64_FORMAT, limits[i].quota);
    }
}

void cpu_tune_format(XmlWriter *w, const DomainDef *def, guint format_flags)
{
    const CpuTune *tune = &def->cputune;

    format_iothreads(w, def);
    if (!cpu_tune_is_given(def))
        return;
    xml_open(w, "cputune");
    format_limits(w, tune);
    for (guint i = 0; i < def->vcpus->len; i++)
        format_pin(w, "vcpupin", "vcpu", i, domain_def_vcpu(def, i)->pin);
    format_pin(w, "emulatorpin", NULL, 0, tune->emulator_pin);
    for (guint i = 0; i < def->iothreads->len; i++) {
        const IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

        format_pin(w, "iothreadpin", "iothread", iothread->id, iothread->pin);
    }
    format_sched(w, "emulatorsched", NULL, 0, &tune->emulator_sched);
    for (guint i = 0; i < def->vcpus->len; i++)
        format_sched(w, "vcpusched", "vcpus", i, &domain_def_vcpu(def, i)->sched);
    for (guint i = 0; i < def->iothreads->len; i++) {
        const IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

        format_sched(w, "iothreadsched", "iothreads", iothread->id, &iothread->sched);
    }
    for (guint i = 0; tune->resctrl != NULL && i < tune->resctrl->len; i++)
        xml_raw_indented(w, g_ptr_array_index(tune->resctrl, i));
    xml_close(w);
}
