/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake_machine.h. */
#include "lib/fake_machine.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/machine_internal.h"

FakeKvm fake_kvm;

/* --- kvm.h ---------------------------------------------------------------------------------------------------- */

KvmVm *fake_kvm_new(void)
{
    KvmVm *vm = calloc(1, sizeof *vm);

    if (vm == NULL)
        abort();
    memset(&fake_kvm, 0, sizeof fake_kvm);
    for (unsigned i = 0; i < FAKE_GSIS; i++)
        fake_kvm.irqfds[i] = -1;
    vm->kvm_fd = vm->vm_fd = -1;
    vm->max_vcpus = 288;
    vm->vcpu_map_size = 4096;
    return vm;
}

int fake_kvm_gsi_of(uint64_t address, uint32_t data)
{
    for (int i = 0; i < FAKE_GSIS; i++) {
        const struct kvm_irq_routing_entry *e = &fake_kvm.routes[i];

        if (e->type == KVM_IRQ_ROUTING_MSI && e->u.msi.address_lo == (uint32_t)address &&
            e->u.msi.address_hi == address >> 32 && e->u.msi.data == data)
            return i;
    }
    return -1;
}

int kvm_open(const KvmOptions *options, KvmVm **ret, Err *err)
{
    (void)err;
    *ret = fake_kvm_new();
    (*ret)->split_irqchip = options->split_irqchip;
    return 0;
}

void kvm_close(KvmVm *vm)
{
    free(vm);
}

int kvm_capability(const KvmVm *vm, int capability)
{
    (void)vm;
    (void)capability;
    return 1;
}

int kvm_memory_sync(KvmVm *vm, const GuestMemory *memory, Err *err)
{
    (void)err;
    vm->slots = memory_region_count(memory);
    return 0;
}

int kvm_dirty_log(KvmVm *vm, const GuestMemory *memory, unsigned slots, bool on, Err *err)
{
    (void)vm;
    (void)memory;
    (void)err;
    fake_kvm.logged_slots = on ? slots : 0;
    return 0;
}

int kvm_dirty_bitmap(KvmVm *vm, unsigned slot, uint64_t *bits)
{
    (void)vm;
    if (slot >= fake_kvm.logged_slots)
        return -ENOENT;
    bits[0] = fake_kvm.dirty_pages;
    return 0;
}

int kvm_enable_cap(KvmVm *vm, uint32_t cap, uint64_t arg)
{
    (void)vm;
    (void)cap;
    (void)arg;
    return 0;
}

int kvm_irqchip_create(KvmVm *vm, bool pit, Err *err)
{
    (void)pit;
    (void)vm;
    (void)err;
    return 0;
}

int kvm_irqchip_get(KvmVm *vm, KvmIrqchipState *ret)
{
    (void)vm;
    memset(ret, 0, sizeof *ret);
    return 0;
}

int kvm_irqchip_set(KvmVm *vm, const KvmIrqchipState *state)
{
    (void)vm;
    (void)state;
    return 0;
}

int kvm_irq_line(KvmVm *vm, unsigned gsi, bool level)
{
    (void)vm;
    if (gsi >= ARRAY_LEN(fake_kvm.line_level))
        return -EINVAL;
    fake_kvm.line_edges[gsi] += level && !fake_kvm.line_level[gsi];
    fake_kvm.line_level[gsi] = level;
    return 0;
}

int kvm_signal_msi(KvmVm *vm, const struct kvm_msi *msi)
{
    (void)vm;
    fake_kvm.messages++;
    fake_kvm.message = *msi;
    return 1;
}

int kvm_set_routing(KvmVm *vm, const struct kvm_irq_routing *routing)
{
    (void)vm;
    memset(fake_kvm.routes, 0, sizeof fake_kvm.routes);
    for (unsigned i = 0; i < routing->nr; i++) {
        if (routing->entries[i].gsi >= FAKE_GSIS)
            abort(); /* KVM's own limit */
        fake_kvm.routes[routing->entries[i].gsi] = routing->entries[i];
    }
    return 0;
}

int kvm_irqfd(KvmVm *vm, int fd, unsigned gsi, bool assign)
{
    (void)vm;
    if (gsi >= FAKE_GSIS)
        return -EINVAL;
    fake_kvm.irqfds[gsi] = assign ? fd : -1;
    return 0;
}

