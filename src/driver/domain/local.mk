# Live domains: objects and their list, state, events, what is kept on disk, and the RPC handlers.
noinst_LIBRARIES += libkitedomain.a
libkitedomain_a_SOURCES = \
	%D%/conf_env.c %D%/domain_layer.h %D%/reconnect.c \
	%D%/domain.h %D%/domain.c %D%/domain_private.h \
	%D%/agent.c %D%/agent_figures.h %D%/agent_figures.c %D%/agent_info_ops.c %D%/agent_ops.c %D%/auto_dump.c %D%/console_ops.c %D%/monitor_ops.c %D%/define_ops.c %D%/device_ops.c %D%/event_ops.c %D%/info_ops.c \
	%D%/settings.h %D%/settings.c %D%/blkio_set_ops.c %D%/perf_ops.c %D%/block_set_ops.c %D%/core_dump_ops.c %D%/memory_set_ops.c %D%/pin_ops.c \
	%D%/tune_set_ops.c %D%/vcpu_live.c %D%/vcpu_set_ops.c %D%/xml_desc_ops.c \
	%D%/devices.h %D%/device_config.c %D%/device_live.c %D%/device_update.c \
	%D%/graphics_ops.c %D%/key_codes.h %D%/key_codes.c %D%/key_ops.c %D%/screenshot_ops.c \
	%D%/lifecycle_ops.c %D%/lookup_ops.c %D%/metadata_ops.c %D%/snapshot_ops.c \
	%D%/domain_run.h %D%/disk_revive.c %D%/domain_start.c %D%/domain_stop.c %D%/domain_taint.h %D%/domain_taint.c %D%/vm_events.c %D%/vm_events_device.c %D%/vm_events_priv.h \
	%D%/domain_events.h %D%/domain_events.c \
	%D%/domain_list.h %D%/domain_list.c \
	%D%/events.h %D%/events.c \
	%D%/persist.h %D%/persist.c \
	%D%/placement.h %D%/placement_private.h %D%/placement.c %D%/placement_devices.c %D%/placement_threads.c \
	%D%/status_file.h %D%/status_file.c
# Statistics and other figures.
libkitedomain_a_SOURCES += \
	%D%/stats_cache.c %D%/stats_cache.h %D%/stats_disk.c %D%/stats_disk.h %D%/stats_figures.c %D%/stats_figures.h \
	%D%/stats_name.h %D%/stats_page.h %D%/stats_page.c %D%/stats_ops.c %D%/dirty_rate_ops.c %D%/stats_proc.c %D%/stats_proc.h \
	%D%/block_ops.c %D%/block_job_ops.c %D%/iface_ops.c %D%/memory_ops.c %D%/params_ops.c %D%/vcpu_ops.c
libkitedomain_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
# What a program that uses domain/ links.
DOMAIN_LIBS = libkitedomain.a libkitebackend.a libkiteprobe.a libkitehost.a libkiteconf.a libkiteconfig.a libkiterpc.a \
	libkitexml.a libkiteimage.a $(IMAGE_LIBS) libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(LIBXML2_LIBS) $(GNUTLS_LIBS) $(SASL_LIBS)
