/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virDomainOpenConsole and virDomainOpenChannel: a character device's host side, bridged to a stream. One
 * client a device: a second one is refused, or with VIR_DOMAIN_CONSOLE_FORCE takes over. A pty is also marked
 * taken for programs that open it themselves, by the UUCP lock file that libvirt uses (Filesystem Hierarchy
 * Standard 3.0, 5.9.2: ten characters of pid, newline).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "common/fd.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/stream.h"

#define LOCK_FOLDER "/var/lock"

typedef struct Session {
    char *path; /* of the device: the key */
    char *lock_path; /* NULL: none was made */
    Stream *stream;
} Session;

static GMutex sessions_mutex; /* innermost: nothing is locked below it */
static GCond session_ended;
static GHashTable *sessions; /* path -> Session; under sessions_mutex */

/* --- the device ----------------------------------------------------------------------------------------- */

static ChrDef *first_of(const DomainDef *def, DeviceKind kind)
{
    GPtrArray *devices = def->devices[kind];

    return devices != NULL && devices->len > 0 ? g_ptr_array_index(devices, 0) : NULL;
}

static ChrDef *by_alias(const DomainDef *def, const DeviceKind *kinds, guint n, const char *alias)
{
    for (guint k = 0; k < n; k++) {
        GPtrArray *devices = def->devices[kinds[k]];

        for (guint i = 0; devices != NULL && i < devices->len; i++) {
            ChrDef *chr = g_ptr_array_index(devices, i);

            if (g_strcmp0(chr->info.alias, alias) == 0)
                return chr;
        }
    }
    return NULL;
}

static const ChrDef *find_console(const DomainDef *def, const char *alias)
{
    static const DeviceKind kinds[] = {DEVICE_CONSOLE, DEVICE_SERIAL, DEVICE_PARALLEL};
    ChrDef *chr;

    if (alias != NULL)
        return by_alias(def, kinds, G_N_ELEMENTS(kinds), alias);
    chr = first_of(def, DEVICE_CONSOLE);
    if (chr == NULL || chr_is_serial_console(chr))
        chr = first_of(def, DEVICE_SERIAL);
    return chr;
}

static const ChrDef *find_channel(const DomainDef *def, const char *name)
{
    GPtrArray *channels = def->devices[DEVICE_CHANNEL];

    if (name == NULL)
        return first_of(def, DEVICE_CHANNEL);
    for (guint i = 0; channels != NULL && i < channels->len; i++) {
        const ChrDef *chr = g_ptr_array_index(channels, i);

        if (g_strcmp0(chr->name, name) == 0 || g_strcmp0(chr->info.alias, name) == 0)
            return chr;
    }
    return NULL;
}

static int open_pty(const char *path, GError **error)
{
    autofd fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    struct termios tty;

    if (fd < 0) {
        error_set_errno(error, errno, "unable to open tty %s", path);
        return -1;
    }
    if (tcgetattr(fd, &tty) == 0) {
        cfmakeraw(&tty);
        tcsetattr(fd, TCSANOW, &tty);
    }
    return fd_steal(&fd);
}

static int open_socket(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        error_set_errno(error, errno, "unable to make a UNIX socket");
        return -1;
    }
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "UNIX socket path '%s' too long", path);
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        error_set_errno(error, errno, "unable to connect to UNIX socket '%s'", path);
        return -1;
    }
    return fd_steal(&fd);
}

/* --- exclusive use -------------------------------------------------------------------------------------- */

/* pid in a lock file that is there; 0 when it cannot be read. */
static pid_t lock_owner(const char *lock_path)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(lock_path, &text, NULL, NULL) ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
}

/* *ret_path NULL: this host has no place for such locks. A lock whose owner is dead is removed. */
static gboolean take_lock_file(const char *device, char **ret_path, GError **error)
{
    g_autofree char *name =
        g_strdelimit(g_strdup(g_str_has_prefix(device, "/dev/") ? device + 5 : device), "/", '_');
    g_autofree char *path = g_strdup_printf(LOCK_FOLDER "/LCK..%s", name);
    g_autofree char *pid = g_strdup_printf("%10d\n", (int)getpid());
    pid_t owner;

    *ret_path = NULL;
    for (int turn = 0; turn < 2; turn++) {
        autofd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

        if (fd >= 0) {
            if (!fd_write_all(fd, pid, strlen(pid), error)) {
                unlink(path);
                return FALSE;
            }
            *ret_path = g_steal_pointer(&path);
            return TRUE;
        }
        if (errno == ENOENT || errno == EACCES || errno == EROFS)
            return TRUE;
        if (errno != EEXIST)
            return error_set_errno(error, errno, "Couldn't create lock file for device '%s' in path '%s'",
                                   device, path);
        owner = lock_owner(path);
        if (owner > 0 && owner != getpid() && (kill(owner, 0) == 0 || errno == EPERM))
            break;
        unlink(path);
    }
    return error_set(error, VIR_ERR_OPERATION_FAILED,
                     "Requested device '%s' is locked by lock file '%s' held by process %lld", device, path,
                     (long long)lock_owner(path));
}

static void session_free(Session *session)
{
    if (session->lock_path != NULL)
        unlink(session->lock_path);
    g_clear_pointer(&session->stream, stream_unref);
    g_free(session->lock_path);
    g_free(session->path);
    g_free(session);
}

