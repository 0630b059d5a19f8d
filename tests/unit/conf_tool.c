/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Development helper: reads domain definitions and says what conf/ makes of them.
 *
 *     conf_tool [options] FILE         prints the XML, or why it is refused
 *     conf_tool [options] FILE...      prints those that are refused
 *     conf_tool --bench N FILE         microseconds a definition
 *
 *     --out FOLDER           writes FOLDER/<name of FILE>
 *     --validate SCHEMA      checks the output
 *     --no-cpu               the emulator does not tell its default CPU
 *     --lacks DEVICE,...     the emulator has not these devices
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver/conf/domain_def.h"

static gboolean no_cpu;
static char **lacks;

static const char *default_cpu(const DomainDefEnv *env, const DomainDef *def)
{
    return no_cpu ? NULL : "qemu64";
}

static gboolean has_device(const DomainDefEnv *env, const DomainDef *def, const char *name)
{
    return lacks == NULL || !g_strv_contains((const char *const *)lacks, name);
}

static char *default_emulator(const DomainDefEnv *env, const DomainDef *def, GError **error)
{
    return g_strdup("/usr/bin/qemu-system-x86_64");
}

static const DomainDefEnv tool_env = {.has_device = has_device,
                                      .default_cpu = default_cpu,
                                      .default_emulator = default_emulator,
                                      .nvram_dir = "/var/lib/libvirt/qemu/nvram"};

static void bench(const char *path, guint n)
{
    g_autofree char *text = NULL;
    clock_t start;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    start = clock();
    for (guint i = 0; i < n; i++)
        domain_def_free(domain_def_parse(text, &tool_env, DOMAIN_DEF_PARSE_INACTIVE, NULL));
    printf("%.1f us of CPU for parse, defaults, validation\n", (double)(clock() - start) / n);
}

int main(int argc, char **argv)
{
    const char *schema = NULL, *out = NULL;
    int first = 1, failed = 0;

    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--no-cpu") == 0)
            no_cpu = TRUE;
        else if (strcmp(argv[first], "--lacks") == 0)
            lacks = g_strsplit(argv[++first], ",", -1);
        else if (strcmp(argv[first], "--validate") == 0)
            schema = argv[++first];
        else if (strcmp(argv[first], "--out") == 0)
            out = argv[++first];
        else if (strcmp(argv[first], "--bench") == 0 && first + 2 < argc) {
            bench(argv[first + 2], (guint)g_ascii_strtoull(argv[first + 1], NULL, 10));
            return 0;
        }
    }
    for (int i = first; i < argc; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(DomainDef) def =
            domain_def_parse_file(argv[i], &tool_env, DOMAIN_DEF_PARSE_INACTIVE, &error);
        g_autofree char *xml = def != NULL ? domain_def_format(def, DOMAIN_DEF_FORMAT_SECURE) : NULL;

        if (xml != NULL && schema != NULL) {
            g_autoptr(xmlDoc) doc = xml_parse(xml, "(output)", "domain", &error);

            if (doc != NULL)
                xml_validate_rng(schema, doc, &error);
        }
        if (xml != NULL && out != NULL) {
            g_autofree char *name = g_path_get_basename(argv[i]);
            g_autofree char *path = g_build_filename(out, name, NULL);

            g_file_set_contents(path, xml, -1, NULL);
        } else if (xml != NULL && argc - first == 1) {
            fputs(xml, stdout);
        }
        if (error != NULL)
            printf("%s\t%s\n", argv[i], error->message);
        failed |= error != NULL;
    }
    return failed;
}
