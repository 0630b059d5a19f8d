/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels: each refusal with its words, and what a loaded one finds in memory. */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/boot/linux.h"

#define MIB (1ull << 20)

static void put(uint8_t *base, unsigned offset, uint64_t value, unsigned len)
{
    memcpy(base + offset, &value, len);
}

/* A bzImage in order: protocol 2.15, 64-bit entry, one setup sector and 8 KiB of kernel that wants 1 MiB of room. */
static size_t make_bzimage(uint8_t *file)
{
    memset(file, 0, 16384);
    put(file, 0x1f1, 1, 1);
    put(file, 0x1f4, 8192 / 16, 4);
    put(file, 0x1fe, 0xaa55, 2);
    put(file, 0x201, 0x66, 1);
    memcpy(file + 0x202, "HdrS", 4);
    put(file, 0x206, 0x20f, 2);
    put(file, 0x22c, 0x7fffffff, 4);
    put(file, 0x230, 0x200000, 4);
    put(file, 0x234, 1, 1);
    put(file, 0x236, 1, 2);
    put(file, 0x238, 2047, 4);
    put(file, 0x258, 16 * MIB, 8);
    put(file, 0x260, MIB, 4);
    memset(file + 1024, 0x90, 8192);
    return 1024 + 8192;
}

static int open_bytes(const uint8_t *file, size_t len, const char *cmdline, uint64_t ram, uint64_t initrd,
    Err *err)
{
    LinuxKernel kernel;
    int fd = fake_file(file, len), initrd_fd = -1, r;

    if (initrd > 0) {
        initrd_fd = fake_file("", 0);
        if (ftruncate(initrd_fd, (off_t)initrd) < 0)
            return -1;
    }
    err->text[0] = '\0';
    r = linux_open(fd, initrd_fd, cmdline, ram, &kernel, err);
    if (r == 0)
        linux_close(&kernel);
    close(fd);
    if (initrd_fd >= 0)
        close(initrd_fd);
    return r;
}

typedef struct Change {
    const char *what;
    unsigned offset, len;
    uint64_t value;
    size_t size; /* of the file; 0: all */
    const char *says;
} Change;

static void test_bzimage_refusals(void)
{
    static const Change changes[] = {
        {"an empty file", 0, 0, 0, 1, "no kernel is that short"},
        {"no signature", 0x202, 4, 0, 0, "neither a Linux bzImage nor an ELF file"},
        {"old protocol", 0x206, 2, 0x20b, 0, "cannot be entered in 64-bit mode (boot protocol 2.11)"},
        {"a 32-bit kernel", 0x236, 2, 0, 0, "cannot be entered in 64-bit mode"},
        {"a truncated file", 0, 0, 0, 5000, "the kernel is truncated: 5000 bytes instead of 9216"},
        {"no body", 0x1f4, 4, 0, 0, "nothing behind it"},
        {"a setup part beyond the file", 0x1f1, 1, 200, 0, "the kernel is truncated"},
        {"an address below 1 MiB", 0x258, 8, 0x1000, 0, "wants to be loaded at 0x1000"},
        {"an address out of reach", 0x258, 8, 1ull << 45, 0, "which cannot be"},
        {"an address off a page", 0x258, 8, 16 * MIB + 12, 0, "which cannot be"},
        {"more memory than there is", 0x260, 4, 0x7f000000, 0, "MiB of memory, the guest has 64 MiB below 3 GiB"},
    };
    uint8_t file[16384];
    Err err;
    size_t len = make_bzimage(file);

    ok(open_bytes(file, len, "", 64 * MIB, 0, &err) == 0, "a good bzImage is taken");
    ok(open_bytes(file, len - 7, "", 64 * MIB, 0, &err) == 0, "one whose last paragraph is not padded too");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const Change *c = &changes[i];

        len = make_bzimage(file);
        put(file, c->offset, c->value, c->len);
        int r = open_bytes(file, c->size ? c->size : len, "", 64 * MIB, 0, &err);

        ok(r < 0 && strstr(err.text, c->says) != NULL, "%s is refused: %s", c->what, err.text);
    }
    len = make_bzimage(file);
    put(file, 0x238, 10, 4);
    ok(open_bytes(file, len, "console=ttyS0", 64 * MIB, 0, &err) < 0 && strstr(err.text,
       "command line of 10 bytes"),
       "a command line that is too long for it: %s", err.text);
    len = make_bzimage(file);
    ok(open_bytes(file, len, "", 64 * MIB, 60 * MIB, &err) < 0 && strstr(err.text,
       "the initrd of 60 MiB does not fit"),
       "an initrd that is too big: %s", err.text);
    ok(open_bytes(file, len, "", 3 * MIB, 0, &err) == 0, "a relocatable kernel goes where there is room");
    put(file, 0x234, 0, 1);
    ok(open_bytes(file, len, "", 3 * MIB, 0, &err) < 0, "one that is not is refused there: %s", err.text);
}

