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

enum { SPAN = 256, GROUPS = SPAN / 32, PAIRS = SPAN / 2 }; /* columns seen at a time; groups and pairs in them */

typedef int16_t i16x32 __attribute__((vector_size(64)));

/* Two vectors of WIDTH rows over SPAN columns. With AVX-512 these are two tiles, else the halves of one. */
enum { STRIP_ROWS = 2 * WIDTH, STRIP_TILES = STRIP_ROWS / LANES };

typedef struct {
    int16_t pairs[PAIRS][STRIP_ROWS][2];
    float scales[GROUPS][STRIP_ROWS];
    float minima[GROUPS][STRIP_ROWS];
} Strip;

static inline int is_plain(int kind) { return kind == F32 || kind == F16 || kind == BF16; }

/* Columns that have one scale. */
static inline int columns_scaled(int kind) { return kind >= K4 ? SPAN : 32; }

static inline int has_minima(int kind) { return kind == I4 || kind == I5 || kind == K4 || kind == K5; }

/* The largest number of a kind whose products are added up over SPAN columns; 0 for those that are added up over 32 only,
 * where 128 · 32767 · 32 is far from what 32 bits hold. */
static inline int largest(int kind) { return kind == K4 ? 63 * 15 : kind == K5 ? 63 * 31 : kind == K6 ? 128 * 32 : 0; }

ALWAYS u32x16 twice(u32x16 v) { return (v & 0xffff) | v << 16; }

ALWAYS u32x16 bytes_u8(const uint8_t *p) {
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, u32x16);
}

ALWAYS u32x16 bytes_i8(const uint8_t *p) {
    i8x16 v;
    memcpy(&v, p, sizeof v);
    return (u32x16)__builtin_convertvector(v, i32x16);
}

ALWAYS void put_pair(int16_t (*out)[STRIP_ROWS][2], int pair, u32x16 v) { memcpy(out[pair], &v, sizeof v); }

/* 16 pairs of a group of 32 columns of nibbles, and their fifth bits if `five`, times `factor`. */
ALWAYS void unpack_nibbles(const uint8_t *q, int five, int scaled, u32x16 factor, int16_t (*out)[STRIP_ROWS][2]) {
    u32x16 high = five ? load_u32(q + 256) : (u32x16){0};
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        u32x16 v = load_u32(q + 64 * c), bits = high >> (8 * c); /* bit j of column 8c + j */
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            u32x16 pair = v >> (4 * j) & 0x000f000f;
            if (five) pair |= (bits << (4 - j) & 0x10) | (bits << (16 - j) & 0x100000);
            if (scaled) pair = (u32x16)((i16x32)pair * (i16x32)factor);
            put_pair(out, 4 * c + j, pair);
        }
    }
}

/* 4 · `eights` pairs of columns of bytes. */
ALWAYS void unpack_bytes(const uint8_t *q, int eights, int scaled, u32x16 factor, int16_t (*out)[STRIP_ROWS][2]) {
#pragma GCC unroll 4
    for (int c = 0; c < eights; c++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const uint8_t *p = q + 16 * (8 * c + j);
            u32x16 pair = (bytes_i8(p) & 0xffff) | bytes_i8(p + 64) << 16;
            if (scaled) pair = (u32x16)((i16x32)pair * (i16x32)factor);
            put_pair(out, 4 * c + j, pair);
        }
    }
}

/* I4, I5, I8: one scale for 32 columns. */
ALWAYS void unpack_groups(int kind, const uint8_t *p, int groups, Strip *strip, int lane) {
    const u32x16 none = {0};
    for (int g = 0; g < groups; g++) {
        int16_t(*out)[STRIP_ROWS][2] = (void *)&strip->pairs[16 * g][lane];
        int values = kind == I4 ? 256 : kind == I5 ? 320 : 512;
        if (kind == I8) unpack_bytes(p, 4, 0, none, out);
        else unpack_nibbles(p, kind == I5, 0, none, out);
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
        unpack_nibbles(p, kind == K5, 1, twice(bytes_u8(p + values)), (void *)&strip->pairs[16 * g][lane]);
        store_f32(&strip->minima[g][lane], -(minimum * load_u8(p + values + 16)));
        p += values + 32;
    }
}

static void unpack_sixes(const uint8_t *p, Strip *strip, int lane) {
    store_f32(&strip->scales[0][lane], load_f16(p));
    p += 32;
    for (int g = 0; g < 2 * GROUPS; g++, p += 272)
        unpack_bytes(p, 2, 1, twice(bytes_i8(p + 256)), (void *)&strip->pairs[8 * g][lane]);
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
