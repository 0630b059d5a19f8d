/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Load on a disk with proof: threads write blocks of changing size at random places of their own share of a device,
 * read some back at once and all of them at the end, past the page cache, and compare every byte.
 *
 * usage: disk_load DEVICE SECONDS THREADS [MIB]      MIB: how much of the device is used (default 64)
 *
 * Each 4 KiB block holds a generator's output whose seed is (block, version); the version of every block is kept here.
 * Ends with "DISK-LOAD good writes=N reads=N errors=0" and 0, or with what was wrong and 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define MAX_RUN 32u /* blocks in one request */

typedef struct Share {
    pthread_t thread;
    const char *device;
    uint32_t first, count;
    uint32_t *versions; /* of the blocks from 'first'; 0 = never written */
    uint64_t random;
    unsigned long writes, reads;
    int seconds;
    int bad;
} Share;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fill(uint8_t *block, uint32_t number, uint32_t version)
{
    uint64_t state = ((uint64_t)number << 32 | version) * 0x9e3779b97f4a7c15u | 1, word;

    for (unsigned at = 0; at < BLOCK; at += sizeof word) {
        word = next_random(&state);
        memcpy(block + at, &word, sizeof word);
    }
}

static void complain(Share *share, const char *what, uint32_t block, int err)
{
    printf("DISK-LOAD %s at block %u of %s: %s\n", what, block, share->device, err != 0 ? strerror(err) : "wrong bytes");
    fflush(stdout);
    share->bad++;
}

static void check(Share *share, int fd, uint8_t *buffer, uint32_t at, uint32_t run)
{
    static _Thread_local uint8_t want[BLOCK];
    ssize_t n = pread(fd, buffer, (size_t)run * BLOCK, (off_t)(share->first + at) * BLOCK);

    if (n != (ssize_t)run * BLOCK) {
        complain(share, "read", share->first + at, n < 0 ? errno : EIO);
        return;
    }
    share->reads++;
    for (uint32_t i = 0; i < run; i++) {
        if (share->versions[at + i] == 0)
            continue;
        fill(want, share->first + at + i, share->versions[at + i]);
        if (memcmp(want, buffer + (size_t)i * BLOCK, BLOCK) != 0)
            complain(share, "compare", share->first + at + i, 0);
    }
}

static void *load(void *opaque)
{
    Share *share = opaque;
    uint8_t *buffer = NULL;
    int fd = open(share->device, O_RDWR | O_DIRECT | O_CLOEXEC);
    time_t end = time(NULL) + share->seconds;

    if (fd < 0 || posix_memalign((void **)&buffer, BLOCK, (size_t)MAX_RUN * BLOCK) != 0) {
        complain(share, "open", 0, errno);
        return NULL;
    }
    while (time(NULL) < end && share->bad == 0) {
        uint64_t random = next_random(&share->random);
        uint32_t run = 1 + (uint32_t)(random >> 8) % MAX_RUN;
        uint32_t at = (uint32_t)(random >> 32) % (share->count - MAX_RUN);

        if (random % 4 == 0) {
            check(share, fd, buffer, at, run);
            continue;
        }
        for (uint32_t i = 0; i < run; i++)
            fill(buffer + (size_t)i * BLOCK, share->first + at + i, ++share->versions[at + i]);
        if (pwrite(fd, buffer, (size_t)run * BLOCK, (off_t)(share->first + at) * BLOCK) != (ssize_t)run * BLOCK)
            complain(share, "write", share->first + at, errno);
        share->writes++;
        if (random % 61 == 0 && fdatasync(fd) < 0)
            complain(share, "flush", share->first + at, errno);
    }
    if (share->bad == 0 && fdatasync(fd) < 0)
        complain(share, "flush", 0, errno);
    for (uint32_t at = 0; at < share->count && share->bad == 0; at += MAX_RUN)
        check(share, fd, buffer, at, share->count - at < MAX_RUN ? share->count - at : MAX_RUN);
    close(fd);
    free(buffer);
    return NULL;
}

int main(int argc, char **argv)
{
    int seconds = argc > 2 ? atoi(argv[2]) : 0, threads = argc > 3 ? atoi(argv[3]) : 0, bad = 0;
    uint32_t blocks = (uint32_t)(argc > 4 ? atoi(argv[4]) : 64) * (1048576 / BLOCK);
    unsigned long writes = 0, reads = 0;
    Share *shares = calloc((size_t)(threads > 0 ? threads : 1), sizeof *shares);
    uint32_t *versions = calloc(blocks + 1, sizeof *versions);

    if (argc < 4 || seconds < 1 || threads < 1 || blocks / (uint32_t)threads <= MAX_RUN || shares == NULL ||
        versions == NULL) {
        fprintf(stderr, "usage: disk_load DEVICE SECONDS THREADS [MIB]\n");
        return 2;
    }
    for (int i = 0; i < threads; i++) {
        uint32_t count = blocks / (uint32_t)threads;

        shares[i] = (Share){.device = argv[1], .first = (uint32_t)i * count, .count = count, .seconds = seconds,
                            .versions = versions + (uint32_t)i * count, .random = 88172645463325252u + (uint64_t)i};
        if (pthread_create(&shares[i].thread, NULL, load, &shares[i]) != 0)
            return 2;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(shares[i].thread, NULL);
        writes += shares[i].writes;
        reads += shares[i].reads;
        bad += shares[i].bad;
    }
    free(versions);
    free(shares);
    printf("DISK-LOAD %s writes=%lu reads=%lu errors=%d\n", bad == 0 ? "good" : "BAD", writes, reads, bad);
    return bad != 0;
}
