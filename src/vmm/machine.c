/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine: building, run states, reset, and what vCPUs and devices report. */
#include "vmm/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/enum_table.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/log.h"
#include "vmm/machine_internal.h"

static const char *const run_state_names[] = {"prelaunch", "running",        "paused",        "shutdown",
                                              "io-error",  "internal-error", "guest-panicked",
                                              "watchdog"};
_Static_assert((int)RUN_IO_ERROR == (int)STATS_RUN_IO_ERROR, "readers of the page know it by its number");
_Static_assert(sizeof run_state_names / sizeof run_state_names[0] == RUN_LAST, "a name a run state");

const char *machine_run_state_name(RunState state)
{
    return enum_table_name(run_state_names, RUN_LAST, (int)state);
}

/* --- reports from other threads
 * ------------------------------------------------------------------------------- */

void machine_post(Machine *m, unsigned pending)
{
    pthread_mutex_lock(&m->lock);
    m->pending |= pending;
    pthread_mutex_unlock(&m->lock);
    loop_post(m->loop, &m->post);
}

/* Any thread: no vCPU goes on once it left what it is doing. */
static void request_pause_all(Machine *m)
{
    for (unsigned i = 0; i < m->vcpu_count; i++)
        vcpu_request_pause(m->vcpus[i]);
}

static void on_power_off(void *opaque)
{
    request_pause_all(opaque);
    machine_post(opaque, PENDING_SHUTDOWN);
}

static void on_reset(void *opaque)
{
    request_pause_all(opaque);
    machine_post(opaque, PENDING_RESET);
}

static void on_panicked(void *opaque, unsigned event)
{
    if (event & 1) {
        request_pause_all(opaque);
        machine_post(opaque, PENDING_PANIC);
    } else if (event & 2) {
        machine_post(opaque, PENDING_CRASHLOADED);
    }
}

/* Any thread: one more of a set that handle_posts() looks through. */
static void post_member(Machine *m, uint64_t *set, unsigned n)
{
    pthread_mutex_lock(&m->lock);
    set[n / 64] |= 1ull << n % 64;
    pthread_mutex_unlock(&m->lock);
    loop_post(m->loop, &m->post);
}

static void on_slot_ejected(void *opaque, unsigned slot)
{
    post_member(opaque, ((Machine *)opaque)->ejected, slot);
}

static void on_cpu_ejected(void *opaque, unsigned cpu)
{
    post_member(opaque, ((Machine *)opaque)->ejected_cpus, cpu);
}

static void on_cpu_reported(void *opaque, unsigned cpu)
{
    post_member(opaque, ((Machine *)opaque)->reported_cpus, cpu);
}

static void on_clock_set(void *opaque, int64_t seconds)
{
    machine_emit(opaque, "RTC_CHANGE",
                 json_pack("{s:I, s:s}", "offset", (json_int_t)seconds, "qom-path", "/machine/unattached/rtc"));
}

static void on_vcpu_event(void *opaque, unsigned index, VcpuEvent event, const char *text)
{
    Machine *m = opaque;

    request_pause_all(m);
    pthread_mutex_lock(&m->lock);
    if (text != NULL)
        snprintf(m->error_text, sizeof m->error_text, "vCPU %u: %s", index, text);
    pthread_mutex_unlock(&m->lock);
    machine_post(m, event == VCPU_EVENT_RESET      ? PENDING_RESET
                    : event == VCPU_EVENT_SHUTDOWN ? PENDING_SHUTDOWN
                    : event == VCPU_EVENT_CRASH    ? PENDING_PANIC
                                                   : PENDING_ERROR);
}

/* --- run state: main thread
 * ----------------------------------------------------------------------------------- */

void machine_emit(Machine *m, const char *name, json_t *data)
{
    if (m->host.event)
        m->host.event(m->host.opaque, name, data);
    else
        json_decref(data);
}

static void set_state(Machine *m, RunState state)
{
    m->state = state;
    stats_page(m->stats)->run_state = state;
}

