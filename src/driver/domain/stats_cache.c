/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Last known figures of running VMs, refreshed by asynchronous QMP. */
#include "driver/domain/stats_cache.h"

#include <string.h>
#include <unistd.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/stats_page.h"

typedef struct StatsCache {
    gatomicrefcount refs;
    guint64 run; /* of the domain; constant */
    int page; /* the VM's own counters, or -1; constant */
    /* under cache_lock: */
    GArray *figures[FIGURES_LAST];
    guint pending; /* FIGURES_BIT()s of questions on their way */
    guint absent; /* ... that this VM does not know */
    guint paged; /* ... that came from its page */
    gboolean answered; /* has ever said anything */
    gboolean polling; /* the balloon was told to ask its guest now and then */
    gboolean slow; /* was waited for in vain since it last said something */
    GSList *waiting; /* Waiter */
} StatsCache;

typedef struct Waiter {
    StatsRefresh *refresh;
    guint left; /* FIGURES_BIT()s that it still waits for */
} Waiter;

struct StatsRefresh {
    GCond done;
    guint domains_left;
    guint wait_ms;
    GPtrArray *caches; /* of StatsCache, references: where it may be among the waiting */
};

typedef struct Question {
    StatsCache *cache;
    FiguresKind kind;
} Question;

/* Guards all caches: held for a few instructions only, inside state locks and nothing else. */
static GMutex cache_lock;

static void cache_unref(gpointer data)
{
    StatsCache *cache = data;

    if (cache == NULL || !g_atomic_ref_count_dec(&cache->refs))
        return;
    for (guint i = 0; i < FIGURES_LAST; i++)
        g_clear_pointer(&cache->figures[i], g_array_unref);
    g_assert(cache->waiting == NULL);
    if (cache->page >= 0)
        close(cache->page);
    g_free(cache);
}

static StatsCache *cache_ref(StatsCache *cache)
{
    g_atomic_ref_count_inc(&cache->refs);
    return cache;
}

/* That of the present run, or NULL. State lock held. */
static StatsCache *cache_of(Domain *dom)
{
    StatsCache *cache = dom->stats;

    if (cache != NULL && (!domain_active(dom) || cache->run != dom->run)) {
        dom->stats = NULL;
        cache_unref(cache);
        cache = NULL;
    }
    return cache;
}

