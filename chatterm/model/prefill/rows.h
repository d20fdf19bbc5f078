/* What happens to each token's vector between two products: norms, gates, rotation. */
#ifndef CHATTERM_ROWS_H
#define CHATTERM_ROWS_H

#include "../native/pool.h"
#include "../native/simd.h"

enum { ROWS = 8 }; /* rows in one piece of work */

/* Up to 16 numbers; zeros in place of those that are not there. */
static inline f32x16 load_some(const float *p, int count) {
    if (count >= LANES) return load_f32(p);
#if defined(__AVX512F__)
    return (f32x16)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
    f32x16 v = {0};
    memcpy(&v, p, sizeof(float) * (size_t)count);
    return v;
#endif
}

static inline void store_some(float *p, f32x16 v, int count) {
    if (count >= LANES) store_f32(p, v);
    else memcpy(p, &v, sizeof(float) * (size_t)count);
}

/* ---- norms ---- */

typedef struct {
    const float *x, *weight, *bias;
    float *y;
    size_t x_stride, y_stride; /* from one token to the next; a token's vectors follow each other */
    int tokens, vectors, width, layer; /* layer: subtract the mean */
    float eps;
} Norming;

static void norm_vector(const Norming *n, const float *x, float *y) {
    int width = n->width;
    f32x16 sum = splat(0), squares = splat(0), mean = splat(0);
    if (n->layer) {
        for (int k = 0; k < width; k += LANES) sum += load_some(x + k, width - k);
        mean = splat(sum16(sum) / (float)width);
    }
    for (int k = 0; k < width; k += LANES) {
        f32x16 v = load_some(x + k, width - k);
        v = width - k >= LANES ? v - mean : v - load_some((const float *)&mean, width - k); /* zeros stay zeros */
        squares += v * v;
    }
    f32x16 scale = splat(1.0f / sqrtf(sum16(squares) / (float)width + n->eps));
    for (int k = 0; k < width; k += LANES) {
        f32x16 v = (load_some(x + k, width - k) - mean) * scale * load_some(n->weight + k, width - k);
        if (n->bias) v += load_some(n->bias + k, width - k);
        store_some(y + k, v, width - k);
    }
}

static void norm_piece(void *context, int piece) {
    const Norming *n = context;
    for (int token = piece * ROWS; token < (piece + 1) * ROWS && token < n->tokens; token++)
        for (int i = 0; i < n->vectors; i++)
            norm_vector(n, n->x + token * n->x_stride + (size_t)i * n->width, n->y + token * n->y_stride + (size_t)i * n->width);
}

/* ---- gates ---- */

enum { SILU = 0, GELU_TANH = 2, RELU = 3, RELU_SQUARED = 4 }; /* as chatterm.checkpoint.architecture.Activation */

typedef struct {
    const float *x; /* (tokens, 2 width) if gated: the gate first; else (tokens, width) */
    float *y;       /* (tokens, width) */
    size_t stride;
    int tokens, width, activation, gated;
} Gating;

static inline f32x16 sigmoid_times(f32x16 x, f32x16 z) { return x / (exp16(-z) + 1.0f); }

static inline f32x16 activated(int activation, f32x16 x) {
    f32x16 positive = choose(x > 0, x, splat(0));
    switch (activation) {
    case SILU: return sigmoid_times(x, x);
    case GELU_TANH: return sigmoid_times(x, 1.5957691216057308f * (x + 0.044715f * x * x * x)); /* (1 + tanh z) / 2 = σ(2z) */
    case RELU: return positive;
    case RELU_SQUARED: return positive * positive;
    }
    return x;
}

static void gate_piece(void *context, int piece) {
    const Gating *g = context;
    for (int token = piece * ROWS; token < (piece + 1) * ROWS && token < g->tokens; token++) {
        const float *x = g->x + token * g->stride;
        float *y = g->y + (size_t)token * g->width;
        for (int k = 0; k < g->width; k += LANES) {
            f32x16 v = activated(g->activation, load_some(x + k, g->width - k));
            if (g->gated) v *= load_some(x + g->width + k, g->width - k);
            store_some(y + k, v, g->width - k);
        }
    }
}

/* ---- rotation ---- */

typedef struct {
    float *x; /* (tokens, heads, head_size), rotated in place */
    const float *cosines, *sines; /* (tokens, dimensions); sines negative in the first half */
    size_t stride;
    int tokens, heads, head_size, dimensions;
} Turning;

static void turn_piece(void *context, int piece) {
    const Turning *t = context;
    int half = t->dimensions / 2;
    for (int token = piece * ROWS; token < (piece + 1) * ROWS && token < t->tokens; token++) {
        const float *c = t->cosines + (size_t)token * t->dimensions, *s = t->sines + (size_t)token * t->dimensions;
        for (int head = 0; head < t->heads; head++) {
            float *x = t->x + token * t->stride + (size_t)head * t->head_size;
            for (int k = 0; k < half; k += LANES) {
                int count = half - k;
                f32x16 a = load_some(x + k, count), b = load_some(x + half + k, count);
                store_some(x + k, a * load_some(c + k, count) + b * load_some(s + k, count), count);
                store_some(x + half + k, b * load_some(c + half + k, count) + a * load_some(s + half + k, count), count);
            }
        }
    }
}

/* ---- the residual stream ---- */

typedef struct {
    float *x;       /* (tokens, width), x += scale·y */
    const float *y; /* rows y_stride apart */
    size_t y_stride;
    int tokens, width;
    float scale;
} Adding;

static void add_piece(void *context, int piece) {
    const Adding *a = context;
    for (int token = piece * ROWS; token < (piece + 1) * ROWS && token < a->tokens; token++) {
        float *x = a->x + (size_t)token * a->width;
        const float *y = a->y + token * a->y_stride;
        for (int k = 0; k < a->width; k++) x[k] += a->scale * y[k];
    }
}

#endif
