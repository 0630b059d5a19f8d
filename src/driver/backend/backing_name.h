/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The name that an image's header has for its backing image, as a source: a path, a URL, QEMU's colon forms
 * ("nbd:host:port") or its pseudo-URL "json:{...}" (qemu docs/interop/block-layer, "backing file strings"). Untrusted
 * text: pure parsing, no file is looked at.
 */
#pragma once

#include "driver/conf/def_storage_source.h"

/*
 * parent: the image whose header it is; relative names are relative to its folder. *ret has type FILE for every local
 * path (what is there is the caller's to see), and no format. ret_usable: FALSE when the name holds more than a
 * definition can say (a password in a URL); the chain then ends, undescribed, at the parent.
 * VIR_ERR_INVALID_ARG or VIR_ERR_INTERNAL_ERROR, as libvirt has them, with the name in the text.
 */
gboolean backing_name_parse(const StorageSource *parent, const char *name, StorageSource **ret, gboolean *ret_usable,
                            GError **error);
