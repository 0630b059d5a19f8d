# libkitebase: plain C, for the VMM too. libkitecommon: GLib, the daemon's. libkitexml: libxml2, on its own
# so that whatever does not ask for libxml2 does not get it.
noinst_LIBRARIES += libkitebase.a libkitecommon.a libkitexml.a

libkitebase_a_SOURCES = \
	%D%/byteorder.h \
	%D%/checked.h \
	%D%/cleanup.h \
	%D%/enum_table.h %D%/enum_table.c \
	%D%/err.h %D%/err.c \
	%D%/iov.h %D%/iov.c \
	%D%/stats_page.h
libkitebase_a_CFLAGS = $(AM_CFLAGS)

libkitecommon_a_SOURCES = \
	%D%/error.h %D%/error.c \
	%D%/log.h %D%/log.c \
	%D%/fd.h %D%/fd.c \
	%D%/atomic_file.h %D%/atomic_file.c \
	%D%/lock.h %D%/lock.c \
	%D%/slow_file.h %D%/slow_file.c \
	%D%/system_bus.h %D%/system_bus.c \
	%D%/thread.h %D%/thread.c \
	%D%/uuid.h %D%/uuid.c \
	%D%/bitmap.h %D%/bitmap.c
libkitecommon_a_CFLAGS = $(DAEMON_CFLAGS)

libkitexml_a_SOURCES = \
	%D%/xml.h %D%/xml_writer.c %D%/xml_reader.c %D%/xml_schema.c
libkitexml_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
