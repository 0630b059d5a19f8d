/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest agent client. One caller at a time owns the conversation ("the turn"), and with it the socket; it
 * polls the socket and an eventfd by which others wake it (close, a note from the VM's events). The lock
 * guards the turn, the closed flag and the notes, and is never held across a system call that waits.
 *
 * Each command is preceded by guest-sync-delimited: we send 0xFF first, which makes the agent's parser forget
 * what a broken predecessor left, then drop everything up to the 0xFF before its reply. A stale reply of an
 * earlier conversation therefore cannot be taken for the answer to this one.
 */
#include "driver/backend/agent_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/json_util.h"
#include "driver/backend/qmp_framer.h"
#include "driver/backend/unix_socket.h"

enum {
    AGENT_WAIT_SECONDS = 5, /* default */
    AGENT_DEPTH_MAX = 64,
};

#define NOTE_ANY_RESTART ((1u << AGENT_NOTE_SHUTDOWN) | (1u << AGENT_NOTE_RESET))

struct AgentClient {
    gatomicrefcount refs;
    char *path; /* immutable */
    int wake; /* eventfd, immutable */

    GMutex lock;
    GCond turn_free;
    gboolean busy, closed;
    guint notes; /* 1 << AgentNote, since the turn was taken */
    int default_seconds;

    /* owned by whoever has the turn */
    int fd;
    guint64 next_sync;
    QmpFramer framer;
};

typedef enum { WAIT_REPLY, WAIT_NOTE, WAIT_FAILED } WaitResult;

AgentClient *agent_client_new(const char *socket_path)
{
    /* Microseconds since 1970: different from every earlier conversation with this guest, and exact as a
     * double. */
    return agent_client_new_seeded(socket_path, (guint64)g_get_real_time());
}

AgentClient *agent_client_new_seeded(const char *socket_path, guint64 first_sync)
{
    AgentClient *client = g_new0(AgentClient, 1);

    g_atomic_ref_count_init(&client->refs);
    client->path = g_strdup(socket_path);
    client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->fd = -1;
    client->default_seconds = AGENT_WAIT_SECONDS;
    client->next_sync = first_sync;
    g_mutex_init(&client->lock);
    g_cond_init(&client->turn_free);
    qmp_framer_init(&client->framer, AGENT_MESSAGE_MAX, AGENT_DEPTH_MAX);
    return client;
}

AgentClient *agent_client_ref(AgentClient *client)
{
    g_atomic_ref_count_inc(&client->refs);
    return client;
}

void agent_client_unref(AgentClient *client)
{
    if (client == NULL || !g_atomic_ref_count_dec(&client->refs))
        return;
    fd_clear(&client->fd);
    fd_clear(&client->wake);
    qmp_framer_clear(&client->framer);
    g_mutex_clear(&client->lock);
    g_cond_clear(&client->turn_free);
    g_free(client->path);
    g_free(client);
}

static void wake_up(AgentClient *client)
{
    if (client->wake >= 0)
        eventfd_write(client->wake, 1);
}

void agent_client_close(AgentClient *client)
{
    g_mutex_lock(&client->lock);
    client->closed = TRUE;
    g_cond_broadcast(&client->turn_free);
    g_mutex_unlock(&client->lock);
    wake_up(client);
}

void agent_client_note(AgentClient *client, AgentNote note)
{
    g_mutex_lock(&client->lock);
    client->notes |= 1u << note;
    g_mutex_unlock(&client->lock);
    wake_up(client);
}

void agent_client_set_timeout(AgentClient *client, int seconds)
{
    g_mutex_lock(&client->lock);
    client->default_seconds = seconds == AGENT_TIMEOUT_DEFAULT ? AGENT_WAIT_SECONDS : seconds;
    g_mutex_unlock(&client->lock);
}

/* --- errors --- */

static gboolean fail_unresponsive(GError **error)
{
    return error_set(error, VIR_ERR_AGENT_UNRESPONSIVE, "Guest agent not available for now");
}

static gboolean fail_disappeared(GError **error)
{
    return error_set(error, VIR_ERR_AGENT_UNRESPONSIVE, "Guest agent disappeared while executing command");
}

/* --- the turn --- */

static gint64 deadline_of(int seconds)
{
    return seconds < 0 ? G_MAXINT64 : g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
}

static gboolean take_turn(AgentClient *client, gint64 deadline, GError **error)
{
    gboolean got = FALSE, closed;
    eventfd_t drained;

    g_mutex_lock(&client->lock);
    while (client->busy && !client->closed) {
        if (deadline == G_MAXINT64)
            g_cond_wait(&client->turn_free, &client->lock);
        else if (!g_cond_wait_until(&client->turn_free, &client->lock, deadline))
            break;
    }
    closed = client->closed;
    if (!closed && !client->busy) {
        client->busy = got = TRUE;
        client->notes = 0;
    }
    g_mutex_unlock(&client->lock);
    if (got) {
        eventfd_read(client->wake, &drained);
        return TRUE;
    }
    return closed ? fail_disappeared(error) : fail_unresponsive(error);
}

static void end_turn(AgentClient *client)
{
    g_mutex_lock(&client->lock);
    client->busy = FALSE;
    g_cond_signal(&client->turn_free);
    g_mutex_unlock(&client->lock);
}

static void disconnect(AgentClient *client)
{
    fd_clear(&client->fd);
    g_byte_array_set_size(client->framer.buffer, 0);
    qmp_framer_skip_to_delimiter(&client->framer); /* forgets its position too */
}

static gboolean connect_socket(AgentClient *client, GError **error)
{
    autofd fd = -1;

    if (client->fd >= 0)
        return TRUE;
    fd = unix_socket_connect(client->path);
    if (fd < 0)
        return error_set(error, VIR_ERR_AGENT_UNRESPONSIVE,
                         "QEMU guest agent is not connected: cannot connect to '%s': %s", client->path,
                         g_strerror(errno));
    client->fd = fd_steal(&fd);
    return TRUE;
}

/* --- waiting --- */

/* Waits until the socket is ready for events, a note of wanted comes, or it is over. 1 ready, 2 note, 0
 * failed. */
static int wait_socket(AgentClient *client, short events, gint64 deadline, guint wanted, GError **error)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = client->fd, .events = events}, {.fd = client->wake, .events = POLLIN}};
        gint64 now = g_get_monotonic_time();
        int timeout = -1, n;
        guint notes;
        gboolean closed;

        g_mutex_lock(&client->lock);
        notes = client->notes;
        closed = client->closed;
        g_mutex_unlock(&client->lock);
        if (notes & wanted)
            return 2;
        /* A guest that goes down may stop its agent before it does what is waited for. */
        if (closed && wanted != 0)
            return 2;
        if (closed || (notes & NOTE_ANY_RESTART)) {
            fail_disappeared(error);
            return 0;
        }
        if (deadline != G_MAXINT64)
            timeout = deadline <= now ? 0 : (int)MIN((deadline - now + 999) / 1000, G_MAXINT);
        n = poll(fds, 2, timeout);
        if (n < 0 && errno != EINTR) {
            error_set_errno(error, errno, "Unable to wait on agent socket");
            return 0;
        }
        if (n == 0) {
            fail_unresponsive(error);
            return 0;
        }
        if (n > 0 && fds[1].revents) {
            eventfd_t drained;

            eventfd_read(client->wake, &drained);
            continue;
        }
        if (n > 0 && fds[0].revents)
            return 1;
    }
}

