/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backing chains: names of backing images, what headers say (read by the real kite-probe), numbers of nodes. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/backing_name.h"
#include "driver/backend/disk_chain.h"
#include "driver/backend/qemu_host.h"
#include "driver/conf/domain_def.h"
#include "storage/probe_client.h"

/* --- names --- */

static void test_names(void)
{
    static const struct {
        const char *name, *expected; /* type protocol path [host:port|socket] [slice], or "error N" */
    } cases[] = {
        {"/a/b.img", "file /a/b.img"},
        {"b.img", "file /images/b.img"},
        {"../x/b.img", "file /images/../x/b.img"},
        {"sub/b:1.img", "file /images/sub/b:1.img"},
        {"file:/a/b", "file /a/b"},
        {"nbd://host/export", "network nbd export host:10809"},
        {"nbd://[::1]:99/export", "network nbd export ::1:99"},
        {"nbd+unix:///export?socket=/run/s", "network nbd export /run/s"},
        {"nbd:host:1234:exportname=a:b", "network nbd a:b host:1234"},
        {"nbd:unix:/run/nbd.sock:exportname=x", "network nbd x /run/nbd.sock"},
        {"nbd:host", "error 1"},
        {"nbd:host:port", "error 1"},
        {"http://host/dir/file.img?q=1", "network http dir/file.img host:80"},
        {"http://user:secret@host/file", "unusable"},
        {"gopher://host/file", "error 1"},
        {"http:///file", "error 1"},
        {"rbd:pool/image", "error 1"},
        {"nonsense:1", "error 1"},
        {"json:{\"driver\":\"file\",\"filename\":\"/x\"}", "file /x"},
        {"json:{\"file.driver\":\"file\",\"file.filename\":\"/x\"}", "file /x"},
        {"json:{\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/x\"}}", "block /dev/x"},
        {"json:{\"driver\":\"raw\",\"offset\":512,\"size\":\"1024\",\"file\":{\"driver\":\"file\",\"filename\":\"/x\"}}",
         "file /x 512+1024"},
        {"json:{\"driver\":\"nbd\",\"server.type\":\"inet\",\"server.host\":\"h\",\"server.port\":\"7\","
         "\"export\":\"e\"}",
         "network nbd e h:7"},
        {"json:{\"driver\":\"nbd\",\"path\":\"/run/s\"}", "network nbd  /run/s"},
        {"json:{\"driver\":\"https\",\"url\":\"https://h/p\",\"sslverify\":false}", "network https p h:443"},
        {"json:{\"driver\":\"https\",\"url\":\"http://h/p\"}", "error 8"},
        {"json:{\"driver\":\"https\",\"url\":\"https://h/p\",\"cookie-secret\":\"s\"}", "unusable"},
        {"json:{\"driver\":\"iscsi\",\"transport\":\"tcp\",\"portal\":\"h:1\",\"target\":\"iqn\",\"lun\":3}",
         "network iscsi iqn/3 h:1"},
        {"json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/x\"}}", "error 1"},
        {"json:{\"driver\":\"file\"}", "error 8"},
        {"json:{\"driver\":\"file\",\"filename\":\"x\"}", "error 8"},
        {"json:{\"driver\":\"raw\",\"file\":{\"driver\":\"raw\",\"file\":{}}}", "error 8"},
        {"json:{\"filename\":\"/x\"}", "error 8"},
        {"json:[1]", "error 1"},
        {"json:", "error 1"},
    };
    g_autoptr(StorageSource) parent = storage_source_new(STORAGE_TYPE_FILE);

    parent->path = g_strdup("/images/top.qcow2");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(StorageSource) source = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *found = NULL;
        gboolean usable;

        if (!backing_name_parse(parent, cases[i].name, &source, &usable, &error)) {
            found = g_strdup_printf("error %d", (int)error_number(error));
        } else if (!usable) {
            found = g_strdup("unusable");
        } else if (source->type != STORAGE_TYPE_NETWORK) {
            found = g_strdup_printf("%s %s", storage_type_to_string(source->type), source->path);
        } else {
            const StorageHost *host = source->hosts->pdata[0];
            g_autofree char *place = host->socket != NULL ? g_strdup(host->socket)
                                                          : g_strdup_printf("%s:%u", host->name, host->port);

            found = g_strdup_printf("network %s %s %s", storage_protocol_to_string(source->protocol),
                                    source->path != NULL ? source->path : "", place);
        }
        if (source != NULL && source->has_slice) {
            char *more = g_strdup_printf("%s %d+%d", found, (int)source->slice_offset, (int)source->slice_size);

            g_free(found);
            found = more;
        }
        g_test_message("%s", cases[i].name);
        g_assert_cmpstr(found, ==, cases[i].expected);
    }
}

