/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client against scripted peers: replies, errors, deadlines, garbage, split frames, floods, loss; and
 * typed commands against conversations recorded with QEMU 7.2. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/thread.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qmp_client.h"
#include "fake_qmp.h"

typedef struct Fixture {
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
    FakeQmp *fake;
    QmpClient *client;
    gint events, lost;
    char *lost_why;
    char *last_event;
} Fixture;

static void on_event(QmpClient *client, const char *name, json_t *data, gint64 seconds, guint32 micros,
                     gpointer opaque)
{
    Fixture *f = opaque;

    g_free(f->last_event);
    f->last_event = g_strdup(name);
    g_assert_false(g_atomic_int_get(&f->lost)); /* never after the loss */
    g_atomic_int_inc(&f->events);
}

static void on_lost(QmpClient *client, const char *why, gpointer opaque)
{
    Fixture *f = opaque;

    f->lost_why = g_strdup(why);
    g_atomic_int_inc(&f->lost);
}

static const QmpClientOps ops = {on_event, on_lost};

static void begin(Fixture *f, const char *script)
{
    int fd;

    *f = (Fixture){0};
    f->context = g_main_context_new();
    f->loop = g_main_loop_new(f->context, FALSE);
    f->fake = fake_qmp_start(script, &fd);
    f->client = qmp_client_new(f->context, fd, &ops, f, NULL);
    f->thread = thread_run_loop("vm", f->loop, NULL);
}

static void wait_lost(Fixture *f)
{
    for (int i = 0; i < 2000 && !g_atomic_int_get(&f->lost); i++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&f->lost), ==, 1);
}

static void end(Fixture *f)
{
    qmp_client_close(f->client, NULL);
    wait_lost(f);
    qmp_client_unref(f->client);
    thread_end_loop(f->thread, f->loop);
    g_ptr_array_unref(fake_qmp_finish(f->fake));
    g_main_loop_unref(f->loop);
    g_main_context_unref(f->context);
    g_free(f->lost_why);
    g_free(f->last_event);
}

static void negotiate(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    qmp_client_negotiate(f->client, 5000, &error);
    g_assert_no_error(error);
}

static void test_call(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    json_t *ret = NULL;
    QmpErrorClass class;

    begin(&f, "G\n"
              "C: query-name\n"
              "S: {\"return\": {\"name\": \"x\"}, \"id\": \"$ID\"}\n"
              "C: device_del\n"
              "S: {\"id\": \"$ID\", \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'a' not "
              "found\"}}\n"
              "HANG\n");
    negotiate(&f);
    g_assert_cmpuint(qmp_client_version(f.client), ==, 7002022);
    g_assert_true(qmp_client_negotiate(f.client, 1, NULL)); /* a second time costs nothing */
    g_assert_true(qmp_call(f.client, "query-name", NULL, 0, &ret, &error));
    g_assert_cmpstr(json_string_value(json_object_get(ret, "name")), ==, "x");
    json_decref(ret);
    g_assert_false(qmp_call_full(f.client, "device_del", json_pack("{s:s}", "id", "a"), NULL, 0, 0, &class,
                                 NULL, &error));
    g_assert_cmpint(class, ==, QMP_ERROR_DEVICE_NOT_FOUND);
    g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
    g_assert_cmpstr(error->message, ==, "unable to execute QEMU command 'device_del': Device 'a' not found");
    end(&f);
}

static void test_split_and_pretty(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    json_t *ret = NULL;

    begin(&f, "G\n"
              "C: query-x\n"
              "S+ {\"retu\n"
              "S+ rn\": {\"a\\\"}\n"
              "S+ \": 18446744073709551615,\n"
              "RAW 0d0a0a20\n"
              "S+ \"b\": [1, -2, 3.5e3, 9223372036854775808]\n"
              "S+ }, \"id\": \"$ID\"}{\"event\": \"E\", \"timestamp\": {}}\n"
              "HANG\n");
    negotiate(&f);
    g_assert_true(qmp_call(f.client, "query-x", NULL, 5000, &ret, &error));
    g_assert_cmpint(json_integer_value(json_object_get(ret, "a\"}")), ==, G_MAXINT64);
    g_assert_cmpint(json_integer_value(json_array_get(json_object_get(ret, "b"), 1)), ==, -2);
    g_assert_cmpint(json_integer_value(json_array_get(json_object_get(ret, "b"), 3)), ==, G_MAXINT64);
    json_decref(ret);
    for (int i = 0; i < 1000 && g_atomic_int_get(&f.events) == 0; i++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&f.events), ==, 1);
    end(&f);
}

