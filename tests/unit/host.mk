# Unit tests of the host layer and of the daemon's settings.
check_PROGRAMS += tests/unit/test_daemon_config tests/fuzz/fuzz_daemon_config
tests_unit_test_daemon_config_SOURCES = tests/unit/test_daemon_config.c
tests_unit_test_daemon_config_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_daemon_config_LDADD = libkiteconfig.a libkitecommon.a libkitebase.a $(DAEMON_LIBS)
tests_fuzz_fuzz_daemon_config_SOURCES = tests/fuzz/fuzz_daemon_config.c tests/fuzz/replay_main.c
tests_fuzz_fuzz_daemon_config_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_daemon_config_LDADD = $(tests_unit_test_daemon_config_LDADD)
TESTS += tests/unit/test_daemon_config
TESTS += tests/fuzz/fuzz_daemon_config
EXTRA_DIST += tests/fuzz/corpus/daemon_config
