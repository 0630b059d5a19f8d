/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, numbers and sets of CPU features. See cpu_features.h. */
#include "driver/host/cpu_features.h"

#include <string.h>

#include "driver/host/cpu_feature_table.h"

/* --- numbers -------------------------------------------------------------------------------------------- */

enum { BITS_IN_WORD = 32 };

static struct {
    const char *names[CPU_FEATURES_MAX];
    guint words[CPU_FEATURES_MAX];
    guint count;
    GHashTable *numbers; /* name -> number + 1 */
    gint16 of[G_N_ELEMENTS(feature_words)][BITS_IN_WORD]; /* -1: a bit without a name */
} all;

static void number_them(void)
{
    static gsize done;

    if (!g_once_init_enter(&done))
        return;
    all.numbers = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint w = 0; w < G_N_ELEMENTS(feature_words); w++) {
        for (guint b = 0; b < BITS_IN_WORD; b++) {
            const char *name = feature_words[w].names[b];

            all.of[w][b] = -1;
            if (name == NULL)
                continue;
            g_assert(all.count < CPU_FEATURES_MAX);
            all.of[w][b] = (gint16)all.count;
            all.words[all.count] = w;
            all.names[all.count++] = name;
            g_hash_table_insert(all.numbers, (gpointer)name, GUINT_TO_POINTER(all.count));
        }
    }
    g_once_init_leave(&done, 1);
}

int cpu_feature_number(const char *name)
{
    number_them();
    return name != NULL ? (int)GPOINTER_TO_UINT(g_hash_table_lookup(all.numbers, name)) - 1 : -1;
}

const char *cpu_feature_name(guint number)
{
    number_them();
    return number < all.count ? all.names[number] : NULL;
}

gboolean cpu_feature_known(const char *name)
{
    return cpu_feature_number(name) >= 0;
}

gboolean cpu_feature_in_msr(guint number)
{
    number_them();
    return feature_words[all.words[number]].reg == REG_MSR;
}

gboolean cpu_feature_migratable(guint number)
{
    static const char *const stay[] = {"xsaves", "invtsc", NULL};

    return !g_strv_contains(stay, cpu_feature_name(number));
}

/* --- others' names -------------------------------------------------------------------------------------- */

typedef struct OtherName {
    const char *other, *name;
} OtherName;

/* QEMU's own spelling where libvirt's differs. */
static const OtherName qemu_names[] = {
    {"cmp-legacy", "cmp_legacy"}, {"ds-cpl", "ds_cpl"},         {"fxsr-opt", "fxsr_opt"},
    {"lahf-lm", "lahf_lm"},       {"nodeid-msr", "nodeid_msr"}, {"pclmulqdq", "pclmuldq"},
    {"perfctr-core", "perfctr_core"}, {"perfctr-nb", "perfctr_nb"}, {"tsc-adjust", "tsc_adjust"},
    {"kvm-pv-eoi", "kvm_pv_eoi"}, {"kvm-pv-unhalt", "kvm_pv_unhalt"},
};

