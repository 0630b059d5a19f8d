/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU threads. Kicking: immediate_exit is set, then a signal gets the thread out of KVM_RUN; whichever comes
 * first, KVM_RUN returns -EINTR with the last exit completed, and only then requests are looked at. So a
 * paused vCPU never has half an instruction open.
 *
 * #syscalls:vcpu ioctl futex write tgkill rt_sigreturn gettid prctl
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/regs.h"
#include "vmm/log.h"

#define KICK_SIGNAL SIGUSR1

struct Vcpu {
    VcpuHost host;
    unsigned index;
    uint32_t apic_id;
    int fd;
    struct kvm_run *run;
    StatsVcpu *stats, dummy;

    pthread_t thread;
    bool started;
    int tid; /* atomic */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool pause_wanted, stop_wanted; /* lock; pause_wanted also read as a hint */
    bool paused; /* atomic, written under lock */
    bool nmi_wanted; /* lock; also read as a hint */
    int (*work)(Vcpu *vcpu, const void *data, Err *err); /* lock; run by the paused thread */
    const void *work_data;
    Err *work_err;
    int work_result;

    /* As KVM made it: what a reset goes back to. */
    struct kvm_regs reset_regs;
    struct kvm_sregs reset_sregs;
    struct kvm_fpu reset_fpu;
    struct kvm_lapic_state reset_lapic;
    struct kvm_vcpu_events reset_events;
    struct kvm_mp_state reset_mp_state;
    struct kvm_debugregs reset_debug;
    struct kvm_xcrs reset_xcrs;
    bool has_debug, has_xcrs, has_nested; /* what this KVM keeps of each vCPU */
    /* No virtual machine inside; that takes no more room. */
    union {
        struct kvm_nested_state head;
        uint8_t room[256];
    } reset_nested;
};

static void on_kick(int signum)
{
    (void)signum;
}

int vcpu_install_signal(Err *err)
{
    struct sigaction action = {.sa_handler = on_kick};

    if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
        return err_set(err, errno, "cannot set the vCPU signal: %s", strerror(errno));
    return 0;
}

/* --- making
 * --------------------------------------------------------------------------------------------------- */

static int call(Vcpu *vcpu, unsigned long request, const char *name, void *arg, Err *err)
{
    if (ioctl(vcpu->fd, request, arg) < 0)
        return err_set(err, errno, "vCPU %u: %s: %s", vcpu->index, name, strerror(errno));
    return 0;
}
#define CALL(vcpu, request, arg, err) call(vcpu, request, #request, arg, err)

static bool set_msr(Vcpu *vcpu, const struct kvm_msr_entry *msr)
{
    union {
        struct kvm_msrs head;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } one = {.room = {0}};

    one.head.nmsrs = 1;
    one.head.entries[0] = *msr;
    return ioctl(vcpu->fd, KVM_SET_MSRS, &one) == 1;
}

/* One by one: a host without one of them is no reason to fail. */
static void set_reset_msrs(Vcpu *vcpu)
{
    unsigned count;
    const struct kvm_msr_entry *msrs = regs_reset_msrs(&count);

    for (unsigned i = 0; i < count; i++)
        (void)set_msr(vcpu, &msrs[i]);
}

int vcpu_set_msr(Vcpu *vcpu, uint32_t index, uint64_t value, Err *err)
{
    const struct kvm_msr_entry msr = {.index = index, .data = value};

    return set_msr(vcpu, &msr) ? 0 : err_set(err, EINVAL, "vCPU %u: KVM does not take 0x%llx for MSR 0x%x", vcpu->index,
                                             (unsigned long long)value, index);
}

/* LINT1 is the NMI, as the MADT says; LINT0 stays masked: there is no PIC behind it. */
static void set_lint(struct kvm_lapic_state *lapic)
{
    uint32_t nmi = 4u << 8;

    memcpy(lapic->regs + 0x360, &nmi, 4);
}

