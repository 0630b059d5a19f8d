/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command line to machine description. Paths are opened here, before the sandbox; the rest of the program
 * knows descriptors only.
 */
#include "vmm/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "config.h"

static const char help_text[] =
    "usage: kite-vmm --kernel FILE [--initrd FILE] [--cmdline TEXT] [--memory MIB] [--cpus N[,max=M]]\n"
    "                [--disk FILE[,ro]...]... [--net tap:NAME[,vhost]]... [--console stdio|virtio|none]\n"
    "                [--blockdev JSON]... [--device JSON]...\n"
    "                [--channel NAME:SOCKET]... [--no-rng] [--no-balloon] [--qmp-fd N] [--no-sandbox] [--check]\n"
    "       kite-vmm --desc-fd N [--qmp-fd N] [--no-sandbox] [--check]\n"
    "       kite-vmm -h | --help | --version\n"
    "\n"
    "  --kernel FILE     bzImage or ELF with a PVH entry\n"
    "  --initrd FILE     initial RAM disk\n"
    "  --cmdline TEXT    the kernel's command line\n"
    "  --memory MIB      guest RAM, 128 if not said\n"
    "  --cpus N[,max=M]  vCPUs, and how many there can be by hot plug\n"
    "  --disk FILE       virtio disk; raw, or qcow2 (with its backing files) when its name ends so; also\n"
    "                    ,ro ,direct ,format=raw|qcow2 ,serial=TEXT ,queues=N\n"
    "  --net tap:NAME    virtio network on an existing tap; ,vhost: the kernel moves its packets\n"
    "  --console stdio   serial port on this terminal (Ctrl-A x ends the VM)\n"
    "  --console virtio  the same as hvc0 of a virtio console; none: neither\n"
    "  --channel NAME:SOCKET  virtio port of this name on a listening UNIX socket\n"
    "  --device JSON     one more device, with QEMU's property names: '{\"driver\":\"virtio-scsi-pci\",\"id\":\"s0\"}'\n"
    "  --blockdev JSON   one more block node, for a device's \"drive\"; \"filename\" is opened\n"
    "  --no-rng          no virtio random number device\n"
    "  --no-balloon      no virtio balloon\n"
    "  --desc-fd N       machine description (JSON) on descriptor N\n"
    "  --qmp-fd N        QMP on descriptor N, a connected or listening UNIX socket\n"
    "  --check           build the machine, then end without running it\n"
    "  --no-sandbox      keep system calls and privileges (debugging)\n";

int options_open(const char *path, int flags, const char *what, Err *err)
{
    int fd = open(path, flags | O_CLOEXEC);

    return fd < 0 ? err_set(err, errno, "cannot open the %s %s: %s", what, path, strerror(errno)) : fd;
}

static int add_net(json_t *desc, const char *spec, Err *err)
{
    json_t *nets = json_object_get(desc, "netdevs"), *devices = json_object_get(desc, "devices");
    unsigned n = (unsigned)json_array_size(nets);
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    size_t len = strncmp(spec, "tap:", 4) == 0 ? strcspn(spec + 4, ",") : 0;
    char net_id[32], id[32];
    json_t *net;
    int fd, vhost = -1;

    if (len == 0 || len >= IFNAMSIZ || (spec[4 + len] != '\0' && strcmp(spec + 4 + len, ",vhost") != 0))
        return err_set(err, EINVAL, "--net takes tap:NAME or tap:NAME,vhost");
    if (spec[4 + len] != '\0' && (vhost = options_open("/dev/vhost-net", O_RDWR, "device", err)) < 0)
        return vhost;
    fd = options_open("/dev/net/tun", O_RDWR | O_NONBLOCK, "device", err);
    if (fd < 0)
        return fd;
    memcpy(ifr.ifr_name, spec + 4, len);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return err_set(err, errno, "cannot use the tap %s: %s", ifr.ifr_name, strerror(errno));
    snprintf(net_id, sizeof net_id, "net%u", n);
    snprintf(id, sizeof id, "virtio-net%u", n);
    net = json_pack("{s:s, s:s, s:[i]}", "type", "tap", "id", net_id, "fds", fd);
    if (vhost >= 0)
        json_object_set_new(net, "vhostfds", json_pack("[i]", vhost));
    json_array_append_new(nets, net);
    json_array_append_new(
        devices, json_pack("{s:s, s:s, s:s}", "driver", "virtio-net-pci", "id", id, "netdev", net_id));
    return 0;
}

