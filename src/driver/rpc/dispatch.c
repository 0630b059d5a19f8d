/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a call's frame to its reply. Calls wait in arrival order in client->pending until they may start:
 *
 *   "inline" calls   at once, on the I/O thread
 *   "brief" calls    (some ten microseconds, which a change of threads would double) the same way, but only the
 *                    first ones that a client sends at a time; they may find out that they need a worker
 *   "alone" calls    (authentication, open, close) when nothing of the client runs, and nothing passes them
 *   others           while fewer than max_client_requests of their priority run, on the workers
 *
 * The two priorities have a count each, so that a client whose low-priority calls all hang can still destroy
 * the guest they hang on. Replies go out as they are ready.
 */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/rpc/private.h"

#define STACK_VALUE 512 /* arguments and replies up to this size need no allocation */

/* --- what handlers ask of their call ------------------------------------------------------------- */

Client *call_client(Call *call)
{
    return call->client;
}

void *call_driver(Call *call)
{
    return call->client->server->config.driver;
}

gboolean call_readonly(Call *call)
{
    return call->client->readonly;
}

const char *call_api(Call *call)
{
    return call->procedure->api != NULL ? call->procedure->api : call->procedure->name;
}

guint32 call_serial(Call *call)
{
    return call->header.serial;
}

gboolean call_check_writable(Call *call, GError **error)
{
    if (!call->client->readonly)
        return TRUE;
    return error_set_from(error, call->procedure->speaker, VIR_ERR_OPERATION_DENIED,
                          "read only access prevents %s", call_api(call));
}

gboolean procedure_not_supported(Call *call, GError **error)
{
    return error_set_from(error, call->procedure->speaker, VIR_ERR_NO_SUPPORT, "%s", call_api(call));
}

gboolean call_not_supported(Call *call, GError **error)
{
    return procedure_not_supported(call, error);
}

gboolean call_check_flags_from(Call *call, int from, guint32 flags, guint32 supported, GError **error)
{
    if ((flags & ~supported) == 0)
        return TRUE;
    return error_set_flags(error, (virErrorDomain)from, "unsupported flags (0x%x) in function %s",
                           flags & ~supported, call_api(call));
}

gboolean call_check_given(Call *call, int from, const char *name, const char *nothing, gboolean given, GError **error)
{
    return given || error_set_flags(error, (virErrorDomain)from, "%s in %s must not be %s", name, call_api(call), nothing);
}

gboolean call_must_not_wait(Call *call)
{
    return call->here;
}

gboolean call_move(Call *call)
{
    g_assert(call->here && call->procedure->flags & RPC_FLAG_BRIEF);
    call->moved = TRUE;
    return FALSE;
}

guint call_n_fds(Call *call)
{
    return call->n_fds;
}

int call_take_fd(Call *call, guint index)
{
    int fd = -1;

    if (index < call->n_fds) {
        fd = call->fds[index];
        call->fds[index] = -1;
    }
    return fd;
}

gboolean call_return_fd(Call *call, int fd, GError **error)
{
    if (call->client->kind != CLIENT_TRANSPORT_UNIX) {
        close(fd);
        return error_set(error, VIR_ERR_NO_SUPPORT, "%s: descriptors can be passed over UNIX sockets only",
                         call_api(call));
    }
    if (call->n_out_fds == WIRE_FDS_MAX) {
        close(fd);
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s: more than %d descriptors in one reply",
                         call_api(call), WIRE_FDS_MAX);
    }
    call->out_fds[call->n_out_fds++] = fd;
    return TRUE;
}

/* --- replies ------------------------------------------------------------------------------------- */