/* What not every KVM and processor has. */
static void take_optional_state(Vcpu *vcpu)
{
    vcpu->has_debug = ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &vcpu->reset_debug) == 0;
    vcpu->has_xcrs = ioctl(vcpu->fd, KVM_GET_XCRS, &vcpu->reset_xcrs) == 0;
    vcpu->reset_nested.head.size = sizeof vcpu->reset_nested;
    vcpu->has_nested = ioctl(vcpu->fd, KVM_GET_NESTED_STATE, &vcpu->reset_nested) == 0;
}

static void reset_optional_state(Vcpu *vcpu)
{
    if (vcpu->has_debug)
        (void)ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &vcpu->reset_debug);
    if (vcpu->has_xcrs)
        (void)ioctl(vcpu->fd, KVM_SET_XCRS, &vcpu->reset_xcrs);
}

int vcpu_new(const VcpuHost *host, unsigned index, uint32_t apic_id, struct kvm_cpuid2 *cpuid,
             StatsVcpu *stats, Vcpu **ret, Err *err)
{
    Vcpu *vcpu = calloc(1, sizeof *vcpu);
    int r;

    if (vcpu == NULL)
        return err_set(err, ENOMEM, "out of memory");
    vcpu->host = *host;
    vcpu->index = index;
    vcpu->apic_id = apic_id;
    vcpu->stats = stats ? stats : &vcpu->dummy;
    vcpu->paused = vcpu->pause_wanted = true;
    pthread_mutex_init(&vcpu->lock, NULL);
    pthread_cond_init(&vcpu->changed, NULL);
    r = vcpu->fd = kvm_vcpu_create(host->vm, apic_id, err);
    if (r < 0)
        goto fail;
    vcpu->run = mmap(NULL, (size_t)host->vm->vcpu_map_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        vcpu->run = NULL;
        r = err_set(err, errno, "vCPU %u: cannot map its state: %s", index, strerror(errno));
        goto fail;
    }
    if ((r = CALL(vcpu, KVM_SET_CPUID2, cpuid, err)) < 0)
        goto fail;
    set_reset_msrs(vcpu);
    if ((r = CALL(vcpu, KVM_GET_REGS, &vcpu->reset_regs, err)) < 0 ||
        (r = CALL(vcpu, KVM_GET_SREGS, &vcpu->reset_sregs, err)) < 0 ||
        (r = CALL(vcpu, KVM_GET_FPU, &vcpu->reset_fpu, err)) < 0 ||
        (r = CALL(vcpu, KVM_GET_LAPIC, &vcpu->reset_lapic, err)) < 0 ||
        (r = CALL(vcpu, KVM_GET_VCPU_EVENTS, &vcpu->reset_events, err)) < 0 ||
        (r = CALL(vcpu, KVM_GET_MP_STATE, &vcpu->reset_mp_state, err)) < 0)
        goto fail;
    take_optional_state(vcpu);
    set_lint(&vcpu->reset_lapic);
    if ((r = CALL(vcpu, KVM_SET_LAPIC, &vcpu->reset_lapic, err)) < 0)
        goto fail;
    vcpu->reset_mp_state.mp_state = index == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
    *ret = vcpu;
    return 0;
fail:
    vcpu_free(vcpu);
    return r;
}

void vcpu_free(Vcpu *vcpu)
{
    if (vcpu == NULL)
        return;
    if (vcpu->started) {
        pthread_mutex_lock(&vcpu->lock);
        vcpu->stop_wanted = true;
        pthread_cond_broadcast(&vcpu->changed);
        pthread_mutex_unlock(&vcpu->lock);
        vcpu_request_pause(vcpu);
        pthread_join(vcpu->thread, NULL);
    }
    if (vcpu->run != NULL)
        munmap(vcpu->run, (size_t)vcpu->host.vm->vcpu_map_size);
    if (vcpu->fd >= 0)
        close(vcpu->fd);
    pthread_mutex_destroy(&vcpu->lock);
    pthread_cond_destroy(&vcpu->changed);
    free(vcpu);
}

/* --- registers (paused)
 * --------------------------------------------------------------------------------------- */

int vcpu_get_reset_sregs(Vcpu *vcpu, struct kvm_sregs *ret, Err *err)
{
    (void)err;
    *ret = vcpu->reset_sregs;
    return 0;
}

