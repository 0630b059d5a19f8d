/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one QEMU binary can do, asked of the binary itself through QMP, once: kept in memory and below the cache
 * folder, and asked again when file, size, mtime or the state of /dev/kvm change. A probe that hangs is killed
 * after QEMU_CAPS_DEADLINE_MS. QemuCaps is immutable and reference counted; any thread.
 *
 * The first look at a binary takes about as long as QEMU needs to start twice (KVM and TCG): call from a worker,
 * never on the I/O thread.
 */
#pragma once

#include <glib.h>

#define QEMU_CAPS_DEADLINE_MS 20000

typedef struct QemuCaps QemuCaps;
typedef struct QemuCapsCache QemuCapsCache;

/* cache_dir may be NULL: memory only. default_emulator may be NULL: qemu-system-ARCH on PATH, then qemu-kvm. */
QemuCapsCache *qemu_caps_cache_new(const char *cache_dir, const char *default_emulator);
void qemu_caps_cache_free(QemuCapsCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuCapsCache, qemu_caps_cache_free)

/* Path of the emulator for an architecture ("x86_64", "i686", ...), NULL when none is installed. Does not run it. */
char *qemu_caps_cache_find_emulator(QemuCapsCache *cache, const char *arch);
/* A reference, or NULL: VIR_ERR_OPERATION_FAILED naming binary and QEMU's last words; a path that is no executable
 * file is VIR_ERR_CONFIG_UNSUPPORTED. binary NULL: the default emulator of the host's architecture. */
QemuCaps *qemu_caps_cache_get(QemuCapsCache *cache, const char *binary, GError **error);

QemuCaps *qemu_caps_ref(QemuCaps *caps);
void qemu_caps_unref(QemuCaps *caps);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuCaps, qemu_caps_unref)

/* --- identity ------------------------------------------------------------------------------------------- */

const char *qemu_caps_binary(const QemuCaps *caps);
const char *qemu_caps_arch(const QemuCaps *caps);    /* libvirt's name: "x86_64", "i686" */
guint qemu_caps_version(const QemuCaps *caps);       /* 7002000 for 7.2.0: libvirt's encoding */
const char *qemu_caps_package(const QemuCaps *caps); /* "Debian 1:7.2+dfsg-7", "" when it says nothing */
gboolean qemu_caps_has_kvm(const QemuCaps *caps);    /* built with KVM and KVM works here */
gboolean qemu_caps_has_tcg(const QemuCaps *caps);

/* --- machines ------------------------------------------------------------------------------------------- */

typedef struct QemuMachine {
    char *name;  /* "pc-q35-7.2" */
    char *alias; /* "q35" or NULL */
    guint max_cpus;
    gboolean hotpluggable_cpus;
    gboolean is_default;
    gboolean deprecated;
    gboolean numa_memdev; /* takes -numa node,mem= no more: memdev only */
    char *default_cpu;    /* QOM type or NULL */
    char *default_ram_id; /* "pc.ram" or NULL */
} QemuMachine;

const GPtrArray *qemu_caps_machines(const QemuCaps *caps); /* QemuMachine, in QEMU's order */
/* By name or alias. "q35" gives pc-q35-7.2, "pc" pc-i440fx-7.2. NULL when the binary has no such machine. */
const QemuMachine *qemu_caps_machine(const QemuCaps *caps, const char *name);
/* The versioned name behind an alias, the name itself otherwise (also when it is unknown). */
const char *qemu_caps_canonical_machine(const QemuCaps *caps, const char *name);
const QemuMachine *qemu_caps_default_machine(const QemuCaps *caps);

/* --- vocabulary ----------------------------------------------------------------------------------------- */

/* QOM types: devices ("virtio-blk-pci"), objects ("memory-backend-memfd"), ... */
gboolean qemu_caps_has_device(const QemuCaps *caps, const char *type);
/* A property of one of the devices whose properties are recorded (table in qemu_probe.c). */
gboolean qemu_caps_has_property(const QemuCaps *caps, const char *type, const char *property);
gboolean qemu_caps_has_command(const QemuCaps *caps, const char *command);
gboolean qemu_caps_has_event(const QemuCaps *caps, const char *event);
/* -option / -option key=: qemu_caps_has_option(caps, "sandbox", "elevateprivileges"). key NULL: any. */
gboolean qemu_caps_has_option(const QemuCaps *caps, const char *option, const char *key);
/* Variants of the unions of QMP's schema, by the union's QAPI name without care for QEMU's renumbering:
 * "netdev" ("stream", "vhost-vdpa"), "chardev" ("qemu-vdagent"), "blockdev" ("host_device", "nbd"), "audiodev"
 * ("spice", "dbus"), "object" ("sev-guest"), "display" ("egl-headless", "dbus"). */
gboolean qemu_caps_has_variant(const QemuCaps *caps, const char *what, const char *variant);

/* --- CPUs ----------------------------------------------------------------------------------------------- */

typedef struct QemuCpuModel {
    char *name;         /* "Skylake-Client" */
    char *type;         /* QOM type */
    gboolean usable;    /* no unavailable features here */
    char **unavailable; /* feature names in QEMU's spelling; NULL when usable */
    gboolean deprecated;
    gboolean is_versioned_alias; /* "Skylake-Client-v1" behind "Skylake-Client" */
} QemuCpuModel;

const GPtrArray *qemu_caps_cpu_models(const QemuCaps *caps, gboolean kvm);
const QemuCpuModel *qemu_caps_cpu_model(const QemuCaps *caps, gboolean kvm, const char *name);
/* The feature flags ("sse4.2" in QEMU's spelling) that -cpu max/host turns on here, with migratable=on or off:
 * GHashTable of strings. */
const GHashTable *qemu_caps_host_features(const QemuCaps *caps, gboolean kvm, gboolean migratable);
/* Whether -cpu can be told of the feature at all ("sse4.2=off"). */
gboolean qemu_caps_has_cpu_switch(const QemuCaps *caps, gboolean kvm, const char *feature);
/* Number properties of that CPU: "family", "model", "stepping", "level", ... 0 when absent. */
guint64 qemu_caps_host_cpu_number(const QemuCaps *caps, gboolean kvm, const char *property);
/* Text properties: "vendor", "model-id". NULL when absent. */
const char *qemu_caps_host_cpu_string(const QemuCaps *caps, gboolean kvm, const char *property);
