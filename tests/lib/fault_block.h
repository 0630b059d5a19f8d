/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A block node in memory for tests: errors and delays on demand. */
#pragma once

#include "vmm/block/block.h"

typedef struct FaultBlock {
    Block base;
    uint8_t *data;
    int error; /* -errno for the next `count` reads and writes */
    unsigned count;
    bool defer; /* completes when fault_block_release() is called */
    BlockRequest *waiting;
    unsigned flushes, discards, zeroes, fua, requests;
} FaultBlock;

FaultBlock *fault_block_new(Loop *loop, uint64_t size);
void fault_block_release(FaultBlock *block);
