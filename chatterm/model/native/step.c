/* A decode step of the decoder in chatterm/model: up to VECTORS tokens in, logits out, everything in float32.
 *
 * The same computation as `Decoder.forward` without taps, in six phases a block, each shared among the threads of a
 * pool. Every token's numbers are the same to the last bit however many others are under way. */
#include "attend.h"
#include "pack.h"
#include "vectors.h"

/* --- matrices ----------------------------------------------------------------------------------------------- */

/* One tile times all rows. */
static void tile_of(const Matrix *m, int tile, const Panel *x, int stride, f32x16 *y) {
    const uint8_t *data = m->data + tile * tile_bytes(m->kind, m->columns);
    tile_times_some(m->kind, m->columns, data, x, stride, y);
    if (!m->bias) return;
    for (int r = 0; r < stride; r++) y[r] += load_f32(m->bias + LANES * tile);
}

static int grain_of(const Matrix *m, int threads) {
    int grain = (tiles_of(m) + 3 * threads - 1) / (3 * threads);
    return grain < 1 ? 1 : grain;
}

static void multiply_piece(void *context, int piece) {
    const Engine *e = context;
    int which = 0;
    while (piece >= e->pieces_before[which + 1]) which++;
    const Matrix *m = e->matrix[which];
    int first = (piece - e->pieces_before[which]) * e->grain[which], last = first + e->grain[which];
    f32x16 y[VECTORS];
    for (int tile = first; tile < last && tile < tiles_of(m); tile++) {
        tile_of(m, tile, &e->input, e->stride, y);
        for (int r = 0; r < e->fed; r++) store_f32(e->out[which] + r * e->out_stride[which] + LANES * tile, y[r]);
    }
}

/* Bytes of weights from which it pays to wake sleeping threads. */
enum { WORTH_WAKING = 2 << 20 };

static void multiply(Engine *e, int matrices) {
    size_t bytes = 0;
    e->pieces_before[0] = 0;
    for (int i = 0; i < matrices; i++) {
        e->grain[i] = grain_of(e->matrix[i], e->pool->threads);
        e->pieces_before[i + 1] = e->pieces_before[i] + (tiles_of(e->matrix[i]) + e->grain[i] - 1) / e->grain[i];
        bytes += tiles_of(e->matrix[i]) * tile_bytes(e->matrix[i]->kind, e->matrix[i]->columns);
    }
    if (e->step || bytes >= WORTH_WAKING) share(e->pool, multiply_piece, e, e->pieces_before[matrices]);
    else /* between single products the threads have gone to sleep */
        for (int piece = 0; piece < e->pieces_before[matrices]; piece++) multiply_piece(e, piece);
}

static void set_product(Engine *e, int i, const Matrix *m, float *out, size_t stride) {
    e->matrix[i] = m;
    e->out[i] = out;
    e->out_stride[i] = stride;
}

/* --- a block ------------------------------------------------------------------------------------------------ */

static void attention(Engine *e) {
    const Model *m = e->model;
    const Layer *layer = e->layer;
    set_product(e, 0, &layer->queries, e->queries, e->heads_width);
    set_product(e, 1, &layer->keys, e->keys, e->heads_width);
    set_product(e, 2, &layer->values, e->values, e->heads_width);
    multiply(e, 3);
    done(e, PROJECT);
    for (int r = 0; r < e->rows; r++) {
        float *queries = e->queries + r * e->heads_width, *keys = e->keys + r * e->heads_width;
        head_norms(e, layer->query_norm, queries, m->heads);
        head_norms(e, layer->key_norm, keys, m->kv_heads);
        rotate(e, r, queries, m->heads);
        rotate(e, r, keys, m->kv_heads);
    }
    const Record *wanted = &e->step->record;
    size_t all_heads = (size_t)m->heads * m->head_size, kv_heads = (size_t)m->kv_heads * m->head_size;
    record(e, wanted->queries, e->queries, e->heads_width, all_heads, 1);
    record(e, wanted->keys, e->keys, e->heads_width, kv_heads, 1);
    record(e, wanted->values, e->values, e->heads_width, kv_heads, 1);
    done(e, TURN);
    attend_all(e);
    record(e, wanted->heads, e->mixed, e->heads_width, all_heads, 1);
    done(e, ATTEND);
    feed(e, e->mixed, e->heads_width, m->heads * m->head_size, e->rows);
    set_product(e, 0, &layer->output, e->branch, e->width);
    multiply(e, 1);
    done(e, OUTPUT);
}

