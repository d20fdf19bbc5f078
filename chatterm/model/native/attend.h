/* Attention over the cache, in chunks of positions that different threads take: the softmax of a chunk alone, with
 * its maximum and its sum, as flash-decoding does (arXiv:2307.08691 and its sequel); then the chunks are joined.
 *
 * Chunks begin at multiples of CHUNK, and what a query does not see weighs exactly nothing, so a query's result does not
 * depend on which others are under way. A key is read once for up to four queries. */
#ifndef CHATTERM_ATTEND_H
#define CHATTERM_ATTEND_H

#include "engine.h"

enum { CHUNK = 128 /* positions */, TOGETHER = 4 /* queries, and keys, at once */ };

/* Positions of one key/value head. In a narrow cache number i of a vector is its integer i times the vector's scale. */
typedef struct {
    const uint8_t *keys, *values;
    float key_scales[CHUNK], value_scales[CHUNK]; /* zero beyond `count` */
    int start, count;                             /* the first that anybody sees, and the end */
} Chunk;

typedef struct {
    const float *query[TOGETHER];
    int from[TOGETHER], to[TOGETHER]; /* positions seen of the chunk */
    int place[TOGETHER];              /* of its result in Engine.part */
} Queries;

ALWAYS f32x16 load_cached(const void *p, int at, int narrow) {
    return narrow ? load_i16((const int16_t *)p + at) : load_f32((const float *)p + at);
}

/* The last numbers of a vector whose size is no multiple of 16, and zeros. */
ALWAYS f32x16 load_rest(const void *p, int at, int count, int narrow) {
    uint8_t rest[4 * LANES] = {0};
    int bytes = narrow ? 2 : 4;
    memcpy(rest, (const uint8_t *)p + (size_t)at * bytes, (size_t)count * bytes);
    return load_cached(rest, 0, narrow);
}

/* scores[q][i] = query q · key i, without the key's scale, for the chunk's keys; rounded up to whole fours. */
ALWAYS void score(const Queries *queries, int Q, const Chunk *chunk, int size, int narrow, float scores[][CHUNK]) {
    const uint8_t *keys = chunk->keys, *values = chunk->values;
    int bytes = size * (narrow ? 2 : 4), whole = size / LANES * LANES, count = chunk->count;
    for (int i = chunk->start; i < count; i += TOGETHER) {
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
                f32x16 part = load_cached(key[j], k, narrow);
#pragma GCC unroll 4
                for (int q = 0; q < Q; q++) sum[q][j] += part * load_f32(queries->query[q] + k);
            }
        }
        if (whole < size) {
            for (int j = 0; j < TOGETHER; j++) {
                f32x16 part = load_rest(key[j], whole, size - whole, narrow);
                for (int q = 0; q < Q; q++) sum[q][j] += part * load_rest(queries->query[q], whole, size - whole, 0);
            }
        }
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) sum16_four(sum[q], scores[q] + i);
    }
}

/* out = Σ weights[q][i] · value i, for up to four vectors of 16 numbers beginning at `at`. */
ALWAYS void mix_strip(
    int Q, int vectors, const Chunk *chunk, int at, int size, int narrow, float scores[][CHUNK], float *const *out) {
    f32x16 sum[TOGETHER][4];
    size_t bytes = (size_t)size * (narrow ? 2 : 4);
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[q][v] = splat(0);
    for (int i = chunk->start; i < chunk->count; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            f32x16 value = load_cached(chunk->values + i * bytes, at + LANES * v, narrow);
#pragma GCC unroll 4
            for (int q = 0; q < Q; q++) sum[q][v] += value * scores[q][i];
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) store_f32(out[q] + at + LANES * v, sum[q][v]);
}

ALWAYS void mix(int Q, const Chunk *chunk, int size, int narrow, float scores[][CHUNK], float *const *out) {
    int at = 0;
    for (; at + 4 * LANES <= size; at += 4 * LANES) mix_strip(Q, 4, chunk, at, size, narrow, scores, out);
    for (; at + LANES <= size; at += LANES) mix_strip(Q, 1, chunk, at, size, narrow, scores, out);
    if (at == size) return;
    for (int q = 0; q < Q; q++) {
        f32x16 sum = splat(0);
        for (int i = chunk->start; i < chunk->count; i++) {
            const uint8_t *value = chunk->values + (size_t)i * size * (narrow ? 2 : 4);
            sum += load_rest(value, at, size - at, narrow) * scores[q][i];
        }
        memcpy(out[q] + at, &sum, sizeof(float) * (size - at));
    }
}