/* --- chains --- */

typedef struct Fixture {
    char *folder;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    f->folder = g_dir_make_tmp("kite-chain-XXXXXX", NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    g_autoptr(GDir) dir = g_dir_open(f->folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(f->folder, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);
    g_free(f->folder);
}

/* A qcow2 image over that backing image, or raw bytes when format is NULL. */
static void make(const Fixture *f, const char *name, const char *format, const char *backing, const char *backing_format)
{
    g_autofree char *path = g_build_filename(f->folder, name, NULL);
    autofd fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ImageCreateParams params;

    g_assert_cmpint(fd, >=, 0);
    image_create_params_init(&params);
    params.format = format != NULL ? image_format_from_name(format) : IMAGE_FORMAT_RAW;
    params.size = 65536;
    params.backing_name = backing;
    params.backing_format = backing_format;
    g_assert_cmpint(image_create(fd, &params, NULL), ==, 0);
}

static DomainDef *new_domain(void)
{
    static const char xml[] = "<domain type='qemu'><name>x</name><memory>1</memory><os><type>hvm</type></os></domain>";
    g_autoptr(GError) error = NULL;
    DomainDef *def = domain_def_parse(xml, &domain_def_env_default, DOMAIN_DEF_PARSE_INACTIVE, &error);

    g_assert_no_error(error);
    return def;
}

static DiskDef *add_disk(DomainDef *def, const Fixture *f, const char *target, const char *name, StorageFormat format)
{
    DiskDef *disk = (DiskDef *)device_def_new(DEVICE_DISK);

    disk->target = g_strdup(target);
    storage_source_free(disk->source);
    disk->source = storage_source_new(STORAGE_TYPE_FILE);
    disk->source->path = g_build_filename(f->folder, name, NULL);
    disk->source->format = format;
    g_ptr_array_add(def->devices[DEVICE_DISK], disk);
    return disk;
}

/* "qcow2:top.img raw:base.img ." with a dot for the terminator and a + for what was detected. */
static char *describe(const StorageSource *source)
{
    GString *text = g_string_new(NULL);

    for (; source != NULL; source = source->backing) {
        g_autofree char *name = source->path != NULL ? g_path_get_basename(source->path) : NULL;

        if (source->type == STORAGE_TYPE_NONE)
            g_string_append(text, ".");
        else
            g_string_append_printf(text, "%s%s:%s ", source->detected ? "+" : "",
                                   storage_format_to_string(source->format), name);
    }
    return g_string_free(text, FALSE);
}

static void expect(const Fixture *f, const char *name, StorageFormat format, const char *chain)
{
    g_autoptr(DomainDef) def = new_domain();
    DiskDef *disk = add_disk(def, f, "vda", name, format);
    g_autoptr(BackendConfig) config = backend_config_new(NULL, NULL, TRUE);
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;

    qemu_check_device_files(config, &disk->info, &error);
    g_assert_no_error(error);
    found = describe(disk->source);
    g_assert_cmpstr(found, ==, chain);
}

static void refuse(const Fixture *f, const char *name, virErrorNumber number, const char *words)
{
    g_autoptr(DomainDef) def = new_domain();
    DiskDef *disk = add_disk(def, f, "vda", name, STORAGE_FORMAT_QCOW2);
    g_autoptr(BackendConfig) config = backend_config_new(NULL, NULL, TRUE);
    g_autoptr(GError) error = NULL;

    g_assert_false(qemu_check_device_files(config, &disk->info, &error));
    if (error_number(error) != number || strstr(error->message, words) == NULL)
        g_error("%s: unexpected error %d: %s", name, (int)error_number(error), error->message);
}

static void test_chains(Fixture *f, gconstpointer unused)
{
    g_autofree char *absolute = g_build_filename(f->folder, "base.raw", NULL);

    make(f, "base.raw", NULL, NULL, NULL);
    make(f, "base.qcow2", "qcow2", NULL, NULL);
    make(f, "a.qcow2", "qcow2", "base.raw", "raw");
    make(f, "b.qcow2", "qcow2", "a.qcow2", "qcow2");
    make(f, "c.qcow2", "qcow2", absolute, "raw");
    make(f, "raw-disguised.raw", "qcow2", "base.raw", "raw");
    expect(f, "base.raw", STORAGE_FORMAT_RAW, "raw:base.raw .");
    expect(f, "base.qcow2", STORAGE_FORMAT_QCOW2, "qcow2:base.qcow2 .");
    expect(f, "b.qcow2", STORAGE_FORMAT_QCOW2, "qcow2:b.qcow2 +qcow2:a.qcow2 +raw:base.raw .");
    expect(f, "c.qcow2", STORAGE_FORMAT_QCOW2, "qcow2:c.qcow2 +raw:base.raw .");
    expect(f, "raw-disguised.raw", STORAGE_FORMAT_RAW, "raw:raw-disguised.raw .");
    /* A format that nobody wrote counts for an image that refers to no other only. */
    make(f, "guess-raw.qcow2", "qcow2", "base.raw", NULL);
    make(f, "guess-qcow2.qcow2", "qcow2", "base.qcow2", NULL);
    make(f, "guess-deep.qcow2", "qcow2", "a.qcow2", NULL);
    expect(f, "guess-raw.qcow2", STORAGE_FORMAT_QCOW2, "qcow2:guess-raw.qcow2 +raw:base.raw .");
    expect(f, "guess-qcow2.qcow2", STORAGE_FORMAT_QCOW2, "qcow2:guess-qcow2.qcow2 +qcow2:base.qcow2 .");
    refuse(f, "guess-deep.qcow2", VIR_ERR_OPERATION_INVALID,
           "format of backing image 'a.qcow2' of image '");
}

static void test_broken(Fixture *f, gconstpointer unused)
{
    make(f, "base.raw", NULL, NULL, NULL);
    make(f, "loop1.qcow2", "qcow2", "loop2.qcow2", "qcow2");
    make(f, "loop2.qcow2", "qcow2", "loop1.qcow2", "qcow2");
    make(f, "orphan.qcow2", "qcow2", "gone.raw", "raw");
    make(f, "deep-orphan.qcow2", "qcow2", "orphan.qcow2", "qcow2");
    make(f, "lies.qcow2", "qcow2", "base.raw", "qcow2");
    make(f, "odd.qcow2", "qcow2", "base.raw", "nosuch");
    make(f, "remote.qcow2", "qcow2", "nbd://host/x", NULL);
    refuse(f, "loop1.qcow2", VIR_ERR_INTERNAL_ERROR, "is self-referential or too deeply nested");
    refuse(f, "orphan.qcow2", VIR_ERR_SYSTEM_ERROR, "Cannot access backing file '");
    refuse(f, "deep-orphan.qcow2", VIR_ERR_SYSTEM_ERROR, "deep-orphan.qcow2' (as uid:");
    refuse(f, "gone.qcow2", VIR_ERR_SYSTEM_ERROR, "Cannot access storage file '");
    refuse(f, "base.raw", VIR_ERR_INTERNAL_ERROR, "is not in qcow2 format");
    refuse(f, "lies.qcow2", VIR_ERR_INTERNAL_ERROR, "is not in qcow2 format");
    refuse(f, "odd.qcow2", VIR_ERR_CONFIG_UNSUPPORTED, "unknown format 'nosuch'");
    refuse(f, "remote.qcow2", VIR_ERR_OPERATION_INVALID, "format of backing image 'nbd://host/x'");
}

static void test_numbers(Fixture *f, gconstpointer unused)
{
    g_autoptr(DomainDef) def = new_domain();
    g_autoptr(BackendConfig) config = backend_config_new(NULL, NULL, TRUE);
    g_autoptr(StorageSource) later = storage_source_new(STORAGE_TYPE_FILE);
    DiskDef *vda, *vdb;

    make(f, "base.raw", NULL, NULL, NULL);
    make(f, "a.qcow2", "qcow2", "base.raw", "raw");
    make(f, "b.qcow2", "qcow2", "base.raw", "raw");
    vda = add_disk(def, f, "vda", "a.qcow2", STORAGE_FORMAT_QCOW2);
    vdb = add_disk(def, f, "vdb", "b.qcow2", STORAGE_FORMAT_QCOW2);
    g_assert_true(qemu_check_device_files(config, &vda->info, NULL));
    g_assert_true(qemu_check_device_files(config, &vdb->info, NULL));
    disk_chain_number_all(def);
    g_assert_cmpuint(vdb->source->index, ==, 1);
    g_assert_cmpuint(vda->source->index, ==, 2);
    g_assert_cmpuint(vdb->source->backing->index, ==, 3);
    g_assert_cmpuint(vda->source->backing->index, ==, 4);
    later->path = g_strdup("/x");
    disk_chain_number(def, later);
    g_assert_cmpuint(later->index, ==, 5);
}

/* --- the helper --- */

static pid_t helper_pid(void)
{
    g_autofree char *text = NULL;
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());

    return g_file_get_contents(path, &text, NULL, NULL) ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
}

static void test_probe(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(f->folder, "a.qcow2", NULL);
    g_autofree char *fifo = g_build_filename(f->folder, "fifo", NULL);
    g_autoptr(GError) error = NULL;
    ImageProbe probe;
    pid_t pid;

    make(f, "a.qcow2", "qcow2", "base.raw", "raw");
    g_assert_cmpint(probe_path(path, &probe, NULL, &error), ==, 0);
    g_assert_cmpint(probe.format, ==, IMAGE_FORMAT_QCOW2);
    g_assert_cmpstr(probe.backing_name, ==, "base.raw");
    g_assert_cmpuint(probe.virtual_size, ==, 65536);
    /* A kept helper that dies is replaced. */
    pid = helper_pid();
    if (pid > 0)
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpint(probe_path(path, &probe, NULL, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(probe_path(fifo, &probe, NULL, &error), ==, -EMEDIUMTYPE);
    g_clear_error(&error);
    g_assert_cmpint(probe_path("/nonexistent", &probe, NULL, &error), ==, -ENOENT);
    g_assert_cmpint(error_number(error), ==, VIR_ERR_SYSTEM_ERROR);
    g_clear_error(&error);
    probe_client_shut_down();
    probe_client_set_helper("/nonexistent/kite-probe");
    g_assert_cmpint(probe_path(path, &probe, NULL, &error), <, 0);
    g_assert_cmpint(error_number(error), ==, VIR_ERR_INTERNAL_ERROR);
    g_assert_nonnull(strstr(error->message, "'/nonexistent/kite-probe', which cannot be started"));
}

int main(int argc, char **argv)
{
    const char *build = g_getenv("abs_top_builddir");
    g_autofree char *helper = g_build_filename(build != NULL ? build : ".", "kite-probe", NULL);

    probe_client_set_helper(helper);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disk-chain/names", test_names);
    g_test_add("/disk-chain/chains", Fixture, NULL, set_up, test_chains, tear_down);
    g_test_add("/disk-chain/broken", Fixture, NULL, set_up, test_broken, tear_down);
    g_test_add("/disk-chain/numbers", Fixture, NULL, set_up, test_numbers, tear_down);
    g_test_add("/disk-chain/probe", Fixture, NULL, set_up, test_probe, tear_down);
    return g_test_run();
}
