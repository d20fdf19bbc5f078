/* GGUF blocks and dense rows → tiles (see tiles.h). */
#ifndef CHATTERM_PACK_H
#define CHATTERM_PACK_H

#include "pool.h"
#include "tiles.h"

/* The numbers that GGUF gives to its block types; FP4 is our own, see chatterm/model/native/four_bit.py. */
enum Type {
    T_F32 = 0, T_F16 = 1, T_Q4_0 = 2, T_Q4_1 = 3, T_Q5_0 = 6, T_Q5_1 = 7, T_Q8_0 = 8, T_Q4_K = 12, T_Q5_K = 13, T_Q6_K = 14,
    T_BF16 = 30, T_Q1_0 = 41, T_Q2_0 = 42, T_FP4 = 1000
};

/* The tile kind that holds a type exactly, or -1. */
static int kind_of(int type) {
    switch (type) {
    case T_F32: return F32;
    case T_F16: return F16;
    case T_BF16: return BF16;
    case T_Q4_0:
    case T_Q4_1:
    case T_Q1_0:
    case T_Q2_0: return I4;
    case T_Q5_0:
    case T_Q5_1: return I5;
    case T_Q8_0: return I8;
    case T_Q4_K: return K4;
    case T_Q5_K: return K5;
    case T_Q6_K: return K6;
    case T_FP4: return E4;
    }
    return -1;
}

static inline float half_value(uint16_t half) {
    uint16_t all[16] = {half};
    return load_f16(all)[0];
}

static uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

/* The low halves of eight bytes side by side, the first one lowest. */
static inline uint32_t nibbles_of(uint64_t eight) {
    eight &= 0x0f0f0f0f0f0f0f0full;
    eight = (eight | eight >> 4) & 0x00ff00ff00ff00ffull;
    eight = (eight | eight >> 8) & 0x0000ffff0000ffffull;
    return (uint32_t)(eight | eight >> 16);
}

/* Bit `bit` of each of eight bytes, the first one lowest: the product brings them together in the highest byte. */
static inline uint32_t bits_of(uint64_t eight, int bit) {
    return (uint32_t)((eight >> bit & 0x0101010101010101ull) * 0x0102040810204080ull >> 56);
}

/* Columns 8c … 8c+7 of one row of a group. */
static inline void put_word(uint8_t *group, int row, int c, uint32_t word) { memcpy(group + 64 * c + 4 * row, &word, 4); }

static void put_half(uint8_t *scales, int row, uint16_t half) { memcpy(scales + 2 * row, &half, 2); }

/* −2^shift · d: exact in half precision for every scale that a quantiser writes. */
static uint16_t minus_scaled(uint16_t d, int shift) {
    if ((d & 0x7fff) == 0) return d;
    int exponent = d >> 10 & 31;
    if (exponent == 0) { /* subnormal: add it to itself */
        uint16_t magnitude = (uint16_t)((d & 0x7fff) << shift);
        if (magnitude < 0x0400 << shift && (d & 0x3ff) << shift < 0x800) return (uint16_t)((d & 0x8000) ^ 0x8000) | magnitude;
        float value = half_value(d) * (float)(1 << shift);
        uint32_t bits;
        memcpy(&bits, &value, 4);
        return (uint16_t)(((d & 0x8000) ^ 0x8000) | (((bits >> 23 & 255) - 112) << 10) | (bits >> 13 & 0x3ff));
    }
    return (uint16_t)((d ^ 0x8000) + (shift << 10));
}

static uint16_t half_at(const uint8_t *p) {
    uint16_t half;
    memcpy(&half, p, 2);
    return half;
}

/* One row's part of one group of 32 columns. Bytes hold columns j and j + 16. */
static inline void put_q4(const uint8_t *qs, uint8_t *group, int row) {
    for (int c = 0; c < 2; c++) {
        uint64_t eight;
        memcpy(&eight, qs + 8 * c, 8);
        put_word(group, row, c, nibbles_of(eight));
        put_word(group, row, c + 2, nibbles_of(eight >> 4));
    }
}

/* Eight numbers of one or two bits, the lowest first, as nibbles. */
static inline uint32_t nibbles_of_bits(uint32_t q, int bits) {
    if (bits == 1) {
        q = (q | q << 12) & 0x000f000f;
        q = (q | q << 6) & 0x03030303;
        return (q | q << 3) & 0x11111111;
    }
    q = (q | q << 8) & 0x00ff00ff;
    q = (q | q << 4) & 0x0f0f0f0f;
    return (q | q << 2) & 0x33333333;
}

/* Small numbers of 32 columns, `bits` (one or two) each, lowest bits first; `step` times each of them. */
static inline void put_bits(const uint8_t *qs, int bits, uint32_t step, uint16_t d, uint8_t *group, int row) {
    for (int c = 0; c < 4; c++) {
        uint32_t q = bits == 1 ? qs[c] : qs[2 * c] | (uint32_t)qs[2 * c + 1] << 8;
        put_word(group, row, c, step * nibbles_of_bits(q, bits));
    }
    put_half(group + 256, row, d);
    put_half(group + 288, row, d ^ 0x8000);
}

