/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live domains with VMs that are real processes and real QMP (tests/lib/fake_vm.c): states, events and their order,
 * ends of all kinds, stuck guests, daemon restarts, disks that are full.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/thread.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_layer.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/persist.h"
#include "driver/domain/status_file.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "driver/rpc/client.h"
#include "driver/rpc/rpc_types.h"
#include "tests/lib/fake_backend.h"

/* --- a client that writes down what it hears ------------------------------------------------------------ */

struct Client {
    int unused;
};
static Client listener;
static GMutex heard_mutex;
static GCond heard_cond;
static GString *heard; /* "name:event/detail " */

gboolean client_send_event(Client *client, guint32 program, guint32 version, gint32 procedure, const XdrType *type,
                           const void *msg)
{
    const DomainEventCallbackLifecycleMsg *event = msg;

    g_mutex_lock(&heard_mutex);
    if (procedure == RPC_REMOTE_DOMAIN_EVENT_CALLBACK_LIFECYCLE)
        g_string_append_printf(heard, "%s:%d/%d ", event->msg.dom.name, event->msg.event, event->msg.detail);
    else
        g_string_append_printf(heard, "#%d ", procedure);
    g_cond_broadcast(&heard_cond);
    g_mutex_unlock(&heard_mutex);
    return TRUE;
}

/* Handlers that lie in one object file with what events need: no call is made here. */
void *call_driver(Call *call)
{
    return NULL;
}

const char *call_api(Call *call)
{
    return "test";
}

gboolean call_check_flags_from(Call *call, int from, guint32 flags, guint32 supported, GError **error)
{
    return TRUE;
}

/* Waits until what was heard ends with this. */
static void expect_heard(const char *wanted)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    g_mutex_lock(&heard_mutex);
    while (strlen(heard->str) < strlen(wanted) || !g_str_has_suffix(heard->str, wanted)) {
        if (!g_cond_wait_until(&heard_cond, &heard_mutex, deadline))
            break;
    }
    g_assert_cmpstr(heard->str, ==, wanted);
    g_string_truncate(heard, 0);
    g_mutex_unlock(&heard_mutex);
}

static void forget_heard(void)
{
    g_mutex_lock(&heard_mutex);
    g_string_truncate(heard, 0);
    g_mutex_unlock(&heard_mutex);
}

/* --- a daemon around the layer -------------------------------------------------------------------------- */

static char *top;
static Driver driver;
static GMainLoop *loop;
static GThread *vm_thread;

static void listen_to(EventKind kind, int id)
{
    const EventRequest request = {.kind = kind, .style = EVENT_STYLE_CALLBACK, .event_id = id};

    g_assert_true(event_subscribe(driver.events, &listener, &request, NULL, NULL));
}

static void daemon_up(void)
{
    driver.vm_context = g_main_context_new();
    loop = g_main_loop_new(driver.vm_context, FALSE);
    vm_thread = thread_run_loop("vm", loop, NULL);
    driver.backend_config = backend_config_new(driver.vm_context, NULL, FALSE);
    driver.events = event_registry_new();
    driver.domains = domain_list_new(&driver);
    listen_to(EVENT_KIND_DOMAIN, VIR_DOMAIN_EVENT_ID_LIFECYCLE);
    domain_layer_start(&driver);
}

/* All that was handed to workers is done. */
static void drain(void)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    while (!domain_defer_drain())
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
}

static void daemon_down(void)
{
    if (!domain_layer_stop(&driver)) /* a loaded machine */
        drain();
    thread_end_loop(vm_thread, loop);
    g_main_loop_unref(loop);
    domain_list_free(driver.domains);
    event_registry_free(driver.events);
    backend_config_free((BackendConfig *)driver.backend_config);
    g_main_context_unref(driver.vm_context);
}

