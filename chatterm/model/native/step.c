/* One decode step of the decoder in chatterm/model: one token in, logits out, everything in float32.
 *
 * The same computation as `Decoder.forward` for one token without taps, in six phases a block, each shared among the
 * threads of a pool. Structures mirror those in chatterm/model/native/binding.py. */
#include "pack.h"
#include "pool.h"
#include "tiles.h"

enum { RMS = 0, LAYER = 1 };
enum { SILU = 0, GELU = 1, GELU_TANH = 2, RELU = 3, RELU_SQUARED = 4 };
enum { NO_NORM = 0, PER_HEAD = 1, EACH_HEAD = 2, WHOLE_VECTOR = 3 };
enum { CHUNK = 128 /* positions of one piece of attention: keys of 64 floats fit the nearest cache */ };

typedef struct {
    const float *weight; /* null: no norm */
    const float *bias;
} Norm;

typedef struct {
    Matrix queries, keys, values, output, gate, up, down;
    Norm attention_norm, ffn_norm, attention_output_norm, ffn_output_norm, query_norm, key_norm;
    int32_t rotary; /* index into Step.cosines, or -1 */
    int32_t window; /* positions seen, itself included; 0 = all */
    float attention_scale;
    int32_t reserved;
} Layer;

typedef struct {
    int32_t layers, width, heads, kv_heads, head_size, ffn_width, vocabulary, rotary_dimensions;
    int32_t norm_kind, activation, gated, parallel, shared_norm, query_key_norm;
    float norm_eps, attention_soft_cap, logit_soft_cap; /* caps: 0 = none */
    float embedding_scale, residual_scale, logit_scale;
    Matrix embedding, unembedding;
    Norm final_norm;
    const float *positions; /* learned, (context, width), or null */
    const Layer *layer;
} Model;

typedef struct {
    int32_t token, position, capacity, reserved;
    float *keys, *values; /* (layers, kv_heads, capacity, head_size) */
    const float *const *cosines;
    const float *const *sines; /* of this position, each (rotary_dimensions,), sines negative in the first half */
    float *logits; /* (vocabulary,) */
} Step;

typedef struct {
    const Model *model;
    Pool *pool;
    const Step *step;
    const Layer *layer;
    int index; /* of the layer */
    int first_position, chunks;
    float *x, *normed, *sums, *queries, *keys, *values, *mixed, *hidden, *branch;
    float *part, *part_max, *part_sum; /* of attention, one of each per head and chunk */
    /* what the running phase multiplies */
    const Matrix *matrix[3];
    float *out[3];
    int matrices, pieces_before[4], grain[3];
} Engine;

/* --- small vectors ------------------------------------------------------------------------------------------ */

static void group_sums(const float *x, int n, float *sums) {
    for (int g = 0; g < n / 32; g++) sums[g] = sum16(load_f32(x + 32 * g) + load_f32(x + 32 * g + 16));
}

static void normalise(const Model *m, const float *x, int n, const float *weight, const float *bias, float *y) {
    double mean = 0, square = 0;
    if (m->norm_kind == LAYER) {
        for (int i = 0; i < n; i++) mean += x[i];
        mean /= n;
    }
    for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = (float)(1.0 / sqrt(square / n + m->norm_eps)), middle = (float)mean;
    for (int i = 0; i < n; i++) y[i] = (x[i] - middle) * scale * weight[i] + (bias ? bias[i] : 0);
}

/* What the next matrices read: the (perhaps normed) residual stream and its sums. */
static void prepare(Engine *e, Norm norm) {
    int n = e->model->width;
    if (norm.weight) normalise(e->model, e->x, n, norm.weight, norm.bias, e->normed);
    else memcpy(e->normed, e->x, sizeof(float) * n);
    group_sums(e->normed, n, e->sums);
}

static void add_branch(Engine *e, Norm norm) {
    const Model *m = e->model;
    if (norm.weight) normalise(m, e->branch, m->width, norm.weight, norm.bias, e->branch);
    for (int i = 0; i < m->width; i++) e->x[i] += e->branch[i] * m->residual_scale;
}

