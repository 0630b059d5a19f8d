/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-vmm's command line: which options go together, and the description that they become. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/tap.h"
#include "vmm/options.h"

enum { MAX_WORDS = 24 };

/* Parses a line of words that are separated by single blanks. */
static int parse(const char *line, Options *ret, Err *err)
{
    char *words = strdup(line), *save = NULL, *argv[MAX_WORDS + 1] = {(char *)"kite-vmm"};
    int argc = 1, r;

    for (char *w = strtok_r(words, " ", &save); w != NULL && argc < MAX_WORDS; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    optind = 0; /* getopt begins again */
    opterr = 0;
    r = options_parse(argc, argv, ret, err);
    free(words);
    return r;
}

static void check_refused(const char *line, const char *text)
{
    Options options;
    Err err = {0};
    int r = parse(line, &options, &err);

    ok(r < 0 && options.description == NULL && strstr(err.text, text) != NULL, "'%s' is refused: %s", line, err.text);
}

static void test_refusals(void)
{
    check_refused("", "--kernel or --desc-fd is needed");
    check_refused("--check", "--kernel or --desc-fd is needed");
    check_refused("--memory 5", "--kernel is needed");
    check_refused("--memory 5x --kernel /dev/null", "--memory must be 1 to");
    check_refused("--cpus 2,max=999 --kernel /dev/null", "--cpus N,max must be 1 to 240");
    check_refused("--cpus 2,nodes=2 --kernel /dev/null", "'nodes' is not understood");
    check_refused("--cpus 2,cores --kernel /dev/null", "'cores' is not understood");
    check_refused("--cpu EPYC,svm --kernel /dev/null", "'svm' is not understood");
    check_refused("--desc-fd 3 --no-rng", "--desc-fd goes with no other description");
    check_refused("--kernel /dev/null --desc-fd 3", "--desc-fd goes with no other description");
    check_refused("--kernel /nonexistent/kernel", "cannot open the kernel /nonexistent/kernel");
    check_refused("--console teletype --kernel /dev/null", "--console takes stdio, virtio or none");
    check_refused("--net bridge:br0 --kernel /dev/null", "--net takes tap:NAME");
    check_refused("--net tap:kite-none --kernel /dev/null", "there is no tap kite-none");
    check_refused("--device {} --kernel /dev/null", "no JSON object with a \"driver\"");
    check_refused("--no-such-option", "see kite-vmm --help");
    check_refused("--kernel /dev/null word", "'word' is not understood");
}

static void test_descriptors(void)
{
    Options options;
    Err err = {0};

    ok(parse("--desc-fd 7 --qmp-fd 8 --no-sandbox --check", &options, &err) == 0 && options.desc_fd == 7 &&
           options.qmp_fd == 8 && options.no_sandbox && options.check_only && options.description == NULL,
       "a description on a descriptor");
}

static void test_by_hand(void)
{
    static const char line[] = "--kernel /dev/null --initrd /dev/null --cmdline quiet --memory 256 --cpus 2,max=4 "
                               "--blockdev {\"driver\":\"host_device\",\"filename\":\"/dev/null\"} "
                               "--device {\"driver\":\"virtio-scsi-pci\"} --no-rng --no-balloon --console none";
    Options options;
    Err err = {0};
    int r = parse(line, &options, &err), kernel = -1, initrd = -1, count = 0, max = 0, fd = -1;
    const char *cmdline = "", *driver = "";
    json_int_t size = 0;

    ok(r == 0 && options.description != NULL && options.desc_fd == -1 && !options.check_only, "a VM by hand: %s", err.text);
    ok(json_unpack(options.description, "{s:{s:i, s:i, s:s}, s:{s:I}, s:{s:i, s:i}, s:[{s:i}!], s:[{s:s}!]}", "boot",
                   "kernel-fd", &kernel, "initrd-fd", &initrd, "cmdline", &cmdline, "memory", "size", &size, "cpus",
                   "count", &count, "max", &max, "blockdevs", "fd", &fd, "devices", "driver", &driver) == 0,
       "its description has those parts and no device beside");
    ok(kernel >= 0 && initrd >= 0 && fd >= 0 && strcmp(cmdline, "quiet") == 0 && size == 256 << 20 && count == 2 &&
           max == 4 && strcmp(driver, "virtio-scsi-pci") == 0,
       "they say what the options said");
    json_decref(options.description);

    r = parse("--kernel /dev/null --cpus 30,threads=2,sockets=3,cores=5,dies=1 --cpu EPYC,-topoext,+x2apic,enforce",
              &options, &err);
    int sockets = 0, dies = 0, cores = 0, threads = 0, enforce = 0;
    const char *model = "", *off = "", *on = "";

    ok(r == 0 && json_unpack(options.description, "{s:{s:i, s:i, s:i, s:i, s:s, s:b, s:[s, s!]}}", "cpus", "sockets",
                             &sockets, "dies", &dies, "cores", &cores, "threads", &threads, "model", &model, "enforce",
                             &enforce, "features", &off, &on) == 0 &&
           sockets == 3 && dies == 1 && cores == 5 && threads == 2 && enforce && !strcmp(model, "EPYC") &&
           !strcmp(off, "-topoext") && !strcmp(on, "+x2apic"),
       "topology and model of the processors");
    json_decref(options.description);

    r = parse("--kernel /dev/null", &options, &err);
    ok(r == 0 && json_array_size(json_object_get(options.description, "devices")) == 2 &&
           json_array_size(json_object_get(options.description, "serials")) == 1,
       "console, balloon and random numbers come unasked");
    json_decref(options.description);
}

int main(void)
{
    test_refusals();
    test_descriptors();
    test_by_hand();
    return done();
}
