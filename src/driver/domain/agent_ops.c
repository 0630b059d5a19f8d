/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that ask the guest agent to do something: host name, clock, file systems, passwords, keys,
 * vCPUs, suspend. Each is one or two agent commands (QEMU's qga/qapi-schema.json) under the agent's own
 * turn-taking; the domain's locks are not held meanwhile, so a slow agent delays nobody but its callers.
 */
#include <jansson.h>
#include <string.h>

#include "common/bitmap.h"

#include "driver/backend/agent_client.h"
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/agent_figures.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

/* The agent of the domain that the call names, or FALSE from the handler. */
#define WITH_AGENT(known_flags)                                                                              \
    g_autoptr(Domain) dom = NULL;                                                                            \
    g_autoptr(AgentClient) agent = NULL;                                                                     \
    if (!call_check_flags(call, args->flags, (known_flags), error))                                          \
        return FALSE;                                                                                        \
    dom = domain_from_wire(call, &args->dom, error);                                                         \
    if (dom == NULL)                                                                                         \
        return FALSE;                                                                                        \
    agent = domain_agent(dom, error);                                                                        \
    if (agent == NULL)                                                                                       \
    return FALSE

static gboolean command(AgentClient *agent, const char *name, json_t *args, json_t **ret, GError **error)
{
    return agent_call(agent, name, args, AGENT_TIMEOUT_DEFAULT, ret, error);
}

static gboolean malformed(const char *name, GError **error)
{
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "malformed data in the guest agent's reply to '%s'",
                     name);
}

/* --- name and clock ------------------------------------------------------------------------------------- */

gboolean call_domain_get_hostname(Call *call, const DomainGetHostnameArgs *args, DomainGetHostnameRet *ret,
                                  GError **error)
{
    const guint sources = VIR_DOMAIN_GET_HOSTNAME_LEASE | VIR_DOMAIN_GET_HOSTNAME_AGENT;
    autojson *reply = NULL;

    if (!call_check_flags(call, args->flags, sources, error))
        return FALSE;
    if ((args->flags & sources) == sources)
        return error_set_flags(error, ERROR_FROM,
                               "Flags 'VIR_DOMAIN_GET_HOSTNAME_LEASE' and "
                               "'VIR_DOMAIN_GET_HOSTNAME_AGENT' are mutually exclusive");
    if (args->flags & VIR_DOMAIN_GET_HOSTNAME_LEASE) {
        g_autoptr(Domain) named = domain_from_wire(call, &args->dom, error);

        if (named == NULL)
            return FALSE;
        LOCK_SCOPE(&named->lock);
        return domain_require_active(named, error) &&
               error_set(error, VIR_ERR_NO_HOSTNAME, "no hostname found for domain %s", named->name);
    }
    WITH_AGENT(sources);
    /* Why it does not say is no matter to libvirt's clients. */
    if (!command(agent, "guest-get-host-name", NULL, &reply, NULL) || jstr(reply, "host-name") == NULL)
        return error_set(error, VIR_ERR_NO_HOSTNAME, "no hostname found for domain %s", args->dom.name);
    ret->hostname = g_strdup(jstr(reply, "host-name"));
    return TRUE;
}

gboolean call_domain_get_time(Call *call, const DomainGetTimeArgs *args, DomainGetTimeRet *ret,
                              GError **error)
{
    autojson *reply = NULL;
    gint64 ns;

    WITH_AGENT(0);
    if (!command(agent, "guest-get-time", NULL, &reply, error))
        return FALSE;
    if (!json_is_integer(reply))
        return malformed("guest-get-time", error);
    ns = json_integer_value(reply);
    ret->seconds = ns / 1000000000;
    ret->nseconds = (guint32)(ns % 1000000000);
    return TRUE;
}

