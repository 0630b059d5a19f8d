/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share and nobody else needs. */
#pragma once

#include "driver/backend/vm_process.h"
#include "driver/conf/domain_env.h"
#include "driver/domain/domain.h"

/* An unlisted domain without definitions; one reference. */
Domain *domain_new(DomainList *list, Driver *driver, const guint8 uuid[16], const char *name);
/* Whoever waits for the modify lock gives up: the domain is being removed. */
void domain_job_cancel_waiters(Domain *dom);

/* The job begins, for this thread: what domain_job_live() gives. The modify lock is taken. */
void domain_job_look(Domain *dom);

/* How long domain_job_begin() waits; shortened by tests. */
extern gint64 domain_job_wait_us;

/* domain_start.c: the guest runs / stands; QMP said status. State lock held. Emit what changed. */
void domain_note_resumed(Domain *dom);
void domain_note_paused(Domain *dom);
void domain_note_status(Domain *dom, const char *status);

/* agent.c: the guest has opened / closed its agent's channel, or start or reconnect has found it so. State
 * lock held. reason: VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_*. */
void domain_agent_update(Domain *dom, int reason);
void domain_agent_drop(Domain *dom);

/* domain.c: the domain that a definition belongs to (domain_list_claim) with its modify lock held; no run of
 * it is about to end. With DOMAIN_CLAIM_DEFINE dom->defining is set, which the caller clears, telling
 * `stopped`. */
Domain *domain_claim_locked(Driver *driver, const DomainDef *def, guint claim_flags, const char *api,
                            GError **error);
/* Takes out of a new definition what came from the live XML of the domain (live may be NULL) and is not the
 * user's. State lock held when live is the domain's. */
void domain_def_settle(const DomainDef *live, DomainDef *def);
/* Of the managed save image. Modify lock held. Caller frees. */
char *domain_managed_save_path(Domain *dom);

/* conf_env.c; the list keeps it. Strings are borrowed from the driver. */
DomainDefEnv *conf_env_new(Driver *driver);
const DomainDefEnv *domain_list_env(DomainList *list);

/* Waits until nothing handed to domain_defer() is waiting or running, at most some seconds. FALSE: it still is. */
gboolean domain_defer_drain(void);
