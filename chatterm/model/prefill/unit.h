/* The matrix unit's way of products and attention, where the processor this is compiled for has one. */
#ifndef CHATTERM_UNIT_H
#define CHATTERM_UNIT_H

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512F__) && defined(__linux__)
#define HAVE_UNIT 1
#include <sys/syscall.h>
#include <unistd.h>
#include "attention.h"
#include "unpack.h"

/* Ask the system for the use of the unit. */
static int unit_granted(void) {
    const int request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* Blocks of 16 tokens, a whole number of pairs of them. */
static inline int row_blocks_of(int tokens) { return (tokens + 31) / 32 * 2; }

static inline int column_blocks_of(int columns) { return (columns + STEP - 1) / STEP; }

static inline size_t unit_bytes(int tokens, int columns) {
    return sizeof(uint16_t) * row_blocks_of(tokens) * column_blocks_of(columns) * PARTS * BLOCK;
}

/* Tokens from which the unit multiplies quantised weights faster than pairs do; for fewer, unpacking them to two bfloat16 numbers
 * takes too long (docs/performance.md). */
enum { UNIT_PAYS = 96 };

static inline int unit_multiplies(const Matrix *m, int tokens) {
    return m->rows % 32 == 0 && (m->kind <= BF16 || tokens >= UNIT_PAYS);
}

static int unit_pieces(const Product *p) { return (tiles_of(p->matrix) + p->grain - 1) / p->grain; }

static Product unit_product(const Matrix *m, const uint16_t *x, int tokens, float *y, size_t stride, int threads) {
    int grain = tiles_of(m) >= 16 * threads ? MOST_TILES : 2;
    return (Product){m, x, y, stride, row_blocks_of(tokens), column_blocks_of(m->columns), PARTS, grain};
}

static void unit_split(Pool *pool, const float *x, size_t stride, int rows, int columns, uint16_t *out) {
    Splitting splitting = {x, stride, rows, columns, column_blocks_of(columns), PARTS, out};
    share(pool, split_piece, &splitting, row_blocks_of(rows));
}

static inline int unit_attends(const Attending *a) { return a->head_size <= MOST_DEPTH; }

static inline int unit_parts(int narrow) { return narrow ? NARROW_PARTS : FLOAT_PARTS; }

static inline size_t unit_attention_memory(const Attending *a, int narrow) {
    return (size_t)a->kv_heads * (operand_size(a, unit_parts(narrow)) + operand_size(a, PARTS));
}

static void unit_attention(Pool *pool, Attending *a) {
    a->parts = unit_parts(a->key_scales != NULL);
    a->value_operands = a->key_operands + (size_t)a->kv_heads * operand_size(a, a->parts);
    share(pool, operand_piece, a, a->kv_heads * key_steps(a));
    share(pool, attention_piece, a, (a->tokens + QUERIES - 1) / QUERIES * a->heads);
}

#endif
#endif
