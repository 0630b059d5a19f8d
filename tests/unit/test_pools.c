/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Storage pools of type dir in a folder of the test's own: documents, life cycle, restarts, volumes of each
 * format, clones, what is refused and with which error number.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "storage/probe_client.h"
#include "storage/storage_ops.h"

typedef struct Fixture {
    char *top, *config, *state, *folder;
    Storage *storage;
    GString *heard;
} Fixture;

static void hear(const StorageEvent *event, gpointer data)
{
    static const char *const words[] = {"defined", "undefined", "started", "stopped", "created", "deleted"};

    g_string_append_printf(data, "%s:%s ", event->name, event->is_refresh ? "refresh" : words[event->event]);
}

static void open_storage(Fixture *f)
{
    f->storage = storage_new(f->config, f->state, NULL, hear, f->heard);
    storage_load(f->storage);
}

static void set_up(Fixture *f, gconstpointer unused)
{
    f->top = g_dir_make_tmp("kite-pools-XXXXXX", NULL);
    f->config = g_build_filename(f->top, "config", NULL);
    f->state = g_build_filename(f->top, "state", NULL);
    f->folder = g_build_filename(f->top, "images", NULL);
    f->heard = g_string_new(NULL);
    g_assert_cmpint(g_mkdir(f->folder, 0755), ==, 0);
    open_storage(f);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    storage_free(f->storage);
    remove_tree(f->top);
    g_string_free(f->heard, TRUE);
    g_free(f->top);
    g_free(f->config);
    g_free(f->state);
    g_free(f->folder);
}

#define assert_fails(call, number, error)                                                                    \
    do {                                                                                                     \
        g_assert_false(call);                                                                                \
        g_assert_nonnull(error);                                                                             \
        g_assert_cmpint(error_number(error), ==, (number));                                                  \
        g_clear_error(&(error));                                                                             \
    } while (0)

static char *pool_xml(const char *name, const char *path)
{
    return g_strdup_printf("<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>", name,
                           path);
}

static Pool *start(Fixture *f, const char *name)
{
    g_autofree char *xml = pool_xml(name, f->folder);
    g_autoptr(GError) error = NULL;
    Pool *pool = NULL;

    g_assert_true(storage_pool_create_xml(f->storage, xml, 0, &pool, &error));
    g_assert_no_error(error);
    return pool;
}

static char *in_pool(Fixture *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

/* --- documents ------------------------------------------------------------------------------------------ */

static void test_pool_xml(void)
{
    const char *expected = "<pool type='dir'>\n"
                           "  <name>images</name>\n"
                           "  <uuid>70a7eb15-6c34-ee9c-bf57-69e8e5ff3fb2</uuid>\n"
                           "  <capacity unit='bytes'>0</capacity>\n"
                           "  <allocation unit='bytes'>0</allocation>\n"
                           "  <available unit='bytes'>0</available>\n"
                           "  <source>\n"
                           "  </source>\n"
                           "  <target>\n"
                           "    <path>/var/lib/images</path>\n"
                           "    <permissions>\n"
                           "      <mode>0700</mode>\n"
                           "      <group>7</group>\n"
                           "    </permissions>\n"
                           "  </target>\n"
                           "</pool>\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(PoolDef) def = pool_def_parse(expected, NULL, &error);
    g_autofree char *xml = NULL;

    g_assert_no_error(error);
    xml = pool_def_format(def);
    g_assert_cmpstr(xml, ==, expected);
    assert_fails(pool_def_parse("<pool type='logical'><name>x</name></pool>", NULL, &error),
                 VIR_ERR_CONFIG_UNSUPPORTED, error);
    assert_fails(pool_def_parse("<pool type='dir'><name>x</name></pool>", NULL, &error), VIR_ERR_XML_ERROR,
                 error);
    assert_fails(pool_def_parse("<pool type='dir'><name>a/b</name><target><path>/x</path></target></pool>",
                                NULL, &error),
                 VIR_ERR_XML_ERROR, error);
}

static void test_volume_xml(void)
{
    const char *expected = "<volume type='file'>\n"
                           "  <name>v</name>\n"
                           "  <capacity unit='bytes'>1073741824</capacity>\n"
                           "  <allocation unit='bytes'>0</allocation>\n"
                           "  <target>\n"
                           "    <format type='qcow2'/>\n"
                           "    <compat>1.1</compat>\n"
                           "    <features>\n"
                           "      <lazy_refcounts/>\n"
                           "    </features>\n"
                           "  </target>\n"
                           "  <backingStore>\n"
                           "    <path>/base</path>\n"
                           "    <format type='raw'/>\n"
                           "  </backingStore>\n"
                           "</volume>\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(VolumeDef) def = volume_def_parse(
        "<volume><name>v</name><capacity unit='GiB'>1</capacity><allocation>0</allocation><target>"
        "<format type='qcow2'/><features><lazy_refcounts/></features></target>"
        "<backingStore><path>/base</path></backingStore></volume>",
        0, NULL, &error);
    g_autofree char *xml = NULL;

    g_assert_no_error(error);
    xml = volume_def_format(def);
    g_assert_cmpstr(xml, ==, expected);
    assert_fails(volume_def_parse("<volume><name>v</name></volume>", VOLUME_PARSE_OPT_CAPACITY, NULL, &error),
                 VIR_ERR_XML_ERROR, error);
    assert_fails(volume_def_parse("<volume><capacity>1</capacity></volume>", 0, NULL, &error),
                 VIR_ERR_XML_ERROR, error);
    assert_fails(
        volume_def_parse("<volume><name>v</name><capacity unit='EiB'>9</capacity></volume>", 0, NULL, &error),
        VIR_ERR_OVERFLOW, error);
}

