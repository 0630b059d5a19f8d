/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands with QEMU's names, arguments and replies (QEMU 7.2, qapi/). */
#include "vmm/qmp_commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "config.h"
#include "vmm/block/block.h"
#include "vmm/qmp_handlers.h"

static const char *string_arg(json_t *args, const char *key)
{
    return json_string_value(json_object_get(args, key));
}

/* --- session and machine
 * --------------------------------------------------------------------------------------- */

static int do_capabilities(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return 0;
}

static int query_version(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    *ret = json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", 7, "minor", 2, "micro", 0, "package",
                     "kite-vmm " PACKAGE_VERSION);
    return 0;
}

static int query_commands(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    *ret = json_array();
    for (unsigned i = 0; qmp_command_at(i) != NULL; i++)
        json_array_append_new(*ret, json_pack("{s:s}", "name", qmp_command_at(i)->name));
    return 0;
}

static int query_status(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    RunState state = machine_run_state(m);

    *ret = json_pack("{s:s, s:b, s:b}", "status", machine_run_state_name(state), "running",
                     state == RUN_RUNNING, "singlestep", 0);
    return 0;
}

static int query_name(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    *ret = json_pack("{s:s}", "name", machine_description(m)->name);
    return 0;
}

static int query_uuid(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const char *uuid = machine_description(m)->uuid;

    *ret = json_pack("{s:s}", "UUID", uuid[0] ? uuid : "00000000-0000-0000-0000-000000000000");
    return 0;
}

static int query_kvm(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    *ret = json_pack("{s:b, s:b}", "enabled", 1, "present", 1);
    return 0;
}

static int query_current_machine(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    *ret = json_pack("{s:b}", "wakeup-suspend-support", 0);
    return 0;
}

static int do_stop(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    if (machine_run_state(m) == RUN_RUNNING)
        machine_stop(m, RUN_PAUSED);
    return 0;
}

static int do_cont(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_cont(m, err);
}

static int do_powerdown(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    machine_power_button(m);
    return 0;
}

static int do_reset(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_reset(m, false, err);
}

static int do_quit(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    machine_exit(m, 0, false, "host-qmp-quit");
    return 0;
}

static int do_nmi(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    machine_nmi(m);
    return 0;
}

static int do_watchdog_set_action(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_set_watchdog_action(m, string_arg(args, "action"), err);
}

static json_t *cpu_props(Machine *m, unsigned i)
{
    const MachineDesc *d = machine_description(m);
    CpuPlace place;
    json_t *props;

    machine_cpu_place(&d->topology, i, &place);
    props = json_pack("{s:i, s:i, s:i, s:i}", "socket-id", (int)place.socket, "die-id", (int)place.die, "core-id",
                      (int)place.core, "thread-id", (int)place.thread);
    if (d->nodes > 0)
        json_object_set_new(props, "node-id", json_integer(d->cpu_node[i]));
    return props;
}

static int query_cpus(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    char path[96];

    *ret = json_array();
    for (unsigned i = 0; i < machine_vcpu_count(m); i++) {
        if (!machine_cpu_plugged(m, i))
            continue;
        machine_cpu_path(m, i, path, sizeof path);
        json_array_append_new(*ret, json_pack("{s:i, s:s, s:i, s:s, s:o}", "cpu-index", (int)i, "qom-path", path,
                                              "thread-id", vcpu_thread_id(machine_vcpu(m, i)), "target", "x86_64",
                                              "props", cpu_props(m, i)));
    }
    return 0;
}

/* The last slot first, as QEMU lists them. */
static int query_hotpluggable_cpus(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    char type[64], path[96];

    *ret = json_array();
    machine_cpu_type(m, type, sizeof type);
    for (unsigned i = machine_vcpu_count(m); i-- > 0;) {
        json_t *slot =
            json_pack("{s:s, s:i, s:o}", "type", type, "vcpus-count", 1, "props", cpu_props(m, i));

        if (machine_cpu_plugged(m, i)) {
            machine_cpu_path(m, i, path, sizeof path);
            json_object_set_new(slot, "qom-path", json_string(path));
        }
        json_array_append_new(*ret, slot);
    }
    return 0;
}

