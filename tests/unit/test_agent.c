/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest agent client against a scripted agent: sync, stale answers, errors, deadlines, shutdown, reboot.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/backend/agent_client.h"
#include "driver/backend/qmp_framer.h"
#include "driver/backend/unix_socket.h"

typedef struct Agent {
    char *folder, *path;
    int listener;
    GThread *thread;
    AgentClient *client;
    const char *stale; /* sent as soon as somebody connects */
    const char *reply; /* to each command that is no sync; NULL: silence */
    gboolean deaf; /* does not even sync */
    gboolean close_instead; /* of replying */
    gint commands;
} Agent;

static void say(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), >=, 0);
}

static void serve(Agent *agent, int fd)
{
    QmpFramer framer;
    char chunk[4096];
    ssize_t n;

    qmp_framer_init(&framer, 100000, 64);
    if (agent->stale != NULL)
        say(fd, agent->stale);
    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
        const char *why;
        char *text;
        gsize length;

        for (ssize_t i = 0; i < n; i++) { /* the byte that resets the agent's parser */
            if ((guchar)chunk[i] == 0xFF)
                chunk[i] = ' ';
        }
        qmp_framer_feed(&framer, chunk, (gsize)n);
        while (qmp_framer_next(&framer, &text, &length, &why) > 0) {
            char *error = NULL;
            json_t *command = qmp_parse_object(text, length, &error);
            json_t *id = json_object_get(json_object_get(command, "arguments"), "id");

            g_free(text);
            if (agent->deaf) {
                /* nothing */
            } else if (id != NULL) {
                g_autofree char *sync =
                    g_strdup_printf("\xFF{\"return\": %" JSON_INTEGER_FORMAT "}\n", json_integer_value(id));

                say(fd, sync);
            } else {
                g_atomic_int_inc(&agent->commands);
                if (agent->close_instead)
                    shutdown(fd, SHUT_RDWR);
                else if (agent->reply != NULL)
                    say(fd, agent->reply);
            }
            json_decref(command);
        }
    }
    qmp_framer_clear(&framer);
}

