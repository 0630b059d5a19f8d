# Unit tests of the rpc layer.
RPC_RAW = tests/unit/rpc_raw.h tests/unit/rpc_raw.c

check_PROGRAMS += tests/unit/test_rpc_server
tests_unit_test_rpc_server_SOURCES = tests/unit/test_rpc_server.c $(RPC_RAW)
tests_unit_test_rpc_server_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_rpc_server_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_server
