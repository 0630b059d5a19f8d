# The nested lab: KVM inside QEMU TCG, kite-vmm inside that, an unmodified Debian kernel inside kite-vmm.
LAB_TESTS = tests/lab/test_system.sh tests/lab/test_stack.sh tests/lab/test_disks.sh tests/lab/test_memory.sh \
	tests/lab/test_net.sh
EXTRA_DIST += $(LAB_TESTS) tests/lab/check.sh tests/lab/run.sh tests/lab/lib.sh tests/lab/outer-init tests/lab/inner-init \
	tests/lab/job-boot tests/lab/job-memory tests/lab/job-disks tests/lab/job-net tests/lab/job-system \
	tests/lab/job-stack tests/lab/lab.target tests/lab/lab-job.service \
	tests/lab/stack.py tests/lab/bench_lab.py tests/lib/mkdebian.sh

EXTRA_PROGRAMS += tests/lab/qmp_pipe tests/lab/vsock_probe tests/lab/disk_load
tests_lab_qmp_pipe_SOURCES = tests/lab/qmp_pipe.c
tests_lab_qmp_pipe_LDFLAGS = $(AM_LDFLAGS) -static
tests_lab_vsock_probe_SOURCES = tests/lab/vsock_probe.c
tests_lab_vsock_probe_LDFLAGS = $(AM_LDFLAGS) -static

tests_lab_disk_load_SOURCES = tests/lab/disk_load.c

tests_lab_disk_load_LDFLAGS = $(AM_LDFLAGS) -static -pthread

LAB_BINARIES = tests/lab/qmp_pipe tests/lab/vsock_probe tests/lab/disk_load

CLEANFILES += $(LAB_BINARIES)

check-lab: kite-vmm $(LAB_BINARIES) stage
	-$(MAKE) test-guest tests/guest/test-guest.elf
	-bash '$(srcdir)/tests/lib/mkdebian.sh' '$(abs_top_builddir)/test-guest'
	$(MAKE) check-TESTS TESTS='$(LAB_TESTS)' TEST_SUITE_LOG=check-lab.log

# The same kernel under kite-vmm, kvmtool and QEMU in the lab. KITE_BENCH_KVMTOOL: path of an lkvm.
bench-lab: kite-vmm $(LAB_BINARIES) stage
	LAB_TIMEOUT=3000 LAB_ENV="KITE_BENCH_KVMTOOL=$$KITE_BENCH_KVMTOOL LAB_RUNS=$${LAB_RUNS:-5}" \
		bash '$(srcdir)/tests/lab/run.sh' -r '$(srcdir)/tests/lab/bench_lab.py'

PHONY_TARGETS += check-lab bench-lab
