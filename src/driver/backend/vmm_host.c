/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening what a VM is given: see vmm_host.h. */
#include "driver/backend/vmm_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/disk_chain.h"
#include "driver/backend/id_table.h"
#include "driver/backend/storage_daemon.h"
#include "driver/backend/unix_socket.h"

enum { CONNECT_TIMEOUT_MS = 5000 };

/* --- keeping --- */

static void close_value(gpointer value)
{
    close(GPOINTER_TO_INT(value));
}

void vmm_host_free(VmmHost *host)
{
    if (host == NULL)
        return;
    g_hash_table_unref(host->fds);
    for (guint i = 0; i < host->servers->len; i++) {
        if (!host->kept && (host->base == NULL || !host->base->kept))
            storage_server_end(host->servers->pdata[i]);
    }
    g_ptr_array_unref(host->servers);
    if (host->base != NULL)
        qemu_host_free(host->base);
    g_free(host);
}

static void keep(VmmHost *host, int fd, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* fd is the host's from now on. */
static void keep(VmmHost *host, int fd, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_hash_table_insert(host->fds, g_strdup_vprintf(format, ap), GINT_TO_POINTER(fd));
    va_end(ap);
}

/* Listening sockets and vhost-vsock are where both back ends have them: by alias. */
int vmm_host_fd(gpointer opaque, const char *purpose)
{
    VmmHost *host = opaque;
    gpointer fd;

    if (g_hash_table_lookup_extended(host->fds, purpose, NULL, &fd))
        return GPOINTER_TO_INT(fd);
    purpose = strchr(purpose, ':');
    if (purpose != NULL && host->base != NULL &&
        g_hash_table_lookup_extended(host->base->sockets, purpose + 1, NULL, &fd))
        return GPOINTER_TO_INT(fd);
    return -1;
}

/* --- the host itself --- */

int vmm_host_open_kvm(GError **error)
{
    autofd fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int version;

    if (fd < 0) {
        int errnum = errno;

        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                  "domain type 'kvm' needs /dev/kvm, which cannot be opened: %s (%s; or use type 'qemu')",
                  g_strerror(errnum),
                  errnum == EACCES || errnum == EPERM ? "become a member of the group that owns it"
                                                      : "load the module kvm_intel or kvm_amd");
        return -1;
    }
    version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "/dev/kvm does not answer as KVM does (version %d, not %d)",
                  version, KVM_API_VERSION);
        return -1;
    }
    return fd_steal(&fd);
}

static gboolean open_path(VmmHost *host, const char *what, const char *path, int flags, const char *purpose,
                          GError **error)
{
    struct stat st;
    int fd;

    /* Opening a pipe waits for whoever opens its other end. */
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Cannot open %s '%s': it is a pipe", what, path);
    fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "Cannot open %s '%s'", what, path);
    keep(host, fd, "%s", purpose);
    return TRUE;
}

static gboolean open_kernel(VmmHost *host, const DomainDef *live, GError **error)
{
    const OsDef *os = &live->os;

    return open_path(host, "kernel", os->kernel, O_RDONLY, "kernel", error) &&
           (os->initrd == NULL || open_path(host, "initrd", os->initrd, O_RDONLY, "initrd", error));
}

/* --- disks --- */

static int open_inet(const char *name, const char *service, gboolean bind_it, GError **error);

/* Names and ports as the definition has them. */
static int connect_nbd(const StorageSource *source, GError **error)
{
    const StorageHost *server = source->hosts != NULL && source->hosts->len > 0 ? source->hosts->pdata[0] : NULL;
    char port[12];
    int fd, on = 1;

    if (server == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "missing host for protocol 'nbd' of disk source");
        return -1;
    }
    if (server->transport == STORAGE_TRANSPORT_UNIX) {
        fd = unix_socket_connect(server->socket ? server->socket : "");
        if (fd < 0)
            error_set_errno(error, errno, "cannot connect to the socket '%s'", server->socket ? server->socket : "");
        return fd;
    }
    g_snprintf(port, sizeof(port), "%u", server->port ? server->port : storage_protocol_default_port(source->protocol));
    fd = open_inet(server->name, port, FALSE, error);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return fd;
}

static gboolean open_nbd(VmmHost *host, const DiskDef *disk, GError **error)
{
    int fd = connect_nbd(disk->source, error);

    if (fd < 0) {
        g_prefix_error(error, "disk '%s': ", disk->target);
        return FALSE;
    }
    keep(host, fd, "nbd:%u", disk->source->index);
    return TRUE;
}

