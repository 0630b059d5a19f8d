/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The capability probe against recorded QEMU 7.2 (tests/golden/qmp; record_qmp.py makes the files), a peer that
 * hangs, one that talks rubbish, and binaries that are none.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/qemu_caps.h"
#include "driver/host/qemu_caps_private.h"
#include "driver/host/qemu_probe.h"
#include "tests/lib/recorded_caps.h"

static void test_recorded(void)
{
    g_autoptr(QemuCaps) caps = recorded_caps();
    const QemuMachine *q35 = qemu_caps_machine(caps, "q35");

    g_assert_cmpstr(qemu_caps_arch(caps), ==, "x86_64");
    g_assert_cmpuint(qemu_caps_version(caps), ==, 7002022);
    g_assert_true(g_str_has_prefix(qemu_caps_package(caps), "Debian"));
    g_assert_cmpstr(q35->name, ==, "pc-q35-7.2");
    g_assert_cmpuint(q35->max_cpus, ==, 288);
    g_assert_true(q35->hotpluggable_cpus);
    g_assert_true(qemu_caps_machine(caps, "pc-q35-7.2") == q35);
    g_assert_cmpstr(qemu_caps_canonical_machine(caps, "pc"), ==, "pc-i440fx-7.2");
    g_assert_cmpstr(qemu_caps_canonical_machine(caps, "nonsense"), ==, "nonsense");
    g_assert_cmpstr(qemu_caps_default_machine(caps)->name, ==, "pc-i440fx-7.2");
    g_assert_null(qemu_caps_machine(caps, "none"));
    g_assert_true(qemu_caps_has_device(caps, "virtio-blk-pci"));
    g_assert_false(qemu_caps_has_device(caps, "virtio-blk"));
    g_assert_true(qemu_caps_has_property(caps, "virtio-blk-pci", "iothread"));
    g_assert_false(qemu_caps_has_property(caps, "virtio-blk-pci", "iothread-vq-mapping"));
    g_assert_true(qemu_caps_has_command(caps, "blockdev-add"));
    g_assert_true(qemu_caps_has_event(caps, "DEVICE_UNPLUG_GUEST_ERROR"));
    g_assert_true(qemu_caps_has_option(caps, "sandbox", "elevateprivileges"));
    g_assert_true(qemu_caps_has_option(caps, "sandbox", NULL));
    g_assert_false(qemu_caps_has_option(caps, "sandbox", "nonsense"));
    g_assert_true(qemu_caps_has_variant(caps, "netdev", "stream"));
    g_assert_true(qemu_caps_has_variant(caps, "chardev", "pty"));
    g_assert_true(qemu_caps_has_variant(caps, "blockdev", "qcow2"));
    g_assert_true(qemu_caps_has_variant(caps, "object", "memory-backend-memfd"));
    g_assert_false(qemu_caps_has_variant(caps, "netdev", "af-xdp"));
}

static void test_cpus(void)
{
    g_autoptr(QemuCaps) caps = recorded_caps();
    const QemuCpuModel *tcg = qemu_caps_cpu_model(caps, FALSE, "Nehalem");

    g_assert_nonnull(tcg);
    g_assert_false(tcg->is_versioned_alias);
    g_assert_true(qemu_caps_cpu_model(caps, FALSE, "Nehalem-v1")->is_versioned_alias);
    g_assert_false(qemu_caps_cpu_model(caps, FALSE, "Skylake-Server")->usable);
    g_assert_nonnull(qemu_caps_cpu_model(caps, FALSE, "Skylake-Server")->unavailable);
    g_assert_null(qemu_caps_cpu_model(caps, TRUE, "nonsense"));
    g_assert_true(g_hash_table_contains((GHashTable *)qemu_caps_host_features(caps, FALSE, TRUE), "sse4.2"));
    g_assert_false(g_hash_table_contains((GHashTable *)qemu_caps_host_features(caps, TRUE, TRUE), "invtsc"));
    g_assert_true(g_hash_table_contains((GHashTable *)qemu_caps_host_features(caps, TRUE, FALSE), "invtsc"));
    g_assert_true(qemu_caps_has_cpu_switch(caps, FALSE, "avx512f"));
    g_assert_false(qemu_caps_has_cpu_switch(caps, FALSE, "cmt"));
    g_assert_cmpstr(qemu_caps_host_cpu_string(caps, TRUE, "vendor"), ==, "GenuineIntel");
    g_assert_cmpuint(qemu_caps_host_cpu_number(caps, TRUE, "family"), ==, 6);
}

