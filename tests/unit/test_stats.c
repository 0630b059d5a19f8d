/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics: how answers of the monitor and the kernel's files are read, sizes of images, and that nobody
 * waits for a monitor that does not answer.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/stats_page.h"
#include "common/thread.h"
#include "driver/backend/backend.h"
#include "driver/backend/vm_process.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/stats_cache.h"
#include "driver/domain/stats_disk.h"
#include "storage/probe_client.h"
#include "driver/domain/stats_name.h"
#include "driver/domain/stats_page.h"
#include "driver/domain/stats_proc.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "fake_qmp.h"

/* --- a call without a client ---------------------------------------------------------------------------- */

struct Call {
    Driver *driver;
};

void *call_driver(Call *call)
{
    return call->driver;
}

const char *call_api(Call *call)
{
    return "test";
}

gboolean call_check_flags_from(Call *call, int from, guint32 flags, guint32 supported, GError **error)
{
    return (flags & ~supported) == 0 || error_set(error, VIR_ERR_INVALID_ARG, "flags");
}

/* Nobody listens: in place of the client's real functions, which would bring the whole server along. */
gboolean client_send_event(Client *client, guint32 program, guint32 version, gint32 procedure,
                           const XdrType *type, const void *msg)
{
    return TRUE;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static GArray *read_text(FiguresKind kind, const char *text)
{
    json_error_t problem;
    json_t *answer = json_loads(text, JSON_DECODE_ANY, &problem);
    GArray *figures;

    g_assert_nonnull(answer);
    figures = figures_read(kind, answer);
    json_decref(answer);
    return figures;
}

static void test_memory_figures(void)
{
    g_autoptr(GArray) figures =
        read_text(FIGURES_GUEST_MEMORY,
                  "{\"last-update\": 1700000000, \"stats\": {\"stat-htlb-pgalloc\": 3, \"stat-swap-out\": "
                  "9223372036854775807,"
                  " \"stat-available-memory\": 4096, \"stat-free-memory\": 10240, \"stat-minor-faults\": 7,"
                  " \"stat-major-faults\": -1, \"stat-total-memory\": 20480, \"stat-swap-in\": 2048}}");
    static const MemoryFigure expected[] = {
        {VIR_DOMAIN_MEMORY_STAT_SWAP_IN, 2},         {VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, 7},
        {VIR_DOMAIN_MEMORY_STAT_UNUSED, 10},         {VIR_DOMAIN_MEMORY_STAT_AVAILABLE, 20},
        {VIR_DOMAIN_MEMORY_STAT_USABLE, 4},          {VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, 1700000000},
        {VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, 3},
    };
    g_autoptr(GArray) balloon = read_text(FIGURES_BALLOON, "{\"actual\": 268435456}");

    g_assert_cmpuint(figures->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < figures->len; i++) {
        g_assert_cmpint(figure_at(figures, MemoryFigure, i)->tag, ==, expected[i].tag);
        g_assert_cmpuint(figure_at(figures, MemoryFigure, i)->value, ==, expected[i].value);
    }
    g_assert_cmpuint(figure_at(balloon, BalloonFigure, 0)->kib, ==, 262144);
}

#define STATS(n, more)                                                                                       \
    "\"stats\": {\"rd_bytes\": " #n "00, \"wr_bytes\": 1, \"rd_operations\": " #n                            \
    ", \"wr_operations\": 2, \"rd_total_time_ns\": 3, \"wr_total_time_ns\": 4, \"flush_operations\": 5, "    \
    "\"flush_total_time_ns\": 6" more "}"

static void test_block_figures(void)
{
    g_autoptr(GArray) drives = read_text(
        FIGURES_DRIVES,
        "[{\"device\": \"\", \"qdev\": \"/machine/peripheral/virtio-disk1/virtio-backend\", \"node-name\": "
        "\"libvirt-2-format\", " STATS(7, "") ", \"parent\": {\"node-name\": \"libvirt-2-storage\", " STATS(
            8, ", \"wr_highest_offset\": 4096") "}, \"backing\": {\"node-name\": "
                                                "\"libvirt-3-format\", " STATS(
                                                    1, "") "}}, {\"qdev\": "
                                                           "\"ide0-0-0\", " STATS(
                                                               9, "") "}, {\"nonsense\": 1}, 5]");
    const BlockFigure *first = figure_at(drives, BlockFigure, 0);
    StatsView view = {.figures = {[FIGURES_DRIVES] = drives}};
    DiskDef disk = {.info.alias = (char *)"virtio-disk1"}, other = {.info.alias = (char *)"virtio-disk"};
    g_autoptr(GArray) images = NULL;

    g_assert_cmpuint(drives->len, ==, 4);
    g_assert_cmpuint(first->rd_reqs, ==, 7);
    g_assert_cmpuint(first->rd_bytes, ==, 700);
    g_assert_cmpuint(first->wr_highest, ==, 4096);
    g_assert_true(first->wr_highest_known);
    g_assert_true(disk_drive_figures(&view, &disk) == first);
    g_assert_null(disk_drive_figures(&view, &other));
    g_assert_cmpuint(disk_node_figures(&view, "libvirt-3-format")->rd_reqs, ==, 1);
    g_assert_null(figure_at(drives, BlockFigure, 3)->node);
    images = read_text(FIGURES_IMAGES,
                       "[{\"node-name\": \"a\", \"write_threshold\": 9, \"image\": {\"virtual-size\": 10, "
                       "\"actual-size\": 4}}, {\"node-name\": \"b\", \"image\": {\"virtual-size\": 8}}]");
    g_assert_cmpuint(figure_at(images, ImageFigure, 0)->physical, ==, 4);
    g_assert_cmpuint(figure_at(images, ImageFigure, 0)->threshold, ==, 9);
    g_assert_cmpuint(figure_at(images, ImageFigure, 1)->physical, ==, 8);
}

static void test_other_figures(void)
{
    g_autoptr(GArray) threads = read_text(FIGURES_IOTHREADS, "[{\"id\": \"iothread12\", \"thread-id\": 5, "
                                                             "\"poll-max-ns\": 32768, \"poll-grow\": 1, "
                                                             "\"poll-shrink\": 2}, {\"id\": \"mine\"}]");
    g_autoptr(GArray) rates = read_text(FIGURES_DIRTY_RATE, "{\"status\": \"measured\", \"start-time\": 3, "
                                                            "\"calc-time\": 1, \"mode\": \"dirty-ring\", "
                                                            "\"dirty-rate\": 8, \"vcpu-dirty-rate\": "
                                                            "[{\"id\": 1, \"dirty-rate\": 5}]}");
    g_autoptr(GArray) errors = read_text(FIGURES_IO_STATUS, "[{\"qdev\": \"a\", \"io-status\": \"nospace\"}, "
                                                            "{\"qdev\": \"b\", \"io-status\": \"failed\"}, "
                                                            "{\"qdev\": \"c\", \"io-status\": \"ok\"}]");
    g_autoptr(GArray) kvm = read_text(FIGURES_KVM_VCPUS, "[{\"provider\": \"kvm\", \"qom-path\": \"/m/c0\", "
                                                         "\"stats\": [{\"name\": \"exits\", \"value\": 4}, "
                                                         "{\"name\": \"histogram\", \"value\": [1, 2]}, "
                                                         "{\"name\": \"guest_mode\", \"value\": true}]}]");

    g_assert_cmpuint(threads->len, ==, 1);
    g_assert_cmpuint(figure_at(threads, IothreadFigure, 0)->id, ==, 12);
    g_assert_true(figure_at(threads, IothreadFigure, 0)->poll_known);
    g_assert_cmpuint(rates->len, ==, 2);
    g_assert_cmpint(figure_at(rates, DirtyRateFigure, 0)->status, ==, VIR_DOMAIN_DIRTYRATE_MEASURED);
    g_assert_cmpint(figure_at(rates, DirtyRateFigure, 1)->vcpu, ==, 1);
    g_assert_cmpint(figure_at(errors, IoStatusFigure, 0)->error, ==, VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    g_assert_cmpint(figure_at(errors, IoStatusFigure, 1)->error, ==, VIR_DOMAIN_DISK_ERROR_UNSPEC);
    g_assert_cmpint(figure_at(errors, IoStatusFigure, 2)->error, ==, VIR_DOMAIN_DISK_ERROR_NONE);
    g_assert_cmpuint(kvm->len, ==, 2);
    g_assert_true(figure_at(kvm, KvmFigure, 1)->boolean);
}

static void test_kernel_files(void)
{
    g_autoptr(GHashTable) devices = net_figures_parse(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
        "    lo:  100       2    0    0    0     0          0         0      100       2    0    0    0     "
        "0       0  0\n"
        " vnet0:  11  12  13  14  0 0 0 0  21  22  23  24  0 0 0 0\n");
    NetFigures *figures = g_hash_table_lookup(devices, "vnet0");
    g_autofree char *name = stats_name("block.", 120, ".rd.reqs");
    ProcFigures process;

    g_assert_cmpuint(g_hash_table_size(devices), ==, 2);
    g_assert_nonnull(figures);
    net_figures_swap(figures);
    g_assert_cmpint(figures->rx_bytes, ==, 21);
    g_assert_cmpint(figures->rx_drop, ==, 24);
    g_assert_cmpint(figures->tx_packets, ==, 12);
    g_assert_cmpstr(name, ==, "block.120.rd.reqs");
    g_assert_true(proc_figures(getpid(), 0, &process));
    g_assert_cmpuint(process.rss_kib, >, 100);
    g_assert_true(proc_figures(getpid(), getpid(), &process));
    g_assert_false(proc_figures(0, 0, &process));
    g_assert_cmpuint(process.rss_kib, ==, 0);
}

static void test_disk_sizes(void)
{
    g_autofree char *dir = g_dir_make_tmp("kite-stats-XXXXXX", NULL);
    g_autofree char *raw = g_build_filename(dir, "raw", NULL), *qcow2 = g_build_filename(dir, "qcow2", NULL);
    /* magic, version 3, no backing file, 64 KiB clusters, 1 GiB */
    guint8 header[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3, [23] = 16, [28] = 0x40, [99] = 4, [103] = 104};
    DiskSizes sizes;
    GError *error = NULL;

    g_assert_true(g_file_set_contents(raw, "12345", 5, NULL));
    g_assert_true(g_file_set_contents(qcow2, (const char *)header, sizeof(header), NULL));
    g_assert_true(disk_sizes(raw, STORAGE_TYPE_FILE, STORAGE_FORMAT_RAW, FALSE, &sizes, NULL));
    g_assert_cmpuint(sizes.capacity, ==, 5);
    g_assert_cmpuint(sizes.physical, ==, 5);
    for (int i = 0; i < 2; i++) { /* the second time from memory */
        g_assert_true(disk_sizes(qcow2, STORAGE_TYPE_FILE, STORAGE_FORMAT_QCOW2, FALSE, &sizes, NULL));
        g_assert_cmpuint(sizes.capacity, ==, 1 << 30);
        g_assert_cmpuint(sizes.physical, ==, sizeof(header));
    }
    header[28] = 0x20; /* another image in its place */
    g_assert_true(g_file_set_contents(qcow2, (const char *)header, sizeof(header), NULL));
    g_assert_true(disk_sizes(qcow2, STORAGE_TYPE_FILE, STORAGE_FORMAT_QCOW2, FALSE, &sizes, NULL));
    g_assert_cmpuint(sizes.capacity, ==, 1 << 29);
    g_unlink(raw);
    g_assert_false(disk_sizes(raw, STORAGE_TYPE_FILE, STORAGE_FORMAT_RAW, FALSE, &sizes, &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    g_clear_error(&error);
    g_unlink(qcow2);
    g_rmdir(dir);
}

/* --- domains whose monitors are scripted ---------------------------------------------------------------- */

static Driver driver;
static GMainLoop *loop;
static GThread *vm_thread;

static void daemon_up(void)
{
    driver.vm_context = g_main_context_new();
    loop = g_main_loop_new(driver.vm_context, FALSE);
    vm_thread = thread_run_loop("vm", loop, NULL);
    driver.domains = domain_list_new(&driver);
}

static void daemon_down(void)
{
    thread_end_loop(vm_thread, loop);
    g_main_loop_unref(loop);
    domain_list_free(driver.domains);
    g_main_context_unref(driver.vm_context);
}

static void on_vm_event(VmProcess *vm, const char *name, json_t *data, gint64 seconds, guint32 microseconds,
                        gpointer opaque)
{
}

static void on_vm_exit(VmProcess *vm, const VmExit *exit, gpointer opaque)
{
}

static const VmCallbacks vm_callbacks = {on_vm_event, on_vm_exit};

typedef struct Guest {
    Domain *dom;
    FakeQmp *fake;
} Guest;

/* A domain that "runs": a process that does nothing, and a monitor that does what script says. */
static Guest guest_up(guint number, const char *script)
{
    g_autofree char *name = g_strdup_printf("guest%u", number);
    g_autofree char *xml =
        g_strdup_printf("<domain type='qemu'><name>%s</name><uuid>00000000-0000-4000-8000-%012u</uuid>"
                        "<memory>65536</memory><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
                        "<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source "
                        "file='/nonexistent'/><target dev='vda' bus='virtio'/></disk></devices></domain>",
                        name, number);
    DomainDef *def =
        domain_def_parse(xml, NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, NULL);
    Guest guest;
    pid_t pid = fork();
    int fd;

    if (pid == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    g_assert_nonnull(def);
    guest.dom = domain_list_claim(driver.domains, def->uuid, name, DOMAIN_CLAIM_DEFINE, NULL);
    domain_def_assign_aliases(def);
    guest.fake = fake_qmp_start(script, &fd);
    lock_acquire(&guest.dom->lock);
    guest.dom->id = (int)number;
    guest.dom->pid = pid;
    guest.dom->run = 1;
    guest.dom->live = def;
    domain_set_state(guest.dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    guest.dom->vm =
        vm_process_new(&backend_qemu, driver.vm_context, pid, (int)syscall(SYS_pidfd_open, pid, 0), "/", "/",
                       0, &vm_callbacks, NULL, NULL);
    vm_process_set_monitor(guest.dom->vm, fd);
    lock_release(&guest.dom->lock);
    g_assert_true(qmp_client_negotiate(vm_process_qmp(guest.dom->vm), 5000, NULL));
    domain_list_publish(driver.domains, guest.dom);
    return guest;
}

static void guest_down(Guest *guest)
{
    VmProcess *vm;

    lock_acquire(&guest->dom->lock);
    vm = vm_process_ref(guest->dom->vm);
    guest->dom->id = -1;
    lock_release(&guest->dom->lock);
    vm_process_kill(vm, TRUE);
    vm_process_wait(vm, 5000);
    vm_process_detach(vm);
    qmp_client_close(vm_process_qmp(vm), NULL);
    vm_process_unref(vm);
    g_ptr_array_unref(fake_qmp_finish(guest->fake));
    domain_list_remove(driver.domains, guest->dom);
    domain_unref(guest->dom);
}

/* Milliseconds that the call took. */
static gint64 all_stats(guint stats, guint *ret_count, guint *ret_params)
{
    const ConnectGetAllDomainStatsArgs args = {.stats = stats};
    ConnectGetAllDomainStatsRet ret = {0};
    Call call = {&driver};
    gint64 begin = g_get_monotonic_time();
    GError *error = NULL;

    call_connect_get_all_domain_stats(&call, &args, &ret, &error);
    g_assert_no_error(error);
    begin = g_get_monotonic_time() - begin;
    *ret_count = ret.retStats_len;
    *ret_params = ret.retStats_len > 0 ? ret.retStats[0].params_len : 0;
    xdr_clear(&xdr_connect_get_all_domain_stats_ret, &ret);
    return begin / 1000;
}

/* Several monitors that never answer cost one short wait together, once, whatever is asked and however often.
 */
static void test_silent_monitors(void)
{
    Guest guests[5];
    guint count, params;
    gint64 took;

    for (guint i = 0; i < G_N_ELEMENTS(guests); i++)
        guests[i] = guest_up(i + 1, "G\nHANG\n");
    took = all_stats(0, &count, &params);
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(guests));
    g_assert_cmpuint(params, >, 10); /* all that needs no monitor */
    g_assert_cmpint(took, >=, STATS_FIRST_WAIT_MS - 50);
    g_assert_cmpint(took, <, 2 * STATS_FIRST_WAIT_MS);
    for (int i = 0; i < 5; i++)
        g_assert_cmpint(all_stats(0, &count, &params), <, STATS_WAIT_MS / 2);
    for (guint i = 0; i < G_N_ELEMENTS(guests); i++)
        guest_down(&guests[i]);
}

static guint64 balloon_of(Domain *dom, gint64 *ret_took)
{
    g_auto(StatsView) view = {0};
    gint64 begin = g_get_monotonic_time();
    guint64 kib;

    g_assert_true(stats_fresh_view(dom, FIGURES_BIT(FIGURES_BALLOON), &view, NULL));
    kib = figures_count(view.figures[FIGURES_BALLOON]) > 0
              ? figure_at(view.figures[FIGURES_BALLOON], BalloonFigure, 0)->kib
              : 0;
    lock_release(&dom->lock);
    *ret_took = (g_get_monotonic_time() - begin) / 1000;
    return kib;
}

/* --- a VM's own page ------------------------------------------------------------------------------------- */

typedef struct Page {
    StatsPage head;
    StatsBlock blocks[3];
    StatsIothread threads[2];
} Page;

static guint page_figures(const Page *page, gsize size, const DomainDef *def, guint wanted, GArray **figures)
{
    int fd = memfd_create("page", MFD_CLOEXEC);
    guint made;

    g_assert_cmpint(write(fd, page, size), ==, (gssize)size);
    made = stats_page_read(fd, def, wanted, figures);
    close(fd);
    return made;
}

static void test_page(void)
{
    static const guint all = FIGURES_BIT(FIGURES_BALLOON) | FIGURES_BIT(FIGURES_GUEST_MEMORY) |
                             FIGURES_BIT(FIGURES_DRIVES) | FIGURES_BIT(FIGURES_IMAGES) |
                             FIGURES_BIT(FIGURES_IO_STATUS) | FIGURES_BIT(FIGURES_IOTHREADS);
    g_autoptr(DomainDef) def = domain_def_parse(
        "<domain type='kvm'><name>a</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>"
        "<devices><disk type='file'><source file='/a' index='4'/><target dev='vda' bus='virtio'/>"
        "<alias name='virtio-disk0'/></disk></devices></domain>",
        NULL, DOMAIN_DEF_PARSE_STATUS | DOMAIN_DEF_PARSE_SKIP_VALIDATE, NULL);
    Page page = {.head = {.magic = STATS_PAGE_MAGIC, .version = STATS_PAGE_VERSION, .block_offset = sizeof(StatsPage),
                          .block_count = 3, .iothread_offset = offsetof(Page, threads), .iothread_count = 2},
                 .threads = {{.id = "other"}, {.id = "iothread7", .tid = 99, .poll_max_ns = 5}}};
    const IothreadFigure *thread;
    GArray *figures[FIGURES_LAST] = {NULL};
    const BlockFigure *drive;

    g_assert_nonnull(def);
    memset(&page.head.balloon, 0xff, sizeof(page.head.balloon));
    page.head.balloon.actual = 64 << 20;
    page.head.balloon.swap_in = 2048;
    page.head.balloon.last_update = 1700000000;
    g_strlcpy(page.blocks[0].id, "not there", STATS_ID_LEN);
    g_strlcpy(page.blocks[2].id, "virtio-disk0", STATS_ID_LEN);
    page.blocks[2].requests[STATS_IO_READ] = 7;
    page.blocks[2].bytes[STATS_IO_WRITE] = 512;
    page.blocks[2].time_ns[STATS_IO_FLUSH] = 9;
    page.blocks[2].capacity = 4096;
    page.blocks[2].wr_highest = 1024;

    g_assert_cmphex(page_figures(&page, sizeof(page), def, all, figures), ==, all);
    g_assert_cmpuint(figure_at(figures[FIGURES_BALLOON], BalloonFigure, 0)->kib, ==, 65536);
    g_assert_cmpuint(figures[FIGURES_GUEST_MEMORY]->len, ==, 2);
    g_assert_cmpint(figure_at(figures[FIGURES_GUEST_MEMORY], MemoryFigure, 0)->tag, ==, VIR_DOMAIN_MEMORY_STAT_SWAP_IN);
    g_assert_cmpuint(figure_at(figures[FIGURES_GUEST_MEMORY], MemoryFigure, 0)->value, ==, 2);
    g_assert_cmpuint(figure_at(figures[FIGURES_GUEST_MEMORY], MemoryFigure, 1)->value, ==, 1700000000);
    g_assert_cmpuint(figures[FIGURES_DRIVES]->len, ==, 1);
    drive = figure_at(figures[FIGURES_DRIVES], BlockFigure, 0);
    g_assert_cmpstr(drive->node, ==, "libvirt-4-format");
    g_assert_cmpuint(drive->rd_reqs + drive->wr_bytes + drive->fl_times, ==, 7 + 512 + 9);
    g_assert_true(drive->wr_highest_known && drive->wr_highest == 1024);
    g_assert_cmpuint(figure_at(figures[FIGURES_IMAGES], ImageFigure, 0)->capacity, ==, 4096);
    thread = figure_at(figures[FIGURES_IOTHREADS], IothreadFigure, 0);
    g_assert_cmpuint(figures[FIGURES_IOTHREADS]->len, ==, 1);
    g_assert_true(thread->id == 7 && thread->tid == 99 && thread->poll_known && thread->poll_max_ns == 5);
    g_assert_cmpint(figure_at(figures[FIGURES_IO_STATUS], IoStatusFigure, 0)->error, ==, VIR_DOMAIN_DISK_ERROR_NONE);
    for (guint i = 0; i < FIGURES_LAST; i++)
        g_clear_pointer(&figures[i], g_array_unref);

    /* An error counts while the VM stands because of one. Below a disk's own image nothing is written. */
    page.blocks[2].io_error = ENOSPC;
    for (guint state = STATS_RUN_IO_ERROR - 1; state <= STATS_RUN_IO_ERROR; state++) {
        const guint wanted = FIGURES_BIT(FIGURES_NODES) | FIGURES_BIT(FIGURES_IO_STATUS);

        page.head.run_state = state;
        g_assert_cmphex(page_figures(&page, sizeof(page), def, wanted, figures), ==, wanted);
        g_assert_cmpuint(figures[FIGURES_NODES]->len, ==, 0);
        g_assert_cmpint(figure_at(figures[FIGURES_IO_STATUS], IoStatusFigure, 0)->error, ==,
                        state == STATS_RUN_IO_ERROR ? VIR_DOMAIN_DISK_ERROR_NO_SPACE : VIR_DOMAIN_DISK_ERROR_NONE);
        g_clear_pointer(&figures[FIGURES_IO_STATUS], g_array_unref);
        g_clear_pointer(&figures[FIGURES_NODES], g_array_unref);
    }

    /* A page that was cut, lies about its counts, or is none. */
    g_assert_cmphex(page_figures(&page, offsetof(Page, threads) - 8, def, FIGURES_BIT(FIGURES_DRIVES), figures), ==, 0);
    page.head.block_count = G_MAXUINT32;
    g_assert_cmphex(page_figures(&page, sizeof(page), def, FIGURES_BIT(FIGURES_DRIVES), figures), ==, 0);
    page.head.block_offset = G_MAXUINT32;
    g_assert_cmphex(page_figures(&page, sizeof(page), def, FIGURES_BIT(FIGURES_DRIVES), figures), ==, 0);
    page.head.iothread_count = G_MAXUINT32;
    g_assert_cmphex(page_figures(&page, sizeof(page), def, FIGURES_BIT(FIGURES_IOTHREADS), figures), ==, 0);
    g_assert_cmphex(page_figures(&page, 100, def, FIGURES_BIT(FIGURES_BALLOON), figures), ==, 0);
    page.head.magic++;
    g_assert_cmphex(page_figures(&page, sizeof(page), def, FIGURES_BIT(FIGURES_BALLOON), figures), ==, 0);
}

/* Fresh figures; then silence: the last known ones; then it says something, and is waited for again. */
static void test_slow_monitor(void)
{
    Guest guest = guest_up(1, "G\n"
                              "C: query-balloon\n"
                              "S: {\"return\": {\"actual\": 1048576}, \"id\": \"$ID\"}\n"
                              "C: query-balloon\n" /* never answered, and not asked twice */
                              "C: query-blockstats\n"
                              "S: {\"return\": [], \"id\": \"$ID\"}\n"
                              "HANG\n");
    gboolean said = FALSE;
    gint64 took;

    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpint(took, <, STATS_WAIT_MS);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpint(took, >=, STATS_WAIT_MS - 20);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpint(took, <, STATS_WAIT_MS / 2); /* slow: not waited for */
    for (gint64 end = g_get_monotonic_time() + 5 * G_USEC_PER_SEC; !said && g_get_monotonic_time() < end;) {
        g_auto(StatsView) view = {0};

        /* Once it has been asked, only looked at: the script takes the question once. */
        g_assert_true(stats_fresh_view(guest.dom, took >= 0 ? FIGURES_BIT(FIGURES_DRIVES) : 0, &view, NULL));
        said = view.figures[FIGURES_DRIVES] != NULL;
        lock_release(&guest.dom->lock);
        took = -1;
        g_thread_yield();
    }
    g_assert_true(said);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpint(took, >=, STATS_WAIT_MS - 20);
    guest_down(&guest);
}

/* A refusal is an answer: what was known is no longer so. */
static void test_refusal(void)
{
    Guest guest = guest_up(
        1, "G\n"
           "C: query-balloon\n"
           "S: {\"return\": {\"actual\": 1048576}, \"id\": \"$ID\"}\n"
           "C: query-balloon\n"
           "S: {\"id\": \"$ID\", \"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon\"}}\n"
           "HANG\n");
    gint64 took;

    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 0);
    g_assert_cmpint(took, <, STATS_WAIT_MS);
    guest_down(&guest);
}

/* The monitor goes away while somebody waits: he is told at once; figures of another run are not shown. */
static void test_lost_and_next_run(void)
{
    Guest guest = guest_up(1, "G\n"
                              "C: query-balloon\n"
                              "S: {\"return\": {\"actual\": 1048576}, \"id\": \"$ID\"}\n"
                              "C: query-balloon\n"
                              "EOF\n");
    gint64 took;

    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 1024);
    g_assert_cmpint(took, <, STATS_WAIT_MS);
    lock_acquire(&guest.dom->lock);
    guest.dom->run++;
    lock_release(&guest.dom->lock);
    g_assert_cmpuint(balloon_of(guest.dom, &took), ==, 0);
    guest_down(&guest);
}

int main(int argc, char **argv)
{
    const char *build = g_getenv("abs_top_builddir");
    g_autofree char *helper = g_build_filename(build != NULL ? build : ".", "kite-probe", NULL);

    probe_client_set_helper(helper);
    int result;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stats/figures/memory", test_memory_figures);
    g_test_add_func("/stats/figures/block", test_block_figures);
    g_test_add_func("/stats/figures/other", test_other_figures);
    g_test_add_func("/stats/kernel-files", test_kernel_files);
    g_test_add_func("/stats/disk-sizes", test_disk_sizes);
    g_test_add_func("/stats/silent-monitors", test_silent_monitors);
    g_test_add_func("/stats/slow-monitor", test_slow_monitor);
    g_test_add_func("/stats/page", test_page);
    g_test_add_func("/stats/refusal", test_refusal);
    g_test_add_func("/stats/lost-and-next-run", test_lost_and_next_run);
    daemon_up();
    result = g_test_run();
    daemon_down();
    return result;
}