gboolean call_domain_set_time(Call *call, const DomainSetTimeArgs *args, DomainSetTimeRet *ret,
                              GError **error)
{
    gint64 ns;
    json_t *arguments = NULL;

    WITH_AGENT(VIR_DOMAIN_TIME_SYNC);
    if (!(args->flags & VIR_DOMAIN_TIME_SYNC)) {
        /* guest-set-time takes nanoseconds in a signed 64-bit number. */
        if (__builtin_mul_overflow(args->seconds, G_GINT64_CONSTANT(1000000000), &ns) ||
            __builtin_add_overflow(ns, (gint64)args->nseconds, &ns))
            return error_set(error, VIR_ERR_INVALID_ARG, "Time '%lld' is too big for guest agent",
                             (long long)args->seconds);
        arguments = json_pack("{s:I}", "time", (json_int_t)ns);
    }
    return command(agent, "guest-set-time", arguments, NULL, error);
}

/* --- file systems --------------------------------------------------------------------------------------- */

static json_t *string_list(char *const *items, guint n)
{
    json_t *list = json_array();

    for (guint i = 0; i < n; i++)
        json_array_append_new(list, json_string(items[i]));
    return list;
}

gboolean call_domain_fsfreeze(Call *call, const DomainFsfreezeArgs *args, DomainFsfreezeRet *ret,
                              GError **error)
{
    autojson *reply = NULL;
    gboolean some = args->mountpoints_len > 0;

    WITH_AGENT(0);
    if (!command(
            agent, some ? "guest-fsfreeze-freeze-list" : "guest-fsfreeze-freeze",
            some ? json_pack("{s:o}", "mountpoints", string_list(args->mountpoints, args->mountpoints_len))
                 : NULL,
            &reply, error))
        return FALSE;
    ret->filesystems = (gint32)json_integer_value(reply);
    return TRUE;
}

gboolean call_domain_fsthaw(Call *call, const DomainFsthawArgs *args, DomainFsthawRet *ret, GError **error)
{
    autojson *reply = NULL;

    /* The agent thaws everything or nothing; libvirt refuses a list as well. */
    if (args->mountpoints_len > 0)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "specifying mountpoints is not supported");
    WITH_AGENT(0);
    if (!command(agent, "guest-fsfreeze-thaw", NULL, &reply, error))
        return FALSE;
    ret->filesystems = (gint32)json_integer_value(reply);
    return TRUE;
}

gboolean call_domain_fstrim(Call *call, const DomainFstrimArgs *args, DomainFstrimRet *ret, GError **error)
{
    if (args->mountPoint != NULL)
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "Specifying mount point is not supported for now");
    WITH_AGENT(0);
    return command(agent, "guest-fstrim",
                   json_pack("{s:I}", "minimum", (json_int_t)MIN(args->minimum, G_MAXINT64)), NULL, error);
}

gboolean call_domain_get_fsinfo(Call *call, const DomainGetFsinfoArgs *args, DomainGetFsinfoRet *ret,
                                GError **error)
{
    autojson *reply = NULL;
    size_t i;
    const json_t *fs;

    WITH_AGENT(0);
    if (!command(agent, "guest-get-fsinfo", NULL, &reply, error))
        return FALSE;
    if (!json_is_array(reply))
        return malformed("guest-get-fsinfo", error);
    ret->info = g_new0(WireDomainFsinfo, json_array_size(reply) + 1);
    json_array_foreach(reply, i, fs)
    {
        WireDomainFsinfo *out = &ret->info[i];
        g_auto(GStrv) aliases = agent_fs_aliases(dom, fs);
        guint n = g_strv_length(aliases);

        out->mountpoint = g_strdup(jstr(fs, "mountpoint") ?: "");
        out->name = g_strdup(jstr(fs, "name") ?: "");
        out->fstype = g_strdup(jstr(fs, "type") ?: "");
        out->dev_aliases = g_new0(char *, n + 1);
        out->dev_aliases_len = n;
        for (guint k = 0; k < n; k++)
            out->dev_aliases[k] = g_strdup(aliases[k]);
        ret->info_len++;
    }
    ret->ret = ret->info_len;
    return TRUE;
}

