/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes a run of a domain hard to support: see domain_taint.c. */
#pragma once

#include "driver/domain/domain.h"

typedef struct QemuCaps QemuCaps;

const char *domain_taint_name(DomainTaint taint);
const char *domain_taint_text(DomainTaint taint);
/* Takes the state lock; logs once a run. */
void domain_taint(Domain *dom, DomainTaint taint);
/* What the definition that is about to run says. caps: of its QEMU, NULL for kite-vmm. Takes the state lock. */
void domain_taint_start(Domain *dom, const DomainDef *live, const QemuCaps *caps);
/* Under the state lock: a new run, or none. */
void domain_taint_clear(Domain *dom);