static StatsCache *cache_make(Domain *dom)
{
    StatsCache *cache = cache_of(dom);

    if (cache != NULL)
        return cache;
    cache = g_new0(StatsCache, 1);
    g_atomic_ref_count_init(&cache->refs);
    cache->run = dom->run;
    cache->page = stats_page_open(dom->vm);
    dom->stats = cache;
    dom->stats_free = cache_unref;
    return cache;
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* Whoever waits for these has them, or will not get them. cache_lock held. */
static void settle(StatsCache *cache, guint bits)
{
    GSList **link = &cache->waiting;

    while (*link != NULL) {
        Waiter *waiter = (*link)->data;

        waiter->left &= ~bits;
        if (waiter->left != 0) {
            link = &(*link)->next;
            continue;
        }
        if (--waiter->refresh->domains_left == 0)
            g_cond_signal(&waiter->refresh->done);
        g_free(waiter);
        *link = g_slist_delete_link(*link, *link);
    }
}

static void on_answer(QmpClient *client, json_t *result, const GError *error, gpointer opaque)
{
    Question *question = opaque;
    StatsCache *cache = question->cache;
    guint bit = FIGURES_BIT(question->kind);
    GArray *figures = result != NULL ? figures_read(question->kind, result) : NULL;
    GArray *old = NULL;
    /* A refusal is an answer; silence and a closed socket are none. */
    gboolean refused =
        result == NULL && !error_is(error, VIR_ERR_OPERATION_TIMEOUT) && !qmp_client_is_lost(client);

    g_mutex_lock(&cache_lock);
    cache->pending &= ~bit;
    if (figures != NULL || refused) {
        old = cache->figures[question->kind];
        cache->figures[question->kind] = figures;
        cache->answered = TRUE;
        cache->slow = FALSE;
    }
    if (refused && strstr(error->message, "has not been found") != NULL)
        cache->absent |= bit;
    settle(cache, bit);
    g_mutex_unlock(&cache_lock);

    if (old != NULL)
        g_array_unref(old);
    cache_unref(cache);
    g_free(question);
}

/* --- questions ------------------------------------------------------------------------------------------ */

StatsRefresh *stats_refresh_new(void)
{
    StatsRefresh *refresh = g_new0(StatsRefresh, 1);

    g_cond_init(&refresh->done);
    refresh->caches = g_ptr_array_new_with_free_func(cache_unref);
    return refresh;
}

static const MemballoonDef *balloon_def(const Domain *dom)
{
    const MemballoonDef *balloon = DOMAIN_DEF_SINGLE(MemballoonDef, dom->live, DEVICE_MEMBALLOON);

    return balloon != NULL && balloon->model != MEMBALLOON_NONE && balloon->info.alias != NULL ? balloon
                                                                                               : NULL;
}

/* A definition without <stats period> means that nobody cared, not that there shall be no figures: clients
 * that do not know our URI never set one. So the first who asks switches the guest's reports on, until the VM
 * ends or somebody sets a period. */
static void poll_balloon(QmpClient *qmp, const char *path)
{
    enum { SECONDS = 5 };

    qmp_call_async(qmp, "qom-set",
                   json_pack("{s:s, s:s, s:i}", "path", path, "property", "guest-stats-polling-interval",
                             "value", SECONDS),
                   0, NULL, NULL);
}

/* Less what this VM cannot have. */
static guint sensible(const Domain *dom, guint wanted)
{
    const guint kvm =
        FIGURES_BIT(FIGURES_KVM_SCHEMA) | FIGURES_BIT(FIGURES_KVM_VM) | FIGURES_BIT(FIGURES_KVM_VCPUS);

    if (balloon_def(dom) == NULL)
        wanted &= ~(FIGURES_BIT(FIGURES_BALLOON) | FIGURES_BIT(FIGURES_GUEST_MEMORY));
    if (dom->live->virt_type != VIRT_KVM)
        wanted &= ~kvm;
    if (vm_process_backend(dom->vm)->stats_page != NULL)
        wanted &= ~kvm; /* kite-vmm has no commands for them */
    if (dom->live->iothreads->len == 0)
        wanted &= ~FIGURES_BIT(FIGURES_IOTHREADS);
    return wanted;
}

/* Takes what the VM's page has; the rest of wanted. */
static guint look_at_page(StatsCache *cache, const Domain *dom, guint wanted)
{
    GArray *figures[FIGURES_LAST] = {NULL};
    guint made = cache->page >= 0 ? stats_page_read(cache->page, dom->live, wanted, figures) : 0;

    g_mutex_lock(&cache_lock);
    for (guint i = 0; i < FIGURES_LAST; i++) {
        GArray *old = cache->figures[i];

        if (!(made & FIGURES_BIT(i)))
            continue;
        cache->figures[i] = figures[i];
        figures[i] = old;
    }
    cache->paged = (cache->paged & ~wanted) | made;
    g_mutex_unlock(&cache_lock);
    for (guint i = 0; i < FIGURES_LAST; i++)
        g_clear_pointer(&figures[i], g_array_unref);
    return wanted & ~made;
}

static void send(QmpClient *qmp, StatsCache *cache, FiguresKind kind, const char *balloon)
{
    Question *question = g_new0(Question, 1);

    question->cache = cache_ref(cache);
    question->kind = kind;
    qmp_call_async(qmp, figures_command(kind), figures_arguments(kind, balloon), 0, on_answer, question);
}

void stats_refresh_ask(StatsRefresh *refresh, Domain *dom, guint wanted)
{
    g_autofree char *balloon = NULL;
    StatsCache *cache;
    QmpClient *qmp;
    gboolean poll = FALSE;
    guint ask, guest_memory;

    lock_assert_held(&dom->lock);
    if (!domain_active(dom) || dom->live == NULL || dom->vm == NULL || dom->starting)
        return;
    qmp = vm_process_qmp(dom->vm);
    if (qmp == NULL || qmp_client_is_lost(qmp))
        return;
    wanted = sensible(dom, wanted);
    guest_memory = wanted & FIGURES_BIT(FIGURES_GUEST_MEMORY);
    cache = cache_make(dom);
    wanted = look_at_page(cache, dom, wanted);
    g_mutex_lock(&cache_lock);
    wanted &= ~cache->absent;
    if (cache->figures[FIGURES_KVM_SCHEMA] != NULL)
        wanted &= ~FIGURES_BIT(FIGURES_KVM_SCHEMA); /* does not change */
    ask = wanted & ~cache->pending;
    cache->pending |= ask;
    if (guest_memory != 0 && !cache->polling) {
        cache->polling = TRUE;
        poll = balloon_def(dom)->period == 0;
    }
    if (wanted != 0 && !cache->slow) {
        Waiter *waiter = g_new0(Waiter, 1);

        waiter->refresh = refresh;
        waiter->left = wanted;
        cache->waiting = g_slist_prepend(cache->waiting, waiter);
        refresh->domains_left++;
        refresh->wait_ms = MAX(refresh->wait_ms, cache->answered ? STATS_WAIT_MS : STATS_FIRST_WAIT_MS);
        g_ptr_array_add(refresh->caches, cache_ref(cache));
    }
    g_mutex_unlock(&cache_lock);

    if (poll || (ask & guest_memory))
        balloon = vm_balloon_path(balloon_def(dom)->info.alias);
    if (poll)
        poll_balloon(qmp, balloon);
    for (guint i = 0; i < FIGURES_LAST; i++) {
        if (ask & FIGURES_BIT(i))
            send(qmp, cache, i, balloon);
    }
}

/* Takes refresh out of those who wait for cache: in vain. cache_lock held. */
static void give_up(StatsCache *cache, StatsRefresh *refresh)
{
    GSList **link = &cache->waiting;

    while (*link != NULL) {
        Waiter *waiter = (*link)->data;

        if (waiter->refresh != refresh) {
            link = &(*link)->next;
            continue;
        }
        cache->slow = TRUE;
        refresh->domains_left--;
        g_free(waiter);
        *link = g_slist_delete_link(*link, *link);
    }
}

void stats_refresh_wait(StatsRefresh *refresh)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)refresh->wait_ms * 1000;

    g_mutex_lock(&cache_lock);
    while (refresh->domains_left > 0) {
        if (!g_cond_wait_until(&refresh->done, &cache_lock, deadline))
            break;
    }
    for (guint i = 0; refresh->domains_left > 0 && i < refresh->caches->len; i++)
        give_up(g_ptr_array_index(refresh->caches, i), refresh);
    g_mutex_unlock(&cache_lock);
}