/* A vCPU's ioctls belong on its own thread (api.rst, "General description"): the paused thread does them. */
static int on_thread(Vcpu *vcpu, int (*work)(Vcpu *, const void *, Err *), const void *data, Err *err)
{
    int r;

    if (!vcpu->started)
        return work(vcpu, data, err);
    pthread_mutex_lock(&vcpu->lock);
    vcpu->work = work;
    vcpu->work_data = data;
    vcpu->work_err = err;
    pthread_cond_broadcast(&vcpu->changed);
    while (vcpu->work != NULL)
        pthread_cond_wait(&vcpu->changed, &vcpu->lock);
    r = vcpu->work_result;
    pthread_mutex_unlock(&vcpu->lock);
    return r;
}

typedef struct BootRegisters {
    const struct kvm_regs *regs;
    const struct kvm_sregs *sregs;
} BootRegisters;

static int set_boot_work(Vcpu *vcpu, const void *data, Err *err)
{
    const BootRegisters *b = data;
    int r = CALL(vcpu, KVM_SET_SREGS, (void *)(uintptr_t)b->sregs, err);

    return r < 0 ? r : CALL(vcpu, KVM_SET_REGS, (void *)(uintptr_t)b->regs, err);
}

int vcpu_set_boot(Vcpu *vcpu, const struct kvm_regs *regs, const struct kvm_sregs *sregs, Err *err)
{
    BootRegisters b = {.regs = regs, .sregs = sregs};

    return on_thread(vcpu, set_boot_work, &b, err);
}

static int reset_work(Vcpu *vcpu, const void *data, Err *err)
{
    int r;

    (void)data;
    __atomic_store_n(&vcpu->nmi_wanted, false, __ATOMIC_RELEASE);
    /* A guest that was a hypervisor: CR4 and EFER of the reset are refused while it is in VMX operation. */
    if (vcpu->has_nested)
        (void)ioctl(vcpu->fd, KVM_SET_NESTED_STATE, &vcpu->reset_nested);
    /* The local APIC follows APIC_BASE, which is in sregs: registers first. */
    /* The boot CPU gets its entry state by vcpu_set_boot() at once; it never is in real mode here. */
    if (vcpu->index > 0 && ((r = CALL(vcpu, KVM_SET_SREGS, &vcpu->reset_sregs, err)) < 0 ||
                            (r = CALL(vcpu, KVM_SET_REGS, &vcpu->reset_regs, err)) < 0))
        return r;
    if ((r = CALL(vcpu, KVM_SET_FPU, &vcpu->reset_fpu, err)) < 0 ||
        (r = CALL(vcpu, KVM_SET_VCPU_EVENTS, &vcpu->reset_events, err)) < 0)
        return r;
    reset_optional_state(vcpu);
    set_reset_msrs(vcpu);
    if ((r = CALL(vcpu, KVM_SET_LAPIC, &vcpu->reset_lapic, err)) < 0)
        return r;
    return CALL(vcpu, KVM_SET_MP_STATE, &vcpu->reset_mp_state, err);
}

int vcpu_reset(Vcpu *vcpu, Err *err)
{
    return on_thread(vcpu, reset_work, NULL, err);
}

static int get_state_work(Vcpu *vcpu, const void *data, Err *err)
{
    VcpuState *const *ret = data;

    (void)err;
    vcpu_state_take(vcpu->fd, *ret);
    return 0;
}

void vcpu_get_state(Vcpu *vcpu, VcpuState *ret)
{
    (void)on_thread(vcpu, get_state_work, &ret, NULL);
}

/* --- pausing
 * -------------------------------------------------------------------------------------------------- */

void vcpu_request_pause(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->lock);
    __atomic_store_n(&vcpu->pause_wanted, true, __ATOMIC_RELEASE);
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
    if (vcpu->started && !vcpu->paused && !pthread_equal(vcpu->thread, pthread_self()))
        pthread_kill(vcpu->thread, KICK_SIGNAL);
    pthread_mutex_unlock(&vcpu->lock);
}

bool vcpu_is_paused(const Vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->paused, __ATOMIC_ACQUIRE);
}

