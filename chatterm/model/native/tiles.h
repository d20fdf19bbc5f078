/* Weight matrices as tiles of 16 rows: lane r of a vector belongs to row r, so a product needs no sum across lanes.
 *
 * Every quantised kind holds the numbers of its GGUF block type exactly; only their order in memory is another one.
 * A tile runs over all columns of its 16 rows, group after group, each group's values followed by its scales:
 *
 *   kind  group     values                             scales                                  from
 *   I4    32 cols   256 B nibbles                      16 half s, 16 half m                    Q4_0, Q4_1, Q1_0, Q2_0
 *   I5    32 cols   256 B nibbles + 64 B fifth bits    16 half s, 16 half m                    Q5_0, Q5_1
 *   I8    32 cols   512 B int8                         16 half s                               Q8_0
 *   K4    256 cols  8 × (256 B nibbles, 16 sc, 16 mn)  16 half d, 16 half dmin (first)         Q4_K
 *   K5    256 cols  8 × (320 B as I5, 16 sc, 16 mn)    16 half d, 16 half dmin (first)         Q5_K
 *   K6    256 cols  16 × (256 B int8, 16 B sc)         16 half d (first)                       Q6_K
 *   E4    16 cols   128 B nibbles                      16 float s                              FP4 (MXFP4, NVFP4)
 *   F32, F16, BF16  1 col: 16 values                   none
 *
 * I4, I5: w = s·q + m.  I8: w = s·q.  K4, K5: w = d·sc·q − dmin·mn.  K6: w = d·sc·q.  E4: w = s·e(q), see four_bit_float.
 * Nibbles: four vectors of 16 × 32 bits; the lane of row r in vector c holds columns 8c … 8c+7, lowest first. */
#ifndef CHATTERM_TILES_H
#define CHATTERM_TILES_H

#include "simd.h"

enum Kind { F32 = 0, F16 = 1, BF16 = 2, I4 = 3, I5 = 4, I8 = 5, K4 = 6, K5 = 7, K6 = 8, E4 = 9 };

enum { I4_GROUP = 320, I5_GROUP = 384, I8_GROUP = 544, K4_GROUP = 64 + 8 * 288, K5_GROUP = 64 + 8 * 352, K6_GROUP = 32 + 16 * 272, E4_GROUP = 192 };

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
    case E4: return (size_t)columns / 16 * E4_GROUP;
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

/* The lowest four bits of every lane as a number of one sign, two exponent and one mantissa bits (E2M1), doubled so that
 * it is whole: 0 1 2 3 4 6 8 12 and their negatives. */
static inline f32x16 four_bit_float(u32x16 v) {
#if defined(__AVX512F__)
    const __m512 table = _mm512_setr_ps(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    return (f32x16)_mm512_permutexvar_ps((__m512i)v, table);
#else
    u32x16 exponent = v >> 1 & 3;
    i32x16 normal = (i32x16)(exponent > 0);
    u32x16 size = ((v & 1) | ((u32x16)normal & 2)) << (exponent + (u32x16)normal); /* a true mask is −1 */
    f32x16 value = __builtin_convertvector((i32x16)size, f32x16);
    return (f32x16)((u32x16)value | (v & 8) << 28);
#endif
}

#define PREFETCH_LINE(p) __builtin_prefetch((p) + AHEAD, 0, 3)

/* Products are for R vectors at once, R known when compiled. x and `sums` are interleaved: the R numbers of a column
 * stand side by side. Each vector's result is the same to the last bit whatever R is: every chain of additions has
 * the same order, and no sum holds two products, of which the compiler could fuse either. */
#if defined(__AVX512F__)
#define VECTORS 8 /* at once, at most */
#elif defined(__AVX2__) || defined(__aarch64__)
#define VECTORS 2 /* more do not fit the registers, and take compilers minutes */
#else
#define VECTORS 1
#endif
#define EACH_VECTOR _Pragma("GCC unroll 8") for (int r = 0; r < R; r++)
#define ALWAYS static inline __attribute__((always_inline))

/* Four sums over eight columns each are added up in pairs; `part` is the one of columns 8c … 8c+7. */
ALWAYS void join_quarters(int c, int R, f32x16 *sum, f32x16 *second, const f32x16 *part) {
    EACH_VECTOR {
        if (c == 0) sum[r] = part[r];
        if (c == 1) sum[r] += part[r];
        if (c == 2) second[r] = part[r];
        if (c == 3) sum[r] += second[r] + part[r];
    }
}

/* Σ q·x over 32 columns of nibbles. */
ALWAYS void dot_nibbles(const uint8_t *q, const float *x, int R, f32x16 *sum) {
    f32x16 part[VECTORS], second[VECTORS];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        PREFETCH_LINE(q + 64 * c);
        u32x16 v = load_u32(q + 64 * c);
        f32x16 w = low_nibble(v);
        EACH_VECTOR part[r] = w * x[8 * c * R + r];
#pragma GCC unroll 7
        for (int j = 1; j < 8; j++) {
            w = low_nibble(v >> (4 * j));
            EACH_VECTOR part[r] += w * x[(8 * c + j) * R + r];
        }
        join_quarters(c, R, sum, second, part);
    }
}

