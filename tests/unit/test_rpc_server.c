/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server through a raw socket: order of refusals, framing, limits, pipelining, descriptors, events,
 * keepalive, the end of a client.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"
#include "rpc_raw.h"

/* --- handlers ------------------------------------------------------------------------------------ */

static GMutex gate_lock;
static GCond gate_changed;
static gboolean gate_open = TRUE;
static guint gate_waiting, hooks_run;

static void gate_set(gboolean open)
{
    g_mutex_lock(&gate_lock);
    gate_open = open;
    g_cond_broadcast(&gate_changed);
    g_mutex_unlock(&gate_lock);
}

static void gate_wait_for(guint *counter, guint value)
{
    g_mutex_lock(&gate_lock);
    while (*counter != value)
        g_cond_wait(&gate_changed, &gate_lock);
    g_mutex_unlock(&gate_lock);
}

static void gate_pass(void)
{
    g_mutex_lock(&gate_lock);
    gate_waiting++;
    g_cond_broadcast(&gate_changed);
    while (!gate_open)
        g_cond_wait(&gate_changed, &gate_lock);
    gate_waiting--;
    g_cond_broadcast(&gate_changed);
    g_mutex_unlock(&gate_lock);
}

static void count_hook(Client *client, void *opaque)
{
    g_mutex_lock(&gate_lock);
    hooks_run++;
    g_cond_broadcast(&gate_changed);
    g_mutex_unlock(&gate_lock);
}

static gboolean run_open(Call *call, const void *args, void *ret, GError **error)
{
    client_add_close_hook(call_client(call), count_hook, NULL, NULL);
    return TRUE;
}

static gboolean run_lib_version(Call *call, const void *args, void *ret, GError **error)
{
    ((ConnectGetLibVersionRet *)ret)->lib_ver = 12006000;
    return TRUE;
}

static gboolean run_lookup(Call *call, const void *opaque, void *ret, GError **error)
{
    const DomainLookupByNameArgs *args = opaque;

    return error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching name '%s'", args->name);
}

/* low: waits at the gate */
static gboolean run_shutdown(Call *call, const void *args, void *ret, GError **error)
{
    gate_pass();
    return TRUE;
}

/* high */
static gboolean run_destroy(Call *call, const void *args, void *ret, GError **error)
{
    return TRUE;
}

/* brief: says where it ran; with flags it must wait at the gate, so not on the I/O thread */
static gboolean run_xml_desc(Call *call, const void *opaque, void *ret, GError **error)
{
    const DomainGetXmlDescArgs *args = opaque;

    if (args->flags != 0) {
        if (call_must_not_wait(call))
            return call_move(call);
        gate_pass();
    }
    ((DomainGetXmlDescRet *)ret)->xml = g_strdup(call_must_not_wait(call) ? "here" : "worker");
    return TRUE;
}

/* Gives the descriptor that came back, twice. */
static gboolean run_graphics_fd(Call *call, const void *args, void *ret, GError **error)
{
    int fd = call_take_fd(call, 0);

    g_assert_cmpuint(call_n_fds(call), ==, 1);
    g_assert_cmpint(fd, >=, 0);
    return call_return_fd(call, fcntl(fd, F_DUPFD_CLOEXEC, 0), error) && call_return_fd(call, fd, error);
}

/* Events: as many as the number in flags. */
static gboolean run_events(Call *call, const void *opaque, void *ret, GError **error)
{
    const ConnectGetSysinfoArgs *args = opaque;

    for (guint32 i = 0; i < args->flags; i++) {
        DomainEventRebootMsg msg = {.dom = {.name = (char *)"vm", .id = (gint32)i}};

        send_domain_event_reboot(call_client(call), &msg);
    }
    ((ConnectGetSysinfoRet *)ret)->sysinfo = g_strdup("sent");
    return TRUE;
}

/* --- the table: the test's own, so that it does not depend on what has handlers today ------------ */

static gboolean run_auth_list(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_list(call, args, ret, error);
}

static gboolean run_auth_sasl_init(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_sasl_init(call, args, ret, error);
}

