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

#include "common/checked.h"
#include "config.h"

static const char help_text[] =
    "usage: kite-vmm --kernel FILE [--initrd FILE] [--cmdline TEXT] [--memory MIB]\n"
    "                [--cpus N[,max=M]...] [--cpu MODEL[,{+,-}FEATURE]...] [--disk FILE[,ro]...]...\n"
    "                [--net tap:NAME[,vhost]]... [--console stdio|virtio|none]\n"
    "                [--blockdev JSON]... [--device JSON]...\n"
    "                [--channel NAME:SOCKET]... [--no-rng] [--no-balloon] [--qmp-fd N] [--no-sandbox] [--check]\n"
    "       kite-vmm --desc-fd N [--qmp-fd N] [--no-sandbox] [--check]\n"
    "       kite-vmm -h | --help | --version\n"
    "\n"
    "  --kernel FILE     bzImage or ELF with a PVH entry\n"
    "  --initrd FILE     initial RAM disk\n"
    "  --cmdline TEXT    the kernel's command line\n"
    "  --memory MIB      guest RAM, 128 if not said\n"
    "  --cpus N[,max=M]  vCPUs, and how many there can be by hot plug; also\n"
    "                    ,sockets=N ,dies=N ,cores=N ,threads=N\n"
    "  --cpu MODEL       the host's processor (host, if not said) or a named model; also\n"
    "                    ,+FEATURE (or - to switch it off) ,enforce (what the host lacks is an error)\n"
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
    memcpy(ifr.ifr_name, spec + 4, len);
    if (if_nametoindex(ifr.ifr_name) == 0) /* the kernel would make one that nothing is connected to */
        return err_set(err, ENODEV, "there is no tap %s: ip tuntap add %s mode tap", ifr.ifr_name, ifr.ifr_name);
    if (spec[4 + len] != '\0' && (vhost = options_open("/dev/vhost-net", O_RDWR, "device", err)) < 0)
        return vhost;
    fd = options_open("/dev/net/tun", O_RDWR | O_NONBLOCK, "device", err);
    if (fd < 0)
        return fd;
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

/* N[,max=M][,sockets=S][,dies=D][,cores=C][,threads=T] */
static int add_cpus(json_t *desc, char *spec, Err *err)
{
    static const char *const words[] = {"max", "sockets", "dies", "cores", "threads"};
    json_t *cpus = json_object_get(desc, "cpus");
    char *save = NULL, *word = strtok_r(spec, ",", &save);
    long n;
    int r = number("cpus", word != NULL ? word : "", 1, 240, &n, err);

    if (r < 0)
        return r;
    json_object_set_new(cpus, "count", json_integer(n));
    while ((word = strtok_r(NULL, ",", &save)) != NULL) {
        char *value = strchr(word, '='), option[24];
        size_t i = 0;

        if (value != NULL)
            *value++ = '\0';
        while (i < ARRAY_LEN(words) && strcmp(word, words[i]) != 0)
            i++;
        if (value == NULL || i == ARRAY_LEN(words))
            return err_set(err, EINVAL, "--cpus N[,max=M][,sockets=S][,dies=D][,cores=C][,threads=T]: "
                                        "'%s' is not understood", word);
        snprintf(option, sizeof option, "cpus N,%s", words[i]);
        if ((r = number(option, value, 1, 240, &n, err)) < 0)
            return r;
        json_object_set_new(cpus, words[i], json_integer(n));
    }
    return 0;
}

/* MODEL[,+FEATURE][,-FEATURE]...[,enforce] */
static int add_cpu_model(json_t *desc, char *spec, Err *err)
{
    json_t *cpus = json_object_get(desc, "cpus"), *features = json_array();
    char *save = NULL, *word = strtok_r(spec, ",", &save);

    json_object_set_new(cpus, "features", features);
    if (word == NULL)
        return err_set(err, EINVAL, "--cpu takes a model");
    json_object_set_new(cpus, "model", json_string(word));
    json_object_set_new(cpus, "enforce", json_false());
    while ((word = strtok_r(NULL, ",", &save)) != NULL) {
        if (strcmp(word, "enforce") == 0)
            json_object_set_new(cpus, "enforce", json_true());
        else if (*word == '+' || *word == '-')
            json_array_append_new(features, json_string(word));
        else
            return err_set(err, EINVAL, "--cpu MODEL[,+FEATURE][,-FEATURE]...[,enforce]: '%s' is not understood", word);
    }
    return 0;
}

