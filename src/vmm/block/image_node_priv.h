/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of image nodes share: image_node.c opens and describes them, image_node_request.c serves their
 * requests. */
#pragma once

#include <pthread.h>

#include "storage/image.h"
#include "vmm/block/block.h"
#include "vmm/block/io.h"
#include "vmm/block/node_props.h"

typedef struct ImageNode ImageNode;
struct ImageNode {
    Block base;
    Image *image; /* NULL while it belongs to a node above */
    bool is_view; /* the image is another node's */
    BlockIo *io;
    int fd; /* file nodes: ours; -1 else */
    ImageNode *file, *backing, *data; /* below */
    ImageFormat format;
    NodeProps props;
    bool no_flush, no_lock, no_backing;
    uint32_t direct_align; /* image_direct_align() */
    uint64_t raw_offset, raw_size;
    void *key;
    size_t key_len;

    /* Requests (image_node_request.c). */
    struct ImageNodeOp *free_ops; /* kept for the next ones */
    unsigned free_count;
    pthread_mutex_t lock; /* guards resumed */
    struct ImageNodeOp *resumed; /* the engine says that they may go on */
    LoopPost resume_post;
};

/* The node that has the file; of a view it is that of the node. */
Block *image_node_storage(Block *block);

/* BlockOps.submit; the node's loop. */
void image_node_submit(Block *block, BlockRequest *request);
/* Before the first request, and after the last one. */
void image_node_requests_init(ImageNode *node);
void image_node_requests_free(ImageNode *node);
