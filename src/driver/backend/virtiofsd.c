/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtiofsd: see virtiofsd.h. */
#include "driver/backend/virtiofsd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/unix_socket.h"

static const char *const places[] = {"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/libexec/qemu/virtiofsd"};

char *virtiofsd_socket(const FilesystemDef *fs, const char *run_dir)
{
    g_autofree char *name = NULL;

    if (fs->socket != NULL)
        return g_strdup(fs->socket);
    name = g_strdup_printf("%s-fs.sock", fs->info.alias);
    return g_build_filename(run_dir, name, NULL);
}

char **virtiofsd_args(const FilesystemDef *fs, int fd)
{
    GPtrArray *argv = g_ptr_array_new();
    GString *options = g_string_new(NULL);

    g_ptr_array_add(argv, g_strdup("-f"));
    g_ptr_array_add(argv, g_strdup_printf("--fd=%d", fd));
    g_string_append_printf(options, "source=%s", fs->source ? fs->source : "");
    if (fs->cache != FS_CACHE_DEFAULT)
        g_string_append_printf(options, ",cache=%s", fs_cache_to_string(fs->cache));
    if (fs->sandbox != FS_SANDBOX_DEFAULT)
        g_string_append_printf(options, ",sandbox=%s", fs_sandbox_to_string(fs->sandbox));
    if (fs->xattr != TRISTATE_ABSENT)
        g_string_append(options, fs->xattr == TRISTATE_YES ? ",xattr" : ",no_xattr");
    if (fs->flock != TRISTATE_ABSENT)
        g_string_append(options, fs->flock == TRISTATE_YES ? ",flock" : ",no_flock");
    if (fs->posix_lock != TRISTATE_ABSENT)
        g_string_append(options, fs->posix_lock == TRISTATE_YES ? ",posix_lock" : ",no_posix_lock");
    if (fs->thread_pool_size >= 0)
        g_ptr_array_add(argv, g_strdup_printf("--thread-pool-size=%d", fs->thread_pool_size));
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_string_free(options, FALSE));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

static const char *find_binary(const FilesystemDef *fs)
{
    if (fs->binary != NULL)
        return fs->binary;
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

Helper *virtiofsd_start(const BackendConfig *config, const FilesystemDef *fs, const VmStartOptions *options,
                        char **ret_made, GError **error)
{
    const char *binary = find_binary(fs);
    g_autofree char *path = virtiofsd_socket(fs, options->run_dir);
    g_autofree char *log = NULL;
    g_auto(GStrv) args = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    autofd fd = -1;
    Helper *helper;

    if (binary == NULL) {
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "Unable to find a satisfying virtiofsd: install one, or name it in "
                                                        "<binary path='...'/>");
        return NULL;
    }
    if (access(fs->source, F_OK) < 0) {
        error_set_errno(error, errno, "the virtiofs export directory '%s' does not exist", fs->source);
        return NULL;
    }
    log = helper_log_path(options->log_path, fs->info.alias, "virtiofsd");
    fd = unix_socket_listen(path, 0660, config->user, config->group, error);
    if (fd < 0)
        return NULL;
    args = virtiofsd_args(fs, fd);
    g_ptr_array_add(argv, (char *)binary);
    for (char **arg = args; *arg != NULL; arg++)
        g_ptr_array_add(argv, *arg);
    g_ptr_array_add(argv, NULL);
    helper = helper_start_with(config, "virtiofsd, a folder of the domain", argv, &fd, 1, log,
                               options->run_dir, FALSE, error);
    if (helper == NULL) {
        unlink(path);
        return NULL;
    }
    *ret_made = g_steal_pointer(&path);
    return helper;
}
