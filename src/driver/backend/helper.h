/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Helper programs of a VM (passt, swtpm, virtiofsd): started beside it, joined to it by a socket pair, ended by the loss of
 * that socket. And tools that are run to their end before a start. Any thread.
 */
#pragma once

#include "driver/backend/backend.h"

typedef struct Helper {
    char *what;     /* for errors: "passt, the network of an interface" */
    char *log_path; /* what it said */
    pid_t pid;
    int pidfd;      /* readable when it has ended */
} Helper;

void helper_free(Helper *helper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Helper, helper_free)

/* argv: char *, NULL-terminated, argv[0] a path; fd: passed under its number; as_vm_user: runs as the VMs' user does. The
 * VM thread reaps it. NULL with *error when it cannot be executed. */
Helper *helper_start(const BackendConfig *config, const char *what, const GPtrArray *argv, int fd, const char *log_path,
                     gboolean as_vm_user, GError **error);
/* The same with several descriptors; home: the VM's run folder, by which processes_kill_of() finds it, or
 * NULL. */
Helper *helper_start_with(const BackendConfig *config, const char *what, const GPtrArray *argv,
                          const int *fds, guint n_fds, const char *log_path, const char *home,
                          gboolean as_vm_user, GError **error);
/* NAME-ALIAS-WHAT.log beside the domain's log. Caller frees. */
char *helper_log_path(const char *domain_log, const char *alias, const char *what);
/* FALSE, with its last words, when it has ended meanwhile. */
gboolean helper_lives(const Helper *helper, GError **error);

/* Asks it to end: its VM did not come about. */
void helper_end(const Helper *helper);

/* Runs a tool to its end, as the VMs' user, output to the log; killed after timeout_ms. *ret_status: as waitpid's. */
gboolean helper_run(const BackendConfig *config, const GPtrArray *argv, const char *log_path, guint timeout_ms,
                    int *ret_status, GError **error);
