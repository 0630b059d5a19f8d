/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of a monitor to statistics questions: the first byte says which question, the rest is the JSON. */
#include <stddef.h>
#include <stdint.h>

#include "driver/domain/stats_figures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *answer;

    if (size < 2)
        return 0;
    answer = json_loadb((const char *)data + 1, size - 1, JSON_DECODE_ANY, NULL);
    if (answer == NULL)
        return 0;
    g_array_unref(figures_read((FiguresKind)(data[0] % FIGURES_LAST), answer));
    json_decref(answer);
    return 0;
}
