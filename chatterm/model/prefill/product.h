/* Many tokens at once times a weight matrix in tiles, on processors with a matrix unit (Intel AMX).
 *
 * The unit multiplies bfloat16 numbers and adds in float32. A float32 number is the sum of two bfloat16 numbers to about 16 bits,
 * so x·w = high(x)·high(w) + low(x)·high(w) + high(x)·low(w) keeps nearly float32's accuracy at three times the
 * arithmetic, which is still far from what takes the time; with one part only the first product is taken.
 * (Henry, Tang, Heinecke: "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
 * Computations", arXiv:1904.06376.)
 *
 * Lane r of a vector of a tile is row r of the matrix, which is just how the unit wants its right operand: two columns of 16
 * rows are interleaved, and nothing needs transposing. */
#ifndef CHATTERM_PRODUCT_H
#define CHATTERM_PRODUCT_H

#include <stddef.h>
#include "../native/pool.h"
#include "../native/tiles.h"
#include "scratch.h"

enum { STEP = 32, BLOCK = 512 }; /* columns per instruction; numbers in one operand of 16 × 32 */
enum { DEEP = 2048 };            /* columns expanded at a time, so that what is expanded stays in the second-level cache */
enum { MOST_TILES = 4 };         /* tiles of the matrix in one piece of work */

typedef struct {
    const Matrix *matrix;
    const uint16_t *x; /* (blocks of 16 tokens, blocks of 32 columns, parts, 16, 32) */
    float *y;
    size_t stride; /* numbers from one row of y to the next */
    int row_blocks, column_blocks, parts, grain;
} Product;

