/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The codec: byte-exact vectors, every type empty and full, truncation at every byte, limits, and the real
 * tables. */
#include <libvirt/libvirt.h>
#include <string.h>

#include "common/error.h"
#include "driver/rpc/procedure.h"
#include "driver/rpc/rpc_types.h"
#include "driver/rpc/wire.h"

static void check_bytes(const XdrType *type, const void *value, const void *want, gsize length)
{
    g_autofree void *copy = g_malloc0(type->size);
    g_autoptr(GError) error = NULL;
    XdrWriter first = {0}, second = {0};

    g_assert_true(xdr_encode(type, value, &first, G_MAXUINT32, &error));
    g_assert_no_error(error);
    g_assert_cmpmem(first.data, first.length, want, length);
    g_assert_true(xdr_decode(type, first.data, first.length, copy, NULL, &error));
    g_assert_true(xdr_encode(type, copy, &second, G_MAXUINT32, &error));
    g_assert_cmpmem(second.data, second.length, want, length);
    xdr_clear(type, copy);
    xdr_writer_clear(&first);
    xdr_writer_clear(&second);
}

static void test_vectors(void)
{
    static const guint8 domain[] = {0, 0, 0, 5, 'd', 'e', 'm', 'o', '1', 0,  0,  0,  1,    2,    3,    4,
                                    5, 6, 7, 8, 9,   10,  11,  12,  13,  14, 15, 16, 0xff, 0xff, 0xff, 0xff};
    static const guint8 open[] = {0, 0, 0, 1, 0, 0, 0, 4, 'k', 'i', 't', 'e', 0, 0, 0, 1};
    static const guint8 info[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0,
                                  0, 8, 0, 0, 0, 0, 0, 2, 0, 0,  0, 0, 0, 0, 0, 9};
    static const guint8 label[] = {0, 0, 0, 3, 0, 0, 0, 'a', 0xff, 0xff, 0xff, 0xe9, 0, 0, 0, 0, 0, 0, 0, 1};
    static const guint8 params[] = {0,   0,   0, 3, 0, 0, 0, 1, 'n', 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1,
                                    0,   0,   0, 0, 0, 0, 0, 1, 's', 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2,
                                    'h', 'i', 0, 0, 0, 0, 0, 1, 'b', 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1};
    WireDomain d = {.name = (char *)"demo1", .id = -1};
    ConnectOpenArgs o = {.name = (char *)"kite", .flags = 1};
    DomainGetInfoRet i = {1, 1 << 20, 1 << 19, 2, 9};
    DomainGetSecurityLabelRet l = {.label = (char *)"a\xe9", .enforcing = 1};
    WireTypedParam p[] = {
        {(char *)"n", {.type = VIR_TYPED_PARAM_ULLONG, .ul = 1ull << 32}},
        {(char *)"s", {.type = VIR_TYPED_PARAM_STRING, .s = (char *)"hi"}},
        {(char *)"b", {.type = VIR_TYPED_PARAM_BOOLEAN, .b = 1}},
    };
    DomainGetPerfEventsRet e = {p, 3};

    for (int n = 0; n < 16; n++)
        d.uuid[n] = (guint8)(n + 1);
    check_bytes(&xdr_wire_domain, &d, domain, sizeof domain);
    check_bytes(&xdr_connect_open_args, &o, open, sizeof open);
    check_bytes(&xdr_domain_get_info_ret, &i, info, sizeof info);
    check_bytes(&xdr_domain_get_security_label_ret, &l, label, sizeof label);
    check_bytes(&xdr_domain_get_perf_events_ret, &e, params, sizeof params);
}

/* Fills a value with something everywhere: strings, two elements, every optional part present. */
static void fill(const XdrType *type, void *value)
{
    for (guint i = 0; i < type->n_fields; i++) {
        const XdrField *field = &type->fields[i];
        guint8 *at = (guint8 *)value + field->offset;
        guint32 *count = (void *)((guint8 *)value + field->len_offset);
        WireTypedParam *param;

        switch ((XdrOp)field->op) {
        case XDR_STRING:
        case XDR_OPT_STRING:
        case XDR_TEXT:
            *(char **)(void *)at = g_strdup("text");
            break;
        case XDR_STRUCT:
            fill(field->type, at);
            break;
        case XDR_OPT_STRUCT:
            *(void **)(void *)at = g_malloc0(field->type->size);
            fill(field->type, *(void **)(void *)at);
            break;
        case XDR_OPAQUE:
        case XDR_CHARS:
            *(void **)(void *)at = g_strdup("abcde");
            *count = MIN(5, field->limit);
            break;
        case XDR_ARRAY: {
            gsize size = field->element == XDR_STRUCT ? field->type->size : 8;
            guint8 *items = g_malloc0(2 * size);

            *(void **)(void *)at = items;
            *count = 2;
            for (int n = 0; n < 2; n++) {
                if (field->element == XDR_STRUCT)
                    fill(field->type, items + n * size);
                else if (field->element == XDR_STRING)
                    ((char **)(void *)items)[n] = g_strdup("item");
            }
            break;
        }
        case XDR_PARAM_VALUE:
            param = value;
            param->value.type = VIR_TYPED_PARAM_STRING;
            param->value.s = g_strdup("value");
            break;
        case XDR_WORD:
            *(gint32 *)(void *)at = -7;
            break;
        case XDR_CHAR:
        case XDR_UCHAR:
            *at = 200;
            break;
        default:
            break;
        }
    }
}

