# Unit tests and fuzz targets of the virtio devices.
VMM_DEVICE_LIBS = tests/lib/libfakeguest.a libkitevmm.a libkiteimage.a libkitebase.a $(JANSSON_LIBS) $(URING_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS) $(NETTLE_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_virtio_blk
tests_unit_test_virtio_blk_SOURCES = tests/unit/test_virtio_blk.c tests/lib/fault_block.h tests/lib/fault_block.c
tests_unit_test_virtio_blk_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_virtio_blk_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_virtio_blk_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_virtio_blk