static gboolean run_close(Call *call, const void *args, void *ret, GError **error)
{
    return call_connect_close(call, args, ret, error);
}

static gboolean run_feature(Call *call, const void *args, void *ret, GError **error)
{
    return call_connect_supports_feature(call, args, ret, error);
}

#define RO RPC_FLAG_READONLY
#define PROCEDURE(NAME, api, name, run, flags, stage)                                                        \
    [RPC_REMOTE_##                                                                                           \
        NAME] = {#NAME, api, &xdr_##name##_args, &xdr_##name##_ret, run, VIR_FROM_DOMAIN, flags, stage, 0}
static const RpcProcedure remote[] = {
    PROCEDURE(CONNECT_OPEN, "virConnectOpen", connect_open, run_open, RO | RPC_FLAG_HIGH | RPC_FLAG_ALONE,
              RPC_STAGE_AUTHENTICATED),
    PROCEDURE(CONNECT_CLOSE, "virConnectClose", connect_close, run_close, RO | RPC_FLAG_INLINE,
              RPC_STAGE_AUTHENTICATED),
    PROCEDURE(CONNECT_SUPPORTS_FEATURE, "virConnectSupportsFeature", connect_supports_feature, run_feature,
              RO | RPC_FLAG_INLINE, RPC_STAGE_AUTHENTICATED),
    PROCEDURE(AUTH_LIST, NULL, auth_list, run_auth_list, RO | RPC_FLAG_INLINE | RPC_FLAG_ALONE,
              RPC_STAGE_GREETING),
    PROCEDURE(AUTH_SASL_INIT, NULL, auth_sasl_init, run_auth_sasl_init, RO | RPC_FLAG_ALONE,
              RPC_STAGE_GREETING),
    PROCEDURE(CONNECT_GET_LIB_VERSION, "virConnectGetLibVersion", connect_get_lib_version, run_lib_version,
              RO | RPC_FLAG_INLINE, RPC_STAGE_OPEN),
    PROCEDURE(CONNECT_GET_SYSINFO, "virConnectGetSysinfo", connect_get_sysinfo, run_events, RO,
              RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_LOOKUP_BY_NAME, "virDomainLookupByName", domain_lookup_by_name, run_lookup,
              RO | RPC_FLAG_HIGH, RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_SHUTDOWN, "virDomainShutdown", domain_shutdown, run_shutdown, 0, RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_DESTROY, "virDomainDestroy", domain_destroy, run_destroy, RPC_FLAG_HIGH, RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_GET_XML_DESC, "virDomainGetXMLDesc", domain_get_xml_desc, run_xml_desc, RO | RPC_FLAG_BRIEF,
              RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_CREATE, "virDomainCreate", domain_create, NULL, 0, RPC_STAGE_OPEN),
    PROCEDURE(DOMAIN_OPEN_GRAPHICS_FD, "virDomainOpenGraphicsFD", domain_open_graphics_fd, run_graphics_fd, 0,
              RPC_STAGE_OPEN),
};
const RpcProgram rpc_programs[] = {{RPC_PROGRAM_REMOTE, RPC_VERSION_REMOTE, G_N_ELEMENTS(remote), remote}};
const guint rpc_program_count = 1;

#define REMOTE RPC_PROGRAM_REMOTE

static RpcServer *server_with(guint requests)
{
    RpcServerConfig config;

    rpc_server_config_init(&config);
    config.max_client_requests = requests;
    return raw_server(&config);
}

static void send_shutdown(int fd, guint32 serial)
{
    DomainShutdownArgs args = {.dom = {.name = (char *)"vm", .id = 1}};

    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_SHUTDOWN, serial, &xdr_domain_shutdown_args, &args);
}

/* --- tests --------------------------------------------------------------------------------------- */