/* What the options read so far come to. */
typedef struct Parse {
    json_t *desc;
    Options *ret;
    bool console, balloon, rng;
} Parse;

/* An option's own work: 0, or 1 when the program has said what was asked for and ends, or -errno. */
typedef int OptionApply(Parse *p, char *text, Err *err);

static int boot_file(Parse *p, const char *path, const char *what, const char *key, Err *err)
{
    int fd = options_open(path, O_RDONLY, what, err);

    if (fd < 0)
        return fd;
    json_object_set_new(json_object_get(p->desc, "boot"), key, json_integer(fd));
    return 0;
}

static int opt_kernel(Parse *p, char *text, Err *err)
{
    return boot_file(p, text, "kernel", "kernel-fd", err);
}

static int opt_initrd(Parse *p, char *text, Err *err)
{
    return boot_file(p, text, "initrd", "initrd-fd", err);
}

static int opt_cmdline(Parse *p, char *text, Err *err)
{
    json_object_set_new(json_object_get(p->desc, "boot"), "cmdline", json_string(text));
    return 0;
}

static int opt_memory(Parse *p, char *text, Err *err)
{
    long mib;
    int r = number("memory", text, 1, 1 << 24, &mib, err);

    if (r == 0)
        json_object_set_new(json_object_get(p->desc, "memory"), "size", json_integer((json_int_t)mib << 20));
    return r;
}

static int opt_cpus(Parse *p, char *text, Err *err)
{
    return add_cpus(p->desc, text, err);
}

static int opt_cpu(Parse *p, char *text, Err *err)
{
    return add_cpu_model(p->desc, text, err);
}

static int opt_disk(Parse *p, char *text, Err *err)
{
    return options_add_disk(p->desc, text, err);
}

static int opt_net(Parse *p, char *text, Err *err)
{
    return add_net(p->desc, text, err);
}

static int opt_blockdev(Parse *p, char *text, Err *err)
{
    return add_object(p->desc, "blockdevs", text, err);
}

static int opt_device(Parse *p, char *text, Err *err)
{
    return add_object(p->desc, "devices", text, err);
}

static int opt_console(Parse *p, char *text, Err *err)
{
    p->console = strcmp(text, "stdio") == 0;
    if (strcmp(text, "virtio") == 0)
        options_add_virtio_console(p->desc);
    else if (!p->console && strcmp(text, "none") != 0)
        return err_set(err, EINVAL, "--console takes stdio, virtio or none");
    return 0;
}

static int opt_channel(Parse *p, char *text, Err *err)
{
    return options_add_channel(p->desc, text, err);
}

static int opt_no_rng(Parse *p, char *text, Err *err)
{
    p->rng = false;
    return 0;
}

static int opt_no_balloon(Parse *p, char *text, Err *err)
{
    p->balloon = false;
    return 0;
}

static int descriptor(const char *option, const char *text, int *ret, Err *err)
{
    long n;
    int r = number(option, text, 0, 1 << 20, &n, err);

    if (r == 0)
        *ret = (int)n;
    return r;
}

static int opt_desc_fd(Parse *p, char *text, Err *err)
{
    return descriptor("desc-fd", text, &p->ret->desc_fd, err);
}

static int opt_qmp_fd(Parse *p, char *text, Err *err)
{
    return descriptor("qmp-fd", text, &p->ret->qmp_fd, err);
}

static int opt_check(Parse *p, char *text, Err *err)
{
    p->ret->check_only = true;
    return 0;
}

static int opt_no_sandbox(Parse *p, char *text, Err *err)
{
    p->ret->no_sandbox = true;
    return 0;
}

static int opt_help(Parse *p, char *text, Err *err)
{
    fputs(help_text, stdout);
    return 1;
}

static int opt_version(Parse *p, char *text, Err *err)
{
    puts("kite-vmm " PACKAGE_VERSION);
    return 1;
}

