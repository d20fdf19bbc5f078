/* Reading many tokens at once: products, attention, and what stands between them.
 *
 * All work is shared out by the pool of the native operator, piece by piece, so that a busy machine slows it down and nothing
 * worse. Everything is float32 outside the products. */
#define _GNU_SOURCE
#include "rows.h"

#define EXPORT __attribute__((visibility("default")))

/* Pieces of ROWS tokens. */
static int pieces_of(int tokens) { return (tokens + ROWS - 1) / ROWS; }

EXPORT void chatterm_prefill_norm(
    Pool *pool, const float *x, size_t x_stride, int tokens, int vectors, int width, const float *weight, const float *bias,
    int layer, float eps, float *y, size_t y_stride) {
    Norming n = {x, weight, bias, y, x_stride, y_stride, tokens, vectors, width, layer, eps};
    share(pool, norm_piece, &n, pieces_of(tokens));
}

EXPORT void chatterm_prefill_gate(
    Pool *pool, const float *x, size_t stride, int tokens, int width, int activation, int gated, float *y) {
    Gating g = {x, y, stride, tokens, width, activation, gated};
    share(pool, gate_piece, &g, pieces_of(tokens));
}

EXPORT void chatterm_prefill_turn(
    Pool *pool, float *x, size_t stride, int tokens, int heads, int head_size, const float *cosines, const float *sines,
    int dimensions) {
    Turning t = {x, cosines, sines, stride, tokens, heads, head_size, dimensions};
    share(pool, turn_piece, &t, pieces_of(tokens));
}

EXPORT void chatterm_prefill_add(
    Pool *pool, float *x, const float *y, size_t y_stride, int tokens, int width, float scale) {
    Adding a = {x, y, y_stride, tokens, width, scale};
    share(pool, add_piece, &a, pieces_of(tokens));
}

#include "wide.h"
#if defined(HAVE_PAIRS)
#include "attention_lanes.h"
#include "ways.h"

/* How many tokens are multiplied at once: 0 not at all, 1 by pairs of 16-bit numbers, 2 by the matrix unit too. */
EXPORT int chatterm_prefill_way(void) {
#if defined(HAVE_UNIT)
    if (unit_granted()) return 2;
#endif
    return 1;
}

/* Bytes that chatterm_prefill_product needs for its operands. */
EXPORT size_t chatterm_prefill_operand_bytes(int tokens, int columns) {
    Tokens t;
    size_t bytes = arrange(&t, tokens, columns, NULL);
#if defined(HAVE_UNIT)
    bytes += unit_bytes(tokens, columns);
#endif
    return bytes;
}

/* y = x Wᵀ + b for some matrices over the same columns, whose results stand side by side. y has room for a multiple of 32
 * tokens. `unit`: through the matrix unit where the rows allow it. `plain`: never in whole numbers. */
EXPORT void chatterm_prefill_product(
    Pool *pool, const Matrix *const *matrices, int count, const float *x, size_t x_stride, int tokens, int unit, int plain,
    void *operands, float *y, size_t stride) {
    multiply_all(pool, matrices, count, x, x_stride, tokens, unit, plain, operands, y, stride);
}

/* The largest head that attention serves. */
EXPORT int chatterm_prefill_most_depth(void) { return SPAN; }

/* Numbers of 16 bits that chatterm_prefill_attention needs in `operands`. */
EXPORT size_t chatterm_prefill_attention_memory(int kv_heads, int head_size, int seen, int narrow, int unit) {
#if defined(HAVE_UNIT)
    Attending a = {.kv_heads = kv_heads, .head_size = head_size, .seen = seen};
    if (unit && unit_attends(&a)) return unit_attention_memory(&a, narrow);
#endif
    return 0;
}

EXPORT void chatterm_prefill_attention(
    Pool *pool, const float *queries, size_t query_stride, const void *keys, const void *values, size_t kv_stride,
    const float *key_scales, const float *value_scales, size_t scale_stride,
    int tokens, int heads, int kv_heads, int head_size, int seen, int first, int window, float scale, float soft_cap,
    int unit, uint16_t *operands, float *out) {
    Attending a = {
        .queries = queries, .keys = keys, .values = values, .out = out, .key_operands = operands, .query_stride = query_stride,
        .kv_stride = kv_stride, .tokens = tokens, .heads = heads, .kv_heads = kv_heads, .head_size = head_size, .seen = seen,
        .first = first, .window = window, .key_scales = key_scales, .value_scales = value_scales,
        .scale_stride = scale_stride, .scale = scale, .soft_cap = soft_cap,
    };
#if defined(HAVE_UNIT)
    if (unit && unit_attends(&a)) {
        unit_attention(pool, &a);
        return;
    }
#endif
    (void)unit;
    share(pool, lanes_piece, &a, attention_pieces(&a));
}

#else

EXPORT int chatterm_prefill_way(void) { return 0; }

#endif
