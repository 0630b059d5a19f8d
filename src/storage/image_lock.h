/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps other openers of a file out, in QEMU's way (facts: block/file-posix.c): a permission that is held is a shared
 * OFD lock on byte 100 + n, one that is not granted to others a shared lock on byte 200 + n; before use everybody
 * asks whether somebody holds the counterpart. The locks belong to the open file description, so they pass with the
 * descriptor from process to process. Descriptors must be readable.
 */
#pragma once

#include "common/err.h"

enum {
    IMAGE_PERM_READ = 1 << 0,
    IMAGE_PERM_WRITE = 1 << 1,
    IMAGE_PERM_WRITE_UNCHANGED = 1 << 2,
    IMAGE_PERM_RESIZE = 1 << 3,
    IMAGE_PERM_ALL = 0xf,
};

/* Holds exactly `perms` and grants others exactly `shared` from now on; on failure (-EAGAIN: taken) what was held
 * before is still held. `held` and `unshared` remember the state; both start as 0. Files without locks: fine. */
int image_lock_set(int fd, unsigned perms, unsigned shared, unsigned *held, unsigned *unshared, const char *name,
                   Err *err);
