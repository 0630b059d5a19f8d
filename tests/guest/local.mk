# Freestanding guests and the tests that run them on a working /dev/kvm: make check-kvm.
EXTRA_DIST += %D%/entry.S %D%/guest.c %D%/devices.h %D%/guest.ld %D%/check_kvm.py
CLEANFILES += tests/guest/test-guest.elf

tests/guest/test-guest.elf: $(srcdir)/tests/guest/entry.S $(srcdir)/tests/guest/guest.c $(srcdir)/tests/guest/devices.h \
		$(srcdir)/tests/guest/guest.ld
	$(AM_V_CCLD)$(MKDIR_P) tests/guest && $(CC) -std=gnu11 -m64 -O2 -ffreestanding -fno-pie -no-pie -nostdlib -static \
		-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
		-Wl,-T,$(srcdir)/tests/guest/guest.ld -Wl,--build-id=none -Wl,-z,noexecstack -o $@ \
		$(srcdir)/tests/guest/entry.S $(srcdir)/tests/guest/guest.c

PHONY_TARGETS += check-kvm
check-kvm: kite-vmm tests/guest/test-guest.elf
	$(MAKE) check-TESTS TESTS=tests/guest/check_kvm.py TEST_SUITE_LOG=check-kvm.log