static gboolean open_served(VmmHost *host, const DiskDef *disk, GError **error)
{
    gint64 uid, gid;
    StorageServer *server;

    vmm_host_ids(host->real, host->run_dir, &uid, &gid);
    server = storage_server_start(&host->config, disk, host->run_dir, host->log_path, uid, gid, error);
    if (server == NULL)
        return FALSE;
    g_ptr_array_add(host->servers, server);
    keep(host, fcntl(server->nbd, F_DUPFD_CLOEXEC, 3), "nbd:%u", disk->source->index);
    keep(host, fd_steal(&server->life), "life:%u", disk->source->index);
    return TRUE;
}

/* They open their images side by side. */
static gboolean await_servers(const VmmHost *host, GError **error)
{
    for (guint i = 0; i < host->servers->len; i++) {
        if (!storage_server_ready(host->servers->pdata[i], error))
            return FALSE;
    }
    return TRUE;
}

static gboolean open_disk(VmmHost *host, const DiskDef *disk, GError **error)
{
    gboolean write = !disk->readonly && disk->device != DISK_DEVICE_CDROM;
    StorageWay way;

    if (storage_source_is_empty(disk->source))
        return TRUE;
    way = storage_way(disk);
    if (way != STORAGE_DIRECT)
        return way == STORAGE_NBD ? open_nbd(host, disk, error) : open_served(host, disk, error);
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        g_autofree char *purpose = g_strdup_printf("image:%u", s->index);

        if (!open_path(host, "storage file", s->path, write ? O_RDWR : O_RDONLY, purpose, error))
            return FALSE;
        write = FALSE;
    }
    return TRUE;
}

static gboolean open_images(VmmHost *host, const DomainDef *live, GError **error)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (!open_disk(host, disk, error))
            return FALSE;
    }
    return TRUE;
}

/* --- character devices --- */

static int open_pty(ChrSource *source, GError **error)
{
    autofd fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;
    struct termios mode;
    char name[64];

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, sizeof(name)) != 0 ||
        (slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        error_set_errno(error, errno, "cannot make a pty");
        return -1;
    }
    if (tcgetattr(fd, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(fd, TCSANOW, &mode);
    }
    /* A master knows that nobody reads (POLLHUP, and then drops what it is given) only after its slave was open once:
     * else a console without a reader fills up and stands still. */
    fd_clear(&slave);
    g_free(source->path);
    source->path = g_strdup(name);
    return fd_steal(&fd);
}

/* Does not wait for a peer longer than CONNECT_TIMEOUT_MS. FALSE with errno. */
static gboolean connect_tcp(int fd, const struct addrinfo *address)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    int errnum = 0;
    socklen_t size = sizeof(errnum);

    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return TRUE;
    if (errno != EINPROGRESS)
        return FALSE;
    if (poll(&pfd, 1, CONNECT_TIMEOUT_MS) <= 0)
        errnum = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    errno = errnum;
    return errnum == 0;
}

static int open_inet(const char *name, const char *service, gboolean bind_it, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = bind_it ? AI_PASSIVE : 0}, *list = NULL;
    int r = getaddrinfo(name, service, &hints, &list), errnum = 0;
    autofd fd = -1;

    if (r != 0) {
        error_set(error, VIR_ERR_SYSTEM_ERROR, "address %s:%s: %s", name ? name : "", service ? service : "",
                  gai_strerror(r));
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        int on = 1;

        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && bind_it)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (fd >= 0 && (bind_it ? bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1) == 0
                                : connect_tcp(fd, a)))
            break;
        errnum = errno;
        fd_clear(&fd);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        error_set_errno(error, errnum, "cannot %s %s:%s", bind_it ? "listen on" : "connect to",
                        name ? name : "", service ? service : "");
        return -1;
    }
    return fd_steal(&fd);
}

static int open_source(ChrSource *source, GError **error)
{
    int fd = -1;

    switch (source->type) {
    case CHR_TYPE_PTY:
        return open_pty(source, error);
    case CHR_TYPE_FILE:
        fd = open(source->path,
                  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (source->append == TRISTATE_NO ? O_TRUNC : O_APPEND),
                  0600);
        if (fd < 0)
            error_set_errno(error, errno, "Cannot open the output file '%s'", source->path);
        return fd;
    case CHR_TYPE_UNIX:
        fd = unix_socket_connect(source->path);
        if (fd < 0)
            error_set_errno(error, errno, "cannot connect to the socket '%s'", source->path);
        return fd;
    default:
        return open_inet(source->host, source->service, source->mode == CHR_MODE_BIND, error);
    }
}

