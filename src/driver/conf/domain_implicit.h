/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that a definition gets without being asked: steps of domain_def_post_parse() (domain_defaults.c), whose order
 * matters. Errors: VIR_ERR_XML_ERROR and VIR_ERR_CONFIG_UNSUPPORTED name the element. */
#pragma once

#include "driver/conf/domain_def.h"

/* A new device at the end of its kind's list, which owns it. */
gpointer implicit_add_device(DomainDef *def, DeviceKind kind);
/* Numbers controllers that have no index. */
void implicit_controller_indexes(DomainDef *def);
/* What the machine's board has: PCI root, USB, input devices, balloon, audio. */
gboolean implicit_add_chipset(DomainDef *def, const DomainDefEnv *env, GError **error);
/* What clients of kite:/// get beyond that: an agent channel and a random number device. */
void implicit_add_rich(DomainDef *def);
/* Root ports for devices that are plugged in later. */
gboolean implicit_add_spare_ports(DomainDef *def, const DomainDefEnv *env, GError **error);
/* The first serial port and the first console are one device. */
gboolean implicit_fill_console(DomainDef *def, GError **error);
/* Controllers that disks, channels, smart cards and SCSI host devices need. */
gboolean implicit_add_controllers(DomainDef *def, GError **error);
