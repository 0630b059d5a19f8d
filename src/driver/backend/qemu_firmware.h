/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The firmware of a start with QEMU: which image <os firmware='...'> means on this host (as libvirt's QEMU driver
 * chooses, by QEMU's descriptors), and the file of the guest's UEFI variables. Worker thread.
 */
#pragma once

#include "driver/backend/backend.h"

/* Writes the choice into live: loader, template, path of the variables, SMM; live then has no firmware attribute any
 * more. Nothing to do for a definition that names its loader. nvram_dir: of all domains' variables.
 * VIR_ERR_OPERATION_FAILED when no image satisfies, VIR_ERR_OPERATION_INVALID when SMM is off and needed. */
gboolean qemu_firmware_choose(DomainDef *live, const char *nvram_dir, gboolean reset, GError **error);

/* Makes the file of the variables from its template where it is missing, or anew on reset. */
gboolean qemu_firmware_make_nvram(const BackendConfig *config, const DomainDef *live, gboolean reset, GError **error);
