/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user and group id of its own for each VM, out of a range that nobody else uses, so that one VM process that has been
 * taken over can neither signal nor trace another. Which VM has which id is known from the processes themselves: a
 * daemon that starts reads them again (id_table_note). Any thread.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct IdTable IdTable;

/* Ids of [first, last]; first 0: none are given. */
IdTable *id_table_new(guint first, guint last);
void id_table_free(IdTable *table);

/*
 * An id for owner (a VM's run folder); the one it has already if it has. FALSE when there is none to give: no range, all
 * taken, or (root of a user namespace) not one that this host's kernel lets us become.
 */
gboolean id_table_take(IdTable *table, const char *owner, guint *ret_id);
/* The process of owner runs already: its id, if it is of the range, is taken. */
void id_table_note(IdTable *table, const char *owner, pid_t pid);
void id_table_release(IdTable *table, const char *owner);
