/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by vmm_desc*.c and vmm_support*.c. Nobody else includes this. */
#pragma once

#include "driver/backend/qemu_args_priv.h"
#include "driver/backend/vmm_desc.h"

/* A description in the making: its lists. */
typedef struct VmmBuilder {
    const DomainDef *def;
    const VmmDescContext *context;
    json_t *chardevs, *serials, *blockdevs, *netdevs, *ports, *devices;
} VmmBuilder;

#define VMM_BUILDER_NEW(the_def, the_context)                                                                         \
    {                                                                                                                 \
        .def = (the_def), .context = (the_context), .chardevs = json_array(), .serials = json_array(),                \
        .blockdevs = json_array(), .netdevs = json_array(), .ports = json_array(), .devices = json_array(),           \
    }

/* --- vmm_desc_devices.c --- */
/* The descriptor for a purpose, -1: none. */
int vmm_desc_fd(const VmmBuilder *b, const char *format, ...) G_GNUC_PRINTF(2, 3);
void vmm_desc_set_fd(json_t *object, const char *key, int fd);
/* Sets key unless list, which is stolen, is empty. */
void vmm_desc_set_list(json_t *root, const char *key, json_t *list);
gboolean vmm_desc_add_devices(VmmBuilder *b, GError **error);

/* --- vmm_desc.c --- */
/* vCPUs that are there for good. */
guint vmm_desc_vcpus_at_boot(const DomainDef *def);
gboolean vmm_desc_smbios_known(const SysinfoEntry *entry);

/* --- vmm_support*.c --- */
/* Always FALSE; *ret_reason says what is not supported. */
gboolean vmm_support_no(char **ret_reason, const char *format, ...) G_GNUC_PRINTF(2, 3);
gboolean vmm_support_devices(const DomainDef *def, char **ret_reason);