static void test_refusals(void)
{
    g_autoptr(RpcServer) server = server_with(5);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE),
           ro = raw_connect(server, TRUE, CLIENT_AUTH_NONE),
           sasl = raw_connect(server, FALSE, CLIENT_AUTH_SASL);
    DomainLookupByNameArgs lookup = {.name = (char *)"x"};
    DomainCreateArgs create = {.dom = {.name = (char *)"x"}};
    WireHeader header = {REMOTE, 1, RPC_REMOTE_CONNECT_GET_LIB_VERSION, WIRE_CALL, 9, WIRE_ERROR};
    AuthListRet list = {0};

    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_GET_LIB_VERSION, 1, NULL, NULL);
    raw_error(fd, 1, VIR_ERR_INTERNAL_ERROR, "internal error: connection not open");
    raw_open(fd);
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_OPEN, 2, &xdr_connect_open_args, &(ConnectOpenArgs){0});
    raw_error(fd, 2, VIR_ERR_INTERNAL_ERROR, "internal error: connection already open");
    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_LOOKUP_BY_NAME, 3, &xdr_domain_lookup_by_name_args, &lookup);
    raw_error(fd, 3, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching name 'x'");
    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_CREATE, 4, &xdr_domain_create_args, &create);
    raw_error(fd, 4, VIR_ERR_NO_SUPPORT,
              "this function is not supported by the connection driver: virDomainCreate");
    raw_call(fd, REMOTE, 9999, 5, NULL, NULL);
    raw_error(fd, 5, VIR_ERR_RPC, "unknown procedure: 9999");
    raw_call(fd, REMOTE, -3, 6, NULL, NULL);
    raw_error(fd, 6, VIR_ERR_RPC, "unknown procedure: -3");
    raw_call(fd, 0x12345, 1, 7, NULL, NULL);
    raw_error(fd, 7, VIR_ERR_RPC, "Cannot find program 74565 version 1");
    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_LOOKUP_BY_NAME, 8, NULL, NULL);
    raw_error(fd, 8, VIR_ERR_RPC, NULL);
    raw_frame(fd, &header, NULL, 0);
    raw_error(fd, 9, VIR_ERR_RPC, "Unexpected message status 1");

    raw_open(ro);
    raw_call(ro, REMOTE, RPC_REMOTE_DOMAIN_CREATE, 2, &xdr_domain_create_args, &create);
    raw_error(ro, 2, VIR_ERR_OPERATION_DENIED,
              "operation forbidden: read only access prevents virDomainCreate");

    raw_call(sasl, REMOTE, RPC_REMOTE_CONNECT_OPEN, 1, &xdr_connect_open_args, &(ConnectOpenArgs){0});
    raw_error(sasl, 1, VIR_ERR_RPC, "authentication required");
    raw_call(sasl, REMOTE, RPC_REMOTE_AUTH_LIST, 2, NULL, NULL);
    raw_reply(sasl, 2, &xdr_auth_list_ret, &list);
    g_assert_cmpuint(list.types_len, ==, 1);
    g_assert_cmpint(list.types[0], ==, CLIENT_AUTH_SASL);
    xdr_clear(&xdr_auth_list_ret, &list);
}

/* Byte for byte: a lookup that fails, with libvirt's layout of errors. */
static void test_golden_error(void)
{
    static const guint8 request[] = {0, 0, 0, 36, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0,   23, 0, 0,
                                     0, 0, 0, 0,  0,    7, 0,    0,    0, 0, 0, 0, 0, 1, 'x', 0,  0, 0};
    static const char text[52] = "Domain not found: no domain with matching name 'x'";
    static const char detail[] = "no domain with matching name 'x'";
    g_autoptr(RpcServer) server = server_with(5);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    g_auto(RawMessage) reply = {0};
    XdrWriter want = {0};

    raw_open(fd);
    raw_bytes(fd, request, sizeof request);
    g_assert_true(raw_receive(fd, &reply));
    xdr_put_word(&want, VIR_ERR_NO_DOMAIN);
    xdr_put_word(&want, VIR_FROM_QEMU);
    xdr_put_word(&want, 1);
    xdr_put_word(&want, (guint32)strlen(text));
    xdr_put_bytes(&want, text, sizeof text); /* with its padding */
    xdr_put_word(&want, VIR_ERR_ERROR);
    xdr_put_word(&want, 0); /* domain */
    xdr_put_word(&want, 1);
    xdr_put_word(&want, 20);
    xdr_put_bytes(&want, "Domain not found: %s", 20);
    xdr_put_word(&want, 1);
    xdr_put_word(&want, sizeof detail - 1);
    xdr_put_bytes(&want, detail, 32);
    xdr_put_word(&want, 0);
    xdr_put_word(&want, (guint32)-1);
    xdr_put_word(&want, (guint32)-1);
    xdr_put_word(&want, 0); /* network */
    g_assert_cmpmem(reply.payload, reply.length, want.data, want.length);
    g_assert_cmpuint(reply.header.program, ==, REMOTE);
    g_assert_cmpint(reply.header.procedure, ==, 23);
    xdr_writer_clear(&want);
}

