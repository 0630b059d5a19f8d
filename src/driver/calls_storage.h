/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage calls: what they share, and how their events go out. */
#pragma once

#include <glib.h>

#include "driver/rpc/call.h"
#include "storage/storage_ops.h"

/* StorageEventFunc; data is the Driver. */
void calls_storage_event(const StorageEvent *event, gpointer data);

/* The driver's pools. */
Storage *calls_storage_of(Call *call);
/* The pool that a client means; referenced. VIR_ERR_NO_STORAGE_POOL. */
Pool *calls_storage_pool(Call *call, const WireStoragePool *wire, GError **error);
void calls_storage_pool_to_wire(const Pool *pool, WireStoragePool *ret);
void calls_storage_volume_to_wire(const Pool *pool, const VolumeDef *volume, WireStorageVol *ret);
