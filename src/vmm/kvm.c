/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM-wide KVM calls.
 *
 * #syscalls ioctl openat close
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/checked.h"

/* Three pages for the TSS and one for the identity map that older Intel processors need in real mode; below
 * the flash and ROM area, in the hole that no device and no RAM uses. */
#define IDENTITY_MAP_ADDRESS 0xfffbc000ull
#define TSS_ADDRESS 0xfffbd000ull

static int vm_ioctl(const KvmVm *vm, unsigned long request, void *arg)
{
    int r;

    do {
        r = ioctl(vm->vm_fd, request, arg);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int kvm_capability(const KvmVm *vm, int capability)
{
    int r = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

    return r < 0 ? 0 : r;
}

int kvm_open(const KvmOptions *options, KvmVm **ret, Err *err)
{
    static const struct {
        int cap;
        const char *name;
    } needed[] = {
        {KVM_CAP_USER_MEMORY, "user memory"},       {KVM_CAP_IRQCHIP, "in-kernel interrupt controllers"},
        {KVM_CAP_IRQ_ROUTING, "interrupt routing"}, {KVM_CAP_IRQFD, "irqfd"},
        {KVM_CAP_IOEVENTFD, "ioeventfd"},           {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
        {KVM_CAP_MP_STATE, "vCPU run states"},      {KVM_CAP_EXT_CPUID, "CPUID"},
    };
    KvmVm *vm = calloc(1, sizeof *vm);
    int r, version;

    if (vm == NULL)
        return err_set(err, ENOMEM, "out of memory");
    vm->vm_fd = -1;
    vm->split_irqchip = options->split_irqchip;
    vm->kvm_fd = options->kvm_fd >= 0 ? options->kvm_fd : open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (vm->kvm_fd < 0) {
        r = err_set(err, errno, "cannot open /dev/kvm: %s%s", strerror(errno),
                    errno == EACCES ? "; add the user to the group kvm"
                    : errno == ENOENT
                        ? "; load kvm_intel or kvm_amd, or enable virtualization in the firmware"
                        : "");
        goto fail;
    }
    version = ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        r = err_set(err, ENOTSUP, "/dev/kvm has API version %d, needed is %d", version, KVM_API_VERSION);
        goto fail;
    }
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (kvm_capability(vm, needed[i].cap) <= 0) {
            r = err_set(err, ENOTSUP, "/dev/kvm lacks %s; a newer kernel is needed", needed[i].name);
            goto fail;
        }
    }
    vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
    if (vm->vm_fd < 0) {
        r = err_set(err, errno, "cannot make a VM: KVM_CREATE_VM: %s", strerror(errno));
        goto fail;
    }
    vm->vcpu_map_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vm->vcpu_map_size < (int)sizeof(struct kvm_run)) {
        r = err_set(err, EIO, "KVM_GET_VCPU_MMAP_SIZE gave %d", vm->vcpu_map_size);
        goto fail;
    }
    r = kvm_capability(vm, KVM_CAP_MAX_VCPUS);
    vm->max_vcpus = r > 0 ? (unsigned)r : 4;
    *ret = vm;
    return 0;
fail:
    kvm_close(vm);
    return r;
}

void kvm_close(KvmVm *vm)
{
    if (vm == NULL)
        return;
    if (vm->vm_fd >= 0)
        close(vm->vm_fd);
    if (vm->kvm_fd >= 0)
        close(vm->kvm_fd);
    free(vm);
}

static int set_slot(KvmVm *vm, unsigned number, const MemoryRegion *region, uint32_t flags)
{
    struct kvm_userspace_memory_region slot = {
        .slot = number,
        .flags = flags,
        .guest_phys_addr = region->gpa,
        .memory_size = region->size,
        .userspace_addr = (uintptr_t)region->host,
    };

    return vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

int kvm_memory_sync(KvmVm *vm, const GuestMemory *memory, Err *err)
{
    for (unsigned i = vm->slots; i < memory_region_count(memory); i++) {
        const MemoryRegion *region = memory_region(memory, i);
        int r = set_slot(vm, i, region, 0);

        if (r < 0)
            return err_set(err, -r, "cannot give the guest %" PRIu64 " MiB at 0x%" PRIx64 ": %s",
                           region->size >> 20, region->gpa, strerror(-r));
        vm->slot_size[i] = region->size;
        vm->slots = i + 1;
    }
    return 0;
}

int kvm_dirty_log(KvmVm *vm, const GuestMemory *memory, unsigned slots, bool on, Err *err)
{
    int r = 0;

    for (unsigned i = 0; i < slots && r == 0; i++)
        r = set_slot(vm, i, memory_region(memory, i), on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    if (r == 0)
        return 0;
    for (unsigned i = 0; i < slots && on; i++)
        set_slot(vm, i, memory_region(memory, i), 0);
    return err_set(err, -r, "KVM cannot %s its log of written pages: %s", on ? "begin" : "end", strerror(-r));
}

int kvm_dirty_bitmap(KvmVm *vm, unsigned slot, uint64_t *bits)
{
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};

    return vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log);
}

int kvm_enable_cap(KvmVm *vm, uint32_t cap, uint64_t arg)
{
    struct kvm_enable_cap enable = {.cap = cap, .args = {arg}};

    return vm_ioctl(vm, KVM_ENABLE_CAP, &enable);
}

