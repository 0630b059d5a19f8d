# Unit tests and fuzz targets of the virtio devices.
# Fuzz targets replay their corpora in make check; with --enable-fuzzers they are fuzzers.
if FUZZERS
FUZZER_DEFINES = -DLIBFUZZER
FUZZER_LINK = -fsanitize=fuzzer
endif
VMM_DEVICE_LIBS = tests/lib/libfakeguest.a libkitevmm.a libkiteimage.a libkitebase.a $(JANSSON_LIBS) $(URING_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS) $(NETTLE_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_virtio_blk
tests_unit_test_virtio_blk_SOURCES = tests/unit/test_virtio_blk.c tests/lib/fault_block.h tests/lib/fault_block.c
tests_unit_test_virtio_blk_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_virtio_blk_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_virtio_blk_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_virtio_blk

check_PROGRAMS += tests/unit/test_throttle
tests_unit_test_throttle_SOURCES = tests/unit/test_throttle.c
tests_unit_test_throttle_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_throttle_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_throttle_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_throttle

check_PROGRAMS += tests/unit/test_virtio_net
tests_unit_test_virtio_net_SOURCES = tests/unit/test_virtio_net.c
tests_unit_test_virtio_net_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_virtio_net_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_virtio_net_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_virtio_net

check_PROGRAMS += tests/unit/test_vhost_net
tests_unit_test_vhost_net_SOURCES = tests/unit/test_vhost_net.c
tests_unit_test_vhost_net_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_vhost_net_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_vhost_net_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_vhost_net

check_PROGRAMS += tests/unit/test_virtio_console
tests_unit_test_virtio_console_SOURCES = tests/unit/test_virtio_console.c
tests_unit_test_virtio_console_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_virtio_console_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_virtio_console_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_virtio_console

check_PROGRAMS += tests/fuzz/fuzz_virtio_blk
tests_fuzz_fuzz_virtio_blk_SOURCES = tests/fuzz/fuzz_virtio_blk.c tests/fuzz/replay_main.c tests/lib/fault_block.h tests/lib/fault_block.c
tests_fuzz_fuzz_virtio_blk_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_virtio_blk_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_virtio_blk_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_virtio_blk_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/fuzz/fuzz_virtio_blk
EXTRA_DIST += tests/fuzz/corpus/virtio_blk

check_PROGRAMS += tests/fuzz/fuzz_virtio_net
tests_fuzz_fuzz_virtio_net_SOURCES = tests/fuzz/fuzz_virtio_net.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_virtio_net_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_virtio_net_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_virtio_net_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_virtio_net_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/fuzz/fuzz_virtio_net
EXTRA_DIST += tests/fuzz/corpus/virtio_net

check_PROGRAMS += tests/fuzz/fuzz_virtio_console
tests_fuzz_fuzz_virtio_console_SOURCES = tests/fuzz/fuzz_virtio_console.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_virtio_console_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_virtio_console_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_virtio_console_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_virtio_console_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/fuzz/fuzz_virtio_console
EXTRA_DIST += tests/fuzz/corpus/virtio_console

check_PROGRAMS += tests/unit/test_nbd
tests_unit_test_nbd_SOURCES = tests/unit/test_nbd.c
tests_unit_test_nbd_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_nbd_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_nbd_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_nbd

check_PROGRAMS += tests/fuzz/fuzz_nbd
tests_fuzz_fuzz_nbd_SOURCES = tests/fuzz/fuzz_nbd.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_nbd_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_nbd_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_nbd_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_nbd_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/fuzz/fuzz_nbd
EXTRA_DIST += tests/fuzz/corpus/nbd
