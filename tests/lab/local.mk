# The nested lab: KVM inside QEMU TCG, kite-vmm inside that, an unmodified Debian kernel inside kite-vmm.
LAB_TESTS = tests/lab/test_system.sh tests/lab/test_memory.sh
EXTRA_DIST += $(LAB_TESTS) tests/lab/check.sh tests/lab/run.sh tests/lab/lib.sh tests/lab/outer-init tests/lab/inner-init \
	tests/lab/job-boot tests/lab/job-memory tests/lab/job-disks tests/lab/job-net tests/lab/job-system

EXTRA_PROGRAMS += tests/lab/qmp_pipe tests/lab/vsock_probe
tests_lab_qmp_pipe_SOURCES = tests/lab/qmp_pipe.c
tests_lab_qmp_pipe_LDFLAGS = $(AM_LDFLAGS) -static
tests_lab_vsock_probe_SOURCES = tests/lab/vsock_probe.c
tests_lab_vsock_probe_LDFLAGS = $(AM_LDFLAGS) -static

CLEANFILES += tests/lab/qmp_pipe

check-lab: kite-vmm tests/lab/qmp_pipe tests/lab/vsock_probe
	-$(MAKE) test-guest
	$(MAKE) check-TESTS TESTS='$(LAB_TESTS)' TEST_SUITE_LOG=check-lab.log

PHONY_TARGETS += check-lab
