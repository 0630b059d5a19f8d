# Back ends: QMP and guest-agent clients, VM processes, QEMU's command line.
noinst_LIBRARIES += libkitebackend.a
libkitebackend_a_SOURCES = \
	%D%/agent_client.h %D%/agent_client.c \
	%D%/backend.h %D%/backend.c \
	%D%/json_util.h \
	%D%/monitor.h %D%/monitor.c %D%/monitor_block.c \
	%D%/qmp_client.h %D%/qmp_client.c \
	%D%/qmp_framer.h %D%/qmp_framer.c \
	%D%/vm_process.h %D%/vm_process.c %D%/vm_spawn.c
libkitebackend_a_CFLAGS = $(DAEMON_CFLAGS)
