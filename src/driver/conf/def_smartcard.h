/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <smartcard>: formatdomain, "Smartcard devices". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"

typedef enum {
    SMARTCARD_HOST = 0,
    SMARTCARD_HOST_CERTIFICATES,
    SMARTCARD_PASSTHROUGH,
    SMARTCARD_LAST
} SmartcardMode;
ENUM_TABLE_DECL(smartcard_mode, SmartcardMode)

#define SMARTCARD_CERTIFICATES 3

typedef struct {
    DeviceInfo info;
    SmartcardMode mode;
    char *certificates[SMARTCARD_CERTIFICATES];
    char *database;   /* host-certificates; NULL: /etc/pki/nssdb */
    ChrSource source; /* passthrough */
} SmartcardDef;

extern const DeviceDefOps smartcard_def_ops;
