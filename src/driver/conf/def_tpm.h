/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <tpm>: formatdomain, "TPM device". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"

typedef enum {
    TPM_MODEL_DEFAULT = 0,
    TPM_MODEL_TIS,
    TPM_MODEL_CRB,
    TPM_MODEL_SPAPR,
    TPM_MODEL_SPAPR_PROXY,
    TPM_MODEL_LAST
} TpmModel;
ENUM_TABLE_DECL(tpm_model, TpmModel)

typedef enum { TPM_PASSTHROUGH = 0, TPM_EMULATOR, TPM_EXTERNAL, TPM_BACKEND_LAST } TpmBackend;
ENUM_TABLE_DECL(tpm_backend, TpmBackend)

typedef enum { TPM_VERSION_DEFAULT = 0, TPM_VERSION_1_2, TPM_VERSION_2_0, TPM_VERSION_LAST } TpmVersion;
ENUM_TABLE_DECL(tpm_version, TpmVersion)

typedef enum { PCR_BANK_SHA1 = 0, PCR_BANK_SHA256, PCR_BANK_SHA384, PCR_BANK_SHA512, PCR_BANK_LAST } PcrBank;
ENUM_TABLE_DECL(pcr_bank, PcrBank)

typedef struct {
    DeviceInfo info;
    TpmModel model;
    TpmBackend backend;
    char *device;       /* passthrough; NULL: /dev/tpm0 */
    TpmVersion version; /* emulator */
    gboolean persistent_state;
    char *secret;     /* emulator: uuid of the secret its state is encrypted with */
    guint pcr_banks;  /* bit per PcrBank; 0: not said */
    ChrSource source; /* external: unix, connect */
} TpmDef;

extern const DeviceDefOps tpm_def_ops;
