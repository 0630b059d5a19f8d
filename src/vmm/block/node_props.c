/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See node_props.h. */
#include "vmm/block/node_props.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"

static const char *const detect_names[] = {"off", "on", "unmap"};

int node_props_parse(NodeProps *node, Block *block, Props *props, Err *err)
{
    const char *name, *discard, *detect;
    size_t i = 0;
    int r;

    if ((r = props_string(props, "node-name", "", &name, err)) < 0 ||
        (r = props_bool(props, "read-only", false, &node->read_only, err)) < 0 ||
        (r = props_string(props, "discard", "ignore", &discard, err)) < 0 ||
        (r = props_string(props, "detect-zeroes", "off", &detect, err)) < 0 ||
        (r = props_bool(props, "share-write", false, &node->share_write, err)) < 0)
        return r;
    snprintf(block->node_name, sizeof block->node_name, "%s", name);
    if (name[0] == '\0' || strlen(name) >= sizeof block->node_name)
        return err_set(err, EINVAL, "block node: 'node-name' must have 1 to %zu bytes", sizeof block->node_name - 1);
    node->unmap = strcmp(discard, "unmap") == 0 || strcmp(discard, "on") == 0;
    if (!node->unmap && strcmp(discard, "ignore") != 0 && strcmp(discard, "off") != 0)
        return err_set(err, EINVAL, "block node %s: 'discard' must be ignore or unmap", name);
    while (i < ARRAY_LEN(detect_names) && strcmp(detect, detect_names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(detect_names))
        return err_set(err, EINVAL, "block node %s: 'detect-zeroes' must be off, on or unmap", name);
    node->detect_zeroes = (int)i;
    return 0;
}

static bool is_zero(const BlockRequest *request)
{
    for (unsigned i = 0; i < request->iov_count; i++) {
        const uint8_t *at = request->iov[i].iov_base;
        size_t len = request->iov[i].iov_len;

        if (len == 0 || at[0] != 0 || at[len - 1] != 0 || at[len / 2] != 0 || memcmp(at, at + 1, len - 1) != 0)
            return false;
    }
    return true;
}

void node_props_detect_zeroes(const NodeProps *node, BlockRequest *request)
{
    if (request->kind != BLOCK_WRITE || node->detect_zeroes == DETECT_OFF || !is_zero(request))
        return;
    request->kind = BLOCK_WRITE_ZEROES;
    request->flags |= node->detect_zeroes == DETECT_UNMAP ? BLOCK_MAY_UNMAP : 0;
}

const char *node_props_detect_name(const NodeProps *node)
{
    return detect_names[node->detect_zeroes];
}