/* Further names that it takes. */
static const OtherName qemu_aliases[] = {
    {"sse3", "pni"}, {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"}, {"ffxsr", "fxsr_opt"},
    {"i64", "lm"},   {"xd", "nx"},         {"lzcnt", "abm"},
};

static const OtherName linux_names[] = {
    {"sse4_1", "sse4.1"},
    {"sse4_2", "sse4.2"},
    {"pclmulqdq", "pclmuldq"},
    {"tsc_deadline_timer", "tsc-deadline"},
    {"avx512_vnni", "avx512vnni"},
    {"avx512_bf16", "avx512-bf16"},
    {"avx512_vbmi2", "avx512vbmi2"},
    {"avx512_bitalg", "avx512bitalg"},
    {"avx512_vpopcntdq", "avx512-vpopcntdq"},
    {"sha_ni", "sha-ni"},
    {"nrip_save", "nrip-save"},
    {"arch_capabilities", "arch-capabilities"},
    {"dts", "ds"},
};

static const char *translate(const OtherName *names, guint count, const char *other)
{
    int number = cpu_feature_number(other);

    for (guint i = 0; number < 0 && i < count; i++) {
        if (g_strcmp0(names[i].other, other) == 0)
            number = cpu_feature_number(names[i].name);
    }
    return number >= 0 ? all.names[number] : NULL;
}

const char *cpu_feature_from_qemu(const char *qemu_name)
{
    const char *name = translate(qemu_names, G_N_ELEMENTS(qemu_names), qemu_name);

    return name != NULL ? name : translate(qemu_aliases, G_N_ELEMENTS(qemu_aliases), qemu_name);
}

const char *cpu_feature_from_linux(const char *flag)
{
    return translate(linux_names, G_N_ELEMENTS(linux_names), flag);
}

const char *cpu_feature_to_qemu(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(qemu_names); i++) {
        if (strcmp(qemu_names[i].name, name) == 0)
            return qemu_names[i].other;
    }
    return name;
}

/* --- sets ----------------------------------------------------------------------------------------------- */

void cpu_features_add_name(CpuFeatures *set, const char *name)
{
    int number = cpu_feature_number(name);

    if (number >= 0)
        cpu_features_set(set, (guint)number, TRUE);
}

gboolean cpu_features_has_name(const CpuFeatures *set, const char *name)
{
    int number = cpu_feature_number(name);

    return number >= 0 && cpu_features_has(set, (guint)number);
}

void cpu_features_add(CpuFeatures *set, const CpuFeatures *more)
{
    for (guint i = 0; i < G_N_ELEMENTS(set->bits); i++)
        set->bits[i] |= more->bits[i];
}

void cpu_features_subtract(CpuFeatures *set, const CpuFeatures *less)
{
    for (guint i = 0; i < G_N_ELEMENTS(set->bits); i++)
        set->bits[i] &= ~less->bits[i];
}

void cpu_features_intersect(CpuFeatures *set, const CpuFeatures *other)
{
    for (guint i = 0; i < G_N_ELEMENTS(set->bits); i++)
        set->bits[i] &= other->bits[i];
}

gboolean cpu_features_empty(const CpuFeatures *set)
{
    return cpu_features_next(set, 0) < 0;
}

int cpu_features_next(const CpuFeatures *set, guint from)
{
    for (guint i = from / 64; i < G_N_ELEMENTS(set->bits); i++) {
        guint64 rest = set->bits[i];

        if (i == from / 64)
            rest &= ~G_GUINT64_CONSTANT(0) << from % 64;
        if (rest != 0)
            return (int)(i * 64) + __builtin_ctzll(rest);
    }
    return -1;
}

char *cpu_features_join(const CpuFeatures *set, const char *separator)
{
    GString *text = g_string_new(NULL);

    CPU_FEATURES_FOREACH(number, set)
    {
        g_string_append_printf(text, "%s%s", text->len > 0 ? separator : "", cpu_feature_name((guint)number));
    }
    return g_string_free(text, FALSE);
}

/* --- registers ------------------------------------------------------------------------------------------ */

void cpu_features_add_word(CpuFeatures *set, const CpuWord *word)
{
    number_them();
    for (guint w = 0; w < G_N_ELEMENTS(feature_words); w++) {
        const FeatureWord *f = &feature_words[w];

        if (f->leaf != word->leaf || f->subleaf != word->subleaf || (guint32)f->reg != word->reg)
            continue;
        for (guint b = 0; b < BITS_IN_WORD; b++) {
            if ((word->value >> b & 1) != 0 && all.of[w][b] >= 0)
                cpu_features_set(set, (guint)all.of[w][b], TRUE);
        }
    }
}

gboolean cpu_features_word(guint n, CpuWord *ret)
{
    if (n >= G_N_ELEMENTS(feature_words))
        return FALSE;
    *ret = (CpuWord){feature_words[n].leaf, feature_words[n].subleaf, feature_words[n].reg, 0};
    return TRUE;
}