void vcpu_resume(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->lock);
    /* An NMI that was asked for meanwhile is delivered first. */
    __atomic_store_n(&vcpu->run->immediate_exit, vcpu->nmi_wanted, __ATOMIC_RELEASE);
    vcpu->pause_wanted = false;
    /* Here, not by the thread: it may not have begun to wait at all. */
    __atomic_store_n(&vcpu->paused, false, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&vcpu->changed);
    pthread_mutex_unlock(&vcpu->lock);
}

/* The thread itself delivers it: KVM would have anybody else wait until the guest happens to leave KVM_RUN. */
void vcpu_nmi(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->lock);
    __atomic_store_n(&vcpu->nmi_wanted, true, __ATOMIC_RELEASE);
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
    if (vcpu->started && !vcpu->paused && !pthread_equal(vcpu->thread, pthread_self()))
        pthread_kill(vcpu->thread, KICK_SIGNAL);
    pthread_mutex_unlock(&vcpu->lock);
}

static void deliver_nmi(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->lock);
    __atomic_store_n(&vcpu->nmi_wanted, false, __ATOMIC_RELEASE);
    __atomic_store_n(&vcpu->run->immediate_exit, vcpu->pause_wanted, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&vcpu->lock);
    if (ioctl(vcpu->fd, KVM_NMI, 0) < 0)
        log_note("vCPU %u: KVM_NMI: %s", vcpu->index, strerror(errno));
}

/* Returns false when the thread is to end. */
static bool serve_requests(Vcpu *vcpu)
{
    bool go_on;

    if (!__atomic_load_n(&vcpu->pause_wanted, __ATOMIC_ACQUIRE))
        return true;
    pthread_mutex_lock(&vcpu->lock);
    if (vcpu->pause_wanted) {
        while (vcpu->pause_wanted && !vcpu->stop_wanted) {
            /* Each time: a resume and a new pause may both have come before this thread woke up. */
            if (!vcpu->paused) {
                __atomic_store_n(&vcpu->paused, true, __ATOMIC_RELEASE);
                loop_wake(vcpu->host.main_loop);
            }
            if (vcpu->work != NULL) {
                vcpu->work_result = vcpu->work(vcpu, vcpu->work_data, vcpu->work_err);
                vcpu->work = NULL;
                pthread_cond_broadcast(&vcpu->changed);
            } else {
                pthread_cond_wait(&vcpu->changed, &vcpu->lock);
            }
        }
        /* So that the guest's soft-lockup watchdog does not count the pause; there may be no kvmclock to
         * tell. */
        (void)ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
        __atomic_store_n(&vcpu->paused, false, __ATOMIC_RELEASE);
    }
    go_on = !vcpu->stop_wanted;
    pthread_mutex_unlock(&vcpu->lock);
    return go_on;
}

/* --- running
 * -------------------------------------------------------------------------------------------------- */

static void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static void handle_io(Vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)vcpu->run + run->io.data_offset;
    unsigned size = run->io.size, n = run->io.count;
    uint16_t port = run->io.port;

    count(&vcpu->stats->pio_exits);
    for (unsigned i = 0; i < n; i++, data += size) {
        if (run->io.direction == KVM_EXIT_IO_OUT)
            bus_write(vcpu->host.bus, BUS_PIO, port, data, size);
        else
            bus_read(vcpu->host.bus, BUS_PIO, port, data, size);
    }
}

static void handle_mmio(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    unsigned len = MIN(run->mmio.len, 8u);

    count(&vcpu->stats->mmio_exits);
    if (run->mmio.is_write)
        bus_write(vcpu->host.bus, BUS_MMIO, run->mmio.phys_addr, run->mmio.data, len);
    else
        bus_read(vcpu->host.bus, BUS_MMIO, run->mmio.phys_addr, run->mmio.data, len);
}

/* Pauses itself and tells the machine. */
static void raise_event(Vcpu *vcpu, VcpuEvent event, const char *text)
{
    vcpu_request_pause(vcpu);
    vcpu->host.event(vcpu->host.opaque, vcpu->index, event, text);
}

