/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where things are in the guest-physical and port address space of the x86-64 machine.
 *
 *   0x0000500  GDT for the boot CPU          0x00009000  page tables (4 GiB identity, 2 MiB pages)
 *   0x0006000  PVH start info                0x00020000  command line
 *   0x0007000  Linux boot_params             0x000e0000  ACPI tables (RSDP first)
 *                                            0x000fc000  SMBIOS tables
 *   0x0100000  kernel and all other RAM
 *   0xc0000000 32-bit PCI window             0xe0000000  ECAM
 *   0xfec00000 IOAPIC                        0xfee00000  local APICs
 */
#pragma once

#define GDT_ADDRESS 0x500ull
#define PVH_INFO_ADDRESS 0x6000ull
#define BOOT_PARAMS_ADDRESS 0x7000ull
#define PAGE_TABLES_ADDRESS 0x9000ull
#define CMDLINE_ADDRESS 0x20000ull
#define CMDLINE_MAX 0x10000u
#define LOW_RAM_END 0x9fc00ull
#define ACPI_ADDRESS 0xe0000ull
#define ACPI_END 0xfc000ull
#define SMBIOS_ADDRESS 0xfc000ull
#define SMBIOS_END 0xffff0ull
#define RESET_VECTOR 0xffff0ull /* where real mode goes for a reset */
#define HIGH_MEMORY 0x100000ull

#define PCI_MMIO32_BASE 0xc0000000ull
#define PCI_MMIO32_SIZE 0x20000000ull
#define PCI_ECAM_BASE 0xe0000000ull
#define PCI_BUSES 128u /* 128 MiB of ECAM */
#define PCI_IO_BASE_PORT 0xc000u
#define PCI_IO_SIZE 0x4000u
#define IOAPIC_ADDRESS 0xfec00000ull
#define LAPIC_ADDRESS 0xfee00000ull

/* ACPI's fixed and generic event registers (isa/acpi_hw.c) */
#define ACPI_PORT 0x600u
#define ACPI_GED_GSI 9u
#define RTC_GSI 8u
#define PVPANIC_PORT 0x505u
