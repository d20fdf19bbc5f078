/* Tiles of quantised kinds as whole numbers of 16 bits, 256 columns at a time: exactly the numbers of the file.
 *
 * The numbers of two columns of a row stand side by side, ready for an instruction that multiplies pairs and adds: columns
 * 8c + j and 8c + j + 4, which is how one shift and one mask bring them out of a tile's nibbles. What is left is
 *
 *   I4, I5, I8   a group of 32:      w = scale · q + minimum
 *   K4, K5, K6   all 256 columns:    w = scale · (sc · q) + minimum of the group of 32
 *
 * so the small scales of K-quants, whole numbers themselves, are multiplied in here: 63 · 15, 63 · 31, 128 · 32 at most. */
#ifndef CHATTERM_UNPACK_H
#define CHATTERM_UNPACK_H

#include "../native/tiles.h"
#include "wide.h"

/* Compilers make poor code of vectors wider than the registers, so a tile's 16 rows are taken WIDTH at a time. */
enum { SPAN = 256, GROUPS = SPAN / 32, PAIRS = SPAN / 2 }; /* columns seen at a time; groups and pairs in them */

/* Two vectors of WIDTH rows over SPAN columns. With AVX-512 these are two tiles, else the halves of one. */
enum { STRIP_ROWS = 2 * WIDTH, STRIP_TILES = STRIP_ROWS / LANES };

typedef struct {
    int16_t pairs[PAIRS][STRIP_ROWS][2];
    float scales[GROUPS][STRIP_ROWS];
    float minima[GROUPS][STRIP_ROWS];
} Strip;

static inline int is_plain(int kind) { return kind <= BF16 || kind == E4; }

/* Columns that have one scale. */
static inline int columns_scaled(int kind) { return kind >= K4 ? SPAN : 32; }

static inline int has_minima(int kind) { return kind == I4 || kind == I5 || kind == K4 || kind == K5; }

/* The largest number of a kind whose products are added up over SPAN columns; 0 for those that are added up over 32 only,
 * where 128 · 32767 · 32 is far from what 32 bits hold. */
static inline int largest(int kind) { return kind == K4 ? 63 * 15 : kind == K5 ? 63 * 31 : kind == K6 ? 128 * 32 : 0; }

/* WIDTH bytes without a sign, each as both numbers of a pair. */
ALWAYS Pairs pairs_u8(const uint8_t *p) {
#if defined(__AVX512F__)
    Bits v = (Bits)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#else
    Bits v = (Bits)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#endif
    return (Pairs)(v | v << 16);
}

/* WIDTH bytes with signs from each of two places. */
ALWAYS Pairs pairs_i8(const uint8_t *even, const uint8_t *odd) {
#if defined(__AVX512F__)
    __m128i a = _mm_loadu_si128((const __m128i *)even), b = _mm_loadu_si128((const __m128i *)odd);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(a, b)), _mm_unpackhi_epi8(a, b), 1);
    return (Pairs)_mm512_cvtepi8_epi16(both);
#else
    __m128i a = _mm_loadl_epi64((const __m128i *)even), b = _mm_loadl_epi64((const __m128i *)odd);
    return (Pairs)_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
#endif
}

typedef int16_t Rows[STRIP_ROWS][2];

/* 16 pairs of a group of 32 columns of nibbles, and their fifth bits if `five`; times the bytes at `factors` unless null. */
ALWAYS void unpack_nibbles(const uint8_t *q, int five, const uint8_t *factors, Rows *out) {
    for (int row = 0; row < LANES; row += WIDTH) {
        Bits high = five ? load_bits(q + 256 + 4 * row) : (Bits){0};
        Pairs factor = factors ? pairs_u8(factors + row) : (Pairs){0};
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            Bits v = load_bits(q + 64 * c + 4 * row), bits = high >> (8 * c); /* bit j of column 8c + j */
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                Bits pair = v >> (4 * j) & 0x000f000f;
                if (five) pair |= (bits << (4 - j) & 0x10) | (bits << (16 - j) & 0x100000);
                if (factors) pair = (Bits)((Pairs)pair * factor);
                memcpy(out[4 * c + j] + row, &pair, sizeof pair);
            }
        }
    }
}

