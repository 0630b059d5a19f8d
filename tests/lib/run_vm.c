/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts one definition with the real back end, without the daemon: for scripts below tests/root and for
 * trying things out by hand.
 *
 *   run_vm [--args] [--until TEXT] [--seconds N] [--monitor] [--reconnect] FOLDER DOMAIN.xml
 *
 * Runs in FOLDER (sockets, log), prints what the live definition became, lets the guest run until the first
 * serial port's pty or log shows TEXT, and kills it. --args prints the command line only. --reconnect lets go
 * of the VM and finds it again, as a restarted daemon does. Exit status 0 when all of it went well.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/thread.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_args.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/domain_def.h"
#include "driver/host/qemu_caps.h"
#include "storage/probe_client.h"

static gboolean args_only, do_reconnect, show_monitor;
static char *until;
static int seconds = 30, user = -1;
static gint exited_count;

static void on_event(VmProcess *vm, const char *name, json_t *data, gint64 secs, guint32 micros,
                     gpointer opaque)
{
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;

    printf("event %s %s\n", name, text ? text : "");
    free(text);
}

static void on_exited(VmProcess *vm, const VmExit *end, gpointer opaque)
{
    g_autofree char *text = vm_exit_describe(end);

    printf("exited: %s\n", text);
    g_atomic_int_inc(&exited_count);
}

static const VmCallbacks callbacks = {on_event, on_exited};

/* Reads the serial pty until the text shows up. */
static gboolean wait_for_text(DomainDef *live)
{
    const ChrDef *serial = domain_def_get(live, DEVICE_SERIAL, 0);
    g_autoptr(GString) seen = g_string_new(NULL);
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    int fd;

    if (serial == NULL || serial->source.type != CHR_TYPE_PTY || serial->source.path == NULL)
        return FALSE;
    fd = open(serial->source.path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        perror(serial->source.path);
        return FALSE;
    }
    while (g_get_monotonic_time() < deadline && strstr(seen->str, until) == NULL) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        char chunk[4096];
        ssize_t n;

        if (poll(&pfd, 1, 1000) <= 0)
            continue;
        n = read(fd, chunk, sizeof(chunk));
        if (n > 0)
            g_string_append_len(seen, chunk, n);
        else if (n < 0 && errno != EAGAIN && errno != EIO)
            break;
    }
    close(fd);
    if (strstr(seen->str, until) != NULL)
        return TRUE;
    printf("--- serial:\n%s\n---\n", seen->str + (seen->len > 2000 ? seen->len - 2000 : 0));
    return FALSE;
}

static void show_state(VmProcess *vm, const VmLiveInfo *info)
{
    printf("state %s running=%d balloon=%" G_GUINT64_FORMAT " KiB vcpus=%u\n", info->status, info->running,
           info->balloon_kib, info->n_vcpus);
    for (guint i = 0; i < info->n_vcpus; i++)
        printf("vcpu %u online=%d tid=%d plug=%d %s\n", i, info->vcpus[i].online, (int)info->vcpus[i].tid,
               info->vcpus[i].hotpluggable, info->vcpus[i].qom_path ? info->vcpus[i].qom_path : "");
}

static void show_monitor_answers(QmpClient *qmp)
{
    g_autoptr(GPtrArray) stats = NULL;
    g_autoptr(GPtrArray) nodes = NULL;
    g_autoptr(GError) error = NULL;

    if (!vm_query_blockstats(qmp, &stats, &error) || !vm_query_block_nodes(qmp, &nodes, &error)) {
        printf("monitor: %s\n", error->message);
        return;
    }
    for (guint i = 0; i < stats->len; i++) {
        const VmBlockStats *s = stats->pdata[i];

        printf("block %s node %s rd %" G_GINT64_FORMAT " ops %" G_GINT64_FORMAT "\n", s->qdev,
               s->node ? s->node : "-", s->rd_bytes, s->rd_ops);
    }
    for (guint i = 0; i < nodes->len; i++) {
        const VmBlockNode *n = nodes->pdata[i];

        printf("node %s size %" G_GUINT64_FORMAT " allocated %" G_GUINT64_FORMAT "\n", n->node,
               n->virtual_size, n->actual_size);
    }
}