/* An object for one of the description's lists. A block node's "filename" becomes a descriptor here. */
static int add_object(json_t *desc, const char *list, const char *text, Err *err)
{
    json_error_t where;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    const char *path = json_string_value(json_object_get(object, "filename"));

    if (!json_is_object(object) || json_string_value(json_object_get(object, "driver")) == NULL) {
        json_decref(object);
        return err_set(err, EINVAL, "'%.60s' is no JSON object with a \"driver\"", text);
    }
    if (path != NULL && strcmp(list, "blockdevs") == 0) {
        bool ro = json_is_true(json_object_get(object, "read-only"));
        int fd = options_open(path, ro ? O_RDONLY : O_RDWR, "disk", err);

        if (fd < 0) {
            json_decref(object);
            return fd;
        }
        json_object_set_new(object, "fd", json_integer(fd));
        json_object_del(object, "filename");
    }
    json_array_append_new(json_object_get(desc, list), object);
    return 0;
}

static int number(const char *option, const char *text, long min, long max, long *ret, Err *err)
{
    char *end;

    errno = 0;
    *ret = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *ret < min || *ret > max)
        return err_set(err, EINVAL, "--%s must be %ld to %ld", option, min, max);
    return 0;
}

/* N, or N,max=M: M can be plugged. */
static int add_cpus(json_t *desc, char *spec, Err *err)
{
    json_t *cpus = json_object_get(desc, "cpus");
    char *max = strstr(spec, ",max=");
    long n, m = 0;
    int r = 0;

    if (max != NULL) {
        *max = '\0';
        r = number("cpus N,max", max + 5, 1, 240, &m, err);
    }
    if (r < 0 || (r = number("cpus", spec, 1, 240, &n, err)) < 0)
        return r;
    json_object_set_new(cpus, "count", json_integer(n));
    if (max != NULL)
        json_object_set_new(cpus, "max", json_integer(m));
    return 0;
}

