/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk images. */
#include "storage/image.h"
