/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
   kite-vmm's QMP server on a machine without KVM: negotiation, the argument check, errors, run states,
       events. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/isa/acpi_hw.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/qmp_commands.h"
#include "vmm/qmp_server.h"

static Machine *machine;
static QmpServer *server;
static int peer;
static char received[1 << 20];

static void on_event(void *opaque, const char *name, json_t *data)
{
    (void)opaque;
    qmp_server_event(server, name, data);
}

/* Sends text; what comes back is in received. */
static const char *say(const char *text)
{
    size_t n = 0;
    ssize_t r;

    if (write(peer, text, strlen(text)) < 0)
        abort();
    fake_settle(machine);
    while ((r = read(peer, received + n, sizeof received - 1 - n)) > 0)
        n += (size_t)r;
    received[n] = '\0';
    return received;
}

static bool answers(const char *request, const char *part)
{
    bool yes = strstr(say(request), part) != NULL;

    if (!yes)
        printf("# %s gave %.400s\n", request, received);
    return yes;
}

static void test_negotiation(void)
{
    ok(answers("", "\"QMP\""), "greeting");
    ok(answers("{\"execute\": \"query-status\"}", "Expecting capabilities negotiation"),
       "nothing before negotiation");
    ok(answers("{\"execute\": \"qmp_capabilities\", \"id\": 7}", "\"id\":7") || strstr(received, "\"id\": 7"),
       "negotiation, with its id");
}

static void test_errors(void)
{
    ok(answers("{\"execute\": \"no-such-command\"}", "The command no-such-command has not been found") &&
           strstr(received, "CommandNotFound"),
       "an unknown command");
    ok(answers("{\"execute\": \"device_del\"}", "Parameter 'id' is missing"), "a missing argument");
    ok(answers("{\"execute\": \"device_del\", \"arguments\": {\"id\": 3}}",
       "Invalid parameter type for 'id', expected: string"),
       "an argument of the wrong type");
    ok(answers("{\"execute\": \"stop\", \"arguments\": {\"now\": true}}", "Parameter 'now' is unexpected"),
       "an argument too many");
    ok(answers("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"nothing\"}}", "DeviceNotFound"),
       "an unknown device");
    ok(answers("{\"arguments\": {}}", "lacks member 'execute'"), "no command at all");
    ok(answers("{\"execute\": }\n", "Invalid JSON syntax"), "bad JSON");
    ok(answers("[1, 2]\n", "Invalid JSON syntax"), "not an object");
    ok(answers("{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"a\"}}", "No file descriptor supplied"),
       "getfd without a descriptor");
    ok(answers("{\"execute\": \"query-status\"} {\"execute\": \"query-version\"}", "running") &&
       strstr(received, "micro"),
       "two commands at once");
    (void)say("{\"execute\": \"query-");
    ok(answers("status\"}", "running"), "a command in two parts");
    ok(answers("{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}", "error") ||
       received[0] != '\0',
       "a second negotiation has an answer");
}

static void test_states(void)
{
    ok(answers("{\"execute\": \"stop\"}", "STOP"), "stop: event STOP");
    ok(answers("{\"execute\": \"query-status\"}", "paused"), "paused");
    ok(answers("{\"execute\": \"cont\"}", "RESUME"), "cont: event RESUME");
    ok(answers("{\"execute\": \"system_powerdown\"}", "POWERDOWN"), "system_powerdown: event POWERDOWN");
    ok(fake_in(machine, ACPI_PORT, 4) == 1, "and the guest's power button");
    ok(answers("{\"execute\": \"system_reset\"}", "RESET") && strstr(received, "host-qmp-system-reset"),
       "system_reset: event RESET");
    ok(answers("{\"execute\": \"inject-nmi\"}", "return") && fake_kvm.nmis == 2 && (fake_in(machine, 0x61, 1) & 0xc0) == 0,
       "inject-nmi: on each CPU, and no bus is said to have failed");
    fake_out(machine, 0x64, 0xfe, 1);
    ok(answers("", "guest-reset"), "the keyboard controller resets: event RESET by the guest");
    fake_out(machine, PVPANIC_PORT, 1, 1);
    ok(answers("", "GUEST_PANICKED") && strstr(received, "STOP"), "pvpanic: events GUEST_PANICKED and STOP");
    ok(answers("{\"execute\": \"cont\"}", "Resetting the Virtual Machine is required"),
       "a panicked guest does not go on");
    ok(answers("{\"execute\": \"system_reset\"}", "RESET") && answers("{\"execute\": \"cont\"}",
       "RESUME"), "until it is reset");
    fake_out(machine, ACPI_PORT + 4, 0x20 | ACPI_SLEEP_S5 << 2, 1);
    ok(answers("", "SHUTDOWN") && strstr(received, "guest-shutdown"), "ACPI power off: event SHUTDOWN");
    ok(answers("{\"execute\": \"query-status\"}", "shutdown"), "on-poweroff pause keeps the process");
    ok(answers("{\"execute\": \"system_reset\"}", "RESET") && answers("{\"execute\": \"cont\"}",
       "RESUME"), "reset and on");
}

