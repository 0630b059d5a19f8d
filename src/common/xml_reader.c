/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* To be written by the owner of conf/: see xml.h. */
#include "common/xml.h"
