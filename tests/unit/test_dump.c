/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dumps of a machine without KVM, read back: ELF core and flattened kdump; and a vCPU's state as a line of the log. */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/machine_internal.h"

enum { PAGE = 4096, MARK_AT = 0x345000 };
static const char mark[] = "a mark in the guest's memory";

typedef struct File {
    uint8_t *data;
    size_t size;
} File;

static File dump(Machine *m, const char *format)
{
    File f = {0};
    Err err = {0};
    struct stat st;
    int fd = memfd_create("dump", MFD_CLOEXEC);

    ok(machine_dump(m, fd, format, &err) == 0, "%s: written (%s)", format, err.text);
    if (fstat(fd, &st) < 0 || st.st_size == 0)
        abort();
    f.size = (size_t)st.st_size;
    f.data = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (f.data == MAP_FAILED)
        abort();
    close(fd);
    return f;
}

static void check_elf(Machine *m)
{
    File f = dump(m, "elf");
    const Elf64_Ehdr *head = (const void *)f.data;
    const Elf64_Phdr *p = (const void *)(f.data + head->e_phoff);
    const Elf64_Nhdr *note = (const void *)(f.data + p[0].p_offset);
    const uint8_t *at = f.data + p[0].p_offset, *end = at + p[0].p_filesz;
    unsigned core = 0, state = 0;

    ok(memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 && head->e_type == ET_CORE && head->e_machine == EM_X86_64,
       "elf: a core of x86-64");
    ok(p[0].p_type == PT_NOTE && note->n_type == NT_PRSTATUS, "elf: notes come first");
    while (at < end) {
        Elf64_Nhdr n;

        memcpy(&n, at, sizeof n);
        core += strcmp((const char *)at + sizeof n, "CORE") == 0 && n.n_descsz == 336;
        state += strcmp((const char *)at + sizeof n, "QEMU") == 0 && n.n_descsz == 440;
        at += sizeof n + ((n.n_namesz + 3) & ~3u) + n.n_descsz;
    }
    ok(at == end && core == 2 && state == 2, "elf: two notes for each of two processors");
    ok(head->e_phnum == 2 && p[1].p_type == PT_LOAD && p[1].p_paddr == 0 && p[1].p_filesz == 16 << 20, "elf: all of RAM");
    ok(p[1].p_offset + p[1].p_filesz == f.size, "elf: and nothing behind it");
    ok(memcmp(f.data + p[1].p_offset + MARK_AT, mark, sizeof mark) == 0, "elf: memory stands at its address");
    munmap(f.data, f.size);
}

/* What the flattened file has at an offset of the real one; NULL: nothing. */
static const uint8_t *piece(const File *f, uint64_t offset, uint64_t *ret_size)
{
    size_t at = PAGE;

    for (;;) {
        uint64_t where, size;

        if (at + 16 > f->size)
            abort();
        memcpy(&where, f->data + at, 8);
        memcpy(&size, f->data + at + 8, 8);
        where = be64toh(where);
        size = be64toh(size);
        if (where == UINT64_MAX)
            return NULL;
        if (offset >= where && offset < where + size) {
            *ret_size = where + size - offset;
            return f->data + at + 16 + (offset - where);
        }
        at += 16 + size;
    }
}

static uint32_t word(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

static void check_kdump(Machine *m)
{
    File f = dump(m, "kdump-zlib");
    uint64_t size, descriptors_at, offset;
    const uint8_t *head = piece(&f, 0, &size), *sub, *bitmap, *d, *data;
    uint8_t page[PAGE];
    uLongf length = sizeof page;

    ok(memcmp(f.data, "makedumpfile", 13) == 0 && head != NULL && memcmp(head, "KDUMP   ", 8) == 0, "kdump: signatures");
    ok(word(head + 428) == PAGE && word(head + 460) == 2, "kdump: block size and processors");
    sub = piece(&f, PAGE, &size);
    ok(sub != NULL && word(sub + 96) == (16 << 20) / PAGE, "kdump: the highest page");
    bitmap = piece(&f, (1 + (uint64_t)word(head + 432)) * PAGE, &size);
    ok(bitmap != NULL && size == PAGE && bitmap[0] == 0xff && bitmap[511] == 0xff && bitmap[512] == 0, "kdump: the bitmap");
    descriptors_at = (1 + (uint64_t)word(head + 432) + word(head + 436)) * PAGE;
    d = piece(&f, descriptors_at + 24 * (MARK_AT / PAGE), &size);
    memcpy(&offset, d, 8);
    data = piece(&f, offset, &size);
    ok(data != NULL && word(d + 12) == 1 && size == word(d + 8) &&
       uncompress(page, &length, data, size) == Z_OK && length == PAGE && memcmp(page, mark, sizeof mark) == 0,
       "kdump: a page comes out as it was");
    d = piece(&f, descriptors_at + 24 * (MARK_AT / PAGE + 1), &size);
    memcpy(&offset, d, 8);
    data = piece(&f, offset, &size);
    ok(data != NULL && word(d + 12) == 0 && word(d + 8) == PAGE && data[0] == 0 && data[PAGE - 1] == 0,
       "kdump: one of zeros");
    ok(f.size < 1 << 20, "kdump: is small (%zu bytes)", f.size);
    munmap(f.data, f.size);
}

static void check_refusals(Machine *m)
{
    int fd = memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    Err err = {0};

    ok(machine_dump(m, fd, "kdump-lzo", &err) == -ENOTSUP, "a format that is not there: %s", err.text);
    err = (Err){0};
    ok(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 && machine_dump(m, fd, "elf", &err) < 0 &&
       strstr(err.text, "cannot write") != NULL,
       "a full disk: %s", err.text);
    close(fd);
    ok(machine_run_state(m) == RUN_RUNNING && !vcpu_is_paused(machine_vcpu(m, 0)), "the guest runs on");
}

static void check_log_line(void)
{
    VcpuState state = {0};
    char text[1000], small[40];

    memset(&state, 0xff, sizeof state);
    vcpu_state_format(&state, text, sizeof text);
    ok(strstr(text, "rip 0xffffffffffffffff (at physical 0xffffffffffffffff)") != NULL && strstr(text, " rdi 0xf") != NULL,
       "a vCPU's state fits a line: %zu bytes", strlen(text));
    vcpu_state_format(&state, small, sizeof small);
    ok(strlen(small) == sizeof small - 1, "or is cut");
}

int main(void)
{
    MachineDesc *desc = NULL;
    Err err = {0};
    Machine *m = fake_machine("{\"memory\": {\"size\": 16777216}, \"cpus\": {\"count\": 2, \"max\": 4}}", &desc, &err);

    if (m == NULL || memory_write(m->memory, MARK_AT, mark, sizeof mark) < 0) {
        ok(false, "a machine: %s", err.text);
        return done();
    }
    check_elf(m);
    check_kdump(m);
    check_refusals(m);
    check_log_line();
    fake_machine_free(m, desc);
    return done();
}