static gboolean send_text(AgentClient *client, const char *text, gsize length, gint64 deadline,
                          GError **error)
{
    while (length > 0) {
        ssize_t n = send(client->fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            text += n;
            length -= (gsize)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return fail_disappeared(error);
        if (wait_socket(client, POLLOUT, deadline, 0, error) != 1)
            return FALSE;
    }
    return TRUE;
}

/* The next object of the stream, or a wanted note. delimited: only after a byte 0xFF. */
static WaitResult read_object(AgentClient *client, gboolean delimited, gint64 deadline, guint wanted,
                              json_t **ret, GError **error)
{
    gboolean skipping = delimited;

    for (;;) {
        char chunk[16384];
        const char *why = NULL;
        gsize length;
        ssize_t n;
        int ready;

        if (skipping && qmp_framer_skip_to_delimiter(&client->framer))
            skipping = FALSE;
        if (!skipping) {
            char *text = NULL, *parse_error = NULL;
            int found = qmp_framer_next(&client->framer, &text, &length, &why);

            if (found > 0) {
                *ret = qmp_parse_object(text, length, &parse_error);
                if (*ret == NULL) {
                    error_set(error, VIR_ERR_INTERNAL_ERROR, "the guest agent cannot be used: %s",
                              parse_error);
                    g_free(parse_error);
                    g_free(text);
                    return WAIT_FAILED;
                }
                g_free(text);
                return WAIT_REPLY;
            }
            if (found < 0) {
                error_set(error, VIR_ERR_INTERNAL_ERROR, "the guest agent cannot be used: %s", why);
                return WAIT_FAILED;
            }
        }
        ready = wait_socket(client, POLLIN, deadline, wanted, error);
        if (ready != 1)
            return ready == 2 ? WAIT_NOTE : WAIT_FAILED;
        n = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0) {
            /* QEMU closes the socket when it ends: that is what a shutdown waits for. */
            if (wanted != 0)
                return WAIT_NOTE;
            fail_disappeared(error);
            return WAIT_FAILED;
        }
        qmp_framer_feed(&client->framer, chunk, (gsize)n);
        if (client->framer.buffer->len > AGENT_MESSAGE_MAX) {
            error_set(error, VIR_ERR_INTERNAL_ERROR, "No complete agent response found in %u bytes",
                      AGENT_MESSAGE_MAX);
            return WAIT_FAILED;
        }
    }
}