/* --- users ---------------------------------------------------------------------------------------------- */

gboolean call_domain_set_user_password(Call *call, const DomainSetUserPasswordArgs *args,
                                       DomainSetUserPasswordRet *ret, GError **error)
{
    g_autofree char *encoded = NULL;

    if (args->user == NULL || args->password == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "user and password are required");
    WITH_AGENT(VIR_DOMAIN_PASSWORD_ENCRYPTED);
    encoded = g_base64_encode((const guchar *)args->password, strlen(args->password));
    return command(agent, "guest-set-user-password",
                   json_pack("{s:b, s:s, s:s}", "crypted", (args->flags & VIR_DOMAIN_PASSWORD_ENCRYPTED) != 0,
                             "username", args->user, "password", encoded),
                   NULL, error);
}

gboolean call_domain_authorized_ssh_keys_get(Call *call, const DomainAuthorizedSshKeysGetArgs *args,
                                             DomainAuthorizedSshKeysGetRet *ret, GError **error)
{
    autojson *reply = NULL;
    const json_t *keys, *key;
    size_t i;

    WITH_AGENT(0);
    if (!command(agent, "guest-ssh-get-authorized-keys", json_pack("{s:s}", "username", args->user), &reply,
                 error))
        return FALSE;
    keys = json_object_get(reply, "keys");
    if (!json_is_array(keys))
        return malformed("guest-ssh-get-authorized-keys", error);
    ret->keys = g_new0(char *, json_array_size(keys) + 1);
    json_array_foreach(keys, i, key)
    {
        if (json_string_value(key) != NULL)
            ret->keys[ret->keys_len++] = g_strdup(json_string_value(key));
    }
    return TRUE;
}

gboolean call_domain_authorized_ssh_keys_set(Call *call, const DomainAuthorizedSshKeysSetArgs *args,
                                             DomainAuthorizedSshKeysSetRet *ret, GError **error)
{
    const guint append = VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND,
                removal = VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE;
    json_t *keys;

    if ((args->flags & append) && (args->flags & removal))
        return error_set_flags(error, ERROR_FROM,
                               "Flags 'VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND' and "
                               "'VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE' are mutually exclusive");
    if ((args->flags & (append | removal)) && args->keys_len == 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "keys must be given to append or to remove them");
    WITH_AGENT(append | removal);
    keys = string_list(args->keys, args->keys_len);
    if (args->flags & removal)
        return command(agent, "guest-ssh-remove-authorized-keys",
                       json_pack("{s:s, s:o}", "username", args->user, "keys", keys), NULL, error);
    return command(
        agent, "guest-ssh-add-authorized-keys",
        json_pack("{s:s, s:o, s:b}", "username", args->user, "keys", keys, "reset", !(args->flags & append)),
        NULL, error);
}

/* --- processors ----------------------------------------------------------------------------------------- */

enum { GUEST_VCPU_MAX = 4096 }; /* ids; a guest that names a higher one is not believed */

gboolean call_domain_get_guest_vcpus(Call *call, const DomainGetGuestVcpusArgs *args,
                                     DomainGetGuestVcpusRet *ret, GError **error)
{
    autojson *reply = NULL;
    g_auto(TypedParams) params = {0};

    WITH_AGENT(0);
    if (!command(agent, "guest-get-vcpus", NULL, &reply, error))
        return FALSE;
    typed_params_init(&params);
    if (!agent_vcpu_params(reply, &params, error))
        return FALSE;
    ret->params = typed_params_steal(&params, &ret->params_len);
    return TRUE;
}

