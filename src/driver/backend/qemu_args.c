/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's command line: the whole, in order, and the words its parts use. */
#include "driver/backend/qemu_args.h"

#include <string.h>

#include "driver/backend/disk_chain.h"
#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_audio.h"

void qemu_args_free(QemuArgs *args)
{
    if (args == NULL)
        return;
    g_ptr_array_unref(args->argv);
    g_ptr_array_unref(args->env);
    g_array_unref(args->fds);
    g_free(args);
}

/* --- words --- */

void args_add_text(QemuBuilder *b, const char *option, char *text)
{
    g_ptr_array_add(b->args->argv, g_strdup(option));
    if (text != NULL)
        g_ptr_array_add(b->args->argv, text);
}

void args_add(QemuBuilder *b, const char *option, const char *format, ...)
{
    va_list ap;
    char *text;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    args_add_text(b, option, text);
}

/* <qemu:override> of the device's properties. */
static void override_properties(const QemuBuilder *b, json_t *device)
{
    const GArray *overrides = b->def->qemu.overrides;
    const char *id = json_string_value(json_object_get(device, "id"));

    for (guint i = 0; i < overrides->len; i++) {
        const QemuProperty *property = &g_array_index(overrides, QemuProperty, i);
        json_t *value = NULL;

        if (g_strcmp0(property->alias, id) != 0)
            continue;
        if (property->type == QEMU_PROPERTY_STRING)
            value = json_string(property->value);
        else if (property->type == QEMU_PROPERTY_BOOL)
            value = json_boolean(strcmp(property->value, "true") == 0);
        else if (property->type == QEMU_PROPERTY_SIGNED)
            value = json_integer(g_ascii_strtoll(property->value, NULL, 10));
        else if (property->type == QEMU_PROPERTY_UNSIGNED)
            value = json_integer((json_int_t)g_ascii_strtoull(property->value, NULL, 10));
        json_object_del(device, property->name);
        if (value != NULL)
            json_object_set_new(device, property->name, value);
    }
}

void args_add_json(QemuBuilder *b, const char *option, json_t *object)
{
    char *text;

    if (b->def->qemu.overrides->len > 0 && strcmp(option, "-device") == 0)
        override_properties(b, object);
    text = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    args_add_text(b, option, g_strdup(text ? text : "{}"));
    free(text);
}

int args_pass_fd(QemuBuilder *b, int fd)
{
    g_array_append_val(b->args->fds, fd);
    return fd;
}

gboolean args_has_device(const QemuBuilder *b, const char *type)
{
    return b->context->caps == NULL || qemu_caps_has_device(b->context->caps, type);
}

gboolean args_require_device(const QemuBuilder *b, const char *type, const char *element, GError **error)
{
    if (args_has_device(b, type))
        return TRUE;
    return args_unsupported(error, "%s needs the device '%s', which '%s' does not have", element, type,
                            b->context->emulator);
}

char *args_escape(const char *value)
{
    GString *text = g_string_new(NULL);

    for (; *value != '\0'; value++) {
        if (*value == ',')
            g_string_append_c(text, ',');
        g_string_append_c(text, *value);
    }
    return g_string_free(text, FALSE);
}

gboolean args_unsupported(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", text);
}

void prop_str(json_t *props, const char *key, const char *value)
{
    if (value != NULL)
        json_object_set_new(props, key, json_string(value));
}

void prop_uint(json_t *props, const char *key, guint64 value)
{
    if (value != 0)
        json_object_set_new(props, key, json_integer((json_int_t)value));
}

void prop_int(json_t *props, const char *key, gint64 value)
{
    json_object_set_new(props, key, json_integer(value));
}

void prop_bool(json_t *props, const char *key, Tristate value)
{
    if (value != TRISTATE_ABSENT)
        json_object_set_new(props, key, json_boolean(value == TRISTATE_YES));
}

void prop_onoff(json_t *props, const char *key, Tristate value)
{
    if (value != TRISTATE_ABSENT)
        json_object_set_new(props, key, json_string(value == TRISTATE_YES ? "on" : "off"));
}

/* --- what is refused --- */

static const struct {
    DeviceKind kind;
    const char *why;
} refused_kinds[] = {
    {DEVICE_LEASE, "<lease> needs a lock manager, which is not supported"},
};