/* Float bits rounded to their upper half, the nearest and the even one. */
static inline u32x16 rounded(f32x16 x) {
    u32x16 bits = (u32x16)x;
    return (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
}

static inline __attribute__((always_inline)) void expand_kind(
    int kind, const uint8_t *tile, int columns, int first, int steps, int parts, uint16_t *out) {
    for (int step = 0; step < steps; step++, out += BLOCK * parts) {
#pragma GCC unroll 16
        for (int pair = 0; pair < STEP / 2; pair++) {
            int k = first + step * STEP + 2 * pair;
            f32x16 even = k < columns ? tile_column(kind, tile, k) : splat(0);
            f32x16 odd = k + 1 < columns ? tile_column(kind, tile, k + 1) : splat(0);
            u32x16 even_high = rounded(even), odd_high = rounded(odd), both = even_high >> 16 | odd_high;
            memcpy(out + 32 * pair, &both, 64);
            if (parts == 1) continue;
            both = rounded(even - (f32x16)even_high) >> 16 | rounded(odd - (f32x16)odd_high);
            memcpy(out + BLOCK + 32 * pair, &both, 64);
        }
    }
}

/* Some columns of a tile as right operands, `(steps, parts, 16 pairs, 16 rows, 2)`; beyond the last column zeros. */
static void expand(const Matrix *m, int tile, int first, int steps, int parts, uint16_t *out) {
    const uint8_t *data = m->data + (size_t)tile * tile_bytes(m->kind, m->columns);
    switch (m->kind) {
#define CASE(KIND) \
    case KIND: \
        if (parts == 1) expand_kind(KIND, data, m->columns, first, steps, 1, out); \
        else expand_kind(KIND, data, m->columns, first, steps, 2, out); \
        break;
        CASE(F32)
        CASE(F16)
        CASE(BF16)
        CASE(I4)
        CASE(I5)
        CASE(I8)
        CASE(K4)
        CASE(K5)
        CASE(K6)
        CASE(E4)
#undef CASE
    }
}

/* ---- multiplying ---- */

static void configure(void) {
    struct __attribute__((packed)) {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) config.bytes[i] = 64, config.rows[i] = 16;
    _tile_loadconfig(&config);
}

/* 32 tokens × 32 rows of the matrix: y (+)= x·w, over `steps` blocks of columns. `parts` is 1, 2 or 3. */
static inline __attribute__((always_inline)) void multiply_square(
    const uint16_t *x0, const uint16_t *x1, const uint16_t *w0, const uint16_t *w1, int steps, int parts, float *y0,
    float *y1, int stride, const float *bias, int add) {
    if (add) {
        _tile_loadd(0, y0, stride);
        _tile_loadd(1, y0 + 16, stride);
        _tile_loadd(2, y1, stride);
        _tile_loadd(3, y1 + 16, stride);
    } else if (bias) {
        _tile_loadd(0, bias, 0);
        _tile_loadd(1, bias + 16, 0);
        _tile_loadd(2, bias, 0);
        _tile_loadd(3, bias + 16, 0);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
#define TIMES \
    _tile_dpbf16ps(0, 4, 6); \
    _tile_dpbf16ps(1, 4, 7); \
    _tile_dpbf16ps(2, 5, 6); \
    _tile_dpbf16ps(3, 5, 7);
    for (int s = 0; s < steps; s++) {
        ptrdiff_t at = (ptrdiff_t)s * BLOCK * parts;
#pragma GCC unroll 3
        for (int j = 0; j < parts; j++) { /* products of parts that are together smaller than the smallest part are left out */
            _tile_loadd(6, w0 + at + j * BLOCK, 64);
            _tile_loadd(7, w1 + at + j * BLOCK, 64);
#pragma GCC unroll 3
            for (int i = parts - 1 - j; i >= 0; i--) {
                _tile_loadd(4, x0 + at + i * BLOCK, 64);
                _tile_loadd(5, x1 + at + i * BLOCK, 64);
                TIMES
            }
        }
    }
#undef TIMES
    _tile_stored(0, y0, stride);
    _tile_stored(1, y0 + 16, stride);
    _tile_stored(2, y1, stride);
    _tile_stored(3, y1 + 16, stride);
}

/* A few tiles of the matrix times all tokens. */
static void product_piece(const Product *p, int piece) {
    const Matrix *m = p->matrix;
    int first_tile = piece * p->grain, tiles = tiles_of(m) - first_tile;
    if (tiles > p->grain) tiles = p->grain;
    uint16_t *weights = scratch(sizeof(uint16_t) * 2 * MOST_TILES * (DEEP / STEP) * BLOCK);
    configure();
    for (int done = 0; done < p->column_blocks; done += DEEP / STEP) {
        int steps = p->column_blocks - done < DEEP / STEP ? p->column_blocks - done : DEEP / STEP;
        size_t tile_size = (size_t)steps * p->parts * BLOCK;
        for (int t = 0; t < tiles; t++) expand(m, first_tile + t, done * STEP, steps, p->parts, weights + t * tile_size);
        size_t row_size = (size_t)p->column_blocks * p->parts * BLOCK;
        int stride = (int)(p->stride * sizeof(float));
        for (int row = 0; row < p->row_blocks; row += 2) {
            const uint16_t *x0 = p->x + row * row_size + (size_t)done * p->parts * BLOCK;
            for (int t = 0; t < tiles; t += 2) {
                const float *bias = m->bias ? m->bias + LANES * (first_tile + t) : NULL;
                float *y0 = p->y + (size_t)row * 16 * p->stride + LANES * (first_tile + t);
                const uint16_t *w0 = weights + t * tile_size;
                int add = done > 0;
                if (p->parts == 1)
                    multiply_square(x0, x0 + row_size, w0, w0 + tile_size, steps, 1, y0, y0 + 16 * p->stride, stride, bias, add);
                else
                    multiply_square(x0, x0 + row_size, w0, w0 + tile_size, steps, 2, y0, y0 + 16 * p->stride, stride, bias, add);
            }
        }
    }
    _tile_release();
}

/* ---- tokens as left operands ---- */

typedef struct {
    const float *x;
    size_t stride;
    int rows, columns, column_blocks, parts;
    uint16_t *out;
} Splitting;

static void split_piece(void *context, int block) {
    const Splitting *s = context;
    uint16_t *out = s->out + (size_t)block * s->column_blocks * s->parts * BLOCK;
    for (int c = 0; c < s->column_blocks; c++, out += BLOCK * s->parts) {
        int left = s->columns - c * STEP;
        __mmask16 first = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        __mmask16 second = left >= 32 ? 0xffff : left <= 16 ? 0 : (__mmask16)((1u << (left - 16)) - 1);
        for (int r = 0; r < 16; r++) {
            int row = 16 * block + r;
            const float *x = s->x + (size_t)row * s->stride + c * STEP;
            __m512 a = _mm512_setzero_ps(), b = a;
            if (row < s->rows) {
                a = _mm512_maskz_loadu_ps(first, x);
                b = _mm512_maskz_loadu_ps(second, x + 16);
            }
            u32x16 high_a = rounded((f32x16)a), high_b = rounded((f32x16)b);
            _mm256_store_si256((__m256i *)(out + 32 * r), _mm512_cvtepi32_epi16((__m512i)(high_a >> 16)));
            _mm256_store_si256((__m256i *)(out + 32 * r + 16), _mm512_cvtepi32_epi16((__m512i)(high_b >> 16)));
            if (s->parts == 1) continue;
            u32x16 low_a = rounded((f32x16)a - (f32x16)high_a), low_b = rounded((f32x16)b - (f32x16)high_b);
            _mm256_store_si256((__m256i *)(out + BLOCK + 32 * r), _mm512_cvtepi32_epi16((__m512i)(low_a >> 16)));
            _mm256_store_si256((__m256i *)(out + BLOCK + 32 * r + 16), _mm512_cvtepi32_epi16((__m512i)(low_b >> 16)));
        }
    }
}

#endif
