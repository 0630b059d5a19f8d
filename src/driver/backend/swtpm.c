/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* swtpm: see swtpm.h. */
#include "driver/backend/swtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"

enum { SETUP_TIMEOUT_MS = 120 * 1000 }; /* it makes RSA keys */

static gboolean is_version_2(const TpmDef *tpm)
{
    return tpm->version != TPM_VERSION_1_2;
}

/* --- arguments --- */

static void add(GPtrArray *argv, ...) G_GNUC_NULL_TERMINATED;

static void add(GPtrArray *argv, ...)
{
    const char *word;
    va_list ap;

    va_start(ap, argv);
    while ((word = va_arg(ap, const char *)) != NULL)
        g_ptr_array_add(argv, g_strdup(word));
    va_end(ap);
}

static char **finish(GPtrArray *argv)
{
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

char **swtpm_args(const TpmDef *tpm, const char *state_dir, const char *log_path, int fd)
{
    GPtrArray *argv = g_ptr_array_new();
    g_autofree char *control = g_strdup_printf("type=unixio,clientfd=%d", fd);
    g_autofree char *state = g_strdup_printf("dir=%s,mode=0600", state_dir);
    g_autofree char *log = g_strdup_printf("file=%s", log_path);

    add(argv, "socket", "--ctrl", control, "--tpmstate", state, "--log", log, "--terminate", NULL);
    if (is_version_2(tpm))
        add(argv, "--tpm2", NULL);
    return finish(argv);
}

char **swtpm_setup_args(const TpmDef *tpm, const char *state_dir, const char *log_path, const char *vm_id)
{
    GPtrArray *argv = g_ptr_array_new();

    if (is_version_2(tpm))
        add(argv, "--tpm2", NULL);
    add(argv, "--tpm-state", state_dir, "--vmid", vm_id, "--logfile", log_path, "--createek", "--create-ek-cert",
        "--create-platform-cert", "--lock-nvram", "--not-overwrite", NULL);
    return finish(argv);
}

char **swtpm_banks_args(const TpmDef *tpm, const char *state_dir, const char *log_path)
{
    GPtrArray *argv;
    g_autoptr(GString) banks = g_string_new(NULL);

    if (!is_version_2(tpm) || tpm->pcr_banks == 0)
        return NULL;
    for (int bank = 0; bank < PCR_BANK_LAST; bank++) {
        if (tpm->pcr_banks & (1u << bank))
            g_string_append_printf(banks, "%s%s", banks->len ? "," : "", pcr_bank_to_string(bank));
    }
    argv = g_ptr_array_new();
    add(argv, "--tpm2", "--tpm-state", state_dir, "--logfile", log_path, "--pcr-banks", banks->str, "--reconfigure",
        NULL);
    return finish(argv);
}

/* --- state --- */

static char *uuid_folder(const DomainDef *def, const char *lib_dir)
{
    char uuid[UUID_TEXT_SIZE];

    uuid_format(def->uuid, uuid);
    return g_build_filename(lib_dir, "swtpm", uuid, NULL);
}

static gboolean make_folder(const BackendConfig *config, const char *path, mode_t mode, gboolean *ret_made,
                            GError **error)
{
    *ret_made = mkdir(path, mode) == 0;
    if (!*ret_made && errno != EEXIST)
        return error_set_errno(error, errno, "cannot make the folder '%s' of a TPM", path);
    if (*ret_made && chmod(path, mode) < 0) /* whatever our umask is */
        return error_set_errno(error, errno, "cannot set the mode of the folder '%s' of a TPM", path);
    if (*ret_made && (mode & 077) == 0 && config->user != (uid_t)-1 && chown(path, config->user, config->group) < 0)
        return error_set_errno(error, errno, "cannot give the folder '%s' of a TPM to the user of the VMs", path);
    return TRUE;
}

/* The folder of the state, made when missing. Caller frees. */
static char *open_state(const BackendConfig *config, const DomainDef *def, const TpmDef *tpm, const char *lib_dir,
                        gboolean *ret_made, GError **error)
{
    g_autofree char *top = g_build_filename(lib_dir, "swtpm", NULL);
    g_autofree char *mine = uuid_folder(def, lib_dir);
    char *state = g_build_filename(mine, is_version_2(tpm) ? "tpm2" : "tpm1.2", NULL);
    gboolean made;

    if (make_folder(config, top, 0711, &made, error) && make_folder(config, mine, 0711, &made, error) &&
        make_folder(config, state, 0700, ret_made, error))
        return state;
    g_free(state);
    return NULL;
}

static void remove_folder(const char *path, guint depth)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        if (unlink(entry) < 0 && (errno == EISDIR || errno == EPERM) && depth > 0)
            remove_folder(entry, depth - 1);
    }
    if (rmdir(path) < 0 && errno != ENOENT)
        log_warning("cannot remove the folder '%s' of a TPM: %s", path, g_strerror(errno));
}