static f32x16 activate(int kind, f32x16 x) {
    switch (kind) {
    case SILU: return x / (1.0f + exp16(-x));
    case GELU_TANH: {
        /* 0.5 x (1 + tanh u) = x / (1 + e^(-2u)) */
        f32x16 u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
        return x / (1.0f + exp16(-2.0f * u));
    }
    case GELU: {
        f32x16 y;
        for (int i = 0; i < LANES; i++) y[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752f));
        return y;
    }
    case RELU: return choose(x > 0, x, splat(0));
    default: return choose(x > 0, x * x, splat(0));
    }
}

/* --- matrices ----------------------------------------------------------------------------------------------- */

static f32x16 tile_of(const Matrix *m, int tile, const float *x, const float *sums) {
    f32x16 y = tile_times(m->kind, m->columns, m->data + tile * tile_bytes(m->kind, m->columns), x, sums);
    return m->bias ? y + load_f32(m->bias + LANES * tile) : y;
}

static int grain_of(const Matrix *m, int threads) {
    int grain = (tiles_of(m) + 3 * threads - 1) / (3 * threads);
    return grain < 1 ? 1 : grain;
}

static void multiply_piece(void *context, int piece) {
    Engine *e = context;
    int which = 0;
    while (piece >= e->pieces_before[which + 1]) which++;
    const Matrix *m = e->matrix[which];
    int first = (piece - e->pieces_before[which]) * e->grain[which], last = first + e->grain[which];
    const float *x = m == &e->layer->down ? e->hidden : m == &e->layer->output ? e->mixed : e->normed;
    for (int tile = first; tile < last && tile < tiles_of(m); tile++)
        store_f32(e->out[which] + LANES * tile, tile_of(m, tile, x, e->sums));
}

static void multiply(Engine *e, int matrices) {
    e->pieces_before[0] = 0;
    for (int i = 0; i < matrices; i++) {
        e->grain[i] = grain_of(e->matrix[i], e->pool->threads);
        e->pieces_before[i + 1] = e->pieces_before[i] + (tiles_of(e->matrix[i]) + e->grain[i] - 1) / e->grain[i];
    }
    share(e->pool, multiply_piece, e, e->pieces_before[matrices]);
}

static void multiply_one(Engine *e, const Matrix *m, float *out) {
    e->matrix[0] = m;
    e->out[0] = out;
    multiply(e, 1);
}

/* --- attention ---------------------------------------------------------------------------------------------- */

static void head_norms(const Engine *e, Norm norm, float *heads, int count) {
    const Model *m = e->model;
    int size = m->head_size;
    if (!norm.weight) return;
    if (m->query_key_norm == WHOLE_VECTOR) {
        normalise(m, heads, count * size, norm.weight, norm.bias, heads);
        return;
    }
    for (int h = 0; h < count; h++) {
        int own = m->query_key_norm == EACH_HEAD ? h * size : 0;
        normalise(m, heads + h * size, size, norm.weight + own, norm.bias ? norm.bias + own : NULL, heads + h * size);
    }
}

static void rotate(const Engine *e, float *heads, int count) {
    const Model *m = e->model;
    int half = m->rotary_dimensions / 2;
    if (e->layer->rotary < 0) return;
    const float *cosine = e->step->cosines[e->layer->rotary], *sine = e->step->sines[e->layer->rotary];
    for (int h = 0; h < count; h++) {
        float *x = heads + h * m->head_size;
        for (int i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];
            x[i] = a * cosine[i] + b * sine[i];
            x[i + half] = b * cosine[i + half] + a * sine[i + half];
        }
    }
}