static void expect_rubbish(RpcServer *server, const void *data, gsize length)
{
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);

    raw_bytes(fd, data, length);
    g_assert_true(raw_closed(fd));
}

static void test_rubbish(void)
{
    static const guint8 too_short[] = {0, 0, 0, 27};
    static const guint8 too_long[] = {0x7f, 0, 0, 0};
    static const guint8 bad_type[28] = {0, 0, 0, 28, 0x20, 0, 0x80, 0x86, 0, 0,
                                        0, 1, 0, 0,  0,    1, 0,    0,    0, 77};
    static const guint8 many_fds[32] = {0, 0, 0, 32, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 1,
                                        0, 0, 0, 4,  0,    0, 0,    1,    0, 0, 0, 0, 0, 0, 0, 33};
    static const guint8 no_fds[33] = {0, 0, 0, 32, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 1,
                                      0, 0, 0, 4,  0,    0, 0,    1,    0, 0, 0, 0, 0, 0, 0, 1};
    g_autoptr(RpcServer) server = server_with(5);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    ConnectGetLibVersionRet version = {0};

    raw_open(fd);
    expect_rubbish(server, too_short, sizeof too_short);
    expect_rubbish(server, too_long, sizeof too_long);
    expect_rubbish(server, bad_type, sizeof bad_type);
    expect_rubbish(server, many_fds, sizeof many_fds);
    expect_rubbish(server, no_fds, sizeof no_fds);
    expect_rubbish(server, "GET / HTTP/1.0\r\n\r\n..........", 28);
    /* nobody else noticed */
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_GET_LIB_VERSION, 2, NULL, NULL);
    raw_reply(fd, 2, &xdr_connect_get_lib_version_ret, &version);
    g_assert_cmpuint(version.lib_ver, ==, 12006000);
}

/* Everything in one write, and then in single bytes. */
static void test_pipeline(void)
{
    g_autoptr(RpcServer) server = server_with(2);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    XdrWriter all = {0};
    guint8 seen[301] = {0};

    for (guint32 serial = 1; serial <= 300; serial++) {
        WireHeader header = {REMOTE, 1, RPC_REMOTE_CONNECT_GET_LIB_VERSION, WIRE_CALL, serial, WIRE_OK};
        DomainDestroyArgs destroy = {.dom = {.name = (char *)"vm"}};
        gsize begin;

        if (serial == 1)
            header.procedure = RPC_REMOTE_CONNECT_OPEN;
        else if (serial % 3 == 0)
            header.procedure = RPC_REMOTE_DOMAIN_DESTROY;
        begin = wire_begin(&all, &header);
        if (serial == 1)
            xdr_encode(&xdr_connect_open_args, &(ConnectOpenArgs){0}, &all, G_MAXUINT32, NULL);
        else if (serial % 3 == 0)
            xdr_encode(&xdr_domain_destroy_args, &destroy, &all, G_MAXUINT32, NULL);
        wire_end(&all, begin);
    }
    for (int round = 0; round < 2; round++) {
        if (round == 0)
            raw_bytes(fd, all.data, all.length);
        for (gsize i = 0; round == 1 && i < 2000; i++)
            raw_bytes(fd, all.data + i, 1);
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < (round == 0 ? 300 : 40); i++) {
            g_auto(RawMessage) reply = {0};

            g_assert_true(raw_receive(fd, &reply));
            if (round == 0)
                g_assert_cmpuint(reply.header.status, ==, WIRE_OK);
            g_assert_cmpuint(reply.header.serial, <=, 300);
            g_assert_cmpuint(seen[reply.header.serial]++, ==, 0);
        }
    }
    xdr_writer_clear(&all);
}