static void test_cpus(void)
{
    ok(answers("{\"execute\": \"query-cpus-fast\"}", "\"cpu-index\":1") && !strstr(received, "\"cpu-index\":2"),
       "two CPUs are plugged");
    ok(answers("{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/unattached/device[1]\","
               " \"property\": \"feature-words\"}}", "\"cpuid-register\"") && strstr(received, "\"cpuid-input-ecx\""),
       "feature-words of a CPU");
    ok(answers("{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/unattached/device[0]\","
               " \"property\": \"unavailable-features\"}}", "[]"), "none of the host's is unavailable");
    ok(answers("{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/unattached/device[0]\","
               " \"property\": \"mds-no\"}}", "true"), "a feature in an MSR by its name");
    ok(answers("{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/unattached/device[0]\","
               " \"property\": \"bogus\"}}", "not found"), "no other property");
    ok(answers("{\"execute\": \"query-hotpluggable-cpus\"}", "host-x86_64-cpu") && strstr(received, "device[1]") &&
       !strstr(received, "device[2]"),
       "of four");
    ok(answers("{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"qemu64-x86_64-cpu\", \"id\": \"x\"}}",
               "expected cpu type: 'host-x86_64-cpu'"),
       "a CPU of another kind is refused");
    ok(answers("{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"host-x86_64-cpu\", \"id\": \"x\","
               " \"socket-id\": 1, \"core-id\": 0, \"thread-id\": 0}}",
               "CPU[1] with APIC ID 1 exists"),
       "one that is there is refused");
    ok(answers("{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"host-x86_64-cpu\", \"id\": \"vcpu2\","
               " \"socket-id\": 2, \"die-id\": 0, \"core-id\": 0, \"thread-id\": 0}}",
               "return"),
       "a CPU is plugged");
    ok(fake_in(machine, ACPI_PORT, 4) == 4, "the guest hears of it");
    fake_out(machine, ACPI_PORT + 0x20, 2, 4);
    ok(fake_in(machine, ACPI_PORT + 0x24, 4) == 3, "CPU 2: present and new");
    fake_out(machine, ACPI_PORT + 0x24, 2, 4);
    ok(answers("{\"execute\": \"query-cpus-fast\"}", "/machine/peripheral/vcpu2"), "query-cpus-fast has it");
    ok(answers("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"vcpu2\"}}", "return") &&
       fake_in(machine, ACPI_PORT, 4) == 4 && fake_in(machine, ACPI_PORT + 0x24, 4) == 5,
       "device_del asks the guest");
    fake_out(machine, ACPI_PORT + 0x24, 4, 4);
    fake_out(machine, ACPI_PORT + 0x28, 3, 4);
    fake_out(machine, ACPI_PORT + 0x2c, 0x82, 4);
    ok(answers("", "ACPI_DEVICE_OST") && strstr(received, "\"vcpu2\"") && strstr(received, "\"slot\":\"2\"") &&
           strstr(received, "\"source\":3") && strstr(received, "\"status\":130"),
       "the guest keeps it: ACPI_DEVICE_OST");
    ok(answers("{\"execute\": \"query-cpus-fast\"}", "/machine/peripheral/vcpu2"), "and the CPU is still there");
    ok(answers("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"vcpu2\"}}", "return") &&
           fake_in(machine, ACPI_PORT + 0x24, 4) == 5,
       "asked again");
    fake_out(machine, ACPI_PORT + 0x24, 4, 4);
    fake_out(machine, ACPI_PORT + 0x24, 8, 4);
    ok(answers("", "DEVICE_DELETED") && strstr(received, "vcpu2"), "ejected: DEVICE_DELETED");
    ok(!answers("{\"execute\": \"query-cpus-fast\"}", "vcpu2") && fake_in(machine, ACPI_PORT + 0x24, 4) == 0, "and gone");
    fake_out(machine, ACPI_PORT + 0x20, 0, 4);
    fake_out(machine, ACPI_PORT + 0x24, 8, 4);
    ok(answers("{\"execute\": \"query-cpus-fast\"}", "device[0]"), "the boot CPU stays");
}

