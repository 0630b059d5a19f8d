/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the daemon (probe_client.c) and kite-probe (probe_helper.c): one SOCK_SEQPACKET socket, the helper's standard
 * input. A request is a ProbeRequest with one descriptor beside it, an answer a ProbeAnswer; one at a time. Both
 * come from one build; `size` and `version` notice that they do not (an upgrade beneath a running daemon).
 */
#pragma once

#include <stdint.h>

#include "storage/image.h"

#define PROBE_VERSION 1
#define PROBE_HELPER_NAME "kite-probe"
/* The helper ends when nobody asks for so long. */
#define PROBE_IDLE_SECONDS 30

typedef struct ProbeRequest {
    uint32_t version;
    uint32_t serial;
} ProbeRequest;

typedef struct ProbeAnswer {
    uint32_t version;
    uint32_t size; /* of this */
    uint32_t serial;
    int32_t errnum; /* 0, or why the file cannot be read */
    ImageProbe probe;
    uint64_t payload; /* LUKS1: where the data begins, bytes; else 0 */
} ProbeAnswer;
