/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arithmetic that says when it overflowed. Thread-safe, no errors beyond the return value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True and *ret set when the result fits the type of *ret; false and *ret unspecified otherwise. */
#define checked_add(a, b, ret) (!__builtin_add_overflow((a), (b), (ret)))
#define checked_sub(a, b, ret) (!__builtin_sub_overflow((a), (b), (ret)))
#define checked_mul(a, b, ret) (!__builtin_mul_overflow((a), (b), (ret)))

/* Whether [off, off + len) lies inside [0, size). */
static inline bool range_inside(uint64_t off, uint64_t len, uint64_t size)
{
    return off <= size && len <= size - off;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define ALIGN_UP(n, a) (((n) + (a)-1) & ~((__typeof__(n))(a)-1))
#define ALIGN_DOWN(n, a) ((n) & ~((__typeof__(n))(a)-1))
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
