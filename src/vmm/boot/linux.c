/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux kernels. bzImage: "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot.rst), setup header 2.12
 * and later, 64-bit entry at 0x200. ELF: PVH entry note XEN_ELFNOTE_PHYS32_ENTRY and struct hvm_start_info
 * (Xen, public/elfnote.h and arch-x86/hvm/start_info.h). Zero page: Documentation/arch/x86/zero-page.rst.
 *
 * #syscalls pread64 fstat lseek
 */
#include "vmm/boot/linux.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/layout.h"

#define SETUP_START 0x1f1
#define NOTES_MAX 65536
#define KERNEL_MAX (1ull << 30)

static int read_at(int fd, uint64_t offset, void *buffer, uint64_t len)
{
    uint8_t *at = buffer;

    while (len > 0) {
        ssize_t n = pread(fd, at, MIN(len, 1u << 30), (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        at += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static uint64_t field(const uint8_t *base, unsigned offset, unsigned len)
{
    uint64_t v = 0;

    memcpy(&v, base + offset, len);
    return v;
}

static void put(uint8_t *base, unsigned offset, uint64_t value, unsigned len)
{
    memcpy(base + offset, &value, len);
}

/* --- bzImage
 * -------------------------------------------------------------------------------------------------- */

static int open_bzimage(LinuxKernel *k, const uint8_t *head, uint64_t size, uint64_t low_ram, Err *err)
{
    unsigned version = (unsigned)field(head, 0x206, 2), setup_sects = head[0x1f1] ? head[0x1f1] : 4;
    unsigned header_end = 0x202u + head[0x201];
    uint64_t setup = (setup_sects + 1) * 512ull, body = field(head, 0x1f4, 4) * 16ull, init_size, address,
             align;

    if (version < 0x20c || !(field(head, 0x236, 2) & 1))
        return err_set(
            err, ENOEXEC,
            "the kernel cannot be entered in 64-bit mode (boot protocol %u.%02u); a 64-bit kernel of 3.8 or "
            "later is needed",
            version >> 8, version & 0xff);
    if (body == 0)
        return err_set(err, ENOEXEC, "the kernel has a header and nothing behind it");
    if (setup >= size || body > size - setup) {
        /* What follows the setup part must be there; padding of the last paragraph need not. */
        if (setup >= size || body - MIN(body, 15) > size - setup)
            return err_set(err, ENOEXEC, "the kernel is truncated: %" PRIu64 " bytes instead of %" PRIu64,
                           size, setup + body);
        body = size - setup;
    }
    init_size = field(head, 0x260, 4);
    address = field(head, 0x258, 8);
    align = field(head, 0x230, 4);
    if (init_size < body)
        init_size = body;
    if (address < HIGH_MEMORY || address >= 1ull << 40 || address % 4096 != 0)
        return err_set(err, ENOEXEC, "the kernel wants to be loaded at 0x%" PRIx64 ", which cannot be",
                       address);
    if (address + init_size > low_ram && head[0x234] != 0 && align != 0 && align <= 1u << 30 &&
        (align & (align - 1)) == 0)
        address = ALIGN_UP(HIGH_MEMORY, align); /* relocatable: as low as it goes */
    if (address + init_size > low_ram)
        return err_set(err, E2BIG,
                       "the kernel needs %" PRIu64 " MiB of memory, the guest has %" PRIu64
                       " MiB below 3 GiB",
                       (address + init_size + 0xfffff) >> 20, low_ram >> 20);
    k->mode = BOOT_LINUX64;
    k->entry = address + 0x200;
    k->segments[0] =
        (LinuxSegment){.file_offset = setup, .file_size = body, .address = address, .memory_size = body};
    k->segment_count = 1;
    k->low = address;
    k->high = address + init_size;
    k->header_len = MIN(header_end, 0x290u) - SETUP_START;
    memcpy(k->header, head + SETUP_START, k->header_len);
    k->initrd_max = field(head, 0x22c, 4);
    if (strlen(k->cmdline) > field(head, 0x238, 4))
        return err_set(err, E2BIG, "the kernel takes a command line of %" PRIu64 " bytes, it has %zu",
                       field(head, 0x238, 4), strlen(k->cmdline));
    return 0;
}

/* --- ELF
 * ------------------------------------------------------------------------------------------------------ */

static int find_pvh_note(LinuxKernel *k, const uint8_t *notes, uint64_t len, unsigned align)
{
    uint64_t at = 0;

    if (align != 4 && align != 8)
        align = 4;
    while (len - at >= 12) {
        uint64_t name_size = field(notes + at, 0, 4), desc_size = field(notes + at, 4, 4),
                 type = field(notes + at, 8, 4);
        uint64_t name_at = at + 12, desc_at, end;

        if (name_size > len || desc_size > len)
            break;
        desc_at = ALIGN_UP(name_at + name_size, align);
        end = desc_at + desc_size;
        if (end > len)
            break;
        if (type == 18 && name_size == 4 && memcmp(notes + name_at, "Xen", 4) == 0 && desc_size >= 4) {
            k->entry = field(notes + desc_at, 0, 4);
            if (desc_size >= 8)
                k->entry = field(notes + desc_at, 0, 8);
            return 1;
        }
        at = ALIGN_UP(end, align);
        if (at > len)
            break;
    }
    return 0;
}

static int add_segment(LinuxKernel *k, const Elf64_Phdr *ph, uint64_t size, uint64_t low_ram, Err *err)
{
    if (ph->p_memsz == 0)
        return 0;
    if (k->segment_count == LINUX_SEGMENTS_MAX)
        return err_set(err, ENOEXEC, "the kernel has more than %d segments", LINUX_SEGMENTS_MAX);
    if (ph->p_filesz > ph->p_memsz || !range_inside(ph->p_offset, ph->p_filesz, size))
        return err_set(err, ENOEXEC, "the kernel is truncated: a segment lies beyond its %" PRIu64 " bytes",
                       size);
    if (ph->p_paddr < HIGH_MEMORY)
        return err_set(err, ENOEXEC, "the kernel wants to be loaded at 0x%" PRIx64 ", below 1 MiB",
                       ph->p_paddr);
    if (!range_inside(ph->p_paddr, ph->p_memsz, low_ram))
        return err_set(err, E2BIG,
                       "the kernel needs %" PRIu64 " KiB of memory at 0x%" PRIx64 ", the guest has %" PRIu64
                       " MiB below 3 GiB",
                       (ph->p_memsz + 1023) >> 10, ph->p_paddr, low_ram >> 20);
    for (unsigned i = 0; i < k->segment_count; i++) {
        const LinuxSegment *other = &k->segments[i];

        if (ph->p_paddr < other->address + other->memory_size && other->address < ph->p_paddr + ph->p_memsz)
            return err_set(err, ENOEXEC, "two segments of the kernel want to be at 0x%" PRIx64,
                           MAX(ph->p_paddr, other->address));
    }
    k->segments[k->segment_count++] = (LinuxSegment){.file_offset = ph->p_offset,
                                                     .file_size = ph->p_filesz,
                                                     .address = ph->p_paddr,
                                                     .memory_size = ph->p_memsz};
    k->low = MIN(k->low, ph->p_paddr);
    k->high = MAX(k->high, ph->p_paddr + ph->p_memsz);
    return 0;
}

static int open_elf(LinuxKernel *k, const uint8_t *head, uint64_t size, uint64_t low_ram, Err *err)
{
    bool wide = head[EI_CLASS] == ELFCLASS64, found = false;
    Elf64_Ehdr eh;
    int r;

    if (head[EI_DATA] != ELFDATA2LSB || (!wide && head[EI_CLASS] != ELFCLASS32))
        return err_set(err, ENOEXEC, "the kernel is an ELF file for another machine");
    if (wide) {
        memcpy(&eh, head, sizeof eh);
    } else {
        Elf32_Ehdr narrow;

        memcpy(&narrow, head, sizeof narrow);
        eh = (Elf64_Ehdr){.e_type = narrow.e_type,
                          .e_machine = narrow.e_machine,
                          .e_phoff = narrow.e_phoff,
                          .e_phnum = narrow.e_phnum,
                          .e_phentsize = narrow.e_phentsize};
    }
    if (eh.e_machine != EM_X86_64 && eh.e_machine != EM_386)
        return err_set(err, ENOEXEC, "the kernel is an ELF file for another machine (%u), not x86-64",
                       eh.e_machine);
    if (eh.e_phentsize != (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || eh.e_phnum == 0 ||
        eh.e_phnum > 64 || !range_inside(eh.e_phoff, (uint64_t)eh.e_phnum * eh.e_phentsize, size))
        return err_set(err, ENOEXEC, "the kernel is truncated or has no program headers");
    k->low = UINT64_MAX;
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        if (wide) {
            r = read_at(k->kernel_fd, eh.e_phoff + i * sizeof ph, &ph, sizeof ph);
        } else {
            Elf32_Phdr p;

            r = read_at(k->kernel_fd, eh.e_phoff + i * sizeof p, &p, sizeof p);
            ph = (Elf64_Phdr){.p_type = p.p_type,
                              .p_offset = p.p_offset,
                              .p_paddr = p.p_paddr,
                              .p_filesz = p.p_filesz,
                              .p_memsz = p.p_memsz,
                              .p_align = p.p_align};
        }
        if (r < 0)
            return err_set(err, -r, "cannot read the kernel: %s", strerror(-r));
        if (ph.p_type == PT_LOAD) {
            r = add_segment(k, &ph, size, low_ram, err);
            if (r < 0)
                return r;
        } else if (ph.p_type == PT_NOTE && !found && ph.p_filesz <= NOTES_MAX &&
                   range_inside(ph.p_offset, ph.p_filesz, size)) {
            uint8_t *notes = malloc(ph.p_filesz ? ph.p_filesz : 1);

            if (notes == NULL)
                return err_set(err, ENOMEM, "out of memory");
            if (read_at(k->kernel_fd, ph.p_offset, notes, ph.p_filesz) == 0)
                found = find_pvh_note(k, notes, ph.p_filesz, (unsigned)MIN(ph.p_align, 64)) == 1;
            free(notes);
        }
    }
    if (!found)
        return err_set(err, ENOEXEC,
                       "the kernel is an ELF file without a PVH entry (CONFIG_PVH); use its bzImage");
    if (k->segment_count == 0 || k->entry < k->low || k->entry >= k->high)
        return err_set(err, ENOEXEC, "the kernel's PVH entry 0x%" PRIx64 " lies outside of it", k->entry);
    k->mode = BOOT_PVH;
    k->initrd_max = UINT32_MAX;
    return 0;
}

/* --- opening
 * -------------------------------------------------------------------------------------------------- */

static int file_size(int fd, const char *what, uint64_t *ret, Err *err)
{
    struct stat st;
    off_t end;

    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "cannot read the %s: %s", what, strerror(errno));
    if (S_ISREG(st.st_mode)) {
        *ret = (uint64_t)st.st_size;
        return 0;
    }
    if (!S_ISBLK(st.st_mode))
        return err_set(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "the %s is no file, but a %s", what,
                       S_ISDIR(st.st_mode) ? "folder" : "device or pipe");
    end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return err_set(err, errno, "cannot read the %s: %s", what, strerror(errno));
    *ret = (uint64_t)end;
    return 0;
}

/* Where the initrd goes: as high as the kernel takes it, on a page of its own. 0: no room. */
static uint64_t initrd_address(const LinuxKernel *k, uint64_t low_ram)
{
    uint64_t top = MIN(low_ram, k->initrd_max + 1);
    uint64_t at;

    if (k->initrd_size > top)
        return 0;
    at = ALIGN_DOWN(top - k->initrd_size, 4096ull);
    return at >= ALIGN_UP(k->high, 4096ull) ? at : 0;
}

int linux_open(int kernel_fd, int initrd_fd, const char *cmdline, uint64_t memory_bytes, LinuxKernel *ret,
               Err *err)
{
    uint64_t size, low_ram = MIN(memory_bytes, MEMORY_LOW_MAX);
    uint8_t head[0x290] = {0};
    int r;

    memset(ret, 0, sizeof *ret);
    ret->kernel_fd = kernel_fd;
    ret->initrd_fd = initrd_fd;
    r = file_size(kernel_fd, "kernel", &size, err);
    if (r < 0)
        return r;
    if (size < sizeof head || size > KERNEL_MAX)
        return err_set(err, ENOEXEC, "the kernel has %" PRIu64 " bytes: no kernel is that %s", size,
                       size < sizeof head ? "short" : "long");
    r = read_at(kernel_fd, 0, head, sizeof head);
    if (r < 0)
        return err_set(err, -r, "cannot read the kernel: %s", strerror(-r));
    ret->cmdline = strdup(cmdline ? cmdline : "");
    if (ret->cmdline == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (strlen(ret->cmdline) >= CMDLINE_MAX)
        r = err_set(err, E2BIG, "the kernel command line is longer than %u bytes", CMDLINE_MAX - 1);
    else if (memcmp(head, ELFMAG, SELFMAG) == 0)
        r = open_elf(ret, head, size, low_ram, err);
    else if (field(head, 0x1fe, 2) == 0xaa55 && memcmp(head + 0x202, "HdrS", 4) == 0)
        r = open_bzimage(ret, head, size, low_ram, err);
    else
        r = err_set(err, ENOEXEC, "the kernel is neither a Linux bzImage nor an ELF file for x86-64");
    if (r == 0 && initrd_fd >= 0) {
        r = file_size(initrd_fd, "initrd", &ret->initrd_size, err);
        if (r == 0 && ret->initrd_size != 0 && initrd_address(ret, low_ram) == 0)
            r = err_set(err, E2BIG,
                        "the initrd of %" PRIu64 " MiB does not fit into the guest's %" PRIu64
                        " MiB of memory",
                        ret->initrd_size >> 20, memory_bytes >> 20);
    }
    if (r < 0)
        linux_close(ret);
    return r;
}

void linux_close(LinuxKernel *kernel)
{
    free(kernel->cmdline);
    kernel->cmdline = NULL;
}

/* --- loading
 * -------------------------------------------------------------------------------------------------- */

unsigned linux_memory_map(const GuestMemory *memory, E820Entry *ret, unsigned max)
{
    uint64_t size = memory_size(memory), low = MIN(size, MEMORY_LOW_MAX);
    E820Entry map[] = {
        {0, LOW_RAM_END, 1},
        {LOW_RAM_END, 0xa0000 - LOW_RAM_END, 2},
        {ACPI_ADDRESS, HIGH_MEMORY - ACPI_ADDRESS, 2},
        {HIGH_MEMORY, low > HIGH_MEMORY ? low - HIGH_MEMORY : 0, 1},
        {PCI_ECAM_BASE, (uint64_t)PCI_BUSES << 20, 2},
        {MEMORY_HIGH_BASE, size - low, 1},
    };
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(map) && n < max; i++) {
        if (map[i].size != 0)
            ret[n++] = map[i];
    }
    return n;
}

static int load_boot_params(const LinuxKernel *k, GuestMemory *memory, uint64_t rsdp, uint64_t initrd,
                            Err *err)
{
    uint8_t *zero = memory_at(memory, BOOT_PARAMS_ADDRESS, 4096);
    E820Entry map[E820_MAX];
    unsigned n = linux_memory_map(memory, map, E820_MAX);

    if (zero == NULL)
        return err_set(err, ENOMEM, "guest memory is too small to boot a kernel");
    memset(zero, 0, 4096);
    memcpy(zero + SETUP_START, k->header, k->header_len);
    put(zero, 0x1fa, 0xffff, 2); /* vid_mode: normal */
    zero[0x210] = 0xff; /* type_of_loader: none of the registered ones */
    zero[0x211] |= 1; /* loadflags: LOADED_HIGH */
    put(zero, 0x218, (uint32_t)initrd, 4); /* ramdisk_image, _size and their upper halves */
    put(zero, 0x21c, (uint32_t)k->initrd_size, 4);
    put(zero, 0x0c0, initrd >> 32, 4);
    put(zero, 0x0c4, k->initrd_size >> 32, 4);
    put(zero, 0x228, CMDLINE_ADDRESS, 4); /* cmd_line_ptr */
    put(zero, 0x070, rsdp, 8); /* acpi_rsdp_addr */
    zero[0x1e8] = (uint8_t)n; /* e820_entries, e820_table */
    for (unsigned i = 0; i < n; i++) {
        put(zero, 0x2d0 + 20 * i, map[i].address, 8);
        put(zero, 0x2d8 + 20 * i, map[i].size, 8);
        put(zero, 0x2e0 + 20 * i, map[i].type, 4);
    }
    return 0;
}

static int load_start_info(const LinuxKernel *k, GuestMemory *memory, uint64_t rsdp, uint64_t initrd,
                           Err *err)
{
    uint8_t *info = memory_at(memory, PVH_INFO_ADDRESS, 4096);
    E820Entry map[E820_MAX];
    unsigned n = linux_memory_map(memory, map, E820_MAX);
    const unsigned modules = 64, entries = 128; /* offsets behind the start info */

    if (info == NULL)
        return err_set(err, ENOMEM, "guest memory is too small to boot a kernel");
    memset(info, 0, 4096);
    put(info, 0, 0x336ec578, 4); /* magic, version */
    put(info, 4, 1, 4);
    if (initrd != 0) {
        put(info, 12, 1, 4); /* nr_modules, modlist_paddr */
        put(info, 16, PVH_INFO_ADDRESS + modules, 8);
        put(info, modules, initrd, 8);
        put(info, modules + 8, k->initrd_size, 8);
    }
    put(info, 24, CMDLINE_ADDRESS, 8);
    put(info, 32, rsdp, 8);
    put(info, 40, PVH_INFO_ADDRESS + entries, 8); /* memmap_paddr, memmap_entries */
    put(info, 48, n, 4);
    for (unsigned i = 0; i < n; i++) {
        put(info, entries + 24 * i, map[i].address, 8);
        put(info, entries + 24 * i + 8, map[i].size, 8);
        put(info, entries + 24 * i + 16, map[i].type, 4);
    }
    return 0;
}

int linux_load(const LinuxKernel *k, GuestMemory *memory, uint64_t rsdp, BootEntry *ret, Err *err)
{
    uint64_t initrd = 0;
    int r;

    for (unsigned i = 0; i < k->segment_count; i++) {
        const LinuxSegment *s = &k->segments[i];
        uint8_t *at = memory_at(memory, s->address, s->memory_size);

        if (at == NULL)
            return err_set(err, E2BIG, "the kernel does not fit into the guest's memory");
        r = s->file_size ? read_at(k->kernel_fd, s->file_offset, at, s->file_size) : 0;
        if (r < 0)
            return err_set(err, -r, "cannot read the kernel: %s",
                           r == -ENODATA ? "it became shorter" : strerror(-r));
        memset(at + s->file_size, 0, s->memory_size - s->file_size);
    }
    if (k->initrd_fd >= 0 && k->initrd_size > 0) {
        initrd = initrd_address(k, MIN(memory_size(memory), MEMORY_LOW_MAX));
        r = initrd != 0 ? read_at(k->initrd_fd, 0, memory_at(memory, initrd, k->initrd_size), k->initrd_size)
                        : -E2BIG;
        if (r < 0)
            return err_set(err, -r, "cannot read the initrd: %s",
                           r == -ENODATA ? "it became shorter" : strerror(-r));
    }
    if (memory_write(memory, CMDLINE_ADDRESS, k->cmdline, strlen(k->cmdline) + 1) < 0)
        return err_set(err, ENOMEM, "guest memory is too small to boot a kernel");
    r = k->mode == BOOT_LINUX64 ? load_boot_params(k, memory, rsdp, initrd, err)
                                : load_start_info(k, memory, rsdp, initrd, err);
    if (r < 0)
        return r;
    *ret = (BootEntry){
        .mode = k->mode,
        .address = k->entry,
        .info = k->mode == BOOT_LINUX64 ? BOOT_PARAMS_ADDRESS : PVH_INFO_ADDRESS,
    };
    return 0;
}