/* Low-priority calls that hang hold up neither inline nor high-priority calls; more of them wait their turn.
 */
static void test_priorities(void)
{
    g_autoptr(RpcServer) server = server_with(2);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    DomainDestroyArgs destroy = {.dom = {.name = (char *)"vm"}};
    RpcServerStats stats;

    raw_open(fd);
    gate_set(FALSE);
    for (guint32 serial = 10; serial < 15; serial++)
        send_shutdown(fd, serial);
    gate_wait_for(&gate_waiting, 2);
    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_DESTROY, 20, &xdr_domain_destroy_args, &destroy);
    raw_reply(fd, 20, NULL, NULL);
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_GET_LIB_VERSION, 21, NULL, NULL);
    raw_reply(fd, 21, &xdr_connect_get_lib_version_ret, &(ConnectGetLibVersionRet){0});
    rpc_server_stats(server, &stats);
    g_assert_cmpuint(stats.clients, ==, 1);
    g_assert_cmpuint(gate_waiting, ==, 2);
    gate_set(TRUE);
    for (int i = 0; i < 5; i++) {
        g_auto(RawMessage) reply = {0};

        g_assert_true(raw_receive(fd, &reply));
        g_assert_cmpuint(reply.header.status, ==, WIRE_OK);
    }
}

static void send_with_fd(int sock, guint32 serial, int passed)
{
    DomainOpenGraphicsFdArgs args = {.dom = {.name = (char *)"vm"}};
    WireHeader header = {REMOTE, 1, RPC_REMOTE_DOMAIN_OPEN_GRAPHICS_FD, WIRE_CALL_WITH_FDS, serial, WIRE_OK};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char dummy = 0;
    struct iovec iov = {&dummy, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    XdrWriter writer = {0};
    gsize begin = wire_begin(&writer, &header);

    xdr_put_word(&writer, 1);
    xdr_encode(&xdr_domain_open_graphics_fd_args, &args, &writer, G_MAXUINT32, NULL);
    wire_end(&writer, begin);
    raw_bytes(sock, writer.data, writer.length);
    xdr_writer_clear(&writer);
    CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
    CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
    CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &passed, sizeof passed);
    g_assert_cmpint(sendmsg(sock, &msg, 0), ==, 1);
}

static void send_xml_desc(int fd, guint32 serial, guint32 flags)
{
    DomainGetXmlDescArgs args = {.dom = {.name = (char *)"vm", .id = 1}, .flags = flags};

    raw_call(fd, REMOTE, RPC_REMOTE_DOMAIN_GET_XML_DESC, serial, &xdr_domain_get_xml_desc_args, &args);
}

static void check_xml_desc(int fd, guint32 serial, const char *where)
{
    DomainGetXmlDescRet ret = {0};

    raw_reply(fd, serial, &xdr_domain_get_xml_desc_ret, &ret);
    g_assert_cmpstr(ret.xml, ==, where);
    xdr_clear(&xdr_domain_get_xml_desc_ret, &ret);
}

