/* Attention of many tokens over the cache, with the matrix unit: softmax(q·k) v in one pass over the keys, keeping the largest score
 * and the sum so far (arXiv:2205.14135; Milakov and Gimelshein, arXiv:1805.02867). */
#ifndef CHATTERM_ATTENTION_H
#define CHATTERM_ATTENTION_H

#include "attending.h"
#include "product.h"
#include "rows.h"

enum { QUERIES = 32, KEYS = 128 }; /* queries in one piece of work; keys seen at a time */

/* bfloat16 numbers for one number of weights and values; for one of queries and keys at most. Scores are large sums of which the
 * softmax sees the differences: of keys in float32 all 24 bits are multiplied, of narrow ones the 16 that they have. */
enum { PARTS = 2, NARROW_PARTS = 2, FLOAT_PARTS = 3 };

static inline int depth_steps(const Attending *a) { return (a->head_size + STEP - 1) / STEP; }
static inline int depth_tiles(const Attending *a) { return 2 * depth_steps(a); }
static inline int key_steps(const Attending *a) { return (a->seen + KEYS - 1) / KEYS * (KEYS / STEP); }

/* Numbers in all key operands of one head, and in all value operands. */
static inline size_t operand_size(const Attending *a, int parts) {
    return (size_t)key_steps(a) * 2 * depth_steps(a) * parts * BLOCK;
}

/* Sixteen numbers of a vector of the cache from number d on, zeros where there are none. */
static inline __attribute__((always_inline)) f32x16 cached(
    const Attending *a, const void *part, const float *scales, int narrow, int head, int key, int d) {
    int count = key < a->seen ? a->head_size - d : 0;
    size_t at = head * a->kv_stride + (size_t)key * a->head_size + d;
    if (count <= 0) return splat(0);
    if (!narrow) return load_some((const float *)part + at, count);
    int16_t some[LANES] = {0};
    const int16_t *whole = (const int16_t *)part + at;
    if (count < LANES) whole = memcpy(some, whole, sizeof *some * count);
    return load_i16(whole) * scales[head * a->scale_stride + key];
}