static bool all_paused(void *opaque)
{
    Machine *m = opaque;

    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (!vcpu_is_paused(m->vcpus[i]))
            return false;
    }
    return true;
}

void machine_pause_vcpus(Machine *m)
{
    request_pause_all(m);
    loop_serve_until(m->loop, all_paused, m);
}

/* Not when one of them has asked for something that pauses them all: who sees to that resumes them, or does not. */
void machine_resume_vcpus(Machine *m)
{
    bool asked;

    pthread_mutex_lock(&m->lock);
    asked = (m->pending & (PENDING_RESET | PENDING_SHUTDOWN | PENDING_PANIC | PENDING_ERROR)) != 0;
    pthread_mutex_unlock(&m->lock);
    if (asked)
        return;
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (!m->cpu_slots[i].parked)
            vcpu_resume(m->vcpus[i]);
    }
}

/* Whoever stops a VM may look at its images next. */
static void flush_disks(Machine *m)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Block *b = m->blocks[i];
        int r = b != NULL && b->user[0] != '\0' ? block_flush(b) : 0;

        if (r < 0)
            log_note("block node %s: not everything reached its file: %s", b->node_name, strerror(-r));
    }
}

void machine_stop(Machine *m, RunState why)
{
    bool was_running = m->state == RUN_RUNNING;

    machine_pause_vcpus(m);
    if (was_running)
        m->clock_saved = kvm_clock_get(m->kvm, &m->clock) >= 0;
    machine_devices_set_running(m, false);
    if (was_running)
        flush_disks(m);
    if (was_running || m->state != why) {
        set_state(m, why);
        if (was_running)
            machine_emit(m, "STOP", NULL);
    }
}

int machine_cont(Machine *m, Err *err)
{
    if (m->state == RUN_RUNNING)
        return 0;
    if (m->state == RUN_INTERNAL_ERROR || m->state == RUN_SHUTDOWN || m->state == RUN_GUEST_PANICKED)
        return err_set(err, EPERM, "Resetting the Virtual Machine is required");
    if (m->clock_saved)
        (void)kvm_clock_set(m->kvm, &m->clock);
    m->clock_saved = false;
    set_state(m, RUN_RUNNING);
    machine_devices_set_running(m, true);
    machine_resume_vcpus(m);
    machine_emit(m, "RESUME", NULL);
    return 0;
}

void machine_power_button(Machine *m)
{
    acpi_hw_power_button(m->acpi_hw);
    machine_emit(m, "POWERDOWN", NULL);
}

void machine_nmi(Machine *m)
{
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (!m->cpu_slots[i].parked)
            vcpu_nmi(m->vcpus[i]);
    }
}

int machine_reset(Machine *m, bool guest, Err *err)
{
    bool was_running = m->state == RUN_RUNNING;
    int r = 0;

    machine_pause_vcpus(m);
    machine_devices_set_running(m, false);
    pthread_mutex_lock(&m->lock);
    m->pending &= PENDING_STOP_IO; /* what the old life reported is over */
    memset(m->ejected, 0, sizeof m->ejected);
    memset(m->ejected_cpus, 0, sizeof m->ejected_cpus);
    memset(m->reported_cpus, 0, sizeof m->reported_cpus);
    pthread_mutex_unlock(&m->lock);
    machine_remove_asked(m);
    pci_host_reset(m->pci);
    acpi_hw_reset(m->acpi_hw);
    ioapic_reset(m->ioapic);
    rtc_reset(m->rtc);
    for (unsigned i = 0; i < SERIAL_PORTS; i++) {
        if (m->serials[i] != NULL)
            serial_reset(m->serials[i]);
    }
    (void)kvm_irqchip_set(m->kvm, &m->reset_irqchip);
    for (unsigned i = 0; i < m->vcpu_count && r == 0; i++)
        r = vcpu_reset(m->vcpus[i], err);
    if (r == 0)
        r = machine_load_boot(m, err);
    if (r < 0) {
        set_state(m, RUN_INTERNAL_ERROR);
        if (was_running)
            machine_emit(m, "STOP", NULL);
        return r;
    }
    machine_emit(
        m, "RESET",
        json_pack("{s:b, s:s}", "guest", guest, "reason", guest ? "guest-reset" : "host-qmp-system-reset"));
    if (m->state == RUN_SHUTDOWN || m->state == RUN_GUEST_PANICKED || m->state == RUN_INTERNAL_ERROR)
        set_state(m, RUN_PAUSED);
    if (was_running) {
        machine_devices_set_running(m, true);
        machine_resume_vcpus(m);
    }
    return 0;
}

