/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Atomic replacement of state files. */
#include "common/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/fd.h"

#define TEMP_MARK ".kite-tmp."

static gboolean sync_folder(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    autofd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return error_set_errno(error, errno, "cannot sync folder '%s'", folder);
    return TRUE;
}

gboolean atomic_file_write(const char *path, const void *data, gssize length, mode_t mode, GError **error)
{
    static gint counter;
    g_autofree char *temp =
        g_strdup_printf("%s" TEMP_MARK "%d.%d", path, (int)getpid(), g_atomic_int_add(&counter, 1));
    autofd fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    g_autoptr(GError) cause = NULL;
    int saved;

    if (fd < 0)
        return error_set_errno(error, errno, "cannot create '%s'", temp);
    if (!fd_write_all(fd, data, length < 0 ? strlen(data) : (gsize)length, &cause)) {
        unlink(temp);
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "cannot write '%s': ", path);
        return FALSE;
    }
    if (fsync(fd) < 0 || close(fd_steal(&fd)) < 0 || rename(temp, path) < 0) {
        saved = errno;
        unlink(temp);
        return error_set_errno(error, saved, "cannot write '%s'", path);
    }
    return sync_folder(path, error);
}

guint atomic_file_sweep(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint count = 0;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (strstr(name, TEMP_MARK) != NULL) {
            g_autofree char *path = g_build_filename(folder, name, NULL);

            count += unlink(path) == 0;
        }
    }
    return count;
}

gboolean atomic_file_remove(const char *path, GError **error)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "cannot remove '%s'", path);
    return TRUE;
}
