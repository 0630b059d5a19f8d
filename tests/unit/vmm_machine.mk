# The machine without KVM (tests/lib/fake_machine.h): unit tests and fuzz targets of boot, ACPI, PCI, description, QMP.
VMM_MACHINE_LIBS = tests/lib/libfakemachine.a libkitevmm.a libkiteimage.a libkitebase.a $(JANSSON_LIBS) $(URING_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS) $(NETTLE_LIBS) -lpthread

check_LIBRARIES += tests/lib/libfakemachine.a
tests_lib_libfakemachine_a_SOURCES = tests/lib/fake_machine.h tests/lib/fake_machine.c
tests_lib_libfakemachine_a_CFLAGS = $(VMM_CFLAGS)
tests_lib_libfakemachine_a_CPPFLAGS = $(VMM_TEST_CPPFLAGS)

check_PROGRAMS += tests/unit/test_machine_boot tests/unit/test_machine_acpi tests/unit/test_machine_pci \
	tests/unit/test_machine_desc tests/unit/test_machine_qmp tests/unit/test_machine_watchdog tests/unit/test_machine_ioapic \
	tests/unit/test_cpuid tests/unit/test_dump tests/unit/test_dirty_rate
check_PROGRAMS += tests/unit/test_loop tests/unit/test_machine_races
TESTS += tests/unit/test_loop tests/unit/test_machine_races
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
tests_unit_test_loop_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_loop_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_loop_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_races_SOURCES = tests/unit/test_machine_races.c
tests_unit_test_machine_races_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_races_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_races_LDADD = $(VMM_MACHINE_LIBS)
check_PROGRAMS += tests/unit/test_rtc
TESTS += tests/unit/test_rtc
tests_unit_test_rtc_SOURCES = tests/unit/test_rtc.c
tests_unit_test_rtc_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_rtc_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_rtc_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_dump_SOURCES = tests/unit/test_dump.c
tests_unit_test_dump_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_dump_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_dump_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_ioapic_SOURCES = tests/unit/test_machine_ioapic.c
tests_unit_test_machine_ioapic_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_ioapic_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_ioapic_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_watchdog_SOURCES = tests/unit/test_machine_watchdog.c
tests_unit_test_machine_watchdog_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_watchdog_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_watchdog_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_dirty_rate_SOURCES = tests/unit/test_dirty_rate.c
tests_unit_test_dirty_rate_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_dirty_rate_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_dirty_rate_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_cpuid_SOURCES = tests/unit/test_cpuid.c
tests_unit_test_cpuid_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_cpuid_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_cpuid_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_boot_SOURCES = tests/unit/test_machine_boot.c
tests_unit_test_machine_boot_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_boot_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_boot_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_acpi_SOURCES = tests/unit/test_machine_acpi.c
tests_unit_test_machine_acpi_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_acpi_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_acpi_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_pci_SOURCES = tests/unit/test_machine_pci.c
tests_unit_test_machine_pci_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_pci_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_pci_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_desc_SOURCES = tests/unit/test_machine_desc.c
tests_unit_test_machine_desc_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_desc_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_desc_LDADD = $(VMM_MACHINE_LIBS)
tests_unit_test_machine_qmp_SOURCES = tests/unit/test_machine_qmp.c
tests_unit_test_machine_qmp_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_machine_qmp_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_machine_qmp_LDADD = $(VMM_MACHINE_LIBS)
TESTS += tests/unit/test_machine_boot tests/unit/test_machine_acpi tests/unit/test_machine_pci \
	tests/unit/test_machine_desc tests/unit/test_machine_qmp tests/unit/test_machine_watchdog tests/unit/test_machine_ioapic \
	tests/unit/test_cpuid tests/unit/test_dump tests/unit/test_dirty_rate

# The QMP schema against the sources.
TESTS += tests/unit/test_qmp_schema.py
EXTRA_DIST += tests/unit/test_qmp_schema.py src/common/qmp.schema.json

# Corpora are replayed here; --enable-fuzzers builds the fuzzers themselves.
check_PROGRAMS += tests/fuzz/replay_fuzz_vmm_kernel tests/fuzz/replay_fuzz_vmm_desc tests/fuzz/replay_fuzz_vmm_qmp \
	tests/fuzz/replay_fuzz_vmm_registers
