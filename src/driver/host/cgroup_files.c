/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of a control group: paths, one value in, one text out. See cgroup_private.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/cgroup_private.h"

enum { FILE_MAX = 1024 * 1024 };

gboolean cgroup_fake_tree;

static __thread int last_errno;

int cgroup_file_errno(void)
{
    return last_errno;
}

void cgroup_file_note(int errnum)
{
    last_errno = errnum;
}

gboolean cgroup_file_write(const char *path, const char *value, GError **error)
{
    autofd fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | (cgroup_fake_tree ? O_CREAT : 0), 0644);
    const char *name = strrchr(path, '/');

    /* The kernel takes a value as one write or not at all. */
    if (fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value))
        return TRUE;
    last_errno = errno;
    if (last_errno == EINVAL)
        return error_set_errno(error, EINVAL, "Invalid value '%s' for '%s'", value, name != NULL ? name + 1 : path);
    return error_set_errno(error, last_errno, "Unable to write to '%s'", path);
}

char *cgroup_file_read(const char *path, GError **error)
{
    autofd fd = open(path, O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    ssize_t n = -1;

    while (fd >= 0 && text->len < FILE_MAX && (n = read(fd, buffer, sizeof(buffer))) > 0)
        g_string_append_len(text, buffer, n);
    if (n < 0) {
        last_errno = errno;
        error_set_errno(error, last_errno, "Unable to read from '%s'", path);
        return NULL;
    }
    if (text->len > 0 && text->str[text->len - 1] == '\n')
        g_string_truncate(text, text->len - 1);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean cgroup_is_v2(const Cgroup *group, CgroupController controller)
{
    return group->layout.v1[controller] == NULL;
}

gboolean cgroup_has(const Cgroup *group, CgroupController controller)
{
    return group != NULL && (group->layout.v1[controller] != NULL ||
                             (group->layout.v2_controllers & CGROUP_BIT(controller)) != 0);
}

char *cgroup_folder(const Cgroup *group, CgroupController controller, const char *thread, gboolean outer)
{
    const char *mount = group->layout.v1[controller];

    if (!cgroup_has(group, controller))
        return NULL;
    if (mount == NULL)
        mount = group->layout.v2;
    return g_strconcat(mount, group->path, group->unit != NULL && !outer ? "/libvirt" : "", thread != NULL ? "/" : NULL,
                       thread, NULL);
}

const char *cgroup_thread(CgroupThread name, const char *kind, guint id)
{
    g_snprintf(name, sizeof(CgroupThread), "%s%u", kind, id);
    return name;
}
