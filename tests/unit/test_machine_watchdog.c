/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watchdog as Linux's i6300esb drives it: unlocking, two stages, pings, the lock; and what running out does. Below a
 * bridge to conventional PCI, where libvirt puts it, and on the root bus. */
#include <stdlib.h>
#include <string.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"

enum { CONFIG = 0x60, LOCK = 0x68, PRELOAD1 = 0, PRELOAD2 = 4, RELOAD = 12 };
enum { FAST = 4, NO_REBOOT = 0x20, ENABLE = 2, LOCKED = 1 };
enum { TICKS_1_MS = 1042, TICKS_1_S = 1041667 }; /* of the fast clock, 960 ns each */

static uint64_t config, bar; /* where its registers are */
static char events[400];

static void on_event(void *opaque, const char *name, json_t *data)
{
    const char *action = json_string_value(json_object_get(data, "action"));

    (void)opaque;
    snprintf(events + strlen(events), sizeof events - strlen(events), "%s%s%s ", name, action ? ":" : "",
             action ? action : "");
    json_decref(data);
}

static bool happened(const char *what)
{
    return strstr(events, what) != NULL;
}

static Machine *make(const char *action, const char *place, MachineDesc **ret_desc)
{
    char text[600];
    Err err = {0};
    Machine *m;

    snprintf(text, sizeof text,
             "{\"memory\": {\"size\": 16777216}, \"watchdog-action\": \"%s\","
             " \"ports\": [{\"id\": \"pci.1\", \"addr\": \"2.0\"},"
             "             {\"id\": \"pci.2\", \"driver\": \"pcie-pci-bridge\", \"bus\": \"pci.1\", \"addr\": \"0\"}],"
             " \"devices\": [{\"driver\": \"i6300esb\", \"id\": \"watchdog0\", %s}]}",
             action, place);
    m = fake_machine(text, ret_desc, &err);
    if (m == NULL) {
        ok(false, "%s", err.text);
        exit(done());
    }
    m->host.event = on_event;
    config = PCI_ECAM_BASE + (strstr(place, "pci.2") ? 2 << 20 | 1 << 15 : 3 << 15);
    bar = fake_load(m, config + 0x10, 4);
    events[0] = '\0';
    return m;
}

static void unlock(Machine *m)
{
    fake_store(m, bar + RELOAD, 0x80, 2);
    fake_store(m, bar + RELOAD, 0x86, 2);
}

static void preload(Machine *m, unsigned first, unsigned second)
{
    unlock(m);
    fake_store(m, bar + PRELOAD1, first, 4);
    unlock(m);
    fake_store(m, bar + PRELOAD2, second, 4);
}

static void start(Machine *m, unsigned flags)
{
    fake_store(m, config + CONFIG, flags, 2);
    fake_store(m, config + LOCK, ENABLE, 1);
}

static bool until(Machine *m, const char *what)
{
    uint64_t end = loop_now() + 20000000000ull;

    while (!happened(what) && loop_now() < end)
        loop_iterate(m->loop, false);
    fake_settle(m);
    return happened(what);
}

static void test_registers(Machine *m)
{
    ok(fake_load(m, config, 4) == 0x25ab8086 && fake_load(m, config + 8, 4) >> 8 == 0x088000, "identification");
    ok(bar >= PCI_MMIO32_BASE && bar % 16 == 0 && (fake_load(m, config + 4, 2) & 2), "BAR 0 is placed");
    fake_store(m, config + 0x10, 0xffffffff, 4);
    ok(fake_load(m, config + 0x10, 4) == 0xfffffff0, "and has 16 bytes");
    fake_store(m, config + 0x10, bar, 4);
    ok(fake_load(m, bar + RELOAD, 2) == 0, "it has not run out before");
    fake_store(m, config + CONFIG, 0xffff, 2);
    ok(fake_load(m, config + CONFIG, 2) == 0x27, "configuration register");
    fake_store(m, config + CONFIG, 0, 2);
}

static void test_bridge(Machine *m)
{
    uint64_t port = PCI_ECAM_BASE + (2 << 15), bridge = PCI_ECAM_BASE + (1 << 20);

    ok(fake_load(m, bridge, 4) == 0x000e1b36 && fake_load(m, bridge + 0x0e, 1) == 1, "a bridge below the root port");
    ok(fake_load(m, port + 0x18, 4) == 0x00020100 && fake_load(m, bridge + 0x18, 4) == 0x00020201, "bus numbers nest");
    ok(bar >> 16 >= fake_load(m, bridge + 0x20, 2) && bar >> 16 <= (fake_load(m, bridge + 0x22, 2) | 15) &&
           fake_load(m, bridge + 0x20, 2) >= fake_load(m, port + 0x20, 2) &&
           fake_load(m, bridge + 0x22, 2) <= fake_load(m, port + 0x22, 2),
       "so do the windows");
}

