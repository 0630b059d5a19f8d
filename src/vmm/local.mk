# kite-vmm: plain C with small libraries; compiled without GLib's and libxml2's flags on purpose.
VMM_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(URING_CFLAGS)
VMM_C_FILES = \
	%D%/arch/x86_64/cpu_features.c \
	%D%/arch/x86_64/cpu_models.c \
	%D%/arch/x86_64/cpuid.c \
	%D%/arch/x86_64/regs.c \
	%D%/block/block.c \
	%D%/block/block_table.c \
	%D%/block/image_node.c %D%/block/image_node_request.c \
	%D%/block/io.c \
	%D%/block/nbd_node.c \
	%D%/block/nbd_protocol.c \
	%D%/block/node_props.c \
	%D%/block/throttle.c \
	%D%/block/throttle_group.c \
	%D%/boot/acpi.c \
	%D%/boot/aml.c \
	%D%/boot/linux.c \
	%D%/boot/smbios.c \
	%D%/bus.c \
	%D%/chardev/chardev.c \
	%D%/dirty_rate.c \
	%D%/dump.c \
	%D%/dump_kdump.c \
	%D%/irq.c \
	%D%/isa/acpi_hw.c \
	%D%/isa/ioapic.c \
	%D%/isa/legacy.c \
	%D%/isa/rtc.c \
	%D%/isa/serial.c \
	%D%/kvm.c \
	%D%/log.c \
	%D%/loop.c \
	%D%/loop_call.c \
	%D%/loop_timer.c \
	%D%/machine.c \
	%D%/machine_backends.c \
	%D%/machine_boot.c \
	%D%/machine_cpus.c \
	%D%/machine_desc.c \
	%D%/machine_devices.c \
	%D%/machine_dump.c \
	%D%/machine_iothreads.c \
	%D%/machine_watchdog.c \
	%D%/memory.c \
	%D%/net/net.c \
	%D%/net/net_table.c \
	%D%/net/stream.c \
	%D%/net/tap.c \
	%D%/pci/i6300esb.c \
	%D%/pci/msix.c \
	%D%/pci/pci.c \
	%D%/pci/port.c \
	%D%/props.c \
	%D%/qmp_block.c \
	%D%/qmp_commands.c \
	%D%/qmp_dump.c \
	%D%/qmp_objects.c \
	%D%/qmp_qom.c \
	%D%/qmp_server.c \
	%D%/stats.c \
	%D%/vcpu.c \
	%D%/vcpu_state.c \
	%D%/virtio/blk.c \
	%D%/virtio/blk_make.c \
	%D%/virtio/console.c \
	%D%/virtio/balloon.c \
	%D%/virtio/device_table.c \
	%D%/virtio/io_policy.c \
	%D%/virtio/notify_batch.c \
	%D%/virtio/mem.c \
	%D%/virtio/paced_event.c \
	%D%/virtio/net.c \
	%D%/virtio/net_control.c \
	%D%/virtio/net_make.c \
	%D%/virtio/rng.c \
	%D%/virtio/scsi.c %D%/virtio/scsi_control.c %D%/virtio/scsi_children.c \
	%D%/virtio/scsi_cd.c \
	%D%/virtio/scsi_disk.c \
	%D%/virtio/scsi_unit.c \
	%D%/virtio/vhost.c \
	%D%/virtio/vsock.c \
	%D%/virtio/virtio.c \
	%D%/virtio/virtio_pci.c \
	%D%/virtio/virtio_pci_regs.c \
	%D%/virtio/virtqueue.c
