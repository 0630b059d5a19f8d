/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket device under a hostile driver, and a kernel (this program's ioctl()) that refuses what it likes and gives rings
 * back wherever it likes. What it is told must lie in the guest's memory: it would write there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "lib/device_fuzz.h"
#include "vmm/virtio/devices.h"

#include <linux/vhost.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RINGS = 2 };

static struct {
    int fd; /* stands for /dev/vhost-vsock; the device closes it */
    FakeGuest *guest;
    bool running;
    uint8_t refuse; /* of the calls that come next, those whose bit is set; turned by one a call */
    uint16_t base;
    unsigned size[RINGS];
} kernel = {.fd = -1};

/* Aborts where the real kernel would scribble over something that is not the guest's. */
static void check_ring(const struct vhost_vring_addr *address)
{
    unsigned n = kernel.size[address->index];
    const struct {
        uint64_t at, size;
    } parts[] = {{address->desc_user_addr, 16ull * n},
                 {address->avail_user_addr, 4 + 2ull * n},
                 {address->used_user_addr, 4 + 8ull * n}};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        bool inside = false;

        for (unsigned k = 0; k < memory_region_count(kernel.guest->memory); k++) {
            const MemoryRegion *region = memory_region(kernel.guest->memory, k);

            inside |= parts[i].at >= (uintptr_t)region->host &&
                      range_inside(parts[i].at - (uintptr_t)region->host, parts[i].size, region->size);
        }
        if (!inside)
            __builtin_trap();
    }
}

static int answer(unsigned long request, void *argument)
{
    struct vhost_vring_state *state = argument;
    bool refused = kernel.refuse & 1;

    kernel.refuse = (uint8_t)(kernel.refuse >> 1 | kernel.refuse << 7);
    if (refused && request != VHOST_GET_FEATURES && request != VHOST_SET_OWNER &&
        request != VHOST_VSOCK_SET_GUEST_CID) {
        errno = EFAULT;
        return -1;
    }
    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)argument = UINT64_MAX;
        return 0;
    case VHOST_SET_VRING_NUM:
        kernel.size[state->index] = state->num;
        return 0;
    case VHOST_SET_VRING_ADDR:
        check_ring(argument);
        return 0;
    case VHOST_GET_VRING_BASE:
        state->num = kernel.base;
        return 0;
    case VHOST_VSOCK_SET_RUNNING:
        kernel.running = *(int *)argument;
        return 0;
    default:
        return 0;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *argument;

    va_start(ap, request);
    argument = va_arg(ap, void *);
    va_end(ap);
    return fd == kernel.fd ? answer(request, argument) : (int)syscall(SYS_ioctl, fd, request, argument);
}

static void prepare(FakeGuest *guest)
{
    kernel.guest = guest;
    kernel.refuse = 0;
    kernel.base = 0;
    if (dup3(STDIN_FILENO, kernel.fd, O_CLOEXEC) < 0)
        __builtin_trap();
}

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    (void)guest;
    if (what & 1)
        kernel.refuse = what;
    else
        kernel.base = (uint16_t)(what * 257u);
    if ((what & 6) == 6 && dev->ops->memory_changed)
        dev->ops->memory_changed(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = vsock_create,
                                    .properties = "{\"id\":\"v\",\"guest-cid\":3,\"vhostfd\":900}",
                                    .features = UINT32_MAX,
                                    .prepare = prepare,
                                    .manage = manage};

    kernel.fd = 900;
    return device_fuzz_run(&fuzz, data, size);
}
