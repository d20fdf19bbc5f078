/* Many tokens times matrices in tiles, on processors that multiply pairs of 16-bit numbers.
 *
 * Weights of 4 to 8 bits are exact as whole numbers of 16 bits (unpack.h). A token's numbers are rounded to 16 bits, SPAN of them
 * with one scale, so that no sum of 32 bits can overflow; the error is some 3e-5 of the result. A few numbers of a span that are far
 * larger than its others, as there are in every transformer (arXiv:2208.07339, arXiv:2402.17762), would take the others' bits away:
 * they are multiplied by themselves, in float32. Plain numbers are multiplied in float32.
 *
 * A piece of work is a few strips of the matrix and all tokens. For each span of columns its weights are unpacked once, into
 * the second-level cache, and meet every block of tokens there; sums stay in registers for the length of the span. */
#ifndef CHATTERM_WHOLE_H
#define CHATTERM_WHOLE_H

#include "../native/pool.h"
#include "scratch.h"
#include "unpack.h"

enum { MOST_STRIPS = 8 / STRIP_TILES, MOST_MATRICES = 8 };

enum { MOST_FAR = 6 };

/* How many times as large as the span's mean magnitude a number must be to be multiplied by itself. */
static const float FAR_FROM_MEAN = 8;

/* Numbers of a span that are multiplied by themselves. */
typedef struct {
    int32_t count, column[MOST_FAR];
    float number[MOST_FAR];
} Far;

/* Tokens, in spans of columns: first those of the first span. */
typedef struct {
    int tokens, columns, spans;
    int32_t *pairs;      /* (spans, tokens, PAIRS): two numbers of 16 bits each, columns paired as in unpack.h */
    float *scales;       /* (spans, tokens) */
    float *sums;         /* (spans, tokens, GROUPS): of the rounded numbers */
    float *plain;        /* (spans, tokens, SPAN): unrounded */
    Far *far;            /* (spans, tokens) */
} Tokens;

/* How many tokens are kept: blocks have an even number. */
static inline int even(int tokens) { return (tokens + 1) / 2 * 2; }

static inline int spans_of(int columns) { return (columns + SPAN - 1) / SPAN; }

/* Bytes for tokens in both forms, and an arrangement in so much memory. */
static size_t arrange(Tokens *t, int tokens, int columns, char *memory) {
    size_t count = (size_t)even(tokens) * spans_of(columns);
    *t = (Tokens){.tokens = even(tokens), .columns = columns, .spans = spans_of(columns)};
    t->pairs = (int32_t *)memory;
    t->plain = (float *)(memory + count * PAIRS * 4);
    t->sums = t->plain + count * SPAN;
    t->scales = t->sums + count * GROUPS;
    t->far = (Far *)(t->scales + count);
    return (count * ((PAIRS + SPAN + GROUPS + 1) * 4 + sizeof(Far)) + 63) / 64 * 64;
}

/* ---- tokens ---- */

typedef struct {
    const float *x;
    size_t stride;
    int rows, most, rounded, plain; /* most: the largest weight whose products are summed over a whole span */
    Tokens to;
} Rounding;

static inline float largest_of(f32x16 v) {
    float most = 0;
    for (int i = 0; i < LANES; i++) most = v[i] > most || v[i] != v[i] ? v[i] : most;
    return most;
}

static inline i32x16 nearest(f32x16 x) {
#if defined(__AVX512F__)
    return (i32x16)_mm512_cvtps_epi32((__m512)x);
#else
    float at[LANES];
    int32_t to[LANES];
    i32x16 v;
    store_f32(at, x);
    for (int half = 0; half < 2; half++)
        _mm256_storeu_si256((__m256i *)to + half, _mm256_cvtps_epi32(_mm256_loadu_ps(at + 8 * half)));
    memcpy(&v, to, sizeof v);
    return v;
#endif
}

/* 32 whole numbers as 16 pairs of columns 8c + j and 8c + j + 4. */
static inline i32x16 paired(i32x16 a, i32x16 b) {
    i32x16 low = __builtin_shuffle(a, b, (i32x16){0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27});
    i32x16 high = __builtin_shuffle(a, b, (i32x16){4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31});
    return (low & 0xffff) | high << 16;
}

static inline float sum_of(i32x16 v) { return sum16(__builtin_convertvector(v, f32x16)); }

/* Of the magnitudes of SPAN numbers the largest, also what is not a number, and the sum. */
static void magnitudes(const float *x, float *top, float *all) {
    f32x16 most = splat(0), sum = splat(0);
    for (int k = 0; k < SPAN; k += LANES) {
        f32x16 v = magnitude(load_f32(x + k));
        most = choose(v <= most, most, v);
        sum += v;
    }
    *top = largest_of(most);
    *all = sum16(sum);
}

