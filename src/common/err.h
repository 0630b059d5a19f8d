/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of code without GLib (VMM, image engine): a negative errno as the return value, and, where a person
 * will read it, a text in an Err that the caller owns. The daemon's twin is error.h.
 */
#pragma once

typedef struct Err {
    int errnum;     /* positive errno, 0 when nothing is set */
    char text[496]; /* object, step, cause, cure; one line, no full stop at the end */
} Err;

/* Sets *err (which may be NULL) and returns -errnum, so that a failing function can "return err_set(...)". */
int err_set(Err *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before a text that is already there. Returns -err->errnum. */
int err_prefix(Err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
