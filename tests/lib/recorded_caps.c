/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The capabilities of a QEMU 7.2, from its recorded answers (tests/golden/qmp; record_qmp.py makes the files). */
#include "tests/lib/recorded_caps.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "driver/host/qemu_caps_private.h"
#include "driver/host/qemu_probe.h"

typedef struct Recorded {
    int fd;
    char **line;
    guint requests;
} Recorded;

/* Greets, then answers each request line with the next recorded line. */
static gpointer peer_thread(gpointer data)
{
    Recorded *r = data;
    guint next = 0;
    char c;

    do {
        g_autofree char *out = g_strconcat(r->line[next], "\n", NULL);

        if (!fd_write_all(r->fd, out, strlen(out), NULL))
            break;
        next++;
        while (read(r->fd, &c, 1) == 1 && c != '\n')
            continue;
        r->requests++;
    } while (r->line[next] != NULL && r->line[next][0] != '\0');
    fd_clear(&r->fd);
    return NULL;
}

static void talk(const char *file, json_t *caps, gboolean *kvm)
{
    g_autofree char *path = g_build_filename(g_getenv("abs_top_srcdir"), "tests", "golden", "qmp", file, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) line = NULL;
    g_autoptr(GError) error = NULL;
    Recorded r = {-1, NULL, 0};
    GThread *thread;
    int fds[2];

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    line = g_strsplit(text, "\n", -1);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    r.fd = fds[1];
    r.line = line;
    thread = g_thread_new("peer", peer_thread, &r);
    qemu_probe_talk(fds[0], fds[0], g_get_monotonic_time() + 5 * G_USEC_PER_SEC, caps, kvm, &error);
    g_assert_no_error(error);
    close(fds[0]);
    g_thread_join(thread);
}

static json_t *recorded_document(void)
{
    json_t *doc = json_object();
    gboolean kvm = FALSE, second = TRUE;

    talk("qemu-7.2-kvm.jsonl", doc, &kvm);
    g_assert_true(kvm);
    talk("qemu-7.2-second.jsonl", doc, &second);
    g_assert_false(second);
    json_object_set_new(doc, "kvm", json_true());
    json_object_set_new(doc, "tcg", json_true());
    return doc;
}

static QemuCaps *from_document(json_t *doc /* stolen */)
{
    g_autoptr(GError) error = NULL;
    QemuCaps *caps = qemu_caps_from_json("/usr/bin/qemu-system-x86_64", doc, &error);

    g_assert_no_error(error);
    json_decref(doc);
    return caps;
}

QemuCaps *recorded_caps(void)
{
    return from_document(recorded_document());
}

QemuCaps *recorded_caps_newer(void)
{
    static const struct {
        const char *kind, *name, *word;
        gboolean gone;
    } words[] = {
        {"options", "chardev", "reconnect-ms", FALSE},
        {"options", "chardev", "reconnect", TRUE},
        {"variants", "object", "monitor-qmp", FALSE},
    };
    json_t *doc = recorded_document();

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        json_t *list = json_object_get(json_object_get(doc, words[i].kind), words[i].name);
        size_t at;
        json_t *word;

        g_assert_true(json_is_array(list));
        if (!words[i].gone)
            json_array_append_new(list, json_string(words[i].word));
        json_array_foreach(list, at, word) {
            if (words[i].gone && g_str_equal(json_string_value(word), words[i].word)) {
                json_array_remove(list, at);
                break;
            }
        }
    }
    return from_document(doc);
}
