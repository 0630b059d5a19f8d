/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel headers: whatever linux_open() accepts must load without touching anything but guest memory. */
#include <stdint.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "vmm/boot/linux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static GuestMemory *memory;
    MemoryOptions options = {.size = 16 << 20};
    LinuxKernel kernel;
    BootEntry entry;
    Err err = {0};
    int fd, initrd;

    if (memory == NULL && memory_new(&options, &memory, &err) < 0)
        return 0;
    fd = fake_file(data, size);
    initrd = fake_file(data, size < 100 ? size : 100);
    if (linux_open(fd, initrd, "console=ttyS0", options.size, &kernel, &err) == 0) {
        (void)linux_load(&kernel, memory, 0xe0000, &entry, &err);
        linux_close(&kernel);
    }
    close(fd);
    close(initrd);
    return 0;
}
