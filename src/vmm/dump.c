/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF core files of the guest. One PT_NOTE, then a PT_LOAD for each piece of RAM with its guest-physical address.
 *
 *   ELF header | program headers | notes | RAM ...
 *
 * RAM that nobody has touched makes holes, where the file can have some.
 *
 * #syscalls:main write lseek ftruncate fstat newfstatat
 */
#include "vmm/dump.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

#include "common/checked.h"

#define CHUNK (1u << 20)

int dump_write(int fd, const void *data, size_t size, Err *err)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, n < 0 ? errno : EIO, "dump: cannot write the file: %s", strerror(n < 0 ? errno : EIO));
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* --- notes --- */

typedef struct StateSegment {
    uint32_t selector, limit, flags, pad;
    uint64_t base;
} StateSegment;

/* The content of the note "QEMU", version 1 (target/i386/arch_dump.c there). */
typedef struct StateNote {
    uint32_t version, size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
    StateSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    uint64_t cr[5], kernel_gs_base;
} StateNote;
_Static_assert(sizeof(StateNote) == 8 + 18 * 8 + 10 * 24 + 6 * 8, "no holes");

static const char core_name[8] = "CORE", state_name[8] = "QEMU";
enum { NAME_SIZE = 5 }; /* with the NUL; padded to 8 */

typedef struct CoreNote {
    Elf64_Nhdr head;
    char name[8];
    struct elf_prstatus status;
} __attribute__((packed)) CoreNote;

typedef struct QemuNote {
    Elf64_Nhdr head;
    char name[8];
    StateNote state;
} __attribute__((packed)) QemuNote;

static void fill_core(const VcpuState *cpu, unsigned number, CoreNote *ret)
{
    const struct kvm_regs *r = &cpu->regs;
    const struct kvm_sregs *s = &cpu->sregs;
    const struct user_regs_struct regs = {
        .rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi,
        .rsp = r->rsp, .rbp = r->rbp, .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
        .r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15, .rip = r->rip, .eflags = r->rflags,
        .cs = s->cs.selector, .ss = s->ss.selector, .ds = s->ds.selector, .es = s->es.selector,
        .fs = s->fs.selector, .gs = s->gs.selector, .fs_base = s->fs.base, .gs_base = s->gs.base,
    };

    struct elf_prstatus status = {.pr_pid = (int)number + 1};

    _Static_assert(sizeof regs == sizeof status.pr_reg, "the same registers");
    memcpy(&status.pr_reg, &regs, sizeof regs);
    *ret = (CoreNote){.head = {.n_namesz = NAME_SIZE, .n_descsz = sizeof status, .n_type = NT_PRSTATUS}, .status = status};
    memcpy(ret->name, core_name, sizeof ret->name);
}