static void test_elf_refusals(void)
{
    static const Change changes[] = {
        {"an ELF file for ARM", offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64, 0, "for another machine (183)"},
        {"a big-endian one", EI_DATA, 1, ELFDATA2MSB, 0, "for another machine"},
        {"no program headers", offsetof(Elf64_Ehdr, e_phnum), 2, 0, 0, "no program headers"},
        {"headers beyond the file", offsetof(Elf64_Ehdr, e_phoff), 8, 1 << 30, 0, "is truncated"},
        {"an offset that wraps", offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 3, 0, "is truncated"},
        {"a segment beyond the file", 64 + offsetof(Elf64_Phdr, p_filesz), 8, 8 * MIB, 0, "truncated"},
        {"a segment below 1 MiB", 64 + offsetof(Elf64_Phdr, p_paddr), 8, 0x1000, 0, "below 1 MiB"},
        {"a segment beyond memory", 64 + offsetof(Elf64_Phdr, p_paddr), 8, 1ull << 40, 0, "the guest has 64 MiB"},
        {"a segment that wraps", 64 + offsetof(Elf64_Phdr, p_paddr), 8, UINT64_MAX - 4095, 0, "the guest has"},
        {"no note", 120 + offsetof(Elf64_Phdr, p_type), 4, PT_NULL, 0, "without a PVH entry"},
        {"an entry outside", 64 + 112 + 16, 4, 0x10, 0, "PVH entry 0x10 lies outside"},
        {"a note with a huge name", 64 + 112, 4, 0xfffffff0, 0, "without a PVH entry"},
    };
    uint8_t good[8192], file[8192];
    int fd = fake_kernel();
    ssize_t len = pread(fd, good, sizeof good, 0);
    Err err;

    close(fd);
    ok(open_bytes(good, (size_t)len, "", 64 * MIB, 0, &err) == 0, "a good ELF kernel is taken");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const Change *c = &changes[i];
        int r;

        memcpy(file, good, sizeof file);
        put(file, c->offset, c->value, c->len);
        r = open_bytes(file, (size_t)len, "", 64 * MIB, 0, &err);
        ok(r < 0 && strstr(err.text, c->says) != NULL, "%s is refused: %s", c->what, err.text);
    }
    memcpy(file, good, sizeof file);
    put(file, 120 + offsetof(Elf64_Phdr, p_type), PT_LOAD, 4);
    put(file, 120 + offsetof(Elf64_Phdr, p_paddr), MIB + 100, 8);
    ok(open_bytes(file, (size_t)len, "", 64 * MIB, 0, &err) < 0 && strstr(err.text, "two segments") != NULL,
       "segments in one place are refused: %s", err.text);
}

static void test_no_files(void)
{
    uint8_t file[16384];
    int kernel = fake_file(file, make_bzimage(file)), folder = open(".", O_RDONLY | O_CLOEXEC), pipes[2];
    LinuxKernel k;
    Err err;

    ok(linux_open(folder, -1, "", 64 * MIB, &k, &err) < 0 && strstr(err.text, "the kernel is no file, but a folder"),
       "a folder is no kernel: %s", err.text);
    ok(linux_open(kernel, folder, "", 64 * MIB, &k, &err) < 0 && strstr(err.text, "the initrd is no file, but a folder"),
       "nor an initrd: %s", err.text);
    ok(pipe(pipes) == 0 && linux_open(kernel, pipes[0], "", 64 * MIB, &k, &err) < 0 && strstr(err.text, "device or pipe"),
       "nor is a pipe: %s", err.text);
    close(pipes[0]);
    close(pipes[1]);
    close(folder);
    close(kernel);
}

static void test_loading(void)
{
    MemoryOptions options = {.size = 64 * MIB};
    GuestMemory *memory = NULL;
    LinuxKernel kernel;
    BootEntry entry = {0};
    uint8_t file[16384], zero[4096];
    uint64_t v = 0;
    size_t len = make_bzimage(file);
    int fd = fake_file(file, len), initrd = fake_file("initrd of a guest", 17);
    Err err = {0};

    ok(memory_new(&options, &memory, &err) == 0 && linux_open(fd, initrd, "panic=-1", options.size, &kernel,
       &err) == 0 &&
           linux_load(&kernel, memory, 0xe0000, &entry, &err) == 0,
       "a bzImage is loaded");
    ok(entry.address == 16 * MIB + 0x200 && entry.info == BOOT_PARAMS_ADDRESS,
       "and entered where the protocol says");
    memory_read(memory, BOOT_PARAMS_ADDRESS, zero, sizeof zero);
    memcpy(&v, zero + 0x070, 8);
    ok(v == 0xe0000, "acpi_rsdp_addr");
    ok(strcmp(memory_at(memory, CMDLINE_ADDRESS, 16), "panic=-1") == 0, "command line");
    v = 0;
    memcpy(&v, zero + 0x218, 4);
    ok(v % 4096 == 0 && v >= 17 * MIB && memcmp(memory_at(memory, v, 17), "initrd of a guest", 17) == 0,
       "initrd");
    ok(zero[0x1e8] >= 3, "memory map of %u entries", zero[0x1e8]);
    linux_close(&kernel);
    /* Emptied between the examination and a reset. */
    ok(linux_open(fd, -1, "", options.size, &kernel, &err) == 0 && ftruncate(fd, 100) == 0 &&
           linux_load(&kernel, memory, 0xe0000, &entry, &err) < 0 && strstr(err.text, "it became shorter"),
       "a file that shrank: %s", err.text);
    linux_close(&kernel);
    close(fd);
    close(initrd);
    memory_free(memory);
}

int main(void)
{
    test_bzimage_refusals();
    test_elf_refusals();
    test_no_files();
    test_loading();
    return done();
}
