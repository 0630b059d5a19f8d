/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-storage-daemon beside kite-vmm: see storage_daemon.h. */
#include "driver/backend/storage_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/slow_file.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/unix_socket.h"

enum {
    READY_MS = 30000, /* an image on the network may take its time */
    END_MS = 1000, /* after that it is killed */
};

#define EXPORT "disk" /* each has one */

static GMutex lock;
static char *given_path;

/* --- which way --- */

static gboolean is_raw(StorageFormat format)
{
    return format == STORAGE_FORMAT_NONE || format == STORAGE_FORMAT_RAW || format == STORAGE_FORMAT_ISO;
}

static gboolean has_backing(const StorageSource *source)
{
    return source->backing != NULL && source->backing->type != STORAGE_TYPE_NONE;
}

static gboolean is_plain_nbd(const StorageSource *source)
{
    return source->type == STORAGE_TYPE_NETWORK && source->protocol == STORAGE_PROTOCOL_NBD && is_raw(source->format) &&
           !has_backing(source) && source->tls != TRISTATE_YES && !source->has_slice;
}

StorageWay storage_way(const DiskDef *disk)
{
    if (disk->copy_on_read == TRISTATE_YES)
        return STORAGE_DAEMON;
    if (is_plain_nbd(disk->source))
        return STORAGE_NBD;
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        if ((s->type != STORAGE_TYPE_FILE && s->type != STORAGE_TYPE_BLOCK) ||
            (!is_raw(s->format) && s->format != STORAGE_FORMAT_QCOW2) || s->has_slice)
            return STORAGE_DAEMON;
    }
    return STORAGE_DIRECT;
}

void storage_daemon_set_path(const char *path)
{
    g_mutex_lock(&lock);
    g_free(given_path);
    given_path = g_strdup(path);
    g_mutex_unlock(&lock);
}

char *storage_daemon_path(void)
{
    char *path;

    g_mutex_lock(&lock);
    path = g_strdup(given_path);
    g_mutex_unlock(&lock);
    if (path == NULL)
        return g_find_program_in_path("qemu-storage-daemon");
    if (path[0] == '\0')
        g_clear_pointer(&path, g_free);
    return path;
}

/* --- what it is shown --- */

static void show(GPtrArray *argv, const char *path, gboolean write)
{
    g_ptr_array_add(argv, g_strdup(write ? "--write" : "--read"));
    g_ptr_array_add(argv, g_strdup(path));
}

/* A VMDK image may be a text that names other files, beside it as a rule. */
static gboolean names_other_files(const StorageSource *source)
{
    static const char text[] = "# Disk DescriptorFile";
    char head[sizeof(text) - 1];
    autofd fd = source->format == STORAGE_FORMAT_VMDK ? slow_file_open_data(source->path, O_RDONLY, NULL, 0) : -1;

    return fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && memcmp(head, text, sizeof(head)) == 0;
}

static void show_image(GPtrArray *argv, const StorageSource *source, gboolean write)
{
    const StorageHost *host = source->hosts != NULL && source->hosts->len > 0 ? source->hosts->pdata[0] : NULL;
    g_autofree char *folder = NULL;

    if (source->type == STORAGE_TYPE_NETWORK) {
        if (host != NULL && host->transport == STORAGE_TRANSPORT_UNIX && host->socket != NULL)
            show(argv, host->socket, TRUE);
        if (source->config_file != NULL)
            show(argv, source->config_file, FALSE);
    } else if (names_other_files(source)) {
        folder = g_path_get_dirname(source->path);
        show(argv, folder, write);
    } else {
        show(argv, source->path, write);
    }
}

static void show_network(GPtrArray *argv)
{
    static const char *const files[] = {"/etc/resolv.conf",  "/etc/hosts",    "/etc/host.conf", "/etc/nsswitch.conf",
                                        "/etc/services",     "/etc/protocols", "/etc/gai.conf", "/etc/ssl/certs",
                                        "/etc/ssl/openssl.cnf", "/etc/ceph"};

    g_ptr_array_add(argv, g_strdup("--network"));
    g_ptr_array_add(argv, g_strdup("host"));
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        if (access(files[i], F_OK) == 0)
            show(argv, files[i], FALSE);
    }
}

static void add_confinement(GPtrArray *argv, const DiskDef *disk, const char *run_dir, gboolean writable, int life,
                            gint64 uid, gint64 gid)
{
    gboolean network = FALSE, write = writable;

    g_ptr_array_add(argv, g_strdup("--life"));
    g_ptr_array_add(argv, g_strdup_printf("%d", life));
    if (uid >= 0) {
        g_ptr_array_add(argv, g_strdup("--user"));
        g_ptr_array_add(argv, g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT, uid, gid >= 0 ? gid : uid));
    }
    g_ptr_array_add(argv, g_strdup("--root"));
    g_ptr_array_add(argv, g_strdup(run_dir));
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        show_image(argv, s, write);
        network = network || s->type == STORAGE_TYPE_NETWORK;
        write = FALSE;
    }
    if (network)
        show_network(argv);
}