static void test_all_types(void)
{
    guint types = 0;

    for (const XdrType *const *t = xdr_all_types; *t != NULL; t++, types++) {
        g_autofree void *value = g_malloc0((*t)->size), *copy = g_malloc0((*t)->size);
        g_autoptr(GError) error = NULL;
        XdrWriter empty = {0}, full = {0}, again = {0};
        gsize used;

        if (!xdr_encode(*t, value, &empty, G_MAXUINT32, &error))
            g_error("%s: %s", (*t)->name, error->message);
        g_assert_cmpuint(empty.length, ==, (*t)->smallest);
        fill(*t, value);
        if (!xdr_encode(*t, value, &full, G_MAXUINT32, &error))
            g_error("%s: %s", (*t)->name, error->message);
        g_assert_true(xdr_decode(*t, full.data, full.length, copy, &used, &error));
        g_assert_cmpuint(used, ==, full.length);
        g_assert_true(xdr_encode(*t, copy, &again, G_MAXUINT32, &error));
        g_assert_cmpmem(again.data, again.length, full.data, full.length);
        xdr_clear(*t, copy);
        for (gsize cut = 0; cut < full.length; cut++) {
            /* of its own size, so that a sanitizer sees a read beyond it */
            g_autofree guint8 *part = cut > 0 ? g_memdup2(full.data, cut) : NULL;

            g_assert_false(xdr_decode(*t, part, cut, copy, NULL, NULL));
        }
        xdr_clear(*t, value);
        xdr_writer_clear(&empty);
        xdr_writer_clear(&full);
        xdr_writer_clear(&again);
    }
    g_assert_cmpuint(types, >, 800);
}

static void test_limits(void)
{
    static const guint8 huge_count[] = {0, 0, 0x40, 0, 0, 0, 0, 0}; /* 16384 strings in 4 bytes */
    static const guint8 over_limit[] = {0, 0, 0x40, 1, 0, 0, 0, 0};
    static const guint8 inner_nul[] = {0, 0, 0, 3, 'a', 0, 'b', 0};
    /* go-libvirt's way to say that the optional name is there: any word but 0 means so. */
    static const guint8 odd_bool[] = {1, 0, 0, 0, 0, 0, 0, 1, 'k', 0, 0, 0, 0, 0, 0, 0};
    ConnectListDefinedDomainsRet names = {0};
    DomainLookupByNameArgs lookup;
    ConnectOpenArgs open;
    g_autoptr(GError) error = NULL;
    XdrWriter writer = {0};

    g_assert_false(
        xdr_decode(&xdr_connect_list_defined_domains_ret, huge_count, sizeof huge_count, &names, NULL, NULL));
    g_assert_false(xdr_decode(&xdr_connect_list_defined_domains_ret, over_limit, sizeof over_limit, &names,
                              NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_RPC));
    g_assert_false(
        xdr_decode(&xdr_domain_lookup_by_name_args, inner_nul, sizeof inner_nul, &lookup, NULL, NULL));
    g_assert_true(xdr_decode(&xdr_connect_open_args, odd_bool, sizeof odd_bool, &open, NULL, NULL));
    g_assert_cmpstr(open.name, ==, "k");
    xdr_clear(&xdr_connect_open_args, &open);

    names.names_len = 16385;
    names.names = g_new0(char *, names.names_len);
    g_clear_error(&error);
    g_assert_false(xdr_encode(&xdr_connect_list_defined_domains_ret, &names, &writer, G_MAXUINT32, &error));
    g_assert_true(error_is(error, VIR_ERR_RPC));
    g_assert_cmpuint(writer.length, ==, 0);
    names.names_len = 100;
    g_assert_false(xdr_encode(&xdr_connect_list_defined_domains_ret, &names, &writer, 200, NULL));
    g_free(names.names);
    xdr_writer_clear(&writer);
}

/* The real tables, linked with absent handlers allowed. */
static void test_tables(void)
{
    guint calls = 0;

    for (guint p = 0; p < rpc_program_count; p++) {
        for (guint n = 0; n < rpc_programs[p].n_procedures; n++) {
            const RpcProcedure *procedure = &rpc_programs[p].procedures[n];

            if (procedure->args == NULL)
                continue;
            calls++;
            g_assert_nonnull(procedure->ret);
            g_assert_true(procedure->api != NULL || procedure->stage == RPC_STAGE_GREETING);
            /* what may be called before CONNECT_OPEN must not be refused for being read-only */
            if (procedure->stage != RPC_STAGE_OPEN)
                g_assert_true(procedure->flags & RPC_FLAG_READONLY);
        }
    }
    g_assert_cmpuint(calls, >=, 400);
    g_assert_cmpstr(rpc_programs[0].procedures[RPC_REMOTE_DOMAIN_CREATE].api, ==, "virDomainCreate");
    g_assert_false(rpc_programs[0].procedures[RPC_REMOTE_DOMAIN_CREATE].flags & RPC_FLAG_READONLY);
    g_assert_cmpint(RPC_REMOTE_DOMAIN_DEL_THROTTLE_GROUP, ==, 452);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/xdr/vectors", test_vectors);
    g_test_add_func("/rpc/xdr/all-types", test_all_types);
    g_test_add_func("/rpc/xdr/limits", test_limits);
    g_test_add_func("/rpc/xdr/tables", test_tables);
    return g_test_run();
}