/* Flags stand where the second word of a descriptor has them. */
static StateSegment segment(const struct kvm_segment *s)
{
    return (StateSegment){
        .selector = s->selector,
        .limit = s->limit,
        .flags = (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 | (uint32_t)s->present << 15 |
                 (uint32_t)s->avl << 20 | (uint32_t)s->l << 21 | (uint32_t)s->db << 22 | (uint32_t)s->g << 23,
        .base = s->base,
    };
}

static void fill_state(const VcpuState *cpu, QemuNote *ret)
{
    const struct kvm_regs *r = &cpu->regs;
    const struct kvm_sregs *s = &cpu->sregs;

    *ret = (QemuNote){.head = {.n_namesz = NAME_SIZE, .n_descsz = sizeof ret->state}};
    memcpy(ret->name, state_name, sizeof ret->name);
    ret->state = (StateNote){
        .version = 1, .size = sizeof ret->state,
        .rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi,
        .rsp = r->rsp, .rbp = r->rbp, .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
        .r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15, .rip = r->rip, .rflags = r->rflags,
        .cs = segment(&s->cs), .ds = segment(&s->ds), .es = segment(&s->es), .fs = segment(&s->fs),
        .gs = segment(&s->gs), .ss = segment(&s->ss), .ldt = segment(&s->ldt), .tr = segment(&s->tr),
        .gdt = {.limit = s->gdt.limit, .base = s->gdt.base}, .idt = {.limit = s->idt.limit, .base = s->idt.base},
        .cr = {s->cr0, 0, s->cr2, s->cr3, s->cr4}, .kernel_gs_base = cpu->kernel_gs_base,
    };
}

int dump_notes(const DumpSource *source, void **ret, size_t *ret_size, Err *err)
{
    size_t size = source->cpu_count * (sizeof(CoreNote) + sizeof(QemuNote));
    char *notes = malloc(MAX(size, 1u)), *at = notes;

    if (notes == NULL)
        return err_set(err, ENOMEM, "dump: out of memory");
    for (unsigned i = 0; i < source->cpu_count; i++) {
        CoreNote note;

        fill_core(&source->cpus[i], i, &note);
        memcpy(at, &note, sizeof note);
        at += sizeof note;
    }
    for (unsigned i = 0; i < source->cpu_count; i++) {
        QemuNote note;

        fill_state(&source->cpus[i], &note);
        memcpy(at, &note, sizeof note);
        at += sizeof note;
    }
    *ret = notes;
    *ret_size = size;
    return 0;
}

/* --- the file --- */

typedef struct Output {
    int fd;
    bool holes; /* an ordinary file */
    Err *err;
} Output;

static bool is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int put_hole(const Output *out, uint64_t size)
{
    return lseek(out->fd, (off_t)size, SEEK_CUR) < 0
               ? err_set(out->err, errno, "dump: cannot move in the file: %s", strerror(errno))
               : 0;
}

static int put_data(const Output *out, const uint8_t *data, uint64_t size)
{
    int r = 0;

    for (uint64_t at = 0; at < size && r == 0; at += CHUNK) {
        size_t n = (size_t)MIN(size - at, (uint64_t)CHUNK);

        r = out->holes && is_zero(data + at, n) ? put_hole(out, n) : dump_write(out->fd, data + at, n, out->err);
    }
    return r;
}

/* Looking at a hole of shared memory would fill it: what the file behind it has not is not looked at. */
static int put_region(const Output *out, const MemoryRegion *region)
{
    uint64_t at = 0;
    int r = 0;

    if (region->fd < 0 || !out->holes)
        return put_data(out, region->host, region->size);
    while (at < region->size && r == 0) {
        off_t begin = lseek(region->fd, (off_t)(region->fd_offset + at), SEEK_DATA), end;
        uint64_t data, hole;

        if (begin < 0 && errno != ENXIO) /* it cannot tell */
            return put_data(out, region->host + at, region->size - at);
        data = begin < 0 ? region->size : MIN((uint64_t)begin - region->fd_offset, region->size);
        if (data > at)
            r = put_hole(out, data - at);
        if (data == region->size || r < 0)
            return r;
        end = lseek(region->fd, begin, SEEK_HOLE);
        hole = end < 0 ? region->size : MIN((uint64_t)end - region->fd_offset, region->size);
        r = put_data(out, region->host + data, hole - data);
        at = hole;
    }
    return r;
}

static int put_headers(const Output *out, const DumpSource *source, size_t notes_size)
{
    unsigned regions = memory_region_count(source->memory), count = regions + 1;
    uint64_t offset = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    const Elf64_Ehdr head = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof head,
        .e_ehsize = sizeof head,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (Elf64_Half)count,
    };
    Elf64_Phdr programs[MEMORY_REGIONS_MAX + 1] = {
        {.p_type = PT_NOTE, .p_offset = offset, .p_filesz = notes_size, .p_memsz = notes_size}};
    int r;

    offset += notes_size;
    for (unsigned i = 0; i < regions; i++) {
        const MemoryRegion *region = memory_region(source->memory, i);

        programs[i + 1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                       .p_offset = offset,
                                       .p_vaddr = region->gpa,
                                       .p_paddr = region->gpa,
                                       .p_filesz = region->size,
                                       .p_memsz = region->size};
        offset += region->size;
    }
    r = dump_write(out->fd, &head, sizeof head, out->err);
    return r < 0 ? r : dump_write(out->fd, programs, count * sizeof programs[0], out->err);
}

int dump_elf(int fd, const DumpSource *source, Err *err)
{
    Output out = {.fd = fd, .err = err};
    size_t notes_size;
    struct stat st;
    void *notes;
    off_t end;
    int r = dump_notes(source, &notes, &notes_size, err);

    if (r < 0)
        return r;
    out.holes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
    if ((r = put_headers(&out, source, notes_size)) == 0)
        r = dump_write(fd, notes, notes_size, err);
    free(notes);
    for (unsigned i = 0; i < memory_region_count(source->memory) && r == 0; i++)
        r = put_region(&out, memory_region(source->memory, i));
    /* The last thing may have been a hole. */
    if (r == 0 && out.holes && ((end = lseek(fd, 0, SEEK_CUR)) < 0 || ftruncate(fd, end) < 0))
        r = err_set(err, errno, "dump: cannot set the file's length: %s", strerror(errno));
    return r;
}