tests_fuzz_replay_fuzz_vmm_kernel_SOURCES = tests/fuzz/fuzz_vmm_kernel.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_vmm_kernel_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_replay_fuzz_vmm_kernel_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_replay_fuzz_vmm_kernel_LDADD = $(VMM_MACHINE_LIBS)
tests_fuzz_replay_fuzz_vmm_desc_SOURCES = tests/fuzz/fuzz_vmm_desc.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_vmm_desc_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_replay_fuzz_vmm_desc_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_replay_fuzz_vmm_desc_LDADD = $(VMM_MACHINE_LIBS)
tests_fuzz_replay_fuzz_vmm_qmp_SOURCES = tests/fuzz/fuzz_vmm_qmp.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_vmm_qmp_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_replay_fuzz_vmm_qmp_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_replay_fuzz_vmm_qmp_LDADD = $(VMM_MACHINE_LIBS)
tests_fuzz_replay_fuzz_vmm_registers_SOURCES = tests/fuzz/fuzz_vmm_registers.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_vmm_registers_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_replay_fuzz_vmm_registers_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_replay_fuzz_vmm_registers_LDADD = $(VMM_MACHINE_LIBS)
TESTS += tests/fuzz/replay_fuzz_vmm_kernel tests/fuzz/replay_fuzz_vmm_desc tests/fuzz/replay_fuzz_vmm_qmp \
	tests/fuzz/replay_fuzz_vmm_registers
EXTRA_DIST += tests/fuzz/corpus/vmm_kernel tests/fuzz/corpus/vmm_desc tests/fuzz/corpus/vmm_qmp \
	tests/fuzz/corpus/vmm_registers
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_vmm_kernel tests/fuzz/fuzz_vmm_desc tests/fuzz/fuzz_vmm_qmp tests/fuzz/fuzz_vmm_registers
tests_fuzz_fuzz_vmm_kernel_SOURCES = tests/fuzz/fuzz_vmm_kernel.c tests/lib/fake_machine.c
tests_fuzz_fuzz_vmm_kernel_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_vmm_kernel_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_fuzz_vmm_kernel_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vmm_kernel_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_vmm_desc_SOURCES = tests/fuzz/fuzz_vmm_desc.c tests/lib/fake_machine.c
tests_fuzz_fuzz_vmm_desc_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_vmm_desc_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_fuzz_vmm_desc_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vmm_desc_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_vmm_qmp_SOURCES = tests/fuzz/fuzz_vmm_qmp.c tests/lib/fake_machine.c
tests_fuzz_fuzz_vmm_qmp_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_vmm_qmp_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_fuzz_vmm_qmp_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vmm_qmp_LDADD = $(VMM_DEVICE_LIBS)
tests_fuzz_fuzz_vmm_registers_SOURCES = tests/fuzz/fuzz_vmm_registers.c tests/lib/fake_machine.c
tests_fuzz_fuzz_vmm_registers_CFLAGS = $(VMM_CFLAGS)
tests_fuzz_fuzz_vmm_registers_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_fuzz_fuzz_vmm_registers_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vmm_registers_LDADD = $(VMM_DEVICE_LIBS)
endif

# The sandbox is part of the program, not of the library.
check_PROGRAMS += tests/unit/test_sandbox
tests_unit_test_sandbox_SOURCES = tests/unit/test_sandbox.c src/vmm/sandbox.c
nodist_tests_unit_test_sandbox_SOURCES = src/vmm/seccomp_filters.h
tests_unit_test_sandbox_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_sandbox_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_sandbox_LDADD = $(VMM_MACHINE_LIBS)
src/vmm/tests_unit_test_sandbox-sandbox.$(OBJEXT): src/vmm/seccomp_filters.h
TESTS += tests/unit/test_sandbox

# So is the command line.
check_PROGRAMS += tests/unit/test_vmm_options
tests_unit_test_vmm_options_SOURCES = tests/unit/test_vmm_options.c src/vmm/options.c src/vmm/options_devices.c
tests_unit_test_vmm_options_CFLAGS = $(VMM_CFLAGS)
tests_unit_test_vmm_options_CPPFLAGS = $(VMM_TEST_CPPFLAGS)
tests_unit_test_vmm_options_LDADD = $(VMM_MACHINE_LIBS)
TESTS += tests/unit/test_vmm_options