int kvm_ioeventfd(KvmVm *vm, bool pio, uint64_t address, unsigned len, int fd, bool assign)
{
    (void)vm;
    (void)pio;
    (void)address;
    (void)len;
    (void)fd;
    /* Not taken: kicks come as writes of the register. */
    if (!assign)
        return 0;
    fake_kvm.ioeventfds++;
    return -ENOSPC;
}

int kvm_vcpu_create(KvmVm *vm, unsigned id, Err *err)
{
    (void)vm;
    (void)id;
    return err_set(err, ENOSYS, "no vCPU descriptors here");
}

int kvm_supported_cpuid(KvmVm *vm, struct kvm_cpuid2 **ret, Err *err)
{
    static const struct kvm_cpuid_entry2 leaves[] = {
        {.function = 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
        {.function = 1, .eax = 0x806f8, .ebx = 0x800, .ecx = 0xfffa3203, .edx = 0x1f8bfbff},
        {.function = 4, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x121},
        {.function = 7, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ebx = 0x2},
        {.function = 0x40000000, .eax = 0x40000001},
        {.function = 0x40000001, .eax = 0x100bb},
        {.function = 0x80000000, .eax = 0x80000008},
        {.function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800},
        {.function = 0x80000008, .eax = 0x3028},
    };
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + sizeof leaves);

    (void)vm;
    if (cpuid == NULL)
        return err_set(err, ENOMEM, "out of memory");
    cpuid->nent = ARRAY_LEN(leaves);
    memcpy(cpuid->entries, leaves, sizeof leaves);
    *ret = cpuid;
    return 0;
}

bool kvm_has_msr(KvmVm *vm, uint32_t index)
{
    (void)vm;
    (void)index;
    return false;
}

uint64_t kvm_feature_msr(const KvmVm *vm, uint32_t index)
{
    (void)vm;
    return index == 0x10a ? 0x29 : 0; /* rdctl-no skip-l1dfl-vmentry mds-no */
}

int kvm_clock_get(KvmVm *vm, struct kvm_clock_data *ret)
{
    (void)vm;
    memset(ret, 0, sizeof *ret);
    return 0;
}

int kvm_clock_set(KvmVm *vm, const struct kvm_clock_data *clock)
{
    (void)vm;
    (void)clock;
    return 0;
}

/* --- vcpu.h --------------------------------------------------------------------------------------------------- */

struct Vcpu {
    unsigned index;
    uint32_t apic_id;
    bool paused;
};

int vcpu_new(const VcpuHost *host, unsigned index, uint32_t apic_id, struct kvm_cpuid2 *cpuid,
    StatsVcpu *stats,
             Vcpu **ret, Err *err)
{
    (void)host;
    (void)cpuid;
    (void)stats;
    *ret = calloc(1, sizeof **ret);
    if (*ret == NULL)
        return err_set(err, ENOMEM, "out of memory");
    **ret = (Vcpu){.index = index, .apic_id = apic_id, .paused = true};
    fake_kvm.vcpus++;
    return 0;
}

int vcpu_set_msr(Vcpu *vcpu, uint32_t index, uint64_t value, Err *err)
{
    (void)vcpu;
    (void)index;
    (void)value;
    (void)err;
    return 0;
}

int vcpu_start(Vcpu *vcpu, Err *err)
{
    (void)vcpu;
    (void)err;
    return 0;
}

void vcpu_free(Vcpu *vcpu)
{
    fake_kvm.vcpus -= vcpu != NULL;
    free(vcpu);
}

int vcpu_set_boot(Vcpu *vcpu, const struct kvm_regs *regs, const struct kvm_sregs *sregs, Err *err)
{
    (void)vcpu;
    (void)regs;
    (void)sregs;
    (void)err;
    return 0;
}

int vcpu_get_reset_sregs(Vcpu *vcpu, struct kvm_sregs *ret, Err *err)
{
    (void)vcpu;
    (void)err;
    memset(ret, 0, sizeof *ret);
    return 0;
}

int vcpu_reset(Vcpu *vcpu, Err *err)
{
    (void)vcpu;
    (void)err;
    return 0;
}

