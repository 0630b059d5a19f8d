/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver/backend/agent_client.h"
