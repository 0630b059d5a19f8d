/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What conf/ asks the outside world while it fills in defaults and checks: the host's and the back ends'
 * answers, behind callbacks, so that conf/ knows neither. Every callback may be NULL, which means the answer
 * of a plain QEMU 7.2 x86-64 host with everything. Callbacks must be thread-safe and quick (cached data).
 */
#pragma once

#include <glib.h>

typedef struct DomainDef DomainDef;
typedef struct DeviceInfo DeviceInfo;
typedef struct DomainDefEnv DomainDefEnv;

struct DomainDefEnv {
    gpointer opaque;
    /* DOMAIN_DEF_RICH_DEFAULTS: new definitions get what virt-manager leaves out for schemes it does not
     * know: guest agent channel and rng. */
    gboolean rich_defaults;
    const char *schema_path; /* domain.rng; NULL: the installed one */
    const char *any_emulator; /* in <emulator> this is as if nothing stood there; NULL: there is no such name */
    const char *default_arch; /* NULL: x86_64 */
    const char *nvram_dir; /* where <nvram> of a domain is put; NULL: /var/lib/libvirt/qemu/nvram */
    /* Sockets below it were made up for a run, they are no part of a definition: unix channels in a definition to
     * be kept lose such a path. NULL: there is no such folder. */
    const char *run_dir;
    gboolean session; /* an unprivileged daemon */
    const char *spice_listen, *vnc_listen; /* default listen address; NULL: 127.0.0.1 */

    /* The canonical name of a machine type for def->os.arch and def->virt_type; NULL machine: the default
     * one's. Error: VIR_ERR_CONFIG_UNSUPPORTED when there is no such machine. */
    char *(*canonical_machine)(const DomainDefEnv *env, const DomainDef *def, const char *machine,
                               GError **error);
    /* Path for <emulator> when the XML names none: chooses the back end, all of def but addresses is filled
     * in. NULL without error: leave it out. */
    char *(*default_emulator)(const DomainDefEnv *env, const DomainDef *def, GError **error);
    /* Whether the emulator that will run def has this QEMU device or object type ("qemu-xhci"). */
    gboolean (*has_device)(const DomainDefEnv *env, const DomainDef *def, const char *qemu_type);
    /* The CPU model that the machine has when the XML has no <cpu> ("qemu64"); NULL: leave <cpu> out. A NULL
     * callback means "qemu64" on x86-64. Not freed. */
    const char *(*default_cpu)(const DomainDefEnv *env, const DomainDef *def);
    /* Most vCPUs of the machine; 0: unknown. */
    guint (*max_vcpus)(const DomainDefEnv *env, const DomainDef *def);
    /* The format of a disk's image that has no <driver type=>: "raw", "qcow2", ... Called once when a new
     * definition is parsed (ABI_UPDATE). NULL without error: leave it as raw (libvirt's rule). Error: image
     * needs an explicit type. Caller frees. */
    char *(*probe_disk_format)(const DomainDefEnv *env, const char *path, GError **error);
    /* A last word on a whole definition (back end's refusals). VIR_ERR_CONFIG_UNSUPPORTED naming the element.
     */
    gboolean (*validate)(const DomainDefEnv *env, const DomainDef *def, GError **error);
    gboolean (*validate_device)(const DomainDefEnv *env, const DomainDef *def, const DeviceInfo *dev,
                                GError **error);
};

/* All callbacks NULL. */
extern const DomainDefEnv domain_def_env_default;
