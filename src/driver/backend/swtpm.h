/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swtpm: the TPM of a guest as a process beside QEMU, joined by a socket pair; it ends when QEMU goes. Its state is in
 * <data>/swtpm/<uuid>/tpm2 (or tpm1.2), made by swtpm_setup at the first start. Facts: swtpm(8), swtpm_setup(8), and
 * libvirt's src/qemu/qemu_tpm.c. Any thread.
 */
#pragma once

#include "driver/backend/helper.h"
#include "driver/conf/def_tpm.h"
#include "driver/conf/domain_def.h"

/* Makes the state if there is none (*ret_made), and starts swtpm; *ret_fd is QEMU's end. lib_dir: <data>. */
Helper *swtpm_start(const BackendConfig *config, const DomainDef *live, const TpmDef *tpm, const VmStartOptions *options,
                    int *ret_fd, gboolean *ret_made, GError **error);

/* What happens to the state of def's emulated TPM when the domain goes for good (undefine; end of a transient one): as
 * libvirt, removed unless asked to stay, by persistent_state the other way round. flags: VIR_DOMAIN_UNDEFINE_(KEEP_)TPM. */
void swtpm_forget(const DomainDef *def, const char *lib_dir, guint flags);

/* For tests: arguments after the path. NULL-terminated, free with g_strfreev. */
char **swtpm_args(const TpmDef *tpm, const char *state_dir, const char *log_path, int fd);
char **swtpm_setup_args(const TpmDef *tpm, const char *state_dir, const char *log_path, const char *vm_id);
/* NULL when the definition says nothing about PCR banks. */
char **swtpm_banks_args(const TpmDef *tpm, const char *state_dir, const char *log_path);
