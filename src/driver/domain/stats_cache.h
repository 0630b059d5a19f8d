/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Last known figures of each running VM, and how they are made fresh without ever waiting for a guest.
 *
 * A call asks the monitors of all the domains it is about at once, then waits for all of them together, no
 * longer than STATS_WAIT_MS. What has not been answered by then is served as it was last known, and the
 * domain is slow: nobody waits for it again until it answers something. Every question is pending at most
 * once a domain; calls that come meanwhile join it. Figures belong to one run of a domain. What a VM tells by itself
 * (stats_page.h) is not asked for.
 *
 * Locks: the state lock is held where it says so; the cache has a lock of its own inside it. Any thread but
 * the VM thread, which only brings answers.
 */
#pragma once

#include "driver/domain/domain.h"
#include "driver/domain/stats_figures.h"

enum {
    STATS_WAIT_MS = 200,
    STATS_FIRST_WAIT_MS = 500, /* for a VM of which nothing is known yet */
};

typedef struct StatsRefresh StatsRefresh;

StatsRefresh *stats_refresh_new(void);
/* Sends what is not on its way yet. wanted: FIGURES_BIT()s. State lock held; does not block. */
void stats_refresh_ask(StatsRefresh *refresh, Domain *dom, guint wanted);
/* Waits until everything is answered or the time is up. No lock is held. */
void stats_refresh_wait(StatsRefresh *refresh);
void stats_refresh_free(StatsRefresh *refresh);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StatsRefresh, stats_refresh_free)

/* References to what is known; NULL: nothing yet, or the VM has no such thing. */
typedef struct StatsView {
    GArray *figures[FIGURES_LAST];
    guint paged; /* FIGURES_BIT()s: out of the VM's own page, so without the images below the first of a chain */
} StatsView;

/* State lock held. All NULL for a domain that is off. */
void stats_view_take(Domain *dom, StatsView *ret);
void stats_view_clear(StatsView *view);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StatsView, stats_view_clear)

/* All in one, for calls about one domain: asks, waits, and holds the state lock on return (also on FALSE,
 * which says that the domain is off; *error is set then). */
gboolean stats_fresh_view(Domain *dom, guint wanted, StatsView *ret, GError **error);

#define figure_at(array, Type, i) (&g_array_index((array), Type, (i)))
static inline guint figures_count(const GArray *figures)
{
    return figures != NULL ? figures->len : 0;
}
