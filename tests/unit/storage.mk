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
