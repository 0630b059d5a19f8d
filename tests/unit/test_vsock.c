/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the vsock device refuses; its queues are the kernel's (tests/lab). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/device_fuzz.h"
#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/virtio/devices.h"

static void refused(const char *json, const char *why)
{
    FakeGuest g;

    fake_guest_init(&g, 16 << 20);
    ok(device_from_json(&g, vsock_create, json) == NULL, "refused: %s", why);
    fake_guest_destroy(&g);
}

int main(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    char json[96];

    refused("{\"id\":\"vsock0\"}", "no CID");
    refused("{\"id\":\"vsock0\",\"guest-cid\":2,\"vhostfd\":0}", "a reserved CID");
    refused("{\"id\":\"vsock0\",\"guest-cid\":4294967295,\"vhostfd\":0}", "the CID of nobody");
    refused("{\"id\":\"vsock0\",\"guest-cid\":3}", "no descriptor");
    refused("{\"id\":\"vsock0\",\"guest-cid\":3,\"vhostfd\":9999}", "a descriptor that is not open");
    snprintf(json, sizeof json, "{\"id\":\"vsock0\",\"guest-cid\":3,\"vhostfd\":%d}", fd);
    refused(json, "a descriptor that is no vhost-vsock");
    ok(fcntl(fd, F_GETFD) < 0, "and it is closed");
    return done();
}