static const char *refused_interface(const InterfaceDef *net)
{
    switch (interface_actual_type(net)) {
    case INTERFACE_USER:
    case INTERFACE_ETHERNET:
    case INTERFACE_BRIDGE:
    case INTERFACE_NETWORK: /* resolved before the start */
    case INTERFACE_SERVER:
    case INTERFACE_CLIENT:
    case INTERFACE_MCAST:
    case INTERFACE_UDP:
    case INTERFACE_VHOSTUSER:
    case INTERFACE_HOSTDEV:
    case INTERFACE_VDPA:
        return NULL;
    default:
        return interface_type_to_string(interface_actual_type(net));
    }
}

gboolean qemu_args_supported(const DomainDef *def, char **ret_reason)
{
    for (gsize i = 0; i < G_N_ELEMENTS(refused_kinds); i++) {
        if (domain_def_n(def, refused_kinds[i].kind) > 0) {
            *ret_reason = g_strdup(refused_kinds[i].why);
            return FALSE;
        }
    }
    DOMAIN_DEF_FOREACH(InterfaceDef, net, def, DEVICE_INTERFACE)
    {
        const char *type = refused_interface(net);

        if (type != NULL) {
            *ret_reason = g_strdup_printf("<interface type='%s'> is not supported", type);
            return FALSE;
        }
    }
    if (def->os.arch != NULL && strcmp(def->os.arch, "x86_64") != 0 && strcmp(def->os.arch, "i686") != 0) {
        *ret_reason = g_strdup_printf("architecture '%s' is not supported", def->os.arch);
        return FALSE;
    }
    if (def->launch_security != NULL) {
        *ret_reason = g_strdup("<launchSecurity> is not supported");
        return FALSE;
    }
    return TRUE;
}

/* --- preparing --- */

void qemu_args_prepare(DomainDef *def)
{
    domain_def_boot_order(def);
    disk_chain_number_all(def);
}

/* --- the whole --- */

static void add_identity(QemuBuilder *b)
{
    g_autofree char *name = args_escape(b->def->name);
    char uuid[UUID_TEXT_SIZE];

    uuid_format(b->def->uuid, uuid);
    args_add(b, "-name", "guest=%s,debug-threads=on", name);
    args_add_text(b, "-S", NULL);
    args_add_text(b, "-uuid", g_strdup(uuid));
}

static void add_control(QemuBuilder *b)
{
    args_add(b, "-display", "none");
    args_add_text(b, "-no-user-config", NULL);
    args_add_text(b, "-nodefaults", NULL);
    args_add(b, "-chardev", "socket,id=charmonitor,fd=%d,server=on,wait=off",
             args_pass_fd(b, b->context->monitor_fd));
    if (b->context->caps != NULL && qemu_caps_has_variant(b->context->caps, "object", "monitor-qmp"))
        args_add_json(b, "-object", json_pack("{s:s, s:s, s:s}", "qom-type", "monitor-qmp", "id", "monitor", "chardev",
                                              "charmonitor"));
    else
        args_add(b, "-mon", "chardev=charmonitor,id=monitor,mode=control");
}

static void add_iothreads(QemuBuilder *b)
{
    for (guint i = 0; i < b->def->iothreads->len; i++) {
        const IothreadDef *thread = g_ptr_array_index(b->def->iothreads, i);
        g_autofree char *id = g_strdup_printf("iothread%u", thread->id);
        json_t *props = json_pack("{s:s, s:s}", "qom-type", "iothread", "id", id);

        if (thread->pool_min >= 0)
            prop_int(props, "thread-pool-min", thread->pool_min);
        if (thread->pool_max >= 0)
            prop_int(props, "thread-pool-max", thread->pool_max);
        args_add_json(b, "-object", props);
    }
}