/* --- pools ---------------------------------------------------------------------------------------------- */

static void test_life(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(f->top, "new", "deep", NULL);
    g_autofree char *xml = pool_xml("p", path), *other = pool_xml("p", "/elsewhere");
    g_autofree char *same_path = pool_xml("q", path);
    g_autoptr(GError) error = NULL;
    g_autoptr(Pool) pool = NULL;
    Pool *none = NULL;

    g_assert_true(storage_pool_define(f->storage, xml, 0, &pool, &error));
    assert_fails(storage_pool_define(f->storage, other, 0, &none, &error), VIR_ERR_OPERATION_FAILED, error);
    assert_fails(storage_pool_define(f->storage, same_path, 0, &none, &error), VIR_ERR_OPERATION_FAILED,
                 error);
    assert_fails(storage_pool_create(f->storage, pool, 0, &error), VIR_ERR_SYSTEM_ERROR, error);
    assert_fails(storage_pool_destroy(f->storage, pool, &error), VIR_ERR_OPERATION_INVALID, error);
    assert_fails(storage_pool_volumes(pool, &error), VIR_ERR_OPERATION_INVALID, error);
    g_assert_true(storage_pool_create(f->storage, pool, VIR_STORAGE_POOL_CREATE_WITH_BUILD, &error));
    assert_fails(storage_pool_create(f->storage, pool, 0, &error), VIR_ERR_OPERATION_INVALID, error);
    assert_fails(storage_pool_undefine(f->storage, pool, &error), VIR_ERR_OPERATION_INVALID, error);
    assert_fails(storage_pool_delete(f->storage, pool, &error), VIR_ERR_OPERATION_INVALID, error);
    g_assert_true(storage_pool_refresh(f->storage, pool, &error));
    g_assert_true(storage_pool_destroy(f->storage, pool, &error));
    g_assert_true(storage_pool_delete(f->storage, pool, &error));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(storage_pool_undefine(f->storage, pool, &error));
    assert_fails(storage_find_by_name(f->storage, "p", &error), VIR_ERR_NO_STORAGE_POOL, error);
    g_assert_cmpstr(f->heard->str, ==, "p:defined p:started p:refresh p:stopped p:deleted p:undefined ");
}

static gboolean is_active(Storage *storage, const char *name)
{
    g_autoptr(Pool) pool = storage_find_by_name(storage, name, NULL);
    PoolInfo info = {0};

    if (pool != NULL)
        storage_pool_get_info(pool, &info);
    return info.active;
}

static void test_restart(Fixture *f, gconstpointer unused)
{
    g_autofree char *auto_path = g_build_filename(f->top, "auto", NULL);
    g_autofree char *lost_path = g_build_filename(f->top, "lost", NULL);
    g_autofree char *auto_xml = pool_xml("auto", auto_path), *lost_xml = pool_xml("lost", lost_path);
    g_autoptr(GError) error = NULL;
    Pool *pool = NULL;

    pool_unref(start(f, "transient"));
    g_assert_true(storage_pool_define(f->storage, auto_xml, 0, &pool, &error));
    g_assert_true(storage_pool_build(f->storage, pool, 0, &error));
    g_assert_true(storage_pool_set_autostart(f->storage, pool, TRUE, &error));
    pool_unref(pool);
    g_assert_true(
        storage_pool_create_xml(f->storage, lost_xml, VIR_STORAGE_POOL_CREATE_WITH_BUILD, &pool, &error));
    pool_unref(pool);
    storage_free(f->storage);
    g_assert_cmpint(g_rmdir(lost_path), ==, 0);

    open_storage(f);
    storage_settle(f->storage);
    g_assert_true(is_active(f->storage, "transient"));
    g_assert_true(is_active(f->storage, "auto"));
    /* Its folder is gone, and a transient pool with it. */
    g_assert_false(is_active(f->storage, "lost"));
    pool = storage_find_by_name(f->storage, "lost", NULL);
    g_assert_null(pool);
}

