/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where systemd runs the host, control groups are its own: a VM is registered with systemd-machined
 * (org.freedesktop.machine1), or without it gets a transient scope of systemd's (org.freedesktop.systemd1), and either
 * delegates the group below to us. So a VM is no part of virtkited.service. Blocks for the bus: worker threads only.
 */
#pragma once

#include "driver/host/cgroup_private.h"

/* Whether systemd is the host's init (sd_booted(3)). */
gboolean systemd_is_running(const char *root);
/* Sets unit and machined of the group. FALSE with systemd's words. */
gboolean systemd_make_machine(Cgroup *group, const CgroupMachine *machine, GError **error);
/* The VM has ended. Does not wait for an answer. */
void systemd_end_machine(const Cgroup *group);

/* A property of the unit, until it ends. */
gboolean systemd_set_unit_u64(const Cgroup *group, const char *property, guint64 value, GError **error);
gboolean systemd_set_device_weight(const Cgroup *group, const char *property, const char *path, guint64 value,
                                   GError **error);

/* "machine-kite\x2d3\x2dweb.scope", "machine.slice", "machine-prod.slice". Caller frees. */
char *systemd_scope_name(const char *machine);
char *systemd_slice_name(const char *partition);
