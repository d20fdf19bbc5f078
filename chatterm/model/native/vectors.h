/* Norms, activations and what else is done to one vector at a time. */
#ifndef CHATTERM_VECTORS_H
#define CHATTERM_VECTORS_H

#include "engine.h"

typedef double f64x16 __attribute__((vector_size(128)));

ALWAYS double sum_doubles(f64x16 v) {
    double total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
}

static void normalise(const Model *m, const float *x, int n, const float *weight, const float *bias, float *y) {
    f64x16 sums = {0}, squares = {0};
    double mean = 0, square = 0;
    int i = 0;
    if (m->norm_kind == LAYER) {
        for (; i + LANES <= n; i += LANES) sums += __builtin_convertvector(load_f32(x + i), f64x16);
        for (mean = sum_doubles(sums); i < n; i++) mean += x[i];
        mean /= n;
    }
    for (i = 0; i + LANES <= n; i += LANES) {
        f64x16 away = __builtin_convertvector(load_f32(x + i), f64x16) - mean;
        squares += away * away;
    }
    for (square = sum_doubles(squares); i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = (float)(1.0 / sqrt(square / n + m->norm_eps)), middle = (float)mean;
    if (bias)
        for (i = 0; i < n; i++) y[i] = (x[i] - middle) * scale * weight[i] + bias[i];
    else
        for (i = 0; i < n; i++) y[i] = (x[i] - middle) * scale * weight[i];
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

/* What the next matrices read: `n` numbers of every row, and their sums over 32 columns. */
static void feed(Engine *e, const float *rows, size_t row_stride, int n, int count) {
    int stride = stride_for(count);
    e->stride = stride;
    e->fed = count;
    for (int r = 0; r < count; r++) {
        const float *x = rows + r * row_stride;
        for (int g = 0; g < n / 32; g++)
            e->sums[g * stride + r] = sum16(load_f32(x + 32 * g) + load_f32(x + 32 * g + 16));
#if defined(HAVE_SLICES)
        for (int g = 0; g < n / 32; g++) slice_group(x + 32 * g, stride, e->slices + (size_t)g * SLICE_WORDS * stride + r);
#endif
        if (stride > 1)
            for (int k = 0; k < n; k++) e->panel[(size_t)k * stride + r] = x[k];
    }
    e->input = (Panel){stride > 1 ? e->panel : rows, e->sums, e->slices};
}

/* The (perhaps normed) residual stream of rows `first` … goes to the next matrices. */
static void prepare(Engine *e, Norm norm, int first) {
    int n = e->model->width;
    const float *rows = e->x;
    if (norm.weight) {
        for (int r = first; r < e->rows; r++)
            normalise(e->model, e->x + r * e->width, n, norm.weight, norm.bias, e->normed + r * e->width);
        rows = e->normed;
    }
    feed(e, rows + first * e->width, e->width, n, e->rows - first);
}

/* Every token's numbers times a factor go where a block's are recorded, if anybody wants them. */
static void record(const Engine *e, float *to, const float *rows, size_t stride, size_t size, float factor) {
    if (!to) return;
    to += (size_t)e->index * e->rows * size;
    for (int r = 0; r < e->rows; r++)
        for (size_t i = 0; i < size; i++) to[r * size + i] = rows[r * stride + i] * factor;
}

static void add_branch(Engine *e, Norm norm, float *to) {
    const Model *m = e->model;
    for (int r = 0; r < e->rows; r++) {
        float *branch = e->branch + r * e->width, *x = e->x + r * e->width;
        if (norm.weight) normalise(m, branch, m->width, norm.weight, norm.bias, branch);
        for (int i = 0; i < m->width; i++) x[i] += branch[i] * m->residual_scale;
    }
    record(e, to, e->branch, e->width, m->width, m->residual_scale);
}

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

static void rotate(const Engine *e, int row, float *heads, int count) {
    const Model *m = e->model;
    int half = m->rotary_dimensions / 2;
    if (e->layer->rotary < 0) return;
    const float *cosine = e->step->cosines[e->layer->rotary] + (size_t)row * m->rotary_dimensions;
    const float *sine = e->step->sines[e->layer->rotary] + (size_t)row * m->rotary_dimensions;
    for (int h = 0; h < count; h++) {
        float *x = heads + h * m->head_size;
        for (int i = 0; i < half; i++) {
            /* one product each is fused or none: two statements leave the compiler no choice */
            float a = x[i], b = x[i + half], turned_a = a * cosine[i], turned_b = b * cosine[i + half];
            turned_a += b * sine[i];
            turned_b += a * sine[i + half];
            x[i] = turned_a;
            x[i + half] = turned_b;
        }
    }
}

#endif
