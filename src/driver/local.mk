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

sbin_PROGRAMS += virtkited
virtkited_SOURCES = \
	%D%/driver.h \
	%D%/main.c
virtkited_CFLAGS = $(DAEMON_CFLAGS)
virtkited_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
virtkited_LDADD = libkitecommon.a libkitebase.a $(DAEMON_LIBS)
