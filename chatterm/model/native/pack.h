/* GGUF blocks and dense rows → tiles (see tiles.h). */
#ifndef CHATTERM_PACK_H
#define CHATTERM_PACK_H

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

static void put_nibble(uint8_t *group, int row, int column, int q) {
    uint32_t word;
    uint8_t *place = group + 64 * (column / 8) + 4 * row;
    memcpy(&word, place, 4);
    word |= (uint32_t)(q & 15) << (4 * (column % 8));
    memcpy(place, &word, 4);
}

static void put_five(uint8_t *group, int row, int column, int q) {
    uint32_t word;
    uint8_t *place = group + 256 + 4 * row;
    put_nibble(group, row, column, q);
    memcpy(&word, place, 4);
    word |= (uint32_t)(q >> 4 & 1) << column;
    memcpy(place, &word, 4);
}

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

/* One row's part of one group of 32 columns. */
static void put_q4(const uint8_t *qs, uint8_t *group, int row) {
    for (int j = 0; j < 16; j++) {
        put_nibble(group, row, j, qs[j] & 15);
        put_nibble(group, row, j + 16, qs[j] >> 4);
    }
}

/* Small numbers of 32 columns, `bits` (one or two) each, lowest bits first; `step` times each of them. */
static void put_bits(const uint8_t *qs, int bits, int step, uint16_t d, uint8_t *group, int row) {
    for (int k = 0; k < 32; k++)
        put_nibble(group, row, k, step * (qs[k * bits / 8] >> (k * bits % 8) & ((1 << bits) - 1)));
    put_half(group + 256, row, d);
    put_half(group + 288, row, d ^ 0x8000);
}

static void put_q5(const uint8_t *qh, const uint8_t *qs, uint8_t *group, int row) {
    uint32_t high;
    memcpy(&high, qh, 4);
    for (int j = 0; j < 16; j++) {
        put_five(group, row, j, (qs[j] & 15) | (int)(high >> j & 1) << 4);
        put_five(group, row, j + 16, qs[j] >> 4 | (int)(high >> (j + 16) & 1) << 4);
    }
}

static void scale_and_minimum(const uint8_t *scales, int j, int *sc, int *mn) {
    if (j < 4) {
        *sc = scales[j] & 63;
        *mn = scales[j + 4] & 63;
    } else {
        *sc = (scales[j + 4] & 15) | scales[j - 4] >> 6 << 4;
        *mn = scales[j + 4] >> 4 | scales[j] >> 6 << 4;
    }
}

static void put_q4_k(const uint8_t *block, uint8_t *super, int row) {
    put_half(super, row, half_at(block));
    put_half(super + 32, row, half_at(block + 2));
    for (int g = 0; g < 8; g++) {
        uint8_t *group = super + 64 + 288 * g;
        const uint8_t *qs = block + 16 + 32 * (g / 2);
        int sc, mn;
        scale_and_minimum(block + 4, g, &sc, &mn);
        for (int k = 0; k < 32; k++) put_nibble(group, row, k, g % 2 ? qs[k] >> 4 : qs[k] & 15);
        group[256 + row] = (uint8_t)sc;
        group[272 + row] = (uint8_t)mn;
    }
}

static void put_q5_k(const uint8_t *block, uint8_t *super, int row) {
    const uint8_t *qh = block + 16;
    put_half(super, row, half_at(block));
    put_half(super + 32, row, half_at(block + 2));
    for (int g = 0; g < 8; g++) {
        uint8_t *group = super + 64 + 352 * g;
        const uint8_t *qs = block + 48 + 32 * (g / 2);
        int sc, mn;
        scale_and_minimum(block + 4, g, &sc, &mn);
        for (int k = 0; k < 32; k++)
            put_five(group, row, k, (g % 2 ? qs[k] >> 4 : qs[k] & 15) | (qh[k] >> g & 1) << 4);
        group[320 + row] = (uint8_t)sc;
        group[336 + row] = (uint8_t)mn;
    }
}

