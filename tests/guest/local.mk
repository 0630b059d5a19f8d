# Freestanding guests and the tests that run them on a working /dev/kvm: make check-kvm.
EXTRA_DIST += %D%/entry.S %D%/guest.c %D%/devices.h %D%/guest.ld %D%/check_kvm.py
EXTRA_DIST += tests/bench/kvm_floor.c
CLEANFILES += tests/guest/test-guest.elf tests/guest/bench-guest.elf tests/bench/kvm_floor

GUEST_CODE = $(srcdir)/tests/guest/entry.S $(srcdir)/tests/guest/guest.c
GUEST_BUILD = $(MKDIR_P) tests/guest && $(CC) -std=gnu11 -m64 -O2 -ffreestanding -fno-pie -no-pie -nostdlib -static \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
	-Wl,-T,$(srcdir)/tests/guest/guest.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments
GUEST_FROM = $(GUEST_CODE) $(srcdir)/tests/guest/devices.h $(srcdir)/tests/guest/bench.h $(srcdir)/tests/guest/guest.ld
EXTRA_DIST += %D%/bench.h
tests/guest/test-guest.elf: $(GUEST_FROM)
	$(AM_V_CCLD)$(GUEST_BUILD) -o $@ $(GUEST_CODE)

# The same, but its very first instructions send a byte: when a guest begins.
tests/guest/bench-guest.elf: $(GUEST_FROM)
	$(AM_V_CCLD)$(GUEST_BUILD) -DFIRST_BYTE -o $@ $(GUEST_CODE)

tests/bench/kvm_floor: $(srcdir)/tests/bench/kvm_floor.c
	$(AM_V_CCLD)$(MKDIR_P) tests/bench && $(CC) -O2 -static -o $@ $(srcdir)/tests/bench/kvm_floor.c

KVM_TESTS = tests/guest/check_kvm.py
PHONY_TARGETS += check-kvm
check-kvm: kite-vmm tests/guest/test-guest.elf
	$(MAKE) check-TESTS TESTS='$(KVM_TESTS)' TEST_SUITE_LOG=check-kvm.log
