/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An NBD server that says anything, and then nothing more. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/block/block.h"
#include "vmm/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ASKS = 80, LEN = 1024 };

static unsigned left;

static void completed(BlockRequest *request, int result)
{
    (void)request;
    (void)result;
    left--;
}

static void ask(Block *block)
{
    static uint8_t memory[ASKS][LEN];
    static struct iovec iov[ASKS];
    static BlockRequest requests[ASKS];
    static const BlockOpKind kinds[] = {BLOCK_READ, BLOCK_WRITE, BLOCK_READ, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES};

    left = ASKS;
    for (unsigned i = 0; i < ASKS; i++) {
        BlockOpKind kind = kinds[i % 6];

        iov[i] = (struct iovec){memory[i], LEN};
        requests[i] = (BlockRequest){.kind = kind, .iov = &iov[i], .iov_count = 1, .complete = completed,
                                     .length = kind == BLOCK_FLUSH ? 0 : LEN};
        block_submit(block, &requests[i]);
    }
    block_flush_queue(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Props *props = NULL;
    Block *block = NULL;
    Loop *loop = NULL;
    json_t *object;
    int pair[2];

    if (size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    object = json_pack("{s:s, s:s, s:i, s:s, s:s}", "driver", "nbd", "node-name", "n", "fd", pair[0], "discard", "unmap",
                       "detect-zeroes", "on");
    (void)props_new(object, NULL, NULL, &props, NULL);
    (void)loop_new("fuzz", &loop, NULL);
    (void)!send(pair[1], data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(pair[1], SHUT_WR); /* the end of what there is: nothing is waited for */
    if (block_new(props, loop, NULL, NULL, &block, NULL) == 0) {
        ask(block);
        while (left > 0)
            loop_iterate(loop, true);
    }
    block_close(block);
    close(pair[1]);
    loop_free(loop);
    props_free(props);
    json_decref(object);
    return 0;
}
