/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine descriptions: parsed, and those that are in order built as a machine, started and taken down again. Descriptors
 * in the input are replaced by ones of our own, so that no input closes the fuzzer's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/fake_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replace_fds(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i, n;
    void *next;

    json_object_foreach_safe(value, next, key, item)
    {
        n = strlen(key);
        if (json_is_integer(item) && n >= 2 && strcmp(key + n - 2, "fd") == 0)
            json_object_set_new(value, key, json_integer(strcmp(key, "kernel-fd") == 0 ? fake_kernel()
                                                         : strcmp(key, "stats-fd") == 0
                                                             ? fake_file("", 0)
                                                             : open("/dev/null", O_RDWR | O_CLOEXEC)));
        else if (json_is_array(item) && n >= 3 && strcmp(key + n - 3, "fds") == 0)
            json_array_clear(item);
        else
            replace_fds(item);
    }
    json_array_foreach(value, i, item)
        replace_fds(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const MachineHost host = {0};
    MachineDesc *desc = NULL;
    Machine *machine = NULL;
    Err err = {0};
    json_t *root;
    int base;

    if (machine_desc_parse_text((const char *)data, size, &desc, &err) == 0)
        machine_desc_free(desc);
    root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (root == NULL)
        return 0;
    base = open("/dev/null", O_RDWR | O_CLOEXEC);
    replace_fds(root);
    /* Time and memory of the test's machine, not limits of the parser's. */
    if (machine_desc_parse(root, &desc, &err) == 0) {
        if (desc->memory.size <= 64 << 20 && !desc->memory.prealloc && !desc->memory.hugepages &&
            machine_new(desc, &host, &machine, &err) == 0) {
            (void)machine_start(machine, &err);
            fake_settle(machine);
        }
        machine_free(machine);
        machine_desc_free(desc);
    }
    close_range((unsigned)base, ~0u, 0);
    return 0;
}
