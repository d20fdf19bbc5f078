/* Weight matrices as tiles of 16 rows: lane r of a vector belongs to row r, so a product needs no sum across lanes.
 *
 * Every quantised kind holds the numbers of its GGUF block type exactly; only their order in memory is another one.
 * A tile runs over all columns of its 16 rows, group after group, each group's values followed by its scales:
 *
 *   kind  group     values                             scales                                  from
 *   I4    32 cols   256 B nibbles                      16 half s, 16 half m                    Q4_0, Q4_1
 *   I5    32 cols   256 B nibbles + 64 B fifth bits    16 half s, 16 half m                    Q5_0, Q5_1
 *   I8    32 cols   512 B int8                         16 half s                               Q8_0
 *   K4    256 cols  8 × (256 B nibbles, 16 sc, 16 mn)  16 half d, 16 half dmin (first)         Q4_K
 *   K5    256 cols  8 × (320 B as I5, 16 sc, 16 mn)    16 half d, 16 half dmin (first)         Q5_K
 *   K6    256 cols  16 × (256 B int8, 16 B sc)         16 half d (first)                       Q6_K
 *   F32, F16, BF16  1 col: 16 values                   none
 *
 * I4, I5: w = s·q + m.  I8: w = s·q.  K4, K5: w = d·sc·q − dmin·mn.  K6: w = d·sc·q.
 * Nibbles: four vectors of 16 × 32 bits; the lane of row r in vector c holds columns 8c … 8c+7, lowest first. */
#ifndef CHATTERM_TILES_H
#define CHATTERM_TILES_H

#include "simd.h"

enum Kind { F32 = 0, F16 = 1, BF16 = 2, I4 = 3, I5 = 4, I8 = 5, K4 = 6, K5 = 7, K6 = 8 };

enum { I4_GROUP = 320, I5_GROUP = 384, I8_GROUP = 544, K4_GROUP = 64 + 8 * 288, K5_GROUP = 64 + 8 * 352, K6_GROUP = 32 + 16 * 272 };

/* How far ahead of its use memory is asked for; measured, see docs/performance.md. */
enum { AHEAD = 4096 };

typedef struct {
    int32_t kind;
    int32_t rows;
    int32_t columns;
    int32_t reserved;
    const uint8_t *data;
    const float *bias; /* one per row, or null */
} Matrix;

static inline size_t tile_bytes(int kind, int columns) {
    switch (kind) {
    case F32: return (size_t)columns * 64;
    case F16:
    case BF16: return (size_t)columns * 32;
    case I4: return (size_t)columns / 32 * I4_GROUP;
    case I5: return (size_t)columns / 32 * I5_GROUP;
    case I8: return (size_t)columns / 32 * I8_GROUP;
    case K4: return (size_t)columns / 256 * K4_GROUP;
    case K5: return (size_t)columns / 256 * K5_GROUP;
    case K6: return (size_t)columns / 256 * K6_GROUP;
    }
    return 0;
}

static inline int tiles_of(const Matrix *m) { return (m->rows + LANES - 1) / LANES; }

/* The lowest four bits of every lane as a float; what stands above them does not matter. */
static inline f32x16 low_nibble(u32x16 v) {
#if defined(__AVX512F__)
    const __m512 table = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return (f32x16)_mm512_permutexvar_ps((__m512i)v, table);
#else
    return __builtin_convertvector((i32x16)(v & 15), f32x16);
#endif
}

/* Four low bits from v, the fifth from bit 4 of `high`. */
static inline f32x16 low_five(u32x16 v, u32x16 high) {
#if defined(__AVX512F__)
    const __m512 low_table = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 high_table = _mm512_add_ps(low_table, _mm512_set1_ps(16));
    const __m512i nibble = _mm512_set1_epi32(15);
    __m512i index = _mm512_ternarylogic_epi32(nibble, (__m512i)v, (__m512i)high, 0xca); /* nibble ? v : high */
    return (f32x16)_mm512_permutex2var_ps(low_table, index, high_table);
#else
    return __builtin_convertvector((i32x16)((v & 15) | (high & 16)), f32x16);
#endif
}

#define PREFETCH_LINE(p) __builtin_prefetch((p) + AHEAD, 0, 3)

