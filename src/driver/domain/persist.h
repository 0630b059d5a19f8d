/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains on disk:
 *
 *   config_dir/domains/NAME.xml            the persistent definition
 *   config_dir/domains/autostart/NAME.xml  link to it: started with the host
 *   run_dir/domains/NAME/status.xml        of a running domain (status_file.h), beside its sockets
 *   run_dir/domains-autostarted            marker: autostart was done since the host booted
 *
 * Everything is written atomically: whoever reads, and whoever starts after a crash, sees the old or the new
 * file. Files that cannot be understood are logged, skipped and never deleted. No locks in here; callers hold
 * the modify lock of the domain, start-up is alone.
 */
#pragma once

#include "driver/conf/domain_env.h"
#include "driver/domain/domain.h"
#include "driver/paths.h"

/* --- definitions --- */

/* The text of the file: passwords included, nothing of a running domain. Caller frees. */
char *persist_format_config(const DomainDef *def);
gboolean persist_write_config(Driver *driver, const char *name, const char *xml, GError **error);
/* Definition and autostart link. */
gboolean persist_remove_config(Driver *driver, const char *name, GError **error);
/* The new file is complete before the old one goes; autostart moves along. On failure the old one is as it
 * was. */
gboolean persist_rename_config(Driver *driver, const char *old_name, const char *new_name, const char *xml,
                               gboolean autostart, GError **error);
gboolean persist_set_autostart(Driver *driver, const char *name, gboolean autostart, GError **error);
/* All definitions into the (empty) list. Returns how many were loaded. */
guint persist_load_configs(Driver *driver, DomainList *list);

/* --- run state --- */

/* The folder of a running domain. NAME, or for a name that would be too long for socket paths below it, or
 * that begins with a dot, a shortened one made unique by the uuid. Caller frees. */
char *persist_run_folder(Driver *driver, const char *name, const guint8 uuid[16]);
char *persist_log_path(Driver *driver, const char *name);
/* The log and its rotated ones (.log.1, ...). */
void persist_remove_log(const char *log_path);
gboolean persist_make_run_folder(const char *folder, GError **error);
/* Takes the state lock. Nothing to do for a domain that is off. */
gboolean persist_write_status(Domain *dom, GError **error);
/* Removes the status file and whatever else is left in the folder, and the folder. Only what a run makes:
 * plain files, sockets and links in it, no folders below it. */
void persist_remove_run_folder(const char *folder);

/* Calls found(folder, text of status.xml or NULL, data) for each folder of the run directory. */
typedef void (*PersistRunFound)(const char *folder, const char *status_text, gpointer data);
void persist_scan_runs(Driver *driver, PersistRunFound found, gpointer data);

/* TRUE exactly once after each boot of the host: leaves the marker. */
gboolean persist_first_start(Driver *driver);

/* The conf layer's view of this host, for parsing what users say; never NULL. driver NULL: an answer for what
 * was accepted before, which asks nobody. */
const DomainDefEnv *domain_env(Driver *driver);
