# XML <-> definition structs. Knows no back end, no RPC, no live object. Device elements (def_*.c) stand in
# devices.mk, so that they and the rest do not get into each other's way.
noinst_LIBRARIES += libkiteconf.a
libkiteconf_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
libkiteconf_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS) -DERROR_FROM=VIR_FROM_DOMAIN
libkiteconf_a_SOURCES = \
	%D%/address.h %D%/address.c \
	%D%/address_pci_priv.h %D%/address_pci.c %D%/address_pci_bus.c %D%/address_pci_chipset.c \
	%D%/alias.c \
	%D%/clock_def.h %D%/clock_def.c \
	%D%/cpu_def.h %D%/cpu_def.c \
	%D%/cpu_tune.c \
	%D%/device_def.h \
	%D%/device_info.h %D%/device_info.c \
	%D%/device_table.c \
	%D%/domain_def.h %D%/domain_def.c \
	%D%/domain_abi.c \
	%D%/domain_defaults.c \
	%D%/domain_devices.c \
	%D%/domain_env.h \
	%D%/domain_format.c \
	%D%/domain_implicit.h %D%/domain_implicit.c \
	%D%/domain_rules.c %D%/qemu_namespace.h %D%/qemu_namespace.c %D%/domain_validate.h %D%/domain_validate.c \
	%D%/domain_values.c \
	%D%/features_def.h %D%/features_def.c \
	%D%/numa_def.c \
	%D%/os_def.h %D%/os_def.c \
	%D%/sysinfo_def.c \
	%D%/tune_def.h %D%/tune_def.c
include src/driver/conf/devices.mk
# What a program that uses conf/ links.
CONF_LIBS = libkiteconf.a libkitexml.a libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(LIBXML2_LIBS)
