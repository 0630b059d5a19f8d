# The device elements: one def_<element>.{c,h} each.
libkiteconf_a_SOURCES += \
	%D%/def_audio.c \
	%D%/def_audio.h \
	%D%/def_chr.c \
	%D%/def_chr.h \
	%D%/def_chr_source.c \
	%D%/def_chr_source.h \
	%D%/def_controller.c \
	%D%/def_controller.h \
	%D%/def_crypto.c \
	%D%/def_crypto.h \
	%D%/def_disk.c %D%/disk_iothreads.c %D%/disk_iothreads.h \
	%D%/def_disk.h \
	%D%/def_filesystem.c \
	%D%/def_filesystem.h \
	%D%/def_graphics.c \
	%D%/def_graphics.h \
	%D%/def_hostdev.c \
	%D%/def_hostdev.h \
	%D%/def_hub.c \
	%D%/def_hub.h \
	%D%/def_input.c \
	%D%/def_input.h \
	%D%/def_interface.c %D%/def_interface_rules.c %D%/def_interface_source.c \
	%D%/port_forward.h %D%/port_forward.c \
	%D%/def_interface.h \
	%D%/def_iommu.c \
	%D%/def_iommu.h \
	%D%/def_lease.c \
	%D%/def_lease.h \
	%D%/def_memballoon.c \
	%D%/def_memballoon.h \
	%D%/def_memory.c \
	%D%/def_memory.h \
	%D%/def_net_common.c \
	%D%/def_net_common.h \
	%D%/def_panic.c \
	%D%/def_panic.h \
	%D%/def_redirdev.c \
	%D%/def_redirdev.h \
	%D%/def_redirfilter.c \
	%D%/def_redirfilter.h \
	%D%/def_rng.c \
	%D%/def_rng.h \
	%D%/def_security_label.c \
	%D%/def_security_label.h \
	%D%/def_shmem.c \
	%D%/def_shmem.h \
	%D%/def_smartcard.c \
	%D%/def_smartcard.h \
	%D%/def_sound.c \
	%D%/def_sound.h \
	%D%/def_storage_source.c %D%/storage_source.c \
	%D%/def_storage_source.h \
	%D%/def_tpm.c \
	%D%/def_tpm.h \
	%D%/def_video.c \
	%D%/def_video.h \
	%D%/def_vsock.c \
	%D%/def_vsock.h \
	%D%/def_watchdog.c \
	%D%/def_watchdog.h \
	%D%/disk_validate.c \
	%D%/disk_validate.h \
	%D%/fields.c \
	%D%/fields.h \
	%D%/storage_secret.c \
	%D%/supported.c \
	%D%/supported.h \
	%D%/virtio_model.c \
	%D%/virtio_model.h
