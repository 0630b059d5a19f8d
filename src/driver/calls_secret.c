/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Secrets: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_SECRET
#include "driver/calls_absent.h"

EMPTY(connect_num_of_secrets, ConnectNumOfSecrets)
EMPTY(connect_list_secrets, ConnectListSecrets)
EMPTY_FLAGS(connect_list_all_secrets, ConnectListAllSecrets,
            VIR_CONNECT_LIST_SECRETS_EPHEMERAL | VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL |
                VIR_CONNECT_LIST_SECRETS_PRIVATE | VIR_CONNECT_LIST_SECRETS_NO_PRIVATE)

ABSENT(secret_lookup_by_uuid, SecretLookupByUuid, VIR_ERR_NO_SECRET,
       "no secret with matching uuid '%s'", UUID(args->uuid))
ABSENT(secret_lookup_by_usage, SecretLookupByUsage, VIR_ERR_NO_SECRET,
       "no secret with matching usage '%s'", args->usageID)

/* Of an object that is named by args->secret. */
#define NO_SECRET(fn, Type)                                                                                  \
    ABSENT(fn, Type, VIR_ERR_NO_SECRET,                                                                      \
           "no secret with matching uuid '%s'", UUID(args->secret.uuid))
NO_SECRET(secret_get_xml_desc, SecretGetXmlDesc)
NO_SECRET(secret_set_value, SecretSetValue)
NO_SECRET(secret_get_value, SecretGetValue)
NO_SECRET(secret_undefine, SecretUndefine)

gboolean call_connect_secret_event_register_any(Call *call, const ConnectSecretEventRegisterAnyArgs *args,
    ConnectSecretEventRegisterAnyRet *ret, GError **error)
{
    return absent_subscribe(call, EVENT_KIND_SECRET, args->eventID, VIR_SECRET_EVENT_ID_VALUE_CHANGED,
                            args->secret != NULL ? args->secret->uuid : NULL, NULL, &ret->callbackID, error);
}

gboolean call_connect_secret_event_deregister_any(Call *call, const ConnectSecretEventDeregisterAnyArgs *args,
    ConnectSecretEventDeregisterAnyRet *ret, GError **error)
{
    return absent_unsubscribe(call, EVENT_KIND_SECRET, args->callbackID, error);
}
