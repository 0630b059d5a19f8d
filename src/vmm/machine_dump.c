/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dumps of the machine: it stands still without anybody being told, as during a reset. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/dump.h"
#include "vmm/machine_internal.h"

static const struct {
    const char *name;
    int (*write)(int fd, const DumpSource *source, Err *err);
} formats[] = {{"elf", dump_elf}, {"kdump-zlib", dump_kdump_zlib}};

static int dump(Machine *m, int fd, int (*write)(int, const DumpSource *, Err *), Err *err)
{
    VcpuState *cpus = calloc(m->vcpu_count, sizeof *cpus);
    DumpSource source = {.memory = m->memory, .cpus = cpus};
    int r;

    if (cpus == NULL)
        return err_set(err, ENOMEM, "dump: out of memory");
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (machine_cpu_plugged(m, i))
            vcpu_get_state(m->vcpus[i], &cpus[source.cpu_count++]);
    }
    r = write(fd, &source, err);
    free(cpus);
    return r;
}

int machine_dump(Machine *m, int fd, const char *format, Err *err)
{
    bool running = m->state == RUN_RUNNING;
    size_t i = 0;
    int r;

    while (i < ARRAY_LEN(formats) && strcmp(formats[i].name, format) != 0)
        i++;
    if (i == ARRAY_LEN(formats))
        return err_set(err, ENOTSUP, "%.20s is not available: this VMM writes elf and kdump-zlib", format);
    if (running) {
        machine_pause_vcpus(m);
        machine_devices_set_running(m, false);
    }
    r = dump(m, fd, formats[i].write, err);
    if (running && m->state == RUN_RUNNING) {
        machine_devices_set_running(m, true);
        machine_resume_vcpus(m);
    }
    return r;
}