static void test_deadline(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    QmpErrorClass class;
    gint64 begun;

    begin(&f, "G\nC: slow\nC: quick\n"
              "S: {\"return\": {}, \"id\": \"kite-2\"}\n" /* the late answer to the first */
              "S: {\"return\": {}, \"id\": \"$ID\"}\nHANG\n");
    negotiate(&f);
    begun = g_get_monotonic_time();
    g_assert_false(qmp_call_full(f.client, "slow", NULL, NULL, 0, 50, &class, NULL, &error));
    g_assert_cmpint(g_get_monotonic_time() - begun, <, 2 * G_USEC_PER_SEC);
    g_assert_cmpint(class, ==, QMP_ERROR_TIMEOUT);
    g_assert_true(error_is(error, VIR_ERR_OPERATION_TIMEOUT));
    g_clear_error(&error);
    g_assert_true(qmp_call(f.client, "quick", NULL, 5000, NULL, &error));
    end(&f);
}

static gpointer caller(gpointer data)
{
    GError *error = NULL;

    g_assert_false(qmp_call(data, "stuck", NULL, 60000, NULL, &error));
    return error;
}

static void test_close_wakes(void)
{
    Fixture f;
    GThread *threads[3];
    gint64 begun;

    begin(&f, "G\nHANG\n");
    negotiate(&f);
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("caller", caller, f.client);
    g_usleep(20000);
    begun = g_get_monotonic_time();
    qmp_client_close(f.client, "the process was killed");
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_autoptr(GError) error = g_thread_join(threads[i]);

        g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
        g_assert_nonnull(strstr(error->message, "the process was killed"));
    }
    g_assert_cmpint(g_get_monotonic_time() - begun, <, G_USEC_PER_SEC);
    g_assert_true(qmp_client_is_lost(f.client));
    g_assert_false(qmp_call(f.client, "later", NULL, 60000, NULL, NULL));
    end(&f);
}

static void expect_lost(const char *script, const char *why)
{
    Fixture f;
    g_autoptr(GError) error = NULL;

    begin(&f, script);
    negotiate(&f);
    g_assert_false(qmp_call(f.client, "x", NULL, 60000, NULL, &error));
    wait_lost(&f);
    if (why != NULL)
        g_assert_nonnull(strstr(f.lost_why, why));
    else
        g_assert_null(f.lost_why);
    end(&f);
}

static void test_loss(void)
{
    g_autoptr(GString) deep = g_string_new("G\nC: x\nS: {\"return\": ");

    expect_lost("G\nC: x\nEOF\n", NULL);
    expect_lost("G\nC: x\nS: HTTP/1.1 200 OK\nHANG\n", "not a JSON object");
    expect_lost("G\nC: x\nS: {\"return\": nonsense}\nHANG\n", "not JSON");
    expect_lost("G\nC: x\nS: {\"foo\": 1}\nHANG\n", "neither greeting, reply nor event");
    expect_lost("G\nC: x\nRAW 7b2261223a22ff00fe227d\nHANG\n", "not JSON");
    for (guint i = 0; i < QMP_DEPTH_MAX + 1; i++)
        g_string_append_c(deep, '[');
    g_string_append(deep, "\nHANG\n");
    expect_lost(deep->str, "too deeply");
}

static void test_no_greeting(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;

    begin(&f, "HANG\n");
    g_assert_false(qmp_client_negotiate(f.client, 50, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_TIMEOUT));
    end(&f);
}