static void make_folders(void)
{
    Paths *paths = g_new0(Paths, 1);

    top = g_dir_make_tmp("kite-domain-XXXXXX", NULL);
    g_assert_nonnull(top);
    paths->domain_config_dir = g_build_filename(top, "etc", NULL);
    paths->domain_autostart_dir = g_build_filename(top, "etc", "autostart", NULL);
    paths->domain_run_dir = g_build_filename(top, "run", NULL);
    paths->log_dir = g_build_filename(top, "log", NULL);
    paths->data_dir = g_build_filename(top, "lib", NULL);
    paths->save_dir = g_build_filename(top, "save", NULL);
    paths->nvram_dir = g_build_filename(top, "nvram", NULL);
    g_mkdir_with_parents(paths->domain_autostart_dir, 0700);
    g_mkdir_with_parents(paths->domain_run_dir, 0700);
    g_mkdir_with_parents(paths->log_dir, 0700);
    driver.paths = paths;
}

static DomainDef *parse(const char *name, guint number)
{
    g_autofree char *xml = g_strdup_printf("<domain type='qemu'><name>%s</name>"
                                           "<uuid>00000000-0000-4000-8000-%012u</uuid><memory>65536</memory>"
                                           "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>",
                                           name, number);
    GError *error = NULL;
    DomainDef *def =
        domain_def_parse(xml, NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &error);

    g_assert_no_error(error);
    return def;
}

static Domain *define(const char *name, guint number)
{
    g_autoptr(DomainDef) def = parse(name, number);
    GError *error = NULL;
    Domain *dom = domain_list_claim(driver.domains, def->uuid, name, DOMAIN_CLAIM_DEFINE, &error);

    g_assert_no_error(error);
    g_assert_true(domain_job_begin(dom, "define", &error));
    g_assert_true(domain_replace_config(dom, g_steal_pointer(&def), &error));
    domain_list_publish(driver.domains, dom);
    domain_job_end(dom);
    return dom;
}

static gboolean start(Domain *dom, DomainDef *def, guint flags, GError **error)
{
    const DomainStart how = {.flags = flags, .started_detail = VIR_DOMAIN_EVENT_STARTED_BOOTED};
    gboolean done;

    g_assert_true(domain_job_begin(dom, "start", error));
    done = domain_start(dom, def, &how, error);
    domain_job_end(dom);
    return done;
}

static void must_start(Domain *dom, guint flags)
{
    GError *error = NULL;

    start(dom, NULL, flags, &error);
    g_assert_no_error(error);
}

static void must_destroy(Domain *dom)
{
    GError *error = NULL;

    domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, &error);
    g_assert_no_error(error);
}

static void undefine(Domain *dom)
{
    g_assert_true(persist_remove_config(&driver, dom->name, NULL));
    domain_list_remove(driver.domains, dom);
    domain_unref(dom);
}

static void expect_state(Domain *dom, int state, int reason)
{
    LOCK_SCOPE(&dom->lock);

    g_assert_cmpint(dom->state, ==, state);
    g_assert_cmpint(dom->reason, ==, reason);
}

static void expect_no_run_folder(const char *name)
{
    g_autofree char *folder = g_build_filename(driver.paths->domain_run_dir, name, NULL);

    g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
}

static pid_t pid_of(Domain *dom)
{
    LOCK_SCOPE(&dom->lock);

    return dom->pid;
}

static void emit(Domain *dom, const char *event, const char *data)
{
    GError *error = NULL;
    g_autoptr(VmProcess) vm = domain_vm(dom, NULL, &error);
    json_t *args = json_pack("{s:s}", "event", event);

    g_assert_no_error(error);
    if (data != NULL)
        json_object_set_new(args, "data", json_loads(data, 0, NULL));
    g_assert_true(qmp_call(vm_process_qmp(vm), "x-emit", args, 0, NULL, NULL));
}

