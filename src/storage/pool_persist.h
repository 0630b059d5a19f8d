/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools on disk:
 *
 *   config_dir/NAME.xml            the persistent definition
 *   config_dir/autostart/NAME.xml  link to it: started with the daemon
 *   state_dir/NAME.xml             of an active pool (<poolstate>): a daemon that starts finds it active
 *
 * Everything is written atomically. Files that cannot be understood are logged, skipped and never deleted. No
 * locks in here: callers hold Storage.changes for definitions, Pool.modify for states.
 */
#pragma once

#include "storage/pool.h"

gboolean pool_persist_save(Storage *storage, const PoolDef *def, GError **error);
/* Definition and autostart link. */
gboolean pool_persist_remove(Storage *storage, const char *name, GError **error);
gboolean pool_persist_set_autostart(Storage *storage, const char *name, gboolean autostart, GError **error);

gboolean pool_persist_save_state(Storage *storage, const PoolDef *def, GError **error);
void pool_persist_remove_state(Storage *storage, const char *name);

/* All states and definitions into the empty list, unsettled. Returns how many pools there are. */
guint pool_persist_load(Storage *storage);