static void close_fds(int *fds, guint *count)
{
    for (guint i = 0; i < *count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *count = 0;
}

static gboolean encode_reply(Call *call, const void *ret, XdrWriter *writer, GError **error)
{
    WireHeader reply = call->header;
    gsize begin;

    reply.type = call->n_out_fds > 0 ? WIRE_REPLY_WITH_FDS : WIRE_REPLY;
    reply.status = WIRE_OK;
    begin = wire_begin(writer, &reply);
    if (call->n_out_fds > 0)
        xdr_put_word(writer, call->n_out_fds);
    if (!xdr_encode(call->procedure->ret, ret, writer, WIRE_FRAME_MAX, error)) {
        writer->length = begin;
        return FALSE;
    }
    wire_end(writer, begin);
    return TRUE;
}

/* Queues the reply, or the error when there is one, and lets the call's stream begin. */
static void send_reply(Call *call, const void *ret, GError *error)
{
    g_autoptr(GError) encode_error = NULL;
    XdrWriter writer = {0};
    OutMessage *message;

    if (error == NULL && (!encode_reply(call, ret, &writer, &encode_error) ||
                          (call->stream != NULL && !stream_register(call->stream, &encode_error))))
        error = encode_error;
    if (error != NULL) {
        WireHeader reply = call->header;

        reply.type = WIRE_REPLY;
        writer.length = 0;
        wire_error_frame(&writer, &reply, error);
        close_fds(call->out_fds, &call->n_out_fds);
        if (call->stream != NULL)
            stream_discard(g_steal_pointer(&call->stream));
    }
    message = out_message_new(&writer, OUT_REPLY);
    if (call->n_out_fds > 0) {
        message->fds = g_memdup2(call->out_fds, call->n_out_fds * sizeof(int));
        message->n_fds = call->n_out_fds;
        call->n_out_fds = 0;
    }
    message->then_sasl = error == NULL && call->then_sasl;
    message->then_close = error == NULL && call->then_close;
    connection_queue(call->client, message, !call->here);
    if (call->stream != NULL)
        stream_activate(g_steal_pointer(&call->stream));
}

/* --- running ------------------------------------------------------------------------------------- */

static gboolean is_remote(const Call *call, gint32 number)
{
    return call->header.program == RPC_PROGRAM_REMOTE && call->header.procedure == number;
}

/* What libvirt refuses before a handler is asked, in libvirt's order and words. */
static gboolean admit(Call *call, GError **error)
{
    const RpcProcedure *procedure = call->procedure;
    gint stage = g_atomic_int_get(&call->client->stage);

    if (!call->known_program)
        return error_set(error, VIR_ERR_RPC, "Cannot find program %d version %d",
                         (gint32)call->header.program, (gint32)call->header.version);
    if (call->header.status != WIRE_OK)
        return error_set(error, VIR_ERR_RPC, "Unexpected message status %u", call->header.status);
    if (procedure == NULL)
        return error_set(error, VIR_ERR_RPC, "unknown procedure: %d", call->header.procedure);
    if (stage < (gint)procedure->stage && stage == RPC_STAGE_GREETING)
        return error_set(error, VIR_ERR_RPC, "authentication required");
    return TRUE;
}

static gboolean admit_decoded(Call *call, GError **error)
{
    const RpcProcedure *procedure = call->procedure;
    gint stage = g_atomic_int_get(&call->client->stage);

    if (stage < (gint)procedure->stage)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "connection not open");
    if (is_remote(call, RPC_REMOTE_CONNECT_OPEN) && stage == RPC_STAGE_OPEN)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "connection already open");
    if (!(procedure->flags & RPC_FLAG_READONLY) && !call_check_writable(call, error))
        return FALSE;
    return procedure->run != NULL || procedure_not_supported(call, error);
}

/* FALSE: the handler wants a worker, and there is no reply yet. */
static gboolean run(Call *call)
{
    g_autoptr(GError) error = NULL;
    union {
        guint64 align;
        guint8 bytes[STACK_VALUE];
    } args_space, ret_space;
    const XdrType *args_type, *ret_type;
    void *args, *ret;
    gboolean waits = FALSE;

    if (!call->moved)
        __atomic_fetch_add(&call->client->server->calls, 1, __ATOMIC_RELAXED);
    if (!admit(call, &error)) {
        send_reply(call, NULL, error);
        return TRUE;
    }
    args_type = call->procedure->args;
    ret_type = call->procedure->ret;
    args = args_type->size <= STACK_VALUE ? args_space.bytes : g_malloc(args_type->size);
    ret = ret_type->size <= STACK_VALUE ? ret_space.bytes : g_malloc(ret_type->size);
    memset(ret, 0, ret_type->size);
    if (xdr_decode(args_type, call->payload, call->length, args, NULL, &error)) {
        if (admit_decoded(call, &error)) {
            gboolean fine = call->procedure->run(call, args, ret, &error);

            waits = call->here && call->moved;
            if (!fine && error == NULL && !waits)
                error_set(&error, VIR_ERR_INTERNAL_ERROR, "%s failed without saying why", call_api(call));
            else if (fine)
                g_clear_error(&error);
            if (fine && is_remote(call, RPC_REMOTE_CONNECT_OPEN))
                g_atomic_int_set(&call->client->stage, RPC_STAGE_OPEN);
        }
        xdr_clear(args_type, args);
    }
    if (error != NULL)
        log_debug("client %" G_GUINT64_FORMAT ": %s: %s", call->client->id, call->procedure->name,
                  error->message);
    if (!waits)
        send_reply(call, ret, error);
    xdr_clear(ret_type, ret);
    if (args != args_space.bytes)
        g_free(args);
    if (ret != ret_space.bytes)
        g_free(ret);
    return !waits;
}

/* On the I/O thread, which sends the reply with all the others of its turn. */
static gboolean run_here(Call *call)
{
    gboolean done;

    if (call->procedure != NULL && call->procedure->flags & RPC_FLAG_BRIEF)
        call->client->brief_left--;
    call->here = TRUE;
    done = run(call);
    call->here = FALSE;
    return done;
}

static void call_free(Call *call)
{
    close_fds(call->fds, &call->n_fds);
    close_fds(call->out_fds, &call->n_out_fds);
    g_free(call->payload);
    client_unref(call->client);
    g_free(call);
}

