/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of buffers: the memory of a request, wherever it comes from. Any thread. */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

/* Bytes from offset on; they stop at the end of the list and return the bytes moved. */
uint64_t iov_to_buffer(const struct iovec *iov, unsigned count, uint64_t offset, void *buffer, uint64_t len);
uint64_t iov_from_buffer(const struct iovec *iov, unsigned count, uint64_t offset, const void *buffer, uint64_t len);
uint64_t iov_fill(const struct iovec *iov, unsigned count, uint64_t offset, int byte, uint64_t len);
uint64_t iov_length(const struct iovec *iov, unsigned count);
/* Part [offset, offset + len) of a list as a list; returns the entries used, -E2BIG when max is too small. */
int iov_slice(const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len, struct iovec *ret, unsigned max);
/* Takes len bytes away from the front of a list, which is changed for that. */
void iov_drop_front(struct iovec **iov, unsigned *count, uint64_t len);