/* --- volumes -------------------------------------------------------------------------------------------- */

static VolumeDef *make(Fixture *f, Pool *pool, const char *name, const char *rest)
{
    g_autofree char *xml = g_strdup_printf("<volume><name>%s</name>%s</volume>", name, rest);
    g_autoptr(GError) error = NULL;
    VolumeDef *def = storage_volume_create(f->storage, pool, xml, 0, &error);

    g_assert_no_error(error);
    return def;
}

static void test_raw(Fixture *f, gconstpointer unused)
{
    g_autoptr(Pool) pool = start(f, "p");
    g_autoptr(Pool) found = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = in_pool(f, "v"), *doubled = g_strdup_printf("%s//v", f->folder);
    g_autoptr(VolumeDef) def =
        make(f, pool, "v", "<capacity unit='MiB'>4</capacity><allocation>0</allocation>");
    g_autoptr(VolumeDef) by_path = storage_volume_by_path(f->storage, doubled, &found, &error);
    g_autoptr(VolumeDef) later = NULL;
    struct stat st;

    g_assert_cmpstr(def->key, ==, path);
    g_assert_cmpuint(def->capacity, ==, 4 << 20);
    g_assert_nonnull(by_path);
    g_assert_true(found == pool);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    assert_fails(storage_volume_create(f->storage, pool,
                                       "<volume><name>v</name><capacity>1</capacity></volume>", 0, &error),
                 VIR_ERR_STORAGE_VOL_EXIST, error);
    assert_fails(storage_volume_create(f->storage, pool,
                                       "<volume><name>../w</name><capacity>1</capacity></volume>", 0, &error),
                 VIR_ERR_OPERATION_INVALID, error);
    assert_fails(storage_volume_create(
                     f->storage, pool,
                     "<volume><name>w</name><capacity>1</capacity><target><format type='bochs'/></target>"
                     "</volume>",
                     0, &error),
                 VIR_ERR_CONFIG_UNSUPPORTED, error);
    assert_fails(storage_volume_resize(f->storage, "p", "v", 1 << 20, 0, &error), VIR_ERR_INVALID_ARG, error);
    g_assert_true(storage_volume_resize(f->storage, "p", "v", 1 << 20, VIR_STORAGE_VOL_RESIZE_DELTA, &error));
    later = storage_volume_refreshed(f->storage, "p", "v", &error);
    g_assert_cmpuint(later->capacity, ==, 5 << 20);
    g_assert_true(storage_volume_wipe(f->storage, "p", "v", VIR_STORAGE_VOL_WIPE_ALG_ZERO, &error));
    assert_fails(storage_volume_wipe(f->storage, "p", "v", VIR_STORAGE_VOL_WIPE_ALG_TRIM, &error),
                 VIR_ERR_ARGUMENT_UNSUPPORTED, error);
    g_assert_true(storage_volume_delete(f->storage, "p", "v", &error));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_fails(storage_volume_delete(f->storage, "p", "v", &error), VIR_ERR_NO_STORAGE_VOL, error);
}

static void test_qcow2(Fixture *f, gconstpointer unused)
{
    g_autoptr(Pool) pool = start(f, "p");
    g_autoptr(GError) error = NULL;
    g_autofree char *base_path = in_pool(f, "base");
    g_autofree char *on_base =
        g_strdup_printf("<target><format type='qcow2'/></target><backingStore><path>%s</path>"
                        "<format type='qcow2'/></backingStore>",
                        base_path);
    g_autoptr(VolumeDef) base =
        make(f, pool, "base",
             "<capacity unit='MiB'>8</capacity><target><format type='qcow2'/><compat>1.1</compat>"
             "</target>");
    /* Without a capacity it has its backing file's. */
    g_autoptr(VolumeDef) top = make(f, pool, "top", on_base);
    g_autoptr(VolumeDef) scanned = NULL;

    g_assert_cmpuint(base->capacity, ==, 8 << 20);
    g_assert_cmpuint(top->capacity, ==, 8 << 20);
    g_assert_true(storage_volume_resize(f->storage, "p", "top", 16 << 20, 0, &error));
    g_assert_true(storage_pool_refresh(f->storage, pool, &error));
    scanned = storage_volume_by_name(pool, "top", &error);
    g_assert_cmpuint(scanned->capacity, ==, 16 << 20);
    g_assert_cmpint(scanned->target.format, ==, VOLUME_FORMAT_QCOW2);
    g_assert_cmpstr(scanned->backing->path, ==, base_path);
    g_assert_cmpint(scanned->backing->format, ==, VOLUME_FORMAT_QCOW2);
}

