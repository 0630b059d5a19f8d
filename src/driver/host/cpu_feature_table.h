/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table behind cpu_features.h; included by cpu_features.c only.
 * Bits: Intel SDM vol. 2A "CPUID" and vol. 4 for MSR 0xcf and 0x10a; AMD APM vol. 3 appendix E.
 */
#pragma once

#include <glib.h>

typedef enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX, REG_MSR } FeatureRegister;

/* One word of CPUID (or an MSR), and what its bits are called. Documents list features in the order of this table. */
typedef struct FeatureWord {
    guint32 leaf, subleaf;
    FeatureRegister reg;
    const char *names[32];
} FeatureWord;

static const FeatureWord feature_words[] = {
    {0x1, 0, REG_EDX,
     {[0] = "fpu", [1] = "vme", [2] = "de", [3] = "pse", [4] = "tsc", [5] = "msr", [6] = "pae",
      [7] = "mce", [8] = "cx8", [9] = "apic", [11] = "sep", [12] = "mtrr", [13] = "pge", [14] = "mca",
      [15] = "cmov", [16] = "pat", [17] = "pse36", [18] = "pn", [19] = "clflush", [21] = "ds",
      [22] = "acpi", [23] = "mmx", [24] = "fxsr", [25] = "sse", [26] = "sse2", [27] = "ss", [28] = "ht",
      [29] = "tm", [30] = "ia64", [31] = "pbe"}},
    {0x1, 0, REG_ECX,
     {[0] = "pni", [1] = "pclmuldq", [2] = "dtes64", [3] = "monitor", [4] = "ds_cpl", [5] = "vmx",
      [6] = "smx", [7] = "est", [8] = "tm2", [9] = "ssse3", [10] = "cid", [12] = "fma", [13] = "cx16",
      [14] = "xtpr", [15] = "pdcm", [17] = "pcid", [18] = "dca", [19] = "sse4.1", [20] = "sse4.2",
      [21] = "x2apic", [22] = "movbe", [23] = "popcnt", [24] = "tsc-deadline", [25] = "aes",
      [26] = "xsave", [27] = "osxsave", [28] = "avx", [29] = "f16c", [30] = "rdrand", [31] = "hypervisor"}},
    {0x6, 0, REG_EAX,
     {[2] = "arat"}},
    {0x7, 0, REG_EBX,
     {[0] = "fsgsbase", [1] = "tsc_adjust", [2] = "sgx", [3] = "bmi1", [4] = "hle", [5] = "avx2",
      [7] = "smep", [8] = "bmi2", [9] = "erms", [10] = "invpcid", [11] = "rtm", [12] = "cmt",
      [14] = "mpx", [16] = "avx512f", [17] = "avx512dq", [18] = "rdseed", [19] = "adx", [20] = "smap",
      [21] = "avx512ifma", [22] = "pcommit", [23] = "clflushopt", [24] = "clwb", [25] = "intel-pt",
      [26] = "avx512pf", [27] = "avx512er", [28] = "avx512cd", [29] = "sha-ni", [30] = "avx512bw",
      [31] = "avx512vl"}},
    {0x7, 0, REG_ECX,
     {[1] = "avx512vbmi", [2] = "umip", [3] = "pku", [4] = "ospke", [5] = "waitpkg", [6] = "avx512vbmi2",
      [8] = "gfni", [9] = "vaes", [10] = "vpclmulqdq", [11] = "avx512vnni", [12] = "avx512bitalg",
      [14] = "avx512-vpopcntdq", [16] = "la57", [22] = "rdpid", [24] = "bus-lock-detect",
      [25] = "cldemote", [27] = "movdiri", [28] = "movdir64b", [30] = "sgxlc", [31] = "pks"}},
    {0x7, 0, REG_EDX,
     {[2] = "avx512-4vnniw", [3] = "avx512-4fmaps", [4] = "fsrm", [8] = "avx512-vp2intersect",
      [10] = "md-clear", [14] = "serialize", [16] = "tsx-ldtrk", [18] = "pconfig", [19] = "arch-lbr",
      [22] = "amx-bf16", [23] = "avx512-fp16", [24] = "amx-tile", [25] = "amx-int8", [26] = "spec-ctrl",
      [27] = "stibp", [29] = "arch-capabilities", [30] = "core-capability", [31] = "ssbd"}},
    {0x7, 1, REG_EAX,
     {[4] = "avx-vnni", [5] = "avx512-bf16"}},
    {0xd, 1, REG_EAX,
     {[0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves", [4] = "xfd"}},
    {0xf, 1, REG_EDX,
     {[1] = "mbm_total", [2] = "mbm_local"}},
    {0x12, 0, REG_EAX,
     {[0] = "sgx1", [1] = "sgx2"}},
    {0x12, 0, REG_EBX,
     {[0] = "sgx-exinfo"}},
    {0x12, 1, REG_EAX,
     {[1] = "sgx-debug", [2] = "sgx-mode64", [4] = "sgx-provisionkey", [5] = "sgx-tokenkey",
      [7] = "sgx-kss"}},
    {0x14, 0, REG_ECX,
     {[31] = "intel-pt-lip"}},
    {0x80000001, 0, REG_EDX,
     {[11] = "syscall", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt", [26] = "pdpe1gb",
      [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow"}},
    {0x80000001, 0, REG_ECX,
     {[0] = "lahf_lm", [1] = "cmp_legacy", [2] = "svm", [3] = "extapic", [4] = "cr8legacy", [5] = "abm",
      [6] = "sse4a", [7] = "misalignsse", [8] = "3dnowprefetch", [9] = "osvw", [10] = "ibs",
      [11] = "xop", [12] = "skinit", [13] = "wdt", [15] = "lwp", [16] = "fma4", [17] = "tce",
      [18] = "cvt16", [19] = "nodeid_msr", [21] = "tbm", [22] = "topoext", [23] = "perfctr_core",
      [24] = "perfctr_nb"}},
    {0x80000007, 0, REG_EDX,
     {[8] = "invtsc"}},
    {0x80000008, 0, REG_EBX,
     {[0] = "clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs",
      [15] = "amd-stibp", [24] = "amd-ssbd", [25] = "virt-ssbd", [26] = "amd-no-ssb"}},
    {0x8000000a, 0, REG_EDX,
     {[0] = "npt", [1] = "lbrv", [2] = "svm-lock", [3] = "nrip-save", [4] = "tsc-scale",
      [5] = "vmcb-clean", [6] = "flushbyasid", [7] = "decodeassists", [10] = "pause-filter",
      [12] = "pfthreshold", [13] = "avic", [15] = "v-vmsave-vmload", [16] = "vgif", [28] = "svme-addr-chk"}},
    {0x10a, 0, REG_MSR,
     {[0] = "rdctl-no", [1] = "ibrs-all", [2] = "rsba", [3] = "skip-l1dfl-vmentry", [4] = "ssb-no",
      [5] = "mds-no", [6] = "pschange-mc-no", [7] = "tsx-ctrl", [8] = "taa-no"}},
    {0xcf, 0, REG_MSR,
     {[5] = "split-lock-detect"}},
};
