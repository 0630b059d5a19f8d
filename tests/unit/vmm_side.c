/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See vmm_side.h. */
#include "vmm_side.h"

#include <stdio.h>
#include <string.h>

#include "vmm/arch/x86_64/cpu_models.h"
#include "vmm/machine_desc.h"
#include "vmm/virtio/device_table.h"

bool vmm_side_accepts(const char *text, char *problem, size_t size)
{
    MachineDesc *desc = NULL;
    Err err = {0};
    int r = machine_desc_parse_text(text, strlen(text), &desc, &err);

    snprintf(problem, size, "%s", r < 0 ? err.text : "");
    machine_desc_free(desc);
    return r == 0;
}

bool vmm_side_has_device(const char *driver)
{
    /* Children of a bus are the business of its device. */
    if (strcmp(driver, "virtserialport") == 0 || strcmp(driver, "virtconsole") == 0)
        driver = "virtio-serial-pci";
    if (strcmp(driver, "scsi-hd") == 0 || strcmp(driver, "scsi-cd") == 0)
        driver = "virtio-scsi-pci";
    if (strcmp(driver, "i6300esb") == 0)
        return true; /* no virtio: machine_devices.c */
    return device_table_find(driver) != NULL;
}

bool vmm_side_has_cpu_model(const char *name)
{
    const CpuWords none = {0};
    CpuWords its;
    Err err = {0};

    return cpu_model_words(name, &none, &its, &err) == 0;
}

bool vmm_side_has_cpu_feature(const char *name, uint32_t leaf, uint32_t subleaf, unsigned reg, unsigned bit)
{
    const CpuFeature *f = cpu_feature_find(name);

    return f != NULL && f->function == leaf && f->index == subleaf && f->reg == reg && f->bit == bit;
}