/* After a restart of the daemon: its monitor has been found again. */
static void wait_reconnected(Domain *dom)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    LOCK_SCOPE(&dom->lock);
    while (dom->vm == NULL)
        g_assert_true(lock_wait(&dom->lock, &dom->stopped, deadline));
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void test_start_destroy(void)
{
    Domain *dom = define("one", 1);
    GError *error = NULL;
    int first_id;

    must_start(dom, 0);
    expect_heard("one:4/0 one:2/0 "); /* RESUMED, then STARTED: libvirt's order */
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    first_id = dom->id;
    g_assert_cmpint(first_id, >, 0);
    g_assert_cmpint(g_atomic_int_get(&driver.holds), ==, 1);
    g_assert_false(start(dom, NULL, 0, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_INVALID));
    g_assert_cmpstr(error->message, ==, "domain is already running");
    g_clear_error(&error);

    must_destroy(dom);
    expect_heard("one:5/1 ");
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED);
    g_assert_cmpint(dom->id, ==, -1);
    g_assert_cmpint(g_atomic_int_get(&driver.holds), ==, 0);
    expect_no_run_folder("one");
    g_assert_false(domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, &error));
    g_assert_cmpstr(error->message, ==, "domain is not running");
    g_clear_error(&error);

    must_start(dom, VIR_DOMAIN_START_PAUSED);
    expect_heard("one:2/0 one:3/0 ");
    expect_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
    g_assert_cmpint(dom->id, >, first_id);
    must_destroy(dom);
    expect_heard("one:5/1 ");
    undefine(dom);
}

static void test_guest_powers_off(void)
{
    Domain *dom = define("off", 2);

    must_start(dom, 0);
    emit(dom, "SHUTDOWN", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
    expect_heard("off:4/0 off:2/0 off:6/1 off:5/0 ");
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN);
    expect_no_run_folder("off");
    undefine(dom);
}

static void test_crash(void)
{
    Domain *dom = define("crash", 3);

    must_start(dom, 0);
    kill(pid_of(dom), SIGKILL);
    expect_heard("crash:4/0 crash:2/0 crash:5/5 ");
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_CRASHED);
    undefine(dom);
}

static void test_transient(void)
{
    g_autoptr(DomainDef) def = parse("guest", 4);
    GError *error = NULL;
    Domain *dom = domain_list_claim(driver.domains, def->uuid, "guest", DOMAIN_CLAIM_CREATE, &error);

    g_assert_null(domain_list_find_name(driver.domains, "guest")); /* not before it runs */
    g_assert_true(start(dom, g_steal_pointer(&def), 0, &error));
    g_assert_nonnull(domain_list_find_name(driver.domains, "guest"));
    domain_unref(dom); /* of the look-up */
    g_assert_false(domain_persistent(dom));
    must_destroy(dom);
    expect_heard("guest:4/0 guest:2/0 guest:5/1 ");
    g_assert_null(domain_list_find_name(driver.domains, "guest"));
    domain_unref(dom);
}

static gpointer claim_again(gpointer data)
{
    g_autoptr(DomainDef) def = parse("guest", 4);
    GError *error = NULL;
    Domain *dom = domain_claim_locked(&driver, def, DOMAIN_CLAIM_DEFINE, "define", &error);

    g_assert_no_error(error);
    domain_job_end(dom);
    return dom;
}

/* Who is about to be removed is nobody's domain any more: a VM started in it would be found by no look-up. */
static void test_claim_at_the_end(void)
{
    g_autoptr(DomainDef) def = parse("guest", 4);
    Domain *ending = domain_list_claim(driver.domains, def->uuid, "guest", DOMAIN_CLAIM_CREATE, NULL), *fresh;
    gboolean claimed = FALSE;
    GThread *thread;

    ending->stopping = TRUE;
    thread = g_thread_new("define", claim_again, NULL);
    while (!claimed) {
        g_mutex_lock(&ending->job.mutex);
        claimed = ending->job.owner != NULL;
        g_mutex_unlock(&ending->job.mutex);
    }
    domain_list_remove(driver.domains, ending);
    lock_acquire(&ending->lock);
    ending->stopping = FALSE;
    g_cond_broadcast(&ending->stopped);
    lock_release(&ending->lock);
    fresh = g_thread_join(thread);
    g_assert_true(fresh != ending);
    domain_list_abandon(driver.domains, fresh);
    domain_unref(fresh);
    domain_unref(ending);
}

static gpointer destroy_it(gpointer data)
{
    must_destroy(data);
    return NULL;
}