static char *clone_xml(const char *name, const char *format)
{
    return g_strdup_printf(
        "<volume><name>%s</name><allocation>0</allocation><target><format type='%s'/></target></volume>",
        name, format);
}

static void test_clone(Fixture *f, gconstpointer unused)
{
    g_autofree char *source = in_pool(f, "source"), *back = in_pool(f, "back");
    g_autofree char *to_qcow2 = clone_xml("mid", "qcow2"), *to_raw = clone_xml("back", "raw");
    g_autofree char *data = g_malloc0(3 << 20), *copy = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Pool) pool = NULL;
    g_autoptr(VolumeDef) mid = NULL, raw = NULL;
    gsize length;

    for (guint i = 0; i < 200000; i++)
        data[(1 << 20) + i] = (char)(i * 7 + i / 256);
    g_assert_true(g_file_set_contents(source, data, 3 << 20, NULL));
    pool = start(f, "p");
    mid = storage_volume_clone(f->storage, pool, to_qcow2, "p", "source", 0, &error);
    g_assert_no_error(error);
    raw = storage_volume_clone(f->storage, pool, to_raw, "p", "mid", 0, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(back, &copy, &length, NULL));
    g_assert_cmpmem(copy, length, data, 3 << 20);
    g_assert_cmpuint(raw->allocation, <, 1 << 20);
    assert_fails(storage_volume_clone(f->storage, pool, to_raw, "p", "mid", 0, &error),
                 VIR_ERR_INTERNAL_ERROR, error);
    assert_fails(storage_volume_clone(f->storage, pool, to_raw, "p", "none", 0, &error),
                 VIR_ERR_NO_STORAGE_VOL, error);
}

/* Links, sockets and folders among the files; a header that a guest wrote into a raw disk stays without
 * effect. */
static void test_scan(Fixture *f, gconstpointer unused)
{
    g_autofree char *fifo = in_pool(f, "fifo"), *dangling = in_pool(f, "dangling"), *sub = in_pool(f, "sub");
    g_autofree char *raw = in_pool(f, "raw");
    g_autoptr(GPtrArray) volumes = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Pool) pool = NULL;
    g_autoptr(VolumeDef) def = NULL, present = NULL;

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(symlink("/nonesuch", dangling), ==, 0);
    g_assert_cmpint(g_mkdir(sub, 0700), ==, 0);
    pool = start(f, "p");
    def = make(f, pool, "raw", "<capacity unit='MiB'>1</capacity>");
    volumes = storage_pool_volumes(pool, &error);
    g_assert_cmpuint(volumes->len, ==, 2);
    g_assert_cmpstr(((VolumeDef *)volumes->pdata[0])->name, ==, "raw");
    g_assert_cmpint(((VolumeDef *)volumes->pdata[1])->type, ==, VIR_STORAGE_VOL_DIR);
    g_assert_true(g_file_set_contents(raw, "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0", 16, NULL));
    present = storage_volume_refreshed(f->storage, "p", "raw", &error);
    g_assert_cmpint(present->target.format, ==, VOLUME_FORMAT_RAW);
    g_assert_cmpuint(present->capacity, ==, 16);
}

int main(int argc, char **argv)
{
    const char *build = g_getenv("abs_top_builddir");
    g_autofree char *helper = g_build_filename(build != NULL ? build : ".", "kite-probe", NULL);

    probe_client_set_helper(helper);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pools/pool-xml", test_pool_xml);
    g_test_add_func("/pools/volume-xml", test_volume_xml);
    g_test_add("/pools/life", Fixture, NULL, set_up, test_life, tear_down);
    g_test_add("/pools/restart", Fixture, NULL, set_up, test_restart, tear_down);
    g_test_add("/pools/raw", Fixture, NULL, set_up, test_raw, tear_down);
    g_test_add("/pools/qcow2", Fixture, NULL, set_up, test_qcow2, tear_down);
    g_test_add("/pools/clone", Fixture, NULL, set_up, test_clone, tear_down);
    g_test_add("/pools/scan", Fixture, NULL, set_up, test_scan, tear_down);
    return g_test_run();
}
