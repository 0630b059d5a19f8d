/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest agent's answers, brought into libvirt's form. The guest is not trusted: what does not fit is an
 * error. */
#pragma once

#include <jansson.h>

#include "driver/conf/domain_def.h"
#include "driver/domain/domain.h"
#include "driver/rpc/typed_params.h"

/* Target names ("vda") of the disks below one element of guest-get-fsinfo, in order; those that are no disk
 * of the domain are left out. Takes the state lock. Caller frees with g_strfreev. */
char **agent_fs_aliases(Domain *dom, const json_t *fs);
/* The target of the disk at an address that the agent names (GuestDiskAddress), or NULL. State lock held; the
 * string is the definition's. */
const char *agent_disk_target(const DomainDef *def, const json_t *address);
/* guest-get-vcpus as "vcpus", "online", "offlinable". */
gboolean agent_vcpu_params(const json_t *vcpus, TypedParams *params, GError **error);
