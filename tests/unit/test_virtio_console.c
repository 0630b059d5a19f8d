/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console with its ports through a fake guest, on socket pairs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "config.h"
#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/chardev/chardev.h"
#include "vmm/virtio/devices.h"

#include <linux/virtio_console.h>

static Props *props_from(json_t *object)
{
    Err err = {0};
    Props *props = NULL;

    if (props_new(object, NULL, NULL, &props, &err) < 0)
        printf("# %s\n", err.text);
    return props;
}

static int stdio_and_die(FakeGuest *g, int terminal, int signum)
{
    json_t *object = json_pack("{s:s, s:s}", "id", "s", "backend", "stdio");
    struct termios now;
    Chardev *c = NULL;
    Err err;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    signal(signum, SIG_DFL); /* who runs us in the background has SIGQUIT ignored */
    if (dup2(terminal, STDIN_FILENO) < 0 || chardev_new(props_from(object), g->loop, &c, &err) < 0 ||
        tcgetattr(STDIN_FILENO, &now) < 0 || (now.c_lflag & ICANON))
        return 1;
    raise(signum);
    return 2;
}

/* A VM that ends on a terminal leaves it as it was, however it ends. */
static void test_terminal(FakeGuest *g)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGQUIT};
    int pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal = -1;
    const char *name = pty >= 0 && grantpt(pty) == 0 && unlockpt(pty) == 0 ? ptsname(pty) : NULL;

    if (name != NULL)
        terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0] && terminal >= 0; i++) {
        struct termios before, after;
        int status = 0;
        pid_t pid;

        tcgetattr(terminal, &before);
        pid = fork();
        if (pid == 0)
            _exit(stdio_and_die(g, terminal, signals[i]));
        waitpid(pid, &status, 0);
        tcgetattr(terminal, &after);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == signals[i] && after.c_lflag == before.c_lflag &&
               after.c_iflag == before.c_iflag,
           "the terminal is as before after signal %d", signals[i]);
    }
    close(terminal);
    close(pty);
}