static void test_reset(Machine *m)
{
    /* Without the unlocking words preloads stay, and the watchdog would not run out in a test's time. */
    fake_store(m, bar + PRELOAD1, 1, 4);
    fake_store(m, bar + PRELOAD2, 1, 4);
    start(m, 0);
    fake_settle(m);
    ok(!happened("WATCHDOG"), "locked preloads are not taken");
    fake_store(m, config + LOCK, 0, 1);
    preload(m, TICKS_1_MS, TICKS_1_MS);
    start(m, FAST);
    ok(until(m, "RESET") && happened("WATCHDOG:reset"), "it runs out: WATCHDOG, then a reset");
    ok(fake_load(m, config + LOCK, 1) == 0 && fake_load(m, config + CONFIG, 2) == 0, "the reset stops it");
    ok(fake_load(m, bar + RELOAD, 2) & 0x200, "the next kernel sees why it was started");
    unlock(m);
    fake_store(m, bar + RELOAD, 0x200, 2);
    ok(fake_load(m, bar + RELOAD, 2) == 0, "and clears that");
}

static void test_ping(Machine *m)
{
    events[0] = '\0';
    preload(m, TICKS_1_S, TICKS_1_S);
    start(m, FAST);
    preload(m, TICKS_1_S, TICKS_1_MS);
    unlock(m);
    fake_store(m, bar + RELOAD, 0x100, 2);
    fake_settle(m);
    fake_store(m, config + LOCK, LOCKED, 1);
    fake_store(m, config + LOCK, ENABLE, 1);
    ok(fake_load(m, config + LOCK, 1) == LOCKED, "locked while off: it stays off");
    fake_settle(m);
    ok(!happened("WATCHDOG"), "a stopped one does not run out");
    machine_reset(m, false, NULL);
    fake_store(m, config + LOCK, LOCKED | ENABLE, 1);
    fake_store(m, config + LOCK, 0, 1);
    ok(fake_load(m, config + LOCK, 1) == (LOCKED | ENABLE), "locked while on: it stays on");
    machine_reset(m, false, NULL);
    ok(fake_load(m, config + LOCK, 1) == 0, "until a reset");
    preload(m, TICKS_1_MS, TICKS_1_MS);
    start(m, FAST | NO_REBOOT);
    for (uint64_t end = loop_now() + 10000000; loop_now() < end;)
        loop_iterate(m->loop, false);
    ok(!happened("WATCHDOG") && !(fake_load(m, bar + RELOAD, 2) & 0x200), "with \"no reboot\" nothing happens");
}

static void test_actions(void)
{
    static const struct {
        const char *action, *event;
        RunState state;
    } cases[] = {
        {"shutdown", "POWERDOWN", RUN_RUNNING}, {"poweroff", "SHUTDOWN", RUN_RUNNING}, {"pause", "STOP", RUN_WATCHDOG},
        {"none", "WATCHDOG:none", RUN_RUNNING}, {"debug", "WATCHDOG:debug", RUN_RUNNING},
        {"inject-nmi", "WATCHDOG:inject-nmi", RUN_RUNNING},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        MachineDesc *desc;
        Machine *m = make(cases[i].action, "\"bus\": \"pcie.0\", \"addr\": \"3.0\"", &desc);
        unsigned nmis = fake_kvm.nmis;

        preload(m, 1, 1);
        start(m, FAST);
        ok(until(m, cases[i].event) && happened("WATCHDOG:") && machine_run_state(m) == cases[i].state &&
               (fake_kvm.nmis > nmis) == (strcmp(cases[i].action, "inject-nmi") == 0),
           "action %s: %s", cases[i].action, events);
        fake_machine_free(m, desc);
    }
}

static void test_pause(Machine *m)
{
    Err err = {0};

    events[0] = '\0';
    machine_reset(m, false, NULL);
    ok(machine_set_watchdog_action(m, "nonsense", &err) < 0 && machine_set_watchdog_action(m, "none", &err) == 0,
       "the action can be changed");
    preload(m, 1, TICKS_1_MS);
    machine_stop(m, RUN_PAUSED);
    start(m, FAST);
    for (uint64_t end = loop_now() + 5000000; loop_now() < end;)
        loop_iterate(m->loop, false);
    ok(!happened("WATCHDOG"), "it stands still while the VM is paused");
    machine_cont(m, NULL);
    ok(until(m, "WATCHDOG:none"), "and goes on with it");
}

int main(void)
{
    MachineDesc *desc;
    Machine *m = make("reset", "\"bus\": \"pci.2\", \"addr\": \"1.0\"", &desc);

    test_registers(m);
    test_bridge(m);
    test_reset(m);
    test_ping(m);
    test_pause(m);
    fake_machine_free(m, desc);
    test_actions();
    return done();
}