static float dot(const float *a, const float *b, int n) {
    f32x16 total = splat(0);
    int i = 0;
    for (; i + LANES <= n; i += LANES) total += load_f32(a + i) * load_f32(b + i);
    float sum = sum16(total);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_scaled(float *y, const float *x, float scale, int n) {
    int i = 0;
    for (; i + LANES <= n; i += LANES) store_f32(y + i, load_f32(y + i) + load_f32(x + i) * scale);
    for (; i < n; i++) y[i] += x[i] * scale;
}

static float *cached(const Engine *e, float *cache, int kv_head) {
    size_t head = (size_t)e->index * e->model->kv_heads + kv_head;
    return cache + head * e->step->capacity * e->model->head_size;
}

static inline __attribute__((always_inline)) void prefetch_vector(const float *x, int size) {
    for (int k = 0; k < size; k += LANES) PREFETCH_LINE((const uint8_t *)(x + k));
}

/* scores[i] = q · keys[i] for `count` keys, one after the other in memory. */
static inline __attribute__((always_inline)) void score(
    const float *q, const float *keys, int count, int size, float *scores) {
    for (int i = 0; i < count; i++, keys += size) {
        prefetch_vector(keys, size);
        scores[i] = dot(q, keys, size);
    }
}

/* out = Σ weights[i] · values[i]; the sum stays in registers where the size is known. */
static inline __attribute__((always_inline)) void mix(
    const float *weights, const float *values, int count, int size, float *out) {
    f32x16 total[16];
    for (int k = 0; k < size / LANES; k++) total[k] = splat(0);
    for (int i = 0; i < count; i++, values += size) {
        prefetch_vector(values, size);
        for (int k = 0; k < size / LANES; k++) total[k] += load_f32(values + LANES * k) * weights[i];
    }
    for (int k = 0; k < size / LANES; k++) store_f32(out + LANES * k, total[k]);
}

static void score_any(const float *q, const float *keys, int count, int size, float *scores) {
    switch (size) {
    case 64: score(q, keys, count, 64, scores); break;
    case 80: score(q, keys, count, 80, scores); break;
    case 96: score(q, keys, count, 96, scores); break;
    case 128: score(q, keys, count, 128, scores); break;
    case 256: score(q, keys, count, 256, scores); break;
    default: score(q, keys, count, size, scores);
    }
}

static void mix_any(const float *weights, const float *values, int count, int size, float *out) {
    switch (size) {
    case 64: mix(weights, values, count, 64, out); return;
    case 80: mix(weights, values, count, 80, out); return;
    case 96: mix(weights, values, count, 96, out); return;
    case 128: mix(weights, values, count, 128, out); return;
    case 256: mix(weights, values, count, 256, out); return;
    }
    memset(out, 0, sizeof(float) * size);
    for (int i = 0; i < count; i++) add_scaled(out, values + (size_t)i * size, weights[i], size);
}

/* One key/value head over one chunk of positions, for all query heads that share it: the softmax of the chunk alone,
 * with its maximum and sum, as flash-decoding does (arXiv:2307.08691 and its sequel). */
static void attend_piece(void *context, int piece) {
    Engine *e = context;
    const Model *m = e->model;
    int size = m->head_size, group = m->heads / m->kv_heads, kv = piece / e->chunks, chunk = piece % e->chunks;
    int first = e->first_position + chunk * CHUNK, last = first + CHUNK;
    if (last > e->step->position + 1) last = e->step->position + 1;
    int count = last - first;
    const float *keys = cached(e, e->step->keys, kv) + (size_t)first * size;
    const float *values = cached(e, e->step->values, kv) + (size_t)first * size;
    float scores[group][CHUNK];
    for (int h = 0; h < group; h++) {
        float *s = scores[h], largest = -INFINITY, sum = 0, cap = m->attention_soft_cap;
        int head = kv * group + h, place = head * e->chunks + chunk;
        score_any(e->queries + head * size, keys, count, size, s);
        for (int i = 0; i < count; i++) {
            s[i] *= e->layer->attention_scale;
            if (cap > 0) s[i] = cap * tanhf(s[i] / cap);
            if (s[i] > largest) largest = s[i];
        }
        for (int i = count; i < CHUNK && i % LANES; i++) s[i] = -INFINITY;
        for (int i = 0; i < count; i += LANES) store_f32(s + i, exp16(load_f32(s + i) - largest));
        for (int i = 0; i < count; i++) sum += s[i];
        e->part_max[place] = largest;
        e->part_sum[place] = sum;
    }
    for (int h = 0; h < group; h++) {
        int place = (kv * group + h) * e->chunks + chunk;
        mix_any(scores[h], values, count, size, e->part + (size_t)place * size);
    }
}

static void join_chunks(Engine *e) {
    int size = e->model->head_size;
    for (int head = 0; head < e->model->heads; head++) {
        float largest = -INFINITY, sum = 0, *out = e->mixed + head * size;
        for (int c = 0; c < e->chunks; c++) largest = fmaxf(largest, e->part_max[head * e->chunks + c]);
        memset(out, 0, sizeof(float) * size);
        for (int c = 0; c < e->chunks; c++) {
            int place = head * e->chunks + c;
            float scale = expf(e->part_max[place] - largest);
            sum += e->part_sum[place] * scale;
            add_scaled(out, e->part + (size_t)place * size, scale, size);
        }
        for (int i = 0; i < size; i++) out[i] /= sum;
    }
}

static void attention(Engine *e) {
    const Model *m = e->model;
    const Layer *layer = e->layer;
    int position = e->step->position, size = m->head_size;
    e->matrix[0] = &layer->queries, e->out[0] = e->queries;
    e->matrix[1] = &layer->keys, e->out[1] = e->keys;
    e->matrix[2] = &layer->values, e->out[2] = e->values;
    multiply(e, 3);
    head_norms(e, layer->query_norm, e->queries, m->heads);
    head_norms(e, layer->key_norm, e->keys, m->kv_heads);
    rotate(e, e->queries, m->heads);
    rotate(e, e->keys, m->kv_heads);
    for (int kv = 0; kv < m->kv_heads; kv++) {
        memcpy(cached(e, e->step->keys, kv) + (size_t)position * size, e->keys + kv * size, sizeof(float) * size);
        memcpy(cached(e, e->step->values, kv) + (size_t)position * size, e->values + kv * size, sizeof(float) * size);
    }
    e->first_position = layer->window && position + 1 > layer->window ? position + 1 - layer->window : 0;
    e->chunks = (position + 1 - e->first_position + CHUNK - 1) / CHUNK;
    share(e->pool, attend_piece, e, m->kv_heads * e->chunks);
    join_chunks(e);
    group_sums(e->mixed, m->heads * size, e->sums);
    multiply_one(e, &layer->output, e->branch);
}

/* --- feed-forward ------------------------------------------------------------------------------------------- */

static void neurons_piece(void *context, int piece) {
    Engine *e = context;
    const Layer *layer = e->layer;
    int first = piece * e->grain[0], last = first + e->grain[0];
    for (int tile = first; tile < last && tile < tiles_of(&layer->up); tile++) {
        f32x16 up = tile_of(&layer->up, tile, e->normed, e->sums);
        f32x16 hidden = e->model->gated
            ? activate(e->model->activation, tile_of(&layer->gate, tile, e->normed, e->sums)) * up
            : activate(e->model->activation, up);
        store_f32(e->hidden + LANES * tile, hidden);
    }
}

static void feed_forward(Engine *e) {
    const Matrix *up = &e->layer->up;
    e->grain[0] = grain_of(up, e->pool->threads);
    share(e->pool, neurons_piece, e, (tiles_of(up) + e->grain[0] - 1) / e->grain[0]);
    group_sums(e->hidden, e->model->ffn_width, e->sums);
    multiply_one(e, &e->layer->down, e->branch);
}

/* --- the whole ---------------------------------------------------------------------------------------------- */

static void block(Engine *e) {
    const Model *m = e->model;
    const Layer *layer = e->layer;
    prepare(e, layer->attention_norm);
    if (!m->parallel) {
        attention(e);
        add_branch(e, layer->attention_output_norm);
        prepare(e, layer->ffn_norm);
        feed_forward(e);
        add_branch(e, layer->ffn_output_norm);
        return;
    }
    /* Both branches read the block's input; attention's share waits until the feed-forward has read it too. */
    float *attended = e->part; /* free once the chunks are joined */
    attention(e);
    memcpy(attended, e->branch, sizeof(float) * m->width);
    prepare(e, m->shared_norm ? layer->attention_norm : layer->ffn_norm);
    feed_forward(e);
    for (int i = 0; i < m->width; i++) e->branch[i] += attended[i];
    add_branch(e, (Norm){0});
}

static void embed(Engine *e) {
    const Model *m = e->model;
    const Step *s = e->step;
    const Matrix *table = &m->embedding;
    const uint8_t *tile = table->data + s->token / LANES * tile_bytes(table->kind, table->columns);
    for (int i = 0; i < m->width; i++) {
        e->x[i] = tile_column(table->kind, tile, i)[s->token % LANES] * m->embedding_scale;
        if (m->positions) e->x[i] += m->positions[(size_t)s->position * m->width + i];
    }
}

static void unembed(Engine *e) {
    const Model *m = e->model;
    float *logits = e->step->logits;
    prepare(e, m->final_norm);
    multiply_one(e, &m->unembedding, logits);
    if (m->logit_scale != 1)
        for (int i = 0; i < m->vocabulary; i++) logits[i] *= m->logit_scale;
    if (m->logit_soft_cap > 0)
        for (int i = 0; i < m->vocabulary; i++) logits[i] = m->logit_soft_cap * tanhf(logits[i] / m->logit_soft_cap);
}

/* --- what Python calls -------------------------------------------------------------------------------------- */

#define EXPORT __attribute__((visibility("default")))

static size_t padded(size_t n) { return (n + 63) / 64 * 64; }

EXPORT int chatterm_sizes(void) { return (int)(sizeof(Matrix) * 1000000 + sizeof(Layer) * 1000 + sizeof(Model)); }

EXPORT int chatterm_kind(int type) { return kind_of(type); }

EXPORT size_t chatterm_packed_bytes(int kind, int rows, int columns) {
    return (size_t)((rows + LANES - 1) / LANES) * tile_bytes(kind, columns) + AHEAD;
}

/* Rows of blocks of `type` → tiles. `out` is zeroed and aligned to 64 bytes. */
EXPORT void chatterm_pack(int type, const uint8_t *rows, size_t row_bytes, int count, int columns, uint8_t *out) {
    size_t bytes = tile_bytes(kind_of(type), columns);
    for (int row = 0; row < count; row++)
        pack_row(type, rows + row * row_bytes, columns, out + row / LANES * bytes, row % LANES);
}

typedef struct {
    const Matrix *matrix;
    uint16_t *half; /* bfloat16, rounded to nearest even */
    float *wide;
} Expansion;

/* Some columns of one tile, written row by row. */
static void expand_some(const Expansion *x, int tile, int first, int count) {
    const Matrix *m = x->matrix;
    const uint8_t *data = m->data + tile * tile_bytes(m->kind, m->columns);
    int rows = m->rows - LANES * tile < LANES ? m->rows - LANES * tile : LANES;
    float w[32][LANES];
    for (int k = 0; k < count; k++) store_f32(w[k], tile_column(m->kind, data, first + k));
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)(LANES * tile + r) * m->columns + first;
        for (int k = 0; k < count; k++) {
            if (x->wide) {
                x->wide[at + k] = w[k][r];
            } else {
                uint32_t bits;
                memcpy(&bits, &w[k][r], 4);
                x->half[at + k] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
            }
        }
    }
}