static void scale_and_minimum(const uint8_t *scales, int j, uint8_t *sc, uint8_t *mn) {
    if (j < 4) {
        *sc = scales[j] & 63;
        *mn = scales[j + 4] & 63;
    } else {
        *sc = (uint8_t)((scales[j + 4] & 15) | scales[j - 4] >> 6 << 4);
        *mn = (uint8_t)(scales[j + 4] >> 4 | scales[j] >> 6 << 4);
    }
}

/* Nibbles of 64 columns: the low halves of 32 bytes are one group's, the high halves the next one's. */
static inline void put_two_groups(const uint8_t *qs, uint8_t *low, uint8_t *high, int row) {
    for (int c = 0; c < 4; c++) {
        uint64_t eight;
        memcpy(&eight, qs + 8 * c, 8);
        put_word(low, row, c, nibbles_of(eight));
        put_word(high, row, c, nibbles_of(eight >> 4));
    }
}

static inline void put_q4_k(const uint8_t *block, uint8_t *super, int row) {
    put_half(super, row, half_at(block));
    put_half(super + 32, row, half_at(block + 2));
    for (int g = 0; g < 8; g++) {
        uint8_t *group = super + 64 + 288 * g;
        scale_and_minimum(block + 4, g, group + 256 + row, group + 272 + row);
        if (g % 2 == 0) put_two_groups(block + 16 + 16 * g, group, group + 288, row);
    }
}

static inline void put_q5_k(const uint8_t *block, uint8_t *super, int row) {
    uint64_t high[4];
    memcpy(high, block + 16, 32);
    put_half(super, row, half_at(block));
    put_half(super + 32, row, half_at(block + 2));
    for (int g = 0; g < 8; g++) {
        uint8_t *group = super + 64 + 352 * g;
        scale_and_minimum(block + 4, g, group + 320 + row, group + 336 + row);
        if (g % 2 == 0) put_two_groups(block + 48 + 16 * g, group, group + 352, row);
        uint32_t fifth = 0;
        for (int c = 0; c < 4; c++) fifth |= bits_of(high[c], g) << (8 * c);
        put_word(group, row, 4, fifth);
    }
}

/* --- a column in each byte: sixteen rows of sixteen bytes are turned over ------------------------------------------ */

#if defined(__clang__)
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (u8x16){__VA_ARGS__})
#endif

