/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the host, small kernel files, what /dev/kvm says. */
#include "driver/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <netdb.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/host_private.h"

/* --- kernel files --------------------------------------------------------------------------------------- */

G_GNUC_PRINTF(2, 0)
static char *path_va(const Host *host, const char *format, va_list ap)
{
    g_autofree char *below = g_strdup_vprintf(format, ap);

    return g_strconcat(host->root, below, NULL);
}

char *host_path(const Host *host, const char *format, ...)
{
    va_list ap;
    char *path;

    va_start(ap, format);
    path = path_va(host, format, ap);
    va_end(ap);
    return path;
}

char *host_read(const Host *host, const char *format, ...)
{
    g_autofree char *path = NULL;
    char *text = NULL;
    va_list ap;

    va_start(ap, format);
    path = path_va(host, format, ap);
    va_end(ap);
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    return g_strstrip(text);
}

guint64 host_read_number(const Host *host, guint64 fallback, const char *format, ...)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    guint64 value;
    va_list ap;

    va_start(ap, format);
    path = path_va(host, format, ap);
    va_end(ap);
    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        !g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, G_MAXUINT64, &value, NULL))
        return fallback;
    return value;
}

GArray *host_parse_list(const char *text)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint));
    g_auto(GStrv) part = g_strsplit(text, ",", -1);

    for (guint i = 0; part[i] != NULL; i++) {
        char *end = NULL;
        guint64 first, last;

        g_strstrip(part[i]);
        if (!g_ascii_isdigit(part[i][0]))
            continue;
        first = last = g_ascii_strtoull(part[i], &end, 10);
        if (*end == '-')
            last = g_ascii_strtoull(end + 1, NULL, 10);
        for (guint64 n = first; n <= last && n < HOST_MAX_CPUS; n++) {
            guint value = (guint)n;

            g_array_append_val(list, value);
        }
    }
    return list;
}

static gint compare_guint(gconstpointer a, gconstpointer b)
{
    guint x = *(const guint *)a, y = *(const guint *)b;

    return x < y ? -1 : x > y;
}

GArray *host_list_numbers(const Host *host, const char *folder, const char *prefix)
{
    g_autofree char *path = host_path(host, "%s", folder);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        guint64 number;

        if (g_str_has_prefix(name, prefix) &&
            g_ascii_string_to_unsigned(name + strlen(prefix), 10, 0, HOST_MAX_CPUS - 1, &number, NULL)) {
            guint value = (guint)number;

            g_array_append_val(list, value);
        }
    }
    g_array_sort(list, compare_guint);
    return list;
}

/* --- names ---------------------------------------------------------------------------------------------- */

/* 32 hex digits with or without dashes. What firmware puts there when it knows none is refused. */
static gboolean uuid_parse(const char *text, guint8 ret[16])
{
    guint8 uuid[16];
    guint n = 0;
    gboolean same = TRUE;

    for (const char *p = text; *p != '\0'; p++) {
        int digit = g_ascii_xdigit_value(*p);

        if (*p == '-')
            continue;
        if (digit < 0 || n == 32)
            return FALSE;
        uuid[n / 2] = (guint8)(n % 2 == 0 ? digit << 4 : uuid[n / 2] | digit);
        n++;
    }
    if (n != 32)
        return FALSE;
    for (guint i = 1; i < 16; i++)
        same = same && uuid[i] == uuid[0];
    if (same)
        return FALSE;
    memcpy(ret, uuid, 16);
    return TRUE;
}

static void uuid_find(Host *host, const char *configured, const char *source)
{
    static const char *const files[] = {"/sys/class/dmi/id/product_uuid", "/etc/machine-id",
                                        "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"};

    if (configured != NULL && uuid_parse(configured, host->uuid))
        return;
    for (guint i = g_strcmp0(source, "machine-id") == 0 ? 1 : 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *text = host_read(host, "%s", files[i]);

        if (text != NULL && uuid_parse(text, host->uuid))
            return;
    }
}