/* --- descriptors
 * ---------------------------------------------------------------------------------------------- */

static int do_getfd(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return qmp_server_keep_fd(s, string_arg(args, "fdname"), err);
}

static int do_closefd(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return qmp_server_close_fd(s, string_arg(args, "fdname"), err);
}

static int do_add_fd(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    json_t *set = json_object_get(args, "fdset-id");
    int64_t fdset;
    int fd, r;

    r = qmp_server_add_fd(s, set ? json_integer_value(set) : -1, &fdset, &fd, err);
    if (r == 0)
        *ret = json_pack("{s:I, s:i}", "fdset-id", (json_int_t)fdset, "fd", fd);
    return r;
}

static int do_remove_fd(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return qmp_server_remove_fd(s, json_integer_value(json_object_get(args, "fdset-id")), err);
}

/* --- devices
 * -------------------------------------------------------------------------------------------------- */

static int do_device_add(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_device_add(m, args, err);
}

static int do_device_del(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_device_del(m, string_arg(args, "id"), err);
}

static int query_chardev(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    Chardev *c;

    *ret = json_array();
    for (unsigned i = 0; (c = machine_chardev_at(m, i)) != NULL; i++)
        json_array_append_new(*ret, json_pack("{s:s, s:s, s:b}", "label", chardev_id(c), "filename",
                                              chardev_describe(c), "frontend-open", chardev_frontend_open(c)));
    return 0;
}

static int do_chardev_add(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_chardev_add(m, args, err);
}

static int do_chardev_remove(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_chardev_remove(m, string_arg(args, "id"), err);
}

static int do_blockdev_add(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_blockdev_add(m, args, err);
}

static int do_blockdev_del(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_blockdev_del(m, string_arg(args, "node-name"), err);
}

static int do_netdev_add(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_netdev_add(m, args, err);
}

static int do_netdev_del(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    return machine_netdev_del(m, string_arg(args, "id"), err);
}

static const QmpCommand qmp_commands[] = {
    {"qmp_capabilities", "enable:a?", do_capabilities},
    {"query-version", "", query_version},
    {"query-commands", "", query_commands},
    {"query-status", "", query_status},
    {"query-name", "", query_name},
    {"query-uuid", "", query_uuid},
    {"query-kvm", "", query_kvm},
    {"query-current-machine", "", query_current_machine},
    {"query-cpus-fast", "", query_cpus},
    {"query-hotpluggable-cpus", "", query_hotpluggable_cpus},
    {"query-memory-size-summary", "", qmp_query_memory_size},
    {"query-memory-devices", "", qmp_query_memory_devices},
    {"query-iothreads", "", qmp_query_iothreads},
    {"query-chardev", "", query_chardev},
    {"stop", "", do_stop},
    {"cont", "", do_cont},
    {"system_powerdown", "", do_powerdown},
    {"system_reset", "", do_reset},
    {"inject-nmi", "", do_nmi},
    {"dump-guest-memory", "paging:b protocol:s detach:b? begin:i? length:i? format:s?", qmp_dump_guest_memory},
    {"query-dump-guest-memory-capability", "", qmp_query_dump_capability},
    {"watchdog-set-action", "action:s", do_watchdog_set_action},
    {"quit", "", do_quit},
    {"getfd", "fdname:s", do_getfd},
    {"closefd", "fdname:s", do_closefd},
    {"add-fd", "fdset-id:i? opaque:s?", do_add_fd},
    {"remove-fd", "fdset-id:i fd:i?", do_remove_fd},
    {"device_add", "driver:s ...", do_device_add},
    {"device_del", "id:s", do_device_del},
    {"chardev-add", "id:s backend:s ...", do_chardev_add},
    {"chardev-remove", "id:s", do_chardev_remove},
    {"blockdev-add", "driver:s ...", do_blockdev_add},
    {"blockdev-del", "node-name:s", do_blockdev_del},
    {"blockdev-reopen", "options:a", qmp_blockdev_reopen},
    {"netdev_add", "type:s ...", do_netdev_add},
    {"netdev_del", "id:s", do_netdev_del},
    {"object-add", "qom-type:s id:s ...", qmp_object_add},
    {"object-del", "id:s", qmp_object_del},
    {"qom-list", "path:s", qmp_qom_list},
    {"qom-get", "path:s property:s", qmp_qom_get},
    {"qom-set", "path:s property:s value:*", qmp_qom_set},
    {"query-block", "", qmp_query_block},
    {"query-blockstats", "query-nodes:b?", qmp_query_blockstats},
    {"query-named-block-nodes", "flat:b?", qmp_query_named_block_nodes},
    {"block_resize", "device:s? node-name:s? size:i", qmp_block_resize},
    {"block_set_io_throttle", "id:s? device:s? ...", qmp_block_set_io_throttle},
    {"block-set-write-threshold", "node-name:s write-threshold:i", qmp_block_set_write_threshold},
    {"set_link", "name:s up:b", qmp_set_link},
    {"query-rx-filter", "name:s?", qmp_query_rx_filter},
    {"blockdev-open-tray", "id:s force:b?", qmp_open_tray},
    {"blockdev-close-tray", "id:s", qmp_close_tray},
    {"blockdev-remove-medium", "id:s", qmp_remove_medium},
    {"blockdev-insert-medium", "id:s node-name:s", qmp_insert_medium},
    {"balloon", "value:i", qmp_balloon},
    {"query-balloon", "", qmp_query_balloon},
    {"calc-dirty-rate", "calc-time:i sample-pages:i? mode:s?", qmp_calc_dirty_rate},
    {"query-dirty-rate", "", qmp_query_dirty_rate},
};

