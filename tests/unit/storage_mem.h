/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host file in memory for tests of the image engine, with faults: after `allow` more changes every change fails with
 * `fail_with`, and everything since the last sync is kept apart, so that a power cut can lose or reorder it.
 */
#pragma once

#include <pthread.h>

#include "storage/image.h"

typedef struct MemWrite {
    uint64_t offset, length; /* truncate: new size in offset, data NULL, length UINT64_MAX */
    uint8_t *data;           /* NULL: zeros */
} MemWrite;

typedef struct MemFile {
    pthread_mutex_t lock;
    uint8_t *data, *durable;
    uint64_t size, room, durable_size, durable_room;
    MemWrite *unsynced;
    unsigned n_unsynced, room_unsynced;
    bool journal;
    int64_t allow; /* changes until the fault; -1: never */
    int fail_with;
    uint64_t n_changes, n_syncs;
} MemFile;

extern const ImageIo mem_io;

MemFile *mem_file_new(void);
void mem_file_free(MemFile *file);
/* What a reader finds after a power cut: the synced state plus those of the later changes that `keep` (a random
 * number; UINT64_MAX: all, 0: none) chooses. No faults in the copy. */
MemFile *mem_file_after_cut(MemFile *file, uint64_t keep);
MemFile *mem_file_copy(MemFile *file);
/* From a gzip'ed file of tests/data; NULL when it cannot be read. */
MemFile *mem_file_from_gz(const char *path);
int mem_file_save(const MemFile *file, const char *path);

/* Opens with mem_io; prints the error and returns NULL when it fails. */
Image *mem_open(MemFile *file, ImageFormat format, unsigned flags, Image *backing);
/* Creates; aborts the test program when it fails. */
void mem_create(MemFile *file, ImageCreateParams params);

/* Corruptions (and errors of the check itself), printed; leaks through ret_leaks. Opens read only. */
uint64_t mem_check(MemFile *file, uint64_t *ret_leaks);
/* Its exit status (2: corrupt, 3: leaks); 0 when it is not installed. What it does not like stays as NAME.tmp.qcow2. */
int qemu_img_check(const MemFile *file, const char *name, bool luks);
/* True: not installed, or content with the image. */
bool qemu_img_is_content(const MemFile *file, const char *name, bool luks);

static inline uint64_t mem_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
