/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers of a domain's life: create, suspend, resume, shutdown, reboot, reset, destroy, wake-up, NMI.
 */
#define LOG_SOURCE "domain"

#include "common/log.h"
#include "driver/backend/agent_client.h"
#include "driver/backend/monitor.h"
#include "driver/backend/vm_process.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

/* --- create --------------------------------------------------------------------------------------------- */

static void note_autodestroy_end(Client *client, void *driver)
{
    domain_autodestroy(driver, client);
}

/* Before the start: a client that goes away during it is then noticed by domain_start(). */
static gboolean watch_autodestroy(Call *call, guint flags, GError **error)
{
    Client *client = call_client(call);
    Driver *driver = call_driver(call);

    if (!(flags & VIR_DOMAIN_START_AUTODESTROY) || client_get_data(client, "autodestroy") != NULL)
        return TRUE;
    if (!client_add_close_hook(client, note_autodestroy_end, driver, NULL))
        return error_set(error, VIR_ERR_OPERATION_FAILED, "the client is gone");
    client_set_data(client, "autodestroy", driver, NULL);
    return TRUE;
}

static gboolean create_xml(Call *call, const char *xml, guint flags, WireDomain *ret, GError **error)
{
    const guint known = VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_VALIDATE |
                        VIR_DOMAIN_START_RESET_NVRAM;
    Driver *driver = call_driver(call);
    const DomainStart start = {
        .flags = flags, .client = call_client(call), .started_detail = VIR_DOMAIN_EVENT_STARTED_BOOTED};
    guint parse = domain_new_flags(call);
    g_autoptr(DomainDef) def = NULL;
    g_autoptr(Domain) dom = NULL;

    if (!call_check_flags(call, flags, known, error))
        return FALSE;
    if (flags & VIR_DOMAIN_START_VALIDATE)
        parse |= DOMAIN_DEF_PARSE_VALIDATE_SCHEMA;
    def = domain_def_parse(xml, domain_env(driver), parse, error);
    if (def == NULL || !watch_autodestroy(call, flags, error))
        return FALSE;
    dom = domain_claim_locked(driver, def, DOMAIN_CLAIM_CREATE, "virDomainCreateXML", error);
    if (dom == NULL)
        return FALSE;
    if (!domain_start(dom, g_steal_pointer(&def), &start, error)) {
        domain_list_abandon(driver->domains, dom);
        domain_job_end(dom);
        return FALSE;
    }
    domain_to_wire(dom, ret);
    domain_job_end(dom);
    return TRUE;
}

gboolean call_domain_create_xml(Call *call, const DomainCreateXmlArgs *args, DomainCreateXmlRet *ret,
                                GError **error)
{
    return create_xml(call, args->xml_desc, args->flags, &ret->dom, error);
}

static gboolean create(Call *call, const WireDomain *wire, guint flags, WireDomain *ret, GError **error)
{
    const guint known = VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY |
                        VIR_DOMAIN_START_BYPASS_CACHE | VIR_DOMAIN_START_FORCE_BOOT |
                        VIR_DOMAIN_START_RESET_NVRAM;
    const DomainStart start = {
        .flags = flags, .client = call_client(call), .started_detail = VIR_DOMAIN_EVENT_STARTED_BOOTED};
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, wire, flags, known, error);
    if (dom == NULL || !watch_autodestroy(call, flags, error) ||
        !domain_job_begin(dom, "virDomainCreate", error))
        return FALSE;
    done = domain_start(dom, NULL, &start, error);
    if (done && ret != NULL)
        domain_to_wire(dom, ret);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_create(Call *call, const DomainCreateArgs *args, DomainCreateRet *ret, GError **error)
{
    return create(call, &args->dom, 0, NULL, error);
}

gboolean call_domain_create_with_flags(Call *call, const DomainCreateWithFlagsArgs *args,
                                       DomainCreateWithFlagsRet *ret, GError **error)
{
    return create(call, &args->dom, args->flags, &ret->dom, error);
}

/* --- suspend and resume --------------------------------------------------------------------------------- */

/* The modify lock and the VM of a running domain; the lock is released on failure. */
static VmProcess *begin(Domain *dom, const char *api, int *ret_state, GError **error)
{
    VmProcess *vm;

    if (!domain_job_begin_active(dom, api, error))
        return NULL;
    vm = domain_vm(dom, NULL, error);
    if (vm == NULL) {
        domain_job_end(dom);
        return NULL;
    }
    if (ret_state != NULL) {
        lock_acquire(&dom->lock);
        *ret_state = dom->state;
        lock_release(&dom->lock);
    }
    return vm;
}

