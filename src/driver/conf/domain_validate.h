/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks inside conf/: whole definitions are checked by domain_def_validate() of domain_def.h. */
#pragma once

#include "driver/conf/device_def.h"

/* One device by its own rules, the shared ones and the back end's. */
gboolean device_def_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error);
/* What joins parts of the definition with one another (domain_rules.c). */
gboolean domain_rules_check(const DomainDef *def, GError **error);