int options_parse(int argc, char **argv, Options *ret, Err *err)
{
    enum {
        KERNEL = 256,
        INITRD,
        CMDLINE,
        MEMORY,
        CPUS,
        DISK,
        NET,
        BLOCKDEV,
        DEVICE,
        CONSOLE,
        CHANNEL,
        NO_RNG,
        NO_BALLOON,
        DESC_FD,
        QMP_FD,
        CHECK,
        NO_SANDBOX,
        HELP,
        VERSION_
    };
    static const struct option table[] = {
        {"kernel", 1, 0, KERNEL},
        {"initrd", 1, 0, INITRD},
        {"cmdline", 1, 0, CMDLINE},
        {"memory", 1, 0, MEMORY},
        {"cpus", 1, 0, CPUS},
        {"disk", 1, 0, DISK},
        {"net", 1, 0, NET},
        {"blockdev", 1, 0, BLOCKDEV},
        {"device", 1, 0, DEVICE},
        {"console", 1, 0, CONSOLE},
        {"channel", 1, 0, CHANNEL},
        {"no-rng", 0, 0, NO_RNG},
        {"no-balloon", 0, 0, NO_BALLOON},
        {"desc-fd", 1, 0, DESC_FD},
        {"qmp-fd", 1, 0, QMP_FD},
        {"check", 0, 0, CHECK},
        {"no-sandbox", 0, 0, NO_SANDBOX},
        {"help", 0, 0, HELP},
        {"version", 0, 0, VERSION_},
        {0, 0, 0, 0},
    };
    json_t *desc = json_pack("{s:s, s:{}, s:{}, s:{}, s:[], s:[], s:[], s:[], s:[]}", "name", "", "memory",
                             "cpus", "boot", "chardevs", "serials", "blockdevs", "netdevs", "devices");
    json_t *boot = json_object_get(desc, "boot");
    bool rng = true, balloon = true, console = true, by_hand = false;
    long n = 0;
    int c, r = 0;

    *ret = (Options){.desc_fd = -1, .qmp_fd = -1};
    while (r >= 0 && (c = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        by_hand |= c >= KERNEL && c <= NO_BALLOON;
        switch (c) {
        case KERNEL:
        case INITRD:
            r = options_open(optarg, O_RDONLY, c == KERNEL ? "kernel" : "initrd", err);
            if (r >= 0)
                json_object_set_new(boot, c == KERNEL ? "kernel-fd" : "initrd-fd", json_integer(r));
            break;
        case CMDLINE:
            json_object_set_new(boot, "cmdline", json_string(optarg));
            break;
        case MEMORY:
            r = number("memory", optarg, 1, 1 << 24, &n, err);
            json_object_set_new(json_object_get(desc, "memory"), "size", json_integer((json_int_t)n << 20));
            break;
        case CPUS:
            r = add_cpus(desc, optarg, err);
            break;
        case DISK:
            r = options_add_disk(desc, optarg, err);
            break;
        case NET:
            r = add_net(desc, optarg, err);
            break;
        case BLOCKDEV:
        case DEVICE:
            r = add_object(desc, c == DEVICE ? "devices" : "blockdevs", optarg, err);
            break;
        case CONSOLE:
            console = strcmp(optarg, "stdio") == 0;
            if (strcmp(optarg, "virtio") == 0)
                options_add_virtio_console(desc);
            else if (!console && strcmp(optarg, "none") != 0)
                r = err_set(err, EINVAL, "--console takes stdio, virtio or none");
            break;
        case CHANNEL:
            r = options_add_channel(desc, optarg, err);
            break;
        case NO_RNG:
            rng = false;
            break;
        case NO_BALLOON:
            balloon = false;
            break;
        case DESC_FD:
            r = number("desc-fd", optarg, 0, 1 << 20, &n, err);
            ret->desc_fd = (int)n;
            break;
        case QMP_FD:
            r = number("qmp-fd", optarg, 0, 1 << 20, &n, err);
            ret->qmp_fd = (int)n;
            break;
        case CHECK:
            ret->check_only = true;
            break;
        case NO_SANDBOX:
            ret->no_sandbox = true;
            break;
        case HELP:
        case 'h':
            fputs(help_text, stdout);
            r = 1;
            goto out;
        case VERSION_:
            puts("kite-vmm " PACKAGE_VERSION);
            r = 1;
            goto out;
        default:
            r = err_set(err, EINVAL, "see kite-vmm --help");
            break;
        }
    }
    if (r >= 0 && optind < argc)
        r = err_set(err, EINVAL, "'%s' is not understood; see kite-vmm --help", argv[optind]);
    if (r >= 0 && by_hand == (ret->desc_fd >= 0))
        r = err_set(err, EINVAL,
                    by_hand ? "--desc-fd goes with no other description of a VM"
                            : "--kernel or --desc-fd is needed; see kite-vmm --help");
    if (r >= 0 && by_hand && json_object_get(boot, "kernel-fd") == NULL)
        r = err_set(err, EINVAL, "--kernel is needed; see kite-vmm --help");
out:
    if (r == 1 || r < 0 || !by_hand) {
        json_decref(desc);
        return r == 1 ? 1 : r < 0 ? r : 0;
    }
    if (console) {
        json_array_append_new(json_object_get(desc, "chardevs"),
                              json_pack("{s:s, s:s}", "id", "console", "backend", "stdio"));
        json_array_append_new(json_object_get(desc, "serials"), json_string("console"));
    }
    if (balloon)
        json_array_append_new(json_object_get(desc, "devices"),
                              json_pack("{s:s, s:s, s:b, s:b}", "driver", "virtio-balloon-pci", "id", "balloon0",
                                        "deflate-on-oom", 1, "free-page-reporting", 1));
    if (rng)
        json_array_append_new(json_object_get(desc, "devices"),
                              json_pack("{s:s, s:s}", "driver", "virtio-rng-pci", "id", "rng0"));
    json_object_set_new(desc, "on-panic", json_string("exit"));
    ret->description = desc;
    return 0;
}
