# Unit tests of storage pools and volumes: in a folder of their own.
check_PROGRAMS += tests/unit/test_pools
tests_unit_test_pools_SOURCES = tests/unit/test_pools.c
tests_unit_test_pools_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_pools_LDADD = $(STORAGE_LIBS)
TESTS += tests/unit/test_pools

check_PROGRAMS += tests/fuzz/replay_fuzz_storage_xml
tests_fuzz_replay_fuzz_storage_xml_SOURCES = tests/fuzz/fuzz_storage_xml.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_storage_xml_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_replay_fuzz_storage_xml_LDADD = $(STORAGE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/storage_xml
TESTS += tests/fuzz/replay_fuzz_storage_xml
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_storage_xml
tests_fuzz_fuzz_storage_xml_SOURCES = tests/fuzz/fuzz_storage_xml.c
tests_fuzz_fuzz_storage_xml_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_fuzz_storage_xml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_storage_xml_LDADD = $(STORAGE_LIBS)
endif
