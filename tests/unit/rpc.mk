# Unit tests of the rpc layer.
RPC_RAW = tests/unit/rpc_raw.h tests/unit/rpc_raw.c

check_PROGRAMS += tests/unit/test_rpc_server
tests_unit_test_rpc_server_SOURCES = tests/unit/test_rpc_server.c $(RPC_RAW)
tests_unit_test_rpc_server_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_rpc_server_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_server

check_PROGRAMS += tests/unit/test_rpc_stream
tests_unit_test_rpc_stream_SOURCES = tests/unit/test_rpc_stream.c $(RPC_RAW)
tests_unit_test_rpc_stream_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_rpc_stream_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_stream

check_PROGRAMS += tests/unit/test_rpc_tls
tests_unit_test_rpc_tls_SOURCES = tests/unit/test_rpc_tls.c $(RPC_RAW)
tests_unit_test_rpc_tls_CFLAGS = $(DAEMON_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_rpc_tls_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_tls

check_PROGRAMS += tests/unit/test_rpc_sasl
tests_unit_test_rpc_sasl_SOURCES = tests/unit/test_rpc_sasl.c $(RPC_RAW)
tests_unit_test_rpc_sasl_CFLAGS = $(DAEMON_CFLAGS) $(SASL_CFLAGS)
tests_unit_test_rpc_sasl_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_sasl

check_PROGRAMS += tests/unit/test_rpc_workers
tests_unit_test_rpc_workers_SOURCES = tests/unit/test_rpc_workers.c
tests_unit_test_rpc_workers_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_rpc_workers_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_workers

check_PROGRAMS += tests/unit/test_rpc_polkit
tests_unit_test_rpc_polkit_SOURCES = tests/unit/test_rpc_polkit.c
tests_unit_test_rpc_polkit_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_rpc_polkit_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_polkit

# The real tables with handlers allowed to be absent, for programs that link only this layer.
WEAK_TABLE = src/driver/rpc/rpc_table.c
WEAK_CPPFLAGS = $(AM_CPPFLAGS) -DRPC_HANDLERS_WEAK

check_PROGRAMS += tests/unit/test_rpc_xdr
tests_unit_test_rpc_xdr_SOURCES = tests/unit/test_rpc_xdr.c
tests_unit_test_rpc_xdr_CFLAGS = $(DAEMON_CFLAGS)
nodist_tests_unit_test_rpc_xdr_SOURCES = $(WEAK_TABLE)
tests_unit_test_rpc_xdr_CPPFLAGS = $(WEAK_CPPFLAGS)
tests_unit_test_rpc_xdr_LDADD = $(RPC_LIBS)
TESTS += tests/unit/test_rpc_xdr

TESTS += tests/golden/wire_golden.sh
EXTRA_DIST += tests/golden/wire_golden.sh tests/golden/wire.golden

# Fuzz targets and the replay of their corpora.
check_PROGRAMS += tests/fuzz/replay_fuzz_rpc_decode tests/fuzz/replay_fuzz_rpc_connection
tests_fuzz_replay_fuzz_rpc_decode_SOURCES = tests/fuzz/fuzz_rpc_decode.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_rpc_decode_CFLAGS = $(DAEMON_CFLAGS)
nodist_tests_fuzz_replay_fuzz_rpc_decode_SOURCES = $(WEAK_TABLE)
tests_fuzz_replay_fuzz_rpc_decode_CPPFLAGS = $(WEAK_CPPFLAGS)
tests_fuzz_replay_fuzz_rpc_decode_LDADD = $(RPC_LIBS)
tests_fuzz_replay_fuzz_rpc_connection_SOURCES = tests/fuzz/fuzz_rpc_connection.c tests/fuzz/replay_main.c $(RPC_RAW)
tests_fuzz_replay_fuzz_rpc_connection_CFLAGS = $(DAEMON_CFLAGS)
nodist_tests_fuzz_replay_fuzz_rpc_connection_SOURCES = $(WEAK_TABLE)
tests_fuzz_replay_fuzz_rpc_connection_CPPFLAGS = $(WEAK_CPPFLAGS)
tests_fuzz_replay_fuzz_rpc_connection_LDADD = $(RPC_LIBS)
TESTS += tests/fuzz/replay_fuzz_rpc_connection tests/fuzz/replay_fuzz_rpc_decode
EXTRA_DIST += tests/fuzz/corpus/rpc_decode tests/fuzz/corpus/rpc_connection
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_rpc_decode tests/fuzz/fuzz_rpc_connection
tests_fuzz_fuzz_rpc_decode_SOURCES = tests/fuzz/fuzz_rpc_decode.c
tests_fuzz_fuzz_rpc_decode_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_rpc_decode_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
nodist_tests_fuzz_fuzz_rpc_decode_SOURCES = $(WEAK_TABLE)
tests_fuzz_fuzz_rpc_decode_CPPFLAGS = $(WEAK_CPPFLAGS)
tests_fuzz_fuzz_rpc_decode_LDADD = $(RPC_LIBS)
tests_fuzz_fuzz_rpc_connection_SOURCES = tests/fuzz/fuzz_rpc_connection.c $(RPC_RAW)
tests_fuzz_fuzz_rpc_connection_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_rpc_connection_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
nodist_tests_fuzz_fuzz_rpc_connection_SOURCES = $(WEAK_TABLE)
tests_fuzz_fuzz_rpc_connection_CPPFLAGS = $(WEAK_CPPFLAGS)
tests_fuzz_fuzz_rpc_connection_LDADD = $(RPC_LIBS)
endif

# Not a test: bench_rpc [SOCKET]. Built by "make tests/bench/bench_rpc".
EXTRA_PROGRAMS += tests/bench/bench_rpc
tests_bench_bench_rpc_SOURCES = tests/bench/bench_rpc.c $(RPC_RAW)
tests_bench_bench_rpc_CFLAGS = $(DAEMON_CFLAGS)
tests_bench_bench_rpc_LDADD = $(RPC_LIBS)
CLEANFILES += tests/bench/bench_rpc