/* A "brief" call runs on the I/O thread; one that has to wait goes to a worker, and nobody waits for it. */
static void test_brief(void)
{
    g_autoptr(RpcServer) server = server_with(1);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE), other = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    ConnectGetLibVersionRet version;

    gate_set(FALSE);
    raw_open(fd);
    raw_open(other);
    send_xml_desc(fd, 2, 0);
    check_xml_desc(fd, 2, "here");
    send_xml_desc(fd, 3, 1);
    gate_wait_for(&gate_waiting, 1);
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_GET_LIB_VERSION, 4, NULL, NULL);
    raw_reply(fd, 4, &xdr_connect_get_lib_version_ret, &version);
    send_xml_desc(other, 2, 0);
    check_xml_desc(other, 2, "here");
    /* Its only place is taken: both wait in their order, and what can run here passes them. */
    send_shutdown(fd, 5);
    send_xml_desc(fd, 6, 1);
    send_xml_desc(fd, 7, 0);
    check_xml_desc(fd, 7, "here");
    gate_set(TRUE);
    check_xml_desc(fd, 3, "worker");
    raw_reply(fd, 5, NULL, NULL);
    check_xml_desc(fd, 6, "worker");
}

static void test_descriptors(void)
{
    g_autoptr(RpcServer) server = server_with(5);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    int pipes[2];
    char byte = 0;

    raw_open(fd);
    g_assert_cmpint(pipe2(pipes, O_CLOEXEC), ==, 0);
    for (guint32 serial = 2; serial < 5; serial++)
        send_with_fd(fd, serial, pipes[1]);
    for (guint32 serial = 2; serial < 5; serial++) {
        g_auto(RawMessage) reply = {0};

        g_assert_true(raw_receive(fd, &reply));
        g_assert_cmpuint(reply.header.type, ==, WIRE_REPLY_WITH_FDS);
        g_assert_cmpuint(reply.n_fds, ==, 2);
        g_assert_cmpint(write(reply.fds[1], "y", 1), ==, 1);
        g_assert_cmpint(read(pipes[0], &byte, 1), ==, 1);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void test_close_hooks(void)
{
    g_autoptr(RpcServer) server = server_with(5);
    int fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE), polite;
    guint before = hooks_run;

    raw_open(fd);
    gate_set(FALSE);
    send_shutdown(fd, 2);
    gate_wait_for(&gate_waiting, 1);
    close(fd); /* with a call hanging: the hook does not wait for it */
    gate_wait_for(&hooks_run, before + 1);
    gate_set(TRUE);

    polite = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    raw_open(polite);
    raw_call(polite, REMOTE, RPC_REMOTE_CONNECT_CLOSE, 2, NULL, NULL);
    raw_reply(polite, 2, NULL, NULL);
    g_assert_true(raw_closed(polite));
    gate_wait_for(&hooks_run, before + 2);
    close(polite);
    while (rpc_server_idle_since(server) == 0)
        g_usleep(1000);
}

/* Half-closed: what was asked is still answered. */
static void test_half_close(void)
{
    g_autoptr(RpcServer) server = server_with(5);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);

    raw_open(fd);
    for (guint32 serial = 2; serial < 10; serial++)
        send_shutdown(fd, serial);
    shutdown(fd, SHUT_WR);
    for (guint32 serial = 2; serial < 10; serial++) {
        g_auto(RawMessage) reply = {0};

        g_assert_true(raw_receive(fd, &reply));
    }
    g_assert_true(raw_closed(fd));
}

static void test_keepalive(void)
{
    RpcServerConfig config;
    WireHeader ping = {RPC_PROGRAM_KEEPALIVE, 1, RPC_KEEPALIVE_PING, WIRE_MESSAGE, 0, WIRE_OK};
    ConnectSupportsFeatureArgs feature = {.feature = 10};
    ConnectSupportsFeatureRet supported = {0};

    rpc_server_config_init(&config);
    config.keepalive_interval = 1;
    config.keepalive_count = 1;
    g_autoptr(RpcServer) server = raw_server(&config);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE),
           silent = raw_connect(server, FALSE, CLIENT_AUTH_NONE);
    g_auto(RawMessage) pong = {0}, from_server = {0};

    raw_frame(silent, &ping, NULL, 0);
    g_assert_true(raw_receive(silent, &pong));
    g_assert_cmpint(pong.header.procedure, ==, RPC_KEEPALIVE_PONG);
    g_assert_cmpuint(pong.header.type, ==, WIRE_MESSAGE);
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_SUPPORTS_FEATURE, 1, &xdr_connect_supports_feature_args,
             &feature);
    raw_reply(fd, 1, &xdr_connect_supports_feature_ret, &supported);
    g_assert_cmpint(supported.supported, ==, 1);
    /* it pings us, and cuts who does not answer */
    g_assert_true(raw_receive(fd, &from_server));
    g_assert_cmpint(from_server.header.procedure, ==, RPC_KEEPALIVE_PING);
    g_assert_true(raw_closed(fd));
}

