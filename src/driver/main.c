/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtkited: options and start-up. */
#include "common/log.h"

int main(void)
{
    return 0;
}
