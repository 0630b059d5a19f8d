# Slower tests, each a make target of its own; all print TAP and skip what the machine cannot do.
#   check-root     real TCG Linux guests, namespaces, faults        (root)
#   check-interop  unmodified clients against our socket            (root)
#   check-kvm      freestanding guests on /dev/kvm                  (tests/guest/local.mk)
#   check-lab      nested KVM in QEMU TCG                           (tests/lab)
DEBIAN_PYTHON3 = /usr/bin/python3

ROOT_TESTS = \
	tests/root/test_cpu.py \
	tests/root/test_lifecycle.py \
	tests/root/test_faults.py \
	tests/root/test_stress.py \
	tests/root/test_scale.py \
	tests/root/test_devices.py \
	tests/root/test_firmware.py \
	tests/root/test_backends.py \
	tests/root/test_auth.py \
	tests/root/test_cgroup.py \
	tests/root/test_chains.py \
	tests/root/test_run_vm.py \
	tests/root/test_systemd.py \
	tests/root/test_vmm.py \
	tests/root/test_vmm_cpu.py \
	tests/root/test_vmm_devices.py \
	tests/root/test_vmm_calls.py \
	tests/root/test_vmm_host.py \
	tests/root/test_vmm_storage.py
INTEROP_TESTS = \
	tests/interop/test_virsh.py \
	tests/interop/test_python.py \
	tests/interop/test_sweep.py \
	tests/interop/test_session.py \
	tests/interop/test_virt_install.py \
	tests/interop/test_storage.py \
	tests/interop/test_go.py \
	tests/interop/test_dbus.py \
	tests/interop/test_virt_manager.py

EXTRA_DIST += $(ROOT_TESTS) $(INTEROP_TESTS) tests/interop/sweep_calls.py tests/interop/compare_xml.py tests/interop/accept_argv.py tests/lib/kitehost.py tests/lib/otherqemu.py tests/lib/systemdhost.py tests/lib/systemd-masked tests/lib/testcgroup.py tests/lib/vmmguest.py tests/lib/mkguest.sh tests/lib/guest-init.sh \
	tests/lib/pexpect_lite.py tests/bench/bench.py tests/bench/density.py tests/bench/vmm.py tests/run-all tests/interop/go/main.go

# A staged installation that the tests lay over /usr in a mount namespace.
stage: all
	rm -rf '$(abs_top_builddir)/stage'
	$(MAKE) install DESTDIR='$(abs_top_builddir)/stage' >/dev/null

# Real Linux guests, made before the tests enter a network of their own.
test-guest:
	bash '$(srcdir)/tests/lib/mkguest.sh' '$(abs_top_builddir)/test-guest' --agent

check-root: stage
	-$(MAKE) test-guest tests/guest/test-guest.elf
	$(MAKE) check-TESTS TESTS='$(ROOT_TESTS)' PY_LOG_COMPILER='$(DEBIAN_PYTHON3)' TEST_SUITE_LOG=check-root.log

# The whole daemon under load; of most worth in a build with sanitizers.
check-stress: stage
	-$(MAKE) tests/guest/test-guest.elf
	$(MAKE) check-TESTS TESTS=tests/root/test_stress.py PY_LOG_COMPILER='$(DEBIAN_PYTHON3)' TEST_SUITE_LOG=check-stress.log

check-interop: stage
	-$(MAKE) test-guest tests/guest/test-guest.elf
	$(MAKE) check-TESTS TESTS='$(INTEROP_TESTS)' PY_LOG_COMPILER='$(DEBIAN_PYTHON3)' TEST_SUITE_LOG=check-interop.log

bench: stage tests/guest/bench-guest.elf tests/bench/kvm_floor
	$(PYTHON) '$(srcdir)/tests/bench/vmm.py' ./kite-vmm tests/guest/bench-guest.elf tests/bench/kvm_floor
	$(DEBIAN_PYTHON3) '$(srcdir)/tests/bench/bench.py'

# 1,000 running VMs: some 4 GB of memory and a minute.
bench-density: stage tests/guest/test-guest.elf
	$(DEBIAN_PYTHON3) '$(srcdir)/tests/bench/density.py'

PHONY_TARGETS += stage test-guest check-root check-stress check-interop bench bench-density
