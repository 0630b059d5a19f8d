/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things that come at the same time: the guest's reset or power-off while a command stops it, QMP commands while one waits
 * for requests to end, a reset while the guest is asked to let go of a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"
#include "vmm/qmp_server.h"
#include "vmm/vcpu.h"

static char events[400];

static void on_event(void *opaque, const char *name, json_t *data)
{
    (void)opaque;
    snprintf(events + strlen(events), sizeof events - strlen(events), "%s ", name);
    json_decref(data);
}

static Machine *make(const char *more, MachineDesc **ret_desc)
{
    char text[600];
    Err err = {0};
    Machine *m;

    snprintf(text, sizeof text, "{\"memory\": {\"size\": 16777216}%s}", more);
    m = fake_machine(text, ret_desc, &err);
    if (m == NULL) {
        ok(false, "%s", err.text);
        exit(done());
    }
    m->host.event = on_event;
    events[0] = '\0';
    return m;
}

static void ask_for_reset(void *machine)
{
    fake_out(machine, ACPI_PORT + 6, 1, 1);
}

static void power_off(void *machine)
{
    fake_out(machine, ACPI_PORT + 4, ACPI_SLEEP_S5 << 2 | 0x20, 2);
}

static void test_stop(void)
{
    MachineDesc *desc;
    Machine *m = make("", &desc);
    Err err = {0};

    fake_kvm.last_act = ask_for_reset;
    fake_kvm.last_opaque = m;
    machine_stop(m, RUN_PAUSED);
    ok(strcmp(events, "STOP ") == 0 && m->state == RUN_PAUSED && vcpu_is_paused(m->vcpus[0]),
       "a reset that is asked for while the VM is stopped waits: %s", events);
    fake_settle(m);
    ok(strcmp(events, "STOP RESET ") == 0 && m->state == RUN_PAUSED && vcpu_is_paused(m->vcpus[0]),
       "then it comes, and the VM stays paused: %s", events);
    ok(machine_cont(m, &err) == 0 && !vcpu_is_paused(m->vcpus[0]), "and goes on");

    events[0] = '\0';
    fake_kvm.last_act = power_off;
    machine_stop(m, RUN_PAUSED);
    (void)machine_cont(m, &err);
    ok(vcpu_is_paused(m->vcpus[0]), "who has switched the machine off executes nothing more");
    fake_settle(m);
    ok(strcmp(events, "STOP RESUME SHUTDOWN ") == 0, "then it ends: %s", events);
    fake_machine_free(m, desc);
}

typedef struct Nest {
    Machine *m;
    LoopPost post;
    int peer;
    ssize_t inside; /* bytes of answer that came during the nested turns */
} Nest;

static void nest(void *opaque)
{
    Nest *n = opaque;
    char answer[400];

    for (int i = 0; i < 4; i++)
        loop_iterate(n->m->loop, false);
    n->inside = recv(n->peer, answer, sizeof answer, MSG_DONTWAIT);
}

static void test_qmp(void)
{
    static const char commands[] = "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"query-status\"}\n";
    MachineDesc *desc;
    Machine *m = make("", &desc);
    Nest n = {.m = m, .post = {.run = nest, .opaque = &n}};
    char answer[1000] = "";
    QmpServer *qmp;
    Err err = {0};
    int fds[2];

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    n.peer = fds[0];
    ok(qmp_server_new(m, fds[1], &qmp, &err) == 0, "QMP");
    fake_settle(m);
    (void)!recv(n.peer, answer, sizeof answer, MSG_DONTWAIT);
    (void)!send(n.peer, commands, sizeof commands - 1, 0);
    loop_post(m->loop, &n.post);
    loop_iterate(m->loop, false);
    ok(n.inside < 0, "no command runs in the middle of another");
    fake_settle(m);
    memset(answer, 0, sizeof answer);
    (void)!recv(n.peer, answer, sizeof answer - 1, MSG_DONTWAIT);
    ok(strstr(answer, "running") != NULL, "they run afterwards");
    (void)!send(n.peer, "{\"execute\": \"query-status\"}\n", 28, 0);
    fake_settle(m);
    memset(answer, 0, sizeof answer);
    (void)!recv(n.peer, answer, sizeof answer - 1, MSG_DONTWAIT);
    ok(strstr(answer, "running") != NULL, "and so do later ones");
    qmp_server_free(qmp);
    close(fds[0]);
    fake_machine_free(m, desc);
}

static void test_unplug(void)
{
    MachineDesc *desc;
    Machine *m = make(", \"ports\": [{\"id\": \"pci.1\", \"addr\": \"2.0\"}, {\"id\": \"pci.2\", \"addr\": \"3.0\"}],"
                      " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"rng0\", \"bus\": \"pci.1\"},"
                      "               {\"driver\": \"virtio-rng-pci\", \"id\": \"rng1\", \"bus\": \"pci.2\"}]",
                      &desc);
    Err err = {0};

    ok(machine_device_del(m, "rng0", &err) == 0 && events[0] == '\0', "the guest is asked to let go of a device");
    ok(machine_reset(m, true, &err) == 0 && strcmp(events, "DEVICE_DELETED RESET ") == 0,
       "a reset ends the device, for nobody is there who would: %s", events);
    ok(machine_device(m, "rng0") == NULL && machine_device(m, "rng1") != NULL, "that one only");
    events[0] = '\0';
    ok(machine_reset(m, true, &err) == 0 && strcmp(events, "RESET ") == 0, "once");
    fake_machine_free(m, desc);
}

int main(void)
{
    test_stop();
    test_qmp();
    test_unplug();
    return done();
}