static void test_objects(void)
{
    StatsPage *page = stats_page(machine_stats(machine));
    const StatsIothread *thread = (const StatsIothread *)((const char *)page + page->iothread_offset);

    ok(answers("{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/peripheral\"}}", "\"rng0\"") &&
       strstr(received, "child<virtio-rng-pci>") && strstr(received, "\"pci.1\"") && !strstr(received, "vcpu2"),
       "qom-list: devices and ports");
    ok(answers("{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/nowhere\"}}", "DeviceNotFound"), "no other place");
    ok(answers("{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"iothread\", \"id\": \"iothread3\","
               " \"poll-max-ns\": 1000}}", "return"),
       "object-add: an iothread");
    ok(answers("{\"execute\": \"query-iothreads\"}", "iothread3") && strstr(received, "\"poll-max-ns\":1000"),
       "query-iothreads has it");
    ok(page->iothread_count == 1 && strcmp(thread->id, "iothread3") == 0 && thread->tid > 0 && thread->poll_max_ns == 1000,
       "and so has the statistics page");
    ok(answers("{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"iothread\", \"id\": \"iothread3\"}}",
               "attempt to add duplicate"),
       "twice is refused");
    ok(answers("{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"secret\", \"id\": \"s\"}}",
               "does not accept value"),
       "another type is refused");
    ok(answers("{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/iothread3\","
               " \"property\": \"poll-grow\", \"value\": 4}}", "return") && thread->poll_grow == 4,
       "poll-grow is set");
    ok(answers("{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/iothread3\","
               " \"property\": \"poll-max-ns\", \"value\": -1}}", "must be in range"),
       "not to nonsense");
    ok(answers("{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/objects\"}}", "child<iothread>"), "it is listed");
    ok(answers("{\"execute\": \"object-del\", \"arguments\": {\"id\": \"iothread3\"}}", "return") && thread->id[0] == '\0',
       "object-del");
    ok(!answers("{\"execute\": \"query-iothreads\"}", "iothread3"), "it is gone");
    ok(answers("{\"execute\": \"object-del\", \"arguments\": {\"id\": \"iothread3\"}}", "not found"), "twice is refused");
}

static void test_commands(void)
{
    json_t *reply, *list;
    bool same = true;
    unsigned count = 0;

    (void)say("{\"execute\": \"query-commands\"}");
    reply = json_loads(received, JSON_DISABLE_EOF_CHECK, NULL);
    list = json_object_get(reply, "return");
    for (; qmp_command_at(count) != NULL; count++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, count), "name"));

        same &= name != NULL && strcmp(name, qmp_command_at(count)->name) == 0;
    }
    ok(same && count > 30 && json_array_size(list) == count, "query-commands tells all %u commands", count);
    json_decref(reply);
    /* None of them falls over without arguments. */
    for (unsigned i = 0; i < count; i++) {
        char text[128];

        if (strcmp(qmp_command_at(i)->name, "quit") == 0)
            continue;
        snprintf(text, sizeof text, "{\"execute\": \"%s\"}", qmp_command_at(i)->name);
        say(text);
        if (strstr(received, "return") == NULL && strstr(received, "error") == NULL)
            ok(false, "%s answers without arguments", qmp_command_at(i)->name);
    }
    ok(true, "each answers without arguments");
}

int main(void)
{
    static const MachineHost host = {.event = on_event};
    json_t *root = json_loads("{\"memory\": {\"size\": 16777216}, \"cpus\": {\"count\": 2, \"max\": 4},"
                              " \"on-poweroff\": \"pause\", \"ports\": [{\"id\": \"pci.1\"}],"
                              " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"rng0\"}]}",
                              0, NULL);
    MachineDesc *desc = NULL;
    Err err = {0};
    int pair[2], kernel = fake_kernel();

    json_object_set_new(root, "boot", json_pack("{s:i}", "kernel-fd", kernel));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
        machine_desc_parse(root, &desc, &err) < 0 || machine_new(desc, &host, &machine, &err) < 0 ||
        qmp_server_new(machine, pair[1], &server, &err) < 0 || machine_start(machine, &err) < 0) {
        ok(false, "a machine with QMP: %s", err.text);
        return done();
    }
    peer = pair[0];
    test_negotiation();
    test_errors();
    test_states();
    test_cpus();
    test_objects();
    test_commands();
    close(peer);
    fake_settle(machine);
    ok(machine_run_state(machine) == RUN_RUNNING || machine_run_state(machine) == RUN_PAUSED,
       "the VM survives its monitor");
    qmp_server_free(server);
    machine_free(machine);
    machine_desc_free(desc);
    close(kernel);
    return done();
}
