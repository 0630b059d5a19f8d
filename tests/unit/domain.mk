# Unit tests of the domain layer. fake_vm is what the fake back end runs as a VM.
check_PROGRAMS += tests/lib/fake_vm tests/unit/test_domain
tests_lib_fake_vm_SOURCES = tests/lib/fake_vm.c
tests_lib_fake_vm_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_lib_fake_vm_LDADD = $(JANSSON_LIBS)

tests_unit_test_domain_SOURCES = tests/unit/test_domain.c tests/lib/no_client.c tests/lib/fake_backend.c tests/lib/fake_backend.h
tests_unit_test_domain_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_domain_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
tests_unit_test_domain_LDADD = $(DOMAIN_LIBS)
TESTS += tests/unit/test_domain

check_PROGRAMS += tests/fuzz/replay_fuzz_status_file
tests_fuzz_replay_fuzz_status_file_SOURCES = tests/fuzz/fuzz_status_file.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_status_file_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_replay_fuzz_status_file_LDADD = $(DOMAIN_LIBS)
EXTRA_DIST += tests/fuzz/corpus/status_file
TESTS += tests/fuzz/replay_fuzz_status_file

check_PROGRAMS += tests/unit/test_stats
tests_unit_test_stats_SOURCES = tests/unit/test_stats.c tests/lib/no_client.c tests/lib/fake_qmp.c tests/lib/fake_qmp.h
tests_unit_test_stats_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS) -I$(top_srcdir)/tests/lib
tests_unit_test_stats_LDADD = $(DOMAIN_LIBS)
TESTS += tests/unit/test_stats

check_PROGRAMS += tests/fuzz/replay_fuzz_stats_figures
tests_fuzz_replay_fuzz_stats_figures_SOURCES = tests/fuzz/fuzz_stats_figures.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_stats_figures_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_replay_fuzz_stats_figures_LDADD = $(DOMAIN_LIBS)
EXTRA_DIST += tests/fuzz/corpus/stats_figures
TESTS += tests/fuzz/replay_fuzz_stats_figures

check_PROGRAMS += tests/unit/test_devices
tests_unit_test_devices_SOURCES = tests/unit/test_devices.c
tests_unit_test_devices_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_devices_LDADD = $(DOMAIN_LIBS)
TESTS += tests/unit/test_devices
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_status_file
tests_fuzz_fuzz_status_file_SOURCES = tests/fuzz/fuzz_status_file.c
tests_fuzz_fuzz_status_file_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_fuzz_status_file_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_status_file_LDADD = $(DOMAIN_LIBS)
endif
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_stats_figures
tests_fuzz_fuzz_stats_figures_SOURCES = tests/fuzz/fuzz_stats_figures.c
tests_fuzz_fuzz_stats_figures_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_fuzz_stats_figures_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_stats_figures_LDADD = $(DOMAIN_LIBS)
endif