/* --- its command line --- */

static gboolean add_command(GPtrArray *argv, const DiskDef *disk, int listener, gboolean writable, GError **error)
{
    g_autofree char *path = storage_daemon_path();
    g_autofree char *node = qemu_disk_node_name(disk);
    g_autoptr(GPtrArray) nodes = qemu_disk_nodes(disk, error);

    if (nodes == NULL)
        return FALSE;
    if (path == NULL) /* vmm_chain.c looked, and says more */
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s': qemu-storage-daemon is gone", disk->target);
    g_ptr_array_add(argv, g_strdup("--"));
    g_ptr_array_add(argv, g_steal_pointer(&path));
    for (guint i = 0; i < nodes->len; i++) {
        char *text = json_dumps(nodes->pdata[i], JSON_COMPACT);

        g_ptr_array_add(argv, g_strdup("--blockdev"));
        g_ptr_array_add(argv, g_strdup(text));
        free(text);
    }
    g_ptr_array_add(argv, g_strdup("--nbd-server"));
    g_ptr_array_add(argv, g_strdup_printf("addr.type=fd,addr.str=%d", listener));
    g_ptr_array_add(argv, g_strdup("--export"));
    g_ptr_array_add(argv, g_strdup_printf("type=nbd,id=" EXPORT ",node-name=%s,name=" EXPORT ",writable=%s", node,
                                          writable ? "on" : "off"));
    g_ptr_array_add(argv, NULL);
    return TRUE;
}

/* The installed one, or that of the build folder the daemon runs from. Caller frees. */
static char *find_confine(void)
{
    static const char installed[] = KITE_LIBEXECDIR "/kite-confine";
    g_autofree char *own = NULL;
    g_autofree char *folder = NULL;
    g_autofree char *beside = NULL;

    if (access(installed, X_OK) == 0)
        return g_strdup(installed);
    own = g_file_read_link("/proc/self/exe", NULL);
    folder = own != NULL ? g_path_get_dirname(own) : g_strdup("");
    beside = g_build_filename(folder, "kite-confine", NULL);
    return access(beside, X_OK) == 0 ? g_steal_pointer(&beside) : g_strdup(installed);
}

/* --- starting --- */

/* Both ends of what will be their connection: the server accepts it when it comes so far. Nobody else finds it. */
static gboolean make_sockets(const char *run_dir, guint index, int *ret_listener, int *ret_client, GError **error)
{
    g_autofree char *name = g_strdup_printf("storage-%u.sock", index);
    g_autofree char *path = g_build_filename(run_dir, name, NULL);
    autofd listener = unix_socket_listen(path, 0600, (uid_t)-1, (gid_t)-1, error);

    if (listener < 0)
        return FALSE;
    *ret_client = unix_socket_connect(path);
    unlink(path);
    if (*ret_client < 0)
        return error_set_errno(error, errno, "cannot connect to the socket '%s'", path);
    *ret_listener = fd_steal(&listener);
    return TRUE;
}

/* Before anything can go wrong with us: the next daemon must know of it. */
static gboolean write_pid(StorageServer *server, const char *run_dir, guint index, GError **error)
{
    g_autofree char *name = g_strdup_printf("storage-%u.pid", index);
    g_autofree char *text = NULL;
    guint64 start = 0;

    server->pid_path = g_build_filename(run_dir, name, NULL);
    process_start_time(server->helper->pid, &start); /* a zombie has none, and nobody will look for it */
    text = g_strdup_printf("%d %" G_GUINT64_FORMAT "\n", (int)server->helper->pid, start);
    return atomic_file_write(server->pid_path, text, strlen(text), 0600, error);
}

StorageServer *storage_server_start(const BackendConfig *config, const DiskDef *disk, const char *run_dir,
                                    const char *log_path, gint64 uid, gint64 gid, GError **error)
{
    gboolean writable = !disk->readonly && disk->device != DISK_DEVICE_CDROM;
    guint index = disk->source->index;
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *log = helper_log_path(log_path, disk->info.alias, "storage");
    autofd listener = -1, client = -1, life = -1, ours = -1;
    StorageServer *server;
    int pipe_ends[2];

    if (!make_sockets(run_dir, index, &listener, &client, error))
        return NULL;
    if (pipe2(pipe_ends, O_CLOEXEC) < 0) {
        error_set_errno(error, errno, "cannot make a pipe");
        return NULL;
    }
    life = pipe_ends[0];
    ours = pipe_ends[1];
    g_ptr_array_add(argv, find_confine());
    add_confinement(argv, disk, run_dir, writable, life, uid, gid);
    if (!add_command(argv, disk, listener, writable, error))
        return NULL;
    unlink(log); /* its last words are to be its own */
    server = g_new0(StorageServer, 1);
    server->nbd = fd_steal(&client);
    server->life = fd_steal(&ours);
    server->target = g_strdup(disk->target);
    server->helper = helper_start_with(config, "qemu-storage-daemon, a disk of the domain", argv,
                                       (const int[]){listener, life}, 2, log, run_dir, FALSE, error);
    if (server->helper == NULL || !write_pid(server, run_dir, index, error)) {
        if (server->helper != NULL)
            storage_server_end(server);
        storage_server_free(server);
        return NULL;
    }
    return server;
}