static void session_over(gboolean aborted, void *opaque)
{
    Session *session = opaque;

    g_mutex_lock(&sessions_mutex);
    g_hash_table_remove(sessions, session->path);
    session_free(session);
    g_cond_broadcast(&session_ended);
    g_mutex_unlock(&sessions_mutex);
}

/* Makes room: refuses, or with force ends the session that is there. Called with sessions_mutex held. */
static gboolean displace(const char *path, gboolean force, GError **error)
{
    const gint64 deadline = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;
    g_autoptr(Stream) old = NULL;
    g_autoptr(GError) cause = NULL;
    Session *session = g_hash_table_lookup(sessions, path);

    if (session == NULL)
        return TRUE;
    if (!force || session->stream == NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "Active console session exists for this domain");
    old = stream_ref(session->stream);
    error_set(&cause, VIR_ERR_OPERATION_ABORTED, "console '%s' was taken over by another client", path);
    g_mutex_unlock(&sessions_mutex);
    stream_fail(old, cause);
    g_mutex_lock(&sessions_mutex);
    while (g_hash_table_contains(sessions, path)) {
        if (!g_cond_wait_until(&session_ended, &sessions_mutex, deadline))
            return error_set(error, VIR_ERR_OPERATION_TIMEOUT, "the client on console '%s' does not let go",
                             path);
    }
    return TRUE;
}

/* Called with sessions_mutex held, which keeps session_over() waiting until the session is complete. */
static gboolean attach(Call *call, const char *path, gboolean pty, gboolean force, gboolean safe,
                       GError **error)
{
    StreamFdOptions options = {.offset = -1, .on_end = session_over};
    g_autofree char *lock_path = NULL;
    Session *session;
    int fd;

    if (!displace(path, force, error))
        return FALSE;
    if (pty) {
        if (!take_lock_file(path, &lock_path, error))
            return FALSE;
        if (safe && lock_path == NULL)
            return error_set(error, VIR_ERR_OPERATION_FAILED,
                             "no lock file can be made for '%s' in " LOCK_FOLDER, path);
    }
    fd = pty ? open_pty(path, error) : open_socket(path, error);
    if (fd < 0) {
        if (lock_path != NULL)
            unlink(lock_path);
        return FALSE;
    }
    session = g_new0(Session, 1);
    session->path = g_strdup(path);
    session->lock_path = g_steal_pointer(&lock_path);
    g_hash_table_insert(sessions, session->path, session);
    options.opaque = session;
    options.ret_stream = &session->stream;
    /* On failure the end is told as well: it runs on this thread, so the mutex must be free. */
    g_mutex_unlock(&sessions_mutex);
    gboolean good = stream_attach_fd_full(call, fd, STREAM_FD_READ | STREAM_FD_WRITE, &options, error);
    g_mutex_lock(&sessions_mutex);
    return good;
}

static gboolean open_device(Call *call, Domain *dom, const ChrDef *(*find)(const DomainDef *, const char *),
                            const char *what, const char *name, guint flags, GError **error)
{
    g_autofree char *path = NULL;
    ChrType type;
    gboolean good;

    {
        LOCK_SCOPE(&dom->lock);
        const ChrDef *chr;

        if (!domain_require_active(dom, error))
            return FALSE;
        chr = dom->live != NULL ? find(dom->live, name) : NULL;
        if (chr == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find %s device '%s'", what,
                             name != NULL ? name : "default");
        type = chr->source.type;
        if (type != CHR_TYPE_PTY && type != CHR_TYPE_UNIX)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s device '%s' is not using a %s", what,
                             name != NULL ? name : "default",
                             g_str_equal(what, "channel") ? "UNIX socket" : "PTY or UNIX socket");
        if (chr->source.path == NULL)
            return error_set(error, VIR_ERR_OPERATION_INVALID,
                             "%s device '%s' of domain '%s' has no path yet: "
                             "it is still starting",
                             what, name != NULL ? name : "default", dom->name);
        path = g_strdup(chr->source.path);
    }
    g_mutex_lock(&sessions_mutex);
    if (sessions == NULL)
        sessions = g_hash_table_new(g_str_hash, g_str_equal);
    good = attach(call, path, type == CHR_TYPE_PTY, (flags & VIR_DOMAIN_CONSOLE_FORCE) != 0,
                  (flags & VIR_DOMAIN_CONSOLE_SAFE) != 0, error);
    g_mutex_unlock(&sessions_mutex);
    return good;
}

gboolean call_domain_open_console(Call *call, const DomainOpenConsoleArgs *args, DomainOpenConsoleRet *ret,
                                  GError **error)
{
    g_autoptr(Domain) dom = NULL;

    dom = domain_from_wire_flags(call, &args->dom, args->flags,
                                 VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE, error);
    return dom != NULL && open_device(call, dom, find_console, "console", args->dev_name, args->flags, error);
}

gboolean call_domain_open_channel(Call *call, const DomainOpenChannelArgs *args, DomainOpenChannelRet *ret,
                                  GError **error)
{
    g_autoptr(Domain) dom = NULL;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, VIR_DOMAIN_CHANNEL_FORCE, error);
    return dom != NULL && open_device(call, dom, find_channel, "channel", args->name, args->flags, error);
}
