/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtkited.conf: the keys of libvirtd.conf and our own. Read once at start (log settings again on SIGHUP);
 * after that immutable, any thread. Every key is one line of the table in daemon_config.c, described for users in
 * data/virtkited.conf.
 */
#pragma once

#include <glib.h>

typedef struct DaemonConfig {
    /* listeners */
    gboolean listen_tls, listen_tcp; /* honoured with --listen */
    char *tls_port, *tcp_port;       /* "16514", "16509" */
    char *listen_addr;               /* NULL: every address */
    char *unix_sock_group;           /* NULL: the daemon's group */
    char *unix_sock_rw_perms;        /* octal digits; NULL: see unix_sock_*_mode() */
    char *unix_sock_ro_perms;
    char *unix_sock_dir; /* NULL: Paths.socket_dir */
    /* authentication: "none", "polkit", "sasl" */
    char *auth_unix_ro, *auth_unix_rw; /* NULL: none, or polkit where it runs */
    char *auth_tcp, *auth_tls;         /* "sasl", "none" */
    char **sasl_allowed_username_list; /* NULL: everybody who authenticates */
    /* TLS */
    char *key_file, *cert_file, *ca_file, *crl_file; /* NULL: libvirt's default places */
    gboolean tls_no_verify_certificate, tls_no_sanity_certificate;
    char **tls_allowed_dn_list; /* NULL: every certificate the CA signed; "" entries match nothing */
    char *tls_priority;         /* NULL: GnuTLS's NORMAL */
    guint tcp_min_ssf;          /* bits of SASL encryption that TCP needs: 112 */
    /* limits */
    guint max_clients;            /* 5000 */
    guint max_queued_clients;     /* 1000 */
    guint max_anonymous_clients;  /* 20 */
    guint min_workers;            /* 5 */
    guint max_workers;            /* 20 */
    guint prio_workers;           /* 5 */
    guint max_requests;           /* 20, accepted and not used, as in libvirt */
    guint max_client_requests;    /* 5: calls of one client in progress */
    gint keepalive_interval;      /* 5 s; <= 0: off */
    guint keepalive_count;        /* 5 */
    guint ovs_timeout;            /* 5 s */
    /* logging */
    guint log_level; /* 1 debug .. 4 error; 3, which 0 means too */
    char *log_filters; /* NULL: none */
    char *log_outputs; /* NULL: journald when stderr is the journal, else stderr or, detached, a file */
    gboolean audit_logging;
    guint audit_level;
    /* host */
    char *host_uuid;        /* NULL: by host_uuid_source */
    char *host_uuid_source; /* "smbios", "machine-id" */
    /* Kite's own */
    char *connection_type;        /* what virConnectGetType answers: "QEMU" */
    char *qemu_emulator;          /* default emulator for QEMU; NULL: qemu-system-ARCH on PATH */
    char *vmm_binary;             /* NULL: LIBEXECDIR/kite-vmm */
    char *default_machine;        /* "q35" */
    char *vnc_listen;             /* "127.0.0.1" */
    char *spice_listen;           /* "127.0.0.1" */
    guint remote_display_port_min, remote_display_port_max; /* 5900, 65535 */
    guint start_timeout;          /* seconds until a VM's monitor must have answered: 30 */
    guint stop_timeout;           /* seconds that a graceful destroy waits: 10 */
    char *vm_user, *vm_group;     /* whom QEMU runs as under the system daemon; NULL: the daemon's own */
    guint vm_id_min, vm_id_max;   /* each VM on kite-vmm gets a user id of its own out of these; min 0: none */
    char **cgroup_controllers;    /* that VMs are limited and counted by: "cpu", "memory"...; NULL: all there are */
    char **cgroup_device_acl;     /* paths that every VM may open; NULL: libvirt's list */
    gboolean autostart_domains;   /* start domains marked autostart: 1 */
    char **access_drivers; /* "none" only */
    char **also;                  /* further names to answer to: [ "qemu" ]; --also adds to it */
} DaemonConfig;

/* Defaults. */
DaemonConfig *daemon_config_new(void);
void daemon_config_free(DaemonConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DaemonConfig, daemon_config_free)

/* Applies a file or a text on top of *config. VIR_ERR_CONF_SYNTAX, "FILE:LINE: what is wrong"; config may then be
 * half changed. A file that is absent is an error: callers decide whether it was asked for. */
gboolean daemon_config_load(DaemonConfig *config, const char *path, GError **error);
gboolean daemon_config_parse(DaemonConfig *config, const char *text, gsize length, const char *name,
                             GError **error);

/* Permission bits of the sockets: the configured ones; else, for writing, everybody where polkit asks who may, the
 * group when one is configured, and the owner alone otherwise; for reading, everybody. */
guint daemon_config_rw_mode(const DaemonConfig *config, gboolean polkit);
guint daemon_config_ro_mode(const DaemonConfig *config);
