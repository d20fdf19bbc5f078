/* Attention of many tokens over the cache, with the matrix unit: softmax(q·k) v in one pass over the keys, keeping the largest score
 * and the sum so far (arXiv:2205.14135; Milakov and Gimelshein, arXiv:1805.02867). */
#ifndef CHATTERM_ATTENTION_H
#define CHATTERM_ATTENTION_H

#include "attending.h"
#include "product.h"
#include "rows.h"

enum { QUERIES = 32, KEYS = 128, PARTS = 2 }; /* queries in one piece of work; keys seen at a time */

static inline int depth_steps(const Attending *a) { return (a->head_size + STEP - 1) / STEP; }
static inline int depth_tiles(const Attending *a) { return 2 * depth_steps(a); }
static inline int key_steps(const Attending *a) { return (a->seen + KEYS - 1) / KEYS * (KEYS / STEP); }

/* Numbers in all key operands of one head, and in all value operands: the same. */
static inline size_t operand_size(const Attending *a) { return (size_t)key_steps(a) * 2 * depth_steps(a) * PARTS * BLOCK; }

/* A number of the cache, zero beyond its end. */
static inline float cached(const Attending *a, const void *part, int half, int head, int key, int d) {
    if (key >= a->seen || d >= a->head_size) return 0;
    size_t at = head * a->kv_stride + (size_t)key * a->head_size + d;
#if defined(__F16C__)
    if (half) return _cvtsh_ss(((const uint16_t *)part)[at]);
#endif
    return ((const float *)part)[at];
}

static inline uint16_t top(float x, float *rest) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    float high;
    memcpy(&high, &bits, 4);
    *rest = x - high;
    return (uint16_t)(bits >> 16);
}

static inline void put(uint16_t *operand, int place, float x) {
    float rest, none;
    operand[place] = top(x, &rest);
    operand[BLOCK + place] = top(rest, &none);
}

/* 32 keys and values of one head as right operands. Keys: (tiles of 16 keys, depth steps, parts, 16 pairs of d, 16 keys, 2).
 * Values: (tiles of 16 d, key steps, parts, 16 pairs of keys, 16 d, 2). */
static void operand_piece(void *context, int piece) {
    const Attending *a = context;
    int steps = key_steps(a), head = piece / steps, step = piece % steps;
    uint16_t *keys = a->key_operands + head * operand_size(a), *values = a->value_operands + head * operand_size(a);
    for (int j = 0; j < STEP; j++) {
        int key = step * STEP + j;
        for (int d = 0; d < depth_steps(a) * STEP; d++) {
            size_t k_operand = ((size_t)(key / 16) * depth_steps(a) + d / STEP) * PARTS * BLOCK;
            size_t v_operand = ((size_t)(d / 16) * steps + step) * PARTS * BLOCK;
            put(keys + k_operand, d % STEP / 2 * 32 + key % 16 * 2 + d % 2, cached(a, a->keys, a->keys_half, head, key, d));
            put(values + v_operand, j / 2 * 32 + d % 16 * 2 + j % 2, cached(a, a->values, a->values_half, head, key, d));
        }
    }
}

/* A row of 32 numbers into row r of left operands. */
static inline void put_row(uint16_t *operand, int r, f32x16 a, f32x16 b) {
    u32x16 high_a = rounded(a), high_b = rounded(b);
    u32x16 low_a = rounded(a - (f32x16)high_a), low_b = rounded(b - (f32x16)high_b);
    _mm256_storeu_si256((__m256i *)(operand + 32 * r), _mm512_cvtepi32_epi16((__m512i)(high_a >> 16)));
    _mm256_storeu_si256((__m256i *)(operand + 32 * r + 16), _mm512_cvtepi32_epi16((__m512i)(high_b >> 16)));
    _mm256_storeu_si256((__m256i *)(operand + BLOCK + 32 * r), _mm512_cvtepi32_epi16((__m512i)(low_a >> 16)));
    _mm256_storeu_si256((__m256i *)(operand + BLOCK + 32 * r + 16), _mm512_cvtepi32_epi16((__m512i)(low_b >> 16)));
}

static inline float max16(f32x16 v) { return _mm512_reduce_max_ps((__m512)v); }

enum { MOST_DEPTH = 256 }; /* largest head */

typedef struct {
    uint16_t queries[2][MOST_DEPTH / STEP][PARTS][BLOCK];
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
        put_row(s->weights[r / 16][k / STEP][0], r % 16, w[0], w[1]);
    }
    s->most[r] = largest;
    s->sum[r] = s->sum[r] * keep + sum16(sum);
    if (keep != 1.0f)
        for (int d = 0; d < depth_tiles(a) * 16; d++) s->mixed[r][d] *= keep;
}

static void attention_piece(void *context, int piece) {
    const Attending *a = context;
    int blocks = (a->tokens + QUERIES - 1) / QUERIES;
    int block = blocks - 1 - piece / a->heads, head = piece % a->heads; /* the longest work first */
    int kv_head = head / (a->heads / a->kv_heads), steps = key_steps(a), depth = depth_steps(a);
    const uint16_t *keys = a->key_operands + kv_head * operand_size(a);
    const uint16_t *values = a->value_operands + kv_head * operand_size(a);
    int from = block * QUERIES, count = a->tokens - from < QUERIES ? a->tokens - from : QUERIES;
    Scratch *s = scratch(sizeof *s);
    for (int r = 0; r < QUERIES; r++) {
        const float *q = a->queries + (size_t)(from + r) * a->query_stride + (size_t)head * a->head_size;
        for (int d = 0; d < depth * STEP; d += STEP) {
            f32x16 low = splat(0), high = splat(0);
            if (r < count && d < a->head_size) low = load_some(q + d, a->head_size - d) * a->scale;
            if (r < count && d + LANES < a->head_size) high = load_some(q + d + LANES, a->head_size - d - LANES) * a->scale;
            put_row(&s->queries[r / 16][d / STEP][0][0], r % 16, low, high);
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
        for (int k = 0; k < near; k += 32) {
            const uint16_t *w = keys + (size_t)((key + k) / 16) * depth * PARTS * BLOCK;
            multiply_square(&s->queries[0][0][0][0], &s->queries[1][0][0][0], w, w + depth * PARTS * BLOCK, depth, PARTS,
                &s->scores[0][k], &s->scores[16][k], sizeof s->scores[0], NULL, 0);
        }
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