gboolean call_domain_suspend(Call *call, const DomainSuspendArgs *args, DomainSuspendRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);
    g_autoptr(VmProcess) vm = NULL;
    gboolean done = TRUE;
    int state;

    if (dom == NULL || (vm = begin(dom, "virDomainSuspend", &state, error)) == NULL)
        return FALSE;
    if (state == VIR_DOMAIN_PMSUSPENDED)
        done = error_set(error, VIR_ERR_OPERATION_INVALID, "domain is pmsuspended");
    else if (state != VIR_DOMAIN_PAUSED)
        done = domain_pause_guest(dom, vm, VIR_DOMAIN_PAUSED_USER, error);
    domain_save_status(dom);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_resume(Call *call, const DomainResumeArgs *args, DomainResumeRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);
    g_autoptr(VmProcess) vm = NULL;
    gboolean done = TRUE;
    int state;

    if (dom == NULL || (vm = begin(dom, "virDomainResume", &state, error)) == NULL)
        return FALSE;
    if (state == VIR_DOMAIN_PMSUSPENDED) {
        done = error_set(error, VIR_ERR_OPERATION_INVALID, "domain is pmsuspended");
    } else if (state == VIR_DOMAIN_RUNNING) {
        done = error_set(error, VIR_ERR_OPERATION_INVALID, "domain is already running");
    } else if (state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_CRASHED) {
        domain_revive_disks(dom, vm); /* what failed will be tried again */
        done = domain_resume_guest(dom, vm, VIR_DOMAIN_RUNNING_UNPAUSED, error);
    }
    domain_save_status(dom);
    domain_job_end(dom);
    return done;
}

/* --- shutdown and reboot -------------------------------------------------------------------------------- */

static gboolean by_agent(Domain *dom, gboolean reboot, GError **error)
{
    g_autoptr(AgentClient) agent = domain_agent(dom, error);

    if (agent == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    dom->fake_reboot = FALSE;
    lock_release(&dom->lock);
    return agent_shutdown(agent, reboot ? AGENT_SHUTDOWN_REBOOT : AGENT_SHUTDOWN_POWERDOWN, error);
}

/* The power button; a reboot is the same, and a reset once the guest has shut down. */
static gboolean by_power_button(Domain *dom, const char *api, gboolean must_run, gboolean reboot, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    gboolean done;
    int state;

    vm = begin(dom, api, &state, error);
    if (vm == NULL)
        return FALSE;
    if (state != VIR_DOMAIN_RUNNING && must_run) {
        error_set(error, VIR_ERR_OPERATION_INVALID, "domain is not running");
        domain_job_end(dom);
        return FALSE;
    }
    lock_acquire(&dom->lock);
    dom->fake_reboot = reboot;
    lock_release(&dom->lock);
    done = vm_system_powerdown(vm_process_qmp(vm), error);
    domain_save_status(dom);
    domain_job_end(dom);
    return done;
}

/* wants_agent, wants_acpi: asked for by flag. Neither: the agent when it is there, and the button if it
 * fails. */
static gboolean power_off(Domain *dom, const char *api, gboolean wants_agent, gboolean wants_acpi,
                          gboolean must_run, gboolean reboot, GError **error)
{
    gboolean any = !wants_agent && !wants_acpi;
    gboolean only_agent = wants_agent && !wants_acpi;
    gboolean has_agent, active;
    g_autoptr(GError) cause = NULL;

    lock_acquire(&dom->lock);
    has_agent = dom->agent != NULL;
    active = domain_require_active(dom, error);
    lock_release(&dom->lock);
    if (!active)
        return FALSE;
    if (wants_agent || (any && has_agent)) {
        if (by_agent(dom, reboot, only_agent ? error : &cause))
            return TRUE;
        if (only_agent)
            return FALSE;
        log_debug("domain '%s': agent does not shut it down (%s), pressing the power button", dom->name,
                  cause->message);
        /* It may have gone while we waited for its agent. */
        lock_acquire(&dom->lock);
        active = domain_active(dom);
        lock_release(&dom->lock);
        if (!active)
            return TRUE;
    }
    return by_power_button(dom, api, must_run, reboot, error);
}

static gboolean shut_down(Call *call, const WireDomain *wire, guint flags, GError **error)
{
    const guint known = VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN | VIR_DOMAIN_SHUTDOWN_GUEST_AGENT;
    g_autoptr(Domain) dom = NULL;
    gboolean reboot = FALSE;

    dom = domain_from_wire_flags(call, wire, flags, known, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    if (dom->live != NULL)
        reboot = dom->live->on_poweroff == ACTION_RESTART || dom->live->on_poweroff == ACTION_RENAME_RESTART;
    lock_release(&dom->lock);
    return power_off(dom, "virDomainShutdown", (flags & VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) != 0,
                     (flags & VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) != 0, TRUE, reboot, error);
}

gboolean call_domain_shutdown(Call *call, const DomainShutdownArgs *args, DomainShutdownRet *ret,
                              GError **error)
{
    return shut_down(call, &args->dom, 0, error);
}

gboolean call_domain_shutdown_flags(Call *call, const DomainShutdownFlagsArgs *args,
                                    DomainShutdownFlagsRet *ret, GError **error)
{
    return shut_down(call, &args->dom, args->flags, error);
}

gboolean call_domain_reboot(Call *call, const DomainRebootArgs *args, DomainRebootRet *ret, GError **error)
{
    const guint known = VIR_DOMAIN_REBOOT_ACPI_POWER_BTN | VIR_DOMAIN_REBOOT_GUEST_AGENT;
    g_autoptr(Domain) dom = NULL;
    gboolean reboot = TRUE;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, known, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    if (dom->live != NULL)
        reboot = dom->live->on_reboot != ACTION_DESTROY && dom->live->on_reboot != ACTION_PRESERVE;
    lock_release(&dom->lock);
    return power_off(dom, "virDomainReboot", (args->flags & VIR_DOMAIN_REBOOT_GUEST_AGENT) != 0,
                     (args->flags & VIR_DOMAIN_REBOOT_ACPI_POWER_BTN) != 0, FALSE, reboot, error);
}

gboolean call_domain_reset(Call *call, const DomainResetArgs *args, DomainResetRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, 0, error);
    if (dom == NULL || (vm = begin(dom, "virDomainReset", NULL, error)) == NULL)
        return FALSE;
    done = vm_system_reset(vm_process_qmp(vm), error);
    if (done) {
        lock_acquire(&dom->lock);
        dom->fake_reboot = FALSE;
        if (dom->state == VIR_DOMAIN_CRASHED)
            domain_set_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_CRASHED);
        lock_release(&dom->lock);
        domain_refresh_state(dom, vm, NULL);
        domain_save_status(dom);
    }
    domain_job_end(dom);
    return done;
}

