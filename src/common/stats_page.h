/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The statistics page: shared memory that kite-vmm writes and the daemon reads without asking, so that
 * statistics of a stopped or stuck VM cost nothing. This header is its published layout; the daemon may
 * include it.
 *
 * All fields are little-endian and naturally aligned; counters only grow, each is written by one thread with
 * relaxed 64-bit stores, so a reader sees each counter whole. Records are appended, never moved: a reader
 * reads `count` with acquire order and then that many records. A record whose id is empty was removed and may
 * be used again.
 *
 *   0            StatsPage header
 *   vcpu_offset  StatsVcpu[vcpu_max]
 *   block_offset StatsBlock[block_max]
 *   net_offset   StatsNet[net_max]
 *   iothread_offset StatsIothread[iothread_max]
 */
#pragma once

#include <stdint.h>

#define STATS_PAGE_MAGIC 0x7374734574694bull /* "KitEsts" */
#define STATS_PAGE_VERSION 4
#define STATS_ID_LEN 64
#define STATS_VCPUS 256
#define STATS_BLOCKS 64
#define STATS_NETS 32
#define STATS_IOTHREADS 64

typedef struct StatsVcpu {
    uint64_t online; /* 1 while the vCPU exists */
    uint64_t tid; /* kernel thread id: time and wait come from /proc/PID/task/TID/schedstat */
    uint64_t exits; /* returns from KVM_RUN */
    uint64_t pio_exits, mmio_exits, halt_exits;
    uint64_t halted; /* 1 while it waits in HLT in user space */
    uint64_t reserved;
} StatsVcpu;

enum { STATS_IO_READ, STATS_IO_WRITE, STATS_IO_FLUSH, STATS_IO_DISCARD, STATS_IO_KINDS };

typedef struct StatsBlock {
    char id[STATS_ID_LEN]; /* device id (alias) */
    uint64_t requests[STATS_IO_KINDS]; /* completed */
    uint64_t bytes[STATS_IO_KINDS];
    uint64_t time_ns[STATS_IO_KINDS]; /* sum of request durations */
    uint64_t errors[STATS_IO_KINDS];
    uint64_t capacity; /* bytes the guest sees */
    uint64_t wr_highest; /* highest byte written, QEMU's wr_highest_offset */
    uint64_t io_error; /* errno of what stopped the VM; counts while run_state is io-error */
    uint64_t write_end; /* highest byte written to the image's file, metadata included; of raw images wr_highest */
    uint64_t write_threshold; /* bytes into the image's file; 0: none, or it was passed */
} StatsBlock;

typedef struct StatsNet {
    char id[STATS_ID_LEN];
    uint64_t rx_bytes, rx_packets, rx_errors, rx_drops; /* as the guest sees it: rx = into the guest */
    uint64_t tx_bytes, tx_packets, tx_errors, tx_drops;
} StatsNet;

typedef struct StatsIothread {
    char id[STATS_ID_LEN];
    uint64_t tid; /* 0: does not run yet */
    uint64_t poll_max_ns, poll_grow, poll_shrink;
} StatsIothread;

/* Run states by number, those that readers look at. */
enum { STATS_RUN_IO_ERROR = 4 };

/* Memory statistics, bytes or events; UINT64_MAX when the guest has not said (virtio 1.2, 5.5.6.3). */
typedef struct StatsBalloon {
    uint64_t actual; /* bytes the guest has now */
    uint64_t target; /* bytes it was asked to have */
    uint64_t last_update; /* CLOCK_REALTIME seconds of the last statistics; 0 never */
    uint64_t swap_in, swap_out, major_faults, minor_faults, free, total, available, disk_caches,
        hugetlb_alloc, hugetlb_fail;
    uint64_t reported; /* bytes given back by free page reporting, ever */
    uint64_t reserved[4];
} StatsBalloon;

/* The last measurement of how fast memory is written (vmm/dirty_rate.h has the numbers' meaning); state is stored last. */
typedef struct StatsDirtyRate {
    uint64_t state, mode;
    uint64_t start, seconds;
    uint64_t rate; /* MiB a second */
    uint64_t reserved[3];
} StatsDirtyRate;

typedef struct StatsPage {
    uint64_t magic;
    uint32_t version;
    uint32_t size; /* bytes of the whole mapping */
    uint32_t vcpu_offset, vcpu_max;
    uint32_t block_offset, block_max;
    uint32_t net_offset, net_max;
    uint32_t vcpu_count, block_count, net_count; /* records in use or used once */
    uint32_t run_state; /* index into QEMU's run states as machine.h numbers them */
    uint64_t start_ns; /* CLOCK_REALTIME at creation */
    uint64_t guest_ram; /* bytes at boot */
    StatsBalloon balloon;
    uint32_t iothread_offset, iothread_max, iothread_count, reserved;
    StatsDirtyRate dirty_rate;
} StatsPage;
