/* Attention of many tokens over the cache in float32: softmax(q·k) v in one pass over the keys, keeping the largest score and the
 * sum so far (arXiv:2205.14135; Milakov and Gimelshein, arXiv:1805.02867).
 *
 * A lane belongs to a query, that is to one head of one token. So softmax needs no sum across lanes, nothing is transposed
 * but queries, and all heads that share keys and values use them together. */
#ifndef CHATTERM_ATTENTION_LANES_H
#define CHATTERM_ATTENTION_LANES_H

#include "attending.h"
#include "whole.h"

enum { SEEN_AT_ONCE = 96, QUERY_STRIPS = 256 / STRIP_ROWS }; /* keys; strips of queries in one piece of work, about */

typedef struct {
    float most[STRIP_ROWS], sum[STRIP_ROWS];
    int32_t position[STRIP_ROWS];
    int least, last; /* of the positions */
} Softmax;

/* ---- pieces: some tokens of one key/value head ---- */

static inline int group_of(const Attending *a) { return a->heads / a->kv_heads; }

static inline int tokens_in_piece(const Attending *a) {
    int tokens = QUERY_STRIPS * STRIP_ROWS / group_of(a);
    /* enough pieces for several threads, whole strips where that is possible */
    while (tokens > STRIP_ROWS && (int64_t)a->kv_heads * a->tokens / tokens < 16) tokens /= 2;
    return tokens < 1 ? 1 : tokens;
}

static inline int attention_pieces(const Attending *a) {
    return (a->tokens + tokens_in_piece(a) - 1) / tokens_in_piece(a) * a->kv_heads;
}

/* Queries of one strip, (head_size, STRIP_ROWS), and where they stand. Beyond the last one: zeros, at its place. */
static void lay_queries(const Attending *a, int kv_head, int first, int row, int rows, float (*to)[STRIP_ROWS], Softmax *s) {
    int group = group_of(a);
    for (int lane = 0; lane < STRIP_ROWS; lane++) {
        int at = row + lane < rows ? row + lane : rows - 1, token = first + at / group, head = kv_head * group + at % group;
        const float *q = a->queries + (size_t)token * a->query_stride + (size_t)head * a->head_size;
        float scale = row + lane < rows ? a->scale : 0;
        for (int d = 0; d < a->head_size; d++) to[d][lane] = q[d] * scale;
        s->position[lane] = a->first + token;
        s->most[lane] = -1e30f;
        s->sum[lane] = 0;
    }
    s->least = s->position[0];
    s->last = s->position[STRIP_ROWS - 1];
}

/* Some rows of the cache in float32, SPAN numbers from one to the next. */
static void lay_rows(const Attending *a, const void *part, const float *scales, int head, int key, int count, float (*to)[SPAN]) {
    int size = a->head_size;
    for (int row = 0; row < count; row++) {
        size_t at = (size_t)head * a->kv_stride + (size_t)(key + row) * size;
        const int16_t *from = (const int16_t *)part + at;
        if (!scales) {
            memcpy(to[row], (const float *)part + at, sizeof(float) * size);
            continue;
        }
        float scale = scales[(size_t)head * a->scale_stride + key + row];
        for (int i = 0; i < size; i += LANES) {
            int16_t some[LANES] = {0};
            int whole = size - i >= LANES;
            if (!whole) memcpy(some, from + i, sizeof *some * (size - i));
            store_f32(to[row] + i, load_i16(whole ? from + i : some) * scale);
        }
    }
}

/* Scores of `count` keys from index `key` on → weights relative to the largest score so far; what was mixed is scaled down. */
static void soften_lanes(const Attending *a, Softmax *s, int key, int count, float (*scores)[STRIP_ROWS], float (*mixed)[STRIP_ROWS]) {
    int all_seen = key + count - 1 <= s->least && (!a->window || key > s->last - a->window);
    for (int lane = 0; lane < STRIP_ROWS; lane += LANES) {
        f32x16 before = load_f32(s->most + lane), most = before, sum = splat(0);
        i32x16 last, least;
        memcpy(&last, s->position + lane, sizeof last);
        least = a->window ? last - (a->window - 1) : last - last;
        for (int k = 0; k < count; k++) {
            f32x16 score = capped(a, load_f32(scores[k] + lane));
            if (!all_seen) score = choose((last >= key + k) & (least <= key + k), score, splat(-INFINITY));
            store_f32(scores[k] + lane, score);
            most = choose(score > most, score, most);
        }
        f32x16 keep = exp16(before - most);
        for (int k = 0; k < count; k++) {
            f32x16 score = load_f32(scores[k] + lane), weight = exp16(score - most);
            if (!all_seen) weight = choose(score > -INFINITY, weight, splat(0));
            store_f32(scores[k] + lane, weight);
            sum += weight;
        }
        store_f32(s->most + lane, most);
        store_f32(s->sum + lane, load_f32(s->sum + lane) * keep + sum);
        for (int d = 0; d < a->head_size; d++) store_f32(mixed[d] + lane, load_f32(mixed[d] + lane) * keep);
    }
}