int kvm_irqchip_create(KvmVm *vm, bool with_pit, Err *err)
{
    uint64_t identity = IDENTITY_MAP_ADDRESS;
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    int r;

    /* Only Intel's needs these two, and a KVM that does not have them does not need them. */
    (void)vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (kvm_capability(vm, KVM_CAP_SET_TSS_ADDR) > 0)
        (void)ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS);
    if (vm->split_irqchip) {
        r = kvm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, 24);
        return r < 0 ? err_set(err, -r, "cannot split the interrupt controllers: %s", strerror(-r)) : 0;
    }
    r = vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
    if (r < 0)
        return err_set(err, -r, "cannot make interrupt controllers: KVM_CREATE_IRQCHIP: %s", strerror(-r));
    vm->pit = with_pit;
    r = vm->pit ? vm_ioctl(vm, KVM_CREATE_PIT2, &pit) : 0;
    if (r < 0)
        return err_set(err, -r, "cannot make the timer: KVM_CREATE_PIT2: %s", strerror(-r));
    return 0;
}

int kvm_irqchip_get(KvmVm *vm, KvmIrqchipState *ret)
{
    int r = 0;

    memset(ret, 0, sizeof *ret);
    if (vm->split_irqchip)
        return 0;
    for (unsigned i = 0; i < 3 && r >= 0; i++) {
        ret->chips[i].chip_id = i;
        r = vm_ioctl(vm, KVM_GET_IRQCHIP, &ret->chips[i]);
    }
    return r < 0 || !vm->pit ? r : vm_ioctl(vm, KVM_GET_PIT2, &ret->pit);
}

int kvm_irqchip_set(KvmVm *vm, const KvmIrqchipState *state)
{
    KvmIrqchipState copy = *state;
    int r = 0;

    if (vm->split_irqchip)
        return 0;
    for (unsigned i = 0; i < 3 && r >= 0; i++)
        r = vm_ioctl(vm, KVM_SET_IRQCHIP, &copy.chips[i]);
    return r < 0 || !vm->pit ? r : vm_ioctl(vm, KVM_SET_PIT2, &copy.pit);
}

int kvm_irq_line(KvmVm *vm, unsigned gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    return vm_ioctl(vm, KVM_IRQ_LINE, &line);
}

int kvm_signal_msi(KvmVm *vm, const struct kvm_msi *msi)
{
    struct kvm_msi copy = *msi;

    return vm_ioctl(vm, KVM_SIGNAL_MSI, &copy);
}

int kvm_set_routing(KvmVm *vm, const struct kvm_irq_routing *routing)
{
    return vm_ioctl(vm, KVM_SET_GSI_ROUTING, (void *)(uintptr_t)routing);
}

int kvm_irqfd(KvmVm *vm, int fd, unsigned gsi, bool assign)
{
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)fd,
        .gsi = gsi,
        .flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
    };

    return vm_ioctl(vm, KVM_IRQFD, &irqfd);
}

int kvm_ioeventfd(KvmVm *vm, bool pio, uint64_t address, unsigned len, int fd, bool assign)
{
    struct kvm_ioeventfd ioeventfd = {
        .addr = address,
        .len = len,
        .fd = fd,
        .flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };

    return vm_ioctl(vm, KVM_IOEVENTFD, &ioeventfd);
}

int kvm_vcpu_create(KvmVm *vm, unsigned id, Err *err)
{
    int fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, (unsigned long)id);

    if (fd < 0)
        return err_set(err, errno, "cannot make vCPU %u: KVM_CREATE_VCPU: %s", id, strerror(errno));
    return fd;
}

int kvm_supported_cpuid(KvmVm *vm, struct kvm_cpuid2 **ret, Err *err)
{
    for (unsigned n = 128; n <= 1024; n *= 2) {
        struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + n * sizeof cpuid->entries[0]);

        if (cpuid == NULL)
            return err_set(err, ENOMEM, "out of memory");
        cpuid->nent = n;
        if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
            *ret = cpuid;
            return 0;
        }
        free(cpuid);
        if (errno != E2BIG)
            break;
    }
    return err_set(err, errno, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
}

bool kvm_has_msr(KvmVm *vm, uint32_t index)
{
    struct kvm_msr_list probe = {.nmsrs = 0};
    struct kvm_msr_list *list;
    bool found = false;

    (void)ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, &probe);
    if (probe.nmsrs == 0 || probe.nmsrs > 65536)
        return false;
    list = calloc(1, sizeof *list + probe.nmsrs * sizeof list->indices[0]);
    if (list == NULL)
        return false;
    list->nmsrs = probe.nmsrs;
    if (ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) == 0) {
        for (unsigned i = 0; i < list->nmsrs && !found; i++)
            found = list->indices[i] == index;
    }
    free(list);
    return found;
}

uint64_t kvm_feature_msr(const KvmVm *vm, uint32_t index)
{
    union {
        struct kvm_msrs head;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } one = {.room = {0}};

    one.head.nmsrs = 1;
    one.head.entries[0].index = index;
    return ioctl(vm->kvm_fd, KVM_GET_MSRS, &one) == 1 ? one.head.entries[0].data : 0;
}

int kvm_clock_get(KvmVm *vm, struct kvm_clock_data *ret)
{
    memset(ret, 0, sizeof *ret);
    return vm_ioctl(vm, KVM_GET_CLOCK, ret);
}

int kvm_clock_set(KvmVm *vm, const struct kvm_clock_data *clock)
{
    struct kvm_clock_data copy = {.clock = clock->clock};

    return vm_ioctl(vm, KVM_SET_CLOCK, &copy);
}
