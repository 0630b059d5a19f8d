# Unit tests of the host layer and of the daemon's settings.
check_PROGRAMS += tests/unit/test_daemon_config tests/fuzz/replay_fuzz_daemon_config
tests_unit_test_daemon_config_SOURCES = tests/unit/test_daemon_config.c
tests_unit_test_daemon_config_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_daemon_config_LDADD = libkiteconfig.a libkitecommon.a libkitebase.a $(DAEMON_LIBS)
tests_fuzz_replay_fuzz_daemon_config_SOURCES = tests/fuzz/fuzz_daemon_config.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_daemon_config_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_replay_fuzz_daemon_config_LDADD = $(tests_unit_test_daemon_config_LDADD)
TESTS += tests/unit/test_daemon_config
TESTS += tests/fuzz/replay_fuzz_daemon_config
EXTRA_DIST += tests/fuzz/corpus/daemon_config

HOST_TEST_LIBS = libkitehost.a libkitexml.a libkitecommon.a libkitebase.a $(DAEMON_LIBS) $(LIBXML2_LIBS)
check_PROGRAMS += tests/unit/test_qemu_caps
tests_unit_test_qemu_caps_SOURCES = tests/unit/test_qemu_caps.c tests/lib/recorded_caps.c tests/lib/recorded_caps.h
tests_unit_test_qemu_caps_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_qemu_caps_LDADD = $(HOST_TEST_LIBS)
TESTS += tests/unit/test_qemu_caps
EXTRA_DIST += tests/unit/record_qmp.py tests/golden/qmp

check_PROGRAMS += tests/unit/test_host
tests_unit_test_host_SOURCES = tests/unit/test_host.c
tests_unit_test_host_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_host_LDADD = libkitehost.a libkiteconf.a $(HOST_TEST_LIBS)
TESTS += tests/unit/test_host
EXTRA_DIST += tests/golden/host

# What becomes of a guest's <cpu> at start.
check_PROGRAMS += tests/unit/test_guest_cpu
tests_unit_test_guest_cpu_SOURCES = tests/unit/test_guest_cpu.c tests/lib/golden.c tests/lib/golden.h \
	tests/lib/recorded_caps.c tests/lib/recorded_caps.h
tests_unit_test_guest_cpu_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_guest_cpu_LDADD = $(tests_unit_test_host_LDADD)
TESTS += tests/unit/test_guest_cpu
EXTRA_DIST += tests/golden/guestcpu

# The daemon as a process; needs no root.
TESTS += tests/unit/test_daemon.py
EXTRA_DIST += tests/unit/test_daemon.py

check_PROGRAMS += tests/unit/test_cgroup
tests_unit_test_cgroup_SOURCES = tests/unit/test_cgroup.c
tests_unit_test_cgroup_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_cgroup_LDADD = $(tests_unit_test_host_LDADD)
TESTS += tests/unit/test_cgroup
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_daemon_config
tests_fuzz_fuzz_daemon_config_SOURCES = tests/fuzz/fuzz_daemon_config.c
tests_fuzz_fuzz_daemon_config_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_daemon_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_daemon_config_LDADD = $(tests_unit_test_daemon_config_LDADD)
endif
