/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What kite-vmm can do, as tables: read by the back end when it decides whether a definition can run, and by the
 * capabilities that clients see, so that the two never disagree. tests/unit/test_vmm_desc.c holds them against
 * kite-vmm's own tables.
 */
#pragma once

#include <glib.h>

#include "driver/conf/supported.h"

#define VMM_VCPUS_MAX 240
#define VMM_SERIALS_MAX 4

/* Values of one kind of element, as conf/supported.h has them for everything; NULL-terminated, never NULL. */
const char *const *vmm_caps_values(Supported what);
gboolean vmm_caps_has(Supported what, const char *value);
/* Whether it has this device ("virtio-blk-pci"). */
gboolean vmm_caps_device(const char *driver);
/* Its named CPU models, NULL-terminated. */
const char *const *vmm_caps_cpu_models(void);
gboolean vmm_caps_cpu_model(const char *name);
/* Every device it has, NULL-terminated. */
const char *const *vmm_caps_devices(void);

/*
 * The machine types it accepts are names for "a PC"; answered with the canonical, versioned one of a QEMU that
 * is not there to be asked. NULL: no such machine. machine NULL: the default. Caller frees.
 */
char *vmm_caps_machine(const char *machine);
typedef struct VmmMachine {
    const char *name, *alias;
} VmmMachine;
/* One after the other; NULL behind the last. */
const VmmMachine *vmm_caps_machine_at(guint index);

/* Whether a path in <emulator> means kite-vmm: by the name of the program. */
gboolean vmm_caps_is_vmm(const char *emulator);
/*
 * A path that stands for "whichever back end can run it": what capabilities offer for type kvm, for clients copy the
 * emulator they find there into every definition. A definition that names it is treated as if it named none.
 */
const char *vmm_caps_choice_path(void);
/* Where it is installed; the daemon's settings may say otherwise. */
const char *vmm_caps_default_path(void);
