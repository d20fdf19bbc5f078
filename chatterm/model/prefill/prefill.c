/* Reading many tokens at once: products with the matrix unit, attention, and what stands between them.
 *
 * All work is shared out by the pool of the native operator, piece by piece, so that a busy machine slows it down and nothing
 * worse. Everything is float32 outside the matrix unit. */
#define _GNU_SOURCE
#include <unistd.h>
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

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512F__) && defined(__linux__)
#include <sys/syscall.h>
#include "attention.h"

/* Ask the system once for the use of the unit. */
EXPORT int chatterm_prefill_possible(void) {
    const int request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* y = x Wᵀ + b, or y += x Wᵀ if `add`. x comes from chatterm_prefill_split; the matrix has a whole number of pairs of
 * tiles, y a whole number of pairs of blocks of 16 tokens. */
EXPORT void chatterm_prefill_product(
    Pool *pool, const Matrix *matrix, const uint16_t *x, int row_blocks, int parts, float *y, size_t stride, int add) {
    int tiles = tiles_of(matrix), grain = tiles >= 16 * pool->threads ? MOST_TILES : 2;
    Product product = {matrix, x, y, stride, row_blocks, (matrix->columns + STEP - 1) / STEP, parts, grain, add};
    share(pool, product_piece, &product, (tiles + grain - 1) / grain);
}

/* (rows, columns) of float32, `stride` apart → the form of Product.x; rows and columns that are not there become zeros. */
EXPORT void chatterm_prefill_split(
    Pool *pool, const float *x, size_t stride, int rows, int columns, int row_blocks, int parts, uint16_t *out) {
    Splitting splitting = {x, stride, rows, columns, (columns + STEP - 1) / STEP, parts, out};
    share(pool, split_piece, &splitting, row_blocks);
}

/* Numbers of 16 bits that chatterm_prefill_attention needs in `operands`. */
EXPORT size_t chatterm_prefill_attention_memory(int kv_heads, int head_size, int seen, int narrow) {
    int parts = narrow ? NARROW_PARTS : FLOAT_PARTS;
    Attending a = {.kv_heads = kv_heads, .head_size = head_size, .seen = seen};
    return (size_t)kv_heads * (operand_size(&a, parts) + operand_size(&a, PARTS));
}

/* The largest head that attention serves. */
EXPORT int chatterm_prefill_most_depth(void) { return MOST_DEPTH; }

EXPORT void chatterm_prefill_attention(
    Pool *pool, const float *queries, size_t query_stride, const void *keys, const void *values, size_t kv_stride,
    const float *key_scales, const float *value_scales, size_t scale_stride,
    int tokens, int heads, int kv_heads, int head_size, int seen, int first, int window, float scale, float soft_cap,
    uint16_t *operands, float *out) {
    int parts = key_scales ? NARROW_PARTS : FLOAT_PARTS;
    Attending a = {
        .queries = queries, .keys = keys, .values = values, .out = out, .key_operands = operands, .query_stride = query_stride,
        .kv_stride = kv_stride, .tokens = tokens, .heads = heads, .kv_heads = kv_heads, .head_size = head_size, .seen = seen,
        .first = first, .window = window, .parts = parts, .key_scales = key_scales, .value_scales = value_scales,
        .scale_stride = scale_stride, .scale = scale, .soft_cap = soft_cap,
    };
    a.value_operands = operands + (size_t)kv_heads * operand_size(&a, parts);
    share(pool, operand_piece, &a, kv_heads * key_steps(&a));
    share(pool, attention_piece, &a, (tokens + QUERIES - 1) / QUERIES * heads);
}

#else

EXPORT int chatterm_prefill_possible(void) { return 0; }

#endif