typedef void TimesSome(int, const float (*)[STRIP_ROWS], int, const float *, float *, size_t, int);

/* y (+)= Σ_k w[k] · x[t][k] for `tokens` vectors of x, x_stride apart. */
static void times_rows(
    TimesSome *times, int tokens, const float (*w)[STRIP_ROWS], int columns, const float *x, size_t x_stride,
    float (*y)[STRIP_ROWS], int add) {
    int paired = tokens & ~1, blocks = blocks_of(paired);
    for (int block = 0; block < blocks; block++) {
        int from = block_start(paired, blocks, block), to = block_start(paired, blocks, block + 1);
        times(to - from, w, columns, x + from * x_stride, y[from], STRIP_ROWS, add);
    }
    if (tokens % 2) times(1, w, columns, x + paired * x_stride, y[paired], STRIP_ROWS, add);
}

static void lanes_piece(void *context, int piece) {
    const Attending *a = context;
    int share_of = tokens_in_piece(a), parts = (a->tokens + share_of - 1) / share_of, size = a->head_size;
    int part = parts - 1 - piece / a->kv_heads, kv_head = piece % a->kv_heads; /* the longest work first */
    int from = part * share_of, tokens = a->tokens - from < share_of ? a->tokens - from : share_of;
    int rows = tokens * group_of(a), strips = (rows + STRIP_ROWS - 1) / STRIP_ROWS;
    size_t lanes = (size_t)size * STRIP_ROWS, cached = (size_t)SEEN_AT_ONCE * SPAN;
    float *queries = scratch(sizeof(float) * (2 * strips * lanes + SEEN_AT_ONCE * STRIP_ROWS + 2 * cached) + sizeof(Softmax) * strips);
    float *mixed = queries + strips * lanes, *scores = mixed + strips * lanes;
    float *keys = scores + SEEN_AT_ONCE * STRIP_ROWS, *values = keys + cached;
    Softmax *softmax = (Softmax *)(values + cached);
    memset(mixed, 0, sizeof(float) * strips * lanes);
    for (int s = 0; s < strips; s++) lay_queries(a, kv_head, from, s * STRIP_ROWS, rows, (void *)(queries + s * lanes), softmax + s);
    int first = a->first + from, stop = first + tokens;
    int start = a->window && first - a->window + 1 > 0 ? first - a->window + 1 : 0;
    for (int key = start; key < stop; key += SEEN_AT_ONCE) {
        int count = stop - key < SEEN_AT_ONCE ? stop - key : SEEN_AT_ONCE;
        lay_rows(a, a->keys, a->key_scales, kv_head, key, count, (void *)keys);
        lay_rows(a, a->values, a->value_scales, kv_head, key, count, (void *)values);
        for (int s = 0; s < strips; s++) {
            if (key > softmax[s].last) continue;
            times_rows(times_some_plain, count, (void *)(queries + s * lanes), size, keys, SPAN, (void *)scores, 0);
            soften_lanes(a, softmax + s, key, count, (void *)scores, (void *)(mixed + s * lanes));
            times_rows(times_some_columns, size, (void *)scores, count, values, 1, (void *)(mixed + s * lanes), 1);
        }
    }
    for (int row = 0; row < rows; row++) {
        int token = from + row / group_of(a), head = kv_head * group_of(a) + row % group_of(a);
        const float *of = mixed + row / STRIP_ROWS * lanes + row % STRIP_ROWS;
        float *out = a->out + ((size_t)token * a->heads + head) * size;
        float scale = 1.0f / softmax[row / STRIP_ROWS].sum[row % STRIP_ROWS];
        for (int d = 0; d < size; d++) out[d] = of[(size_t)d * STRIP_ROWS] * scale;
    }
}

#endif