static gboolean sync_guest(AgentClient *client, gint64 deadline, GError **error)
{
    guint64 id = client->next_sync++;
    g_autofree char *text = g_strdup_printf(
        "\xFF{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%" G_GUINT64_FORMAT "}}\n", id);
    gint64 sync_deadline;
    int seconds = AGENT_WAIT_SECONDS;

    /* What clients allow the agent to take bounds this, for commands with more patience as well. */
    g_mutex_lock(&client->lock);
    if (client->default_seconds >= 0)
        seconds = MIN(seconds, client->default_seconds);
    g_mutex_unlock(&client->lock);
    sync_deadline = MIN(deadline, deadline_of(seconds));

    if (!send_text(client, text, strlen(text), sync_deadline, error))
        return FALSE;
    for (int tries = 0; tries < 16; tries++) {
        autojson *answer = NULL;

        if (read_object(client, TRUE, sync_deadline, 0, &answer, error) != WAIT_REPLY)
            return FALSE;
        if (jint(answer, "return", -1) == (gint64)id)
            return TRUE;
        log_debug("guest agent: dropped a stale answer");
    }
    return error_set(error, VIR_ERR_AGENT_UNSYNCED, "guest agent does not answer to guest-sync-delimited");
}

/* --- commands --- */

/* One request, whole. FALSE with *error, or TRUE with *ret (NULL when a wanted note came instead). */
static gboolean converse(AgentClient *client, const char *request, int seconds, guint wanted, json_t **ret,
                         GError **error)
{
    g_autofree char *line = g_strconcat(request, "\n", NULL);
    gint64 deadline;
    gboolean ok = FALSE;
    WaitResult result = WAIT_FAILED;

    *ret = NULL;
    g_mutex_lock(&client->lock);
    if (seconds == AGENT_TIMEOUT_DEFAULT)
        seconds = client->default_seconds;
    g_mutex_unlock(&client->lock);
    deadline = deadline_of(seconds);
    if (!take_turn(client, deadline, error))
        return FALSE;
    if (connect_socket(client, error) && sync_guest(client, deadline, error) &&
        send_text(client, line, strlen(line), deadline, error)) {
        /* The deadline is the command's own: what the sync took does not count. */
        result = read_object(client, FALSE, deadline_of(seconds), wanted, ret, error);
        ok = result != WAIT_FAILED;
    }
    if (result != WAIT_REPLY)
        disconnect(client); /* a late reply dies with the connection */
    end_turn(client);
    return ok;
}

