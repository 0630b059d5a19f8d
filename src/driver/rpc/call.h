/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call as its handler sees it. A handler is
 *
 *     gboolean call_domain_lookup_by_name(Call *call, const DomainLookupByNameArgs *args,
 *                                         DomainLookupByNameRet *ret, GError **error);
 *
 * and runs on a worker thread, or on the I/O thread when its record says "inline" or "brief": then it must not block.
 * args and ret belong to the dispatcher; ret comes in zeroed, and what the handler puts there is g_malloc'ed
 * and freed after it was sent (also after FALSE). On FALSE *error must be set; it reaches the client as
 * error_full_text(). A Call lives only until the handler returns; keep a client_ref(call_client(call)) to
 * remember the client.
 */
#pragma once

#include "driver/rpc/client.h"
#include "driver/rpc/rpc_types.h"

Client *call_client(Call *call);
/* RpcServerConfig.driver: "Driver *driver = call_driver(call);" */
void *call_driver(Call *call);
gboolean call_readonly(Call *call);
/* libvirt's function name of this call ("virDomainLookupByName"), for error texts; never NULL. */
const char *call_api(Call *call);
guint32 call_serial(Call *call);

/* For the handler of a "brief" call that would have to wait, before it has had any effect:
 *     if (call_must_not_wait(call)) return call_move(call);
 * and it is called once more, on a worker. call_move() is always FALSE; *error stays as it is. */
gboolean call_must_not_wait(Call *call);
gboolean call_move(Call *call);

/* For what depends on flags: FALSE with VIR_ERR_OPERATION_DENIED ("read only access prevents virX") on a
 * read-only connection. */
gboolean call_check_writable(Call *call, GError **error);
/* VIR_ERR_NO_SUPPORT as for a call without handler; always FALSE. */
gboolean call_not_supported(Call *call, GError **error);
/* VIR_ERR_INVALID_ARG as libvirt's virCheckFlags; speaker is the handler's file (ERROR_FROM). */
#define call_check_flags(call, flags, supported, error)                                                      \
    call_check_flags_from((call), ERROR_FROM, (flags), (supported), (error))
gboolean call_check_flags_from(Call *call, int from, guint32 flags, guint32 supported, GError **error);

/* What libvirt's library refuses before it asks a driver, in its words (VIR_ERR_INVALID_ARG): a list of typed
 * parameters that is empty, a number that is zero. */
#define call_check_params(call, count, error)                                                                \
    call_check_given((call), ERROR_FROM, "params", "NULL", (count) > 0, (error))
#define call_check_nonzero(call, name, value, error)                                                         \
    call_check_given((call), ERROR_FROM, (name), "zero", (value) != 0, (error))
gboolean call_check_given(Call *call, int from, const char *name, const char *nothing, gboolean given, GError **error);

/* Descriptors that came with the call (CALL_WITH_FDS). take gives ownership (close-on-exec), once each; -1
 * when there is none at that index. What nobody takes is closed after the handler. */
guint call_n_fds(Call *call);
int call_take_fd(Call *call, guint index);
/* Sends a descriptor with the reply; takes ownership also on failure. At most 32; UNIX sockets only. */
gboolean call_return_fd(Call *call, int fd, GError **error);
