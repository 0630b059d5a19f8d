# Unit tests of the backend layer.
BACKEND_LIBS = libkitebackend.a libkitehost.a libkiteconf.a libkiteprobe.a $(IMAGE_LIBS) $(CONF_LIBS)

# Starts one definition without the daemon; not a test of its own.
check_PROGRAMS += tests/lib/run_vm
tests_lib_run_vm_SOURCES = tests/lib/run_vm.c
tests_lib_run_vm_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_lib_run_vm_LDADD = $(BACKEND_LIBS)

check_PROGRAMS += tests/unit/test_qemu_args
tests_unit_test_qemu_args_SOURCES = tests/unit/test_qemu_args.c tests/lib/definition.c tests/lib/definition.h \
	tests/lib/golden.c tests/lib/golden.h tests/lib/recorded_caps.c tests/lib/recorded_caps.h
tests_unit_test_qemu_args_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib
tests_unit_test_qemu_args_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_qemu_args_LDADD = $(BACKEND_LIBS)
TESTS += tests/unit/test_qemu_args
EXTRA_DIST += tests/golden/argv

check_PROGRAMS += tests/unit/test_vm_helpers
tests_unit_test_vm_helpers_SOURCES = tests/unit/test_vm_helpers.c
tests_unit_test_vm_helpers_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_vm_helpers_LDADD = $(BACKEND_LIBS)
TESTS += tests/unit/test_vm_helpers

# kite-vmm's own tables and reader are compiled apart, without GLib: only a test may know both sides.
check_LIBRARIES += tests/unit/libvmmside.a
tests_unit_libvmmside_a_SOURCES = tests/unit/vmm_side.h tests/unit/vmm_side.c
tests_unit_libvmmside_a_CFLAGS = $(VMM_CFLAGS)
check_PROGRAMS += tests/unit/test_vmm_desc
tests_unit_test_vmm_desc_SOURCES = tests/unit/test_vmm_desc.c tests/lib/definition.c tests/lib/definition.h \
	tests/lib/golden.c tests/lib/golden.h
tests_unit_test_vmm_desc_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_vmm_desc_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/lib
tests_unit_test_vmm_desc_LDADD = $(BACKEND_LIBS) tests/unit/libvmmside.a $(VMM_TEST_LIBS)
TESTS += tests/unit/test_vmm_desc
EXTRA_DIST += tests/golden/vmmdesc

check_PROGRAMS += tests/unit/test_qmp
tests_unit_test_qmp_SOURCES = tests/unit/test_qmp.c tests/lib/fake_qmp.c tests/lib/fake_qmp.h
tests_unit_test_qmp_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS) -I$(top_srcdir)/tests/lib
tests_unit_test_qmp_LDADD = $(BACKEND_LIBS)
TESTS += tests/unit/test_qmp
EXTRA_DIST += tests/golden/qmp

check_PROGRAMS += tests/fuzz/replay_fuzz_qmp
tests_fuzz_replay_fuzz_qmp_SOURCES = tests/fuzz/fuzz_qmp.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_qmp_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_replay_fuzz_qmp_LDADD = $(BACKEND_LIBS)
EXTRA_DIST += tests/fuzz/corpus/qmp

check_PROGRAMS += tests/fuzz/replay_fuzz_backing_name
tests_fuzz_replay_fuzz_backing_name_SOURCES = tests/fuzz/fuzz_backing_name.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_backing_name_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_replay_fuzz_backing_name_LDADD = $(BACKEND_LIBS)
EXTRA_DIST += tests/fuzz/corpus/backing_name

check_PROGRAMS += tests/fuzz/replay_fuzz_agent
tests_fuzz_replay_fuzz_agent_SOURCES = tests/fuzz/fuzz_agent.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_agent_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_replay_fuzz_agent_LDADD = $(BACKEND_LIBS)
TESTS += tests/fuzz/replay_fuzz_agent tests/fuzz/replay_fuzz_backing_name tests/fuzz/replay_fuzz_qmp
EXTRA_DIST += tests/fuzz/corpus/agent
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_qmp tests/fuzz/fuzz_agent tests/fuzz/fuzz_backing_name
tests_fuzz_fuzz_backing_name_SOURCES = tests/fuzz/fuzz_backing_name.c
tests_fuzz_fuzz_backing_name_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_fuzz_fuzz_backing_name_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_backing_name_LDADD = $(BACKEND_LIBS)
tests_fuzz_fuzz_qmp_SOURCES = tests/fuzz/fuzz_qmp.c
tests_fuzz_fuzz_qmp_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_qmp_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_qmp_LDADD = $(BACKEND_LIBS)
tests_fuzz_fuzz_agent_SOURCES = tests/fuzz/fuzz_agent.c
tests_fuzz_fuzz_agent_CFLAGS = $(DAEMON_CFLAGS)
tests_fuzz_fuzz_agent_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_agent_LDADD = $(BACKEND_LIBS)
endif

check_PROGRAMS += tests/unit/test_agent tests/unit/test_vm_process
tests_unit_test_agent_SOURCES = tests/unit/test_agent.c
tests_unit_test_agent_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_agent_LDADD = $(BACKEND_LIBS)
tests_unit_test_vm_process_SOURCES = tests/unit/test_vm_process.c
tests_unit_test_vm_process_CFLAGS = $(DAEMON_CFLAGS)
tests_unit_test_vm_process_LDADD = $(BACKEND_LIBS)
TESTS += tests/unit/test_agent tests/unit/test_vm_process

check_PROGRAMS += tests/unit/test_disk_chain
tests_unit_test_disk_chain_SOURCES = tests/unit/test_disk_chain.c
tests_unit_test_disk_chain_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_unit_test_disk_chain_LDADD = $(BACKEND_LIBS)
TESTS += tests/unit/test_disk_chain
