/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks of kite-vmm that its own image engine does not read. Where the bytes of a disk come from:
 *
 *   direct   raw or qcow2, with its chain, in local files and devices: descriptors
 *   nbd      raw bytes of an NBD server: a connected socket (kite-vmm speaks NBD)
 *   daemon   everything else that QEMU's block layer has (vmdk, vdi, vpc, qcow, qed, parallels, dmg, bochs, cloop;
 *            http, ssh, iscsi, rbd; slices, copy-on-read): qemu-storage-daemon opens it, the same nodes as QEMU would
 *            be given, and kite-vmm speaks NBD with that
 *
 * One qemu-storage-daemon a disk or medium: a server that hangs, or an image that takes the process over, touches no
 * other disk; taking the disk out is ending the process; nothing has to be told to a process that runs. It costs some
 * 4 MiB each. It is started by kite-confine (storage/confine.c): the VM's user, a root with its images and nothing else in
 * it. It ends when kite-vmm closes the pipe that stands in the disk's node, with or without us. The run folder's
 * storage-N.pid (N: number of the disk's top image) is how a later daemon knows of it.
 */
#pragma once

#include "driver/backend/helper.h"
#include "driver/conf/domain_def.h"

typedef enum StorageWay { STORAGE_DIRECT, STORAGE_NBD, STORAGE_DAEMON } StorageWay;

/* Of a disk with a medium. Pure; what only the images tell (backing images) may change the answer from direct to daemon. */
StorageWay storage_way(const DiskDef *disk);
/* The program; NULL: not installed. Caller frees. */
char *storage_daemon_path(void);
/* For tests: this is the program ("": none), instead of what is found. NULL: as it was. */
void storage_daemon_set_path(const char *path);

typedef struct StorageServer {
    char *target; /* of the disk, for errors */
    Helper *helper;
    char *pid_path;
    int nbd; /* connected */
    int life; /* the end of the pipe that keeps it alive */
} StorageServer;

/*
 * Starts it. uid, gid: whom it becomes, -1: as we are. The caller steals nbd and life for kite-vmm. NULL with *error. Any
 * thread that may wait for files.
 */
StorageServer *storage_server_start(const BackendConfig *config, const DiskDef *disk, const char *run_dir,
                                    const char *log_path, gint64 uid, gint64 gid, GError **error);
/* Waits until it has opened the images and greets. FALSE with its last words. */
gboolean storage_server_ready(const StorageServer *server, GError **error);
/* Forgets it; it runs on as long as kite-vmm has the descriptors. */
void storage_server_free(StorageServer *server);
/* Its VM did not come about: ends it and waits for that. */
void storage_server_end(const StorageServer *server);

/* Processes of a VM (pid_t), for its control group. Caller unrefs. */
GArray *storage_servers_of(const char *run_dir);
/* kite-vmm has let go of a medium, or (NULL) has ended: waits until the images are closed, and sees to it. */
void storage_servers_gone(const char *run_dir, const StorageSource *medium);