gboolean call_domain_set_guest_vcpus(Call *call, const DomainSetGuestVcpusArgs *args,
                                     DomainSetGuestVcpusRet *ret, GError **error)
{
    g_autoptr(Bitmap) wanted = NULL;
    autojson *reply = NULL, *changed = NULL;
    json_t *list;
    const json_t *vcpu;
    size_t i;
    guint found = 0;

    if (args->state != 0 && args->state != 1)
        return error_set(error, VIR_ERR_INVALID_ARG, "unsupported state value");
    wanted = bitmap_parse(args->cpumap, GUEST_VCPU_MAX, error);
    if (wanted == NULL)
        return FALSE;
    WITH_AGENT(0);
    if (!command(agent, "guest-get-vcpus", NULL, &reply, error))
        return FALSE;
    list = json_array();
    json_array_foreach(reply, i, vcpu)
    {
        gint64 id = jint(vcpu, "logical-id", -1);

        if (id < 0 || id >= GUEST_VCPU_MAX || !bitmap_get(wanted, (guint)id))
            continue;
        found++;
        if (args->state == 0 && !jbool(vcpu, "can-offline")) {
            json_decref(list);
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "vCPU '%lld' is not offlinable",
                             (long long)id);
        }
        json_array_append_new(list,
                              json_pack("{s:I, s:b}", "logical-id", (json_int_t)id, "online", args->state));
    }
    if (found < bitmap_count(wanted)) {
        json_decref(list);
        return error_set(error, VIR_ERR_INVALID_ARG, "guest is missing vCPUs '%s'", args->cpumap);
    }
    return command(agent, "guest-set-vcpus", json_pack("{s:o}", "vcpus", list), &changed, error);
}

/* --- deadline and suspend ------------------------------------------------------------------------------- */

gboolean call_domain_agent_set_response_timeout(Call *call, const DomainAgentSetResponseTimeoutArgs *args,
                                                DomainAgentSetResponseTimeoutRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->timeout < VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK)
        return error_set(error, VIR_ERR_INVALID_ARG, "guest agent timeout '%d' is less than the minimum '%d'",
                         args->timeout, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    {
        LOCK_SCOPE(&dom->lock);
        dom->agent_timeout = args->timeout;
        if (dom->agent != NULL)
            agent_client_set_timeout(dom->agent, args->timeout);
    }
    domain_save_status(dom);
    ret->result = 0;
    return TRUE;
}

static gboolean check_suspend(Domain *dom, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    gboolean can = FALSE, asked;

    if (!domain_job_begin_active(dom, "virDomainPMSuspendForDuration", error))
        return FALSE;
    vm = domain_vm(dom, NULL, error);
    asked = vm != NULL && vm_can_suspend(vm_process_qmp(vm), &can, error);
    domain_job_end(dom);
    if (asked && !can)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "Domain does not have suspend support");
    return asked;
}

gboolean call_domain_pm_suspend_for_duration(Call *call, const DomainPmSuspendForDurationArgs *args,
                                             DomainPmSuspendForDurationRet *ret, GError **error)
{
    static const char *const what[] = {
        [VIR_NODE_SUSPEND_TARGET_MEM] = "ram",
        [VIR_NODE_SUSPEND_TARGET_DISK] = "disk",
        [VIR_NODE_SUSPEND_TARGET_HYBRID] = "hybrid",
    };

    if (args->duration != 0)
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "Duration not supported. Use 0 for now");
    if (args->target >= G_N_ELEMENTS(what))
        return error_set(error, VIR_ERR_INVALID_ARG, "Unknown suspend target: %u", args->target);
    WITH_AGENT(0);
    if (!check_suspend(dom, error))
        return FALSE;
    {
        LOCK_SCOPE(&dom->lock);
        const DomainDef *def = domain_def(dom);
        gboolean disk = args->target == VIR_NODE_SUSPEND_TARGET_DISK;
        gboolean hybrid = args->target == VIR_NODE_SUSPEND_TARGET_HYBRID;

        if (!disk && def->pm_s3 == TRISTATE_NO)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "S3 state is disabled for this domain");
        if ((disk || hybrid) && def->pm_s4 == TRISTATE_NO)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "S4 state is disabled for this domain");
    }
    return agent_suspend(agent, what[args->target], error);
}