/* Its definition is on its way to the disk when the VM of a transient domain ends: it stays. */
static void test_define_at_the_end(void)
{
    g_autoptr(DomainDef) def = parse("guest", 4);
    Domain *dom = domain_list_claim(driver.domains, def->uuid, "guest", DOMAIN_CLAIM_CREATE, NULL);
    gboolean ending = FALSE;
    GError *error = NULL;
    GThread *thread;

    g_assert_true(start(dom, parse("guest", 4), 0, &error));
    domain_unref(domain_claim_locked(&driver, def, DOMAIN_CLAIM_DEFINE, "define", &error));
    g_assert_no_error(error);
    thread = g_thread_new("destroy", destroy_it, dom);
    while (!ending) {
        lock_acquire(&dom->lock);
        ending = dom->stopping;
        lock_release(&dom->lock);
    }
    g_assert_true(domain_replace_config(dom, g_steal_pointer(&def), &error));
    lock_acquire(&dom->lock);
    dom->defining = FALSE;
    g_cond_broadcast(&dom->stopped);
    lock_release(&dom->lock);
    domain_job_end(dom);
    g_thread_join(thread);
    expect_heard("guest:4/0 guest:2/0 guest:5/1 ");
    g_assert_true(domain_persistent(dom));
    g_assert_true(domain_list_find_name(driver.domains, "guest") == dom);
    domain_unref(dom); /* of the look-up */
    undefine(dom);
}

static void test_start_fails(void)
{
    Domain *dom = define("fails", 5);
    GError *error = NULL;

    fake_backend.fail_start = TRUE;
    g_assert_false(start(dom, NULL, 0, &error));
    fake_backend.fail_start = FALSE;
    g_assert_true(error_is(error, VIR_ERR_CONFIG_UNSUPPORTED));
    g_clear_error(&error);
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_FAILED);
    expect_no_run_folder("fails");
    expect_heard("");
    must_start(dom, 0);
    must_destroy(dom);
    expect_heard("fails:4/0 fails:2/0 fails:5/1 ");
    undefine(dom);
}

static void test_pause_and_errors(void)
{
    Domain *dom = define("io", 6);
    VmProcess *vm;
    GError *error = NULL;

    must_start(dom, 0);
    vm = domain_vm(dom, NULL, &error);
    g_assert_true(domain_job_begin(dom, "suspend", &error));
    g_assert_true(domain_pause_guest(dom, vm, VIR_DOMAIN_PAUSED_USER, &error));
    expect_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
    g_assert_true(domain_resume_guest(dom, vm, VIR_DOMAIN_RUNNING_UNPAUSED, &error));
    domain_job_end(dom);
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNPAUSED);
    expect_heard("io:4/0 io:2/0 io:3/0 io:4/0 ");

    emit(dom, "BLOCK_IO_ERROR", "{\"device\": \"\", \"action\": \"stop\", \"nospace\": true}");
    emit(dom, "STOP", NULL);
    expect_heard("io:3/2 ");
    expect_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_IOERROR);
    emit(dom, "RESUME", NULL);
    emit(dom, "SUSPEND", NULL);
    emit(dom, "WAKEUP", NULL);
    expect_heard("io:4/0 io:7/0 io:2/4 ");
    emit(dom, "GUEST_PANICKED", "{\"action\": \"pause\"}");
    expect_heard("io:8/0 io:5/2 "); /* on_crash is destroy */
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_CRASHED);
    vm_process_unref(vm);
    undefine(dom);
}

/* As with libvirtd: what the VM says when it is asked to end is heard before STOPPED. */
static void test_last_words(void)
{
    Domain *dom = define("words", 8);
    GError *error = NULL;
    VmProcess *vm;

    must_start(dom, 0);
    vm = domain_vm(dom, NULL, NULL);
    g_assert_true(qmp_call(vm_process_qmp(vm), "x-last-words", NULL, 0, NULL, NULL));
    vm_process_unref(vm);
    forget_heard();
    domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, TRUE, &error);
    g_assert_no_error(error);
    expect_heard("words:6/2 words:5/1 ");
    expect_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED);
    undefine(dom);
}