static gpointer agent_main(gpointer data)
{
    Agent *agent = data;
    int fd;

    while ((fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve(agent, fd);
        close(fd);
    }
    return NULL;
}

static void begin(Agent *agent)
{
    agent->folder = g_dir_make_tmp("agent-XXXXXX", NULL);
    agent->path = g_build_filename(agent->folder, "agent.sock", NULL);
    agent->listener = unix_socket_listen(agent->path, 0600, (uid_t)-1, (gid_t)-1, NULL);
    g_assert_cmpint(agent->listener, >=, 0);
    agent->thread = g_thread_new("agent", agent_main, agent);
    agent->client = agent_client_new(agent->path);
}

static void end(Agent *agent)
{
    agent_client_close(agent->client);
    agent_client_unref(agent->client);
    shutdown(agent->listener, SHUT_RDWR);
    g_thread_join(agent->thread);
    close(agent->listener);
    unlink(agent->path);
    rmdir(agent->folder);
    g_free(agent->path);
    g_free(agent->folder);
}

static void test_call(void)
{
    Agent agent = {.stale = "{\"return\": \"of somebody before us\"}\n\xFF{\"return\": 4}\n",
                   .reply = "{\"return\": {\"host-name\": \"guest\"}}\n"};
    g_autoptr(GError) error = NULL;
    g_autofree char *raw = NULL;
    json_t *ret = NULL;

    begin(&agent);
    g_assert_true(agent_call(agent.client, "guest-get-host-name", NULL, 5, &ret, &error));
    g_assert_cmpstr(json_string_value(json_object_get(ret, "host-name")), ==, "guest");
    json_decref(ret);
    g_assert_true(agent_call_raw(agent.client, "{\"execute\":\"guest-get-host-name\"}", 5, &raw, &error));
    g_assert_cmpstr(raw, ==, "{\"return\":{\"host-name\":\"guest\"}}"); /* as libvirt writes it */
    g_clear_pointer(&raw, g_free);
    g_assert_false(agent_call_raw(agent.client, "nonsense", 5, &raw, &error));
    g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
    end(&agent);
}

static void test_refused(void)
{
    Agent agent = {.reply = "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such command\"}}\n"};
    g_autoptr(GError) error = NULL;
    g_autofree char *class = NULL;

    begin(&agent);
    g_assert_false(agent_call_full(agent.client, "guest-x", NULL, 5, &class, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
    g_assert_cmpstr(error->message, ==, "unable to execute QEMU agent command 'guest-x': no such command");
    g_assert_cmpstr(class, ==, "CommandNotFound");
    end(&agent);
}

static gpointer note_soon(gpointer data)
{
    Agent *agent = data;

    while (g_atomic_int_get(&agent->commands) == 0)
        g_usleep(500);
    agent_client_note(agent->client, AGENT_NOTE_SHUTDOWN);
    return NULL;
}

static void test_shutdown(void)
{
    Agent agent = {.reply = NULL};
    g_autoptr(GError) error = NULL;
    GThread *noter;

    begin(&agent);
    noter = g_thread_new("note", note_soon, &agent);
    g_assert_true(agent_shutdown(agent.client, AGENT_SHUTDOWN_POWERDOWN, &error));
    g_thread_join(noter);
    end(&agent);
}

static void test_shutdown_by_close(void)
{
    Agent agent = {.close_instead = TRUE};
    g_autoptr(GError) error = NULL;

    begin(&agent);
    g_assert_true(agent_shutdown(agent.client, AGENT_SHUTDOWN_HALT, &error));
    g_assert_false(agent_call(agent.client, "guest-ping", NULL, 5, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_AGENT_UNRESPONSIVE));
    end(&agent);
}

static void test_reboot_fails_others(void)
{
    Agent agent = {.reply = NULL};
    g_autoptr(GError) error = NULL;
    GThread *noter;
    gint64 begun = g_get_monotonic_time();

    begin(&agent);
    noter = g_thread_new("note", note_soon, &agent);
    g_assert_false(
        agent_call(agent.client, "guest-fsfreeze-freeze", NULL, AGENT_TIMEOUT_BLOCK, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_AGENT_UNRESPONSIVE));
    g_assert_cmpint(g_get_monotonic_time() - begun, <, 3 * G_USEC_PER_SEC);
    g_thread_join(noter);
    end(&agent);
}

static gpointer close_soon(gpointer data)
{
    g_usleep(20000);
    agent_client_close(data);
    return NULL;
}

static void test_close_wakes(void)
{
    Agent agent = {.deaf = TRUE};
    g_autoptr(GError) error = NULL;
    GThread *closer;
    gint64 begun = g_get_monotonic_time();

    begin(&agent);
    closer = g_thread_new("close", close_soon, agent.client);
    g_assert_false(agent_call(agent.client, "guest-ping", NULL, AGENT_TIMEOUT_BLOCK, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_AGENT_UNRESPONSIVE));
    g_assert_cmpint(g_get_monotonic_time() - begun, <, 3 * G_USEC_PER_SEC);
    g_thread_join(closer);
    end(&agent);
}

static void test_unresponsive(void)
{
    Agent agent = {.deaf = TRUE};
    g_autoptr(GError) error = NULL;

    begin(&agent);
    g_assert_false(agent_call(agent.client, "guest-ping", NULL, 1, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_AGENT_UNRESPONSIVE));
    g_assert_cmpstr(error->message, ==, "Guest agent not available for now");
    end(&agent);
}

static void test_no_socket(void)
{
    g_autoptr(AgentClient) client = agent_client_new("/nonexistent/agent.sock");
    g_autoptr(GError) error = NULL;

    g_assert_false(agent_ping(client, 1, &error));
    g_assert_true(error_is(error, VIR_ERR_AGENT_UNRESPONSIVE));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent/call", test_call);
    g_test_add_func("/agent/refused", test_refused);
    g_test_add_func("/agent/shutdown", test_shutdown);
    g_test_add_func("/agent/shutdown-by-close", test_shutdown_by_close);
    g_test_add_func("/agent/reboot-fails-others", test_reboot_fails_others);
    g_test_add_func("/agent/close-wakes", test_close_wakes);
    g_test_add_func("/agent/unresponsive", test_unresponsive);
    g_test_add_func("/agent/no-socket", test_no_socket);
    return g_test_run();
}
