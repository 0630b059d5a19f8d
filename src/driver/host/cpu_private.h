/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the model table, for cpu_compare.c. */
#pragma once

#include <glib.h>

/* May the model be chosen to describe a CPU? */
gboolean cpu_model_may_name(const char *name);
/* Is this the model of processors with that family and model number? */
gboolean cpu_model_is_processor(const char *name, guint family, guint model);