static void neurons_piece(void *context, int piece) {
    const Engine *e = context;
    const Layer *layer = e->layer;
    int first = piece * e->grain[0], last = first + e->grain[0];
    f32x16 up[VECTORS], gate[VECTORS];
    for (int tile = first; tile < last && tile < tiles_of(&layer->up); tile++) {
        tile_of(&layer->up, tile, &e->input, e->stride, up);
        if (e->model->gated) tile_of(&layer->gate, tile, &e->input, e->stride, gate);
        for (int r = 0; r < e->rows; r++) {
            f32x16 hidden = e->model->gated ? activate(e->model->activation, gate[r]) * up[r]
                                            : activate(e->model->activation, up[r]);
            store_f32(e->hidden + r * e->ffn_width + LANES * tile, hidden);
        }
    }
}

static void feed_forward(Engine *e) {
    const Matrix *up = &e->layer->up;
    e->grain[0] = grain_of(up, e->pool->threads);
    share(e->pool, neurons_piece, e, (tiles_of(up) + e->grain[0] - 1) / e->grain[0]);
    record(e, e->step->record.activations, e->hidden, e->ffn_width, e->model->ffn_width, 1);
    done(e, UP);
    feed(e, e->hidden, e->ffn_width, e->model->ffn_width, e->rows);
    set_product(e, 0, &e->layer->down, e->branch, e->width);
    multiply(e, 1);
    done(e, DOWN);
}

static void block(Engine *e) {
    const Model *m = e->model;
    const Layer *layer = e->layer;
    const Record *wanted = &e->step->record;
    record(e, wanted->input, e->x, e->width, m->width, 1);
    prepare(e, layer->attention_norm, 0);
    done(e, NORM);
    attention(e);
    if (!m->parallel) {
        add_branch(e, layer->attention_output_norm, wanted->attention_output);
        record(e, wanted->middle, e->x, e->width, m->width, 1);
        done(e, ADD);
        prepare(e, layer->ffn_norm, 0);
        done(e, NORM);
        feed_forward(e);
        add_branch(e, layer->ffn_output_norm, wanted->ffn_output);
        done(e, ADD);
        record(e, wanted->output, e->x, e->width, m->width, 1);
        return;
    }
    /* Both branches read the block's input; attention's share waits until the feed-forward has read it too. */
    size_t all = e->rows * e->width;
    record(e, wanted->attention_output, e->branch, e->width, m->width, m->residual_scale);
    memcpy(e->attended, e->branch, sizeof(float) * all);
    prepare(e, m->shared_norm ? layer->attention_norm : layer->ffn_norm, 0);
    done(e, NORM);
    feed_forward(e);
    record(e, wanted->ffn_output, e->branch, e->width, m->width, m->residual_scale);
    for (size_t i = 0; i < all; i++) e->branch[i] += e->attended[i];
    add_branch(e, (Norm){0}, NULL);
    done(e, ADD);
    record(e, wanted->output, e->x, e->width, m->width, 1);
}

/* --- the whole ---------------------------------------------------------------------------------------------- */

static void embed(Engine *e, int row) {
    const Model *m = e->model;
    const Matrix *table = &m->embedding;
    int64_t token = e->step->tokens[row];
    const uint8_t *tile = table->data + token / LANES * tile_bytes(table->kind, table->columns);
    float *x = e->x + row * e->width;
    for (int i = 0; i < m->width; i++) x[i] = tile_column(table->kind, tile, i)[token % LANES] * m->embedding_scale;
    if (!m->positions) return;
    for (int i = 0; i < m->width; i++) x[i] += m->positions[(size_t)e->step->positions[row] * m->width + i];
}

static void unembed(Engine *e) {
    const Model *m = e->model;
    const Step *step = e->step;
    int count = step->count - step->first_logits;
    if (count <= 0) return;
    prepare(e, m->final_norm, step->first_logits);
    set_product(e, 0, &m->unembedding, step->logits, step->logits_stride);
    multiply(e, 1);
    for (int r = 0; r < count; r++) {
        float *logits = step->logits + (size_t)r * step->logits_stride;
        if (m->logit_scale != 1)
            for (int i = 0; i < m->vocabulary; i++) logits[i] *= m->logit_scale;
        if (m->logit_soft_cap > 0)
            for (int i = 0; i < m->vocabulary; i++) logits[i] = m->logit_soft_cap * tanhf(logits[i] / m->logit_soft_cap);
    }
}

/* --- what Python calls -------------------------------------------------------------------------------------- */

#define EXPORT __attribute__((visibility("default")))

static size_t padded(size_t n) { return (n + 63) / 64 * 64; }

/* Words of the slices of a vector. */
static size_t slice_words(size_t n) {
#if defined(HAVE_SLICES)
    return padded(n / 32 * SLICE_WORDS);
#else
    return 0 * n;
#endif
}

