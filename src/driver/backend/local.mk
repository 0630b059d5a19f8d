# Back ends: QMP and guest-agent clients, VM processes, QEMU's command line.
noinst_LIBRARIES += libkitebackend.a
libkitebackend_a_SOURCES = \
	%D%/agent_client.h %D%/agent_client.c \
	%D%/backend.h %D%/backend.c %D%/backend_config.c %D%/backend_run.h %D%/backend_run.c %D%/backend_start.c \
	%D%/backend_qemu.c %D%/backend_vmm.c \
	%D%/backing_name.h %D%/backing_name.c %D%/disk_chain.h %D%/disk_chain.c \
	%D%/cpu_place.h %D%/cpu_place.c %D%/guest_cpu.h %D%/guest_cpu.c %D%/helper.h %D%/helper.c \
	%D%/hostdev.h %D%/hostdev.c \
	%D%/id_table.h %D%/id_table.c \
	%D%/json_util.h \
	%D%/media.h %D%/media.c \
	%D%/monitor.h %D%/monitor.c %D%/monitor_block.c %D%/monitor_list.c \
	%D%/passt.h %D%/passt.c \
	%D%/port_table.h %D%/port_table.c \
	%D%/qemu_args.h %D%/qemu_args_priv.h \
	%D%/qemu_args.c %D%/qemu_args_bus.c %D%/qemu_args_chr.c %D%/qemu_args_cpu.c \
	%D%/qemu_args_disk.c %D%/qemu_args_display.c %D%/qemu_args_machine.c %D%/qemu_args_memory.c \
	%D%/qemu_args_host.c %D%/qemu_args_misc.c %D%/qemu_args_net.c \
	%D%/qemu_files.c %D%/qemu_firmware.h %D%/qemu_firmware.c \
	%D%/qemu_hotplug.h %D%/qemu_hotplug.c %D%/qemu_hotplug_chardev.c \
	%D%/qemu_host.h %D%/qemu_host.c \
	%D%/qemu_live.h %D%/qemu_live.c \
	%D%/qmp_client.h %D%/qmp_client_priv.h %D%/qmp_client.c %D%/qmp_call.c \
	%D%/qmp_framer.h %D%/qmp_framer.c \
	%D%/storage_daemon.h %D%/storage_daemon.c \
	%D%/swtpm.h %D%/swtpm.c \
	%D%/tap.h %D%/tap.c %D%/tap_bandwidth.c %D%/tap_bridge.c %D%/tap_ovs.c \
	%D%/unix_socket.h %D%/unix_socket.c \
	%D%/virtiofsd.h %D%/virtiofsd.c \
	%D%/vm_process.h %D%/vm_process.c %D%/vm_spawn.c \
	%D%/vsock.h %D%/vsock.c \
	%D%/vmm_chain.c %D%/vmm_hotplug.c \
	%D%/vmm_desc.h %D%/vmm_desc_priv.h %D%/vmm_desc.c %D%/vmm_desc_devices.c \
	%D%/vmm_support.c %D%/vmm_support_devices.c \
	%D%/vmm_host.h %D%/vmm_host.c
libkitebackend_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
libkitebackend_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
