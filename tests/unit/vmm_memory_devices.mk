# Balloon, virtio-mem, vsock, scsi: unit tests and fuzz targets. VMM_DEVICE_LIBS: vmm_devices.mk.
check_PROGRAMS += tests/unit/test_balloon tests/fuzz/fuzz_balloon
tests_unit_test_balloon_SOURCES = tests/unit/test_balloon.c
tests_unit_test_balloon_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_balloon_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_balloon_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_balloon_SOURCES = tests/fuzz/fuzz_balloon.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_balloon_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_balloon_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_balloon_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_balloon_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_balloon tests/fuzz/fuzz_balloon
EXTRA_DIST += tests/fuzz/corpus/balloon

check_PROGRAMS += tests/unit/test_mem tests/fuzz/fuzz_mem
tests_unit_test_mem_SOURCES = tests/unit/test_mem.c
tests_unit_test_mem_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_mem_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_mem_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_mem_SOURCES = tests/fuzz/fuzz_mem.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_mem_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_mem_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_mem_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_mem_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_mem tests/fuzz/fuzz_mem
EXTRA_DIST += tests/fuzz/corpus/mem

check_PROGRAMS += tests/unit/test_scsi tests/fuzz/fuzz_scsi
tests_unit_test_scsi_SOURCES = tests/unit/test_scsi.c tests/lib/fault_block.h tests/lib/fault_block.c
tests_unit_test_scsi_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_scsi_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_scsi_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_scsi_SOURCES = tests/fuzz/fuzz_scsi.c tests/fuzz/replay_main.c tests/lib/fault_block.h tests/lib/fault_block.c
tests_fuzz_fuzz_scsi_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_scsi_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_scsi_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_scsi_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_scsi tests/fuzz/fuzz_scsi
EXTRA_DIST += tests/fuzz/corpus/scsi

check_PROGRAMS += tests/unit/test_vsock
tests_unit_test_vsock_SOURCES = tests/unit/test_vsock.c
tests_unit_test_vsock_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_vsock_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_vsock_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/unit/test_vsock

check_PROGRAMS += tests/fuzz/fuzz_vsock
tests_fuzz_fuzz_vsock_SOURCES = tests/fuzz/fuzz_vsock.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_vsock_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_vsock_CPPFLAGS = $(VMM_TEST_CPPFLAGS) $(FUZZER_DEFINES)
tests_fuzz_fuzz_vsock_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LINK)
tests_fuzz_fuzz_vsock_LDADD = $(VMM_DEVICE_LIBS)
TESTS += tests/fuzz/fuzz_vsock
EXTRA_DIST += tests/fuzz/corpus/vsock