static void test_fake_reboot(void)
{
    Domain *dom = define("reboot", 7);
    GError *error = NULL;
    VmProcess *vm;
    pid_t pid;

    must_start(dom, 0);
    pid = pid_of(dom);
    listen_to(EVENT_KIND_DOMAIN, VIR_DOMAIN_EVENT_ID_REBOOT);
    expect_heard("reboot:4/0 reboot:2/0 ");
    vm = domain_vm(dom, NULL, &error);
    lock_acquire(&dom->lock);
    dom->fake_reboot = TRUE;
    lock_release(&dom->lock);
    g_assert_true(vm_system_powerdown(vm_process_qmp(vm), &error));
    expect_heard("#319 "); /* a reboot, nothing of a shutdown */
    drain();
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    g_assert_cmpint(pid_of(dom), ==, pid);
    vm_process_unref(vm);
    must_destroy(dom);
    expect_heard("reboot:5/1 ");
    undefine(dom);
}

/* --- stuck guests --------------------------------------------------------------------------------------- */

static gpointer stuck_job(gpointer data)
{
    Domain *dom = data;
    GError *error = NULL;
    g_autoptr(VmProcess) vm = domain_vm(dom, NULL, &error);
    gboolean done;

    g_assert_true(domain_job_begin(dom, "stuck", &error));
    done = domain_pause_guest(dom, vm, VIR_DOMAIN_PAUSED_USER, &error);
    /* The run has been destroyed meanwhile; what this job looks at stays. */
    lock_acquire(&dom->lock);
    while (dom->ended_run < dom->run)
        lock_wait(&dom->lock, &dom->stopped, -1);
    g_assert_null(dom->live);
    g_assert_null(dom->info);
    lock_release(&dom->lock);
    g_assert_cmpstr(domain_job_live(dom)->name, ==, "stuck");
    g_assert_cmpstr(domain_job_info(dom)->status, !=, NULL);
    domain_job_end(dom);
    g_assert_null(domain_job_live(dom));
    g_assert_false(done);
    g_clear_error(&error);
    return NULL;
}

static void test_destroy_beside_stuck_job(void)
{
    Domain *dom = define("stuck", 8);
    VmProcess *vm;
    GThread *thread;
    GError *error = NULL;
    gint64 begun;

    must_start(dom, 0);
    expect_heard("stuck:4/0 stuck:2/0 ");
    vm = domain_vm(dom, NULL, NULL);
    g_assert_true(qmp_call(vm_process_qmp(vm), "x-hang", NULL, 0, NULL, NULL));
    vm_process_unref(vm);
    thread = g_thread_new("stuck", stuck_job, dom);
    for (gboolean busy = FALSE; !busy;) {
        g_mutex_lock(&dom->job.mutex);
        busy = dom->job.owner != NULL;
        g_mutex_unlock(&dom->job.mutex);
    }
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED); /* reads do not wait */
    domain_job_wait_us = 20000;
    g_assert_false(domain_job_begin(dom, "second", &error));
    domain_job_wait_us = JOB_WAIT_SECONDS * G_USEC_PER_SEC;
    g_assert_true(error_is(error, VIR_ERR_OPERATION_TIMEOUT));
    g_assert_nonnull(strstr(error->message, "cannot acquire state change lock (held by monitor=stuck"));
    g_clear_error(&error);

    begun = g_get_monotonic_time();
    must_destroy(dom);
    g_assert_cmpint(g_get_monotonic_time() - begun, <, 3 * G_USEC_PER_SEC);
    g_thread_join(thread);
    expect_heard("stuck:5/1 ");
    must_start(dom, 0); /* the lock is free again */
    must_destroy(dom);
    expect_heard("stuck:4/0 stuck:2/0 stuck:5/1 ");
    undefine(dom);
}

static void test_stopped_process(void)
{
    Domain *dom = define("sigstop", 9);
    gint64 begun;

    must_start(dom, 0);
    kill(pid_of(dom), SIGSTOP);
    begun = g_get_monotonic_time();
    must_destroy(dom);
    g_assert_cmpint(g_get_monotonic_time() - begun, <, G_USEC_PER_SEC);
    expect_heard("sigstop:4/0 sigstop:2/0 sigstop:5/1 ");
    undefine(dom);
}

