# kite-vmm: plain C with small libraries; compiled without GLib's and libxml2's flags on purpose.
noinst_LIBRARIES += libkitevmm.a
libkitevmm_a_SOURCES = \
	%D%/block/block.h \
	%D%/bus.h %D%/bus.c \
	%D%/chardev/chardev.h \
	%D%/irq.h %D%/irq.c \
	%D%/kvm.h %D%/kvm.c \
	%D%/log.h %D%/log.c \
	%D%/loop.h %D%/loop.c \
	%D%/memory.h %D%/memory.c \
	%D%/net/net.h \
	%D%/pci/pci.h \
	%D%/props.h %D%/props.c \
	%D%/stats_page.h \
	%D%/virtio/device_host.h \
	%D%/virtio/device_table.h %D%/virtio/device_table.c \
	%D%/virtio/devices.h \
	%D%/virtio/rng.c \
	%D%/virtio/virtio.h %D%/virtio/virtio.c \
	%D%/virtio/virtqueue.h %D%/virtio/virtqueue.c %D%/virtio/virtqueue_internal.h
VMM_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(URING_CFLAGS)
libkitevmm_a_CFLAGS = $(VMM_CFLAGS)