static gboolean is_high(const Call *call)
{
    return call->procedure != NULL && (call->procedure->flags & RPC_FLAG_HIGH) != 0;
}

static gboolean is_alone(const Call *call)
{
    return call->procedure != NULL && (call->procedure->flags & RPC_FLAG_ALONE) != 0;
}

/* What needs no handler (an error is certain) or whose handler does not block. */
static gboolean is_inline(const Call *call)
{
    const RpcProcedure *procedure = call->procedure;

    return procedure == NULL || procedure->run == NULL || (procedure->flags & RPC_FLAG_INLINE) != 0 ||
           ((procedure->flags & RPC_FLAG_BRIEF) != 0 && !call->moved && call->client->brief_left > 0);
}

static void run_on_worker(void *opaque)
{
    Call *call = opaque;
    Client *client = call->client;

    /* Who has gone wants no answer; what has an effect (alone: authentication) has none either. */
    if (!g_atomic_int_get(&client->closed))
        run(call);
    g_mutex_lock(&client->lock);
    client->running[is_high(call) ? 1 : 0]--;
    if (is_alone(call))
        client->alone = FALSE;
    /* Is a call waiting for the place, or the connection for its end? */
    if (client->waiting || client->input_over) {
        client->waiting = FALSE;
        connection_poke_locked(client);
    }
    g_mutex_unlock(&client->lock);
    call_free(call);
}

/* Takes a place for the call if it may start on a worker now. */
static gboolean take_place(Client *client, const Call *call, gboolean first)
{
    guint *running = &client->running[is_high(call) ? 1 : 0];
    gboolean may;

    g_mutex_lock(&client->lock);
    if (is_alone(call))
        may = first && client->running[0] + client->running[1] == 0;
    else
        may = *running < client->server->config.max_client_requests;
    if (may) {
        (*running)++;
        if (is_alone(call))
            client->alone = TRUE;
    } else {
        client->waiting = TRUE;
    }
    g_mutex_unlock(&client->lock);
    return may;
}

/* An "alone" call is running: nothing may start. */
static gboolean is_blocked(Client *client)
{
    gboolean alone;

    g_mutex_lock(&client->lock);
    alone = client->alone;
    if (alone)
        client->waiting = TRUE;
    g_mutex_unlock(&client->lock);
    return alone;
}

void dispatch_pump(Client *client)
{
    GList *next;

    if (g_queue_is_empty(&client->pending))
        return;
    for (GList *l = client->pending.head; l != NULL && !client->ended && !is_blocked(client); l = next) {
        Call *call = l->data;
        gboolean here = is_inline(call);

        next = l->next;
        if (!here && !take_place(client, call, l->prev == NULL)) {
            if (is_alone(call))
                return;
            continue;
        }
        if (here && is_alone(call) && l->prev != NULL)
            return;
        client->pending_bytes -= call->length;
        g_queue_delete_link(&client->pending, l);
        if (here && !run_here(call) && !client->ended) {
            /* back to its place, to be started on a worker now */
            client->pending_bytes += call->length;
            g_queue_insert_before(&client->pending, next, call);
            next = next != NULL ? next->prev : client->pending.tail;
        } else if (here) {
            call_free(call);
        } else {
            workers_push(client->server->workers, is_high(call), run_on_worker, call);
        }
    }
}

void dispatch_drop(Client *client)
{
    Call *call;

    while ((call = g_queue_pop_head(&client->pending)) != NULL)
        call_free(call);
    client->pending_bytes = 0;
}

static void find_procedure(Call *call)
{
    for (guint i = 0; i < rpc_program_count; i++) {
        const RpcProgram *program = &rpc_programs[i];
        guint32 number = (guint32)call->header.procedure;

        if (program->number != call->header.program || program->version != call->header.version)
            continue;
        call->known_program = TRUE;
        if (number < program->n_procedures && program->procedures[number].args != NULL)
            call->procedure = &program->procedures[number];
    }
}

void dispatch_frame(Client *client, const WireHeader *header, const guint8 *payload, gsize length,
                    const int *fds, guint n_fds)
{
    Call here = {.client = client, .header = *header, .length = length, .n_fds = n_fds};
    Call *call;

    if (n_fds > 0)
        memcpy(here.fds, fds, n_fds * sizeof(int));
    find_procedure(&here);
    /* The quick way: nothing to wait for, nothing to copy. */
    if (is_inline(&here) && g_queue_is_empty(&client->pending) && !is_blocked(client)) {
        here.payload = (guint8 *)payload;
        if (run_here(&here) || client->ended) {
            close_fds(here.fds, &here.n_fds);
            return;
        }
    }
    call = g_memdup2(&here, sizeof here);
    call->client = client_ref(client);
    call->payload = length > 0 ? g_memdup2(payload, length) : NULL;
    g_queue_push_tail(&client->pending, call);
    client->pending_bytes += length;
    dispatch_pump(client);
}
