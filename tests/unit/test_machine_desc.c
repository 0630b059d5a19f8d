/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Machine descriptions: what is refused, and with which words. */
#include <stdlib.h>
#include <string.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"

static const struct {
    const char *json, *says;
} refused[] = {
    {"[]", "not a JSON object"},
    {"{", "line 1"},
    {"{\"name\": \"a\", \"name\": \"b\"}", "duplicate"},
    {"{\"boot\": {}}", "boot.kernel-fd is missing"},
    {"{\"boot\": {\"kernel-fd\": -1}}", "boot.kernel-fd is out of range"},
    {"{\"boot\": {\"kernel-fd\": \"3\"}}", "boot.kernel-fd must be a number"},
    {"{\"boot\": {\"kernel-fd\": 3, \"kernel\": 3}}", "boot.kernel is not known"},
    {"{\"boot\": 3}", "boot must be an object"},
    {"{\"nmae\": \"x\", \"boot\": {\"kernel-fd\": 3}}", "nmae is not known"},
    {"{\"name\": \"a\\u0000b\", \"boot\": {\"kernel-fd\": 3}}", "\\u0000 is not allowed"},
    {"{\"paused\": 1, \"boot\": {\"kernel-fd\": 3}}", "paused must be true or false"},
    {"{\"on-panic\": \"explode\", \"boot\": {\"kernel-fd\": 3}}", "on-panic names no action"},
    {"{\"memory\": {\"size\": 1000}, \"boot\": {\"kernel-fd\": 3}}", "memory.size is out of range"},
    {"{\"memory\": {\"size\": 1048577}, \"boot\": {\"kernel-fd\": 3}}", "multiple of 4096"},
    {"{\"memory\": {\"size\": 1e9}, \"boot\": {\"kernel-fd\": 3}}", "memory.size must be a number"},
    {"{\"memory\": {\"hugepage-size\": 3000}, \"boot\": {\"kernel-fd\": 3}}", "power of two"},
    {"{\"cpus\": {\"count\": 0}, \"boot\": {\"kernel-fd\": 3}}", "cpus.count is out of range"},
    {"{\"cpus\": {\"count\": 241}, \"boot\": {\"kernel-fd\": 3}}", "cpus.count is out of range"},
    {"{\"cpus\": {\"count\": 4, \"max\": 2}, \"boot\": {\"kernel-fd\": 3}}", "cpus.max is out of range"},
    {"{\"cpus\": {\"count\": 8, \"sockets\": 1, \"cores\": 4}, \"boot\": {\"kernel-fd\": 3}}", "less than the number"},
    {"{\"cpus\": {\"features\": [1]}, \"boot\": {\"kernel-fd\": 3}}", "list of strings"},
    {"{\"numa\": [{\"memory\": 1048576}], \"boot\": {\"kernel-fd\": 3}}", "do not add up"},
    {"{\"numa\": [{\"memory\": 134217728, \"cpus\": [1]}], \"boot\": {\"kernel-fd\": 3}}", "a CPU that does not exist"},
    {"{\"numa\": [{\"memory\": 134217728, \"distances\": [9]}], \"boot\": {\"kernel-fd\": 3}}", "10 to 255"},
    {"{\"numa\": [7], \"boot\": {\"kernel-fd\": 3}}", "list of objects"},
    {"{\"sandbox\": {\"uid\": 4294967295}, \"boot\": {\"kernel-fd\": 3}}", "sandbox.uid is out of range"},
    {"{\"devices\": {}, \"boot\": {\"kernel-fd\": 3}}", "devices must be an array"},
};

/* Refused while the machine is built. */
static const struct {
    const char *json, *says;
} unbuildable[] = {
    {"{\"cpus\": {\"model\": \"no-such-cpu\"}}", "no-such-cpu"},
    {"{\"cpus\": {\"features\": [\"+no-such-feature\"]}}", "'+no-such-feature' is not known"},
    {"{\"serials\": [\"nothing\"]}", "its chardev 'nothing' does not exist"},
    {"{\"serials\": [null, null, null, null, null]}", "more than 4 serial ports"},
    {"{\"chardevs\": [{\"id\": \"a\"}, {\"id\": \"a\"}]}", "exists already"},
    {"{\"chardevs\": [{\"id\": \"a\", \"backend\": \"carrier-pigeon\"}]}", "'carrier-pigeon' is not known"},
    {"{\"iothreads\": [1]}", "iothreads must be a list of strings"},
    {"{\"ports\": [{\"id\": \"p\", \"addr\": \"20\"}]}", "not of the form SLOT.FUNCTION"},
    {"{\"ports\": [{\"id\": \"p\", \"addr\": \"1\"}, {\"id\": \"q\", \"addr\": \"1\"}]}", "is taken by p"},
    {"{\"devices\": [{\"driver\": \"e1000\", \"id\": \"x\"}]}", "'e1000' is not a valid device model name"},
    {"{\"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"x\", \"bus\": \"pci.9\"}]}", "'pci.9'"},
    {"{\"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"x\", \"colour\": \"red\"}]}", "colour"},
    {"{\"memory\": {\"size\": 1048576}}", "the guest has 1 MiB below 3 GiB"},
};

int main(void)
{
    MachineDesc *desc = NULL;
    Machine *m;
    Err err = {0};
    char *huge = malloc(DESC_BYTES_MAX + 2);

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int r;

        err.text[0] = '\0';
        r = machine_desc_parse_text(refused[i].json, strlen(refused[i].json), &desc, &err);
        ok(r < 0 && strstr(err.text, refused[i].says) != NULL, "refused: %.60s: %s", refused[i].json,
           err.text);
        if (r == 0)
            machine_desc_free(desc);
    }
    memset(huge, ' ', DESC_BYTES_MAX + 2);
    ok(machine_desc_parse_text(huge, DESC_BYTES_MAX + 1, &desc, &err) < 0 && strstr(err.text, "longer than"),
       "refused: more bytes than anybody needs: %s", err.text);
    free(huge);
    for (size_t i = 0; i < sizeof unbuildable / sizeof unbuildable[0]; i++) {
        err.text[0] = '\0';
        m = fake_machine(unbuildable[i].json, &desc, &err);
        ok(m == NULL && strstr(err.text, unbuildable[i].says) != NULL, "no machine: %.60s: %s",
           unbuildable[i].json,
           err.text);
        if (m != NULL)
            fake_machine_free(m, desc);
    }
    err.text[0] = '\0';
    m = fake_machine("{\"cpus\": {\"count\": 3, \"max\": 8, \"cores\": 4, \"threads\": 2, \"features\": [\"-x2apic\"]},"
                     " \"numa\": [{\"memory\": 67108864, \"cpus\": [0, 1, 2, 3]}, {\"memory\": 67108864, \"cpus\": [4]}],"
                     " \"paused\": true}",
                     &desc, &err);
    ok(m != NULL && machine_cpu_plugged(m, 2) && !machine_cpu_plugged(m, 3) && machine_run_state(m) == RUN_PRELAUNCH &&
       machine_memory_size(m) == 128 << 20,
       "a machine as described %s", err.text);
    if (m != NULL)
        fake_machine_free(m, desc);
    return done();
}