/* Byte k of rows[r] → byte r of the k-th sixteen at `out`: four perfect shuffles of 256 bytes. */
static inline void put_turned(u8x16 *rows, uint8_t *out) {
    u8x16 next[LANES];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            u8x16 a = rows[i], b = rows[i + 8];
            next[2 * i] = SHUFFLED(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = SHUFFLED(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(rows, next, sizeof next);
    }
    memcpy(out, rows, 256);
}

static inline u8x16 sixteen_at(const uint8_t *p) {
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The rows of a tile as they lie in the file, `count` of them, at most 16. */
typedef struct {
    const uint8_t *row[LANES];
    int count;
} Rows;

static void put_q8_0(const Rows *rows, size_t at, uint8_t *group) {
    for (int half = 0; half < 2; half++) {
        u8x16 values[LANES] = {0};
        for (int r = 0; r < rows->count; r++) values[r] = sixteen_at(rows->row[r] + at + 2 + 16 * half);
        put_turned(values, group + 256 * half);
    }
    for (int r = 0; r < rows->count; r++) put_half(group + 512, r, half_at(rows->row[r] + at));
}

static void put_q6_k(const Rows *rows, size_t at, uint8_t *super) {
    for (int r = 0; r < rows->count; r++) put_half(super, r, half_at(rows->row[r] + at + 208));
    for (int g = 0; g < 16; g++) {
        int quarter = g % 8 / 2; /* of 128 columns */
        size_t low = at + 64 * (g / 8) + 32 * (quarter % 2) + 16 * (g % 2), high = at + 128 + 32 * (g / 8) + 16 * (g % 2);
        uint8_t *group = super + 32 + 272 * g;
        u8x16 values[LANES] = {0};
        for (int r = 0; r < rows->count; r++) {
            u8x16 q = sixteen_at(rows->row[r] + low);
            q = quarter < 2 ? q & 15 : q >> 4;
            values[r] = (q | (sixteen_at(rows->row[r] + high) >> (2 * quarter) & 3) << 4) - 32;
            group[256 + r] = rows->row[r][at + 192 + g];
        }
        put_turned(values, group);
    }
}

/* --- whole tiles --------------------------------------------------------------------------------------------------- */

/* One row's part of the group of a kind that keeps its nibbles in words; `at` is the group's block in the file. */
static inline void put_group(int type, const uint8_t *block, int part, uint8_t *group, int row) {
    switch (type) {
    case T_Q4_0:
        put_q4(block + 2, group, row);
        put_half(group + 256, row, half_at(block));
        put_half(group + 288, row, minus_scaled(half_at(block), 3));
        break;
    case T_Q4_1:
        put_q4(block + 4, group, row);
        put_half(group + 256, row, half_at(block));
        put_half(group + 288, row, half_at(block + 2));
        break;
    case T_Q1_0: put_bits(block + 2 + 4 * part, 1, 2, half_at(block), group, row); break; /* 0, 1 → d · 0 − d, d · 2 − d */
    case T_Q2_0: put_bits(block + 2 + 8 * part, 2, 1, half_at(block), group, row); break; /* 0 … 3 → d · q − d */
    case T_Q5_0:
        put_q4(block + 6, group, row);
        put_word(group, row, 4, word_at(block + 2));
        put_half(group + 320, row, half_at(block));
        put_half(group + 352, row, minus_scaled(half_at(block), 4));
        break;
    case T_Q5_1:
        put_q4(block + 8, group, row);
        put_word(group, row, 4, word_at(block + 4));
        put_half(group + 320, row, half_at(block));
        put_half(group + 352, row, half_at(block + 2));
        break;
    case T_Q4_K: put_q4_k(block, group, row); break;
    case T_Q5_K: put_q5_k(block, group, row); break;
    case T_FP4:
        for (int c = 0; c < 2; c++) put_word(group, row, c, word_at(block + 4 + 4 * c));
        memcpy(group + 128 + 4 * row, block, 4);
        break;
    }
}

/* All groups of a tile, `columns` each and `group_bytes` in it; a block of the file holds `parts` of them. */
static inline __attribute__((always_inline)) void put_groups(
    int type, const Rows *rows, int columns, int width, size_t block_bytes, int parts, size_t group_bytes, uint8_t *tile) {
    for (int g = 0; g < columns / width; g++, tile += group_bytes)
        for (int r = 0; r < rows->count; r++)
            put_group(type, rows->row[r] + block_bytes * (g / parts), g % parts, tile, r);
}

static void pack_tile(int type, const Rows *rows, int columns, uint8_t *tile) {
    switch (type) {
    case T_F32:
        for (int k = 0; k < columns; k++)
            for (int r = 0; r < rows->count; r++) memcpy(tile + 64 * (size_t)k + 4 * r, rows->row[r] + 4 * (size_t)k, 4);
        break;
    case T_F16:
    case T_BF16:
        for (int k = 0; k < columns; k++)
            for (int r = 0; r < rows->count; r++) memcpy(tile + 32 * (size_t)k + 2 * r, rows->row[r] + 2 * (size_t)k, 2);
        break;
    case T_Q4_0: put_groups(T_Q4_0, rows, columns, 32, 18, 1, I4_GROUP, tile); break;
    case T_Q4_1: put_groups(T_Q4_1, rows, columns, 32, 20, 1, I4_GROUP, tile); break;
    case T_Q1_0: put_groups(T_Q1_0, rows, columns, 32, 18, 4, I4_GROUP, tile); break;
    case T_Q2_0: put_groups(T_Q2_0, rows, columns, 32, 18, 2, I4_GROUP, tile); break;
    case T_Q5_0: put_groups(T_Q5_0, rows, columns, 32, 22, 1, I5_GROUP, tile); break;
    case T_Q5_1: put_groups(T_Q5_1, rows, columns, 32, 24, 1, I5_GROUP, tile); break;
    case T_Q4_K: put_groups(T_Q4_K, rows, columns, 256, 144, 1, K4_GROUP, tile); break;
    case T_Q5_K: put_groups(T_Q5_K, rows, columns, 256, 176, 1, K5_GROUP, tile); break;
    case T_FP4: put_groups(T_FP4, rows, columns, 16, 12, 1, E4_GROUP, tile); break;
    case T_Q8_0:
        for (int g = 0; g < columns / 32; g++) put_q8_0(rows, 34 * (size_t)g, tile + (size_t)g * I8_GROUP);
        break;
    case T_Q6_K:
        for (int s = 0; s < columns / 256; s++) put_q6_k(rows, 210 * (size_t)s, tile + (size_t)s * K6_GROUP);
        break;
    }
}

typedef struct {
    int type, count, columns;
    const uint8_t *rows;
    size_t row_bytes;
    const int64_t *order; /* which row stands at each place; null: as they lie */
    uint8_t *out;
} Packing;

static void pack_piece(void *context, int tile) {
    const Packing *p = context;
    int first = LANES * tile, count = p->count - first < LANES ? p->count - first : LANES;
    Rows rows = {.count = count};
    for (int r = 0; r < count; r++)
        rows.row[r] = p->rows + (size_t)(p->order ? p->order[first + r] : first + r) * p->row_bytes;
    pack_tile(p->type, &rows, p->columns, p->out + (size_t)tile * tile_bytes(kind_of(p->type), p->columns));
}

/* Rows of blocks of `type` → tiles, on all threads. `out` is zeroed and aligned to 64 bytes. */
__attribute__((visibility("default"))) void chatterm_pack(
    Pool *pool, int type, const uint8_t *rows, size_t row_bytes, const int64_t *order, int count, int columns, uint8_t *out) {
    Packing packing = {type, count, columns, rows, row_bytes, order, out};
    share(pool, pack_piece, &packing, (count + LANES - 1) / LANES);
}

#endif