static gboolean check_reply(const char *command, json_t *reply, char **ret_class, GError **error)
{
    json_t *refusal = json_object_get(reply, "error");

    if (refusal != NULL) {
        if (ret_class != NULL)
            *ret_class = g_strdup(jstr(refusal, "class"));
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU agent command '%s': %s",
                         command, jstr(refusal, "desc") ? jstr(refusal, "desc") : "unexpected error");
    }
    if (json_object_get(reply, "return") == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU agent command '%s'", command);
    return TRUE;
}

static gboolean run(AgentClient *client, const char *command, json_t *args, int seconds, guint wanted,
                    char **ret_class, json_t **ret, GError **error)
{
    autojson *message = json_object();
    autojson *reply = NULL;
    char *text;
    gboolean ok;

    if (ret_class != NULL)
        *ret_class = NULL;
    if (ret != NULL)
        *ret = NULL;
    json_object_set_new(message, "execute", json_string(command));
    if (args != NULL)
        json_object_set_new(message, "arguments", args);
    text = json_dumps(message, JSON_COMPACT);
    if (text == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "arguments of the guest agent command '%s' are not valid", command);
    ok = converse(client, text, seconds, wanted, &reply, error);
    free(text);
    if (!ok)
        return FALSE;
    if (reply == NULL)
        return TRUE; /* the note it waited for */
    if (!check_reply(command, reply, ret_class, error))
        return FALSE;
    if (ret != NULL)
        *ret = json_incref(json_object_get(reply, "return"));
    return TRUE;
}

gboolean agent_call_full(AgentClient *client, const char *command, json_t *args, int seconds,
                         char **ret_class, json_t **ret, GError **error)
{
    return run(client, command, args, seconds, 0, ret_class, ret, error);
}

gboolean agent_call(AgentClient *client, const char *command, json_t *args, int seconds, json_t **ret,
                    GError **error)
{
    return run(client, command, args, seconds, 0, NULL, ret, error);
}

gboolean agent_call_raw(AgentClient *client, const char *request, int seconds, char **ret_reply,
                        GError **error)
{
    autojson *reply = NULL;
    autojson *parsed = NULL;
    char *why = NULL, *compact;
    gboolean ok;

    *ret_reply = NULL;
    parsed = qmp_parse_object(request, strlen(request), &why);
    if (!json_is_object(parsed)) {
        g_free(why);
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot parse json %s", request);
    }
    compact = json_dumps(parsed, JSON_COMPACT);
    ok = converse(client, compact, seconds, 0, &reply, error);
    if (ok)
        ok = check_reply(jstr(parsed, "execute") ? jstr(parsed, "execute") : "<unknown>", reply, NULL, error);
    free(compact);
    if (!ok)
        return FALSE;
    /* As libvirt writes JSON, without the agent's spaces. */
    compact = json_dumps(reply, JSON_COMPACT);
    *ret_reply = g_strdup(compact);
    free(compact);
    return *ret_reply != NULL || error_set(error, VIR_ERR_INTERNAL_ERROR, "the guest agent's reply cannot be written");
}

gboolean agent_shutdown(AgentClient *client, AgentShutdownMode mode, GError **error)
{
    static const char *const modes[] = {"powerdown", "reboot", "halt"};
    guint wanted = mode == AGENT_SHUTDOWN_REBOOT ? (1u << AGENT_NOTE_RESET) : 0;

    /* A reboot by `on_reboot=destroy` ends the process, so SHUTDOWN answers both. */
    wanted |= 1u << AGENT_NOTE_SHUTDOWN;
    return run(client, "guest-shutdown", json_pack("{s:s}", "mode", modes[mode]), AGENT_SHUTDOWN_SECONDS,
               wanted, NULL, NULL, error);
}

gboolean agent_suspend(AgentClient *client, const char *what, GError **error)
{
    g_autofree char *command = g_strconcat("guest-suspend-", what, NULL);

    return run(client, command, NULL, AGENT_SHUTDOWN_SECONDS,
               (1u << AGENT_NOTE_SUSPEND) | (1u << AGENT_NOTE_SHUTDOWN), NULL, NULL, error);
}

gboolean agent_ping(AgentClient *client, int seconds, GError **error)
{
    return run(client, "guest-ping", NULL, seconds, 0, NULL, NULL, error);
}
