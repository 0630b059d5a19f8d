# The device elements: one def_<element>.{c,h} each.
libkiteconf_a_SOURCES += \
	%D%/def_audio.h \
	%D%/def_chr.h \
	%D%/def_chr_source.h \
	%D%/def_controller.h \
	%D%/def_crypto.h \
	%D%/def_disk.h \
	%D%/def_filesystem.h \
	%D%/def_graphics.h \
	%D%/def_hostdev.h \
	%D%/def_hub.h \
	%D%/def_input.h \
	%D%/def_interface.h \
	%D%/def_iommu.h \
	%D%/def_lease.h \
	%D%/def_memballoon.h \
	%D%/def_memory.h \
	%D%/def_net_common.h \
	%D%/def_panic.h \
	%D%/def_redirdev.h \
	%D%/def_redirfilter.h \
	%D%/def_rng.h \
	%D%/def_security_label.h \
	%D%/def_shmem.h \
	%D%/def_smartcard.h \
	%D%/def_sound.h \
	%D%/def_storage_source.h \
	%D%/def_tpm.h \
	%D%/def_video.h \
	%D%/def_vsock.h \
	%D%/def_watchdog.h \
	%D%/supported.h \
	%D%/virtio_model.h
