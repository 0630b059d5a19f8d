# virtkited and its layers. Each layer compiles only with what it may use and links only downwards.
include src/driver/rpc/local.mk
include src/driver/host/local.mk
include src/driver/conf/local.mk
include src/driver/backend/local.mk
include src/driver/domain/local.mk

sbin_PROGRAMS += virtkited
virtkited_SOURCES = \
	%D%/driver.h \
	%D%/paths.h \
	%D%/daemon_config.h \
	%D%/host/host.h \
	%D%/host/qemu_caps.h \
	%D%/main.c
virtkited_CFLAGS = $(DAEMON_CFLAGS)
virtkited_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
virtkited_LDADD = libkitecommon.a libkitebase.a $(DAEMON_LIBS)
