# make check: no root, no KVM, no network, about a minute. One .mk a layer, so that nobody edits another's.
include tests/unit/common.mk
include tests/unit/rpc.mk
include tests/unit/host.mk
include tests/unit/conf.mk
include tests/unit/device.mk
include tests/unit/backend.mk
include tests/unit/domain.mk
include tests/unit/pools.mk
include tests/unit/storage.mk
include tests/unit/vmm.mk
include tests/unit/vmm_devices.mk
include tests/unit/vmm_memory_devices.mk
include tests/unit/vmm_machine.mk
include tests/guest/local.mk
include tests/lab/local.mk

include tests/root.mk

EXTRA_DIST += %D%/lib/tap.h %D%/fuzz/replay_main.c

TESTS += tools/dev/check-includes.sh tools/dev/check-style.sh
