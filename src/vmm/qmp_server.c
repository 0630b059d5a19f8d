/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP sessions. Input is cut into JSON objects by counting braces outside of strings; each is parsed on its
 * own, so that rubbish costs an error reply and not the session. Output that the peer does not take is queued
 * up to a limit; a peer that stays behind loses its connection, never the VM's time.
 *
 * #syscalls accept4 recvmsg sendto sendmsg close fcntl dup
 */
#include "vmm/qmp_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "config.h"
#include "vmm/log.h"
#include "vmm/qmp_commands.h"

#define INPUT_MAX (1u << 20)
#define OUTPUT_MAX (16u << 20)
#define DEPTH_MAX 64
#define FDS_MAX 64

typedef struct PassedFd {
    char name[64]; /* "/dev/fdset/N" for add-fd */
    int fd;
} PassedFd;

struct QmpServer {
    Machine *machine;
    int listen_fd, fd;
    LoopWatch listen_watch, watch;
    LoopPost again; /* reads on */
    bool held; /* until then */
    bool negotiated;
    char *in;
    size_t in_len, in_size, scanned;
    unsigned depth;
    bool in_string, escaped;
    char *out;
    size_t out_len, out_size;
    PassedFd fds[FDS_MAX];
    int arrived[16]; /* descriptors that came and no command took yet */
    unsigned arrived_count;
    int64_t next_fdset;
};

/* --- output
 * --------------------------------------------------------------------------------------------------- */

static void disconnect(QmpServer *s);

static void flush(QmpServer *s)
{
    while (s->out_len > 0 && s->fd >= 0) {
        ssize_t n = send(s->fd, s->out, s->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        s->out_len -= (size_t)n;
        memmove(s->out, s->out + n, s->out_len);
    }
    if (s->watch.active)
        (void)loop_watch_events(&s->watch, (s->held ? 0 : EPOLLIN) | (s->out_len > 0 ? EPOLLOUT : 0));
}

static void read_again(void *opaque)
{
    QmpServer *s = opaque;

    s->held = false;
    flush(s);
}

static void send_json(QmpServer *s, json_t *message)
{
    char *text = s->fd >= 0 && message ? json_dumps(message, JSON_COMPACT) : NULL;
    size_t len = text ? strlen(text) : 0;

    json_decref(message);
    if (text == NULL)
        return;
    if (s->out_len + len + 2 > OUTPUT_MAX) {
        log_error("QMP: the peer does not read; connection closed");
        free(text);
        disconnect(s);
        return;
    }
    if (s->out_len + len + 2 > s->out_size) {
        size_t size = (s->out_len + len + 2) * 2;
        char *grown = realloc(s->out, size);

        if (grown == NULL) {
            free(text);
            return;
        }
        s->out = grown;
        s->out_size = size;
    }
    memcpy(s->out + s->out_len, text, len);
    memcpy(s->out + s->out_len + len, "\r\n", 2);
    s->out_len += len + 2;
    free(text);
    flush(s);
}

static void send_error(QmpServer *s, json_t *id, const char *class_name, const char *text)
{
    json_t *reply = json_pack("{s:{s:s, s:s}}", "error", "class", class_name, "desc", text);

    if (id != NULL)
        json_object_set(reply, "id", id);
    send_json(s, reply);
}

void qmp_server_event(QmpServer *s, const char *name, json_t *data)
{
    struct timespec now;
    json_t *event;

    if (s->fd < 0 || !s->negotiated) {
        json_decref(data);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec, "microseconds",
                      (json_int_t)(now.tv_nsec / 1000), "event", name);
    if (data != NULL)
        json_object_set_new(event, "data", data);
    send_json(s, event);
}

/* --- descriptors
 * ---------------------------------------------------------------------------------------------- */

static PassedFd *find_fd(QmpServer *s, const char *name)
{
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (s->fds[i].name[0] != '\0' && strcmp(s->fds[i].name, name) == 0)
            return &s->fds[i];
    }
    return NULL;
}

static int take_arrived(QmpServer *s, Err *err)
{
    int fd;

    if (s->arrived_count == 0)
        return err_set(err, EINVAL, "No file descriptor supplied via SCM_RIGHTS");
    fd = s->arrived[0];
    memmove(s->arrived, s->arrived + 1, --s->arrived_count * sizeof s->arrived[0]);
    return fd;
}

static int store_fd(QmpServer *s, const char *name, int fd, Err *err)
{
    PassedFd *place = find_fd(s, name);

    if (place != NULL)
        close(place->fd);
    for (unsigned i = 0; i < FDS_MAX && place == NULL; i++) {
        if (s->fds[i].name[0] == '\0')
            place = &s->fds[i];
    }
    if (place == NULL) {
        close(fd);
        return err_set(err, EMFILE, "more than %d descriptors are kept", FDS_MAX);
    }
    snprintf(place->name, sizeof place->name, "%s", name);
    place->fd = fd;
    return 0;
}

