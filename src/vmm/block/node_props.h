/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every block node has: its name, and what is done with discards and with zeros that a guest writes. */
#pragma once

#include "vmm/block/block.h"

typedef struct NodeProps {
    bool read_only;
    bool unmap; /* "discard": space is given back */
    bool share_write;
    enum { DETECT_OFF, DETECT_ON, DETECT_UNMAP } detect_zeroes;
} NodeProps;

/* "node-name", "read-only", "discard", "detect-zeroes", "share-write"; the name goes into the block. */
int node_props_parse(NodeProps *node, Block *block, Props *props, Err *err);

/* Makes a write of nothing but zeros a zeroing, where the node is to look for those. */
void node_props_detect_zeroes(const NodeProps *node, BlockRequest *request);

const char *node_props_detect_name(const NodeProps *node);
