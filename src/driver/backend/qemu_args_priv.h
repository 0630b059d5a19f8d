/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files qemu_args*.c: the builder and the words they all use. Nobody else includes this. */
#pragma once

#include "common/error.h"
#include "driver/backend/qemu_args.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_shmem.h"
#include "driver/host/qemu_caps.h"

typedef struct QemuBuilder {
    const DomainDef *def;
    const QemuArgsContext *context;
    QemuArgs *args;
} QemuBuilder;

/* --- qemu_args.c --- */
void args_add(QemuBuilder *b, const char *option, const char *format, ...) G_GNUC_PRINTF(3, 4);
void args_add_text(QemuBuilder *b, const char *option, char *text /* stolen, may be NULL */);
void args_add_json(QemuBuilder *b, const char *option, json_t *object /* stolen */);
/* Notes a descriptor to be passed and returns it. */
int args_pass_fd(QemuBuilder *b, int fd);
/* TRUE when the abilities are not known. */
gboolean args_has_device(const QemuBuilder *b, const char *type);
gboolean args_require_device(const QemuBuilder *b, const char *type, const char *element, GError **error);
/* Doubles commas, for key=value options. Caller frees. */
char *args_escape(const char *value);
gboolean args_unsupported(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* JSON members left out when they say nothing. */
void prop_str(json_t *props, const char *key, const char *value);
void prop_uint(json_t *props, const char *key, guint64 value); /* 0: left out */
void prop_int(json_t *props, const char *key, gint64 value); /* always */
void prop_bool(json_t *props, const char *key, Tristate value);
void prop_onoff(json_t *props, const char *key, Tristate value); /* QEMU's OnOffAuto: text */

/* --- qemu_args_bus.c --- */
/* {"driver": driver, ...} without id. */
json_t *device_props(const char *driver);
/* "id" and the address; bootindex, rom, acpi-index. */
gboolean device_finish(const DomainDef *def, json_t *props, const DeviceInfo *info, GError **error);
/* "virtio-blk-pci" and its -transitional kinds. Caller frees. */
char *virtio_driver(const char *stem, VirtioModel model, const DeviceInfo *info);
void virtio_props(json_t *props, const VirtioOptions *options);
const ControllerDef *find_controller(const DomainDef *def, ControllerType type, guint index);
gboolean args_controllers(QemuBuilder *b, GError **error);

/* --- the other topics --- */
gboolean args_machine(QemuBuilder *b, GError **error); /* -machine -accel -cpu -m ... -boot */
gboolean args_platform(QemuBuilder *b, GError **error); /* -rtc, -global, -boot, -kernel */
gboolean args_memory(QemuBuilder *b, GError **error);
gboolean args_memory_devices(QemuBuilder *b, GError **error);
gboolean args_cpu(QemuBuilder *b, GError **error);
gboolean args_smbios(QemuBuilder *b, GError **error);
gboolean args_disks(QemuBuilder *b, GError **error);
gboolean args_interfaces(QemuBuilder *b, GError **error);
gboolean args_chrs(QemuBuilder *b, GError **error);
gboolean args_chardev(QemuBuilder *b, const ChrSource *source, const char *alias, GError **error);
gboolean args_audio(QemuBuilder *b, GError **error);
gboolean args_display(QemuBuilder *b, GError **error); /* input, graphics, video, sound */
gboolean args_tpms_and_smartcards(QemuBuilder *b, GError **error);
gboolean args_host_devices(QemuBuilder *b, GError **error); /* redirdev, hostdev, crypto, shmem */
gboolean args_misc(QemuBuilder *b, GError **error); /* balloon, rng, watchdog, panic, ... */
/* --- one device, also for hot plug --- */
gboolean args_disk(QemuBuilder *b, const DiskDef *disk, GError **error);
gboolean args_interface(QemuBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, GError **error);
gboolean args_chr(QemuBuilder *b, const ChrDef *chr, GError **error);
gboolean args_memory_device(QemuBuilder *b, const MemoryDef *memory, GError **error);
gboolean args_input(QemuBuilder *b, const InputDef *input, GError **error);
/* "-device" of props, completed by info. Steals props. */
gboolean args_add_device(QemuBuilder *b, json_t *props, const DeviceInfo *info, GError **error);
gboolean args_hostdev(QemuBuilder *b, const HostdevDef *dev, GError **error);
gboolean args_hostdev_interface(QemuBuilder *b, const InterfaceDef *net, GError **error);
gboolean args_redirdev(QemuBuilder *b, const RedirdevDef *redirdev, GError **error);
gboolean args_shmem(QemuBuilder *b, const ShmemDef *shmem, GError **error);
gboolean args_misc_device(QemuBuilder *b, const DeviceInfo *dev, GError **error);
/* "memory-backend-..." of size KiB for a guest NUMA node (-1: none). */
json_t *memory_backend(const QemuBuilder *b, const char *id, guint64 size_kib, int node, MemoryAccess access,
                       Tristate discard, guint64 page_kib);
