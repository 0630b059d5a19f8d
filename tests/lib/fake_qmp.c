/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scripted QMP peer. */
#include "fake_qmp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/backend/qmp_framer.h"

static const char greeting[] =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
    "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}";

struct FakeQmp {
    char *script;
    int fd;
    GThread *thread;
    GPtrArray *commands;
    QmpFramer framer;
    char *id;
    gint fds;
    char *complaint;
};

static void send_bytes(FakeQmp *fake, const char *data, gsize length)
{
    while (length > 0) {
        ssize_t n = send(fake->fd, data, length, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        data += n;
        length -= (gsize)n;
    }
}

static void send_line(FakeQmp *fake, const char *text, gboolean newline)
{
    g_autofree char *copy = NULL;
    const char *mark = strstr(text, "$ID");

    if (mark != NULL)
        copy = g_strdup_printf("%.*s%s%s", (int)(mark - text), text, fake->id ? fake->id : "", mark + 3);
    send_bytes(fake, copy ? copy : text, strlen(copy ? copy : text));
    if (newline)
        send_bytes(fake, "\r\n", 2);
}

/* One command; FALSE at the end of the stream. */
static gboolean read_command(FakeQmp *fake, const char *wanted)
{
    const char *why;
    char *text;
    gsize length;
    json_t *command;
    char *error = NULL;

    while (qmp_framer_next(&fake->framer, &text, &length, &why) == 0) {
        char chunk[4096], control[256];
        struct iovec iov = {chunk, sizeof(chunk)};
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fake->fd, &msg, MSG_CMSG_CLOEXEC);

        if (n <= 0)
            return FALSE;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
            guint count = (guint)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

            for (guint i = 0; i < count; i++)
                close(((int *)(void *)CMSG_DATA(c))[i]);
            g_atomic_int_add(&fake->fds, (gint)count);
        }
        qmp_framer_feed(&fake->framer, chunk, (gsize)n);
    }
    command = qmp_parse_object(text, length, &error);
    g_free(text);
    g_assert_nonnull(command);
    g_ptr_array_add(fake->commands, command);
    g_free(fake->id);
    fake->id = g_strdup(json_string_value(json_object_get(command, "id")));
    if (wanted != NULL && strcmp(wanted, "*") != 0 && fake->complaint == NULL &&
        g_strcmp0(json_string_value(json_object_get(command, "execute")), wanted) != 0)
        fake->complaint = g_strdup_printf("expected the command '%s', not '%s'", wanted,
                                          json_string_value(json_object_get(command, "execute")));
    return TRUE;
}

static void answer(FakeQmp *fake)
{
    if (read_command(fake, NULL))
        send_line(fake, "{\"return\": {}, \"id\": \"$ID\"}", TRUE);
}

static void send_hex(FakeQmp *fake, const char *hex)
{
    for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};
        char byte = (char)strtoul(pair, NULL, 16);

        send_bytes(fake, &byte, 1);
    }
}

static void step(FakeQmp *fake, const char *line)
{
    if (line[0] == '\0' || line[0] == '#')
        return;
    if (g_str_has_prefix(line, "S: ")) {
        send_line(fake, line + 3, TRUE);
    } else if (g_str_has_prefix(line, "S+ ")) {
        send_line(fake, line + 3, FALSE);
    } else if (g_str_has_prefix(line, "C: ")) {
        read_command(fake, line + 3);
    } else if (strcmp(line, "G") == 0) {
        send_line(fake, greeting, TRUE);
        answer(fake);
    } else if (strcmp(line, "R") == 0) {
        answer(fake);
    } else if (g_str_has_prefix(line, "FLOOD ")) {
        for (int i = atoi(line + 6); i > 0; i--)
            send_line(
                fake,
                "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"FLOOD\", \"data\": {}}",
                TRUE);
    } else if (g_str_has_prefix(line, "RAW ")) {
        send_hex(fake, line + 4);
    } else if (strcmp(line, "EOF") == 0) {
        shutdown(fake->fd, SHUT_RDWR);
    } else if (strcmp(line, "HANG") == 0) {
        char sink[4096];

        while (recv(fake->fd, sink, sizeof(sink), 0) > 0)
            ;
    } else {
        g_error("fake_qmp: '%s' is no step", line);
    }
}

static gpointer fake_main(gpointer data)
{
    FakeQmp *fake = data;
    g_auto(GStrv) lines = g_strsplit(fake->script, "\n", -1);

    for (char **line = lines; *line != NULL; line++)
        step(fake, *line);
    shutdown(fake->fd, SHUT_RDWR);
    return NULL;
}

FakeQmp *fake_qmp_start(const char *script, int *ret_fd)
{
    FakeQmp *fake = g_new0(FakeQmp, 1);
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    fake->script = g_strdup(script);
    fake->fd = pair[0];
    fake->commands = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    qmp_framer_init(&fake->framer, 1 << 20, 64);
    *ret_fd = pair[1];
    fake->thread = g_thread_new("fake-qmp", fake_main, fake);
    return fake;
}

guint fake_qmp_fds(FakeQmp *fake)
{
    return (guint)g_atomic_int_get(&fake->fds);
}

GPtrArray *fake_qmp_finish(FakeQmp *fake)
{
    GPtrArray *commands;

    g_thread_join(fake->thread);
    if (fake->complaint != NULL)
        g_error("fake_qmp: %s", fake->complaint);
    commands = fake->commands;
    close(fake->fd);
    qmp_framer_clear(&fake->framer);
    g_free(fake->id);
    g_free(fake->script);
    g_free(fake);
    return commands;
}
