/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spawning, watching and killing: real processes, no QEMU. Also ports, sockets of long paths and process
 * identity. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/thread.h"
#include "driver/backend/id_table.h"
#include "driver/backend/port_table.h"
#include "driver/backend/unix_socket.h"
#include "driver/backend/vm_process.h"

typedef struct Fixture {
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
    char *folder, *log;
    gint exited;
    char *told;
} Fixture;

static void on_exited(VmProcess *vm, const VmExit *end, gpointer opaque)
{
    Fixture *f = opaque;

    g_free(f->told);
    f->told = vm_exit_describe(end);
    g_atomic_int_inc(&f->exited);
}

static const VmCallbacks callbacks = {NULL, on_exited};

static void begin(Fixture *f)
{
    *f = (Fixture){0};
    f->context = g_main_context_new();
    f->loop = g_main_loop_new(f->context, FALSE);
    f->thread = thread_run_loop("vm", f->loop, NULL);
    f->folder = g_dir_make_tmp("vm-XXXXXX", NULL);
    f->log = g_build_filename(f->folder, "log", NULL);
}

static void end(Fixture *f)
{
    thread_end_loop(f->thread, f->loop);
    g_main_loop_unref(f->loop);
    g_main_context_unref(f->context);
    unlink(f->log);
    rmdir(f->folder);
    g_free(f->log);
    g_free(f->folder);
    g_free(f->told);
}

static VmProcess *start(Fixture *f, const char *script, const int *fds, guint n_fds)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    g_autofree char *home = g_strconcat("HOME=", f->folder, NULL);
    const char *env[] = {"PATH=/usr/bin:/bin", home, NULL};
    int log = open(f->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), pidfd;
    VmSpawn spawn = {.argv = argv,
                     .env = env,
                     .fds = fds,
                     .n_fds = n_fds,
                     .output_fd = log,
                     .uid = (uid_t)-1,
                     .gid = (gid_t)-1};
    g_autoptr(GError) error = NULL;
    pid_t pid;

    vm_spawn(&spawn, &pid, &pidfd, &error);
    g_assert_no_error(error);
    close(log);
    return vm_process_new(NULL, f->context, pid, pidfd, f->folder, f->log, 0, &callbacks, f, NULL);
}

static void wait_told(Fixture *f)
{
    for (int i = 0; i < 3000 && !g_atomic_int_get(&f->exited); i++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&f->exited), ==, 1);
}

static void test_exit_code(void)
{
    Fixture f;
    VmProcess *vm;

    begin(&f);
    vm = start(&f, "echo first; echo 'last words' >&2; exit 3", NULL, 0);
    g_assert_true(vm_process_wait(vm, 5000));
    g_assert_cmpint(g_atomic_int_get(&f.exited), ==, 0); /* not before it is published */
    vm_process_publish(vm);
    wait_told(&f);
    g_assert_cmpint(vm_process_exit(vm)->exit_code, ==, 3);
    g_assert_cmpstr(f.told, ==, "the process exited with status 3: first\nlast words");
    g_assert_cmpint(waitpid(vm_process_pid(vm), NULL, WNOHANG), ==, -1); /* reaped */
    vm_process_unref(vm);
    end(&f);
}

static void test_kill_stopped(void)
{
    Fixture f;
    VmProcess *vm;
    gint64 begun;

    begin(&f);
    vm = start(&f, "trap '' TERM; while :; do sleep 10; done", NULL, 0);
    vm_process_publish(vm);
    g_assert_true(process_is(vm_process_pid(vm), vm_process_start_time(vm)));
    g_assert_false(process_is(vm_process_pid(vm), vm_process_start_time(vm) + 1));
    kill(vm_process_pid(vm), SIGSTOP);
    begun = g_get_monotonic_time();
    g_assert_true(vm_process_kill(vm, TRUE));
    g_assert_true(vm_process_wait(vm, 5000));
    g_assert_cmpint(g_get_monotonic_time() - begun, <, G_USEC_PER_SEC);
    wait_told(&f);
    g_assert_cmpint(vm_process_exit(vm)->signal_number, ==, SIGKILL);
    g_assert_true(vm_process_exit(vm)->killed);
    g_assert_false(process_is(vm_process_pid(vm), vm_process_start_time(vm)));
    g_assert_true(vm_process_kill(vm, TRUE)); /* once more: already gone */
    vm_process_unref(vm);
    end(&f);
}

