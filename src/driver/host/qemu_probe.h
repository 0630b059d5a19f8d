/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking a QEMU binary what it can do: starts it without a machine, talks QMP over a pair of descriptors, and
 * distils the answers into one JSON document (keys: see qemu_probe.c), which qemu_caps.c reads and the cache stores.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Runs the binary (twice where KVM works: under KVM and under TCG). A new reference, or NULL with
 * VIR_ERR_OPERATION_FAILED naming the binary and its last words. Blocks up to deadline_ms, any worker thread. */
json_t *qemu_probe_binary(const char *binary, guint deadline_ms, GError **error);

/* The conversation alone, on a connected pair: first line read is QEMU's greeting. Adds to *caps what the answers say;
 * *ret_kvm: whether this QEMU runs on KVM. The seam for tests with a recorded peer. */
gboolean qemu_probe_talk(int read_fd, int write_fd, gint64 deadline_us, json_t *caps, gboolean *ret_kvm,
                         GError **error);
