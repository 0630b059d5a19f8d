/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers of keyboard keys in the sets of virKeycodeSet. Plain tables: any thread. */
#pragma once

#include <glib.h>

/* "linux", "atset1", ...; NULL for a set that does not exist. */
const char *key_codes_set_name(guint set);
/* QEMU's number ("qnum") of a key given by its code in a VIR_KEYCODE_SET_*. FALSE: no such key there. */
gboolean key_codes_to_qemu(guint set, guint code, guint *ret_number);
