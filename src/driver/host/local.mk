# libkitehost: facts about this machine and about its QEMU binaries.
noinst_LIBRARIES += libkitehost.a
libkitehost_a_SOURCES = \
	%D%/host.h %D%/host_private.h \
	%D%/host.c %D%/host_cpu.c %D%/host_memory.c %D%/host_sysinfo.c \
	%D%/cpu_features.h %D%/cpu_feature_table.h %D%/cpu_features.c %D%/cpu_models.h %D%/cpu_model_table.h \
	%D%/cpu_models.c %D%/cpu_data.c %D%/cpu_name.c %D%/cpu_compare.c %D%/cpu_guest.c \
	%D%/cgroup.h %D%/cgroup_private.h %D%/cgroup_systemd.h %D%/cgroup.c %D%/cgroup_bpf.c %D%/cgroup_devices.c \
	%D%/cgroup_files.c %D%/cgroup_layout.c %D%/cgroup_stat.c %D%/cgroup_systemd.c %D%/cgroup_tune.c \
	%D%/perf_events.h %D%/perf_events.c \
	%D%/capabilities.h %D%/capabilities.c %D%/domcaps.h %D%/domcaps.c %D%/firmware.h %D%/firmware.c \
	%D%/qemu_caps.h %D%/qemu_caps_private.h %D%/qemu_probe.h \
	%D%/qemu_caps.c %D%/qemu_caps_cache.c %D%/qemu_probe.c \
	%D%/domcaps_vmm.c %D%/domcaps_xml.h %D%/domcaps_xml.c %D%/vmm_caps.h %D%/vmm_caps.c
libkitehost_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
libkitehost_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