static void test_flood(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;

    begin(&f, "G\nC: x\nFLOOD 20000\nS: {\"return\": {}, \"id\": \"$ID\"}\nHANG\n");
    negotiate(&f);
    g_assert_true(qmp_call(f.client, "x", NULL, 10000, NULL, &error));
    g_assert_cmpint(g_atomic_int_get(&f.events), ==, 20000); /* all before the reply that came after them */
    end(&f);
}

static void count_reply(QmpClient *client, json_t *result, const GError *error, gpointer opaque)
{
    g_atomic_int_inc((gint *)opaque + (error != NULL));
}

static void test_async(void)
{
    Fixture f;
    gint counts[2] = {0, 0};

    begin(&f, "G\nR\nC: never\nC: lost\nHANG\n");
    negotiate(&f);
    qmp_call_async(f.client, "works", NULL, 5000, count_reply, counts);
    qmp_call_async(f.client, "never", NULL, 30, count_reply, counts);
    qmp_call_async(f.client, "lost", NULL, 60000, count_reply, counts);
    for (int i = 0; i < 2000 && g_atomic_int_get(&counts[1]) == 0; i++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&counts[0]), ==, 1);
    g_assert_cmpint(g_atomic_int_get(&counts[1]), ==, 1);
    qmp_client_close(f.client, NULL);
    wait_lost(&f);
    g_assert_cmpint(g_atomic_int_get(&counts[1]), ==, 2);
    end(&f);
}

/* Replies out of order find their callers. */
static gpointer numbered(gpointer data)
{
    QmpClient *client = data;
    json_t *ret = NULL;
    gint64 n;

    g_assert_true(qmp_call(client, "n", NULL, 10000, &ret, NULL));
    n = json_integer_value(ret);
    json_decref(ret);
    return GINT_TO_POINTER((gint)n);
}

static void test_out_of_order(void)
{
    Fixture f;
    GThread *a, *b;

    begin(&f, "G\nC: n\nC: n\nS: {\"return\": 3, \"id\": \"kite-3\"}\nS: {\"return\": 2, \"id\": "
              "\"kite-2\"}\nHANG\n");
    negotiate(&f);
    a = g_thread_new("a", numbered, f.client);
    b = g_thread_new("b", numbered, f.client);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(a)) + GPOINTER_TO_INT(g_thread_join(b)), ==, 5);
    end(&f);
}

static void test_descriptors(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    gint64 set = -1;

    begin(&f, "G\nC: getfd\nS: {\"return\": {}, \"id\": \"$ID\"}\n"
              "C: add-fd\nS: {\"return\": {\"fdset-id\": 7, \"fd\": 3}, \"id\": \"$ID\"}\nHANG\n");
    negotiate(&f);
    g_assert_true(qmp_send_fd(f.client, fd, "x", &error));
    g_assert_true(qmp_add_fd(f.client, fd, -1, NULL, &set, &error));
    g_assert_cmpint(set, ==, 7);
    g_assert_cmpuint(fake_qmp_fds(f.fake), ==, 2);
    close(fd);
    end(&f);
}

static void test_raw(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    begin(&f, "G\nC: qom-get\nS: {\"return\": 18446744073709551615, \"id\": \"$ID\"}\nHANG\n");
    negotiate(&f);
    g_assert_true(
        qmp_call_raw(f.client, json_pack("{s:s}", "execute", "qom-get"), NULL, 0, 0, &text, &error));
    g_assert_nonnull(strstr(text, "18446744073709551615"));
    end(&f);
}

/* A command larger than the socket's buffer: the rest goes out as the peer reads. */
static void test_large_command(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    g_autofree char *big = g_strnfill(900000, 'x');

    begin(&f, "G\nR\nR\nHANG\n");
    negotiate(&f);
    g_assert_true(qmp_call(f.client, "big", json_pack("{s:s}", "a", big), 10000, NULL, &error));
    g_assert_true(qmp_call(f.client, "small", NULL, 10000, NULL, &error));
    end(&f);
}

/* --- recorded with QEMU 7.2 --- */

static void begin_recorded(Fixture *f, const char *name)
{
    const char *top = g_getenv("abs_top_srcdir");
    g_autofree char *path = g_build_filename(top ? top : ".", "tests/golden/qmp", name, NULL);
    g_autofree char *script = NULL;

    g_assert_true(g_file_get_contents(path, &script, NULL, NULL));
    begin(f, script);
    negotiate(f);
}

