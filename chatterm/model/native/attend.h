/* Attention over the cache, in chunks of positions that different threads take: the softmax of a chunk alone, with
 * its maximum and its sum, as flash-decoding does (arXiv:2307.08691 and its sequel); then the chunks are joined.
 *
 * Chunks begin at multiples of CHUNK, and what a query does not see weighs exactly nothing, so a query's result does not
 * depend on which others are under way. A key is read once for up to four queries. */
#ifndef CHATTERM_ATTEND_H
#define CHATTERM_ATTEND_H

#include "engine.h"

enum { CHUNK = 128 /* positions */, TOGETHER = 4 /* queries, and keys, at once */ };

typedef struct {
    const float *query[TOGETHER];
    int from[TOGETHER], to[TOGETHER]; /* positions seen of the chunk */
    int place[TOGETHER];              /* of its result in Engine.part */
} Queries;

ALWAYS f32x16 load_cached(const void *p, int at, int half) {
    return half ? load_f16((const uint16_t *)p + at) : load_f32((const float *)p + at);
}

/* The last numbers of a vector whose size is no multiple of 16, and zeros. */
ALWAYS f32x16 load_rest(const void *p, int at, int count, int half) {
    uint8_t rest[4 * LANES] = {0};
    int bytes = half ? 2 : 4;
    memcpy(rest, (const uint8_t *)p + (size_t)at * bytes, (size_t)count * bytes);
    return load_cached(rest, 0, half);
}

/* scores[q][i] = query q · key i for `count` keys, one after the other in memory; rounded up to whole fours. */
ALWAYS void score(
    const Queries *queries, int Q, const uint8_t *keys, const uint8_t *values, int from, int count, int size, int half,
    float scores[][CHUNK]) {
    int bytes = size * (half ? 2 : 4), whole = size / LANES * LANES;
    for (int i = from; i < count; i += TOGETHER) {
        f32x16 sum[TOGETHER][TOGETHER]; /* by query and key */
        const uint8_t *key[TOGETHER];
#pragma GCC unroll 4
        for (int j = 0; j < TOGETHER; j++) {
            int at = i + j < count ? i + j : count - 1;
            key[j] = keys + (size_t)at * bytes;
#pragma GCC unroll 4
            for (int q = 0; q < Q; q++) sum[q][j] = splat(0);
        }
        for (int line = 0; line < TOGETHER * bytes; line += 64) {
            __builtin_prefetch(values + (size_t)i * bytes + line, 0, 3);
            PREFETCH_LINE(key[0] + line);
        }
        for (int k = 0; k < whole; k += LANES) {
#pragma GCC unroll 4
            for (int j = 0; j < TOGETHER; j++) {
                f32x16 part = load_cached(key[j], k, half);
#pragma GCC unroll 4
                for (int q = 0; q < Q; q++) sum[q][j] += part * load_f32(queries->query[q] + k);
            }
        }
        if (whole < size) {
            for (int j = 0; j < TOGETHER; j++) {
                f32x16 part = load_rest(key[j], whole, size - whole, half);
                for (int q = 0; q < Q; q++) sum[q][j] += part * load_rest(queries->query[q], whole, size - whole, 0);
            }
        }
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) sum16_four(sum[q], scores[q] + i);
    }
}

/* out = Σ weights[q][i] · value i, for up to four vectors of 16 numbers beginning at `at`. */
ALWAYS void mix_strip(
    int Q, int vectors, const uint8_t *values, int at, int from, int count, int size, int half, float scores[][CHUNK],
    float *const *out) {
    f32x16 sum[TOGETHER][4];
    size_t bytes = (size_t)size * (half ? 2 : 4);
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[q][v] = splat(0);
    for (int i = from; i < count; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            f32x16 value = load_cached(values + i * bytes, at + LANES * v, half);
#pragma GCC unroll 4
            for (int q = 0; q < Q; q++) sum[q][v] += value * scores[q][i];
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) store_f32(out[q] + at + LANES * v, sum[q][v]);
}