/* --- destroy -------------------------------------------------------------------------------------------- */

static gboolean destroy(Call *call, const WireDomain *wire, guint flags, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autofree char *log_path = NULL;

    dom = domain_from_wire_flags(call, wire, flags,
                                 VIR_DOMAIN_DESTROY_GRACEFUL | VIR_DOMAIN_DESTROY_REMOVE_LOGS, error);
    if (dom == NULL)
        return FALSE;
    log_path = persist_log_path(dom->driver, dom->name);
    if (!domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, (flags & VIR_DOMAIN_DESTROY_GRACEFUL) != 0, error))
        return FALSE;
    if (flags & VIR_DOMAIN_DESTROY_REMOVE_LOGS)
        persist_remove_log(log_path);
    return TRUE;
}

gboolean call_domain_destroy(Call *call, const DomainDestroyArgs *args, DomainDestroyRet *ret, GError **error)
{
    return destroy(call, &args->dom, 0, error);
}

gboolean call_domain_destroy_flags(Call *call, const DomainDestroyFlagsArgs *args, DomainDestroyFlagsRet *ret,
                                   GError **error)
{
    return destroy(call, &args->dom, args->flags, error);
}

void domain_autodestroy(Driver *driver, Client *client)
{
    g_autoptr(GPtrArray) active =
        domain_list_collect(driver->domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE, NULL, NULL, NULL);

    for (guint i = 0; i < active->len; i++) {
        Domain *dom = g_ptr_array_index(active, i);
        g_autoptr(GError) error = NULL;
        gboolean ours;

        lock_acquire(&dom->lock);
        ours = dom->autodestroy == client;
        lock_release(&dom->lock);
        if (!ours)
            continue;
        log_info("domain '%s' is destroyed because the client that started it has gone", dom->name);
        if (!domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, &error))
            log_warning("domain '%s': %s", dom->name, error->message);
    }
}

/* --- wake up, NMI --------------------------------------------------------------------------------------- */

/* A command without arguments to the VM, in a job; no flags are known. */
static gboolean send_plain(Call *call, const WireDomain *which, guint flags, const char *api,
                           gboolean (*command)(QmpClient *qmp, GError **error), GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, which, flags, 0, error);
    if (dom == NULL || (vm = begin(dom, api, NULL, error)) == NULL)
        return FALSE;
    done = command(vm_process_qmp(vm), error);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_pm_wakeup(Call *call, const DomainPmWakeupArgs *args, DomainPmWakeupRet *ret,
                               GError **error)
{
    return send_plain(call, &args->dom, args->flags, "virDomainPMWakeup", vm_system_wakeup, error);
}

gboolean call_domain_inject_nmi(Call *call, const DomainInjectNmiArgs *args, DomainInjectNmiRet *ret,
                                GError **error)
{
    return send_plain(call, &args->dom, args->flags, "virDomainInjectNMI", vm_inject_nmi, error);
}