static guint64 lost_reported;

static void on_lost(Client *client, guint64 lost, void *opaque)
{
    g_mutex_lock(&gate_lock);
    lost_reported += lost;
    g_cond_broadcast(&gate_changed);
    g_mutex_unlock(&gate_lock);
}

static void watch_losses(Client *client, void *opaque)
{
    client_set_lost_hook(client, on_lost, NULL);
}

/* A client that does not read loses events, is told, and costs a bounded amount. */
static void test_events_bounded(void)
{
    RpcServerConfig config;
    ConnectGetSysinfoArgs many = {.flags = 50000};
    guint64 got = 0;

    rpc_server_config_init(&config);
    config.max_event_messages = 100;
    g_autoptr(RpcServer) server = raw_server(&config);
    autofd fd = raw_connect(server, FALSE, CLIENT_AUTH_NONE);

    raw_open(fd);
    rpc_server_foreach_client(server, watch_losses, NULL);
    raw_call(fd, REMOTE, RPC_REMOTE_CONNECT_GET_SYSINFO, 2, &xdr_connect_get_sysinfo_args, &many);
    for (;;) {
        g_auto(RawMessage) message = {0};

        g_assert_true(raw_receive(fd, &message));
        if (message.header.type == WIRE_REPLY)
            break;
        g_assert_cmpuint(message.header.type, ==, WIRE_MESSAGE);
        g_assert_cmpint(message.header.procedure, ==, RPC_REMOTE_DOMAIN_EVENT_REBOOT);
        got++;
    }
    g_assert_cmpuint(got, >=, 100);
    g_assert_cmpuint(got, <=, 50000);
    if (got < 50000) {
        g_mutex_lock(&gate_lock);
        while (lost_reported != 50000 - got)
            g_cond_wait(&gate_changed, &gate_lock);
        g_mutex_unlock(&gate_lock);
    }
}

/* A listening UNIX socket: limit of clients, a stale file, a socket in use. */
static void test_listener(void)
{
    g_autofree char *folder = g_dir_make_tmp("kite-rpc-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "sock", NULL);
    RpcListener listener = RPC_LISTENER_INIT;
    g_autoptr(GError) error = NULL;
    RpcServerConfig config;
    RpcServer *server;

    listener.unix_path = path;
    rpc_server_config_init(&config);
    server = rpc_server_new(&config);
    g_assert_true(rpc_server_add_listener(server, &listener, &error));
    g_assert_true(rpc_server_start(server, &error));
    {
        RpcServer *second = rpc_server_new(&config);

        g_assert_false(rpc_server_add_listener(second, &listener, &error));
        g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
        rpc_server_free(second);
    }
    rpc_server_free(server);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_cmpint(rmdir(folder), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/server/refusals", test_refusals);
    g_test_add_func("/rpc/server/golden-error", test_golden_error);
    g_test_add_func("/rpc/server/rubbish", test_rubbish);
    g_test_add_func("/rpc/server/pipeline", test_pipeline);
    g_test_add_func("/rpc/server/priorities", test_priorities);
    g_test_add_func("/rpc/server/brief", test_brief);
    g_test_add_func("/rpc/server/descriptors", test_descriptors);
    g_test_add_func("/rpc/server/close-hooks", test_close_hooks);
    g_test_add_func("/rpc/server/half-close", test_half_close);
    g_test_add_func("/rpc/server/keepalive", test_keepalive);
    g_test_add_func("/rpc/server/events-bounded", test_events_bounded);
    g_test_add_func("/rpc/server/listener", test_listener);
    return g_test_run();
}