/* Scores → weights, not yet divided by their sum, but times the scales of the values that they are for. */
static void soften(const Engine *e, float *scores, int from, int to, const Chunk *chunk, int place) {
    const int32_t counting[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    float cap = e->model->attention_soft_cap, largest = -INFINITY;
    f32x16 most = splat(-INFINITY), sum = splat(0);
    i32x16 lanes;
    memcpy(&lanes, counting, sizeof lanes);
    int start = chunk->start - chunk->start % LANES, count = chunk->count, narrow = e->step->narrow;
    for (int i = start; i < count; i += LANES) {
        i32x16 seen = (lanes + i >= from) & (lanes + i < to);
        f32x16 s = load_f32(scores + i) * e->layer->attention_scale;
        if (narrow) s *= load_f32(chunk->key_scales + i);
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
        sum += weights;
        if (narrow) weights *= load_f32(chunk->value_scales + i);
        store_f32(scores + i, weights);
    }
    e->part_max[place] = largest;
    e->part_sum[place] = sum16(sum);
}

ALWAYS void attend(const Engine *e, const Queries *queries, int Q, const Chunk *chunk, int narrow) {
    int size = e->model->head_size;
    float scores[TOGETHER][CHUNK] __attribute__((aligned(64)));
    float *out[TOGETHER];
    score(queries, Q, chunk, size, narrow, scores);
    for (int q = 0; q < Q; q++) {
        soften(e, scores[q], queries->from[q], queries->to[q], chunk, queries->place[q]);
        out[q] = e->part + (size_t)queries->place[q] * size;
    }
    mix(Q, chunk, size, narrow, scores, out);
}

static void attend_some(const Engine *e, const Queries *queries, int Q, const Chunk *chunk) {
    switch (2 * Q + (e->step->narrow != 0)) {
    case 2: attend(e, queries, 1, chunk, 0); break;
    case 3: attend(e, queries, 1, chunk, 1); break;
    case 4: attend(e, queries, 2, chunk, 0); break;
    case 5: attend(e, queries, 2, chunk, 1); break;
    case 6: attend(e, queries, 3, chunk, 0); break;
    case 7: attend(e, queries, 3, chunk, 1); break;
    case 8: attend(e, queries, 4, chunk, 0); break;
    case 9: attend(e, queries, 4, chunk, 1); break;
    }
}

/* Where a vector stands among all vectors of keys, and of values. */
static size_t cached_at(const Engine *e, int kv_head, int position) {
    return ((size_t)e->index * e->model->kv_heads + kv_head) * e->step->capacity + position;
}

static uint8_t *cached(const Engine *e, void *cache, size_t at) {
    return (uint8_t *)cache + at * e->model->head_size * (e->step->narrow ? 2 : 4);
}

static void find_scales(const Engine *e, size_t at, Chunk *chunk) {
    size_t bytes = sizeof(float) * chunk->count;
    if (!e->step->narrow) return;
    memset(chunk->key_scales, 0, sizeof chunk->key_scales);
    memset(chunk->value_scales, 0, sizeof chunk->value_scales);
    memcpy(chunk->key_scales, e->step->key_scales + at, bytes);
    memcpy(chunk->value_scales, e->step->value_scales + at, bytes);
}

static int first_seen(const Engine *e, int position) {
    int window = e->layer->window;
    return window && position + 1 > window ? position + 1 - window : 0;
}

static int result_place(const Engine *e, int row, int head, int chunk) {
    return (row * e->model->heads + head) * e->chunks + chunk;
}

/* What a token sees of a chunk that begins at `base`: the text so far, or the token's own positions, which lie elsewhere in the cache
 * where there are several texts, but never in a chunk with what is shared. */
static void sees(const Engine *e, int row, int base, int *from, int *to) {
    const Step *step = e->step;
    int first = first_seen(e, step->positions[row]), start = step->starts[row], end = step->slots[row] + 1;
    if (start != step->shared) {
        if (base >= start - start % CHUNK) first = start + (first > step->shared ? first - step->shared : 0);
        else end = step->shared;
    }
    *from = first - base;
    *to = end - base < CHUNK ? end - base : CHUNK;
}

/* One key/value head over one chunk of positions, for all queries of all tokens that share it. */
static void attend_piece(void *context, int piece) {
    const Engine *e = context;
    const Model *m = e->model;
    int group = m->heads / m->kv_heads, kv = piece / e->chunks, chunk = piece % e->chunks;
    int base = (e->first_chunk + chunk) * CHUNK, rows = 0, row_of[VECTORS], from[VECTORS], to[VECTORS];
    size_t at = cached_at(e, kv, base);
    Chunk positions = {.start = CHUNK, .count = 0};
    for (int row = 0; row < e->rows; row++) {
        sees(e, row, base, &from[rows], &to[rows]);
        if (to[rows] <= 0 || from[rows] >= to[rows]) {
            for (int q = 0; q < group; q++) e->part_sum[result_place(e, row, kv * group + q, chunk)] = 0;
            continue;
        }
        if (from[rows] < positions.start) positions.start = from[rows];
        if (to[rows] > positions.count) positions.count = to[rows];
        row_of[rows++] = row;
    }
    if (rows == 0) return;
    positions.keys = cached(e, e->step->keys, at);
    positions.values = cached(e, e->step->values, at);
    positions.start = positions.start < 0 ? 0 : positions.start - positions.start % TOGETHER;
    find_scales(e, at, &positions);
    for (int first = 0; first < rows * group; first += TOGETHER) {
        Queries queries;
        int Q = rows * group - first < TOGETHER ? rows * group - first : TOGETHER;
        for (int q = 0; q < Q; q++) {
            int i = (first + q) / group, head = kv * group + (first + q) % group;
            queries.query[q] = e->queries + row_of[i] * e->heads_width + head * m->head_size;
            queries.from[q] = from[i];
            queries.to[q] = to[i];
            queries.place[q] = result_place(e, row_of[i], head, chunk);
        }
        attend_some(e, &queries, Q, &positions);
    }
}

/* The chunks of one query together. */
static void join_piece(void *context, int piece) {
    const Engine *e = context;
    int size = e->model->head_size, row = piece / e->model->heads, head = piece % e->model->heads;
    float largest = -INFINITY, sum = 0, *out = e->mixed + row * e->heads_width + head * size;
    const int first = result_place(e, row, head, 0);
    for (int place = first; place < first + e->chunks; place++)
        if (e->part_sum[place] != 0) largest = fmaxf(largest, e->part_max[place]);
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

/* A vector as 16-bit integers. Returns their scale: the largest magnitude becomes 32767. What is not finite makes all of it no
 * number. The same in chatterm/model/vectors.py. */
static float narrow_vector(const float *x, int size, int16_t *out) {
    u32x16 most = {0};
    uint32_t bits = 0;
    float largest;
    for (int i = 0; i < size; i += LANES) {
        u32x16 part = (u32x16)magnitude(load_rest(x, i, size - i < LANES ? size - i : LANES, 0));
        most = (u32x16)choose((i32x16)(part > most), (f32x16)part, (f32x16)most);
    }
    for (int lane = 0; lane < LANES; lane++) bits = most[lane] > bits ? most[lane] : bits;
    memcpy(&largest, &bits, sizeof largest);
    memset(out, 0, sizeof *out * size);
    if (bits >= 0x7f800000) return NAN; /* as bits, what is no number is larger than what is */
    float factor = 32767 / fmaxf(largest, 1e-30f);
    for (int i = 0; i < size; i += LANES) {
        int count = size - i < LANES ? size - i : LANES;
        int16_t whole[LANES];
        store_i16(whole, load_rest(x, i, count, 0) * factor);
        memcpy(out + i, whole, sizeof *out * count);
    }
    return largest / 32767;
}

/* Keys or values of the new tokens go into the cache. */
static void store_cached(const Engine *e, void *cache, float *scales, const float *rows) {
    const Model *m = e->model;
    int size = m->head_size;
    for (int row = 0; row < e->rows; row++) {
        for (int kv = 0; kv < m->kv_heads; kv++) {
            const float *x = rows + row * e->heads_width + kv * size;
            size_t at = cached_at(e, kv, e->step->slots[row]);
            uint8_t *out = cached(e, cache, at);
            if (e->step->narrow) scales[at] = narrow_vector(x, size, (int16_t *)out);
            else memcpy(out, x, sizeof(float) * size);
        }
    }
}

static void attend_all(Engine *e) {
    int first = e->step->positions[0], last = 0;
    for (int row = 0; row < e->rows; row++) {
        if (e->step->positions[row] < first) first = e->step->positions[row];
        if (e->step->slots[row] > last) last = e->step->slots[row];
    }
    first = first_seen(e, first); /* beyond what is shared it may lie anywhere */
    e->first_chunk = (first < e->step->shared ? first : e->step->shared) / CHUNK;
    e->chunks = last / CHUNK - e->first_chunk + 1;
    store_cached(e, e->step->keys, e->step->key_scales, e->keys);
    store_cached(e, e->step->values, e->step->value_scales, e->values);
    share(e->pool, attend_piece, e, e->model->kv_heads * e->chunks);
    int queries = e->rows * e->model->heads;
    if (e->rows * e->chunks > 32) share(e->pool, join_piece, e, queries);
    else
        for (int query = 0; query < queries; query++) join_piece(e, query);
}

#endif
