/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the <cpu> of a definition to the one its guest has, against a recorded QEMU with TCG. An input is
 * <guest><cpu/><got more='a,b' less='c'/></guest>: got says in what the processor differs from what was asked for. The
 * output is the CPU for the start, and the one of the live definition behind it. The same definitions gave the same with
 * libvirtd 9.0 and that QEMU.
 */
#include <string.h>

#include "common/error.h"
#include "common/xml.h"
#include "driver/host/cpu_models.h"
#include "tests/lib/golden.h"
#include "tests/lib/recorded_caps.h"

static QemuCaps *caps;
static Host *host;

static void write_cpu(XmlWriter *w, const CpuDef *cpu)
{
    xml_open(w, "cpu");
    cpu_def_format_body(w, cpu);
    xml_close(w);
}

static void change(CpuFeatures *set, xmlNodePtr got, const char *attr, gboolean on)
{
    g_autofree char *names = got != NULL ? xml_get_attr(got, attr) : NULL;
    g_auto(GStrv) name = g_strsplit(names != NULL ? names : "", ",", -1);

    for (guint i = 0; name[i] != NULL; i++) {
        g_assert_true(cpu_feature_known(name[i]));
        cpu_features_set(set, (guint)cpu_feature_number(name[i]), on);
    }
}

static char *transform(const char *input, GError **error)
{
    const CpuHypervisor hv = {host, caps, FALSE};
    g_autoptr(xmlDoc) doc = xml_parse(input, "(guest)", "guest", error);
    xmlNodePtr root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;
    g_autoptr(CpuDef) cpu = root != NULL ? cpu_def_parse(xml_child(root, "cpu"), TRUE, error) : NULL;
    CpuFeatures enabled, disabled = {0};
    XmlWriter *w;

    if (cpu == NULL || !cpu_def_validate(cpu, error) || !cpu_guest_prepare(cpu, "x86_64", &hv, error))
        return NULL;
    w = xml_writer_new(0);
    xml_open(w, "guest");
    write_cpu(w, cpu);
    if (!cpu_def_features(cpu, &enabled, error)) {
        xml_writer_free(w);
        return NULL;
    }
    change(&enabled, xml_child(root, "got"), "more", TRUE);
    change(&enabled, xml_child(root, "got"), "less", FALSE);
    change(&disabled, xml_child(root, "got"), "less", TRUE);
    if (!cpu_guest_update_live(cpu, &enabled, &disabled, error)) {
        xml_writer_free(w);
        return NULL;
    }
    write_cpu(w, cpu);
    xml_close(w);
    return xml_writer_finish(w);
}

static void test_host_models(void)
{
    const CpuHypervisor tcg = {host, caps, FALSE}, kvm = {host, caps, TRUE};
    g_autoptr(CpuDef) reported = cpu_host_model(&kvm, CPU_HOST_MODEL_REPORTED, NULL);
    g_autoptr(CpuDef) migratable = cpu_host_model(&kvm, CPU_HOST_MODEL_MIGRATABLE, NULL);
    g_autoptr(CpuDef) best = cpu_host_model(&tcg, CPU_HOST_MODEL_REPORTED, NULL);

    g_assert_cmpstr(best->model, ==, "EPYC");
    g_assert_cmpint(best->fallback, ==, CPU_FALLBACK_FORBID);
    g_assert_cmpint(cpu_def_find_feature(best, "topoext")->policy, ==, CPU_FEATURE_DISABLE); /* EPYC's own wish */
    g_assert_nonnull(cpu_def_find_feature(reported, "invtsc"));
    g_assert_null(cpu_def_find_feature(migratable, "invtsc"));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    caps = recorded_caps();
    host = host_new("/nonexistent", NULL, NULL);
    golden_add_tests("guestcpu", transform);
    g_test_add_func("/host-model", test_host_models);
    status = g_test_run();
    host_free(host);
    qemu_caps_unref(caps);
    return status;
}
