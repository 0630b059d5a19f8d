/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of kite-image share. A command that cannot go on says why and ends the program: die(). */
#pragma once

#include <stdint.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image.h"

#define CHUNK (2u << 20) /* bytes copied or compared at a time */

extern const char *passphrase; /* of encrypted images; NULL: none was given */
extern int open_direct;        /* O_DIRECT or 0: images are opened with it */

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* "10", "10G", ... in bytes. */
uint64_t parse_size(const char *text);
ImageFormat parse_format(const char *name);
/* name as an image in the folder dir (NULL: this one) means it. Caller frees. */
char *resolve(const char *dir, const char *name);
/* Caller frees. */
char *dir_of(const char *path);
/* What image_open() needs for a path; p->fd is open then. 0, or -errno. */
int fill_params(const char *path, ImageFormat format, unsigned flags, ImageOpenParams *p, Err *err);
/* format NULL: what its header says; flags: IMAGE_OPEN_*. Its backing and data files are opened too. */
Image *open_image(const char *path, const char *format, unsigned flags);
/* Writes what is left to write. */
void close_image(Image *image);

/* A command's arguments begin with its name. The exit status; 2: its usage is to be shown. */
int cmd_bench(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_io(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_rebase(int argc, char **argv);
int cmd_resize(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
