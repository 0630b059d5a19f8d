/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device under a hostile driver and a peer that sends anything down its stream. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/device_fuzz.h"
#include "vmm/net/backends.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static NetBackend *backend;
static int peer;

static void prepare(FakeGuest *guest)
{
    int fds[2];
    json_t *object;
    Props *props;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    peer = fds[0];
    object = json_pack("{s:s, s:s, s:i}", "type", "stream", "id", "n", "fd", fds[1]);
    if (props_new(object, NULL, NULL, &props, NULL) < 0 || net_new(props, &backend, NULL) < 0)
        abort();
    props_free(props);
    json_decref(object);
    guest->netdev = backend;
}

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    uint8_t frame[300] = {0, 0, what == 77, what};
    char sink[4096] = {0};

    (void)guest;
    frame[4] = what & 2 ? 0xff : 0x52;
    (void)!write(peer, frame, what == 255 ? 3 : 4 + what);
    while (recv(peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
    if (what % 16 == 1)
        net_device_set_link(dev, what & 32);
    json_decref(net_device_rx_filter(dev));
}

static void finish(FakeGuest *guest)
{
    guest->netdev = NULL;
    net_close(backend);
    close(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = net_create,
                                    .properties = "{\"id\":\"n\",\"netdev\":\"n\",\"mac\":\"52:54:00:00:00:01\"}",
                                    .features = UINT32_MAX,
                                    .prepare = prepare,
                                    .manage = manage,
                                    .finish = finish};

    return device_fuzz_run(&fuzz, data, size);
}