/* 32 numbers as bfloat16. */
static inline __m512i packed(u32x16 a, u32x16 b) {
    __m256i low = _mm512_cvtepi32_epi16((__m512i)(a >> 16)), high = _mm512_cvtepi32_epi16((__m512i)(b >> 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* 32 numbers of one key as column `column` of a right operand: (parts, 16 pairs of d, 16 keys, 2). */
static inline __attribute__((always_inline)) void put_column(uint16_t *operand, int parts, int column, f32x16 a, f32x16 b) {
    for (int i = 0; i < parts; i++, operand += BLOCK) {
        u32x16 top_a = rounded(a), top_b = rounded(b);
        uint32_t pairs[LANES], *to = (uint32_t *)operand + column;
        _mm512_storeu_si512(pairs, packed(top_a, top_b));
        for (int pair = 0; pair < LANES; pair++) memcpy(to + LANES * pair, pairs + pair, sizeof *pairs);
        a -= (f32x16)top_a;
        b -= (f32x16)top_b;
    }
}

/* Sixteen numbers of two values, one beside the other, as a line of a right operand: (PARTS, 16 pairs of keys, 16 d, 2). */
static inline void put_pair(uint16_t *operand, int pair, f32x16 even, f32x16 odd) {
    for (int i = 0; i < PARTS; i++, operand += BLOCK) {
        u32x16 top_even = rounded(even), top_odd = rounded(odd), both = top_even >> 16 | top_odd;
        memcpy(operand + 32 * pair, &both, sizeof both);
        even -= (f32x16)top_even;
        odd -= (f32x16)top_odd;
    }
}

/* 32 keys and values of one head as right operands. Keys: (tiles of 16 keys, depth steps, …). Values: (tiles of 16 d, key steps, …). */
static inline __attribute__((always_inline)) void operand_some(const Attending *a, int piece, int parts, int narrow) {
    int steps = key_steps(a), head = piece / steps, step = piece % steps, depth = depth_steps(a);
    uint16_t *keys = a->key_operands + head * operand_size(a, parts);
    uint16_t *values = a->value_operands + head * operand_size(a, PARTS);
    for (int key = step * STEP; key < (step + 1) * STEP; key++) {
        for (int d = 0; d < depth; d++) {
            f32x16 low = cached(a, a->keys, a->key_scales, narrow, head, key, d * STEP);
            f32x16 high = cached(a, a->keys, a->key_scales, narrow, head, key, d * STEP + LANES);
            put_column(keys + ((size_t)(key / 16) * depth + d) * parts * BLOCK, parts, key % 16, low, high);
        }
        for (int d = 0; d < depth_tiles(a) && key % 2 == 0; d++) {
            f32x16 even = cached(a, a->values, a->value_scales, narrow, head, key, d * LANES);
            f32x16 odd = cached(a, a->values, a->value_scales, narrow, head, key + 1, d * LANES);
            put_pair(values + ((size_t)d * steps + step) * PARTS * BLOCK, key % STEP / 2, even, odd);
        }
    }
}

static void operand_piece(void *context, int piece) {
    const Attending *a = context;
    if (a->key_scales) operand_some(a, piece, NARROW_PARTS, 1);
    else operand_some(a, piece, FLOAT_PARTS, 0);
}

/* A row of 32 numbers into row r of left operands. */
static inline __attribute__((always_inline)) void put_row(uint16_t *operand, int parts, int r, f32x16 a, f32x16 b) {
    for (int i = 0; i < parts; i++, operand += BLOCK) {
        u32x16 top_a = rounded(a), top_b = rounded(b);
        _mm512_storeu_si512(operand + 32 * r, packed(top_a, top_b));
        a -= (f32x16)top_a;
        b -= (f32x16)top_b;
    }
}

static inline float max16(f32x16 v) { return _mm512_reduce_max_ps((__m512)v); }

enum { MOST_DEPTH = 256 }; /* largest head */

typedef struct {
    uint16_t queries[2 * MOST_DEPTH / STEP * FLOAT_PARTS * BLOCK]; /* (2, depth steps, parts, 16, 32) */
    uint16_t weights[2][KEYS / STEP][PARTS][BLOCK];
    float scores[QUERIES][KEYS];
    float mixed[QUERIES][MOST_DEPTH];
    float most[QUERIES], sum[QUERIES];
} Scratch;

/* Scores of one query and `count` keys from `key` on → weights relative to the largest score so far, in left operands. */
static void weigh(const Attending *a, Scratch *s, int r, int query, int key, int count) {
    float *scores = s->scores[r];
    int last = query, least = a->window ? query - a->window + 1 : 0;
    const i32x16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    f32x16 most = splat(s->most[r]), sum = splat(0);
    for (int k = 0; k < count; k += LANES) {
        f32x16 score = capped(a, load_f32(scores + k));
        i32x16 at = lanes + (key + k);
        score = choose((at <= last) & (at >= least), score, splat(-INFINITY));
        store_f32(scores + k, score);
        most = choose(score > most, score, most);
    }
    float largest = max16(most), keep = largest > s->most[r] ? expf(s->most[r] - largest) : 1.0f;
    for (int k = 0; k < count; k += STEP) {
        f32x16 w[2];
        for (int i = 0; i < 2; i++) {
            f32x16 score = load_f32(scores + k + LANES * i);
            w[i] = choose(score > -INFINITY, exp16(score - largest), splat(0));
            sum += w[i];
        }
        put_row(s->weights[r / 16][k / STEP][0], PARTS, r % 16, w[0], w[1]);
    }
    s->most[r] = largest;
    s->sum[r] = s->sum[r] * keep + sum16(sum);
    if (keep != 1.0f)
        for (int d = 0; d < depth_tiles(a) * 16; d++) s->mixed[r][d] *= keep;
}

/* The scores of 32 queries and 32 keys. */
static void score_square(const Attending *a, Scratch *s, const uint16_t *keys, int k) {
    int depth = depth_steps(a);
    const uint16_t *first = s->queries, *second = first + (size_t)depth * a->parts * BLOCK;
    const uint16_t *further = keys + (size_t)depth * a->parts * BLOCK;
    float *y0 = &s->scores[0][k], *y1 = &s->scores[16][k];
    if (a->parts == NARROW_PARTS) multiply_square(first, second, keys, further, depth, NARROW_PARTS, y0, y1, sizeof s->scores[0], NULL, 0);
    else multiply_square(first, second, keys, further, depth, FLOAT_PARTS, y0, y1, sizeof s->scores[0], NULL, 0);
}

static void attention_piece(void *context, int piece) {
    const Attending *a = context;
    int blocks = (a->tokens + QUERIES - 1) / QUERIES;
    int block = blocks - 1 - piece / a->heads, head = piece % a->heads; /* the longest work first */
    int kv_head = head / (a->heads / a->kv_heads), steps = key_steps(a), depth = depth_steps(a);
    const uint16_t *keys = a->key_operands + kv_head * operand_size(a, a->parts);
    const uint16_t *values = a->value_operands + kv_head * operand_size(a, PARTS);
    int from = block * QUERIES, count = a->tokens - from < QUERIES ? a->tokens - from : QUERIES;
    Scratch *s = scratch(sizeof *s);
    for (int r = 0; r < QUERIES; r++) {
        const float *q = a->queries + (size_t)(from + r) * a->query_stride + (size_t)head * a->head_size;
        for (int d = 0; d < depth * STEP; d += STEP) {
            f32x16 low = splat(0), high = splat(0);
            if (r < count && d < a->head_size) low = load_some(q + d, a->head_size - d) * a->scale;
            if (r < count && d + LANES < a->head_size) high = load_some(q + d + LANES, a->head_size - d - LANES) * a->scale;
            uint16_t *operand = s->queries + (size_t)(r / 16 * depth + d / STEP) * a->parts * BLOCK;
            if (a->parts == NARROW_PARTS) put_row(operand, NARROW_PARTS, r % 16, low, high);
            else put_row(operand, FLOAT_PARTS, r % 16, low, high);
        }
        s->most[r] = -1e30f;
        s->sum[r] = 0;
        memset(s->mixed[r], 0, sizeof(float) * depth * STEP);
    }
    int first = a->first + from, stop = first + count;
    int start = a->window && first - a->window + 1 > 0 ? (first - a->window + 1) / STEP * STEP : 0;
    configure();
    for (int key = start; key < stop; key += KEYS) {
        int near = stop - key < KEYS ? (stop - key + STEP - 1) / STEP * STEP : KEYS;
        for (int k = 0; k < near; k += 32) score_square(a, s, keys + (size_t)((key + k) / 16) * depth * a->parts * BLOCK, k);
        for (int r = 0; r < count; r++) weigh(a, s, r, first + r, key, near);
        for (int d = 0; d < depth * STEP; d += 32) {
            const uint16_t *w = values + ((size_t)(d / 16) * steps + key / STEP) * PARTS * BLOCK;
            multiply_square(&s->weights[0][0][0][0], &s->weights[1][0][0][0], w, w + (size_t)steps * PARTS * BLOCK, near / STEP,
                PARTS, &s->mixed[0][d], &s->mixed[16][d], sizeof s->mixed[0], NULL, 1);
        }
    }
    _tile_release();
    for (int r = 0; r < count; r++) {
        float *out = a->out + ((size_t)(from + r) * a->heads + head) * a->head_size, scale = 1.0f / s->sum[r];
        for (int d = 0; d < a->head_size; d++) out[d] = s->mixed[r][d] * scale;
    }
}

#endif