/* A daemon that was killed in the middle of a start has left it nothing but the folder. */
static void test_stray(void)
{
    Fixture f, other;
    VmProcess *vm, *stays;

    begin(&f);
    begin(&other);
    /* Processes without children that run nothing else: in the middle of an exec there is no environment to be seen. */
    vm = start(&f, "kill -STOP $$", NULL, 0);
    stays = start(&other, "kill -STOP $$", NULL, 0);
    for (int i = 0; i < 5000 && process_find_of(f.folder) == 0; i++)
        g_usleep(1000);
    g_assert_cmpint(process_find_of(f.folder), ==, vm_process_pid(vm));
    processes_kill_of(f.folder);
    g_assert_true(vm_process_wait(vm, 5000));
    g_assert_cmpint(process_find_of(f.folder), ==, 0);
    g_assert_cmpint(vm_process_exit(vm)->signal_number, ==, SIGKILL);
    g_assert_true(vm_process_is_running(stays));
    vm_process_kill(stays, TRUE);
    g_assert_true(vm_process_wait(stays, 5000));
    vm_process_unref(vm);
    vm_process_unref(stays);
    end(&f);
    end(&other);
}

static void test_detach(void)
{
    Fixture f;
    VmProcess *vm;
    pid_t pid;

    begin(&f);
    vm = start(&f, "sleep 30", NULL, 0);
    vm_process_publish(vm);
    pid = vm_process_pid(vm);
    vm_process_detach(vm);
    g_assert_true(vm_process_is_running(vm));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_assert_cmpint(g_atomic_int_get(&f.exited), ==, 0);
    vm_process_unref(vm);
    end(&f);
}

/* Only the descriptors that are named arrive, under their numbers; session and signals are its own. */
static void test_inheritance(void)
{
    Fixture f;
    VmProcess *vm;
    int pass = open("/dev/null", O_RDONLY | O_CLOEXEC), leak = open("/dev/null", O_RDONLY);
    g_autofree char *script =
        g_strdup_printf("test -e /proc/self/fd/%d || exit 10; test -e /proc/self/fd/%d && exit 11;"
                        "test \"$(ps -o sid= -p $$ | tr -d ' ')\" = $$ || exit 12; exit 0",
                        pass, leak);

    signal(SIGPIPE, SIG_IGN);
    begin(&f);
    vm = start(&f, script, &pass, 1);
    g_assert_true(vm_process_wait(vm, 5000));
    g_assert_cmpint(vm_process_exit(vm)->exit_code, ==, 0);
    vm_process_publish(vm);
    wait_told(&f);
    vm_process_unref(vm);
    end(&f);
    close(pass);
    close(leak);
}