void machine_exit(Machine *m, int status, bool guest, const char *reason)
{
    if (m->exiting)
        return;
    m->exiting = true;
    m->exit_status = status;
    machine_emit(m, "SHUTDOWN", json_pack("{s:b, s:s}", "guest", guest, "reason", reason));
    loop_quit(m->loop);
}

int machine_exit_status(const Machine *m)
{
    return m->exit_status;
}

static void act(Machine *m, MachineAction action, RunState state, const char *reason)
{
    Err err = {0};

    switch (action) {
    case ACTION_EXIT:
        machine_exit(m, 0, true, reason);
        break;
    case ACTION_PAUSE:
        machine_stop(m, state);
        break;
    case ACTION_RESET:
        if (machine_reset(m, true, &err) < 0)
            log_error("cannot reset the guest: %s", err.text);
        break;
    default:
        if (m->state == RUN_RUNNING)
            machine_resume_vcpus(m);
        break;
    }
}

static void handle_panic(Machine *m)
{
    static const char *const actions[] = {"poweroff", "pause", "pause", "run"};

    machine_emit(m, "GUEST_PANICKED", json_pack("{s:s}", "action", actions[m->desc->on_panic]));
    act(m, m->desc->on_panic, RUN_GUEST_PANICKED, "guest-panic");
}

/* They count while the run state is "io-error". */
static void publish_io_errors(Machine *m)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Block *b = m->blocks[i];

        if (b != NULL && b->user[0] != '\0')
            __atomic_store_n(&stats_block(m->stats, b->user)->io_error, (uint64_t)b->last_error, __ATOMIC_RELAXED);
    }
}

static void handle_posts(void *opaque)
{
    Machine *m = opaque;
    uint64_t ejected[ARRAY_LEN(m->ejected)], ejected_cpus[ARRAY_LEN(m->ejected_cpus)];
    uint64_t reported_cpus[ARRAY_LEN(m->reported_cpus)];
    char text[sizeof m->error_text];
    QueuedEvent *events;
    unsigned pending;

    pthread_mutex_lock(&m->lock);
    pending = m->pending;
    m->pending = 0;
    memcpy(ejected, m->ejected, sizeof ejected);
    memset(m->ejected, 0, sizeof m->ejected);
    memcpy(ejected_cpus, m->ejected_cpus, sizeof ejected_cpus);
    memset(m->ejected_cpus, 0, sizeof m->ejected_cpus);
    memcpy(reported_cpus, m->reported_cpus, sizeof reported_cpus);
    memset(m->reported_cpus, 0, sizeof m->reported_cpus);
    memcpy(text, m->error_text, sizeof text);
    m->error_text[0] = '\0';
    events = m->events;
    m->events = NULL;
    m->events_tail = &m->events;
    pthread_mutex_unlock(&m->lock);

    while (events != NULL) {
        QueuedEvent *event = events;

        events = event->next;
        machine_emit(m, event->name, event->data);
        free(event);
    }
    if (m->exiting)
        return;
    for (unsigned slot = 0; slot < ACPI_SLOTS_MAX; slot++) {
        if (ejected[slot / 64] & 1ull << slot % 64)
            machine_handle_ejected(m, slot);
    }
    for (unsigned cpu = 0; cpu < ACPI_CPUS_MAX; cpu++) {
        if (ejected_cpus[cpu / 64] & 1ull << cpu % 64)
            machine_handle_cpu_ejected(m, cpu);
        if (reported_cpus[cpu / 64] & 1ull << cpu % 64)
            machine_handle_cpu_reported(m, cpu);
    }
    if (text[0] != '\0')
        log_note("%s", text);
    if (pending & PENDING_WATCHDOG)
        machine_watchdog_expired(m);
    if (pending & PENDING_CRASHLOADED)
        machine_emit(m, "GUEST_CRASHLOADED", json_pack("{s:s}", "action", "run"));
    if (pending & PENDING_STOP_IO) {
        publish_io_errors(m);
        machine_stop(m, RUN_IO_ERROR);
    }
    if (pending & PENDING_ERROR) {
        machine_stop(m, RUN_INTERNAL_ERROR);
    } else if (pending & PENDING_PANIC) {
        handle_panic(m);
    } else if (pending & PENDING_SHUTDOWN) {
        if (m->desc->on_poweroff == ACTION_PAUSE)
            machine_emit(m, "SHUTDOWN", json_pack("{s:b, s:s}", "guest", 1, "reason", "guest-shutdown"));
        act(m, m->desc->on_poweroff, RUN_SHUTDOWN, "guest-shutdown");
    } else if (pending & PENDING_RESET) {
        if (m->desc->on_reboot == ACTION_PAUSE)
            machine_emit(m, "SHUTDOWN", json_pack("{s:b, s:s}", "guest", 1, "reason", "guest-reset"));
        act(m, m->desc->on_reboot, RUN_SHUTDOWN, "guest-reset");
    }
}