static gpointer held_start(gpointer data)
{
    GError *error = NULL;

    g_assert_false(start(data, NULL, 0, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_ABORTED));
    g_clear_error(&error);
    return NULL;
}

static void test_destroy_during_start(void)
{
    Domain *dom = define("held", 10);
    GThread *thread;
    gboolean spawned = FALSE;

    fake_backend.hold_start = TRUE;
    thread = g_thread_new("start", held_start, dom);
    while (!spawned) {
        lock_acquire(&dom->lock);
        spawned = dom->pid != 0;
        lock_release(&dom->lock);
    }
    must_destroy(dom);
    g_thread_join(thread);
    fake_backend.hold_start = FALSE;
    expect_heard("");
    expect_no_run_folder("held");
    g_assert_cmpint(dom->id, ==, -1);
    undefine(dom);
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static guint count(guint flags)
{
    g_autoptr(GPtrArray) chosen = domain_list_collect(driver.domains, flags, NULL, NULL, NULL);

    return chosen->len;
}

static void test_list_filters(void)
{
    Domain *off = define("l-off", 20), *on = define("l-on", 21), *paused = define("l-paused", 22);
    GError *error = NULL;

    must_start(on, 0);
    must_start(paused, VIR_DOMAIN_START_PAUSED);
    lock_acquire(&off->lock);
    off->autostart = TRUE;
    off->snapshots = 2;
    lock_release(&off->lock);
    g_assert_cmpuint(count(0), ==, 3);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_ACTIVE), ==, 2);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_INACTIVE), ==, 1);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE), ==, 3);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_TRANSIENT), ==, 0);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_PERSISTENT), ==, 3);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_RUNNING), ==, 1);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_PAUSED), ==, 1);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_SHUTOFF | VIR_CONNECT_LIST_DOMAINS_PAUSED), ==, 2);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_OTHER), ==, 0);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_AUTOSTART), ==, 1);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_AUTOSTART), ==, 0);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT), ==, 1);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT), ==, 2);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT), ==, 0);
    g_assert_cmpuint(count(VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE), ==, 0);
    g_assert_null(domain_list_collect(driver.domains, 1u << 30, NULL, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_INVALID_ARG));
    g_clear_error(&error);

    g_assert_null(domain_list_claim(driver.domains, off->uuid, "other", DOMAIN_CLAIM_DEFINE, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
    g_assert_cmpstr(error->message, ==,
                    "domain 'l-off' is already defined with uuid 00000000-0000-4000-8000-000000000020");
    g_clear_error(&error);
    g_assert_null(domain_list_claim(driver.domains, (const guint8 *)"another-uuid-16b", "l-off", DOMAIN_CLAIM_DEFINE,
                                    &error));
    g_assert_cmpstr(error->message, ==,
                    "domain 'l-off' already exists with uuid 00000000-0000-4000-8000-000000000020");
    g_clear_error(&error);
    g_assert_null(domain_list_claim(driver.domains, on->uuid, "l-on", DOMAIN_CLAIM_CREATE, &error));
    g_assert_cmpstr(error->message, ==, "domain 'l-on' is already active");
    g_clear_error(&error);

    must_destroy(on);
    must_destroy(paused);
    forget_heard();
    undefine(off);
    undefine(on);
    undefine(paused);
}

/* --- disk ----------------------------------------------------------------------------------------------- */

static void test_full_disk(void)
{
    Domain *dom = define("full", 30);
    g_autofree char *path = g_build_filename(driver.paths->domain_config_dir, "full.xml", NULL);
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    struct rlimit old, tiny;
    DomainDef *def;
    GError *error = NULL;

    g_assert_true(g_file_get_contents(path, &before, NULL, NULL));
    def = parse("full", 30);
    def->memory = 131072;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tiny = old;
    tiny.rlim_cur = 100;
    setrlimit(RLIMIT_FSIZE, &tiny);
    g_assert_true(domain_job_begin(dom, "define", NULL));
    g_assert_false(domain_replace_config(dom, def, &error));
    setrlimit(RLIMIT_FSIZE, &old);
    domain_job_end(dom);
    g_assert_nonnull(strstr(error->message, "cannot save the definition of domain 'full'"));
    g_clear_error(&error);
    g_assert_true(g_file_get_contents(path, &after, NULL, NULL));
    g_assert_cmpstr(before, ==, after);
    lock_acquire(&dom->lock);
    g_assert_cmpuint(dom->config->memory, ==, 65536);
    lock_release(&dom->lock);
    undefine(dom);
}

static void test_load(void)
{
    Domain *dom = define("kept", 31);
    g_autofree char *bad = g_build_filename(driver.paths->domain_config_dir, "bad.xml", NULL);
    g_autofree char *misnamed = g_build_filename(driver.paths->domain_config_dir, "misnamed.xml", NULL);
    g_autofree char *kept = g_build_filename(driver.paths->domain_config_dir, "kept.xml", NULL);
    g_autofree char *text = NULL;

    g_assert_true(persist_set_autostart(&driver, "kept", TRUE, NULL));
    g_assert_true(g_file_set_contents(bad, "<domain><name>bad</name>", -1, NULL));
    g_assert_true(g_file_get_contents(kept, &text, NULL, NULL));
    g_assert_true(g_file_set_contents(misnamed, text, -1, NULL));
    domain_unref(dom);
    daemon_down();
    daemon_up();
    dom = domain_list_find_name(driver.domains, "kept");
    g_assert_nonnull(dom);
    g_assert_true(dom->autostart);
    g_assert_null(domain_list_find_name(driver.domains, "misnamed"));
    g_assert_null(domain_list_find_name(driver.domains, "bad"));
    g_assert_true(g_file_test(bad, G_FILE_TEST_EXISTS)); /* never deleted */
    g_unlink(bad);
    g_unlink(misnamed);
    undefine(dom);
}

/* --- restart of the daemon ------------------------------------------------------------------------------ */

static void test_reconnect(void)
{
    Domain *dom = define("again", 40), *lost = define("lost", 41);
    pid_t pid, lost_pid;
    int id;

    must_start(dom, 0);
    must_start(lost, 0);
    forget_heard();
    id = dom->id;
    pid = pid_of(dom);
    lost_pid = pid_of(lost);
    domain_unref(dom);
    domain_unref(lost);
    daemon_down();
    kill(lost_pid, SIGKILL);
    waitpid(lost_pid, NULL, 0);
    daemon_up();
    dom = domain_list_find_name(driver.domains, "again");
    lost = domain_list_find_name(driver.domains, "lost");
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED); /* at once, from the status file */
    expect_state(lost, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_CRASHED);
    expect_no_run_folder("lost");
    g_assert_cmpint(dom->id, ==, id);
    g_assert_cmpint(pid_of(dom), ==, pid);
    wait_reconnected(dom);
    emit(dom, "STOP", NULL);
    expect_heard("again:3/0 ");
    must_destroy(dom);
    expect_heard("again:5/1 ");
    undefine(dom);
    undefine(lost);
}

