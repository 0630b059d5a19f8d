/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that list and look up snapshots and checkpoints. None can be made yet (creating them answers
 * "not supported"), so there are none: lists are empty and look-ups say so with libvirt's codes.
 */
#include "driver/domain/domain.h"
#include "driver/rpc/call.h"

/* The domain exists and the flags are known. */
static gboolean check(Call *call, const WireDomain *wire, guint flags, guint known, GError **error)
{
    g_autoptr(Domain) dom = NULL;

    dom = domain_from_wire_flags(call, wire, flags, known, error);
    return dom != NULL;
}

#define SNAPSHOT_FILTERS                                                                                     \
    (VIR_DOMAIN_SNAPSHOT_LIST_ROOTS | VIR_DOMAIN_SNAPSHOT_LIST_METADATA | VIR_DOMAIN_SNAPSHOT_LIST_LEAVES |  \
     VIR_DOMAIN_SNAPSHOT_LIST_NO_LEAVES | VIR_DOMAIN_SNAPSHOT_LIST_NO_METADATA |                             \
     VIR_DOMAIN_SNAPSHOT_LIST_INACTIVE | VIR_DOMAIN_SNAPSHOT_LIST_ACTIVE |                                   \
     VIR_DOMAIN_SNAPSHOT_LIST_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_LIST_INTERNAL |                                \
     VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL | VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)

gboolean call_domain_snapshot_num(Call *call, const DomainSnapshotNumArgs *args, DomainSnapshotNumRet *ret,
                                  GError **error)
{
    return check(call, &args->dom, args->flags, SNAPSHOT_FILTERS, error);
}

gboolean call_domain_snapshot_list_names(Call *call, const DomainSnapshotListNamesArgs *args,
                                         DomainSnapshotListNamesRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, SNAPSHOT_FILTERS, error);
}

gboolean call_domain_list_all_snapshots(Call *call, const DomainListAllSnapshotsArgs *args,
                                        DomainListAllSnapshotsRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, SNAPSHOT_FILTERS, error);
}

gboolean call_domain_has_current_snapshot(Call *call, const DomainHasCurrentSnapshotArgs *args,
                                          DomainHasCurrentSnapshotRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, 0, error);
}

gboolean call_domain_snapshot_lookup_by_name(Call *call, const DomainSnapshotLookupByNameArgs *args,
                                             DomainSnapshotLookupByNameRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, 0, error) &&
           error_set(error, VIR_ERR_NO_DOMAIN_SNAPSHOT, "no domain snapshot with matching name '%s'",
                     args->name);
}

gboolean call_domain_snapshot_current(Call *call, const DomainSnapshotCurrentArgs *args,
                                      DomainSnapshotCurrentRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, 0, error) &&
           error_set(error, VIR_ERR_NO_DOMAIN_SNAPSHOT, "the domain does not have a current snapshot");
}

#define CHECKPOINT_FILTERS                                                                                   \
    (VIR_DOMAIN_CHECKPOINT_LIST_ROOTS | VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL |                             \
     VIR_DOMAIN_CHECKPOINT_LIST_LEAVES | VIR_DOMAIN_CHECKPOINT_LIST_NO_LEAVES)

gboolean call_domain_list_all_checkpoints(Call *call, const DomainListAllCheckpointsArgs *args,
                                          DomainListAllCheckpointsRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, CHECKPOINT_FILTERS, error);
}

gboolean call_domain_checkpoint_lookup_by_name(Call *call, const DomainCheckpointLookupByNameArgs *args,
                                               DomainCheckpointLookupByNameRet *ret, GError **error)
{
    return check(call, &args->dom, args->flags, 0, error) &&
           error_set(error, VIR_ERR_NO_DOMAIN_CHECKPOINT, "no domain checkpoint with matching name '%s'",
                     args->name);
}
