# Unit tests of the vmm layer: link libkitevmm.a and what is below it, nothing else.
VMM_TEST_LIBS = libkitevmm.a libkiteimage.a libkitebase.a $(JANSSON_LIBS) $(URING_LIBS)
VMM_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests

check_LIBRARIES += tests/lib/libfakeguest.a
tests_lib_libfakeguest_a_SOURCES = tests/lib/fake_guest.h tests/lib/fake_guest.c tests/lib/device_fuzz.h tests/lib/device_fuzz.c
tests_lib_libfakeguest_a_CFLAGS = $(VMM_CFLAGS)
tests_lib_libfakeguest_a_CPPFLAGS = $(VMM_TEST_CPPFLAGS)

check_PROGRAMS += tests/unit/test_virtqueue
tests_unit_test_virtqueue_SOURCES = tests/unit/test_virtqueue.c
tests_unit_test_virtqueue_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_virtqueue_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_virtqueue_LDADD = tests/lib/libfakeguest.a $(VMM_TEST_LIBS)
TESTS += tests/unit/test_virtqueue