/* What changed while no daemon looked is told; a VM that does not answer can be destroyed. */
static void test_reconnect_changed(void)
{
    Domain *dom = define("changed", 42);
    GError *error = NULL;
    VmProcess *vm;
    pid_t pid;

    must_start(dom, 0);
    vm = domain_vm(dom, NULL, NULL);
    domain_unref(dom);
    /* Behind our back: no event handler hears of it. */
    vm_process_detach(vm);
    g_assert_true(vm_process_is_running(vm));
    pid = vm_process_pid(vm);
    vm_process_unref(vm);
    forget_heard();
    daemon_down();
    kill(pid, SIGSTOP);
    daemon_up();
    dom = domain_list_find_name(driver.domains, "changed");
    expect_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, &error);
    g_assert_no_error(error);
    expect_heard("changed:5/1 ");
    drain();
    undefine(dom);
}

static void test_status_file(void)
{
    VmVcpuInfo vcpu = {.tid = 77, .online = TRUE, .place = {{1, -1, 0, 0, 0}}, .qom_path = (char *)"/machine/x"};
    VmLiveInfo info = {.vcpus = &vcpu, .n_vcpus = 1, .balloon_kib = 4096, .kvm = TRUE};
    g_autoptr(DomainDef) def = parse("status", 50);
    StatusFile out = {.state = VIR_DOMAIN_PAUSED,
                      .reason = VIR_DOMAIN_PAUSED_IOERROR,
                      .id = 7,
                      .pid = 4711,
                      .start_time = 99,
                      .backend = (char *)"qemu",
                      .taints = 1 << DOMAIN_TAINT_DEPRECATED_CONFIG,
                      .deprecations = g_ptr_array_new(),
                      .fake_reboot = TRUE,
                      .info = &info,
                      .def = def};
    g_autofree char *text = NULL;
    g_auto(StatusFile) in = {0};
    GError *error = NULL;

    g_ptr_array_add(out.deprecations, (gpointer)"machine type 'pc-q35-5.2'");
    text = status_file_format(&out);
    g_ptr_array_unref(out.deprecations);
    g_assert_true(status_file_parse(text, NULL, &in, &error));
    g_assert_cmpint(in.state, ==, VIR_DOMAIN_PAUSED);
    g_assert_cmpint(in.reason, ==, VIR_DOMAIN_PAUSED_IOERROR);
    g_assert_cmpint(in.pid, ==, 4711);
    g_assert_cmpuint(in.start_time, ==, 99);
    g_assert_cmpuint(in.taints, ==, out.taints);
    g_assert_cmpstr(in.deprecations->pdata[0], ==, "machine type 'pc-q35-5.2'");
    g_assert_true(in.fake_reboot && !in.updated && in.info->kvm);
    g_assert_cmpint(in.info->vcpus[0].tid, ==, 77);
    g_assert_cmpint(in.info->vcpus[0].place.id[CPU_LEVEL_DIE], ==, -1);
    g_assert_cmpstr(in.def->name, ==, "status");
    status_file_clear(&in);
    g_assert_false(status_file_parse("<domstatus/>", NULL, &in, &error));
    g_clear_error(&error);
}

