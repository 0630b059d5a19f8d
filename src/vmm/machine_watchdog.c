/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a watchdog that ran out makes of the machine (QEMU 7.2, qapi/run-state.json, WatchdogAction). Main thread. */
#include <errno.h>

#include "common/enum_table.h"
#include "vmm/log.h"
#include "vmm/machine_internal.h"
#include "vmm/pci/i6300esb.h"

int machine_set_watchdog_action(Machine *m, const char *action, Err *err)
{
    int v = enum_table_value(watchdog_action_names, WATCHDOG_LAST, action);

    if (v < 0)
        return err_set(err, EINVAL, "Parameter 'action' does not accept value '%.40s'", action);
    m->watchdog_action = (WatchdogAction)v;
    return 0;
}

void machine_watchdog_expired(Machine *m)
{
    machine_emit(m, "WATCHDOG", json_pack("{s:s}", "action", watchdog_action_names[m->watchdog_action]));
    switch (m->watchdog_action) {
    case WATCHDOG_RESET:
        machine_post(m, PENDING_RESET);
        break;
    case WATCHDOG_SHUTDOWN:
        machine_power_button(m);
        break;
    case WATCHDOG_POWEROFF:
        machine_exit(m, 0, true, "guest-shutdown");
        break;
    case WATCHDOG_PAUSE:
        machine_stop(m, RUN_WATCHDOG);
        break;
    case WATCHDOG_DEBUG:
        log_note("the watchdog has run out");
        break;
    case WATCHDOG_INJECT_NMI:
        machine_nmi(m);
        break;
    default:
        break;
    }
}

/* A timer, perhaps in the middle of something. */
static void expired(void *opaque)
{
    machine_post(opaque, PENDING_WATCHDOG);
}

int machine_watchdog_new(Machine *m, const char *id, PciDevice **ret, Err *err)
{
    WatchdogHost host = {.loop = m->loop, .expired = expired, .opaque = m};

    return i6300esb_new(id, &host, ret, err);
}
