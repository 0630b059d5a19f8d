# libkiteimage: fds and bytes, plain C, shared by the VMM and the pools.
noinst_LIBRARIES += libkiteimage.a
libkiteimage_a_SOURCES = \
	%D%/host_file.h %D%/host_file.c \
	%D%/image.h %D%/image.c \
	%D%/image_commit.c \
	%D%/image_create.c \
	%D%/image_lock.h %D%/image_lock.c \
	%D%/image_priv.h \
	%D%/image_probe.c \
	%D%/image_raw.c \
	%D%/image_request.c \
	%D%/luks.h %D%/luks.c \
	%D%/qcow2.h %D%/qcow2.c \
	%D%/qcow2_cache.c \
	%D%/qcow2_check.c \
	%D%/qcow2_compress.c \
	%D%/qcow2_discard.c \
	%D%/qcow2_format.h %D%/qcow2_format.c \
	%D%/qcow2_map.c \
	%D%/qcow2_refcount.c \
	%D%/qcow2_resize.c \
	%D%/qcow2_snapshot.c \
	%D%/qcow2_snapshot_table.c \
	%D%/qcow2_write.c
libkiteimage_a_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS) $(NETTLE_CFLAGS) -pthread
# What programs that use it link.
IMAGE_LIBS = libkiteimage.a libkitebase.a $(ZLIB_LIBS) $(ZSTD_LIBS) $(NETTLE_LIBS) -lpthread

# kite-probe reads headers for the daemon, confined; statically linked so that it starts in a millisecond. Its other end is
# a library of its own, for the pools and for the daemon's back ends.
libexec_PROGRAMS += kite-probe
kite_probe_SOURCES = %D%/probe_helper.c %D%/probe_protocol.h
kite_probe_CFLAGS = $(AM_CFLAGS)
kite_probe_LDADD = $(IMAGE_LIBS)
if STATIC_VMM
kite_probe_LDFLAGS = $(AM_LDFLAGS) -static-pie
endif
noinst_LIBRARIES += libkiteprobe.a
libkiteprobe_a_SOURCES = %D%/probe_client.h %D%/probe_client.c
libkiteprobe_a_CFLAGS = $(DAEMON_CFLAGS)
libkiteprobe_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)

# kite-confine starts what serves images in other formats to kite-vmm.
libexec_PROGRAMS += kite-confine
kite_confine_SOURCES = %D%/confine.c
kite_confine_CFLAGS = $(AM_CFLAGS)
if STATIC_VMM
kite_confine_LDFLAGS = $(AM_LDFLAGS) -static-pie
endif

# libkitestorage: pools and their volumes, on GLib and libkitexml; the daemon's. A library of its own, so that the VMM
# and kite-image, which link the engine, get neither.
noinst_LIBRARIES += libkitestorage.a
libkitestorage_a_SOURCES = \
	%D%/pool.h %D%/pool.c \
	%D%/pool_dir.c \
	%D%/pool_persist.h %D%/pool_persist.c \
	%D%/pool_table.c \
	%D%/pool_xml.h %D%/pool_xml.c \
	%D%/storage_ops.h %D%/storage_caps.c %D%/storage_list.c %D%/storage_ops.c \
	%D%/volume_copy.h %D%/volume_copy.c \
	%D%/volume_file.h %D%/volume_file.c %D%/volume_probe.c \
	%D%/volume_ops.c %D%/volume_query.c \
	%D%/volume_tool.h %D%/volume_tool.c \
	%D%/volume_xml.h %D%/volume_xml.c
libkitestorage_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
# What programs that use it link.
STORAGE_LIBS = libkitestorage.a libkiteprobe.a libkitexml.a $(IMAGE_LIBS) libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(LIBXML2_LIBS)