static void test_no_program(void)
{
    const char *argv[] = {"/nonexistent/qemu", NULL}, *env[] = {NULL};
    VmSpawn spawn = {.argv = argv, .env = env, .output_fd = 2, .uid = (uid_t)-1, .gid = (gid_t)-1};
    g_autoptr(GError) error = NULL;
    int pidfd;
    pid_t pid;

    g_assert_false(vm_spawn(&spawn, &pid, &pidfd, &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    g_assert_nonnull(strstr(error->message, "/nonexistent/qemu"));
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1); /* no zombie */
}

static void test_ids(void)
{
    IdTable *table = id_table_new(70001, 70002), *none = id_table_new(0, 0);
    guint first, second, again;

    if (!id_table_take(table, "/a", &first)) {
        g_test_skip("this user namespace has no such ids");
    } else {
        g_assert_true(id_table_take(table, "/b", &second));
        g_assert_cmpuint(first + second, ==, 70001 + 70002);
        g_assert_true(id_table_take(table, "/a", &again));
        g_assert_cmpuint(again, ==, first);
        g_assert_false(id_table_take(table, "/c", &again)); /* all taken */
        id_table_release(table, "/a");
        id_table_release(table, "/a");
        g_assert_true(id_table_take(table, "/c", &again));
        g_assert_cmpuint(again, ==, first);
        id_table_note(table, "/d", getpid()); /* none of the range */
        id_table_release(table, "/b");
        g_assert_true(id_table_take(table, "/d", &again));
        g_assert_cmpuint(again, ==, second);
    }
    g_assert_false(id_table_take(none, "/a", &again));
    id_table_free(table);
    id_table_free(none);
}

static void test_ports(void)
{
    PortTable *table = port_table_new();
    g_autoptr(GError) error = NULL;
    guint first = 0, second = 0;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    guint busy;

    g_assert_cmpint(bind(taken, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(taken, 1), ==, 0);
    getsockname(taken, (struct sockaddr *)&address, &length);
    busy = ntohs(address.sin_port);
    g_assert_false(port_table_reserve(table, "vnc", "127.0.0.1", busy, &error));
    g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
    g_clear_error(&error);
    g_assert_true(port_table_reserve_any(table, "vnc", "127.0.0.1", 45900, 46900, &first, &error));
    g_assert_true(port_table_reserve_any(table, "vnc", "127.0.0.1", 45900, 46900, &second, &error));
    g_assert_cmpuint(first, !=, second);
    g_assert_false(port_table_reserve(table, "vnc", "127.0.0.1", first, &error)); /* held by another start */
    g_clear_error(&error);
    port_table_release(table, first);
    g_assert_true(port_table_reserve(table, "vnc", "127.0.0.1", first, &error));
    g_assert_false(port_table_reserve_any(table, "vnc", "127.0.0.1", busy, busy, &second, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
    close(taken);
    port_table_free(table);
}

static void test_long_socket_path(void)
{
    g_autofree char *top = g_dir_make_tmp("sock-XXXXXX", NULL);
    g_autofree char *long_name = g_strnfill(200, 'd');
    g_autofree char *folder = g_build_filename(top, long_name, NULL);
    g_autofree char *path = g_build_filename(folder, "monitor.sock", NULL);
    g_autoptr(GError) error = NULL;
    struct stat st;
    int listener, fd;

    g_assert_cmpint(mkdir(folder, 0700), ==, 0);
    for (int round = 0; round < 2; round++) { /* the second time over the socket of the first */
        listener = unix_socket_listen(path, 0600, (uid_t)-1, (gid_t)-1, &error);
        g_assert_no_error(error);
        g_assert_cmpint(stat(path, &st), ==, 0);
        g_assert_cmpint(st.st_mode & 0777, ==, 0600);
        fd = unix_socket_connect(path);
        g_assert_cmpint(fd, >=, 0);
        close(fd);
        close(listener);
    }
    g_assert_cmpint(unix_socket_connect(path), ==, -1);
    unlink(path);
    rmdir(folder);
    rmdir(top);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vm-process/exit-code", test_exit_code);
    g_test_add_func("/vm-process/kill-stopped", test_kill_stopped);
    g_test_add_func("/vm-process/stray", test_stray);
    g_test_add_func("/vm-process/detach", test_detach);
    g_test_add_func("/vm-process/inheritance", test_inheritance);
    g_test_add_func("/vm-process/no-program", test_no_program);
    g_test_add_func("/ports", test_ports);
    g_test_add_func("/ids", test_ids);
    g_test_add_func("/socket/long-path", test_long_socket_path);
    return g_test_run();
}
