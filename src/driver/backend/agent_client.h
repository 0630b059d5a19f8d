/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU guest agent, the host's side (qga/qapi-schema.json): JSON commands on the UNIX socket behind the
 * channel org.qemu.guest_agent.0. No greeting, no ids, no events; the guest may reboot between a command and
 * its reply, so each command is preceded by guest-sync-delimited, whose reply begins with the byte 0xFF.
 *
 * One command at a time; a caller waits for its turn within its own deadline. The guest is not trusted: its
 * words are limited, and reach nobody but the caller. Threads: any (not the VM thread; it does its own I/O on
 * the calling thread with poll, and holds no lock that agent_client_close() needs).
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct AgentClient AgentClient;

#define AGENT_MESSAGE_MAX (64u * 1024 * 1024) /* guest-exec output is 16 MiB in base64 */

/* libvirt's virDomainQemuAgentCommandTimeoutValues, seconds. */
#define AGENT_TIMEOUT_BLOCK (-2)
#define AGENT_TIMEOUT_DEFAULT (-1)
#define AGENT_TIMEOUT_NOWAIT 0

/* Events of the guest that make a command return without a reply (agent_client_note()). */
typedef enum AgentNote { AGENT_NOTE_SHUTDOWN, AGENT_NOTE_RESET, AGENT_NOTE_SUSPEND } AgentNote;

/* Connects to the socket QEMU listens on at the first call, and again after an error. Never fails. */
AgentClient *agent_client_new(const char *socket_path);
/* For tests: with the number of the first guest-sync-delimited. */
AgentClient *agent_client_new_seeded(const char *socket_path, guint64 first_sync);
AgentClient *agent_client_ref(AgentClient *client);
void agent_client_unref(AgentClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentClient, agent_client_unref)

/* Any thread, does not wait: running and waiting calls fail, and all later ones. */
void agent_client_close(AgentClient *client);

/* From the VM thread's events (SHUTDOWN, RESET, SUSPEND): a command that waits for just this returns success;
 * any other command in flight fails at once with AGENT_UNRESPONSIVE. Does not block. */
void agent_client_note(AgentClient *client, AgentNote note);

/* Default of AGENT_TIMEOUT_DEFAULT, as virDomainAgentSetResponseTimeout sets it: seconds, or
 * AGENT_TIMEOUT_BLOCK; -1: 5. */
void agent_client_set_timeout(AgentClient *client, int seconds);

/*
 * One command. args (may be NULL) is stolen. *ret gets the value of "return". seconds: as above.
 * Errors: VIR_ERR_AGENT_UNRESPONSIVE (no answer within the deadline, guest went away, nobody listens),
 * VIR_ERR_AGENT_UNSYNCED (the guest answers, but never to our sync), VIR_ERR_INTERNAL_ERROR "unable to
 * execute QEMU agent command 'x': desc" when the guest refused (see ret_class for commands it does not know).
 */
gboolean agent_call(AgentClient *client, const char *command, json_t *args, int seconds, json_t **ret,
                    GError **error);
/* The same, with the guest's error class ("CommandNotFound", ...) in *ret_class, NULL otherwise; caller
 * frees. */
gboolean agent_call_full(AgentClient *client, const char *command, json_t *args, int seconds,
                         char **ret_class, json_t **ret, GError **error);
/* A whole request as `virsh qemu-agent-command` gives it; *ret_reply is the whole reply as text. Caller
 * frees. */
gboolean agent_call_raw(AgentClient *client, const char *request, int seconds, char **ret_reply,
                        GError **error);

typedef enum AgentShutdownMode {
    AGENT_SHUTDOWN_POWERDOWN,
    AGENT_SHUTDOWN_REBOOT,
    AGENT_SHUTDOWN_HALT
} AgentShutdownMode;
/* guest-shutdown: has no reply when it works. Returns TRUE as soon as the note comes (SHUTDOWN, or RESET for
 * a reboot) or QEMU closes its end; waits AGENT_SHUTDOWN_SECONDS. */
#define AGENT_SHUTDOWN_SECONDS 60
gboolean agent_shutdown(AgentClient *client, AgentShutdownMode mode, GError **error);
/* guest-suspend-{disk,ram,hybrid}, the same way. what: "disk", "ram", "hybrid". */
gboolean agent_suspend(AgentClient *client, const char *what, GError **error);
gboolean agent_ping(AgentClient *client, int seconds, GError **error);