/* Take numbers that are far larger than the others out of a span, and find the largest and the sum of what is left. */
static void take_far(float *x, Far *far, float *top, float *all) {
    far->count = 0;
    magnitudes(x, top, all);
    while (far->count < MOST_FAR && *top < INFINITY && *top * SPAN > FAR_FROM_MEAN * *all) {
        int column = 0;
        while (fabsf(x[column]) != *top) column++;
        far->column[far->count] = column;
        far->number[far->count++] = x[column];
        x[column] = 0;
        magnitudes(x, top, all);
    }
}

/* One span of one token; x holds SPAN numbers, zeros where there are none, and is changed. */
static void round_span(const Rounding *r, float *x, size_t place) {
    float top, all;
    take_far(x, r->to.far + place, &top, &all);
    /* so that Σ|x| · most stays below 2^31, with room for what rounding adds */
    float by_sum = 2.1e9f / ((float)r->most * all + 1e-30f), factor = 32767.0f / top;
    factor = r->most && by_sum < factor ? by_sum : factor;
    float scale = 1 / factor;
    if (!(top > 1e-30f)) scale = factor = 0;
    if (!(all <= 3e38f)) scale = NAN, factor = 0; /* infinite or not a number: so is the result */
    if (top != top) scale = NAN, factor = 0;
    int32_t *out = r->to.pairs + place * PAIRS;
    for (int g = 0; g < GROUPS; g++) {
        i32x16 a = nearest(load_f32(x + 32 * g) * factor), b = nearest(load_f32(x + 32 * g + LANES) * factor);
        i32x16 pairs = paired(a, b);
        memcpy(out + 16 * g, &pairs, sizeof pairs);
        r->to.sums[place * GROUPS + g] = sum_of(a + b);
    }
    r->to.scales[place] = scale;
}

/* Two tokens. */
static void round_piece(void *context, int piece) {
    const Rounding *r = context;
    float padded[SPAN];
    for (int span = 0; span < r->to.spans; span++) {
        int columns = r->to.columns - SPAN * span < SPAN ? r->to.columns - SPAN * span : SPAN;
        for (int token = 2 * piece; token < 2 * piece + 2; token++) {
            size_t place = (size_t)span * r->to.tokens + token;
            const float *x = r->x + (size_t)token * r->stride + SPAN * span;
            if (columns < SPAN || token >= r->rows) memset(padded, 0, sizeof padded);
            if (token < r->rows) memcpy(padded, x, sizeof(float) * (size_t)columns);
            if (r->plain) memcpy(r->to.plain + place * SPAN, padded, sizeof padded);
            if (r->rounded) round_span(r, padded, place);
        }
    }
}

/* ---- a block of tokens times a strip ---- */

