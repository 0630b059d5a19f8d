/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kite-vmm: the stages of start-up in order.
 *
 *   1 options, description      descriptors only from here on
 *   2 machine_new()             kernel checked, VM, memory, devices, kernel loaded
 *   3 QMP server
 *   4 sandbox                   nothing is opened by path any more
 *   5 machine_start(), loop
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/chardev/chardev.h"
#include "vmm/log.h"
#include "vmm/machine.h"
#include "vmm/options.h"
#include "vmm/qmp_server.h"
#include "vmm/sandbox.h"

typedef struct Vmm {
    MachineDesc *desc;
    Machine *machine;
    QmpServer *qmp;
    LoopWatch signals;
} Vmm;

static void on_event(void *opaque, const char *name, json_t *data)
{
    Vmm *vmm = opaque;

    if (vmm->qmp != NULL)
        qmp_server_event(vmm->qmp, name, data);
    else
        json_decref(data);
}

static int on_take_fd(void *opaque, const char *name)
{
    Vmm *vmm = opaque;

    return vmm->qmp != NULL ? qmp_server_take_fd(vmm->qmp, name) : -1;
}

/* SIGTERM and SIGINT end the VM, as QEMU does; SIGHUP too. */
static void on_signal(void *opaque, uint32_t events)
{
    Vmm *vmm = opaque;
    struct signalfd_siginfo info;

    (void)events;
    if (read(vmm->signals.fd, &info, sizeof info) == sizeof info)
        machine_exit(vmm->machine, 0, false, "host-signal");
}

static int watch_signals(Vmm *vmm, Err *err)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0 || loop_watch(machine_loop(vmm->machine), &vmm->signals, fd, EPOLLIN, on_signal, vmm) < 0)
        return err_set(err, errno, "cannot watch signals: %s", strerror(errno));
    return 0;
}

static int run(const Options *options, Vmm *vmm, Err *err)
{
    MachineHost host = {.event = on_event, .take_fd = on_take_fd, .opaque = vmm};
    SandboxOptions sandbox;
    int r;

    if (options->desc_fd >= 0) {
        r = machine_desc_read(options->desc_fd, &vmm->desc, err);
        close(options->desc_fd);
    } else {
        r = machine_desc_parse(options->description, &vmm->desc, err);
    }
    if (r < 0)
        return r;
    log_set_name(vmm->desc->name);
    sandbox = (SandboxOptions){
        .seccomp = vmm->desc->sandbox_seccomp && !options->no_sandbox,
        .chroot = vmm->desc->sandbox_chroot && !options->no_sandbox,
        .drop_privileges = !options->no_sandbox,
        .uid = options->no_sandbox ? -1 : vmm->desc->sandbox_uid,
        .gid = options->no_sandbox ? -1 : vmm->desc->sandbox_gid,
        .before_kill = chardev_restore_terminal,
    };
    if (sandbox.seccomp)
        host.enter_thread = sandbox_enter_thread;
    if ((r = machine_new(vmm->desc, &host, &vmm->machine, err)) < 0)
        return r;
    if (options->check_only)
        return 0;
    if ((r = watch_signals(vmm, err)) < 0)
        return r;
    if (options->qmp_fd >= 0 && (r = qmp_server_new(vmm->machine, options->qmp_fd, &vmm->qmp, err)) < 0)
        return r;
    if ((r = sandbox_enter(&sandbox, err)) < 0 || (r = machine_start(vmm->machine, err)) < 0)
        return r;
    if (sandbox.seccomp)
        sandbox_enter_thread("main");
    loop_run(machine_loop(vmm->machine));
    return machine_exit_status(vmm->machine);
}

int main(int argc, char **argv)
{
    Options options;
    Vmm vmm = {0};
    Err err = {0};
    int r;

    /* A second arena would make glibc count the CPUs through /sys, in whichever thread comes first: the sandbox forbids
     * that. It also saves memory. */
    mallopt(M_ARENA_MAX, 1);
    /* gmtime_r() reads the time zone's file when it is first called: not in a sandboxed thread. */
    tzset();
    r = options_parse(argc, argv, &options, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = run(&options, &vmm, &err);
    if (r < 0)
        log_error("%s", err.text);
    qmp_server_free(vmm.qmp);
    vmm.qmp = NULL; /* there are events still */
    if (vmm.machine != NULL)
        machine_free(vmm.machine);
    machine_desc_free(vmm.desc);
    return r < 0 ? 1 : r;
}
