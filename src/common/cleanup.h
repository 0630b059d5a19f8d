/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound ownership for code without GLib (the VMM and the image engine). GLib code uses g_autofree,
 * g_autoptr and autofd from fd.h.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free __attribute__((cleanup(cleanup_freep)))
#define cleanup_close __attribute__((cleanup(cleanup_closep)))

/* Moves ownership out of a variable: leaves NULL / -1 behind. */
#define take_ptr(p)                                                                                          \
    ({                                                                                                       \
        __typeof__(p) take_ptr_ = (p);                                                                       \
        (p) = NULL;                                                                                          \
        take_ptr_;                                                                                           \
    })
#define take_fd(fd)                                                                                          \
    ({                                                                                                       \
        int take_fd_ = (fd);                                                                                 \
        (fd) = -1;                                                                                           \
        take_fd_;                                                                                            \
    })