void swtpm_forget(const DomainDef *def, const char *lib_dir, guint flags)
{
    DOMAIN_DEF_FOREACH(TpmDef, tpm, def, DEVICE_TPM)
    {
        if (tpm->backend == TPM_EMULATOR && (tpm->persistent_state ? (flags & VIR_DOMAIN_UNDEFINE_TPM) != 0
                                                                   : (flags & VIR_DOMAIN_UNDEFINE_KEEP_TPM) == 0)) {
            g_autofree char *folder = uuid_folder(def, lib_dir);

            if (g_file_test(folder, G_FILE_TEST_IS_DIR))
                remove_folder(folder, 2);
        }
    }
}

/* --- processes --- */

static char *find_program(const char *name, GError **error)
{
    char *path = g_find_program_in_path(name);

    if (path == NULL)
        error_set(error, VIR_ERR_SYSTEM_ERROR,
                  "Unable to find '%s' binary in $PATH: an emulated TPM needs the packages swtpm and swtpm-tools", name);
    return path;
}

static GPtrArray *with_program(char *program, char **args)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, program);
    for (char **arg = args; *arg != NULL; arg++)
        g_ptr_array_add(argv, *arg);
    g_ptr_array_add(argv, NULL);
    g_free(args);
    return argv;
}

static gboolean run_setup(const BackendConfig *config, char **args, const char *log_path, GError **error)
{
    char *program = find_program("swtpm_setup", error);
    g_autoptr(GPtrArray) argv = NULL;
    int status = 0;

    if (program == NULL) {
        g_strfreev(args);
        return FALSE;
    }
    argv = with_program(program, args);
    if (!helper_run(config, argv, log_path, SETUP_TIMEOUT_MS, &status, error))
        return FALSE;
    if (status != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "Could not run '%s'. exitstatus: %d; Check error log '%s' for details.", program,
                         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), log_path);
    return TRUE;
}

static gboolean set_up(const BackendConfig *config, const DomainDef *live, const TpmDef *tpm, const char *state,
                       const char *log_path, gboolean fresh, GError **error)
{
    char uuid[UUID_TEXT_SIZE];
    g_autofree char *vm_id = NULL;
    char **banks;

    uuid_format(live->uuid, uuid);
    vm_id = g_strdup_printf("%s:%s", live->name, uuid);
    if (fresh && !run_setup(config, swtpm_setup_args(tpm, state, log_path, vm_id), log_path, error))
        return FALSE;
    banks = swtpm_banks_args(tpm, state, log_path);
    return banks == NULL || run_setup(config, banks, log_path, error);
}

/* "<logs>/NAME-swtpm.log", writable for swtpm's user. Caller frees. */
static char *make_log(const BackendConfig *config, const VmStartOptions *options, const DomainDef *live)
{
    g_autofree char *folder = g_path_get_dirname(options->log_path);
    char *path = g_strdup_printf("%s/%s-swtpm.log", folder, live->name);
    autofd fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);

    if (fd >= 0 && config->user != (uid_t)-1 && fchown(fd, config->user, config->group) < 0)
        log_warning("cannot give '%s' to the user of the VMs: %s", path, g_strerror(errno));
    return path;
}

Helper *swtpm_start(const BackendConfig *config, const DomainDef *live, const TpmDef *tpm, const VmStartOptions *options,
                    int *ret_fd, gboolean *ret_made, GError **error)
{
    g_autofree char *program = NULL;
    g_autofree char *log = NULL;
    g_autofree char *state = NULL;
    g_autoptr(GPtrArray) argv = NULL;
    Helper *helper;
    int pair[2];
    autofd ours = -1;
    autofd theirs = -1;

    *ret_made = FALSE;
    if (tpm->secret != NULL) {
        error_set_from(error, VIR_FROM_SECRET, VIR_ERR_NO_SECRET, "no secret with matching uuid '%s'", tpm->secret);
        return NULL;
    }
    program = find_program("swtpm", error);
    if (program == NULL)
        return NULL;
    state = open_state(config, live, tpm, options->lib_dir, ret_made, error);
    if (state == NULL)
        return NULL;
    log = make_log(config, options, live);
    if (!set_up(config, live, tpm, state, log, *ret_made, error))
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        error_set_errno(error, errno, "cannot make a socket pair for swtpm");
        return NULL;
    }
    ours = pair[0];
    theirs = pair[1];
    argv = with_program(g_steal_pointer(&program), swtpm_args(tpm, state, log, theirs));
    helper = helper_start(config, "swtpm, the TPM of the domain", argv, theirs, log, TRUE, error);
    if (helper != NULL)
        *ret_fd = fd_steal(&ours);
    return helper;
}
