# virtkited and its layers. Each layer compiles only with what it may use and links only downwards.
include src/driver/rpc/local.mk
include src/driver/host/local.mk
include src/driver/conf/local.mk
include src/driver/backend/local.mk
include src/driver/domain/local.mk

# Folders and settings: no RPC, no domains; linked by the tests of both.
noinst_LIBRARIES += libkiteconfig.a
libkiteconfig_a_SOURCES = \
	%D%/paths.h %D%/paths.c \
	%D%/conf_file.h %D%/conf_file.c \
	%D%/daemon_config.h %D%/daemon_config.c
libkiteconfig_a_CFLAGS = $(DAEMON_CFLAGS)
libkiteconfig_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)

# The daemon itself: a library, so that all of it is compiled also while the layers below are not complete.
noinst_LIBRARIES += libkitedaemon.a
libkitedaemon_a_SOURCES = \
	%D%/driver.h \
	%D%/calls_absent.h %D%/calls_absent.c \
	%D%/calls_host.h %D%/calls_host.c %D%/calls_node.c %D%/calls_cpu.c %D%/calls_native.c \
	%D%/calls_network.c %D%/calls_storage.h %D%/calls_storage.c %D%/calls_volume.c %D%/calls_nodedev.c %D%/calls_interface.c %D%/calls_secret.c \
	%D%/calls_nwfilter.c \
	%D%/daemon.h %D%/daemon.c \
	%D%/pidfile.h %D%/pidfile.c \
	%D%/reaper.h %D%/reaper.c \
	%D%/sockets.h %D%/sockets.c
libkitedaemon_a_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
libkitedaemon_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)

sbin_PROGRAMS += virtkited
virtkited_SOURCES = %D%/main.c
virtkited_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
virtkited_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
# Twice: the table of procedures refers to handlers, which refer to the RPC layer.
virtkited_LDADD = libkitedaemon.a $(DOMAIN_LIBS) libkitedaemon.a libkitestorage.a $(DOMAIN_LIBS)