/* Σ q·x over 32 columns of five bits; bit k of a lane of the fifth bits belongs to column k. */
ALWAYS void dot_fives(const uint8_t *q, const float *x, int R, f32x16 *sum) {
    f32x16 part[VECTORS], second[VECTORS];
    u32x16 high = load_u32(q + 256);
    high = high << 4 | high >> 28;
    PREFETCH_LINE(q + 256);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        PREFETCH_LINE(q + 64 * c);
        u32x16 v = load_u32(q + 64 * c);
        EACH_VECTOR part[r] = splat(0);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            int k = 8 * c + j;
            /* rotated left by four, bit k stands at (k + 4) mod 32; bring it to bit 4 */
            f32x16 w = low_five(v >> (4 * j), k < 28 ? high >> k : high << (32 - k));
            EACH_VECTOR part[r] += w * x[k * R + r];
        }
        join_quarters(c, R, sum, second, part);
    }
}

/* Σ e(q)·x over 16 columns of nibbles. */
ALWAYS void dot_four_bit_floats(const uint8_t *q, const float *x, int R, f32x16 *sum) {
    f32x16 part[VECTORS];
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        PREFETCH_LINE(q + 64 * c);
        u32x16 v = load_u32(q + 64 * c);
        f32x16 w = four_bit_float(v);
        EACH_VECTOR part[r] = w * x[8 * c * R + r];
#pragma GCC unroll 7
        for (int j = 1; j < 8; j++) {
            w = four_bit_float(v >> (4 * j));
            EACH_VECTOR part[r] += w * x[(8 * c + j) * R + r];
        }
        EACH_VECTOR sum[r] = c == 0 ? part[r] : sum[r] + part[r];
    }
}

/* Σ w·x over 8 · `eights` columns (two or four) of sixteen numbers in `bytes` bytes, read by `load`. */
ALWAYS void dot_plain(
    f32x16 (*load)(const void *), int bytes, int eights, const uint8_t *p, const float *x, int R, f32x16 *sum) {
    f32x16 part[VECTORS], second[VECTORS];
#pragma GCC unroll 4
    for (int c = 0; c < eights; c++) {
        EACH_VECTOR part[r] = splat(0);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++, p += bytes) {
            if ((8 * c + j) * bytes % 64 == 0) PREFETCH_LINE(p);
            f32x16 w = load(p);
            EACH_VECTOR part[r] += w * x[(8 * c + j) * R + r];
        }
        join_quarters(c, R, sum, second, part);
    }
}

#include "slices.h"

/* Some vectors that matrices are multiplied with: the R numbers of a column stand side by side. */
typedef struct {
    const float *x;
    const float *sums;     /* of x over columns 32g … 32g + 31 */
    const int32_t *slices; /* see slices.h; null where there are none */
} Panel;

/* Σ q·x over group `group` of 32 columns. */
ALWAYS void dot_group(int kind, const uint8_t *q, const Panel *panel, int group, int R, f32x16 *sum) {
#if defined(HAVE_SLICES)
    const int32_t *x = panel->slices + (size_t)group * SLICE_WORDS * R;
    if (kind == I8) dot_sliced_bytes(q, 0, 2, 128, x, R, sum);
    else dot_sliced_nibbles(q, kind == I5 || kind == K5, x, R, sum);
#else
    const float *x = panel->x + (size_t)group * 32 * R;
    if (kind == I8) dot_plain(load_i8, 16, 4, q, x, R, sum);
    else if (kind == I5 || kind == K5) dot_fives(q, x, R, sum);
    else dot_nibbles(q, x, R, sum);
#endif
}

/* The same for 16 columns of K6. */
ALWAYS void dot_sixteen(const uint8_t *q, const Panel *panel, int sixteen, int R, f32x16 *sum) {
#if defined(HAVE_SLICES)
    const int32_t *x = panel->slices + (size_t)(sixteen / 2) * SLICE_WORDS * R;
    if (sixteen % 2 == 0) dot_sliced_bytes(q, 0, 1, 32, x, R, sum);
    else dot_sliced_bytes(q, 1, 2, 32, x, R, sum);
#else
    dot_plain(load_i8, 16, 2, q, panel->x + (size_t)sixteen * 16 * R, R, sum);
#endif
}

