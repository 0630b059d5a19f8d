/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMM's log: lines to stderr, which the daemon sends to the VM's log file. Any thread.
 *
 * Guest faults are limited in rate (the guest must not fill the disk); host faults and notes are not.
 */
#pragma once

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_guest_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Puts a name (the VM's) into every line from now on; borrowed. */
void log_set_name(const char *name);