static void expand_piece(void *context, int tile) {
    Expansion *x = context;
    int columns = x->matrix->columns;
    for (int k = 0; k < columns; k += 32) expand_some(x, tile, k, columns - k < 32 ? columns - k : 32);
}

/* Tiles → (rows, columns) of float32 (`wide`) or bfloat16. */
EXPORT void chatterm_expand(Pool *pool, const Matrix *matrix, void *out, int wide) {
    Expansion x = {matrix, wide ? NULL : out, wide ? out : NULL};
    share(pool, expand_piece, &x, tiles_of(matrix));
}

/* Some rows of a matrix → (count, columns) of float32: an embedding looked up. */
EXPORT void chatterm_rows(const Matrix *m, const int64_t *rows, int count, float *out) {
    for (int i = 0; i < count; i++) {
        const uint8_t *tile = m->data + rows[i] / LANES * tile_bytes(m->kind, m->columns);
        for (int k = 0; k < m->columns; k++) *out++ = tile_column(m->kind, tile, k)[rows[i] % LANES];
    }
}

typedef struct {
    const Matrix *matrix;
    const float *x, *sums;
    float *y;
    int grain;
} Product;

static void product_piece(void *context, int piece) {
    Product *p = context;
    for (int tile = piece * p->grain; tile < (piece + 1) * p->grain && tile < tiles_of(p->matrix); tile++)
        store_f32(p->y + LANES * tile, tile_of(p->matrix, tile, p->x, p->sums));
}