static gboolean open_chr(VmmHost *host, ChrDef *chr, GError **error)
{
    ChrSource *source = &chr->source;
    gboolean listening = source->type == CHR_TYPE_UNIX && source->mode == CHR_MODE_BIND; /* qemu_host.c has it */

    if (source->type != CHR_TYPE_NULL && !listening) {
        int fd = open_source(source, error);

        if (fd < 0) {
            g_prefix_error(error, "<%s> %s: ", device_kind_to_string(chr->info.kind), chr->info.alias);
            return FALSE;
        }
        keep(host, fd, "chr:%s", chr->info.alias);
    }
    if (source->log_file != NULL) {
        int fd = open(source->log_file,
                      O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY |
                          (source->log_append == TRISTATE_NO ? O_TRUNC : O_APPEND),
                      0600);

        if (fd < 0)
            return error_set_errno(error, errno, "Cannot open the log '%s' of <%s> %s", source->log_file,
                                   device_kind_to_string(chr->info.kind), chr->info.alias);
        keep(host, fd, "log:%s", chr->info.alias);
    }
    return TRUE;
}

static gboolean open_chrs(VmmHost *host, DomainDef *live, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_SERIAL, DEVICE_CONSOLE, DEVICE_CHANNEL};

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, live, kinds[i])
        {
            if (kinds[i] == DEVICE_CONSOLE && chr_is_serial_console(chr))
                continue;
            if (!open_chr(host, chr, error))
                return FALSE;
        }
    }
    return TRUE;
}

/* --- all of it --- */

static VmmHost *host_new(const BackendConfig *config, const char *run_dir, const char *log_path)
{
    VmmHost *host = g_new0(VmmHost, 1);

    host->real = config;
    host->config = *config;
    host->config.user = (uid_t)-1;
    host->config.group = (gid_t)-1;
    host->run_dir = run_dir;
    host->log_path = log_path;
    host->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_value);
    host->servers = g_ptr_array_new_with_free_func((GDestroyNotify)storage_server_free);
    return host;
}

void vmm_host_ids(const BackendConfig *config, const char *run_dir, gint64 *ret_uid, gint64 *ret_gid)
{
    guint id;

    *ret_uid = config->privileged && config->user != (uid_t)-1 ? (gint64)config->user : -1;
    *ret_gid = config->privileged && config->group != (gid_t)-1 ? (gint64)config->group : -1;
    if (config->privileged && *ret_uid < 0 && config->ids != NULL && id_table_take(config->ids, run_dir, &id)) {
        *ret_uid = id;
        *ret_gid = *ret_gid < 0 ? id : *ret_gid;
    }
}

VmmHost *vmm_host_prepare(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                          GError **error)
{
    g_autoptr(VmmHost) host = host_new(config, options->run_dir, options->log_path);
    g_autofree char *stats = backend_run_path(options->run_dir, "stats");
    int kvm;

    kvm = vmm_host_open_kvm(error);
    if (kvm < 0)
        return NULL;
    keep(host, kvm, "kvm");
    host->base = qemu_host_prepare(&host->config, live, options, error);
    if (host->base == NULL || !vmm_chain_check(live, error))
        return NULL;
    qemu_args_prepare(live);
    if (!open_path(host, "the statistics page", stats, O_RDWR | O_CREAT | O_TRUNC, "stats", error) ||
        !open_kernel(host, live, error) || !open_images(host, live, error) || !open_chrs(host, live, error) ||
        !await_servers(host, error))
        return NULL;
    return g_steal_pointer(&host);
}

VmmHost *vmm_host_prepare_device(const BackendConfig *config, const VmProcess *vm, DomainDef *live, DeviceInfo *dev,
                                 GError **error)
{
    g_autoptr(VmmHost) host = host_new(config, vm_process_run_dir(vm), vm_process_log_path(vm));
    gboolean ok = TRUE;

    host->base = qemu_host_prepare_device(&host->config, live, dev, host->run_dir, error);
    if (host->base == NULL)
        return NULL;
    if (dev->kind == DEVICE_DISK) {
        DiskDef *disk = (DiskDef *)dev;

        disk_chain_number(live, disk->source);
        ok = vmm_chain_check_disk(disk, error) && open_disk(host, disk, error) && await_servers(host, error);
    } else if (dev->kind == DEVICE_CHANNEL || dev->kind == DEVICE_CONSOLE) {
        ok = open_chr(host, (ChrDef *)dev, error);
    }
    return ok ? g_steal_pointer(&host) : NULL;
}

VmmHost *vmm_host_prepare_medium(const BackendConfig *config, const VmProcess *vm, const DiskDef *disk, GError **error)
{
    g_autoptr(VmmHost) host = host_new(config, vm_process_run_dir(vm), vm_process_log_path(vm));

    return vmm_chain_check_disk(disk, error) && open_disk(host, disk, error) && await_servers(host, error)
               ? g_steal_pointer(&host) : NULL;
}
