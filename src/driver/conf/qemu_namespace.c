/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only QEMU understands: the elements of libvirt's qemu namespace. Source: libvirt docs/drvqemu.rst, "Pass-through of
 * arbitrary qemu commands" and what follows it. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/qemu_namespace.h"

ENUM_TABLE(qemu_property, QemuPropertyType, QEMU_PROPERTY_LAST, "string", "unsigned", "signed", "bool", "remove")
ENUM_TABLE(qemu_deprecation, QemuDeprecation, QEMU_DEPRECATION_LAST, "none", "omit", "reject", "crash")

enum { OVERRIDES_MAX = 1024 };

static void env_clear(gpointer data)
{
    QemuEnv *env = data;

    g_free(env->name);
    g_free(env->value);
}

static void property_clear(gpointer data)
{
    QemuProperty *property = data;

    g_free(property->alias);
    g_free(property->name);
    g_free(property->value);
}

void qemu_namespace_init(QemuNamespace *qemu)
{
    qemu->args = g_ptr_array_new_with_free_func(g_free);
    qemu->env = g_array_new(FALSE, TRUE, sizeof(QemuEnv));
    g_array_set_clear_func(qemu->env, env_clear);
    qemu->caps_added = g_ptr_array_new_with_free_func(g_free);
    qemu->caps_removed = g_ptr_array_new_with_free_func(g_free);
    qemu->overrides = g_array_new(FALSE, TRUE, sizeof(QemuProperty));
    g_array_set_clear_func(qemu->overrides, property_clear);
}

void qemu_namespace_clear(QemuNamespace *qemu)
{
    g_ptr_array_unref(qemu->args);
    g_array_unref(qemu->env);
    g_ptr_array_unref(qemu->caps_added);
    g_ptr_array_unref(qemu->caps_removed);
    g_array_unref(qemu->overrides);
}

/* --- parse -------------------------------------------------------------------------------------------- */

static gboolean parse_commandline(QemuNamespace *qemu, xmlNodePtr node, GError **error)
{
    XML_FOREACH(child, node, NULL)
    {
        if (xml_is(child, "arg")) {
            char *value = xml_get_attr(child, "value");

            if (value == NULL)
                return error_set(error, VIR_ERR_INTERNAL_ERROR, "No qemu command-line argument specified");
            g_ptr_array_add(qemu->args, value);
        } else if (xml_is(child, "env")) {
            QemuEnv env = {.name = xml_get_attr(child, "name"), .value = xml_get_attr(child, "value")};

            g_array_append_val(qemu->env, env);
            if (env.name == NULL || *env.name == '\0' || g_ascii_isdigit(*env.name) ||
                strspn(env.name, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "_") != strlen(env.name))
                return error_set(error, VIR_ERR_INTERNAL_ERROR,
                                 "Invalid environment name '%s' of element 'qemu:env'",
                                 env.name != NULL ? env.name : "");
        }
    }
    return TRUE;
}

static gboolean parse_capabilities(QemuNamespace *qemu, xmlNodePtr node, GError **error)
{
    XML_FOREACH(child, node, NULL)
    {
        GPtrArray *list = xml_is(child, "add") ? qemu->caps_added : xml_is(child, "del") ? qemu->caps_removed : NULL;
        char *name = list != NULL ? xml_get_attr(child, "capability") : NULL;

        if (list != NULL && name == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing capability name");
        if (list != NULL)
            g_ptr_array_add(list, name);
    }
    return TRUE;
}

static gboolean is_valid(QemuPropertyType type, const char *value)
{
    switch (type) {
    case QEMU_PROPERTY_UNSIGNED:
        return g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, NULL, NULL);
    case QEMU_PROPERTY_SIGNED:
        return g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, NULL, NULL);
    case QEMU_PROPERTY_BOOL:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    default:
        return TRUE;
    }
}

