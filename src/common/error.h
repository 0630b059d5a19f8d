/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's errors: GError in one domain, KITE_ERROR, whose code packs libvirt's error number
 * (virErrorNumber) and libvirt's error domain (virErrorDomain: which driver speaks).
 *
 * A source file that is not the hypervisor driver says who it is before any include:
 *     #define ERROR_FROM VIR_FROM_NETWORK
 *
 * The message holds the detail only ("no domain with matching name 'x'"); error_full_text() puts libvirt's
 * standing words for the number before it ("Domain not found: ..."), as clients see it.
 */
#pragma once

#include <glib.h>
#include <libvirt/virterror.h>

#ifndef ERROR_FROM
#define ERROR_FROM VIR_FROM_QEMU
#endif

#define KITE_ERROR (error_quark())
GQuark error_quark(void);

#define ERROR_CODE(from, number) (((from) << 16) | (number))
/* Put on a number where clients are shown the detail alone, without libvirt's standing words: what its library
 * finds wrong with flags is told so. */
#define ERROR_BARE 0x8000

/* VIR_ERR_INVALID_ARG as libvirt words what is wrong with flags. */
#define error_set_flags(error, from, ...) error_set_from((error), (from), VIR_ERR_INVALID_ARG | ERROR_BARE, __VA_ARGS__)

/* Sets *error, which may be NULL. The text names object, failing step, cause and, where there is one, the cure.
 * Always returns false, so that a failing function can "return error_set(...)". */
#define error_set(error, number, ...) error_set_from((error), ERROR_FROM, (number), __VA_ARGS__)
gboolean error_set_from(GError **error, virErrorDomain from, virErrorNumber number, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* VIR_ERR_SYSTEM_ERROR with ": strerror(errnum)" appended, as libvirt's virReportSystemError. */
#define error_set_errno(error, errnum, ...) error_set_errno_from((error), ERROR_FROM, (errnum), __VA_ARGS__)
gboolean error_set_errno_from(GError **error, virErrorDomain from, int errnum, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* The libvirt number and domain of any GError: one of another GLib domain is VIR_ERR_INTERNAL_ERROR. */
virErrorNumber error_number(const GError *error);
virErrorDomain error_from(const GError *error);
gboolean error_is(const GError *error, virErrorNumber number);

/* "Domain not found: no domain with matching name 'x'". Caller frees. */
char *error_full_text(const GError *error);
/* libvirt's standing words for a number: with is_detail a format with one %s, else the bare text. Never NULL. */
const char *error_number_text(virErrorNumber number, gboolean with_detail);