static void test_bad_peers(void)
{
    static const char *const greetings[] = {"rubbish\n", "{\"x\": 1}\n", ""};

    for (guint i = 0; i < G_N_ELEMENTS(greetings); i++) {
        json_t *doc = json_object();
        gboolean kvm;
        g_autoptr(GError) error = NULL;
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
        g_assert_true(fd_write_all(fds[1], greetings[i], strlen(greetings[i]), NULL));
        /* the last one neither speaks nor ends: the deadline must */
        g_assert_false(qemu_probe_talk(fds[0], fds[0], g_get_monotonic_time() + 50000, doc, &kvm, &error));
        g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
        close(fds[0]);
        close(fds[1]);
        json_decref(doc);
    }
}

static void test_no_binary(void)
{
    g_autoptr(QemuCapsCache) cache = qemu_caps_cache_new(NULL, NULL);
    g_autoptr(GError) missing = NULL;
    g_autoptr(GError) dead = NULL;

    g_assert_null(qemu_caps_cache_get(cache, "/no/such/qemu", &missing));
    g_assert_true(error_is(missing, VIR_ERR_SYSTEM_ERROR));
    g_assert_null(qemu_caps_cache_get(cache, "/bin/false", &dead));
    g_assert_true(error_is(dead, VIR_ERR_INTERNAL_ERROR));
    g_assert_nonnull(strstr(dead->message, "/bin/false"));
}

/* A script in QEMU's place, which counts how often it is asked. */
static void test_disk_cache(void)
{
    g_autofree char *dir = g_dir_make_tmp("kite-test-XXXXXX", NULL);
    g_autofree char *binary = g_build_filename(dir, "qemu", NULL);
    g_autofree char *count = g_build_filename(dir, "count", NULL);
    g_autofree char *golden = g_build_filename(g_getenv("abs_top_srcdir"), "tests/golden/qmp/qemu-7.2-tcg.jsonl", NULL);
    g_autofree char *script = g_strdup_printf("#!/bin/sh\necho x >> '%s'\nwhile read -r answer; do printf '%%s\\n' "
                                              "\"$answer\"; read -r request <&3; done 3<&0 < '%s'\n",
                                              count, golden);
    g_autofree char *counted = NULL;

    g_assert_true(g_file_set_contents(binary, script, -1, NULL));
    g_chmod(binary, 0755);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(QemuCapsCache) cache = qemu_caps_cache_new(dir, binary);
        g_autofree char *found = qemu_caps_cache_find_emulator(cache, "x86_64");
        g_autoptr(GError) error = NULL;
        g_autoptr(QemuCaps) one = qemu_caps_cache_get(cache, binary, &error);
        g_autoptr(QemuCaps) two = qemu_caps_cache_get(cache, binary, &error);

        g_assert_no_error(error);
        g_assert_true(one == two);
        g_assert_false(qemu_caps_has_kvm(one));
        g_assert_cmpstr(found, ==, binary);
    }
    g_assert_true(g_file_get_contents(count, &counted, NULL, NULL));
    g_assert_cmpstr(counted, ==, "x\n");
    {
        g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(d)) != NULL) {
            g_autofree char *path = g_build_filename(dir, name, NULL);

            g_unlink(path);
        }
    }
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu-caps/recorded", test_recorded);
    g_test_add_func("/qemu-caps/cpus", test_cpus);
    g_test_add_func("/qemu-caps/bad-peers", test_bad_peers);
    g_test_add_func("/qemu-caps/no-binary", test_no_binary);
    g_test_add_func("/qemu-caps/disk-cache", test_disk_cache);
    return g_test_run();
}