/* --- building
 * ------------------------------------------------------------------------------------------------- */

static int make_platform(Machine *m, Err *err)
{
    const MachineDesc *d = m->desc;
    AcpiHwHost acpi_host = {.power_off = on_power_off,
                            .reset = on_reset,
                            .slot_ejected = on_slot_ejected,
                            .cpu_ejected = on_cpu_ejected,
                            .cpu_reported = on_cpu_reported,
                            .opaque = m};
    RtcHost rtc_host = {.loop = m->loop, .changed = on_clock_set, .opaque = m};
    LegacyHost legacy_host = {.reset = on_reset, .panicked = on_panicked, .opaque = m};
    int r;

    if ((r = bus_new(&m->bus, err)) < 0 || (r = irq_new(m->kvm, &m->irq, err)) < 0 ||
        (d->split_irqchip && (r = ioapic_new(m->bus, m->irq, &m->ioapic, err)) < 0) ||
        (r = acpi_hw_new(m->bus, m->irq, &acpi_host, &m->acpi_hw, err)) < 0 ||
        (r = legacy_new(m->bus, &legacy_host, &m->legacy, err)) < 0)
        return r;
    rtc_host.irq = m->irq;
    return rtc_new(m->bus, &rtc_host, d->rtc_offset, &m->rtc, err);
}

/* The 64-bit window lies behind all RAM there can be, as far as the CPU's addresses reach. */
static int make_pci(Machine *m, unsigned physical_bits, Err *err)
{
    uint64_t base = ALIGN_UP(memory_high_end(m->memory) + m->desc->memory.high_reserve, 1ull << 30);
    uint64_t limit = 1ull << MIN(physical_bits, 46u);
    PciHostLayout layout = {
        .ecam_base = PCI_ECAM_BASE,
        .buses = PCI_BUSES,
        .mmio32_base = PCI_MMIO32_BASE,
        .mmio32_size = PCI_MMIO32_SIZE,
        .mmio64_base = base,
        .mmio64_size = limit > base ? MIN(limit - base, 64ull << 30) : 0,
        .io_base = PCI_IO_BASE_PORT,
        .io_size = PCI_IO_SIZE,
    };

    if (layout.mmio64_size == 0)
        return err_set(err, E2BIG, "guest memory of %" PRIu64 " GiB does not fit the CPU's %u address bits",
                       m->desc->memory.size >> 30, physical_bits);
    return pci_host_new(m->bus, &layout, &m->pci, err);
}

