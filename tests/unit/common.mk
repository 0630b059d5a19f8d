# Unit tests of src/common.
check_PROGRAMS += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_common_LDADD = libkitecommon.a libkitebase.a $(DAEMON_LIBS)
TESTS += tests/unit/test_common
check_PROGRAMS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_log_LDADD = libkitecommon.a libkitebase.a $(DAEMON_LIBS)
TESTS += tests/unit/test_log

# The manual pages against --help.
TESTS += tests/unit/test_man.py
EXTRA_DIST += tests/unit/test_man.py