/* A guest that does this again and again fills no log: guest faults are limited in rate. */
static void log_state(Vcpu *vcpu, const char *what)
{
    VcpuState state;
    char text[1000];

    vcpu_state_take(vcpu->fd, &state);
    vcpu_state_format(&state, text, sizeof text);
    log_guest_fault("vCPU %u: %s: %s", vcpu->index, what, text);
}

static void handle_trouble(Vcpu *vcpu, int error)
{
    const struct kvm_run *run = vcpu->run;
    char text[160];

    if (error != 0) {
        snprintf(text, sizeof text, "KVM_RUN: %s", strerror(error));
    } else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY) {
        snprintf(text, sizeof text, "the processor refuses to enter the guest, hardware reason 0x%llx",
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
    } else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
        snprintf(text, sizeof text, "KVM internal error %u", run->internal.suberror);
    } else {
        snprintf(text, sizeof text, "unknown exit reason %u", run->exit_reason);
    }
    log_state(vcpu, text);
    raise_event(vcpu, VCPU_EVENT_ERROR, text);
}

static void handle_exit(Vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;

    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        handle_io(vcpu);
        break;
    case KVM_EXIT_MMIO:
        handle_mmio(vcpu);
        break;
    case KVM_EXIT_HLT:
        count(&vcpu->stats->halt_exits);
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        break;
    case KVM_EXIT_IOAPIC_EOI:
        if (vcpu->host.end_of_interrupt)
            vcpu->host.end_of_interrupt(vcpu->host.opaque, run->eoi.vector);
        break;
    case KVM_EXIT_SHUTDOWN:
        log_state(vcpu, "triple fault");
        raise_event(vcpu, VCPU_EVENT_RESET, NULL);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
            raise_event(vcpu, VCPU_EVENT_SHUTDOWN, NULL);
        else if (run->system_event.type == KVM_SYSTEM_EVENT_CRASH)
            raise_event(vcpu, VCPU_EVENT_CRASH, NULL);
        else
            raise_event(vcpu, VCPU_EVENT_RESET, NULL);
        break;
    default:
        handle_trouble(vcpu, 0);
        break;
    }
}

static void *vcpu_main(void *opaque)
{
    Vcpu *vcpu = opaque;
    char name[16];

    snprintf(name, sizeof name, "CPU %u/KVM", vcpu->index);
    prctl(PR_SET_NAME, name);
    __atomic_store_n(&vcpu->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    vcpu->stats->tid = (uint64_t)vcpu->tid;
    if (vcpu->host.prepare)
        vcpu->host.prepare(vcpu->host.opaque);
    loop_wake(vcpu->host.main_loop);
    while (serve_requests(vcpu)) {
        int r;

        if (__atomic_load_n(&vcpu->nmi_wanted, __ATOMIC_ACQUIRE))
            deliver_nmi(vcpu);
        r = ioctl(vcpu->fd, KVM_RUN, 0);

        count(&vcpu->stats->exits);
        if (r == 0)
            handle_exit(vcpu);
        else if (errno != EINTR && errno != EAGAIN)
            handle_trouble(vcpu, errno);
    }
    return NULL;
}

int vcpu_start(Vcpu *vcpu, Err *err)
{
    pthread_attr_t attr;
    sigset_t block, old;
    int r;

    /* Signals to the process are for the main thread. */
    sigfillset(&block);
    sigdelset(&block, KICK_SIGNAL);
    sigdelset(&block, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &block, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    r = pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return err_set(err, r, "vCPU %u: cannot start its thread: %s", vcpu->index, strerror(r));
    vcpu->started = true;
    vcpu->stats->online = 1;
    return 0;
}

unsigned vcpu_index(const Vcpu *vcpu)
{
    return vcpu->index;
}

uint32_t vcpu_apic_id(const Vcpu *vcpu)
{
    return vcpu->apic_id;
}

int vcpu_thread_id(const Vcpu *vcpu)
{
    /* The thread sets it first thing; whoever asks that early waits a moment. */
    while (vcpu->started && __atomic_load_n(&vcpu->tid, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    return __atomic_load_n(&vcpu->tid, __ATOMIC_ACQUIRE);
}
