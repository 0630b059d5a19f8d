/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtkited: options, going into the background, and the daemon between start and stop. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/daemon.h"

enum { OPTION_ALSO = 256, OPTION_SESSION };

static void usage(FILE *out, const char *name)
{
    fprintf(out,
            "\nUsage:\n  %s [options]\n\n"
            "Options:\n"
            "  -h | --help            Display program help\n"
            "  -v | --verbose         Verbose messages\n"
            "  -d | --daemon          Run in the background; returns when clients are served\n"
            "  -l | --listen          Listen for TCP/IP connections (TLS and, if configured, TCP)\n"
            "  -t | --timeout <secs>  Exit after this time without clients and running VMs\n"
            "  -f | --config <file>   Configuration file\n"
            "  -V | --version         Display version information\n"
            "  -p | --pid-file <file> Change name of PID file\n"
            "       --also qemu       Serve qemu:///system too, on virtqemud's sockets\n"
            "       --session         Serve this user's session, even as root\n\n"
            "Kite's daemon, reached by libvirt's clients as kite:///system and kite:///session:\n\n"
            "  Configuration file (unless overridden by -f):\n"
            "    " KITE_SYSCONFDIR "/kite/virtkited.conf    session: $XDG_CONFIG_HOME/kite/virtkited.conf\n\n"
            "  Sockets:\n"
            "    " KITE_RUNDIR "/libvirt/virtkited-sock, virtkited-sock-ro\n"
            "    session: $XDG_RUNTIME_DIR/libvirt/virtkited-sock\n\n"
            "  PID file (unless overridden by -p):\n"
            "    " KITE_RUNDIR "/virtkited.pid    session: $XDG_RUNTIME_DIR/libvirt/virtkited.pid\n\n",
            name);
}

static gboolean parse_options(int argc, char **argv, DaemonOptions *o)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},          {"verbose", no_argument, NULL, 'v'},
        {"daemon", no_argument, NULL, 'd'},        {"listen", no_argument, NULL, 'l'},
        {"timeout", required_argument, NULL, 't'}, {"config", required_argument, NULL, 'f'},
        {"version", no_argument, NULL, 'V'},       {"pid-file", required_argument, NULL, 'p'},
        {"also", required_argument, NULL, OPTION_ALSO}, {"session", no_argument, NULL, OPTION_SESSION},
        {NULL, 0, NULL, 0},
    };
    guint64 seconds;
    int c;

    o->session = geteuid() != 0;
    while ((c = getopt_long(argc, argv, "hvdlt:f:Vp:", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            usage(stdout, argv[0]);
            exit(0);
        case 'V':
            printf("%s (kite) %s\n", argv[0], PACKAGE_VERSION);
            exit(0);
        case 'v':
            o->verbose = TRUE;
            break;
        case 'd':
            o->background = TRUE;
            break;
        case 'l':
            o->listen = TRUE;
            break;
        case 't':
            if (!g_ascii_string_to_unsigned(optarg, 10, 1, G_MAXINT, &seconds, NULL)) {
                fprintf(stderr, "%s: --timeout: '%s' is no number of seconds\n", argv[0], optarg);
                return FALSE;
            }
            o->timeout_s = (guint)seconds;
            break;
        case 'f':
            g_free(o->config_path);
            o->config_path = g_canonicalize_filename(optarg, NULL);
            break;
        case 'p':
            g_free(o->pid_path);
            o->pid_path = g_canonicalize_filename(optarg, NULL);
            break;
        case OPTION_ALSO:
            if (!g_str_equal(optarg, "qemu")) {
                fprintf(stderr, "%s: --also: only 'qemu' is known, not '%s'\n", argv[0], optarg);
                return FALSE;
            }
            g_ptr_array_add(o->also, optarg);
            break;
        case OPTION_SESSION:
            o->session = TRUE;
            break;
        default:
            usage(stderr, argv[0]);
            return FALSE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\n", argv[0], argv[optind]);
        return FALSE;
    }
    return TRUE;
}

/* --- background ----------------------------------------------------------------------------------------- */

/* In the child: returns the descriptor on which to tell the waiting parent that all is well. The parent does not come
 * back: it ends with 0 once it was told so, else with 1. -1 when there is no child. */
static int go_background(void)
{
    int pipe_fds[2];
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0) {
        char status = 1;
        ssize_t n;

        close(pipe_fds[1]);
        do
            n = read(pipe_fds[0], &status, 1);
        while (n < 0 && errno == EINTR);
        _exit(n == 1 && status == 0 ? 0 : 1);
    }
    close(pipe_fds[0]);
    setsid();
    return pipe_fds[1];
}

/* After all went well: nothing of the terminal is kept. */
static void leave_terminal(int status_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char ok = 0;

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    if (write(status_fd, &ok, 1) != 1)
        _exit(1); /* the parent is gone */
    close(status_fd);
}

/* --- process -------------------------------------------------------------------------------------------- */

/* Descriptors 0 to 2 must exist, or a socket would become our stderr. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(const DaemonOptions *o, const char *name)
{
    int status_fd = o->background ? go_background() : -1;
    g_autoptr(GError) error = NULL;
    g_autoptr(Daemon) daemon = NULL;

    if (o->background && status_fd < 0) {
        fprintf(stderr, "%s: cannot go into the background: %s\n", name, strerror(errno));
        return 1;
    }
    daemon = daemon_new(o, &error);
    if (daemon == NULL || !daemon_start(daemon, &error)) {
        g_autofree char *text = error_full_text(error);

        fprintf(stderr, "%s: %s\n", name, text);
        return 1;
    }
    if (o->background)
        leave_terminal(status_fd);
    daemon_run(daemon);
    return 0;
}

int main(int argc, char **argv)
{
    DaemonOptions options = {.also = g_ptr_array_new()};
    int rc = 1;

    setlocale(LC_ALL, "C.UTF-8");
    open_standard_fds();
    signal(SIGPIPE, SIG_IGN);
    if (parse_options(argc, argv, &options)) {
        raise_fd_limit();
        umask(077);
        if (chdir("/") < 0)
            perror("/");
        rc = serve(&options, argv[0]);
    }
    g_free(options.config_path);
    g_free(options.pid_path);
    g_ptr_array_unref(options.also);
    return rc;
}
