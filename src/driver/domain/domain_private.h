/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share and nobody else needs. */
#pragma once

#include "driver/backend/vm_process.h"
#include "driver/domain/domain.h"

/* An unlisted domain without definitions; one reference. */
Domain *domain_new(DomainList *list, Driver *driver, const guint8 uuid[16], const char *name);
/* Whoever waits for the modify lock gives up: the domain is being removed. */
void domain_job_cancel_waiters(Domain *dom);

/* How long domain_job_begin() waits; shortened by tests. */
extern gint64 domain_job_wait_us;
