/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Figures out of the page that a VM itself keeps up to date (common/stats_page.h): fresh at every call, and no VM is
 * asked, so one that stands still costs nothing.
 *
 * The page lies in a file that the VM process can change and cut as it likes. It is therefore copied with pread(2) and
 * never mapped here, and its counts are checked.
 */
#pragma once

#include "driver/backend/backend.h"
#include "driver/domain/stats_figures.h"

/* -1: this VM has no page. The caller closes it. */
int stats_page_open(const VmProcess *vm);
/*
 * Makes those of the wanted figures (FIGURES_BIT()s) that the page has; the caller unrefs them. Which ones: the result;
 * 0 when the page is not as it should be. live is read for the aliases and the nodes of its disks. Any thread.
 */
guint stats_page_read(int fd, const DomainDef *live, guint wanted, GArray *ret_figures[FIGURES_LAST]);
