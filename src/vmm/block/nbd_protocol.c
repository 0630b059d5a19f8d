/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The negotiation of NBD: see nbd_protocol.h. NBD_OPT_GO tells size, flags and block sizes; a server that does not know it
 * is asked with NBD_OPT_EXPORT_NAME, which can only say yes or hang up.
 *
 * #syscalls poll recvfrom sendto
 */
#include "vmm/block/nbd_protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/checked.h"
#include "vmm/loop.h"

#define GREETING_MAGIC 0x4e42444d41474943u /* "NBDMAGIC" */
#define OPTION_MAGIC 0x49484156454f5054u /* "IHAVEOPT" */
#define REPLY_MAGIC 0x0003e889045565a9u

enum { FIXED_NEWSTYLE = 1 << 0, NO_ZEROES = 1 << 1 }; /* handshake flags, of both sides */
enum { OPT_EXPORT_NAME = 1, OPT_GO = 7 };
enum { REP_ACK = 1, REP_INFO = 3 };
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum { REPLIES_MAX = 64, REPLY_MAX = 64 << 10, ZEROES_AFTER_NAME = 124 };
enum { BLOCK_MIN_MAX = 64 << 10 };

#define REP_ERROR 0x80000000u
#define REP_ERR_UNSUP (REP_ERROR | 1)

static const struct {
    uint32_t type;
    int errnum;
    const char *text;
} refusals[] = {
    {REP_ERROR | 2, EACCES, "it is not allowed"},
    {REP_ERROR | 3, EPROTO, "it did not understand the request"},
    {REP_ERROR | 4, ENOTSUP, "its platform cannot do that"},
    {REP_ERROR | 5, ENOTSUP, "it asks for TLS, which is not supported"},
    {REP_ERROR | 6, ENOENT, "it has no export of that name"},
    {REP_ERROR | 7, ECONNREFUSED, "it is shutting down"},
    {REP_ERROR | 8, ENOTSUP, "it wants another block size"},
    {REP_ERROR | 9, ENOTSUP, "the request is too big for it"},
};

static const struct {
    uint32_t error;
    int errnum;
} errors[] = {{1, EPERM}, {12, ENOMEM}, {22, EINVAL}, {28, ENOSPC}, {75, EOVERFLOW}, {95, ENOTSUP}};

typedef struct Talk {
    int fd;
    uint64_t deadline;
    Err *err;
} Talk;

int nbd_errno(uint32_t error)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].error == error)
            return errors[i].errnum;
    }
    return EIO;
}

/* --- bytes --- */

static int wait_for(const Talk *t, short events)
{
    struct pollfd pfd = {.fd = t->fd, .events = events};

    for (;;) {
        uint64_t now = loop_now();
        int r = now < t->deadline ? poll(&pfd, 1, (int)MIN((t->deadline - now) / 1000000 + 1, 60000u)) : 0;

        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return err_set(t->err, errno, "cannot wait for the NBD server: %s", strerror(errno));
        if (r == 0 && loop_now() >= t->deadline)
            return err_set(t->err, ETIMEDOUT, "the NBD server does not answer");
    }
}

static int transfer(const Talk *t, bool out, uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t n = out ? send(t->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(t->fd, data, length, MSG_DONTWAIT);
        int r;

        if (n > 0) {
            data += n;
            length -= (size_t)n;
        } else if (n == 0) {
            return err_set(t->err, ECONNRESET, "the NBD server closed the connection");
        } else if (errno == EAGAIN) {
            if ((r = wait_for(t, out ? POLLOUT : POLLIN)) < 0)
                return r;
        } else if (errno != EINTR) {
            return err_set(t->err, errno, "the connection to the NBD server failed: %s", strerror(errno));
        }
    }
    return 0;
}

static int receive(const Talk *t, uint8_t *data, size_t length)
{
    return transfer(t, false, data, length);
}

static int discard(const Talk *t, uint32_t length)
{
    uint8_t buffer[512];
    int r = 0;

    for (uint32_t part; length > 0 && r == 0; length -= part) {
        part = MIN(length, (uint32_t)sizeof buffer);
        r = receive(t, buffer, part);
    }
    return r;
}

/* --- steps --- */

static int greet(const Talk *t, uint32_t *ret_flags)
{
    uint8_t buffer[18], answer[4];
    uint32_t flags;
    int r = receive(t, buffer, 16);

    if (r < 0)
        return r;
    if (get_be64(buffer) != GREETING_MAGIC)
        return err_set(t->err, EPROTO, "what answers is no NBD server");
    if (get_be64(buffer + 8) != OPTION_MAGIC)
        return err_set(t->err, ENOTSUP, "the NBD server speaks the old protocol, without export names");
    if ((r = receive(t, buffer + 16, 2)) < 0)
        return r;
    flags = get_be16(buffer + 16);
    if (!(flags & FIXED_NEWSTYLE))
        return err_set(t->err, ENOTSUP, "the NBD server cannot negotiate (no fixed newstyle)");
    *ret_flags = flags & (FIXED_NEWSTYLE | NO_ZEROES);
    nbd_put32(answer, *ret_flags);
    return transfer(t, true, answer, sizeof answer);
}

static int send_option(const Talk *t, uint32_t option, uint8_t *data, uint32_t length)
{
    uint8_t header[16];
    int r;

    nbd_put32(nbd_put32(nbd_put64(header, OPTION_MAGIC), option), length);
    r = transfer(t, true, header, sizeof header);
    return r < 0 ? r : transfer(t, true, data, length);
}