static void test_recorded(void)
{
    Fixture f;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GPtrArray) slots = NULL;
    g_autoptr(GPtrArray) stats = NULL;
    g_autoptr(GPtrArray) drives = NULL;
    g_autoptr(GPtrArray) chardevs = NULL;
    VmStatus status;
    VmVncInfo vnc;
    VmBalloonStats balloon;
    guint64 bytes;

    begin_recorded(&f, "qemu-7.2-queries.script");
    g_assert_true(vm_query_status(f.client, &status, &error));
    g_assert_cmpstr(status.status, ==, "running");
    g_assert_true(status.running);
    vm_status_clear(&status);
    g_assert_true(vm_query_cpus(f.client, &cpus, &error));
    g_assert_cmpuint(cpus->len, ==, 2);
    g_assert_cmpstr(((VmCpu *)cpus->pdata[0])->qom_path, ==, "/machine/unattached/device[0]");
    g_assert_true(vm_query_hotpluggable_cpus(f.client, &slots, &error));
    g_assert_cmpuint(slots->len, ==, 4);
    g_assert_cmpint(((VmCpuSlot *)slots->pdata[0])->place.id[CPU_LEVEL_SOCKET], ==, 0);
    g_assert_cmpint(((VmCpuSlot *)slots->pdata[3])->place.id[CPU_LEVEL_SOCKET], ==, 3);
    g_assert_null(((VmCpuSlot *)slots->pdata[3])->qom_path);
    g_assert_true(vm_query_blockstats(f.client, &stats, &error));
    g_assert_true(vm_qdev_matches(((VmBlockStats *)stats->pdata[0])->qdev, "virtio-disk0"));
    g_assert_false(vm_qdev_matches(((VmBlockStats *)stats->pdata[0])->qdev, "virtio-disk"));
    g_assert_cmpint(((VmBlockStats *)stats->pdata[0])->rd_bytes, ==, 512);
    g_assert_true(vm_query_drives(f.client, &drives, &error));
    g_assert_cmpuint(drives->len, ==, 2);
    g_assert_false(((VmDrive *)drives->pdata[1])->tray_open);
    g_assert_null(((VmDrive *)drives->pdata[1])->node);
    g_assert_true(vm_query_chardev(f.client, &chardevs, &error));
    g_assert_cmpuint(chardevs->len, >=, 2);
    g_assert_true(vm_query_vnc(f.client, &vnc, &error));
    g_assert_cmpuint(vnc.port, ==, 5905);
    vm_vnc_info_clear(&vnc);
    g_assert_true(vm_query_balloon(f.client, &bytes, &error));
    g_assert_cmpuint(bytes, ==, 134217728);
    g_assert_true(vm_balloon_stats(f.client, "/machine/peripheral/balloon0", &balloon, &error));
    g_assert_cmpuint(balloon.free, ==, G_MAXUINT64);
    g_assert_cmpuint(balloon.last_update, ==, 0);
    g_assert_false(vm_device_del(f.client, "nope", &error));
    g_assert_true(error_is(error, VIR_ERR_DEVICE_MISSING));
    end(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/call", test_call);
    g_test_add_func("/qmp/split-and-pretty", test_split_and_pretty);
    g_test_add_func("/qmp/deadline", test_deadline);
    g_test_add_func("/qmp/close-wakes", test_close_wakes);
    g_test_add_func("/qmp/loss", test_loss);
    g_test_add_func("/qmp/no-greeting", test_no_greeting);
    g_test_add_func("/qmp/flood", test_flood);
    g_test_add_func("/qmp/async", test_async);
    g_test_add_func("/qmp/out-of-order", test_out_of_order);
    g_test_add_func("/qmp/descriptors", test_descriptors);
    g_test_add_func("/qmp/raw", test_raw);
    g_test_add_func("/qmp/large-command", test_large_command);
    g_test_add_func("/qmp/recorded", test_recorded);
    return g_test_run();
}
