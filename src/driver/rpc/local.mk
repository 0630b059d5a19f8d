# The RPC layer. Its types, codec and tables are generated from *.rpc at build time.
noinst_LIBRARIES += libkiterpc.a

RPC_DESCRIPTION = \
	%D%/remote_types.rpc %D%/remote_connect.rpc %D%/remote_domain.rpc %D%/remote_network.rpc \
	%D%/remote_storage.rpc %D%/remote_nodedev_interface_secret_nwfilter.rpc %D%/qemu.rpc %D%/keepalive.rpc
RPC_GENERATED = %D%/rpc_types.h %D%/rpc_codec.c %D%/rpc_table.c
RPC_GEN = $(AM_V_GEN)$(MKDIR_P) %D% && $(PYTHON) $(top_srcdir)/tools/gen/rpcgen.py
RPC_GEN_INPUT = $(RPC_DESCRIPTION:%=$(top_srcdir)/%)
RPC_GEN_DEPS = $(RPC_DESCRIPTION) tools/gen/rpcgen.py

EXTRA_DIST += $(RPC_DESCRIPTION) tools/gen/rpcgen.py
BUILT_SOURCES += $(RPC_GENERATED)
CLEANFILES += $(RPC_GENERATED)

%D%/rpc_types.h: $(RPC_GEN_DEPS)
	$(RPC_GEN) types $@ $(RPC_GEN_INPUT)
%D%/rpc_codec.c: $(RPC_GEN_DEPS)
	$(RPC_GEN) codec $@ $(RPC_GEN_INPUT)
%D%/rpc_table.c: $(RPC_GEN_DEPS)
	$(RPC_GEN) table $@ $(RPC_GEN_INPUT)

libkiterpc_a_SOURCES = \
	%D%/auth.c \
	%D%/call.h \
	%D%/client.h %D%/client.c \
	%D%/connection.c \
	%D%/dispatch.c \
	%D%/ioloop.h %D%/ioloop.c \
	%D%/output.c \
	%D%/polkit.c \
	%D%/private.h \
	%D%/procedure.h \
	%D%/sasl.c \
	%D%/server.h %D%/server.c \
	%D%/stream.h %D%/stream.c \
	%D%/stream_fd.c \
	%D%/stream_file.h %D%/stream_file.c \
	%D%/tls.c \
	%D%/transport.h %D%/transport.c \
	%D%/wire.h %D%/wire.c \
	%D%/workers.h %D%/workers.c \
	%D%/typed_params.h %D%/typed_params.c %D%/xdr.h %D%/xdr.c
nodist_libkiterpc_a_SOURCES = $(RPC_GENERATED)
libkiterpc_a_CFLAGS = $(DAEMON_CFLAGS) $(GNUTLS_CFLAGS) $(SASL_CFLAGS)
# What a program that links libkiterpc.a links too.
RPC_LIBS = libkiterpc.a libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(GNUTLS_LIBS) $(SASL_LIBS)
