/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices of the host that a guest gets, before and after a run: found by what the definition says, taken from the host's
 * driver, given back. sys: "/sys", or a test's. Worker thread.
 */
#pragma once

#include "driver/conf/def_hostdev.h"
#include "driver/conf/domain_def.h"

/* Finds the device and writes where it is into it (USB bus and number, SCSI node, "missing" of an optional one); a
 * managed PCI device is bound to vfio-pci. libvirt's codes. */
gboolean hostdev_take(const char *sys, HostdevDef *dev, GError **error);
/* Gives managed PCI devices back to the host's drivers. Never fails. */
void hostdev_give_back(const char *sys, const HostdevDef *dev);
void hostdevs_give_back(const char *sys, const DomainDef *def);