void vcpu_get_state(Vcpu *vcpu, VcpuState *ret)
{
    *ret = (VcpuState){.regs = {.rip = 0x1000 + vcpu->index, .rsp = 0x2000},
                       .sregs = {.cr3 = 0x3000, .cs = {.selector = 0x10}}};
}

void vcpu_nmi(Vcpu *vcpu)
{
    (void)vcpu;
    fake_kvm.nmis++;
}

void vcpu_request_pause(Vcpu *vcpu)
{
    vcpu->paused = true;
}

bool vcpu_is_paused(const Vcpu *vcpu)
{
    void (*act)(void *) = fake_kvm.last_act;

    if (act != NULL && vcpu->paused && vcpu->index == 0) {
        fake_kvm.last_act = NULL;
        act(fake_kvm.last_opaque);
        return false;
    }
    return vcpu->paused;
}

void vcpu_resume(Vcpu *vcpu)
{
    vcpu->paused = false;
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
    return 1000 + (int)vcpu->index;
}

int vcpu_install_signal(Err *err)
{
    (void)err;
    return 0;
}

/* --- the machine ---------------------------------------------------------------------------------------------- */

int fake_file(const void *data, size_t len)
{
    int fd = memfd_create("fake", MFD_CLOEXEC);

    if (fd < 0 || (len > 0 && pwrite(fd, data, len, 0) != (ssize_t)len))
        abort();
    return fd;
}

int fake_kernel(void)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr load, note;
        struct {
            uint32_t name_size, size, type;
            char name[4];
            uint32_t entry;
        } pvh;
        uint8_t rest[4096];
    } file = {
        .head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                 .e_type = ET_EXEC,
                 .e_machine = EM_X86_64,
                 .e_phoff = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 2},
        .load = {.p_type = PT_LOAD, .p_paddr = 1 << 20, .p_filesz = 4096, .p_memsz = 1 << 20,
            .p_align = 4096},
        .note = {.p_type = PT_NOTE, .p_filesz = 20, .p_memsz = 20, .p_align = 4},
        .pvh = {.name_size = 4, .size = 4, .type = 18, .name = "Xen", .entry = 1 << 20},
    };

    file.note.p_offset = (uint64_t)((uint8_t *)&file.pvh - (uint8_t *)&file);
    return fake_file(&file, sizeof file);
}

Machine *fake_machine(const char *json, MachineDesc **ret_desc, Err *err)
{
    static const MachineHost host = {0};
    json_t *root = json_loads(json, 0, NULL);
    Machine *machine = NULL;

    *ret_desc = NULL;
    if (root == NULL) {
        err_set(err, EINVAL, "not JSON");
        return NULL;
    }
    json_object_set_new(root, "boot", json_pack("{s:i}", "kernel-fd", fake_kernel()));
    if (machine_desc_parse(root, ret_desc, err) < 0 || machine_new(*ret_desc, &host, &machine, err) < 0 ||
        machine_start(machine, err) < 0) {
        fake_machine_free(machine, *ret_desc);
        *ret_desc = NULL;
        return NULL;
    }
    return machine;
}

void fake_machine_free(Machine *machine, MachineDesc *desc)
{
    machine_free(machine);
    if (desc != NULL)
        close(desc->kernel_fd);
    machine_desc_free(desc);
}

uint64_t fake_in(Machine *machine, uint16_t port, unsigned len)
{
    uint64_t value = 0;

    (void)bus_read(machine->bus, BUS_PIO, port, &value, len);
    return value;
}

void fake_out(Machine *machine, uint16_t port, uint64_t value, unsigned len)
{
    (void)bus_write(machine->bus, BUS_PIO, port, &value, len);
}

uint64_t fake_load(Machine *machine, uint64_t address, unsigned len)
{
    uint64_t value = 0;

    (void)bus_read(machine->bus, BUS_MMIO, address, &value, len);
    return value;
}

void fake_store(Machine *machine, uint64_t address, uint64_t value, unsigned len)
{
    (void)bus_write(machine->bus, BUS_MMIO, address, &value, len);
}

void fake_settle(Machine *machine)
{
    for (int i = 0; i < 8; i++)
        loop_iterate(machine->loop, false);
}