/* y (+)= x · w, for T tokens over `columns` of a span, which have one scale for each `scaled` of them. */
ALWAYS void times_strip(
    int T, int scaled, int minima, const Strip *strip, int columns, const int32_t *x, const float *token_scales,
    const float *sums, float *y, size_t stride, int add) {
    Floats part[MOST_TOKENS][2];
#pragma GCC unroll 12
    for (int t = 0; t < T; t++) part[t][0] = part[t][1] = all_floats(0);
    for (int g = 0; g < columns / scaled; g++, x += scaled / 2) {
        Ints sum[MOST_TOKENS][2];
        const int16_t(*w)[STRIP_ROWS][2] = &strip->pairs[g * (scaled / 2)];
#pragma GCC unroll 12
        for (int t = 0; t < T; t++) sum[t][0] = sum[t][1] = (Ints){0};
#pragma GCC unroll 2
        for (int p = 0; p < scaled / 2; p++) {
            Ints w0 = load_ints(w[p]), w1 = load_ints(w[p] + WIDTH);
#pragma GCC unroll 12
            for (int t = 0; t < T; t++) {
                Ints pair = (Ints){0} + x[t * PAIRS + p];
                sum[t][0] = add_pairs(sum[t][0], w0, pair);
                sum[t][1] = add_pairs(sum[t][1], w1, pair);
            }
        }
        Floats s0 = load_floats(strip->scales[g]), s1 = load_floats(strip->scales[g] + WIDTH);
#pragma GCC unroll 12
        for (int t = 0; t < T; t++) {
            part[t][0] += to_floats(sum[t][0]) * s0;
            part[t][1] += to_floats(sum[t][1]) * s1;
        }
    }
    if (minima) {
        for (int g = 0; g < columns / 32; g++) {
            Floats m0 = load_floats(strip->minima[g]), m1 = load_floats(strip->minima[g] + WIDTH);
#pragma GCC unroll 12
            for (int t = 0; t < T; t++) {
                part[t][0] += m0 * sums[t * GROUPS + g];
                part[t][1] += m1 * sums[t * GROUPS + g];
            }
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < T; t++, y += stride) {
        Floats y0 = add ? load_floats(y) : all_floats(0), y1 = add ? load_floats(y + WIDTH) : all_floats(0);
        store_floats(y, y0 + part[t][0] * token_scales[t]);
        store_floats(y + WIDTH, y1 + part[t][1] * token_scales[t]);
    }
}

/* The same for plain numbers, in float32: y (+)= Σ_k w[k] · x[t][k]. One token and the next are x_stride apart in x, one of
 * its numbers and the next `step`; both are known when compiled. */
ALWAYS void times_plain_strip(
    int T, const float (*w)[STRIP_ROWS], int columns, const float *x, size_t x_stride, size_t step, float *y, size_t stride,
    int add) {
    Floats sum[MOST_TOKENS][2];
#pragma GCC unroll 12
    for (int t = 0; t < T; t++) {
        sum[t][0] = add ? load_floats(y + t * stride) : all_floats(0);
        sum[t][1] = add ? load_floats(y + t * stride + WIDTH) : all_floats(0);
    }
    for (int k = 0; k < columns; k++, x += step) {
        Floats w0 = load_floats(w[k]), w1 = load_floats(w[k] + WIDTH);
#pragma GCC unroll 12
        for (int t = 0; t < T; t++) {
            Floats number = all_floats(x[t * x_stride]);
            sum[t][0] += w0 * number;
            sum[t][1] += w1 * number;
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < T; t++) {
        store_floats(y + t * stride, sum[t][0]);
        store_floats(y + t * stride + WIDTH, sum[t][1]);
    }
}

/* Blocks of tokens have 2, 4 … MOST_TOKENS of them; one alone is for attention. */
#define CASE_ONE(CALL) \
    case 1: CALL(1); break;
#if defined(__AVX512F__)
#define FOR_BLOCKS(CALL) \
    case 2: CALL(2); break; \
    case 4: CALL(4); break; \
    case 6: CALL(6); break; \
    case 8: CALL(8); break; \
    case 10: CALL(10); break; \
    case 12: CALL(12); break;
#else
#define FOR_BLOCKS(CALL) \
    case 2: CALL(2); break; \
    case 4: CALL(4); break; \
    case 6: CALL(6); break;
#endif

static void times_some_groups(
    int T, int minima, const Strip *strip, int columns, const int32_t *x, const float *scales, const float *sums, float *y,
    size_t stride, int add) {
    switch (T) {
#define CALL(COUNT) times_strip(COUNT, 32, minima, strip, columns, x, scales, sums, y, stride, add)
        FOR_BLOCKS(CALL)
#undef CALL
    }
}

static void times_some_supers(
    int T, int minima, const Strip *strip, const int32_t *x, const float *scales, const float *sums, float *y, size_t stride,
    int add) {
    switch (T) {
#define CALL(COUNT) times_strip(COUNT, SPAN, minima, strip, SPAN, x, scales, sums, y, stride, add)
        FOR_BLOCKS(CALL)
#undef CALL
    }
}

/* x: SPAN numbers of one token after the other. */
static void times_some_plain(
    int T, const float (*w)[STRIP_ROWS], int columns, const float *x, float *y, size_t stride, int add) {
    switch (T) {
#define CALL(COUNT) times_plain_strip(COUNT, w, columns, x, SPAN, 1, y, stride, add)
        CASE_ONE(CALL)
        FOR_BLOCKS(CALL)
#undef CALL
    }
}

/* x: the numbers of all tokens at one column, then, SPAN further on, those at the next. */
static void times_some_columns(
    int T, const float (*w)[STRIP_ROWS], int columns, const float *x, float *y, size_t stride, int add) {
    switch (T) {
#define CALL(COUNT) times_plain_strip(COUNT, w, columns, x, 1, SPAN, y, stride, add)
        CASE_ONE(CALL)
        FOR_BLOCKS(CALL)
#undef CALL
    }
}

/* Where block `block` of `blocks` begins: they share pairs of tokens evenly. */
static inline int block_start(int tokens, int blocks, int block) { return 2 * (int)((int64_t)(tokens / 2) * block / blocks); }

static inline int blocks_of(int tokens) { return (tokens + MOST_TOKENS - 1) / MOST_TOKENS; }

/* ---- matrices ---- */

typedef struct {
    const Matrix *matrix;
    float *y;      /* of its first row */
    size_t stride; /* numbers from one token's to the next's */
    int tokens, strips; /* strips in one piece */
    int plain;          /* multiply in float32 */
    const Tokens *x;
} Whole;

static inline int strips_of(const Matrix *m) { return (m->rows + STRIP_ROWS - 1) / STRIP_ROWS; }

/* The weights of one span: as whole numbers or as plain ones. */
typedef union {
    Strip strip;
    float plain[SPAN][STRIP_ROWS];
} Unpacked;

static void unpack_strip(const Matrix *m, int plain, int strip, int span, int columns, Unpacked *to) {
    for (int t = 0; t < STRIP_TILES; t++) {
        int tile = strip * STRIP_TILES + t;
        if (tile >= tiles_of(m)) tile = tiles_of(m) - 1; /* its rows are not written anywhere */
        if (plain) unpack_plain(m, tile, SPAN * span, columns, to->plain, LANES * t);
        else unpack(m, tile, span, columns / 32, &to->strip, LANES * t);
    }
}

/* y += w · x for the numbers of a span that are multiplied by themselves. */
static void add_far(const Strip *strip, int scaled, int minima, const Far *far, float *y) {
    for (int i = 0; i < far->count; i++) {
        int column = far->column[i], group = column / 32, high = column % 8 / 4;
        const int16_t(*w)[2] = strip->pairs[16 * group + column % 32 / 8 * 4 + column % 4];
        const float *scales = strip->scales[scaled == 32 ? group : 0];
        for (int row = 0; row < STRIP_ROWS; row += WIDTH) {
            Ints pair = load_ints(w + row);
            Floats weight = to_floats(high ? pair >> 16 : pair << 16 >> 16) * load_floats(scales + row);
            if (minima) weight += load_floats(strip->minima[group] + row);
            store_floats(y + row, load_floats(y + row) + weight * far->number[i]);
        }
    }
}

static void times_span(const Whole *p, const Unpacked *w, int span, int columns, int first, int count, float *y, size_t stride) {
    const Tokens *x = p->x;
    int kind = p->matrix->kind, add = span > 0, minima = has_minima(kind);
    size_t place = (size_t)span * x->tokens + first;
    const int32_t *pairs = x->pairs + place * PAIRS;
    const float *scales = x->scales + place, *sums = x->sums + place * GROUPS;
    if (p->plain) {
        times_some_plain(count, w->plain, columns, x->plain + place * SPAN, y, stride, add);
        return;
    }
    if (columns_scaled(kind) == 32) times_some_groups(count, minima, &w->strip, columns, pairs, scales, sums, y, stride, add);
    else times_some_supers(count, minima, &w->strip, pairs, scales, sums, y, stride, add);
    for (int t = 0; t < count; t++) add_far(&w->strip, columns_scaled(kind), minima, x->far + place + t, y + t * stride);
}

/* What was summed up for some strips, and their bias, into its place. */
static void write_rows(const Whole *p, const float *sums, size_t stride, int first, int rows) {
    const float *bias = p->matrix->bias ? p->matrix->bias + first : NULL;
    for (int t = 0; t < p->tokens; t++) {
        float *y = p->y + (size_t)t * p->stride + first;
        const float *from = sums + (size_t)t * stride;
        if (bias)
            for (int r = 0; r < rows; r++) y[r] = from[r] + bias[r];
        else memcpy(y, from, sizeof(float) * (size_t)rows);
    }
}

/* A few strips of a matrix times all tokens. */
static void whole_piece(const Whole *p, int piece) {
    const Matrix *m = p->matrix;
    int first = piece * p->strips, strips = strips_of(m) - first < p->strips ? strips_of(m) - first : p->strips;
    int rows = m->rows - first * STRIP_ROWS < strips * STRIP_ROWS ? m->rows - first * STRIP_ROWS : strips * STRIP_ROWS;
    size_t stride = (size_t)strips * STRIP_ROWS, sums_bytes = sizeof(float) * stride * p->x->tokens;
    Unpacked *weights = scratch(sizeof(Unpacked) * MOST_STRIPS + sums_bytes);
    float *sums = (float *)(weights + MOST_STRIPS);
    int blocks = blocks_of(p->x->tokens);
    for (int span = 0; span < p->x->spans; span++) {
        int columns = m->columns - SPAN * span < SPAN ? m->columns - SPAN * span : SPAN;
        for (int s = 0; s < strips; s++) unpack_strip(m, p->plain, first + s, span, columns, weights + s);
        for (int block = 0; block < blocks; block++) {
            int from = block_start(p->x->tokens, blocks, block), to = block_start(p->x->tokens, blocks, block + 1);
            for (int s = 0; s < strips; s++)
                times_span(p, weights + s, span, columns, from, to - from, sums + from * stride + s * STRIP_ROWS, stride);
        }
    }
    write_rows(p, sums, stride, first * STRIP_ROWS, rows);
}

#endif