int qmp_server_keep_fd(QmpServer *s, const char *name, Err *err)
{
    int fd = take_arrived(s, err);

    if (fd < 0)
        return fd;
    if (name[0] == '\0' || (name[0] >= '0' && name[0] <= '9') || strlen(name) >= sizeof s->fds[0].name) {
        close(fd);
        return err_set(err, EINVAL, "Parameter 'fdname' expects a name not starting with a digit");
    }
    return store_fd(s, name, fd, err);
}

int qmp_server_close_fd(QmpServer *s, const char *name, Err *err)
{
    PassedFd *p = find_fd(s, name);

    if (p == NULL)
        return err_set(err, ENOENT, "File descriptor named '%s' not found", name);
    close(p->fd);
    p->name[0] = '\0';
    return 0;
}

int qmp_server_add_fd(QmpServer *s, int64_t fdset, int64_t *ret_fdset, int *ret_fd, Err *err)
{
    int fd = take_arrived(s, err);
    char name[64];

    if (fd < 0)
        return fd;
    if (fdset < 0)
        fdset = s->next_fdset;
    s->next_fdset = MAX(s->next_fdset, fdset + 1);
    snprintf(name, sizeof name, "/dev/fdset/%lld", (long long)fdset);
    *ret_fdset = fdset;
    *ret_fd = fd;
    return store_fd(s, name, fd, err);
}

int qmp_server_remove_fd(QmpServer *s, int64_t fdset, Err *err)
{
    char name[64];

    snprintf(name, sizeof name, "/dev/fdset/%lld", (long long)fdset);
    if (find_fd(s, name) == NULL)
        return err_set(err, ENOENT, "File descriptor named 'fdset-id:%lld' not found", (long long)fdset);
    return qmp_server_close_fd(s, name, err);
}

int qmp_server_take_fd(QmpServer *s, const char *name)
{
    PassedFd *p = find_fd(s, name);
    int fd;

    if (p == NULL)
        return -1;
    /* A set stays until remove-fd; a named descriptor is used up. */
    if (strncmp(name, "/dev/fdset/", 11) == 0)
        return fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
    fd = p->fd;
    p->name[0] = '\0';
    return fd;
}

/* --- commands
 * ------------------------------------------------------------------------------------------------- */

static void execute(QmpServer *s, json_t *request, json_t *id)
{
    const char *name = json_string_value(json_object_get(request, "execute"));
    json_t *args = json_object_get(request, "arguments"), *result = NULL, *reply;
    const QmpCommand *command = name ? qmp_command_find(name) : NULL;
    char text[160];
    Err err = {0};
    int r;

    if (name == NULL) {
        send_error(s, id, "GenericError", "QMP input lacks member 'execute'");
        return;
    }
    if (!s->negotiated && strcmp(name, "qmp_capabilities") != 0) {
        send_error(s, id, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
        return;
    }
    if (command == NULL) {
        snprintf(text, sizeof text, "The command %.100s has not been found", name);
        send_error(s, id, "CommandNotFound", text);
        return;
    }
    r = qmp_command_check(command, args, &err);
    if (r == 0)
        r = command->run(s, s->machine, args, &result, &err);
    if (r < 0) {
        json_decref(result);
        send_error(s, id, r == -ENODEV ? "DeviceNotFound" : r == -ENXIO ? "DeviceNotActive" : "GenericError", err.text);
        return;
    }
    if (strcmp(name, "qmp_capabilities") == 0)
        s->negotiated = true;
    reply = json_pack("{s:o}", "return", result ? result : json_object());
    if (id != NULL)
        json_object_set(reply, "id", id);
    send_json(s, reply);
}

static void handle_object(QmpServer *s, const char *text, size_t len)
{
    json_error_t where;
    json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);

    if (!json_is_object(request)) {
        char desc[240];

        snprintf(desc, sizeof desc, "Invalid JSON syntax%s%s", request ? "" : ": ",
                 request ? "" : where.text);
        send_error(s, NULL, "GenericError", desc);
    } else {
        execute(s, request, json_object_get(request, "id"));
    }
    json_decref(request);
}

