/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that may not answer. open() and stat() on a network file system whose server is gone sleep until it comes back,
 * and nothing can wake them; so they run on a thread of their own, and the caller stops waiting at a deadline. The
 * thread that sleeps is left to itself, and everyone who asks for a file of the same folder meanwhile is refused at once:
 * there is seldom more than one sleeper a folder. Any thread; a call that is answered costs some 20 us more than the
 * system call.
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>

#define SLOW_FILE_TIMEOUT_MS 5000

/* open(path, flags | O_CLOEXEC | O_NOCTTY) with ret_st (may be NULL) filled from the descriptor. The descriptor, or
 * -errno; -ETIMEDOUT when the file did not answer in time. timeout_ms 0: SLOW_FILE_TIMEOUT_MS. */
int slow_file_open(const char *path, int flags, struct stat *ret_st, guint timeout_ms);
/* The same for what can hold data, a regular file, block device or folder, and -EMEDIUMTYPE for anything else, which is
 * not opened, for to open a device may mean something to it. */
int slow_file_open_data(const char *path, int flags, struct stat *ret_st, guint timeout_ms);

/*
 * Calls work(data, i) for i below n on another thread, one after the other; paths[i] is the file that it looks at. A
 * call that takes longer than timeout_ms (0: as above) is given up, as one whose folder hangs already, and the next is
 * made on a new thread. ret_done[i]: the call has ended, and what it left in data may be read; what the others write
 * there, now or later, may not. data is a g_atomic_rc_box, and so lives as long as the last thread needs it; it holds
 * the paths. clear is what releases its contents in the end.
 */
void slow_file_each(const char *const *paths, guint n, void (*work)(gpointer data, guint i), gpointer data,
                    GDestroyNotify clear, guint timeout_ms, gboolean *ret_done);