void stats_refresh_free(StatsRefresh *refresh)
{
    if (refresh == NULL)
        return;
    g_mutex_lock(&cache_lock);
    for (guint i = 0; refresh->domains_left > 0 && i < refresh->caches->len; i++)
        give_up(g_ptr_array_index(refresh->caches, i), refresh);
    g_mutex_unlock(&cache_lock);
    g_ptr_array_unref(refresh->caches);
    g_cond_clear(&refresh->done);
    g_free(refresh);
}

/* --- reading -------------------------------------------------------------------------------------------- */

void stats_view_take(Domain *dom, StatsView *ret)
{
    StatsCache *cache;

    lock_assert_held(&dom->lock);
    *ret = (StatsView){0};
    cache = cache_of(dom);
    if (cache == NULL)
        return;
    g_mutex_lock(&cache_lock);
    for (guint i = 0; i < FIGURES_LAST; i++) {
        if (cache->figures[i] != NULL)
            ret->figures[i] = g_array_ref(cache->figures[i]);
    }
    ret->paged = cache->paged;
    g_mutex_unlock(&cache_lock);
}

void stats_view_clear(StatsView *view)
{
    for (guint i = 0; i < FIGURES_LAST; i++)
        g_clear_pointer(&view->figures[i], g_array_unref);
}

gboolean stats_fresh_view(Domain *dom, guint wanted, StatsView *ret, GError **error)
{
    g_autoptr(StatsRefresh) refresh = stats_refresh_new();
    gboolean active;

    *ret = (StatsView){0};
    lock_acquire(&dom->lock);
    active = domain_require_active(dom, error);
    if (active)
        stats_refresh_ask(refresh, dom, wanted);
    lock_release(&dom->lock);
    if (active)
        stats_refresh_wait(refresh);
    lock_acquire(&dom->lock);
    if (!active || !domain_require_active(dom, error))
        return FALSE;
    stats_view_take(dom, ret);
    return TRUE;
}
