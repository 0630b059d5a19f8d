/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of pools that can be made: one line each. A new kind is a file with its PoolOps and a line here.
 */
#include "storage/pool.h"

static const PoolOps *const pool_table[POOL_TYPE_LAST] = {
    [POOL_TYPE_DIR] = &pool_dir_ops,
};

const PoolOps *pool_ops_for_type(PoolType type)
{
    return type < POOL_TYPE_LAST ? pool_table[type] : NULL;
}
