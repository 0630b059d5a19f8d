/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD nodes against a server of our own in a thread, which can also lie. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/tap.h"
#include "vmm/block/block.h"
#include "vmm/block/nbd_node.h"
#include "vmm/block/nbd_protocol.h"
#include "vmm/loop.h"

enum { DISK = 1 << 20, HELD_MAX = 128 };

/* --- a server --- */

typedef enum Lie {
    HONEST,
    NO_GO, /* knows the old option only */
    UNKNOWN_EXPORT,
    WANTS_TLS,
    OLD_STYLE,
    NO_SIZE,
    BAD_BLOCKS,
    ENDLESS,
    ODD_REPLY, /* answers another option */
    HANGS_UP,
    BAD_MAGIC, /* from here on: in transmission */
    BAD_COOKIE,
    TWICE,
    DIES, /* at the first request */
    NO_SPACE,
} Lie;

typedef struct Server {
    int fd;
    Lie lie;
    uint16_t flags;
    uint32_t payload_max;
    bool backwards; /* collects eight requests and answers the last one first */
    bool chunks; /* sends a few bytes at a time */
    uint8_t *disk;
    unsigned count[8]; /* by command */
    unsigned fua, no_hole;
    uint32_t longest;
} Server;

static bool get(Server *s, void *data, size_t len)
{
    for (uint8_t *at = data; len > 0;) {
        ssize_t n = read(s->fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void put(Server *s, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        size_t part = s->chunks && len > 7 ? 7 : len;
        ssize_t n = send(s->fd, at, part, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

static void put_reply(Server *s, uint32_t option, uint32_t type, const uint8_t *data, uint32_t len)
{
    uint8_t reply[20];

    nbd_put32(nbd_put32(nbd_put32(nbd_put64(reply, 0x0003e889045565a9u), option), type), len);
    put(s, reply, sizeof reply);
    put(s, data, len);
}

static bool serve_go(Server *s)
{
    uint8_t info[14];

    if (s->lie == NO_GO) {
        put_reply(s, 7, 0x80000001u, NULL, 0);
        return false;
    }
    if (s->lie == UNKNOWN_EXPORT || s->lie == WANTS_TLS) {
        put_reply(s, 7, 0x80000000u | (s->lie == WANTS_TLS ? 5 : 6), (const uint8_t *)"no\x1b!", 4);
        return false;
    }
    if (s->lie == ODD_REPLY)
        put_reply(s, 6, 1, NULL, 0);
    for (unsigned i = 0; s->lie == ENDLESS && i < 1000; i++)
        put_reply(s, 7, 3, (const uint8_t *)"\0\2more", 6);
    if (s->lie != NO_SIZE) {
        nbd_put16(nbd_put64(nbd_put16(info, 0), DISK + 100), s->flags);
        put_reply(s, 7, 3, info, 12);
    }
    put_reply(s, 7, 3, (const uint8_t *)"\0\2a description", 15);
    nbd_put32(nbd_put32(nbd_put32(nbd_put16(info, 3), s->lie == BAD_BLOCKS ? 3 : 1), 4096), s->payload_max);
    put_reply(s, 7, 3, info, 14);
    put_reply(s, 7, 1, NULL, 0);
    return true;
}

/* Whether transmission follows. */
static bool serve_options(Server *s)
{
    uint8_t buffer[4096], old[8 + 2];
    uint32_t len;

    nbd_put16(nbd_put64(nbd_put64(buffer, 0x4e42444d41474943u), s->lie == OLD_STYLE ? 1 : 0x49484156454f5054u), 3);
    put(s, buffer, 18);
    if (!get(s, buffer, 4))
        return false;
    while (get(s, buffer, 16)) {
        uint32_t option = get_be32(buffer + 8);

        len = get_be32(buffer + 12);
        if (len > sizeof buffer || !get(s, buffer, len) || s->lie == HANGS_UP)
            return false;
        if (option == 7 && serve_go(s))
            return true;
        if (option == 1) {
            nbd_put16(nbd_put64(old, DISK), s->flags);
            put(s, old, sizeof old);
            return true;
        }
    }
    return false;
}

typedef struct Asked {
    uint16_t command;
    uint64_t cookie, offset;
    uint32_t len;
} Asked;

static void answer(Server *s, const Asked *a)
{
    uint8_t reply[16];

    nbd_put64(nbd_put32(nbd_put32(reply, s->lie == BAD_MAGIC ? 1 : NBD_SIMPLE_REPLY_MAGIC), s->lie == NO_SPACE ? 28 : 0),
              a->cookie + (s->lie == BAD_COOKIE));
    put(s, reply, sizeof reply);
    if (s->lie == TWICE && a->command != NBD_CMD_READ)
        put(s, reply, sizeof reply);
    if (a->command == NBD_CMD_READ && s->lie != NO_SPACE)
        put(s, s->disk + a->offset, a->len);
}

static void *serve(void *opaque)
{
    Server *s = opaque;
    Asked held[HELD_MAX];
    unsigned n = 0;
    uint8_t request[NBD_REQUEST_BYTES];

    if (!serve_options(s)) {
        close(s->fd);
        return NULL;
    }
    while (get(s, request, sizeof request) && s->lie != DIES) {
        uint16_t flags = get_be16(request + 4);
        Asked a = {get_be16(request + 6), get_be64(request + 8), get_be64(request + 16), get_be32(request + 24)};

        s->count[a.command % 8]++;
        s->fua += (flags & NBD_FLAG_FUA) != 0;
        s->no_hole += (flags & NBD_FLAG_NO_HOLE) != 0;
        if (a.len > s->longest)
            s->longest = a.len;
        if (get_be32(request) != NBD_REQUEST_MAGIC || a.command == NBD_CMD_DISCONNECT)
            break;
        if (a.command == NBD_CMD_WRITE && !get(s, s->disk + a.offset, a.len))
            break;
        if (a.command == NBD_CMD_WRITE_ZEROES || a.command == NBD_CMD_TRIM)
            memset(s->disk + a.offset, 0, a.len);
        held[n++] = a;
        if (s->backwards && n < 8)
            continue;
        while (n > 0)
            answer(s, &held[--n]);
    }
    close(s->fd);
    return NULL;
}

/* --- the node --- */

typedef struct Rig {
    Server server;
    pthread_t thread;
    Loop *loop;
    Block *block;
    int server_pipe; /* end of file when the node is gone */
    Err err;
} Rig;

static void start(Rig *t, const char *more)
{
    int pair[2], life[2];
    char *json = NULL;
    Props *props = NULL;
    json_t *object;

    t->server.disk = calloc(1, DISK);
    if (t->server.payload_max == 0)
        t->server.payload_max = NBD_PAYLOAD_MAX;
    t->server.flags |= NBD_HAS_FLAGS;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(life, O_CLOEXEC) < 0 ||
        loop_new("test", &t->loop, NULL) < 0 ||
        asprintf(&json, "{\"driver\":\"nbd\",\"node-name\":\"n\",\"export\":\"x\",\"fd\":%d,\"server-fd\":%d%s}", pair[0],
                 life[1], more) < 0)
        abort();
    t->server.fd = pair[1];
    t->server_pipe = life[0];
    pthread_create(&t->thread, NULL, serve, &t->server);
    object = json_loads(json, 0, NULL);
    t->block = NULL;
    props_new(object, NULL, NULL, &props, NULL);
    block_new(props, t->loop, NULL, NULL, &t->block, &t->err);
    props_free(props);
    json_decref(object);
    free(json);
}

static void stop(Rig *t)
{
    char c;

    block_close(t->block);
    ok(read(t->server_pipe, &c, 1) == 0, "the server's descriptor is closed with the node");
    close(t->server_pipe);
    pthread_join(t->thread, NULL);
    loop_free(t->loop);
    free(t->server.disk);
}

typedef struct Ask {
    BlockRequest request;
    struct iovec iov[3];
    int result;
    bool done;
} Ask;

static void completed(BlockRequest *request, int result)
{
    Ask *ask = request->opaque;

    ask->result = result;
    ask->done = true;
}

static void submit(Rig *t, Ask *ask, BlockOpKind kind, unsigned flags, uint64_t offset, uint8_t *data, uint64_t len)
{
    size_t first = len > 600 ? 600 : len;

    *ask = (Ask){.iov = {{data, first}, {data ? data + first : NULL, len - first}}};
    ask->request = (BlockRequest){.kind = kind, .flags = flags, .offset = offset, .length = len, .iov = ask->iov,
                                  .iov_count = 2, .complete = completed, .opaque = ask};
    block_submit(t->block, &ask->request);
}

static int wait_for(Rig *t, Ask *ask)
{
    while (!ask->done)
        loop_iterate(t->loop, true);
    return ask->result;
}

static int io(Rig *t, BlockOpKind kind, unsigned flags, uint64_t offset, uint8_t *data, uint64_t len)
{
    Ask ask;

    submit(t, &ask, kind, flags, offset, data, len);
    return wait_for(t, &ask);
}

static bool all(const uint8_t *data, uint8_t value, size_t len)
{
    while (len > 0 && data[len - 1] == value)
        len--;
    return len == 0;
}

/* --- cases --- */

#define ABLE (NBD_CAN_FLUSH | NBD_CAN_FUA | NBD_CAN_TRIM | NBD_CAN_WRITE_ZEROES)

static void test_all_commands(void)
{
    Rig t = {.server = {.flags = ABLE}};
    static uint8_t data[65536];

    start(&t, ",\"discard\":\"unmap\",\"detect-zeroes\":\"unmap\"");
    ok(t.block != NULL && t.block->info.size == DISK && t.block->info.alignment == 512 && t.block->info.can_discard &&
           t.block->info.can_write_zeroes && !t.block->info.read_only,
       "an export, its ragged end left out: %s", t.err.text);
    memset(data, 7, sizeof data);
    ok(io(&t, BLOCK_WRITE, 0, 4096, data, sizeof data) == 0 && all(t.server.disk + 4096, 7, sizeof data) &&
           t.server.disk[4095] == 0,
       "write");
    memset(data, 0, sizeof data);
    ok(io(&t, BLOCK_READ, 0, 4096, data, sizeof data) == 0 && all(data, 7, sizeof data), "read");
    ok(io(&t, BLOCK_FLUSH, 0, 0, NULL, 0) == 0 && t.server.count[NBD_CMD_FLUSH] == 1, "flush");
    ok(io(&t, BLOCK_WRITE, BLOCK_FUA, 0, data, 512) == 0 && t.server.fua == 1, "a write through the cache");
    ok(io(&t, BLOCK_WRITE_ZEROES, 0, 4096, NULL, 4096) == 0 && t.server.no_hole == 1 &&
           all(t.server.disk + 4096, 0, 4096),
       "zeroes that keep their space");
    ok(io(&t, BLOCK_WRITE_ZEROES, BLOCK_MAY_UNMAP, 8192, NULL, 4096) == 0 && t.server.no_hole == 1, "zeroes that need none");
    ok(io(&t, BLOCK_DISCARD, 0, 16384, NULL, 4096) == 0 && t.server.count[NBD_CMD_TRIM] == 1, "discard");
    memset(data, 0, 4096);
    ok(io(&t, BLOCK_WRITE, 0, 0, data, 4096) == 0 && t.server.count[NBD_CMD_WRITE_ZEROES] == 3 && t.server.no_hole == 1,
       "zeroes that the guest writes are seen");
    ok(io(&t, BLOCK_READ, 0, DISK, data, 512) == -EINVAL, "beyond the end");
    ok(block_resize(t.block, DISK * 2, &t.err) == -ENOTSUP, "no resize");
    stop(&t);
    ok(t.server.count[NBD_CMD_DISCONNECT] == 1, "it says good-bye");
}

static void test_poor_server(void)
{
    Rig t = {.server = {.lie = NO_GO, .flags = NBD_CAN_FLUSH, .chunks = true}};
    static uint8_t data[4096];

    start(&t, ",\"discard\":\"unmap\",\"detect-zeroes\":\"on\"");
    ok(t.block != NULL && t.block->info.size == DISK && !t.block->info.can_discard && !t.block->info.can_write_zeroes,
       "a server without options");
    memset(data, 9, sizeof data);
    ok(io(&t, BLOCK_WRITE, BLOCK_FUA, 0, data, sizeof data) == 0 && t.server.fua == 0 && t.server.count[NBD_CMD_FLUSH] == 1,
       "write-through becomes write and flush");
    ok(io(&t, BLOCK_DISCARD, 0, 0, NULL, 4096) == 0 && t.server.disk[0] == 9, "discard: nothing happens");
    ok(io(&t, BLOCK_WRITE_ZEROES, 0, 0, NULL, 4096) == -ENOTSUP, "zeroing is refused");
    memset(data, 0, sizeof data);
    ok(io(&t, BLOCK_WRITE, 0, 0, data, sizeof data) == 0 && t.server.disk[0] == 0 && t.server.count[NBD_CMD_WRITE] == 2,
       "zeroes go as data");
    memset(t.server.disk, 3, 4096);
    ok(io(&t, BLOCK_READ, 0, 0, data, sizeof data) == 0 && all(data, 3, sizeof data), "an answer in small pieces");
    stop(&t);
}

static void test_many(void)
{
    enum { N = 200, LEN = 4096 }; /* more than operations */
    Rig t = {.server = {.flags = ABLE, .payload_max = 1536, .backwards = true}};
    static uint8_t data[N][LEN];
    static Ask asks[N];
    bool good = true;

    start(&t, "");
    for (unsigned i = 0; i < N; i++) {
        memset(data[i], (int)i + 1, LEN);
        submit(&t, &asks[i], BLOCK_WRITE, 0, (uint64_t)i * LEN, data[i], LEN);
    }
    for (unsigned i = 0; i < N; i++)
        good = wait_for(&t, &asks[i]) == 0 && good;
    ok(good && t.server.longest == 1536 && t.server.count[NBD_CMD_WRITE] == 3 * N, "many writes, in pieces, out of order");
    memset(data, 0, sizeof data);
    for (unsigned i = 0; i < N; i++)
        submit(&t, &asks[i], BLOCK_READ, 0, (uint64_t)i * LEN, data[i], LEN);
    for (unsigned i = 0; i < N; i++)
        good = wait_for(&t, &asks[i]) == 0 && all(data[i], (uint8_t)(i + 1), LEN) && good;
    ok(good, "many reads");
    stop(&t);
}

static void test_refusals(void)
{
    static const struct {
        Lie lie;
        int error;
        const char *text;
    } cases[] = {
        {UNKNOWN_EXPORT, ENOENT, "no export of that name: no?!"},
        {WANTS_TLS, ENOTSUP, "TLS"},
        {OLD_STYLE, ENOTSUP, "old protocol"},
        {NO_SIZE, EPROTO, "how large"},
        {BAD_BLOCKS, EPROTO, "impossible block sizes"},
        {ENDLESS, EPROTO, "come to an end"},
        {ODD_REPLY, EPROTO, "not asked"},
        {HANGS_UP, ECONNRESET, "closed the connection"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Rig t = {.server = {.lie = cases[i].lie, .flags = ABLE}};

        start(&t, "");
        ok(t.block == NULL && t.err.errnum == cases[i].error && strstr(t.err.text, cases[i].text) != NULL, "refused: %s",
           t.err.text);
        stop(&t);
    }
}

static void test_read_only(void)
{
    Rig t = {.server = {.flags = NBD_READ_ONLY}}, u = t;
    uint8_t data[512] = {0};

    start(&t, "");
    ok(t.block == NULL && t.err.errnum == EACCES, "a disk that is to be written needs an export that can be: %s",
       t.err.text);
    stop(&t);
    start(&u, ",\"read-only\":true");
    ok(u.block != NULL && u.block->info.read_only && io(&u, BLOCK_WRITE, 0, 0, data, 512) == -EROFS &&
           io(&u, BLOCK_READ, 0, 0, data, 512) == 0,
       "read only");
    stop(&u);
}

/* Requests are under way, and wait, when the server errs. */
static void test_lies(void)
{
    static const Lie lies[] = {BAD_MAGIC, BAD_COOKIE, TWICE, DIES};

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        Rig t = {.server = {.lie = lies[i], .flags = ABLE}};
        static uint8_t data[512];
        Ask asks[100];
        unsigned failed = 0;

        start(&t, "");
        for (unsigned k = 0; k < 100; k++)
            submit(&t, &asks[k], BLOCK_WRITE, 0, k * 512, data, 512);
        for (unsigned k = 0; k < 100; k++)
            failed += wait_for(&t, &asks[k]) == -EIO;
        ok(failed >= 98 && io(&t, BLOCK_READ, 0, 0, data, 512) == -EIO, "lie %u: requests fail, and all later ones",
           (unsigned)lies[i]);
        block_drain(t.block);
        stop(&t);
    }
}

static void test_errors(void)
{
    Rig t = {.server = {.lie = NO_SPACE, .flags = ABLE}};
    uint8_t data[512] = {0};

    start(&t, "");
    ok(io(&t, BLOCK_WRITE, 0, 0, data, 512) == -ENOSPC && io(&t, BLOCK_READ, 0, 0, data, 512) == -ENOSPC &&
           io(&t, BLOCK_FLUSH, 0, 0, NULL, 0) == -ENOSPC,
       "the server's errors are told");
    stop(&t);
}

static json_t *server_object(Server *s, pthread_t *thread)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    s->fd = pair[1];
    s->payload_max = NBD_PAYLOAD_MAX;
    s->flags |= NBD_HAS_FLAGS;
    s->disk = calloc(1, DISK);
    pthread_create(thread, NULL, serve, s);
    return json_pack("{s:s, s:s, s:s, s:i, s:b}", "driver", "nbd", "node-name", "n", "export", "x", "fd", pair[0],
                     "read-only", 0);
}

static void test_another_server(void)
{
    Rig t = {.server = {.lie = DIES, .flags = ABLE}};
    Server poor = {.flags = NBD_CAN_FLUSH}, good = {.flags = ABLE}, more = good;
    pthread_t threads[3];
    json_t *objects[] = {server_object(&poor, &threads[0]), server_object(&good, &threads[1]),
                         server_object(&more, &threads[2])};
    uint8_t data[512] = {5};

    start(&t, ",\"discard\":\"unmap\"");
    ok(io(&t, BLOCK_READ, 0, 0, data, 512) == -EIO, "the server dies");
    ok(nbd_node_reopen(t.block, objects[0], NULL, NULL, &t.err) == -EINVAL, "another one can do less: %s", t.err.text);
    ok(io(&t, BLOCK_READ, 0, 0, data, 512) == -EIO, "and is not taken");
    ok(nbd_node_reopen(t.block, objects[1], NULL, NULL, &t.err) == 0, "one that can do as much: %s", t.err.text);
    memset(data, 5, sizeof data);
    ok(io(&t, BLOCK_WRITE, 0, 512, data, 512) == 0 && good.disk[512] == 5 && io(&t, BLOCK_READ, 0, 512, data, 512) == 0,
       "goes on where the other was");
    ok(nbd_node_reopen(t.block, objects[2], NULL, NULL, &t.err) == -EBUSY, "a server that is there stays: %s", t.err.text);
    stop(&t);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        json_decref(objects[i]);
    }
    free(poor.disk);
    free(good.disk);
    free(more.disk);
}

static void test_timeout(void)
{
    NbdExport export;
    Err err = {0};
    int pair[2];

    ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "a server that says nothing");
    ok(nbd_negotiate(pair[0], "", loop_now() + 10000000, &export, &err) == -ETIMEDOUT, "is not waited for for ever: %s",
       err.text);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    test_all_commands();
    test_poor_server();
    test_many();
    test_refusals();
    test_read_only();
    test_lies();
    test_errors();
    test_another_server();
    test_timeout();
    return done();
}
