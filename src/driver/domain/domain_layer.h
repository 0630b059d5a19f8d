/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start and end of the domain layer, for the daemon. driver->domains and driver->events exist before and are
 * freed after; the VM thread runs.
 */
#pragma once

#include "driver/domain/domain_list.h"

/* Loads definitions and status files, so that every call about them can be answered when it returns; then, in
 * the background, finds the monitors of running VMs again, corrects their states, and starts what is marked
 * autostart (once after each boot of the host). Returns how many definitions there are. Main thread, before
 * clients are let in. */
guint domain_layer_start(Driver *driver);
/* Lets go of all VMs, which run on, and waits for background work, at most some seconds. After the last handler
 * has returned, while the VM thread still runs. FALSE: some work has not ended (a VM that does not answer); it
 * uses the list, the VM thread and the driver, so they must stay until the process ends. */
gboolean domain_layer_stop(Driver *driver);