/* 4 · `eights` pairs of columns of bytes. */
ALWAYS void unpack_bytes(const uint8_t *q, int eights, const uint8_t *factors, Rows *out) {
    for (int row = 0; row < LANES; row += WIDTH) {
        Pairs factor = factors ? pairs_i8(factors + row, factors + row) : (Pairs){0};
#pragma GCC unroll 4
        for (int c = 0; c < eights; c++) {
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                const uint8_t *p = q + 16 * (8 * c + j) + row;
                Pairs pair = pairs_i8(p, p + 64);
                if (factors) pair = pair * factor;
                memcpy(out[4 * c + j] + row, &pair, sizeof pair);
            }
        }
    }
}

/* Rows `lane` … of some pairs of a strip. */
ALWAYS Rows *rows_of(Strip *strip, int pair, int lane) { return (Rows *)&strip->pairs[pair][lane]; }

/* I4, I5, I8: one scale for 32 columns. */
ALWAYS void unpack_groups(int kind, const uint8_t *p, int groups, Strip *strip, int lane) {
    for (int g = 0; g < groups; g++) {
        int values = kind == I4 ? 256 : kind == I5 ? 320 : 512;
        if (kind == I8) unpack_bytes(p, 4, NULL, rows_of(strip, 16 * g, lane));
        else unpack_nibbles(p, kind == I5, NULL, rows_of(strip, 16 * g, lane));
        store_f32(&strip->scales[g][lane], load_f16(p + values));
        if (kind != I8) store_f32(&strip->minima[g][lane], load_f16(p + values + 32));
        p += kind == I8 ? values + 32 : values + 64;
    }
}

/* K4, K5. */
ALWAYS void unpack_supers(int kind, const uint8_t *p, Strip *strip, int lane) {
    f32x16 minimum = load_f16(p + 32);
    store_f32(&strip->scales[0][lane], load_f16(p));
    p += 64;
    for (int g = 0; g < GROUPS; g++) {
        int values = kind == K4 ? 256 : 320;
        unpack_nibbles(p, kind == K5, p + values, rows_of(strip, 16 * g, lane));
        store_f32(&strip->minima[g][lane], -(minimum * load_u8(p + values + 16)));
        p += values + 32;
    }
}

static void unpack_sixes(const uint8_t *p, Strip *strip, int lane) {
    store_f32(&strip->scales[0][lane], load_f16(p));
    p += 32;
    for (int g = 0; g < 2 * GROUPS; g++, p += 272) unpack_bytes(p, 2, p + 256, rows_of(strip, 8 * g, lane));
}

/* Columns SPAN · `span` … of one tile, `groups` times 32 of them, into rows `lane` … of a strip. */
static void unpack(const Matrix *m, int tile, int span, int groups, Strip *strip, int lane) {
    const uint8_t *p = m->data + (size_t)tile * tile_bytes(m->kind, m->columns);
    size_t bytes = tile_bytes(m->kind, SPAN) * (size_t)span;
    switch (m->kind) {
    case I4: unpack_groups(I4, p + bytes, groups, strip, lane); break;
    case I5: unpack_groups(I5, p + bytes, groups, strip, lane); break;
    case I8: unpack_groups(I8, p + bytes, groups, strip, lane); break;
    case K4: unpack_supers(K4, p + bytes, strip, lane); break;
    case K5: unpack_supers(K5, p + bytes, strip, lane); break;
    case K6: unpack_sixes(p + bytes, strip, lane); break;
    }
}

/* The same for plain numbers, `columns` of them: (columns, STRIP_ROWS) of float32. */
static void unpack_plain(const Matrix *m, int tile, int first, int columns, float (*out)[STRIP_ROWS], int lane) {
    const uint8_t *p = m->data + (size_t)tile * tile_bytes(m->kind, m->columns);
    for (int k = 0; k < columns; k++) store_f32(&out[k][lane], tile_column(m->kind, p, first + k));
}

#endif
