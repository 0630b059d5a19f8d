/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainSendKey: presses keys on the guest's keyboard. */
#include "driver/backend/monitor.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/key_codes.h"
#include "driver/rpc/call.h"

/* The codes as QEMU's numbers; caller frees. */
static guint *translate(guint set, const guint32 *codes, guint n, GError **error)
{
    g_autofree guint *numbers = g_new(guint, MAX(n, 1));
    const char *name = key_codes_set_name(set);

    if (name == NULL) {
        error_set(error, VIR_ERR_INVALID_ARG, "unknown keycode set %u", set);
        return NULL;
    }
    for (guint i = 0; i < n; i++) {
        if (!key_codes_to_qemu(set, codes[i], &numbers[i])) {
            error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot translate keycode %u of %s codeset to qnum keycode",
                      codes[i], name);
            return NULL;
        }
        if (numbers[i] > 0xff) {
            error_set(error, VIR_ERR_INTERNAL_ERROR, "keycode %u is invalid: 0x%X", i, numbers[i]);
            return NULL;
        }
    }
    return g_steal_pointer(&numbers);
}

gboolean call_domain_send_key(Call *call, const DomainSendKeyArgs *args, DomainSendKeyRet *ret, GError **error)
{
    g_autofree guint *numbers = NULL;
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    gboolean done = FALSE;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->keycodes_len == 0 || args->keycodes_len > VIR_DOMAIN_SEND_KEY_MAX_KEYS)
        return error_set(error, VIR_ERR_INVALID_ARG, "%u keys at once: from 1 to %d are possible",
                         args->keycodes_len, VIR_DOMAIN_SEND_KEY_MAX_KEYS);
    numbers = translate(args->codeset, args->keycodes, args->keycodes_len, error);
    if (numbers == NULL)
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin_active(dom, "virDomainSendKey", error))
        return FALSE;
    vm = domain_vm(dom, NULL, error);
    if (vm != NULL)
        done = vm_send_keys(vm_process_qmp(vm), numbers, args->keycodes_len, args->holdtime, error);
    domain_job_end(dom);
    return done;
}
