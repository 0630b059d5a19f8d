/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The document of virConnectGetDomainCapabilities: what a guest of one emulator, machine and type can have. */
#pragma once

#include <glib.h>

#include "common/xml.h"
#include "driver/host/cpu_models.h"

/* What a client asks for; every field may be NULL. */
typedef struct DomcapsRequest {
    const char *emulator, *arch, *machine, *virt_type;
    const char *default_machine; /* when machine is NULL */
    const char *vmm; /* kite-vmm, where it is installed; answers for itself, and for type kvm when there is no QEMU */
} DomcapsRequest;

/* Caller frees. VIR_ERR_INVALID_ARG when the parts of the request do not go together or are unknown,
 * VIR_ERR_CONFIG_UNSUPPORTED when there is no emulator. */
char *domcaps_xml(Host *host, QemuCapsCache *cache, const DomcapsRequest *request, GError **error);

/* domcaps_vmm.c: the same for kite-vmm. */
char *domcaps_vmm_xml(Host *host, const DomcapsRequest *request, GError **error);

/* <mode name='host-model'> of both. */
void domcaps_write_host_model(XmlWriter *w, const CpuHypervisor *hv);
/* One <model> of <mode name='custom'>; nothing for a name that clients do not know. */
void domcaps_write_model(XmlWriter *w, const char *name, const char *usable, gboolean deprecated);
