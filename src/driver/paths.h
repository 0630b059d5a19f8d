/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a daemon keeps its things. Folders are made on the first use by paths_make(). Immutable after that, any
 * thread. The system daemon uses the configured prefixes, a session daemon the XDG folders:
 *
 *   field        system                    session
 *   config_dir   SYSCONFDIR/kite           $XDG_CONFIG_HOME/kite
 *   data_dir     LOCALSTATEDIR/lib/kite    $XDG_DATA_HOME/kite
 *   cache_dir    LOCALSTATEDIR/cache/kite  $XDG_CACHE_HOME/kite
 *   log_dir      LOCALSTATEDIR/log/kite    $XDG_CACHE_HOME/kite/log
 *   run_dir      RUNDIR/kite               $XDG_RUNTIME_DIR/kite  (else $XDG_CACHE_HOME/kite/run)
 *   socket_dir   RUNDIR/libvirt            $XDG_RUNTIME_DIR/libvirt  (else $XDG_CACHE_HOME/libvirt)
 */
#pragma once

#include <glib.h>

typedef struct Paths {
    gboolean privileged; /* TRUE: kite:///system, FALSE: kite:///session */
    char *config_dir;
    char *data_dir;
    char *cache_dir;
    char *log_dir;
    char *run_dir;
    char *socket_dir;
    /* Below config_dir: definitions NAME.xml, and links to those started with the host. */
    char *domain_config_dir;    /* config_dir/domains */
    char *domain_autostart_dir; /* config_dir/domains/autostart */
    char *storage_config_dir;   /* config_dir/storage: definitions of pools NAME.xml, and autostart/ */
    char *storage_state_dir;    /* run_dir/storage: NAME.xml of active pools */
    /* Below run_dir: a folder a running VM. */
    char *domain_run_dir; /* run_dir/domains */
    /* Below data_dir. */
    char *save_dir;       /* data_dir/save: managed save images */
    char *snapshot_dir;   /* data_dir/snapshots */
    char *checkpoint_dir; /* data_dir/checkpoints */
    char *nvram_dir;      /* data_dir/nvram */
    char *channel_dir;    /* data_dir/channel: sockets of unix channels without a path */
    char *images_dir;     /* data_dir/images */
} Paths;

Paths *paths_new(gboolean privileged);
void paths_free(Paths *paths);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Paths, paths_free)

/* Makes every folder that is missing: 0755 for configuration and sockets, 0711 for run_dir, 0700 for the rest. */
gboolean paths_make(const Paths *paths, GError **error);