static void on_end_of_interrupt(void *opaque, uint8_t vector)
{
    Machine *m = opaque;

    if (m->ioapic != NULL)
        ioapic_end_of_interrupt(m->ioapic, vector);
}

static void enter_vcpu_thread(void *opaque)
{
    Machine *m = opaque;

    if (m->host.enter_thread)
        m->host.enter_thread("vcpu");
}

static int make_vcpus(Machine *m, struct kvm_cpuid2 *cpuid, Err *err)
{
    VcpuHost host = {.vm = m->kvm,
                     .bus = m->bus,
                     .main_loop = m->loop,
                     .event = on_vcpu_event,
                     .end_of_interrupt = on_end_of_interrupt,
                     .opaque = m,
                     .prepare = enter_vcpu_thread};
    const CpuTopology *t = &m->desc->topology;
    uint64_t capabilities = cpuid_arch_capabilities(m->kvm, &m->desc->cpu_model, &m->cpu_choice);
    int r = 0;

    for (unsigned i = 0; i < m->desc->cpus_max; i++)
        m->apic_ids[i] = cpu_apic_id(t, i);
    /* Interrupts of devices reach no farther (8 bits, of which all ones is everybody). */
    if (m->apic_ids[m->desc->cpus_max - 1] > 254)
        return err_set(err, E2BIG, "this CPU topology needs the APIC id %u, the highest is 254; choose powers of two",
                       m->apic_ids[m->desc->cpus_max - 1]);
    for (unsigned i = 0; i < m->desc->cpus_max && r == 0; i++) {
        cpuid_specialize(cpuid, t, m->apic_ids[i]);
        r = vcpu_new(&host, i, m->apic_ids[i], cpuid, stats_vcpu(m->stats, i), &m->vcpus[i], err);
        m->vcpu_count += r == 0;
        if (r == 0 && cpuid_has_feature(cpuid, "arch-capabilities"))
            r = vcpu_set_msr(m->vcpus[i], CPU_ARCH_CAPABILITIES, capabilities, err);
        m->cpu_slots[i].parked = i >= m->desc->cpus;
        acpi_hw_set_cpu(m->acpi_hw, i, i < m->desc->cpus, false);
    }
    return r;
}

static int build(Machine *m, Err *err)
{
    const MachineDesc *d = m->desc;
    KvmOptions kvm_options = {.kvm_fd = d->kvm_fd, .split_irqchip = d->split_irqchip};
    struct kvm_cpuid2 *cpuid = NULL;
    int r;

    /* The kernel first: a wrong one is refused before anything exists. */
    r = linux_open(d->kernel_fd, d->initrd_fd, d->cmdline, d->memory.size, &m->kernel, err);
    if (r < 0)
        return r;
    m->kernel_open = true;
    if ((r = kvm_open(&kvm_options, &m->kvm, err)) < 0)
        return r;
    if (d->cpus_max > m->kvm->max_vcpus)
        return err_set(err, E2BIG, "%u CPUs are more than the host's KVM allows (%u)", d->cpus_max,
                       m->kvm->max_vcpus);
    if ((r = memory_new(&d->memory, &m->memory, err)) < 0 ||
        (r = kvm_memory_sync(m->kvm, m->memory, err)) < 0 ||
        (r = stats_new(d->stats_fd, d->memory.size, &m->stats, err)) < 0 ||
        (r = dirty_rate_new(m->loop, m->kvm, m->memory, &stats_page(m->stats)->dirty_rate, &m->dirty_rate, err)) < 0 ||
        (r = cpuid_build(m->kvm, &d->cpu_model, &d->topology, &cpuid, &m->cpu_choice, err)) < 0)
        return r;
    /* Interrupt controllers come before vCPUs, whose local APICs are made with them. */
    machine_init_device_host(m);
    if ((r = kvm_irqchip_create(m->kvm, !cpuid_has_kvmclock(cpuid), err)) < 0 || (r = make_platform(m, err)) < 0 ||
        (r = make_pci(m, cpuid_physical_bits(cpuid), err)) < 0 || (r = machine_make_devices(m, err)) < 0 ||
        (r = make_vcpus(m, cpuid, err)) < 0) {
        free(cpuid);
        return r;
    }
    free(cpuid);
    r = kvm_irqchip_get(m->kvm, &m->reset_irqchip);
    if (r < 0)
        return err_set(err, -r, "KVM_GET_IRQCHIP: %s", strerror(-r));
    return machine_load_boot(m, err);
}

