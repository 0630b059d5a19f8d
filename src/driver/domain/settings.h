/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of every call that changes a setting: domain, modify lock, which definitions; the persistent one as a
 * copy that replaces it when all went well.
 *
 *     Setting s;
 *     if (!setting_begin(&s, call, &args->dom, args->flags, 0, error))
 *         return FALSE;
 *     return setting_end(&s, change(&s, ...), error);
 */
#pragma once

#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

typedef struct Setting {
    Domain *dom; /* reference; its modify lock is held */
    DomainDef *live; /* what runs: change it with the state lock held; NULL: not meant */
    DomainDef *config; /* a private copy of the persistent definition, or NULL */
} Setting;

/* flags: VIR_DOMAIN_AFFECT_* and those of known. On FALSE nothing is held. */
gboolean setting_begin(Setting *setting, Call *call, const WireDomain *wire, guint flags, guint known, GError **error);
/* good: the change worked, publish it. Returns whether all worked. */
gboolean setting_end(Setting *setting, gboolean good, GError **error);
/* TUNABLE with these parameters; they stay the caller's. */
void setting_tell(Setting *setting, TypedParams *params);
/* Tuning is root's: else that error, "WHAT is not available in session mode". */
gboolean setting_check_privileged(Call *call, int code, const char *what, GError **error);