static const char *uname_arch(void)
{
    static const struct {
        const char *machine, *arch;
    } renamed[] = {{"i386", "i686"}, {"i486", "i686"}, {"i586", "i686"}, {"amd64", "x86_64"}, {"arm64", "aarch64"}};
    struct utsname name;

    if (uname(&name) < 0)
        return "x86_64";
    for (guint i = 0; i < G_N_ELEMENTS(renamed); i++) {
        if (g_str_equal(name.machine, renamed[i].machine))
            return renamed[i].arch;
    }
    return g_intern_string(name.machine);
}

Host *host_new(const char *root, const char *uuid, const char *uuid_source)
{
    Host *host = g_new0(Host, 1);

    host->root = g_strdup(root);
    host->arch = uname_arch();
    g_mutex_init(&host->mutex);
    uuid_find(host, uuid, uuid_source);
    return host;
}

void host_free(Host *host)
{
    if (host == NULL)
        return;
    host_topology_free(host->topology);
    g_mutex_clear(&host->mutex);
    g_free(host->root);
    g_free(host);
}

const char *host_arch(Host *host)
{
    return host->arch;
}

gboolean host_arch_known(const char *arch)
{
    static const char *const names[] = {
        "aarch64", "alpha", "armv6l", "armv7b", "armv7l", "cris", "i686", "ia64", "lm32",
        "loongarch64", "m68k", "microblaze", "microblazeel", "mips", "mips64", "mips64el", "mipsel", "openrisc",
        "parisc", "parisc64", "ppc", "ppc64", "ppc64le", "ppcemb", "ppcle", "riscv32", "riscv64", "s390", "s390x",
        "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "x86_64", "xtensa", "xtensaeb", NULL};

    return g_strv_contains(names, arch);
}

void host_uuid(Host *host, guint8 ret_uuid[16])
{
    memcpy(ret_uuid, host->uuid, 16);
}

char *host_uuid_string(Host *host)
{
    const guint8 *u = host->uuid;

    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2],
                           u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* As libvirt names a host: gethostname() when it is qualified already or is "localhost...", else the canonical
 * name the resolver gives, unless that is a localhost of its own. */
char *host_hostname(Host *host)
{
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    char name[256];
    char *result;

    if (host->root[0] != '\0') {
        char *fake = host_read(host, "/proc/sys/kernel/hostname");

        return fake != NULL ? fake : g_strdup("localhost");
    }
    if (gethostname(name, sizeof(name)) < 0)
        return g_strdup("localhost");
    name[sizeof(name) - 1] = '\0';
    if (g_str_has_prefix(name, "localhost") || strchr(name, '.') != NULL)
        return g_strdup(name);
    if (getaddrinfo(name, NULL, &hints, &info) != 0 || info == NULL)
        return g_strdup(name);
    result = g_strdup(info->ai_canonname == NULL || g_str_has_prefix(info->ai_canonname, "localhost")
                          ? name
                          : info->ai_canonname);
    freeaddrinfo(info);
    return result;
}

guint host_page_kib(Host *host)
{
    return (guint)(sysconf(_SC_PAGESIZE) / 1024);
}

/* --- KVM ------------------------------------------------------------------------------------------------ */

/* A descriptor of a /dev/kvm that speaks the one API there is and makes VMs, else -1. */
static int kvm_open(const Host *host)
{
    g_autofree char *path = host_path(host, "/dev/kvm");
    autofd kvm = open(path, O_RDWR | O_CLOEXEC);
    autofd vm = -1;

    if (kvm < 0 || ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return -1;
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    return vm >= 0 ? fd_steal(&kvm) : -1;
}

gboolean host_kvm_usable(Host *host)
{
    autofd kvm = kvm_open(host);

    return kvm >= 0;
}

guint host_kvm_max_vcpus(Host *host)
{
    autofd kvm = kvm_open(host);
    int max = kvm >= 0 ? ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS) : 0;

    if (kvm >= 0 && max <= 0)
        max = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
    return max > 0 ? (guint)max : kvm >= 0 ? 4 : 0; /* 4: what the API says to assume */
}
