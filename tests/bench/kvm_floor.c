/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The least that a VM costs on this machine: one of 128 MiB with interrupt controllers and one vCPU, whose real-mode guest
 * sends one byte to a port. Prints it, so that vmm.py measures it as it measures the others. No error is survived.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int call(int fd, unsigned long request, void *argument)
{
    int r = ioctl(fd, request, argument);

    if (r < 0)
        err(1, "KVM request 0x%lx", request);
    return r;
}

int main(void)
{
    static const unsigned char code[] = {0xba, 0xf8, 0x03, 0xb0, 'x', 0xee, 0xeb, 0xfe}; /* out 0x3f8; loop */
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu;
    struct kvm_userspace_memory_region slot = {.memory_size = 128 << 20};
    struct kvm_run *run;
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = 0x1000, .rflags = 2};
    char *memory = mmap(NULL, slot.memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (kvm < 0 || memory == MAP_FAILED)
        err(1, "/dev/kvm or memory");
    memcpy(memory + 0x1000, code, sizeof code);
    vm = call(kvm, KVM_CREATE_VM, NULL);
    slot.userspace_addr = (unsigned long)memory;
    call(vm, KVM_SET_USER_MEMORY_REGION, &slot);
    call(vm, KVM_CREATE_IRQCHIP, NULL);
    vcpu = call(vm, KVM_CREATE_VCPU, NULL);
    run = mmap(NULL, (size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    call(vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs.base = sregs.cs.selector = 0;
    call(vcpu, KVM_SET_SREGS, &sregs);
    call(vcpu, KVM_SET_REGS, &regs);
    do {
        call(vcpu, KVM_RUN, NULL);
    } while (run->exit_reason != KVM_EXIT_IO);
    if (write(STDOUT_FILENO, (char *)run + run->io.data_offset, 1) != 1)
        err(1, "write");
    pause();
    return 0;
}
