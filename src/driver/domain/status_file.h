/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status file of a running domain (run folder, status.xml): what a new daemon needs to find the VM again
 * and to answer about it before its monitor has answered. Our own format around libvirt's <domain>:
 *
 *   <domstatus state='running' reason='1' id='3' pid='4711' start-time='123456'>
 *     <backend name='qemu'/>
 *     <shutdown reason='2'/>           decided, not yet done; absent otherwise
 *     <flags updated='yes' fake-reboot='yes' guest-shutdown='yes' autodestroy='yes' kvm='yes'/>
 *     <taint name='host-cpu'/>
 *     <balloon kib='524288'/>
 *     <vcpu index='0' tid='4715' online='yes' hotpluggable='no' qom-path='…' socket='0' die='0' core='0'
 * thread='0'/> <iothread id='1' tid='4716' poll-max-ns='…' poll-grow='…' poll-shrink='…'/>
 *     <cpu …>…</cpu>                   what it was started with, where its processors differ
 *     <domain …>…</domain>             with everything: aliases, real ports, pty paths, passwords
 *   </domstatus>
 *
 * Pure text to struct and back; files are persist.c's. The reader trusts nothing (fuzz_status_file.c).
 */
#pragma once

#include <sys/types.h>

#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"

typedef struct StatusFile {
    int state, reason;
    int id;
    pid_t pid;
    guint64 start_time; /* of the process, field 22 of /proc/PID/stat */
    char *backend;
    int shutdown_reason; /* VIR_DOMAIN_SHUTOFF_*, 0: not decided */
    gboolean updated, fake_reboot, guest_shutdown, autodestroy;
    guint64 taints; /* 1 << DomainTaint */
    GPtrArray *deprecations; /* char *; NULL: none */
    VmLiveInfo *info; /* never NULL once parsed */
    DomainDef *def;
} StatusFile;

void status_file_clear(StatusFile *status);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StatusFile, status_file_clear)

/* Caller frees. def and info are borrowed from the caller's struct. */
char *status_file_format(const StatusFile *status);
/* Fills *ret. VIR_ERR_XML_ERROR / XML_DETAIL / INTERNAL_ERROR naming what is wrong. */
gboolean status_file_parse(const char *text, const DomainDefEnv *env, StatusFile *ret, GError **error);