ALWAYS void mix(
    int Q, const uint8_t *values, int from, int count, int size, int half, float scores[][CHUNK], float *const *out) {
    int at = 0;
    for (; at + 4 * LANES <= size; at += 4 * LANES) mix_strip(Q, 4, values, at, from, count, size, half, scores, out);
    for (; at + LANES <= size; at += LANES) mix_strip(Q, 1, values, at, from, count, size, half, scores, out);
    if (at == size) return;
    for (int q = 0; q < Q; q++) {
        f32x16 sum = splat(0);
        for (int i = from; i < count; i++) {
            const uint8_t *value = values + (size_t)i * size * (half ? 2 : 4);
            sum += load_rest(value, at, size - at, half) * scores[q][i];
        }
        memcpy(out[q] + at, &sum, sizeof(float) * (size - at));
    }
}

/* Scores → weights, not yet divided by their sum. */
static void soften(const Engine *e, float *scores, int from, int to, int start, int count, int place) {
    const int32_t counting[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    float cap = e->model->attention_soft_cap, largest = -INFINITY;
    f32x16 most = splat(-INFINITY), sum = splat(0);
    i32x16 lanes;
    memcpy(&lanes, counting, sizeof lanes);
    start -= start % LANES;
    for (int i = start; i < count; i += LANES) {
        i32x16 seen = (lanes + i >= from) & (lanes + i < to);
        f32x16 s = load_f32(scores + i) * e->layer->attention_scale;
        if (cap > 0)
            for (int lane = 0; lane < LANES; lane++) s[lane] = cap * tanhf(s[lane] / cap);
        s = choose(seen, s, splat(-INFINITY));
        store_f32(scores + i, s);
        most = choose(s > most, s, most);
    }
    for (int lane = 0; lane < LANES; lane++) largest = most[lane] > largest ? most[lane] : largest;
    for (int i = start; i < count; i += LANES) {
        i32x16 seen = (lanes + i >= from) & (lanes + i < to);
        f32x16 weights = choose(seen, exp16(load_f32(scores + i) - largest), splat(0));
        store_f32(scores + i, weights);
        sum += weights;
    }
    e->part_max[place] = largest;
    e->part_sum[place] = sum16(sum);
}

ALWAYS void attend(
    const Engine *e, const Queries *queries, int Q, const uint8_t *keys, const uint8_t *values, int start, int count, int half) {
    int size = e->model->head_size;
    float scores[TOGETHER][CHUNK] __attribute__((aligned(64)));
    float *out[TOGETHER];
    score(queries, Q, keys, values, start, count, size, half, scores);
    for (int q = 0; q < Q; q++) {
        soften(e, scores[q], queries->from[q], queries->to[q], start, count, queries->place[q]);
        out[q] = e->part + (size_t)queries->place[q] * size;
    }
    mix(Q, values, start, count, size, half, scores, out);
}

static void attend_some(
    const Engine *e, const Queries *queries, int Q, const uint8_t *keys, const uint8_t *values, int start, int count, int half) {
    switch (2 * Q + half) {
    case 2: attend(e, queries, 1, keys, values, start, count, 0); break;
    case 3: attend(e, queries, 1, keys, values, start, count, 1); break;
    case 4: attend(e, queries, 2, keys, values, start, count, 0); break;
    case 5: attend(e, queries, 2, keys, values, start, count, 1); break;
    case 6: attend(e, queries, 3, keys, values, start, count, 0); break;
    case 7: attend(e, queries, 3, keys, values, start, count, 1); break;
    case 8: attend(e, queries, 4, keys, values, start, count, 0); break;
    case 9: attend(e, queries, 4, keys, values, start, count, 1); break;
    }
}

static uint8_t *cached(const Engine *e, void *cache, int kv_head, int position) {
    size_t head = (size_t)e->index * e->model->kv_heads + kv_head;
    return (uint8_t *)cache + (head * e->step->capacity + position) * e->model->head_size * (e->step->half ? 2 : 4);
}

static int first_seen(const Engine *e, int position) {
    int window = e->layer->window;
    return window && position + 1 > window ? position + 1 - window : 0;
}

static int result_place(const Engine *e, int row, int head, int chunk) {
    return (row * e->model->heads + head) * e->chunks + chunk;
}

/* One key/value head over one chunk of positions, for all queries of all tokens that share it. */
static void attend_piece(void *context, int piece) {
    const Engine *e = context;
    const Model *m = e->model;
    const Step *step = e->step;
    int group = m->heads / m->kv_heads, kv = piece / e->chunks, chunk = piece % e->chunks;
    int base = (e->first_chunk + chunk) * CHUNK, end = step->position + e->rows;
    int count = end - base < CHUNK ? end - base : CHUNK;
    int start = first_seen(e, step->position) - base;
    start = start < 0 ? 0 : start - start % TOGETHER;
    const uint8_t *keys = cached(e, step->keys, kv, base), *values = cached(e, step->values, kv, base);
    for (int first = 0; first < e->rows * group; first += TOGETHER) {
        Queries queries;
        int Q = e->rows * group - first < TOGETHER ? e->rows * group - first : TOGETHER;
        for (int q = 0; q < Q; q++) {
            int row = (first + q) / group, head = kv * group + (first + q) % group, position = step->position + row;
            queries.query[q] = e->queries + row * e->heads_width + head * m->head_size;
            queries.from[q] = first_seen(e, position) - base;
            queries.to[q] = position + 1 - base;
            queries.place[q] = result_place(e, row, head, chunk);
        }
        attend_some(e, &queries, Q, keys, values, start, count, step->half);
    }
}

/* The chunks of one query together. */
static void join_piece(void *context, int piece) {
    const Engine *e = context;
    int size = e->model->head_size, row = piece / e->model->heads, head = piece % e->model->heads;
    float largest = -INFINITY, sum = 0, *out = e->mixed + row * e->heads_width + head * size;
    const int first = result_place(e, row, head, 0);
    for (int place = first; place < first + e->chunks; place++) largest = fmaxf(largest, e->part_max[place]);
    memset(out, 0, sizeof(float) * size);
    for (int place = first; place < first + e->chunks; place++) {
        if (e->part_sum[place] == 0) continue; /* it sees nothing of this chunk */
        const float *part = e->part + (size_t)place * size;
        float scale = expf(e->part_max[place] - largest);
        sum += e->part_sum[place] * scale;
        for (int i = 0; i < size; i++) out[i] += part[i] * scale;
    }
    for (int i = 0; i < size; i++) out[i] /= sum;
}

/* Keys or values of the new tokens go into the cache. */
static void store_cached(Engine *e, void *cache, const float *rows) {
    const Model *m = e->model;
    int size = m->head_size;
    for (int row = 0; row < e->rows; row++) {
        for (int kv = 0; kv < m->kv_heads; kv++) {
            const float *x = rows + row * e->heads_width + kv * size;
            uint8_t *out = cached(e, cache, kv, e->step->position + row);
            if (!e->step->half) {
                memcpy(out, x, sizeof(float) * size);
                continue;
            }
            for (int i = 0; i < size; i += LANES) {
                int count = size - i < LANES ? size - i : LANES;
                f32x16 part = load_rest(x, i, count, 0);
                uint16_t halves[LANES];
                for (int k = 0; k < LANES; k++) e->too_large |= fabsf(part[k]) > 65504.0f;
                store_f16(halves, part);
                memcpy(out + 2 * i, halves, 2 * count);
            }
        }
    }
}

static void attend_all(Engine *e) {
    int last = e->step->position + e->rows - 1;
    e->first_chunk = first_seen(e, e->step->position) / CHUNK;
    e->chunks = last / CHUNK - e->first_chunk + 1;
    store_cached(e, e->step->keys, e->keys);
    store_cached(e, e->step->values, e->values);
    share(e->pool, attend_piece, e, e->model->kv_heads * e->chunks);
    int queries = e->rows * e->model->heads;
    if (e->rows * e->chunks > 32) share(e->pool, join_piece, e, queries);
    else
        for (int query = 0; query < queries; query++) join_piece(e, query);
}

#endif
