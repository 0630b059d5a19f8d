/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers of QMP commands outside of qmp_commands.c; QmpCommand.run says how they are called. */
#pragma once

#include "vmm/qmp_commands.h"

/* qmp_qom.c */
int qmp_qom_get(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_qom_set(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_balloon(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_open_tray(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_close_tray(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_remove_medium(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_insert_medium(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_memory_devices(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_memory_size(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_calc_dirty_rate(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_dirty_rate(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_balloon(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);

/* qmp_dump.c */
int qmp_dump_guest_memory(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_dump_capability(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);

/* qmp_objects.c */
int qmp_qom_list(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_iothreads(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_object_add(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_object_del(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
bool qmp_is_object_path(const char *path);
/* value NULL: reads into *ret. */
int qmp_object_property(Machine *machine, json_t *args, json_t *value, json_t **ret, Err *err);

/* qmp_block.c */
int qmp_query_block(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_named_block_nodes(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_blockstats(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_block_resize(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_block_set_write_threshold(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_block_set_io_throttle(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_blockdev_reopen(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_set_link(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
int qmp_query_rx_filter(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