/* Σ q·x over 32 columns of nibbles. */
static inline f32x16 dot_nibbles(const uint8_t *q, const float *x) {
    f32x16 part[4];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        PREFETCH_LINE(q + 64 * c);
        u32x16 v = load_u32(q + 64 * c);
        part[c] = low_nibble(v) * x[8 * c];
#pragma GCC unroll 7
        for (int j = 1; j < 8; j++) part[c] += low_nibble(v >> (4 * j)) * x[8 * c + j];
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* Σ q·x over 32 columns of five bits; bit k of a lane of the fifth bits belongs to column k. */
static inline f32x16 dot_fives(const uint8_t *q, const float *x) {
    f32x16 part[4];
    u32x16 high = load_u32(q + 256);
    high = high << 4 | high >> 28;
    PREFETCH_LINE(q + 256);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        PREFETCH_LINE(q + 64 * c);
        u32x16 v = load_u32(q + 64 * c);
        part[c] = splat(0);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            int k = 8 * c + j;
            /* rotated left by four, bit k stands at (k + 4) mod 32; bring it to bit 4 */
            u32x16 bit = k < 28 ? high >> k : high << (32 - k);
            part[c] += low_five(v >> (4 * j), bit) * x[k];
        }
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* Σ q·x over `columns` (16 or 32) columns of int8. */
static inline f32x16 dot_bytes(const uint8_t *q, const float *x, int columns) {
    f32x16 part[4] = {splat(0), splat(0), splat(0), splat(0)};
#pragma GCC unroll 8
    for (int j = 0; j < columns; j += 4) {
        PREFETCH_LINE(q + 16 * j);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) part[i] += load_i8(q + 16 * (j + i)) * x[j + i];
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* Σ w·x over columns of sixteen 16-bit numbers, read by `load`. */
static inline __attribute__((always_inline)) f32x16 times_halves(
    f32x16 (*load)(const void *), int columns, const uint8_t *p, const float *x) {
    f32x16 part[4] = {splat(0), splat(0), splat(0), splat(0)};
    int k = 0;
    for (; k + 4 <= columns; k += 4, p += 128) {
        PREFETCH_LINE(p);
        PREFETCH_LINE(p + 64);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) part[i] += load(p + 32 * i) * x[k + i];
    }
    for (; k < columns; k++, p += 32) part[0] += load(p) * x[k];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* One tile times x. `sums[g]` is the sum of x over columns 32g … 32g+31. */
static inline f32x16 tile_times(int kind, int columns, const uint8_t *p, const float *x, const float *sums) {
    f32x16 total = splat(0);
    switch (kind) {
    case F32:
        for (int k = 0; k < columns; k++, p += 64) total += load_f32(p) * x[k];
        break;
    case F16: return times_halves(load_f16, columns, p, x);
    case BF16: return times_halves(load_bf16, columns, p, x);
    case I4:
        for (int g = 0; g < columns / 32; g++, p += I4_GROUP, x += 32) {
            PREFETCH_LINE(p + 256);
            total += load_f16(p + 256) * dot_nibbles(p, x) + load_f16(p + 288) * sums[g];
        }
        break;
    case I5:
        for (int g = 0; g < columns / 32; g++, p += I5_GROUP, x += 32) {
            PREFETCH_LINE(p + 320);
            total += load_f16(p + 320) * dot_fives(p, x) + load_f16(p + 352) * sums[g];
        }
        break;
    case I8:
        for (int g = 0; g < columns / 32; g++, p += I8_GROUP, x += 32) {
            total += load_f16(p + 512) * dot_bytes(p, x, 32);
        }
        break;
    case K4:
    case K5:
        for (int s = 0; s < columns / 256; s++) {
            f32x16 scaled = splat(0), least = splat(0), d = load_f16(p), minimum = load_f16(p + 32);
            p += 64;
            for (int g = 0; g < 8; g++, x += 32, sums++) {
                f32x16 dot = kind == K4 ? dot_nibbles(p, x) : dot_fives(p, x);
                p += kind == K4 ? 256 : 320;
                scaled += load_u8(p) * dot;
                least += load_u8(p + 16) * sums[0];
                p += 32;
            }
            total += d * scaled - minimum * least;
        }
        break;
    case K6:
        for (int s = 0; s < columns / 256; s++) {
            f32x16 scaled = splat(0), d = load_f16(p);
            p += 32;
            for (int g = 0; g < 16; g++, p += 272, x += 16) scaled += load_i8(p + 256) * dot_bytes(p, x, 16);
            total += d * scaled;
        }
        break;
    }
    return total;
}

/* The 16 weights of one column (lane r = row r), for expanding a matrix and for looking up an embedding. */
static inline f32x16 tile_column(int kind, const uint8_t *tile, int column) {
    int k = column % 32, super = column / 256, group = column % 256 / 32;
    const uint8_t *p;
    switch (kind) {
    case F32: return load_f32(tile + 64 * (size_t)column);
    case F16: return load_f16(tile + 32 * (size_t)column);
    case BF16: return load_bf16(tile + 32 * (size_t)column);
    case I4:
        p = tile + (size_t)(column / 32) * I4_GROUP;
        return load_f16(p + 256) * low_nibble(load_u32(p + 64 * (k / 8)) >> (4 * (k % 8))) + load_f16(p + 288);
    case I5: {
        p = tile + (size_t)(column / 32) * I5_GROUP;
        u32x16 bit = (load_u32(p + 256) >> k & 1) << 4;
        return load_f16(p + 320) * low_five(load_u32(p + 64 * (k / 8)) >> (4 * (k % 8)), bit) + load_f16(p + 352);
    }
    case I8:
        p = tile + (size_t)(column / 32) * I8_GROUP;
        return load_f16(p + 512) * load_i8(p + 16 * k);
    case K4: {
        const uint8_t *head = tile + (size_t)super * K4_GROUP;
        p = head + 64 + 288 * group;
        f32x16 q = low_nibble(load_u32(p + 64 * (k / 8)) >> (4 * (k % 8)));
        return load_f16(head) * load_u8(p + 256) * q - load_f16(head + 32) * load_u8(p + 272);
    }
    case K5: {
        const uint8_t *head = tile + (size_t)super * K5_GROUP;
        p = head + 64 + 352 * group;
        u32x16 bit = (load_u32(p + 256) >> k & 1) << 4;
        f32x16 q = low_five(load_u32(p + 64 * (k / 8)) >> (4 * (k % 8)), bit);
        return load_f16(head) * load_u8(p + 320) * q - load_f16(head + 32) * load_u8(p + 336);
    }
    case K6: {
        const uint8_t *head = tile + (size_t)super * K6_GROUP;
        p = head + 32 + 272 * (column % 256 / 16);
        return load_f16(head) * load_i8(p + 256) * load_i8(p + 16 * (column % 16));
    }
    }
    return splat(0);
}

#endif
