/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: either descriptors from the daemon, or a VM described by hand, which becomes the same
 * description. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

typedef struct Options {
    int desc_fd, qmp_fd; /* -1: not given */
    bool no_sandbox;
    bool check_only; /* --check: build the machine, run nothing */
    json_t *description; /* by hand; owned, NULL with desc_fd */
} Options;

/* 0; 1: help or version was printed, exit with 0; -errno. */
int options_parse(int argc, char **argv, Options *ret, Err *err);

/* Parts of the description from options (options_devices.c). Paths are opened here. */
int options_open(const char *path, int flags, const char *what, Err *err);
int options_add_disk(json_t *desc, const char *spec, Err *err);
int options_add_channel(json_t *desc, const char *spec, Err *err);
void options_add_virtio_console(json_t *desc);