int main(int argc, char **argv)
{
    const char *build = g_getenv("abs_top_builddir");
    int result;

    setlocale(LC_ALL, "");
    g_test_init(&argc, &argv, NULL);
    fake_backend.program = g_build_filename(build != NULL ? build : ".", "tests/lib/fake_vm", NULL);
    heard = g_string_new(NULL);
    make_folders();
    daemon_up();
    g_test_add_func("/domain/start-destroy", test_start_destroy);
    g_test_add_func("/domain/guest-powers-off", test_guest_powers_off);
    g_test_add_func("/domain/crash", test_crash);
    g_test_add_func("/domain/transient", test_transient);
    g_test_add_func("/domain/claim-at-the-end", test_claim_at_the_end);
    g_test_add_func("/domain/define-at-the-end", test_define_at_the_end);
    g_test_add_func("/domain/start-fails", test_start_fails);
    g_test_add_func("/domain/pause-and-errors", test_pause_and_errors);
    g_test_add_func("/domain/destroy-beside-stuck-job", test_destroy_beside_stuck_job);
    g_test_add_func("/domain/stopped-process", test_stopped_process);
    g_test_add_func("/domain/destroy-during-start", test_destroy_during_start);
    g_test_add_func("/domain/list-filters", test_list_filters);
    g_test_add_func("/domain/full-disk", test_full_disk);
    g_test_add_func("/domain/load", test_load);
    g_test_add_func("/domain/reconnect", test_reconnect);
    g_test_add_func("/domain/reconnect-changed", test_reconnect_changed);
    g_test_add_func("/domain/last-words", test_last_words);
    g_test_add_func("/domain/fake-reboot", test_fake_reboot);
    g_test_add_func("/domain/status-file", test_status_file);
    result = g_test_run();
    daemon_down();
    return result;
}