static int run(const BackendConfig *config, const char *folder, DomainDef *live)
{
    g_autofree char *log = g_build_filename(folder, "vm.log", NULL);
    VmStartOptions options = {.run_dir = folder, .lib_dir = folder, .log_path = log, .incoming_fd = -1};
    g_autoptr(GError) error = NULL;
    VmProcess *vm = NULL;
    VmLiveInfo *info = NULL;
    gint64 begun = g_get_monotonic_time();
    int failed = 0;

    if (!backend_start(&backend_qemu, config, live, &options, &callbacks, NULL, NULL, &vm, &info, &error)) {
        fprintf(stderr, "start failed: %s\n", error->message);
        return 1;
    }
    printf("started pid %d in %" G_GINT64_FORMAT " ms\n", (int)vm_process_pid(vm),
           (g_get_monotonic_time() - begun) / 1000);
    show_state(vm, info);
    vm_live_info_free(info);
    vm_process_publish(vm);
    if (do_reconnect) {
        VmReconnectOptions again = {folder, log, vm_process_pid(vm), vm_process_start_time(vm), 0};

        vm_process_detach(vm);
        vm_process_unref(vm);
        if (!backend_qemu.reconnect(config, live, &again, &callbacks, NULL, NULL, &vm, &info, &error)) {
            fprintf(stderr, "reconnect failed: %s\n", error->message);
            return 1;
        }
        vm_process_publish(vm);
        printf("found again\n");
        show_state(vm, info);
        vm_live_info_free(info);
    }
    if (!vm_cont(vm_process_qmp(vm), &error)) {
        fprintf(stderr, "cont failed: %s\n", error->message);
        failed = 1;
    }
    if (!failed && until != NULL && !wait_for_text(live)) {
        fprintf(stderr, "'%s' did not show up\n", until);
        failed = 1;
    } else if (until == NULL && seconds > 0) {
        vm_process_wait(vm, (guint)seconds * 1000);
    }
    if (show_monitor)
        show_monitor_answers(vm_process_qmp(vm));
    begun = g_get_monotonic_time();
    vm_process_kill(vm, TRUE);
    if (!vm_process_wait(vm, 5000))
        failed = 1;
    printf("ended in %" G_GINT64_FORMAT " ms\n", (g_get_monotonic_time() - begun) / 1000);
    while (g_atomic_int_get(&exited_count) == 0 && g_get_monotonic_time() - begun < G_USEC_PER_SEC)
        g_usleep(1000);
    backend_qemu.cleanup(config, live, folder);
    vm_process_unref(vm);
    return failed;
}

static int print_args(const BackendConfig *config, DomainDef *live)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuCaps) caps = qemu_caps_cache_get(config->qemu_caps, live->emulator, &error);
    QemuArgsContext context = {.caps = caps, .run_dir = "/run", .emulator = live->emulator, .monitor_fd = 9};
    g_autoptr(QemuArgs) args = NULL;
    g_autofree char *text = NULL;

    qemu_args_prepare(live);
    args = caps ? qemu_args_build(live, &context, &error) : NULL;
    if (args == NULL) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    text = qemu_args_to_text(args);
    fputs(text, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    GOptionEntry entries[] = {
        {"args", 0, 0, G_OPTION_ARG_NONE, &args_only, "print the command line", NULL},
        {"reconnect", 0, 0, G_OPTION_ARG_NONE, &do_reconnect, "let go and find again", NULL},
        {"monitor", 0, 0, G_OPTION_ARG_NONE, &show_monitor, "ask for block statistics", NULL},
        {"until", 0, 0, G_OPTION_ARG_STRING, &until, "text on the serial port", "TEXT"},
        {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "how long", "N"},
        {"user", 0, 0, G_OPTION_ARG_INT, &user, "run QEMU as this uid and gid", "UID"},
        {NULL}};
    g_autoptr(GOptionContext) options = g_option_context_new("FOLDER DOMAIN.xml");
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = NULL;
    GMainContext *context = g_main_context_new();
    GMainLoop *loop = g_main_loop_new(context, FALSE);
    GThread *thread;
    QemuCapsCache *cache;
    BackendConfig *config;
    const char *build = g_getenv("abs_top_builddir");
    g_autofree char *helper = g_build_filename(build != NULL ? build : ".", "kite-probe", NULL);
    int status;

    probe_client_set_helper(helper);
    g_option_context_add_main_entries(options, entries, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!g_option_context_parse(options, &argc, &argv, &error) || argc != 3) {
        fprintf(stderr, "usage: run_vm [OPTIONS] FOLDER DOMAIN.xml\n");
        return 2;
    }
    def =
        domain_def_parse_file(argv[2], NULL, DOMAIN_DEF_PARSE_ABI_UPDATE | DOMAIN_DEF_PARSE_INACTIVE, &error);
    if (def == NULL) {
        g_autofree char *text = error_full_text(error);

        fprintf(stderr, "%s\n", text);
        return 1;
    }
    domain_def_assign_aliases(def);
    def->id = 1;
    g_mkdir_with_parents(argv[1], 0755);
    cache = qemu_caps_cache_new(argv[1], NULL);
    config = backend_config_new(context, cache, geteuid() == 0);
    if (user >= 0) {
        config->user = (uid_t)user;
        config->group = (gid_t)user;
    }
    thread = thread_run_loop("vm", loop, NULL);
    status = args_only ? print_args(config, def) : run(config, argv[1], def);
    thread_end_loop(thread, loop);
    g_main_loop_unref(loop);
    g_main_context_unref(context);
    backend_config_free(config);
    qemu_caps_cache_free(cache);
    return status;
}