static gboolean parse_property(QemuNamespace *qemu, xmlNodePtr node, const char *alias, GError **error)
{
    QemuProperty property = {.alias = g_strdup(alias)};
    int type = QEMU_PROPERTY_STRING;

    property.name = xml_get_attr(node, "name");
    property.value = xml_get_attr(node, "value");
    g_array_append_val(qemu->overrides, property);
    if (qemu->overrides->len > OVERRIDES_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "more than %d elements 'qemu:property'", OVERRIDES_MAX);
    if (property.name == NULL || *property.name == '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "missing 'name' attribute for 'qemu:property'");
    if (!xml_attr_get_enum(node, "type", qemu_property_from_string, XML_REQUIRED, &type, error))
        return FALSE;
    g_array_index(qemu->overrides, QemuProperty, qemu->overrides->len - 1).type = type;
    if (type != QEMU_PROPERTY_REMOVE && property.value == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing 'value' attribute for 'qemu:property' '%s'", property.name);
    return property.value == NULL || is_valid(type, property.value) ||
           error_set(error, VIR_ERR_XML_ERROR, "invalid value '%s' of type '%s' for 'qemu:property' '%s'",
                     property.value, qemu_property_to_string(type), property.name);
}

static gboolean parse_override(QemuNamespace *qemu, xmlNodePtr node, GError **error)
{
    XML_FOREACH(device, node, "device")
    {
        g_autofree char *alias = xml_get_attr(device, "alias");

        if (alias == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "missing 'alias' attribute for 'qemu:device'");
        XML_FOREACH(property, xml_child(device, "frontend"), "property")
        {
            if (!parse_property(qemu, property, alias, error))
                return FALSE;
        }
    }
    return TRUE;
}

gboolean qemu_namespace_parse(QemuNamespace *qemu, xmlNodePtr domain, GError **error)
{
    XML_FOREACH(child, domain, NULL)
    {
        gboolean ok = TRUE;
        int deprecation = QEMU_DEPRECATION_NONE;

        if (child->ns == NULL || g_strcmp0((const char *)child->ns->href, QEMU_XML_NAMESPACE) != 0)
            continue;
        if (xml_is(child, "commandline"))
            ok = parse_commandline(qemu, child, error);
        else if (xml_is(child, "capabilities"))
            ok = parse_capabilities(qemu, child, error);
        else if (xml_is(child, "override"))
            ok = parse_override(qemu, child, error);
        else if (xml_is(child, "deprecation"))
            ok = xml_attr_get_enum(child, "behavior", qemu_deprecation_from_string, XML_NONZERO, &deprecation, error);
        if (!ok)
            return FALSE;
        if (deprecation != QEMU_DEPRECATION_NONE)
            qemu->deprecation = deprecation;
    }
    /* As with libvirt, empty elements say nothing. */
    qemu->given = qemu->args->len > 0 || qemu->env->len > 0 || qemu->caps_added->len > 0 ||
                  qemu->caps_removed->len > 0 || qemu->overrides->len > 0 ||
                  qemu->deprecation != QEMU_DEPRECATION_NONE;
    return TRUE;
}

/* --- format ------------------------------------------------------------------------------------------- */

static void format_commandline(XmlWriter *w, const QemuNamespace *qemu)
{
    if (qemu->args->len == 0 && qemu->env->len == 0)
        return;
    xml_open(w, "qemu:commandline");
    for (guint i = 0; i < qemu->args->len; i++) {
        xml_open(w, "qemu:arg");
        xml_attr(w, "value", g_ptr_array_index(qemu->args, i));
        xml_close(w);
    }
    for (guint i = 0; i < qemu->env->len; i++) {
        const QemuEnv *env = &g_array_index(qemu->env, QemuEnv, i);

        xml_open(w, "qemu:env");
        xml_attr(w, "name", env->name);
        xml_attr(w, "value", env->value);
        xml_close(w);
    }
    xml_close(w);
}

static void format_capabilities(XmlWriter *w, const char *element, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        xml_open(w, element);
        xml_attr(w, "capability", g_ptr_array_index(names, i));
        xml_close(w);
    }
}

static void format_overrides(XmlWriter *w, const GArray *overrides)
{
    const char *alias = NULL;

    if (overrides->len == 0)
        return;
    xml_open(w, "qemu:override");
    for (guint i = 0; i < overrides->len; i++) {
        const QemuProperty *property = &g_array_index(overrides, QemuProperty, i);

        if (g_strcmp0(alias, property->alias) != 0) {
            if (alias != NULL) {
                xml_close(w);
                xml_close(w);
            }
            alias = property->alias;
            xml_open(w, "qemu:device");
            xml_attr(w, "alias", alias);
            xml_open(w, "qemu:frontend");
        }
        xml_open(w, "qemu:property");
        xml_attr(w, "name", property->name);
        xml_attr(w, "type", qemu_property_to_string(property->type));
        xml_attr(w, "value", property->value);
        xml_close(w);
    }
    xml_close(w);
    xml_close(w);
    xml_close(w);
}

void qemu_namespace_format(XmlWriter *w, const QemuNamespace *qemu)
{
    format_commandline(w, qemu);
    if (qemu->caps_added->len > 0 || qemu->caps_removed->len > 0) {
        xml_open(w, "qemu:capabilities");
        format_capabilities(w, "qemu:add", qemu->caps_added);
        format_capabilities(w, "qemu:del", qemu->caps_removed);
        xml_close(w);
    }
    format_overrides(w, qemu->overrides);
    if (qemu->deprecation != QEMU_DEPRECATION_NONE) {
        xml_open(w, "qemu:deprecation");
        xml_attr(w, "behavior", qemu_deprecation_to_string(qemu->deprecation));
        xml_close(w);
    }
}