static void put_q6_k(const uint8_t *block, uint8_t *super, int row) {
    put_half(super, row, half_at(block + 208));
    for (int g = 0; g < 16; g++) {
        uint8_t *group = super + 32 + 272 * g;
        const uint8_t *ql = block + 64 * (g / 8), *qh = block + 128 + 32 * (g / 8);
        int quarter = g % 8 / 2; /* of 128 columns */
        for (int k = 0; k < 16; k++) {
            int l = 16 * (g % 2) + k;
            int low = quarter == 0 ? ql[l] & 15 : quarter == 1 ? ql[l + 32] & 15 : quarter == 2 ? ql[l] >> 4 : ql[l + 32] >> 4;
            group[16 * k + row] = (uint8_t)(int8_t)((low | (qh[l] >> (2 * quarter) & 3) << 4) - 32);
        }
        group[256 + row] = block[192 + g];
    }
}

static void pack_row(int type, const uint8_t *source, int columns, uint8_t *tile, int row) {
    switch (type) {
    case T_F32:
        for (int k = 0; k < columns; k++) memcpy(tile + 64 * (size_t)k + 4 * row, source + 4 * (size_t)k, 4);
        break;
    case T_F16:
    case T_BF16:
        for (int k = 0; k < columns; k++) memcpy(tile + 32 * (size_t)k + 2 * row, source + 2 * (size_t)k, 2);
        break;
    case T_Q4_0:
        for (int g = 0; g < columns / 32; g++, source += 18, tile += I4_GROUP) {
            put_q4(source + 2, tile, row);
            put_half(tile + 256, row, half_at(source));
            put_half(tile + 288, row, minus_scaled(half_at(source), 3));
        }
        break;
    case T_Q4_1:
        for (int g = 0; g < columns / 32; g++, source += 20, tile += I4_GROUP) {
            put_q4(source + 4, tile, row);
            put_half(tile + 256, row, half_at(source));
            put_half(tile + 288, row, half_at(source + 2));
        }
        break;
    case T_Q1_0: /* 0, 1 → d · 0 − d, d · 2 − d */
        for (int g = 0; g < columns / 32; g++, tile += I4_GROUP) {
            const uint8_t *block = source + 18 * (size_t)(g / 4);
            put_bits(block + 2 + 4 * (g % 4), 1, 2, half_at(block), tile, row);
        }
        break;
    case T_Q2_0: /* 0 … 3 → d · q − d */
        for (int g = 0; g < columns / 32; g++, tile += I4_GROUP) {
            const uint8_t *block = source + 18 * (size_t)(g / 2);
            put_bits(block + 2 + 8 * (g % 2), 2, 1, half_at(block), tile, row);
        }
        break;
    case T_Q5_0:
        for (int g = 0; g < columns / 32; g++, source += 22, tile += I5_GROUP) {
            put_q5(source + 2, source + 6, tile, row);
            put_half(tile + 320, row, half_at(source));
            put_half(tile + 352, row, minus_scaled(half_at(source), 4));
        }
        break;
    case T_Q5_1:
        for (int g = 0; g < columns / 32; g++, source += 24, tile += I5_GROUP) {
            put_q5(source + 4, source + 8, tile, row);
            put_half(tile + 320, row, half_at(source));
            put_half(tile + 352, row, half_at(source + 2));
        }
        break;
    case T_Q8_0:
        for (int g = 0; g < columns / 32; g++, source += 34, tile += I8_GROUP) {
            for (int k = 0; k < 32; k++) tile[16 * k + row] = source[2 + k];
            put_half(tile + 512, row, half_at(source));
        }
        break;
    case T_Q4_K:
        for (int s = 0; s < columns / 256; s++, source += 144, tile += K4_GROUP) put_q4_k(source, tile, row);
        break;
    case T_Q5_K:
        for (int s = 0; s < columns / 256; s++, source += 176, tile += K5_GROUP) put_q5_k(source, tile, row);
        break;
    case T_Q6_K:
        for (int s = 0; s < columns / 256; s++, source += 210, tile += K6_GROUP) put_q6_k(source, tile, row);
        break;
    case T_FP4:
        for (int g = 0; g < columns / 16; g++, source += 12, tile += E4_GROUP) {
            for (int k = 0; k < 16; k++) put_nibble(tile, row, k, source[4 + k / 2] >> (4 * (k % 2)));
            memcpy(tile + 128 + 4 * row, source, 4);
        }
        break;
    }
}

#endif
