# Unit tests of the storage layer: plain C, host files in memory.
STORAGE_TEST_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS) -I$(top_srcdir)/tests
STORAGE_TEST_LDADD = libstoragetest.a $(IMAGE_LIBS)
check_LIBRARIES += libstoragetest.a
libstoragetest_a_SOURCES = tests/unit/storage_mem.h tests/unit/storage_mem.c
libstoragetest_a_CFLAGS = $(STORAGE_TEST_CFLAGS)

check_PROGRAMS += tests/unit/test_storage_random
tests_unit_test_storage_random_SOURCES = tests/unit/test_storage_random.c
tests_unit_test_storage_random_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_unit_test_storage_random_LDADD = $(STORAGE_TEST_LDADD)
TESTS += tests/unit/test_storage_random

check_PROGRAMS += tests/unit/test_storage_crash
tests_unit_test_storage_crash_SOURCES = tests/unit/test_storage_crash.c
tests_unit_test_storage_crash_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_unit_test_storage_crash_LDADD = $(STORAGE_TEST_LDADD)
TESTS += tests/unit/test_storage_crash

check_PROGRAMS += tests/unit/test_storage_crash_admin
tests_unit_test_storage_crash_admin_SOURCES = tests/unit/test_storage_crash_admin.c
tests_unit_test_storage_crash_admin_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_unit_test_storage_crash_admin_LDADD = $(STORAGE_TEST_LDADD)
TESTS += tests/unit/test_storage_crash_admin

check_PROGRAMS += tests/unit/test_storage_basic
tests_unit_test_storage_basic_SOURCES = tests/unit/test_storage_basic.c
tests_unit_test_storage_basic_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_unit_test_storage_basic_LDADD = $(STORAGE_TEST_LDADD)
TESTS += tests/unit/test_storage_basic
EXTRA_DIST += tests/data/storage/make.sh tests/data/storage/zlib.qcow2.gz tests/data/storage/zstd.qcow2.gz \
	tests/data/storage/zlib4k.qcow2.gz tests/data/storage/v2.qcow2.gz tests/data/storage/extended.qcow2.gz \
	tests/data/storage/snapshot.qcow2.gz

# Fuzzing: the corpus is replayed here, --enable-fuzzers builds the fuzzer itself.
STORAGE_CORPUS = tests/fuzz/corpus/qcow2 tests/fuzz/corpus/luks
check_PROGRAMS += tests/fuzz/replay_fuzz_qcow2
tests_fuzz_replay_fuzz_qcow2_SOURCES = tests/fuzz/fuzz_qcow2.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_qcow2_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_fuzz_replay_fuzz_qcow2_LDADD = $(STORAGE_TEST_LDADD)
check_PROGRAMS += tests/fuzz/replay_fuzz_luks
tests_fuzz_replay_fuzz_luks_SOURCES = tests/fuzz/fuzz_luks.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_luks_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_fuzz_replay_fuzz_luks_LDADD = $(STORAGE_TEST_LDADD)
TESTS += tests/fuzz/replay_fuzz_luks tests/fuzz/replay_fuzz_qcow2
EXTRA_DIST += $(STORAGE_CORPUS)
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_qcow2
tests_fuzz_fuzz_qcow2_SOURCES = tests/fuzz/fuzz_qcow2.c
tests_fuzz_fuzz_qcow2_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_fuzz_fuzz_qcow2_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_qcow2_LDADD = $(STORAGE_TEST_LDADD)
noinst_PROGRAMS += tests/fuzz/fuzz_luks
tests_fuzz_fuzz_luks_SOURCES = tests/fuzz/fuzz_luks.c
tests_fuzz_fuzz_luks_CFLAGS = $(STORAGE_TEST_CFLAGS)
tests_fuzz_fuzz_luks_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_luks_LDADD = $(STORAGE_TEST_LDADD)
endif

EXTRA_DIST += tests/bench/image.sh

check_SCRIPTS += tests/unit/storage_interop.sh
TESTS += tests/unit/storage_interop.sh
EXTRA_DIST += tests/unit/storage_interop.sh