static const struct {
    const char *name;
    bool has_value;
    bool by_hand; /* describes a part of the VM, so it does not go with --desc-fd */
    OptionApply *apply;
} options[] = {
    {"kernel", true, true, opt_kernel},
    {"initrd", true, true, opt_initrd},
    {"cmdline", true, true, opt_cmdline},
    {"memory", true, true, opt_memory},
    {"cpus", true, true, opt_cpus},
    {"cpu", true, true, opt_cpu},
    {"disk", true, true, opt_disk},
    {"net", true, true, opt_net},
    {"blockdev", true, true, opt_blockdev},
    {"device", true, true, opt_device},
    {"console", true, true, opt_console},
    {"channel", true, true, opt_channel},
    {"no-rng", false, true, opt_no_rng},
    {"no-balloon", false, true, opt_no_balloon},
    {"desc-fd", true, false, opt_desc_fd},
    {"qmp-fd", true, false, opt_qmp_fd},
    {"check", false, false, opt_check},
    {"no-sandbox", false, false, opt_no_sandbox},
    {"help", false, false, opt_help},
    {"version", false, false, opt_version},
};

enum { N_OPTIONS = sizeof options / sizeof options[0] };

/* Applies each option in the order of the command line; the result is as OptionApply's. */
static int apply_options(int argc, char **argv, Parse *p, bool *ret_by_hand, Err *err)
{
    struct option table[N_OPTIONS + 1] = {{0}};
    int c, index, r = 0;

    for (int i = 0; i < N_OPTIONS; i++)
        table[i] = (struct option){options[i].name, options[i].has_value, NULL, 0};
    *ret_by_hand = false;
    while (r == 0 && (c = getopt_long(argc, argv, "h", table, &index)) >= 0) {
        if (c == 'h')
            return opt_help(p, NULL, err);
        if (c != 0)
            return err_set(err, EINVAL, "see kite-vmm --help");
        *ret_by_hand |= options[index].by_hand;
        r = options[index].apply(p, optarg, err);
    }
    return r;
}

/* Options that do not go together, and those that are missing. */
static int check_options(int argc, char **argv, const Parse *p, bool by_hand, Err *err)
{
    if (optind < argc)
        return err_set(err, EINVAL, "'%s' is not understood; see kite-vmm --help", argv[optind]);
    if (by_hand == (p->ret->desc_fd >= 0))
        return err_set(err, EINVAL,
                       by_hand ? "--desc-fd goes with no other description of a VM"
                               : "--kernel or --desc-fd is needed; see kite-vmm --help");
    if (by_hand && json_object_get(json_object_get(p->desc, "boot"), "kernel-fd") == NULL)
        return err_set(err, EINVAL, "--kernel is needed; see kite-vmm --help");
    return 0;
}

/* The devices that a VM described by hand has unless told otherwise. */
static void add_default_devices(const Parse *p)
{
    json_t *devices = json_object_get(p->desc, "devices");

    if (p->console) {
        json_array_append_new(json_object_get(p->desc, "chardevs"),
                              json_pack("{s:s, s:s}", "id", "console", "backend", "stdio"));
        json_array_append_new(json_object_get(p->desc, "serials"), json_string("console"));
    }
    if (p->balloon)
        json_array_append_new(devices, json_pack("{s:s, s:s, s:b, s:b}", "driver", "virtio-balloon-pci", "id",
                                                 "balloon0", "deflate-on-oom", 1, "free-page-reporting", 1));
    if (p->rng)
        json_array_append_new(devices, json_pack("{s:s, s:s}", "driver", "virtio-rng-pci", "id", "rng0"));
    json_object_set_new(p->desc, "on-panic", json_string("exit"));
}

int options_parse(int argc, char **argv, Options *ret, Err *err)
{
    Parse p = {.ret = ret, .console = true, .balloon = true, .rng = true};
    bool by_hand;
    int r;

    *ret = (Options){.desc_fd = -1, .qmp_fd = -1};
    p.desc = json_pack("{s:s, s:{}, s:{}, s:{}, s:[], s:[], s:[], s:[], s:[]}", "name", "", "memory", "cpus", "boot",
                       "chardevs", "serials", "blockdevs", "netdevs", "devices");
    r = apply_options(argc, argv, &p, &by_hand, err);
    if (r == 0)
        r = check_options(argc, argv, &p, by_hand, err);
    if (r != 0 || !by_hand) {
        json_decref(p.desc);
        return r;
    }
    add_default_devices(&p);
    ret->description = p.desc;
    return 0;
}
