/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worker threads where the system gives no more threads: RLIMIT_NPROC of nobody, in a process of its own. */
#include <sys/resource.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/rpc/procedure.h"
#include "driver/rpc/workers.h"

/* Never reached: no call is made here. */
const RpcProgram rpc_programs[] = {{0}};
const guint rpc_program_count = 0;

static GMutex lock;
static GCond changed;
static guint done;
static gboolean open_gate;

static void job(void *opaque)
{
    g_mutex_lock(&lock);
    while (!open_gate)
        g_cond_wait(&changed, &lock);
    done++;
    g_cond_signal(&changed);
    g_mutex_unlock(&lock);
}

static void no_more_threads(void)
{
    const struct rlimit none = {0, 0};

    if (geteuid() == 0)
        g_assert_cmpint(setuid(65534), ==, 0); /* root is not held to it */
    g_assert_cmpint(setrlimit(RLIMIT_NPROC, &none), ==, 0);
}

static void test_scarce(void)
{
    enum { JOBS = 5 };
    g_autoptr(GError) error = NULL;
    Workers *workers, *late;

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*calls wait for the 1 workers*is there a limit of processes?*");
        return;
    }
    workers = workers_new(1, 4, 1);
    g_assert_true(workers_start(workers, &error));
    g_assert_no_error(error);
    no_more_threads();
    for (int i = 0; i < JOBS; i++)
        workers_push(workers, FALSE, job, NULL);
    g_mutex_lock(&lock);
    open_gate = TRUE;
    g_cond_broadcast(&changed);
    while (done < JOBS)
        g_cond_wait(&changed, &lock);
    g_mutex_unlock(&lock);
    workers_free(workers);

    /* A start is refused, and what was pushed all the same is done by whoever frees them. */
    late = workers_new(1, 1, 1);
    g_assert_false(workers_start(late, &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    workers_push(late, TRUE, job, NULL);
    workers_free(late);
    g_assert_cmpuint(done, ==, JOBS + 1);
    _exit(0); /* what a sanitizer does at an exit needs a thread */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/workers/scarce", test_scarce);
    return g_test_run();
}