static bool is_power(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static int take_info(const Talk *t, const uint8_t *data, uint32_t length, NbdExport *ret, bool *told)
{
    uint16_t what = length >= 2 ? get_be16(data) : UINT16_MAX;

    if (what == INFO_EXPORT && length == 12) {
        ret->size = get_be64(data + 2);
        ret->flags = get_be16(data + 10);
        *told = true;
    } else if (what == INFO_BLOCK_SIZE && length == 14) {
        ret->block_min = get_be32(data + 2);
        ret->block_preferred = get_be32(data + 6);
        ret->payload_max = get_be32(data + 10);
        if (!is_power(ret->block_min) || ret->block_min > BLOCK_MIN_MAX || !is_power(ret->block_preferred) ||
            ret->block_preferred < ret->block_min || ret->payload_max < ret->block_min)
            return err_set(t->err, EPROTO, "the NBD server names impossible block sizes: %u, %u, %u", ret->block_min,
                           ret->block_preferred, ret->payload_max);
    } else if (what == INFO_EXPORT || what == INFO_BLOCK_SIZE || length < 2) {
        return err_set(t->err, EPROTO, "the NBD server sent an information of %u bytes that is none", length);
    }
    return 0;
}

/* The server's own words are printable as far as they are kept. */
static int refused(const Talk *t, uint32_t type, const uint8_t *data, uint32_t length, const char *name)
{
    int errnum = EPROTO;
    const char *why = "for a reason that is not known";
    char words[161];
    size_t n = MIN(length, sizeof words - 1);

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (refusals[i].type == type) {
            errnum = refusals[i].errnum;
            why = refusals[i].text;
        }
    }
    for (size_t i = 0; i < n; i++)
        words[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
    words[n] = '\0';
    return err_set(t->err, errnum, "the NBD server refuses the export '%.80s': %s%s%s", name, why, n > 0 ? ": " : "",
                   words);
}

/* 0: *ret is filled; 1: it does not know the option. */
static int go(const Talk *t, const char *name, NbdExport *ret)
{
    uint8_t data[NBD_NAME_MAX + 8], *at = data, header[20];
    uint32_t length = (uint32_t)strlen(name);
    bool told = false;
    int r;

    at = nbd_put32(at, length);
    memcpy(at, name, length);
    at = nbd_put16(nbd_put16(at + length, 1), INFO_BLOCK_SIZE);
    if ((r = send_option(t, OPT_GO, data, (uint32_t)(at - data))) < 0)
        return r;
    for (unsigned i = 0; i < REPLIES_MAX; i++) {
        uint32_t type, kept;

        if ((r = receive(t, header, sizeof header)) < 0)
            return r;
        type = get_be32(header + 12);
        length = get_be32(header + 16);
        kept = MIN(length, (uint32_t)sizeof data);
        if (get_be64(header) != REPLY_MAGIC || get_be32(header + 8) != OPT_GO || length > REPLY_MAX)
            return err_set(t->err, EPROTO, "the NBD server answers what it was not asked");
        if ((r = receive(t, data, kept)) < 0 || (r = discard(t, length - kept)) < 0)
            return r;
        if (type == REP_ERR_UNSUP)
            return 1;
        if (type & REP_ERROR)
            return refused(t, type, data, kept, name);
        if (type == REP_ACK)
            return told ? 0 : err_set(t->err, EPROTO, "the NBD server did not say how large the export is");
        if (type == REP_INFO && (r = take_info(t, data, length, ret, &told)) < 0)
            return r;
    }
    return err_set(t->err, EPROTO, "the NBD server does not come to an end");
}

static int by_name(const Talk *t, const char *name, bool zeroes, NbdExport *ret)
{
    uint8_t data[NBD_NAME_MAX], header[10];
    uint32_t length = (uint32_t)strlen(name);
    int r;

    memcpy(data, name, length);
    if ((r = send_option(t, OPT_EXPORT_NAME, data, length)) < 0)
        return r;
    if ((r = receive(t, header, sizeof header)) == -ECONNRESET)
        return err_set(t->err, ENOENT, "the NBD server refuses the export '%.80s'", name);
    if (r < 0)
        return r;
    ret->size = get_be64(header);
    ret->flags = get_be16(header + 8);
    return zeroes ? discard(t, ZEROES_AFTER_NAME) : 0;
}

int nbd_negotiate(int fd, const char *name, uint64_t deadline, NbdExport *ret, Err *err)
{
    const Talk t = {fd, deadline, err};
    uint32_t flags = 0;
    int r;

    *ret = (NbdExport){.block_min = 1, .block_preferred = 4096, .payload_max = NBD_PAYLOAD_MAX};
    if (strlen(name) > NBD_NAME_MAX)
        return err_set(err, ENAMETOOLONG, "the name of an NBD export has %d bytes at most", NBD_NAME_MAX);
    if ((r = greet(&t, &flags)) < 0)
        return r;
    r = go(&t, name, ret);
    if (r > 0)
        r = by_name(&t, name, !(flags & NO_ZEROES), ret);
    if (r < 0)
        return r;
    ret->payload_max = MIN(ret->payload_max, (uint32_t)NBD_PAYLOAD_MAX);
    if (!(ret->flags & NBD_HAS_FLAGS) || ret->size > INT64_MAX)
        return err_set(err, EPROTO, "the NBD server describes its export in an impossible way");
    return 0;
}