/* What stands behind its option, which is long and in the log already; QEMU's hints are lines of their own. Caller frees. */
static char *last_words(const StorageServer *server)
{
    g_autofree char *text = NULL;
    const char *said, *at;
    char *words;

    if (!g_file_get_contents(server->helper->log_path, &text, NULL, NULL) || !g_utf8_validate(text, -1, NULL))
        return g_strdup("it said nothing");
    g_strchomp(text);
    said = g_strrstr(text, "qemu-storage-daemon: ");
    at = said != NULL ? g_strrstr(said, "}: ") : NULL;
    words = g_strdup(at != NULL     ? at + strlen("}: ")
                     : said != NULL ? said + strlen("qemu-storage-daemon: ")
                     : text[0]      ? text
                                    : "it said nothing");
    return g_strdelimit(words, "\n", ' ');
}

gboolean storage_server_ready(const StorageServer *server, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + READY_MS * G_GINT64_CONSTANT(1000), left;
    struct pollfd fds[2] = {{.fd = server->nbd, .events = POLLIN}, {.fd = server->helper->pidfd, .events = POLLIN}};
    g_autofree char *words = NULL;

    while ((left = deadline - g_get_monotonic_time()) > 0 && poll(fds, 2, (int)(left / 1000) + 1) <= 0)
        continue;
    if ((fds[0].revents & POLLIN) != 0 && (fds[0].revents & POLLHUP) == 0)
        return TRUE;
    if (left <= 0)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "disk '%s': qemu-storage-daemon has not opened the image within %d s; see '%s'", server->target,
                         READY_MS / 1000, server->helper->log_path);
    poll(&fds[1], 1, END_MS); /* it hung up: its words are said when it has ended */
    words = last_words(server);
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk '%s': qemu-storage-daemon cannot open the image: %s",
                     server->target, words);
}

void storage_server_free(StorageServer *server)
{
    if (server == NULL)
        return;
    fd_clear(&server->nbd);
    fd_clear(&server->life);
    helper_free(server->helper);
    g_free(server->pid_path);
    g_free(server->target);
    g_free(server);
}

/* --- the end --- */

/* pidfd: of a process that is ending. */
static void await_end(int pidfd, int pid)
{
    struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

    if (poll(&pfd, 1, END_MS) != 0)
        return;
    log_warning("qemu-storage-daemon (pid %d) does not end: it is killed", pid);
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    poll(&pfd, 1, END_MS);
}

void storage_server_end(const StorageServer *server)
{
    helper_end(server->helper);
    await_end(server->helper->pidfd, (int)server->helper->pid);
    if (server->pid_path != NULL)
        unlink(server->pid_path);
}

/* The process that a storage-N.pid means, while it lives. -1: it has ended. */
static int open_process(const char *path, pid_t *ret_pid)
{
    g_autofree char *text = NULL;
    guint64 start;
    autofd fd = -1;
    int pid;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        sscanf(text, "%d %" G_GUINT64_FORMAT, &pid, &start) != 2 || pid <= 1)
        return -1;
    fd = pidfd_open(pid, 0);
    /* In this order: what the descriptor means is certain only when the start time is right afterwards. */
    if (fd < 0 || !process_is(pid, start))
        return -1;
    *ret_pid = pid;
    return fd_steal(&fd);
}

static gboolean is_pid_file(const char *name)
{
    return g_str_has_prefix(name, "storage-") && g_str_has_suffix(name, ".pid");
}

GArray *storage_servers_of(const char *run_dir)
{
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    GDir *dir = g_dir_open(run_dir, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(run_dir, name, NULL);
        pid_t pid;
        autofd fd = is_pid_file(name) ? open_process(path, &pid) : -1;

        if (fd >= 0)
            g_array_append_val(pids, pid);
    }
    if (dir != NULL)
        g_dir_close(dir);
    return pids;
}

void storage_servers_gone(const char *run_dir, const StorageSource *medium)
{
    g_autofree char *only = medium != NULL ? g_strdup_printf("storage-%u.pid", medium->index) : NULL;
    GDir *dir = g_dir_open(run_dir, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(run_dir, name, NULL);
        pid_t pid = 0;
        autofd fd = -1;

        if (!is_pid_file(name) || (only != NULL && strcmp(name, only) != 0))
            continue;
        fd = open_process(path, &pid);
        if (fd >= 0)
            await_end(fd, (int)pid);
        unlink(path);
    }
    if (dir != NULL)
        g_dir_close(dir);
}