/* A tile of plain numbers. */
ALWAYS void times_plain(
    f32x16 (*load)(const void *), int bytes, int columns, const uint8_t *p, const float *x, int R, f32x16 *total) {
    f32x16 dot[VECTORS];
    int k = 0;
    for (; k + 32 <= columns; k += 32, p += 32 * bytes) {
        dot_plain(load, bytes, 4, p, x + k * R, R, dot);
        EACH_VECTOR total[r] += dot[r];
    }
    for (; k < columns; k++, p += bytes) {
        f32x16 w = load(p);
        EACH_VECTOR total[r] += w * x[k * R + r];
    }
}

/* One tile times R vectors. */
ALWAYS void tile_times(int kind, int columns, const uint8_t *p, const Panel *panel, int R, f32x16 *out) {
    f32x16 dot[VECTORS], total[VECTORS];
    const float *sums = panel->sums;
    EACH_VECTOR total[r] = splat(0);
    switch (kind) {
    case F32: times_plain(load_f32, 64, columns, p, panel->x, R, total); break;
    case F16: times_plain(load_f16, 32, columns, p, panel->x, R, total); break;
    case BF16: times_plain(load_bf16, 32, columns, p, panel->x, R, total); break;
    case I4:
    case I5:
        for (int g = 0; g < columns / 32; g++) {
            dot_group(kind, p, panel, g, R, dot);
            p += kind == I4 ? 256 : 320;
            PREFETCH_LINE(p);
            f32x16 scale = load_f16(p), minimum = load_f16(p + 32);
            p += 64;
            EACH_VECTOR {
                total[r] += scale * dot[r];
                total[r] += minimum * sums[g * R + r];
            }
        }
        break;
    case I8:
        for (int g = 0; g < columns / 32; g++, p += I8_GROUP) {
            dot_group(I8, p, panel, g, R, dot);
            f32x16 scale = load_f16(p + 512);
            EACH_VECTOR total[r] += scale * dot[r];
        }
        break;
    case K4:
    case K5:
        for (int s = 0; s < columns / 256; s++) {
            f32x16 scaled[VECTORS], least[VECTORS], d = load_f16(p), minimum = load_f16(p + 32);
            EACH_VECTOR scaled[r] = least[r] = splat(0);
            p += 64;
            for (int g = 8 * s; g < 8 * s + 8; g++, sums += R) {
                dot_group(kind, p, panel, g, R, dot);
                p += kind == K4 ? 256 : 320;
                f32x16 sc = load_u8(p), mn = load_u8(p + 16);
                p += 32;
                EACH_VECTOR {
                    scaled[r] += sc * dot[r];
                    least[r] += mn * sums[r];
                }
            }
            EACH_VECTOR {
                total[r] += d * scaled[r];
                total[r] -= minimum * least[r];
            }
        }
        break;
    case K6:
        for (int s = 0; s < columns / 256; s++) {
            f32x16 scaled[VECTORS], d = load_f16(p);
            EACH_VECTOR scaled[r] = splat(0);
            p += 32;
            for (int g = 16 * s; g < 16 * s + 16; g += 2, p += 544) {
                dot_sixteen(p, panel, g, R, dot);
                f32x16 sc = load_i8(p + 256);
                EACH_VECTOR scaled[r] += sc * dot[r];
                dot_sixteen(p + 272, panel, g + 1, R, dot);
                sc = load_i8(p + 528);
                EACH_VECTOR scaled[r] += sc * dot[r];
            }
            EACH_VECTOR total[r] += d * scaled[r];
        }
        break;
    case E4:
        for (int g = 0; g < columns / 16; g++, p += E4_GROUP) {
            dot_four_bit_floats(p, panel->x + (size_t)g * 16 * R, R, dot);
            PREFETCH_LINE(p + 128);
            f32x16 scale = load_f32(p + 128);
            EACH_VECTOR total[r] += scale * dot[r];
        }
        break;
    }
    EACH_VECTOR out[r] = total[r];
}

/* How many vectors a product is made for, to serve `count` of them. */
static inline int stride_for(int count) { return count <= 2 ? count : count <= 4 ? 4 : 8; }

/* The same for R known only when run, one of `stride_for`. */
static void tile_times_some(int kind, int columns, const uint8_t *p, const Panel *panel, int R, f32x16 *out) {
    switch (R) {
    case 1: tile_times(kind, columns, p, panel, 1, out); break;
#if VECTORS >= 2
    case 2: tile_times(kind, columns, p, panel, 2, out); break;
#endif
#if VECTORS >= 8
    case 4: tile_times(kind, columns, p, panel, 4, out); break;
    case 8: tile_times(kind, columns, p, panel, 8, out); break;
#endif
    }
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
    case E4:
        p = tile + (size_t)(column / 16) * E4_GROUP;
        return load_f32(p + 128) * four_bit_float(load_u32(p + 64 * (column % 16 / 8)) >> (4 * (column % 8)));
    }
    return splat(0);
}

#endif
