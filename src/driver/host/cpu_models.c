/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Look-ups in the table of CPU models. */
#include "driver/host/cpu_models.h"

#include <string.h>

#include "driver/host/cpu_model_table.h"

struct CpuModel {
    const ModelRow *row;
    CpuFeatures features, removed;
};

enum { MODELS = G_N_ELEMENTS(model_rows) };

static CpuModel models[MODELS];

static void apply_word(CpuModel *model, const char *word)
{
    int number = cpu_feature_number(word + 1);

    g_assert(number >= 0);
    cpu_features_set(&model->features, (guint)number, word[0] == '+');
    if (word[0] == '!')
        cpu_features_set(&model->removed, (guint)number, TRUE);
}

/* Bases stand before what is made of them. */
static void fill_models(void)
{
    static gsize done;

    if (!g_once_init_enter(&done))
        return;
    for (guint i = 0; i < MODELS; i++) {
        g_auto(GStrv) word = g_strsplit(model_rows[i].delta, " ", -1);
        guint base = 0;

        models[i].row = &model_rows[i];
        while (model_rows[i].base != NULL && strcmp(model_rows[base].name, model_rows[i].base) != 0)
            base++;
        g_assert(base <= i);
        if (model_rows[i].base != NULL)
            models[i].features = models[base].features;
        for (guint w = 0; word[w] != NULL; w++) {
            if (word[w][0] != '\0')
                apply_word(&models[i], word[w]);
        }
    }
    g_once_init_leave(&done, 1);
}

const CpuModel *cpu_model_at(guint i)
{
    fill_models();
    return i < MODELS ? &models[i] : NULL;
}

const CpuModel *cpu_model_find(const char *name)
{
    fill_models();
    for (guint i = 0; name != NULL && i < MODELS; i++) {
        if (strcmp(models[i].row->name, name) == 0)
            return &models[i];
    }
    return NULL;
}

const char *cpu_model_name(const CpuModel *model)
{
    return model->row->name;
}

const char *cpu_model_vendor(const CpuModel *model)
{
    return model->row->vendor;
}

const CpuFeatures *cpu_model_features(const CpuModel *model)
{
    return &model->features;
}

const CpuFeatures *cpu_model_removed(const CpuModel *model)
{
    return &model->removed;
}

gboolean cpu_model_may_name(const CpuModel *model, gboolean guest)
{
    return model->row->names == NAMES_ALL || (model->row->names == NAMES_HOSTS && !guest);
}

gboolean cpu_model_is_processor(const CpuModel *model, guint family, guint number, guint stepping)
{
    const ModelRow *row = model->row;

    if (row->family == 0 || row->family != family)
        return FALSE;
    if (row->steppings != ANY_STEPPING && (stepping > 15 || (row->steppings >> stepping & 1) == 0))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(row->models); i++) {
        if (row->models[i] == number && (i == 0 || number != 0))
            return TRUE;
    }
    return FALSE;
}

gboolean cpu_model_signature(const CpuModel *model, guint *ret_family, guint *ret_number, guint *ret_stepping)
{
    const ModelRow *row = model->row;

    *ret_family = row->family;
    *ret_number = row->models[0];
    *ret_stepping = row->steppings != ANY_STEPPING ? (guint)__builtin_ctz(row->steppings) : 0;
    return row->family != 0;
}