int machine_new(const MachineDesc *desc, const MachineHost *host, Machine **ret, Err *err)
{
    Machine *m = calloc(1, sizeof *m);
    int r;

    if (m == NULL)
        return err_set(err, ENOMEM, "out of memory");
    m->desc = desc;
    m->host = *host;
    m->events_tail = &m->events;
    m->watchdog_action = desc->watchdog_action;
    m->post = (LoopPost){.run = handle_posts, .opaque = m, .outermost = true};
    pthread_mutex_init(&m->lock, NULL);
    r = loop_new("main", &m->loop, err);
    if (r == 0)
        r = build(m, err);
    if (r < 0) {
        machine_free(m);
        return r;
    }
    set_state(m, RUN_PRELAUNCH);
    *ret = m;
    return 0;
}

int machine_start(Machine *m, Err *err)
{
    int r = vcpu_install_signal(err);

    if (r == 0)
        r = machine_start_iothreads(m, err);
    for (unsigned i = 0; i < m->vcpu_count && r == 0; i++)
        r = vcpu_start(m->vcpus[i], err);
    for (unsigned i = 0; i < m->vcpu_count; i++)
        stats_vcpu(m->stats, i)->online = !m->cpu_slots[i].parked;
    if (r < 0)
        return r;
    m->started = true;
    if (m->desc->paused) {
        machine_devices_set_running(m, false);
        return 0;
    }
    set_state(m, RUN_RUNNING);
    machine_resume_vcpus(m);
    machine_emit(m, "RESUME", NULL);
    return 0;
}

void machine_free(Machine *m)
{
    if (m == NULL)
        return;
    m->exiting = true; /* what devices report while they end concerns nobody */
    if (m->started)
        machine_pause_vcpus(m);
    for (unsigned i = 0; i < m->vcpu_count; i++)
        vcpu_free(m->vcpus[i]);
    if (m->loop != NULL)
        machine_free_devices(m);
    acpi_hw_free(m->acpi_hw);
    legacy_free(m->legacy);
    rtc_free(m->rtc);
    ioapic_free(m->ioapic);
    irq_free(m->irq);
    bus_free(m->bus);
    dirty_rate_free(m->dirty_rate);
    stats_free(m->stats);
    kvm_close(m->kvm);
    memory_free(m->memory);
    if (m->kernel_open)
        linux_close(&m->kernel);
    loop_free(m->loop);
    while (m->events != NULL) {
        QueuedEvent *event = m->events;

        m->events = event->next;
        json_decref(event->data);
        free(event);
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* --- looking
 * -------------------------------------------------------------------------------------------------- */

Loop *machine_loop(Machine *m)
{
    return m->loop;
}

RunState machine_run_state(const Machine *m)
{
    return m->state;
}

const MachineDesc *machine_description(const Machine *m)
{
    return m->desc;
}

Stats *machine_stats(Machine *m)
{
    return m->stats;
}

unsigned machine_vcpu_count(const Machine *m)
{
    return m->vcpu_count;
}

Vcpu *machine_vcpu(Machine *m, unsigned index)
{
    return index < m->vcpu_count ? m->vcpus[index] : NULL;
}

DirtyRate *machine_dirty_rate(Machine *m)
{
    return m->dirty_rate;
}

uint64_t machine_memory_size(const Machine *m)
{
    return memory_size(m->memory);
}