static Chardev *make_chardev(FakeGuest *g, int *ret_peer)
{
    int fds[2];
    Err err = {0};
    json_t *object;
    Props *props;
    Chardev *c = NULL;

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
    object = json_pack("{s:s, s:s, s:i}", "id", "c", "backend", "socket", "fd", fds[1]);
    props = props_from(object);
    if (chardev_new(props, g->loop, &c, &err) < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    *ret_peer = fds[0];
    return c;
}

static int child(VirtioDevice *dev, const char *json)
{
    json_t *object = json_loads(json, 0, NULL);
    Props *props = props_from(object);
    Err err = {0};
    int r = console_add_child(dev, props, &err);

    if (r < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    return r;
}

typedef struct Rig {
    FakeGuest g;
    uint64_t control, out;
    uint64_t in[16];
} Rig;

static void turn(Rig *t)
{
    for (int i = 0; i < 20; i++)
        loop_iterate(t->g.loop, false);
}

static void say(Rig *t, uint32_t id, uint16_t event, uint16_t value)
{
    struct virtio_console_control m = {id, event, value};
    uint32_t head, len;

    memcpy(fake_guest_host(&t->g, t->control, 8), &m, 8);
    fake_guest_add(&t->g, 3, 1, (FakeBuffer[]){{t->control, 8, false}});
    fake_guest_kick(&t->g, 3);
    fake_guest_used(&t->g, 3, &head, &len);
}

/* The next control message from the device as "event:id:value[:name]". */
static const char *heard(Rig *t)
{
    static char text[200];
    static unsigned next;
    uint32_t head, len;
    struct virtio_console_control m;
    uint8_t *at;

    if (!fake_guest_used(&t->g, 2, &head, &len))
        return "nothing";
    at = fake_guest_host(&t->g, t->in[head % 16], 256);
    memcpy(&m, at, 8);
    snprintf(text, sizeof text, "%u:%u:%u%s%.*s", m.event, m.id, m.value, len > 8 ? ":" : "", (int)len - 8, at + 8);
    fake_guest_desc(&t->g, 2, (uint16_t)head, t->in[head % 16], 256, 2, 0);
    fake_guest_show(&t->g, 2, (uint16_t)head);
    next++;
    return text;
}

int main(void)
{
    Rig t;
    Err err = {0};
    int console, agent, extra;
    uint32_t head, len;
    json_t *object = json_loads("{\"id\":\"s0\",\"max_ports\":4}", 0, NULL);
    Props *props = props_from(object);
    VirtioDevice *dev = NULL;
    char text[100];

    fake_guest_init(&t.g, 16 << 20);
#ifndef KITE_SANITIZED
    test_terminal(&t.g);
#endif
    t.g.chardevs[0] = make_chardev(&t.g, &console);
    t.g.chardevs[1] = make_chardev(&t.g, &agent);
    t.g.chardevs[2] = make_chardev(&t.g, &extra);
    ok(console_create(props, &t.g.host, &dev, &err) == 0, "created");
    props_free(props);
    json_decref(object);
    ok(child(dev, "{\"driver\":\"virtconsole\",\"id\":\"console0\",\"chardev\":\"c0\"}") == 0, "console on port 0");
    ok(child(dev, "{\"driver\":\"virtserialport\",\"id\":\"channel0\",\"chardev\":\"c1\",\"name\":\"org.qemu."
                  "guest_agent.0\",\"nr\":1}") == 0,
       "channel on port 1");
    ok(child(dev, "{\"driver\":\"virtserialport\",\"id\":\"x\",\"chardev\":\"c2\",\"nr\":1}") == -EEXIST, "not twice");
    ok(child(dev, "{\"driver\":\"virtserialport\",\"id\":\"x\",\"chardev\":\"c2\",\"nr\":9}") == -EINVAL,
       "not beyond the last");
    ok(child(dev, "{\"driver\":\"virtserialport\",\"id\":\"x\",\"chardev\":\"c1\"}") == -EBUSY, "a chardev has one user");

    ok(fake_guest_start(&t.g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)) == 0,
       "starts");
    t.control = fake_guest_alloc(&t.g, 4096);
    t.out = fake_guest_alloc(&t.g, 4096);
    for (int i = 0; i < 16; i++) {
        t.in[i] = fake_guest_alloc(&t.g, 4096);
        fake_guest_add(&t.g, 2, 1, (FakeBuffer[]){{t.in[i], 256, true}});
    }
    fake_guest_kick(&t.g, 2);
    ok(!strcmp(heard(&t), "nothing"), "silent before the driver is ready");
    say(&t, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    ok(!strcmp(heard(&t), "1:0:1"), "port 0 is announced");
    ok(!strcmp(heard(&t), "1:1:1"), "port 1 is announced");
    say(&t, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    ok(!strcmp(heard(&t), "4:0:1"), "port 0 is a console");
    ok(!strcmp(heard(&t), "6:0:1"), "and open");
    say(&t, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    ok(!strcmp(heard(&t), "7:1:1:org.qemu.guest_agent.0"), "port 1 has a name");
    ok(!strcmp(heard(&t), "6:1:1"), "and is open");
    ok(!chardev_frontend_open(t.g.chardevs[1]), "the guest has not opened it");
    say(&t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ok(!strcmp(t.g.last_event, "VSERPORT_CHANGE") && !strcmp(t.g.last_event_data, "{\"id\":\"channel0\",\"open\":true}"),
       "VSERPORT_CHANGE when it does");
    ok(chardev_frontend_open(t.g.chardevs[1]), "and query-chardev says so");
    say(&t, 77, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ok(!t.g.needs_reset, "a message about no port is passed over");

    memcpy(fake_guest_host(&t.g, t.out, 16), "hello from guest", 16);
    fake_guest_add(&t.g, 5, 2, (FakeBuffer[]){{t.out, 6, false}, {t.out + 6, 10, false}});
    fake_guest_kick(&t.g, 5);
    ok(fake_guest_used(&t.g, 5, &head, &len) && recv(agent, text, sizeof text, 0) == 16 &&
           !memcmp(text, "hello from guest", 16),
       "output of port 1");
    ok(write(agent, "ping", 4) == 4, "the agent's client writes");
    turn(&t);
    ok(!fake_guest_used(&t.g, 4, &head, &len), "input waits for a buffer");
    uint64_t buffer = fake_guest_alloc(&t.g, 64);

    fake_guest_add(&t.g, 4, 1, (FakeBuffer[]){{buffer, 64, true}});
    fake_guest_kick(&t.g, 4);
    ok(fake_guest_wait_used(&t.g, 4, 30000) && fake_guest_used(&t.g, 4, &head, &len) && len == 4 &&
           !memcmp(fake_guest_host(&t.g, buffer, 4), "ping", 4),
       "and comes when there is one");

    /* more output than the other side takes */
    unsigned chains = 0, back = 0;
    size_t got = 0;

    for (; chains < 100; chains++)
        fake_guest_add(&t.g, 5, 1, (FakeBuffer[]){{t.out, 4096, false}});
    fake_guest_kick(&t.g, 5);
    while (fake_guest_used(&t.g, 5, &head, &len))
        back++;
    ok(back <= chains, "slow reader: %u of %u chains taken", back, chains);
    for (int i = 0; i < 5000 && (back < chains || got < chains * 4096u); i++) {
        static char sink[65536];
        ssize_t n = recv(agent, sink, sizeof sink, MSG_DONTWAIT);

        got += n > 0 ? (size_t)n : 0;
        loop_iterate(t.g.loop, false);
        while (fake_guest_used(&t.g, 5, &head, &len))
            back++;
    }
    ok(back == chains && got == chains * 4096u, "nothing is lost (%u, %zu)", back, got);

    /* one chain of more than is moved in a turn */
    FakeBuffer pieces[50];
    bool ended = false;

    for (unsigned i = 0; i < 50; i++)
        pieces[i] = (FakeBuffer){t.out, 4096, false};
    fake_guest_add(&t.g, 5, 50, pieces);
    fake_guest_kick(&t.g, 5);
    got = 0;
    for (int i = 0; i < 5000 && (!ended || got < 50 * 4096u); i++) {
        static char sink[65536];
        ssize_t n = recv(agent, sink, sizeof sink, MSG_DONTWAIT);

        got += n > 0 ? (size_t)n : 0;
        loop_iterate(t.g.loop, false);
        ended |= fake_guest_used(&t.g, 5, &head, &len);
    }
    ok(ended && got == 50 * 4096u, "nor of a chain that is long (%zu)", got);

    ok(child(dev, "{\"driver\":\"virtserialport\",\"id\":\"hot\",\"chardev\":\"c2\",\"name\":\"x\"}") == 0,
       "hot plug of a port");
    ok(!strcmp(heard(&t), "1:2:1"), "is announced");
    ok(console_remove_child(dev, "hot", &err) == 0 && !strcmp(heard(&t), "2:2:1"), "and its removal");
    close(agent);
    turn(&t);
    ok(!strcmp(heard(&t), "6:1:0"), "the client goes: closed");
    fake_guest_reset(&t.g);
    ok(strstr(t.g.last_event_data, "\"open\":false") != NULL, "reset closes ports");
    fake_guest_stop(&t.g);
    for (int i = 0; i < 3; i++)
        chardev_free(t.g.chardevs[i]);
    fake_guest_destroy(&t.g);
    return done();
}
