/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs that come and go. All that there can be are made at start, with their threads, before the sandbox; those that are
 * not plugged are parked: paused, in their state after power-on, and not resumed with the others. KVM cannot remove a
 * vCPU, so an unplugged one is parked again.
 *
 *   parked ──device_add──> plugged ──device_del: the guest is asked; it ejects (_EJ0)──> parked, DEVICE_DELETED
 *                                    or it keeps the CPU and says so (_OST): ACPI_DEVICE_OST with a status that is not 0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/machine_internal.h"

void machine_cpu_place(const CpuTopology *t, unsigned index, CpuPlace *ret)
{
    *ret = (CpuPlace){
        .socket = index / (t->threads * t->cores * t->dies),
        .die = index / (t->threads * t->cores) % t->dies,
        .core = index / t->threads % t->cores,
        .thread = index % t->threads,
    };
}

bool machine_cpu_plugged(const Machine *m, unsigned index)
{
    return index < m->vcpu_count && !m->cpu_slots[index].parked;
}

/* QEMU's type name; the daemon gives it back in device_add. */
void machine_cpu_type(const Machine *m, char *ret, size_t size)
{
    snprintf(ret, size, "%.40s-x86_64-cpu", m->desc->cpu_model.name);
}

void machine_cpu_path(const Machine *m, unsigned index, char *ret, size_t size)
{
    if (m->cpu_slots[index].id[0] != '\0')
        snprintf(ret, size, "/machine/peripheral/%s", m->cpu_slots[index].id);
    else
        snprintf(ret, size, "/machine/unattached/device[%u]", index);
}

int machine_cpu_at_path(const Machine *m, const char *path)
{
    char its[128];

    for (unsigned i = 0; i < m->vcpu_count; i++) {
        machine_cpu_path(m, i, its, sizeof its);
        if (machine_cpu_plugged(m, i) && strcmp(its, path) == 0)
            return (int)i;
    }
    return -1;
}

const CpuChoice *machine_cpu_choice(const Machine *m)
{
    return &m->cpu_choice;
}

bool machine_is_cpu_type(const char *driver)
{
    size_t n = strlen(driver), end = strlen("-x86_64-cpu");

    return n > end && strcmp(driver + n - end, "-x86_64-cpu") == 0;
}

int machine_find_cpu(const Machine *m, const char *id)
{
    for (unsigned i = 0; id[0] != '\0' && i < m->vcpu_count; i++) {
        if (!m->cpu_slots[i].parked && strcmp(m->cpu_slots[i].id, id) == 0)
            return (int)i;
    }
    return -1;
}

int machine_cpu_add(Machine *m, const char *driver, Props *props, Err *err)
{
    const CpuTopology *t = &m->desc->topology;
    uint64_t socket, die, core, thread, node, index;
    char type[64];
    int r;

    machine_cpu_type(m, type, sizeof type);
    if (strcmp(driver, type) != 0)
        return err_set(err, EINVAL, "Invalid CPU type, expected cpu type: '%s'", type);
    if ((r = props_uint(props, "socket-id", 0, t->sockets - 1, UINT64_MAX, &socket, err)) < 0 ||
        (r = props_uint(props, "die-id", 0, t->dies - 1, 0, &die, err)) < 0 ||
        (r = props_uint(props, "core-id", 0, t->cores - 1, UINT64_MAX, &core, err)) < 0 ||
        (r = props_uint(props, "thread-id", 0, t->threads - 1, UINT64_MAX, &thread, err)) < 0 ||
        (r = props_uint(props, "node-id", 0, ACPI_NODES_MAX - 1, 0, &node, err)) < 0 ||
        (r = props_finish(props, err)) < 0)
        return r;
    if (socket == UINT64_MAX || core == UINT64_MAX || thread == UINT64_MAX)
        return err_set(err, EINVAL, "CPU %s is not set",
                       socket == UINT64_MAX ? "socket-id"
                       : core == UINT64_MAX ? "core-id"
                                            : "thread-id");
    index = ((socket * t->dies + die) * t->cores + core) * t->threads + thread;
    if (index >= m->vcpu_count)
        return err_set(err, EINVAL, "there is no CPU slot %u: this machine has at most %u CPUs", (unsigned)index,
                       m->vcpu_count);
    if (props_id(props)[0] == '\0' || strlen(props_id(props)) >= sizeof m->cpu_slots[0].id)
        return err_set(err, EINVAL, "a CPU needs an id of at most 63 bytes");
    if (!m->cpu_slots[index].parked)
        return err_set(err, EEXIST, "CPU[%u] with APIC ID %u exists", (unsigned)index, m->apic_ids[index]);
    snprintf(m->cpu_slots[index].id, sizeof m->cpu_slots[0].id, "%s", props_id(props));
    m->cpu_slots[index].parked = false;
    stats_vcpu(m->stats, (unsigned)index)->online = 1;
    if (m->started && m->state == RUN_RUNNING)
        vcpu_resume(m->vcpus[index]);
    acpi_hw_set_cpu(m->acpi_hw, (unsigned)index, true, m->started);
    return 0;
}

int machine_cpu_del(Machine *m, unsigned index, Err *err)
{
    if (index == 0)
        return err_set(err, EOPNOTSUPP, "Boot CPU is unpluggable");
    acpi_hw_ask_cpu_removal(m->acpi_hw, index);
    return 0;
}

/* The guest let go of it. */
void machine_handle_cpu_ejected(Machine *m, unsigned index)
{
    bool running = m->state == RUN_RUNNING;
    char id[sizeof m->cpu_slots[0].id];
    Err err = {0};

    if (index == 0 || !machine_cpu_plugged(m, index))
        return;
    if (running)
        machine_pause_vcpus(m);
    if (vcpu_reset(m->vcpus[index], &err) < 0)
        log_error("cannot park a CPU: %s", err.text);
    memcpy(id, m->cpu_slots[index].id, sizeof id);
    m->cpu_slots[index] = (MachineCpu){.parked = true};
    stats_vcpu(m->stats, index)->online = 0;
    acpi_hw_set_cpu(m->acpi_hw, index, false, false);
    if (running)
        machine_resume_vcpus(m);
    if (id[0] != '\0')
        machine_emit(m, "DEVICE_DELETED",
                     json_pack("{s:s, s:s+}", "device", id, "path", "/machine/peripheral/", id));
}

/* The guest said how a plug or an unplug went. Many reports before the main loop comes here are one: the last. */
void machine_handle_cpu_reported(Machine *m, unsigned index)
{
    const AcpiReport report = acpi_hw_cpu_report(m->acpi_hw, index);
    char slot[12];
    json_t *info;

    if (index >= m->vcpu_count)
        return;
    snprintf(slot, sizeof slot, "%u", index);
    info = json_pack("{s:s, s:s, s:I, s:I}", "slot", slot, "slot-type", "CPU", "source", (json_int_t)report.source, "status",
                     (json_int_t)report.status);
    if (machine_cpu_plugged(m, index) && m->cpu_slots[index].id[0] != '\0')
        json_object_set_new(info, "device", json_string(m->cpu_slots[index].id));
    machine_emit(m, "ACPI_DEVICE_OST", json_pack("{s:o}", "info", info));
}
