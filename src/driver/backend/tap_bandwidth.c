/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traffic shaping of taps. Numbers of <bandwidth> are KiB a second and KiB, which tc calls kbps and kb. */
#include <string.h>

#include "common/error.h"
#include "driver/backend/tap.h"

/* Runs "tc" with the words of a line. */
static gboolean run_tc(const char *line, GError **error)
{
    g_autofree char *tc = g_find_program_in_path("tc");
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) local = NULL;
    g_autofree char *said = NULL;
    int status = 0;

    if (tc == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "cannot set <bandwidth>: the program 'tc' is not installed (package iproute2)");
    g_ptr_array_add(argv, tc);
    for (char **word = words; *word != NULL; word++)
        g_ptr_array_add(argv, *word);
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said,
                      &status, &local))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot run tc: %s", local->message);
    if (status == 0)
        return TRUE;
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot set <bandwidth>: 'tc %s' failed: %s", line,
                     g_strstrip(said));
}

static gboolean run_tc_format(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean run_tc_format(GError **error, const char *format, ...)
{
    g_autofree char *line = NULL;
    va_list ap;

    va_start(ap, format);
    line = g_strdup_vprintf(format, ap);
    va_end(ap);
    return run_tc(line, error);
}

/* What the tap sends, the guest receives. */
static gboolean shape_inbound(const char *name, const NetRate *rate, GError **error)
{
    g_autofree char *ceil =
        rate->peak ? g_strdup_printf(" ceil %" G_GUINT64_FORMAT "kbps", rate->peak) : g_strdup("");
    g_autofree char *burst =
        rate->burst ? g_strdup_printf(" burst %" G_GUINT64_FORMAT "kb", rate->burst) : g_strdup("");

    if (!run_tc_format(error, "qdisc add dev %s root handle 1: htb default 1", name) ||
        !run_tc_format(error, "class add dev %s parent 1: classid 1:1 htb rate %" G_GUINT64_FORMAT "kbps%s%s",
                       name, rate->average, ceil, burst))
        return FALSE;
    /* Fairness between the guest's connections, where the kernel has it. */
    run_tc_format(NULL, "qdisc add dev %s parent 1:1 handle 2: sfq perturb 10", name);
    return TRUE;
}

static gboolean police_outbound(const char *name, const NetRate *rate, GError **error)
{
    guint64 burst = rate->burst ? rate->burst : rate->average;

    return run_tc_format(error, "qdisc add dev %s ingress", name) &&
           run_tc_format(
               error,
               "filter add dev %s parent ffff: protocol all u32 match u32 0 0 police rate %" G_GUINT64_FORMAT
               "kbps burst %" G_GUINT64_FORMAT "kb mtu 64kb drop flowid :1",
               name, rate->average, burst);
}

gboolean tap_set_bandwidth(const char *name, const NetBandwidth *bandwidth, GError **error)
{
    run_tc_format(NULL, "qdisc del dev %s root", name); /* fails when there is none */
    run_tc_format(NULL, "qdisc del dev %s ingress", name);
    if (bandwidth == NULL || !bandwidth->present)
        return TRUE;
    return (bandwidth->inbound.average == 0 || shape_inbound(name, &bandwidth->inbound, error)) &&
           (bandwidth->outbound.average == 0 || police_outbound(name, &bandwidth->outbound, error));
}