const QmpCommand *qmp_command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(qmp_commands); i++) {
        if (strcmp(qmp_commands[i].name, name) == 0)
            return &qmp_commands[i];
    }
    return NULL;
}

const QmpCommand *qmp_command_at(unsigned index)
{
    return index < ARRAY_LEN(qmp_commands) ? &qmp_commands[index] : NULL;
}

/* --- argument check
 * -------------------------------------------------------------------------------------------- */

static bool kind_fits(char kind, const json_t *value)
{
    switch (kind) {
    case 's':
        return json_is_string(value);
    case 'i':
        return json_is_integer(value);
    case 'b':
        return json_is_boolean(value);
    case 'o':
        return json_is_object(value);
    case 'a':
        return json_is_array(value);
    default:
        return true;
    }
}

int qmp_command_check(const QmpCommand *command, json_t *args, Err *err)
{
    static const struct {
        char kind;
        const char *name;
    } kinds[] = {{'s', "string"}, {'i', "integer"}, {'b', "boolean"}, {'o', "object"}, {'a', "array"}};
    bool open = false;
    const char *key;
    json_t *value;

    if (args != NULL && !json_is_object(args))
        return err_set(err, EINVAL, "QMP input member 'arguments' must be an object");
    for (const char *at = command->arguments; *at != '\0';) {
        size_t len = strcspn(at, " "), name_len = strcspn(at, ":");
        char name[64];

        if (strncmp(at, "...", 3) == 0) {
            open = true;
        } else {
            memcpy(name, at, MIN(name_len, sizeof name - 1));
            name[MIN(name_len, sizeof name - 1)] = '\0';
            value = json_object_get(args, name);
            if (value == NULL && at[name_len + 2] != '?')
                return err_set(err, EINVAL, "Parameter '%s' is missing", name);
            for (size_t i = 0; value != NULL && i < ARRAY_LEN(kinds); i++) {
                if (kinds[i].kind == at[name_len + 1] && !kind_fits(kinds[i].kind, value))
                    return err_set(err, EINVAL, "Invalid parameter type for '%s', expected: %s", name,
                                   kinds[i].name);
            }
        }
        at += len + (at[len] == ' ');
    }
    if (open || args == NULL)
        return 0;
    json_object_foreach(args, key, value)
    {
        size_t len = strlen(key);
        bool known = false;

        for (const char *at = command->arguments; *at != '\0' && !known;) {
            size_t step = strcspn(at, " ");

            known = strncmp(at, key, len) == 0 && at[len] == ':';
            at += step + (at[step] == ' ');
        }
        if (!known)
            return err_set(err, EINVAL, "Parameter '%.100s' is unexpected", key);
    }
    return 0;
}
