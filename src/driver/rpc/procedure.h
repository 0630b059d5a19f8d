/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The generated procedure tables (rpc_table.c) as the dispatcher sees them. */
#pragma once

#include "common/error.h"
#include "driver/rpc/rpc_types.h"

typedef gboolean (*RpcRun)(Call *call, const void *args, void *ret, GError **error);

enum {
    RPC_FLAG_READONLY = 1 << 0, /* the read-only socket may call it */
    RPC_FLAG_INLINE = 1 << 1, /* runs on the I/O thread */
    RPC_FLAG_ALONE = 1 << 2, /* nothing of the same client runs beside it */
    RPC_FLAG_SPARSE = 1 << 3, /* its stream may have holes */
    RPC_FLAG_HIGH = 1 << 4, /* priority workers take it too */
    RPC_FLAG_BRIEF = 1 << 5, /* on the I/O thread if it is among a client's first of a turn */
};

typedef enum { RPC_STAGE_GREETING, RPC_STAGE_AUTHENTICATED, RPC_STAGE_OPEN } RpcStage;

/* As the client sees it: it reads from or writes to the stream. */
enum { RPC_STREAM_READ = 1 << 0, RPC_STREAM_WRITE = 1 << 1 };

typedef struct RpcProcedure {
    const char *name;
    const char *api; /* libvirt's function, or NULL */
    const XdrType *args;
    const XdrType *ret;
    RpcRun run; /* NULL: not supported */
    virErrorDomain speaker;
    guint8 flags;
    guint8 stage;
    guint8 stream;
} RpcProcedure;

typedef struct RpcProgram {
    guint32 number;
    guint32 version;
    guint32 n_procedures; /* indexed by number; an entry without args is unknown */
    const RpcProcedure *procedures;
} RpcProgram;

extern const RpcProgram rpc_programs[];
extern const guint rpc_program_count;

/* VIR_ERR_NO_SUPPORT naming the API of the call; always FALSE. */
gboolean procedure_not_supported(Call *call, GError **error);