/* Cuts complete objects off the input. */
static void parse_input(QmpServer *s)
{
    while (s->scanned < s->in_len && s->fd >= 0) {
        char c = s->in[s->scanned++];

        if (s->in_string) {
            if (s->escaped)
                s->escaped = false;
            else if (c == '\\')
                s->escaped = true;
            else if (c == '"')
                s->in_string = false;
        } else if (c == '"') {
            s->in_string = true;
        } else if (c == '{' || c == '[') {
            s->depth++;
        } else if ((c == '}' || c == ']') && s->depth > 0) {
            s->depth--;
        }
        if (s->depth > DEPTH_MAX) {
            send_error(s, NULL, "GenericError", "JSON nesting is too deep");
            disconnect(s);
            return;
        }
        if (s->depth == 0 && !s->in_string && (c == '}' || c == ']' || c == '\n')) {
            size_t len = s->scanned;
            size_t blank = strspn(s->in, " \t\r\n");

            if (blank < len) {
                char *copy = malloc(len);

                /* The handler may close the connection: nothing of the buffer is used after it but its
                 * length. */
                if (copy != NULL) {
                    memcpy(copy, s->in, len);
                    s->in_len -= len;
                    memmove(s->in, s->in + len, s->in_len + 1);
                    s->scanned = 0;
                    handle_object(s, copy, len);
                    free(copy);
                    continue;
                }
            }
            s->in_len -= len;
            memmove(s->in, s->in + len, s->in_len + 1);
            s->scanned = 0;
        }
    }
}

static void read_ready(void *opaque, uint32_t events)
{
    QmpServer *s = opaque;
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov;
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;

    if (events & EPOLLOUT)
        flush(s);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    /* One command after the other: this is a turn of the loop in which one waits for its requests to end. */
    if (loop_is_nested(machine_loop(s->machine))) {
        s->held = true;
        flush(s);
        loop_post(machine_loop(s->machine), &s->again);
        return;
    }
    if (s->in_size - s->in_len < 4096) {
        size_t size = s->in_size ? s->in_size * 2 : 8192;
        char *grown = size <= INPUT_MAX ? realloc(s->in, size) : NULL;

        if (grown == NULL) {
            log_error("QMP: a command is longer than %u bytes; connection closed", INPUT_MAX);
            disconnect(s);
            return;
        }
        s->in = grown;
        s->in_size = size;
    }
    iov.iov_base = s->in + s->in_len;
    iov.iov_len = s->in_size - s->in_len - 1;
    n = recvmsg(s->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        disconnect(s);
        return;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (s->arrived_count < ARRAY_LEN(s->arrived))
                s->arrived[s->arrived_count++] = fd;
            else
                close(fd);
        }
    }
    s->in_len += (size_t)n;
    s->in[s->in_len] = '\0';
    parse_input(s);
}

/* --- connections
 * ---------------------------------------------------------------------------------------------- */

static void connected(QmpServer *s, int fd)
{
    s->fd = fd;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    s->negotiated = false;
    s->in_len = s->scanned = s->out_len = 0;
    s->depth = 0;
    s->in_string = s->escaped = s->held = false;
    (void)loop_watch(machine_loop(s->machine), &s->watch, fd, EPOLLIN, read_ready, s);
    send_json(s, json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[]}}", "QMP", "version", "qemu", "major", 7,
                           "minor", 2, "micro", 0, "package", "kite-vmm " PACKAGE_VERSION, "capabilities"));
}

static void disconnect(QmpServer *s)
{
    if (s->fd < 0)
        return;
    loop_unwatch(&s->watch);
    close(s->fd);
    s->fd = -1;
    s->negotiated = false;
    for (unsigned i = 0; i < s->arrived_count; i++)
        close(s->arrived[i]);
    s->arrived_count = 0;
    if (s->listen_fd >= 0)
        (void)loop_watch_events(&s->listen_watch, EPOLLIN);
}

static void accept_ready(void *opaque, uint32_t events)
{
    QmpServer *s = opaque;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    (void)loop_watch_events(&s->listen_watch, 0); /* one session at a time */
    connected(s, fd);
}

int qmp_server_new(Machine *machine, int fd, QmpServer **ret, Err *err)
{
    QmpServer *s = calloc(1, sizeof *s);
    int listening = 0;
    socklen_t len = sizeof listening;

    if (s == NULL)
        return err_set(err, ENOMEM, "out of memory");
    s->machine = machine;
    s->fd = s->listen_fd = -1;
    s->again = (LoopPost){.run = read_again, .opaque = s, .outermost = true};
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0) {
        free(s);
        return err_set(err, errno, "the QMP descriptor %d is no socket: %s", fd, strerror(errno));
    }
    if (listening) {
        s->listen_fd = fd;
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        (void)loop_watch(machine_loop(machine), &s->listen_watch, fd, EPOLLIN, accept_ready, s);
    } else {
        connected(s, fd);
    }
    *ret = s;
    return 0;
}

void qmp_server_free(QmpServer *s)
{
    if (s == NULL)
        return;
    flush(s);
    disconnect(s);
    loop_post_cancel(machine_loop(s->machine), &s->again);
    loop_unwatch(&s->listen_watch);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (s->fds[i].name[0] != '\0')
            close(s->fds[i].fd);
    }
    free(s->in);
    free(s->out);
    free(s);
}
