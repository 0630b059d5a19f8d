/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console under a hostile driver, with a peer on each port. */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/device_fuzz.h"
#include "vmm/chardev/chardev.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS 3

static int peers[PORTS];

static void prepare(FakeGuest *guest)
{
    signal(SIGPIPE, SIG_IGN); /* as main() does: peers come and go */
    for (int i = 0; i < PORTS; i++) {
        int fds[2];
        json_t *object;
        Props *props;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
            abort();
        peers[i] = fds[0];
        object = json_pack("{s:s, s:s, s:i}", "id", "c", "backend", "socket", "fd", fds[1]);
        if (props_new(object, NULL, NULL, &props, NULL) < 0 ||
            chardev_new(props, guest->loop, &guest->chardevs[i], NULL) < 0)
            abort();
        props_free(props);
        json_decref(object);
    }
}

static void add_port(VirtioDevice *dev, const char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    Props *props;

    if (props_new(object, NULL, NULL, &props, NULL) == 0)
        (void)console_add_child(dev, props, NULL);
    props_free(props);
    json_decref(object);
}

static void made(FakeGuest *guest, VirtioDevice *dev)
{
    (void)guest;
    add_port(dev, "{\"driver\":\"virtconsole\",\"id\":\"p0\",\"chardev\":\"c0\"}");
    add_port(dev, "{\"driver\":\"virtserialport\",\"id\":\"p1\",\"chardev\":\"c1\",\"name\":\"a.b\"}");
}

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    char sink[4096] = {0};
    int peer = peers[what % PORTS];

    (void)guest;
    if (peer >= 0 && what & 4)
        (void)!write(peer, sink, what);
    while (peer >= 0 && recv(peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
    if (what == 255 && peer >= 0) {
        close(peer);
        peers[what % PORTS] = -1;
    }
    if (what % 32 == 8)
        add_port(dev, "{\"driver\":\"virtserialport\",\"id\":\"p2\",\"chardev\":\"c2\"}");
    if (what % 32 == 9)
        (void)console_remove_child(dev, "p2", NULL);
}

static void finish(FakeGuest *guest)
{
    for (int i = 0; i < PORTS; i++) {
        chardev_free(guest->chardevs[i]);
        guest->chardevs[i] = NULL;
        if (peers[i] >= 0)
            close(peers[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = console_create,
                                    .properties = "{\"id\":\"s\",\"max_ports\":4}",
                                    .features = UINT32_MAX,
                                    .prepare = prepare,
                                    .made = made,
                                    .manage = manage,
                                    .finish = finish};

    return device_fuzz_run(&fuzz, data, size);
}
