# Tests of the device elements: golden files, rules, fuzz target.
DEVICE_TEST_LIBS = libkiteconf.a libkitexml.a libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(LIBXML2_LIBS)
check_PROGRAMS += tests/unit/test_device_xml tests/fuzz/replay_fuzz_device_xml
tests_unit_test_device_xml_SOURCES = tests/unit/test_device_xml.c
tests_unit_test_device_xml_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_device_xml_LDADD = $(DEVICE_TEST_LIBS)
tests_fuzz_replay_fuzz_device_xml_SOURCES = tests/fuzz/fuzz_device_xml.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_device_xml_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_replay_fuzz_device_xml_LDADD = $(DEVICE_TEST_LIBS)
TESTS += tests/unit/test_device_xml tests/fuzz/replay_fuzz_device_xml
EXTRA_DIST += tests/golden/device tests/fuzz/corpus/device_xml
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_device_xml
tests_fuzz_fuzz_device_xml_SOURCES = tests/fuzz/fuzz_device_xml.c
tests_fuzz_fuzz_device_xml_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_fuzz_device_xml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_device_xml_LDADD = $(DEVICE_TEST_LIBS)
endif