VMM_H_FILES = \
	%D%/arch/x86_64/cpu_features.h \
	%D%/arch/x86_64/cpu_models.h \
	%D%/arch/x86_64/cpuid.h \
	%D%/arch/x86_64/layout.h \
	%D%/arch/x86_64/regs.h \
	%D%/block/block.h \
	%D%/block/image_node.h %D%/block/image_node_priv.h \
	%D%/block/io.h \
	%D%/block/nbd_node.h \
	%D%/block/nbd_protocol.h \
	%D%/block/node_props.h \
	%D%/block/throttle.h \
	%D%/block/throttle_group.h \
	%D%/boot/acpi.h \
	%D%/boot/aml.h \
	%D%/boot/linux.h \
	%D%/boot/smbios.h \
	%D%/bus.h \
	%D%/chardev/chardev.h \
	%D%/dirty_rate.h \
	%D%/dump.h \
	%D%/irq.h \
	%D%/isa/acpi_hw.h \
	%D%/isa/ioapic.h \
	%D%/isa/legacy.h \
	%D%/isa/serial.h \
	%D%/kvm.h \
	%D%/log.h \
	%D%/loop.h \
	%D%/loop_internal.h \
	%D%/machine.h \
	%D%/machine_desc.h \
	%D%/machine_internal.h \
	%D%/memory.h \
	%D%/net/backends.h \
	%D%/net/net.h \
	%D%/options.h \
	%D%/pci/i6300esb.h \
	%D%/pci/msix.h \
	%D%/pci/pci.h \
	%D%/pci/pci_internal.h \
	%D%/props.h \
	%D%/qmp_commands.h \
	%D%/qmp_handlers.h \
	%D%/qmp_server.h \
	%D%/sandbox.h \
	%D%/stats.h \
	%D%/vcpu.h \
	%D%/vcpu_state.h \
	%D%/virtio/blk_internal.h \
	%D%/virtio/balloon.h \
	%D%/virtio/device_host.h \
	%D%/virtio/device_table.h \
	%D%/virtio/devices.h \
	%D%/virtio/io_policy.h \
	%D%/virtio/notify_batch.h \
	%D%/virtio/mem.h \
	%D%/virtio/net_internal.h \
	%D%/virtio/paced_event.h \
	%D%/virtio/scsi.h %D%/virtio/scsi_priv.h \
	%D%/virtio/scsi_unit.h \
	%D%/virtio/vhost.h \
	%D%/virtio/virtio.h \
	%D%/virtio/virtio_pci.h \
	%D%/virtio/virtio_pci_internal.h \
	%D%/virtio/virtqueue.h \
	%D%/virtio/virtqueue_internal.h

noinst_LIBRARIES += libkitevmm.a
libkitevmm_a_SOURCES = $(VMM_C_FILES) $(VMM_H_FILES)
libkitevmm_a_CFLAGS = $(VMM_CFLAGS)

# The order matters to a static link: ours first, then what it needs.
VMM_LIBS = libkitevmm.a libkiteimage.a libkitebase.a $(JANSSON_LIBS) $(URING_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS) $(NETTLE_LIBS)

libexec_PROGRAMS += kite-vmm
# What capabilities name for type kvm: a name for "whichever back end can run it" (host/vmm_caps.h).
install-exec-hook: install-vmm-link
install-vmm-link:
	$(MKDIR_P) '$(DESTDIR)$(libexecdir)'
	ln -sf kite-vmm '$(DESTDIR)$(libexecdir)/kite-emulator'
uninstall-hook: uninstall-vmm-link
uninstall-vmm-link:
	rm -f '$(DESTDIR)$(libexecdir)/kite-emulator'
PHONY_TARGETS += install-vmm-link uninstall-vmm-link
kite_vmm_SOURCES = %D%/main.c %D%/options.c %D%/options_devices.c %D%/sandbox.c
nodist_kite_vmm_SOURCES = %D%/seccomp_filters.h
kite_vmm_CFLAGS = $(VMM_CFLAGS)
kite_vmm_LDADD = $(VMM_LIBS) -lpthread
if STATIC_VMM
kite_vmm_LDFLAGS = $(AM_LDFLAGS) -static-pie
endif

# System call filters from the #syscalls comments.
BUILT_SOURCES += %D%/seccomp_filters.h
CLEANFILES += %D%/seccomp_filters.h %D%/syscall_numbers.h
EXTRA_DIST += tools/gen/seccompgen.py
SECCOMP_FROM = $(VMM_C_FILES) $(kite_vmm_SOURCES) $(libkiteimage_a_SOURCES)
%D%/seccomp_filters.h: tools/gen/seccompgen.py $(SECCOMP_FROM)
	$(AM_V_GEN)$(MKDIR_P) %D% && echo '#include <asm/unistd.h>' | $(CC) -E -dM - > %D%/syscall_numbers.h && \
	$(PYTHON) $(srcdir)/tools/gen/seccompgen.py %D%/syscall_numbers.h $@ \
		$(patsubst %,$(srcdir)/%,$(SECCOMP_FROM))
%D%/kite_vmm-sandbox.$(OBJEXT): %D%/seccomp_filters.h