static void add_tail(QemuBuilder *b)
{
    const QemuNamespace *ns = &b->def->qemu;
    gboolean can_sandbox =
        b->context->caps == NULL || qemu_caps_has_option(b->context->caps, "sandbox", NULL);

    if (b->context->incoming != NULL)
        args_add(b, "-incoming", "%s", b->context->incoming);
    if (b->context->sandbox && can_sandbox)
        args_add(b, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if (ns->deprecation == QEMU_DEPRECATION_OMIT)
        args_add(b, "-compat", "deprecated-output=hide");
    else if (ns->deprecation != QEMU_DEPRECATION_NONE)
        args_add(b, "-compat", "deprecated-output=hide,deprecated-input=%s",
                 qemu_deprecation_to_string(ns->deprecation));
    args_add(b, "-msg", "timestamp=on");
    for (guint i = 0; ns->args != NULL && i < ns->args->len; i++)
        g_ptr_array_add(b->args->argv, g_strdup(g_ptr_array_index(ns->args, i)));
    for (guint i = 0; ns->env != NULL && i < ns->env->len; i++) {
        const QemuEnv *env = &g_array_index(ns->env, QemuEnv, i);

        g_ptr_array_add(b->args->env, g_strdup_printf("%s=%s", env->name, env->value ? env->value : ""));
    }
}

static QemuArgs *args_new(void)
{
    QemuArgs *args = g_new0(QemuArgs, 1);

    args->argv = g_ptr_array_new_with_free_func(g_free);
    args->env = g_ptr_array_new_with_free_func(g_free);
    args->fds = g_array_new(FALSE, FALSE, sizeof(int));
    return args;
}

QemuArgs *qemu_args_build(const DomainDef *def, const QemuArgsContext *context, GError **error)
{
    g_autoptr(QemuArgs) args = args_new();
    QemuBuilder builder = {.def = def, .context = context, .args = args}, *b = &builder;
    g_autofree char *reason = NULL;

    if (!qemu_args_supported(def, &reason)) {
        args_unsupported(error, "%s", reason);
        return NULL;
    }
    g_ptr_array_add(args->argv, g_strdup(context->emulator));
    add_identity(b);
    if (!args_machine(b, error) || !args_cpu(b, error) || !args_memory(b, error))
        return NULL;
    add_iothreads(b);
    if (!args_smbios(b, error))
        return NULL;
    add_control(b);
    if (!args_platform(b, error) || !args_controllers(b, error) || !args_memory_devices(b, error) ||
        !args_disks(b, error) || !args_audio(b, error) || !args_chrs(b, error) ||
        !args_tpms_and_smartcards(b, error) || !args_interfaces(b, error) || !args_display(b, error) ||
        !args_host_devices(b, error) || !args_misc(b, error))
        return NULL;
    add_tail(b);
    g_ptr_array_add(args->argv, NULL);
    return g_steal_pointer(&args);
}

static gboolean add_device_words(QemuBuilder *b, const DeviceInfo *dev, GError **error)
{
    json_t *props;

    switch (dev->kind) {
    case DEVICE_DISK:
        return args_disk(b, (const DiskDef *)dev, error);
    case DEVICE_INTERFACE:
        return args_interface(b, (const InterfaceDef *)dev, b->context->nets, error);
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        return args_chr(b, (const ChrDef *)dev, error);
    case DEVICE_MEMORY:
        return args_memory_device(b, (const MemoryDef *)dev, error);
    case DEVICE_INPUT:
        return args_input(b, (const InputDef *)dev, error);
    case DEVICE_CONTROLLER:
        props = qemu_controller_device(b->def, (const ControllerDef *)dev, error);
        if (props == NULL)
            return FALSE;
        args_add_json(b, "-device", props);
        return TRUE;
    case DEVICE_HOSTDEV:
        return args_hostdev(b, (const HostdevDef *)dev, error);
    case DEVICE_REDIRDEV:
        return args_redirdev(b, (const RedirdevDef *)dev, error);
    case DEVICE_SHMEM:
        return args_shmem(b, (const ShmemDef *)dev, error);
    case DEVICE_RNG:
    case DEVICE_WATCHDOG:
    case DEVICE_VSOCK:
        return args_misc_device(b, dev, error);
    default:
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live attach of device '%s' is not supported",
                         device_kind_to_string(dev->kind));
    }
}

QemuArgs *qemu_args_build_device(const DomainDef *def, const DeviceInfo *dev, const QemuArgsContext *context,
                                 GError **error)
{
    g_autoptr(QemuArgs) args = args_new();
    QemuBuilder b = {.def = def, .context = context, .args = args};

    return add_device_words(&b, dev, error) ? g_steal_pointer(&args) : NULL;
}

char *qemu_args_to_text(const QemuArgs *args)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < args->env->len; i++)
        g_string_append_printf(text, "%s \\\n", (const char *)args->env->pdata[i]);
    for (guint i = 0; i < args->argv->len && args->argv->pdata[i] != NULL; i++) {
        const char *word = args->argv->pdata[i];
        g_autofree char *quoted = NULL;

        if (i > 0)
            g_string_append(text, word[0] == '-' ? " \\\n" : " ");
        if (word[0] == '\0' || strpbrk(word, " \t\n\"'{}[]$`\\;&|<>()*?!#~") != NULL)
            quoted = g_shell_quote(word);
        g_string_append(text, quoted ? quoted : word);
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}
