/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over files and folders named on the command line: corpora are replayed in make check. Nothing of it
 * is there with LIBFUZZER, which brings a main() of its own. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef LIBFUZZER
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int count;

static void replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        perror(path);
        exit(1);
    }
    if (S_ISDIR(st.st_mode)) {
        struct dirent **names;
        int n = scandir(path, &names, NULL, alphasort);

        for (int i = 0; i < n; i++) {
            char *child = NULL;

            if (names[i]->d_name[0] != '.' && asprintf(&child, "%s/%s", path, names[i]->d_name) >= 0)
                replay(child);
            free(child);
            free(names[i]);
        }
        if (n >= 0)
            free(names);
        return;
    }

    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    size_t size = f && data ? fread(data, 1, (size_t)st.st_size, f) : 0;

    if (f)
        fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

int main(int argc, char **argv)
{
    const char *name = strstr(argv[0], "fuzz_"), *top = getenv("abs_top_srcdir");
    char *corpus = NULL;

    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    /* make check names nothing: tests/fuzz/fuzz_X replays tests/fuzz/corpus/X. */
    for (const char *n = name; n != NULL; n = strstr(n + 1, "fuzz_"))
        name = n;
    if (argc == 1 && name != NULL && top != NULL &&
        asprintf(&corpus, "%s/tests/fuzz/corpus/%s", top, name + strlen("fuzz_")) >= 0)
        replay(corpus);
    free(corpus);
    printf("ok 1 - %d inputs replayed\n1..1\n", count);
    return 0;
}
#endif
