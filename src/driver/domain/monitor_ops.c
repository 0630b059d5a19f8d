/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU program's calls that hand a client's own words to the monitor or to the guest agent:
 * virDomainQemuMonitorCommand(WithFiles) and virDomainQemuAgentCommand. They taint the domain: what was done
 * by them, Kite does not know of.
 */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include <libvirt/libvirt-qemu.h>

#include "driver/backend/agent_client.h"
#include "driver/backend/monitor.h"
#include "driver/backend/vm_process.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_taint.h"
#include "driver/rpc/call.h"

/* Without blanks between words, as libvirt hands replies on: scripts look for "status":"running". What cannot be taken
 * apart (a number beyond 63 bits) stays as the monitor wrote it. */
static void make_compact(char **text)
{
    json_t *value = json_loads(*text, 0, NULL);
    char *compact = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

    if (compact != NULL) {
        g_free(*text);
        *text = g_strdup(compact);
        free(compact);
    }
    json_decref(value);
}

static gboolean monitor_command(Call *call, Domain *dom, const char *command, guint flags, char **ret_result,
                                GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    json_t *message;
    json_error_t problem;
    int fds[QMP_FDS_MAX];
    guint n_fds = MIN(call_n_fds(call), G_N_ELEMENTS(fds));
    gboolean good;

    if (!domain_job_begin_active(dom, "virDomainQemuMonitorCommand", error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;
    vm = domain_vm(dom, NULL, error);
    if (vm == NULL)
        return FALSE;
    domain_taint(dom, DOMAIN_TAINT_CUSTOM_MONITOR);
    if (flags & VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        return vm_human_command(vm_process_qmp(vm), command, ret_result, error);
    message = json_loads(command, JSON_REJECT_DUPLICATES, &problem);
    if (message == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot parse json %s: %s", command, problem.text);
    if (!json_is_object(message)) {
        json_decref(message);
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot parse json %s: a QMP command is an object",
                         command);
    }
    for (guint i = 0; i < n_fds; i++)
        fds[i] = call_take_fd(call, i);
    good = qmp_call_raw(vm_process_qmp(vm), message, fds, n_fds, 0, ret_result, error);
    for (guint i = 0; i < n_fds; i++)
        close(fds[i]);
    if (good)
        make_compact(ret_result);
    return good;
}

gboolean call_qemu_domain_monitor_command(Call *call, const QemuDomainMonitorCommandArgs *args,
                                          QemuDomainMonitorCommandRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP, error);
    return dom != NULL && monitor_command(call, dom, args->cmd, args->flags, &ret->result, error);
}

gboolean call_qemu_domain_monitor_command_with_files(Call *call,
                                                     const QemuDomainMonitorCommandWithFilesArgs *args,
                                                     QemuDomainMonitorCommandWithFilesRet *ret,
                                                     GError **error)
{
    g_autoptr(Domain) dom = NULL;

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP, error))
        return FALSE;
    if (call_n_fds(call) > QMP_FDS_MAX)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "%u descriptors are more than the %u a monitor command may carry", call_n_fds(call),
                         (guint)QMP_FDS_MAX);
    dom = domain_from_wire(call, &args->dom, error);
    return dom != NULL && monitor_command(call, dom, args->cmd, args->flags, &ret->result, error);
}

gboolean call_qemu_domain_agent_command(Call *call, const QemuDomainAgentCommandArgs *args,
                                        QemuDomainAgentCommandRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(AgentClient) agent = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->timeout < VIR_DOMAIN_QEMU_AGENT_COMMAND_MIN)
        return error_set(error, VIR_ERR_INVALID_ARG, "guest agent timeout '%d' is less than the minimum '%d'",
                         args->timeout, VIR_DOMAIN_QEMU_AGENT_COMMAND_MIN);
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    agent = domain_agent(dom, error);
    if (agent == NULL)
        return FALSE;
    domain_taint(dom, DOMAIN_TAINT_CUSTOM_GA_COMMAND);
    return agent_call_raw(agent, args->cmd, args->timeout, &ret->result, error);
}