/* y = W x + b for one vector; y has room for a whole number of tiles. */
EXPORT void chatterm_multiply(Pool *pool, const Matrix *matrix, const float *x, float *y) {
    float sums[matrix->columns / 32 + 1];
    Product product = {matrix, x, sums, y, grain_of(matrix, pool->threads)};
    group_sums(x, matrix->columns, sums);
    share(pool, product_piece, &product, (tiles_of(matrix) + product.grain - 1) / product.grain);
}

EXPORT Pool *chatterm_pool(int threads) { return pool_start(threads); }

EXPORT int chatterm_threads(const Pool *pool) { return pool->threads; }

EXPORT void chatterm_end_pool(Pool *pool) { pool_stop(pool); }

/* Scratch for steps with up to `capacity` positions; null if there is no memory. Freed by chatterm_end_engine. */
EXPORT Engine *chatterm_engine(const Model *model, Pool *pool, int capacity) {
    Engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    size_t heads = (size_t)model->heads * model->head_size, chunks = (size_t)capacity / CHUNK + 2;
    size_t widest = heads > (size_t)model->ffn_width ? heads : (size_t)model->ffn_width;
    if (widest < (size_t)model->width) widest = model->width;
    size_t part = model->heads * chunks * model->head_size;
    if (part < (size_t)model->width) part = model->width;
    size_t sizes[] = {padded(model->width), padded(model->width), padded(widest / 32 + 1), padded(heads), padded(heads),
                      padded(heads), padded(heads), padded(model->ffn_width), padded(model->width), padded(part),
                      padded(model->heads * chunks), padded(model->heads * chunks)};
    float **places[] = {&e->x, &e->normed, &e->sums, &e->queries, &e->keys, &e->values, &e->mixed, &e->hidden, &e->branch,
                        &e->part, &e->part_max, &e->part_sum};
    size_t total = 0;
    for (int i = 0; i < 12; i++) total += sizes[i];
    float *memory = aligned_alloc(64, total * sizeof(float));
    if (!memory) {
        free(e);
        return NULL;
    }
    memset(memory, 0, total * sizeof(float));
    for (int i = 0; i < 12; i++) {
        *places[i] = memory;
        memory += sizes[i];
    }
    e->model = model;
    e->pool = pool;
    return e;
}

EXPORT void chatterm_end_engine(Engine *e) {
    free(e->x); /* the first of the block of memory */
    free(e);
}

EXPORT void chatterm_step(Engine *e, const Step *step) {
    e->step = step;
    embed(e);
    for (e->index = 0; e->index < e->model->layers; e->index++) {
        e->layer = &e->model->layer[e->index];
        block(e);
    }
    unembed(e);
}