EXPORT int chatterm_sizes(void) {
    return (int)(sizeof(Matrix) * 1000000 + sizeof(Layer) * 1000 + sizeof(Model) + sizeof(Step));
}

EXPORT int chatterm_most_rows(void) { return VECTORS; }

EXPORT int chatterm_kind(int type) { return kind_of(type); }

EXPORT size_t chatterm_packed_bytes(int kind, int rows, int columns) {
    return (size_t)((rows + LANES - 1) / LANES) * tile_bytes(kind, columns) + AHEAD;
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

/* Floats of working memory for vectors of so many numbers, all in all. */
static size_t panel_floats(int columns) { return VECTORS * (padded(columns) + padded(columns / 32 + 1) + slice_words(columns)); }

EXPORT size_t chatterm_scratch(int columns) { return panel_floats(columns); }

/* y = W x + b for 1 … VECTORS rows of x and up to MATRICES matrices over the same columns, whose results stand side by
 * side in each row of y, every one of them in a whole number of tiles. `scratch` is for chatterm_scratch floats. */
EXPORT void chatterm_multiply(
    Pool *pool, const Matrix *const *matrices, int count, const float *x, int rows, float *scratch, float *y) {
    int columns = matrices[0]->columns;
    size_t stride = 0;
    Engine e = {.pool = pool, .rows = rows, .panel = scratch};
    e.sums = e.panel + VECTORS * padded(columns);
    e.slices = (int32_t *)(e.sums + VECTORS * padded(columns / 32 + 1));
    feed(&e, x, columns, columns, rows);
    for (int i = 0; i < count; i++) stride += (size_t)LANES * tiles_of(matrices[i]);
    for (int i = 0; i < count; i++) {
        set_product(&e, i, matrices[i], y, stride);
        y += LANES * tiles_of(matrices[i]);
    }
    multiply(&e, count);
}

EXPORT Pool *chatterm_pool(int threads) { return pool_start(threads); }

EXPORT int chatterm_threads(const Pool *pool) { return pool->threads; }

EXPORT void chatterm_end_pool(Pool *pool) { pool_stop(pool); }

/* Scratch for steps with up to `capacity` positions; null if there is no memory. Freed by chatterm_end_engine. */
EXPORT Engine *chatterm_engine(const Model *model, Pool *pool, int capacity) {
    Engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    size_t heads = (size_t)model->heads * model->head_size, chunks = (size_t)capacity / CHUNK + 2;
    e->width = padded(model->width);
    e->heads_width = padded(heads);
    e->ffn_width = padded(model->ffn_width);
    size_t widest = e->heads_width > e->ffn_width ? e->heads_width : e->ffn_width;
    if (widest < e->width) widest = e->width;
    size_t results = padded(model->heads * chunks);
    struct { float **place; size_t floats; } parts[] = {
        {&e->x, e->width},           {&e->normed, e->width},      {&e->branch, e->width}, {&e->attended, e->width},
        {&e->queries, e->heads_width}, {&e->keys, e->heads_width}, {&e->values, e->heads_width}, {&e->mixed, e->heads_width},
        {&e->hidden, e->ffn_width},  {&e->panel, widest},         {&e->sums, padded(widest / 32 + 1)},
        {(float **)&e->slices, slice_words(widest)},
        {&e->part, padded(model->heads * chunks * model->head_size)}, {&e->part_max, results}, {&e->part_sum, results},
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    size_t total = 0;
    for (int i = 0; i < PARTS; i++) total += VECTORS * parts[i].floats;
    float *memory = aligned_alloc(64, total * sizeof(float));
    if (!memory) {
        free(e);
        return NULL;
    }
    memset(memory, 0, total * sizeof(float));
    for (int i = 0; i < PARTS; i++) {
        *parts[i].place = memory;
        memory += VECTORS * parts[i].floats;
    }
    e->model = model;
    e->pool = pool;
    return e;
}

EXPORT void chatterm_end_engine(Engine *e) {
    free(e->x); /* the first of the block of memory */
    free(e);
}

/* From now on the seconds of each phase are added to these; null: no longer. */
EXPORT void chatterm_watch(Engine *e, double *seconds) { e->seconds = seconds; }

/* Decode some tokens. */
EXPORT void chatterm_step(Engine *e, const Step *step) {
    e->step = step;
    e->rows = step->count;
    if (e->seconds) e->since = now();
    for (int row = 0; row < e->rows; row++) embed(e, row);
    done(e, EMBED);
    for (e->index = 0; e->index < e->model->layers; e->index++) {
        e->layer = &e->model->layer[e->index];
        block(e);
    }
    unembed(e);
    done(e, UNEMBED);
}
