/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which devices a VM may open: v1's whitelist, or in v2 a program (cgroup_bpf.c). Descriptors that are passed to it are
 * not concerned: the kernel asks when a device is opened. See cgroup.h. */
#define LOG_SOURCE "host.cgroup"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/host/cgroup_private.h"

void cgroup_device_add(GArray *devices, const char *path, gboolean write)
{
    CgroupDevice device = {.minor = -1, .write = write};
    struct stat st;

    if (path == NULL || stat(path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
        return;
    device.type = S_ISCHR(st.st_mode) ? 'c' : 'b';
    device.major = major(st.st_rdev);
    device.minor = (int)minor(st.st_rdev);
    for (guint i = 0; i < devices->len; i++) {
        CgroupDevice *other = &g_array_index(devices, CgroupDevice, i);

        if (other->type == device.type && other->major == device.major && other->minor == device.minor) {
            other->write |= write;
            return;
        }
    }
    g_array_append_val(devices, device);
}

/* "b 8:16 rw", as devices.list has it. Caller frees. */
static char *rule_text(const CgroupDevice *device)
{
    const char *access = device->write ? "rw" : "r";

    if (device->minor < 0)
        return g_strdup_printf("%c %u:* %s", device->type, device->major, access);
    return g_strdup_printf("%c %u:%d %s", device->type, device->major, device->minor, access);
}

static gboolean write_rule(const char *folder, const char *name, const char *rule, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    return cgroup_file_write(path, rule, error);
}

/* From what the kernel has to what is wanted, without a moment in which a device in use is missing. */
static gboolean set_v1(const char *folder, const GArray *devices, GError **error)
{
    g_autofree char *list = g_build_filename(folder, "devices.list", NULL);
    g_autofree char *text = cgroup_file_read(list, NULL);
    g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);
    g_autoptr(GPtrArray) wanted = g_ptr_array_new_with_free_func(g_free);

    if (g_strv_contains((const char *const *)lines, "a *:* rwm")) {
        if (!write_rule(folder, "devices.deny", "a", error))
            return FALSE;
        lines[0][0] = '\0';
    }
    for (guint i = 0; i < devices->len; i++) {
        char *rule = rule_text(&g_array_index(devices, CgroupDevice, i));

        g_ptr_array_add(wanted, rule);
        if (!g_strv_contains((const char *const *)lines, rule) && !write_rule(folder, "devices.allow", rule, error))
            return FALSE;
    }
    for (char **line = lines; *line != NULL; line++) {
        if (**line != '\0' && !g_ptr_array_find_with_equal_func(wanted, *line, g_str_equal, NULL) &&
            !write_rule(folder, "devices.deny", *line, error))
            return FALSE;
    }
    return TRUE;
}

gboolean cgroup_set_devices(Cgroup *group, const GArray *devices, GError **error)
{
    g_autofree char *folder = cgroup_folder(group, CGROUP_DEVICES, NULL, FALSE);
    g_autoptr(GError) failure = NULL;

    if (folder == NULL)
        return TRUE;
    if (cgroup_is_v2(group, CGROUP_DEVICES) ? cgroup_bpf_set(folder, devices, &failure)
                                            : set_v1(folder, devices, &failure))
        return TRUE;
    if (cgroup_file_errno() == EPERM || cgroup_file_errno() == ENOSYS) {
        log_debug("'%s': devices are not filtered: %s", group->path, failure->message);
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return FALSE;
}
