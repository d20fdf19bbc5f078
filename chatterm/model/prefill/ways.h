/* Which way each product goes: through the matrix unit of processors that have one, by pairs of 16-bit numbers elsewhere. */
#ifndef CHATTERM_WAYS_H
#define CHATTERM_WAYS_H

#include "unit.h"
#include "whole.h"

typedef struct {
    int count, pieces_before[MOST_MATRICES + 1];
    Whole whole[MOST_MATRICES];
#if defined(HAVE_UNIT)
    int by_unit[MOST_MATRICES];
    Product product[MOST_MATRICES];
#endif
} Products;

static void any_piece(void *context, int piece) {
    const Products *p = context;
    int i = 0;
    while (piece >= p->pieces_before[i + 1]) i++;
    piece -= p->pieces_before[i];
#if defined(HAVE_UNIT)
    if (p->by_unit[i]) {
        product_piece(&p->product[i], piece);
        return;
    }
#endif
    whole_piece(&p->whole[i], piece);
}

/* Strips in one piece: few enough that every thread gets some. */
static int strips_for(const Matrix *m, int threads) {
    int strips = strips_of(m) / (4 * threads);
    return strips < 1 ? 1 : strips > MOST_STRIPS ? MOST_STRIPS : strips;
}

static void multiply_all(
    Pool *pool, const Matrix *const *matrices, int count, const float *x, size_t x_stride, int tokens, int unit, int plain, char *operands,
    float *y, size_t stride) {
    Tokens kept;
    int columns = matrices[0]->columns;
    char *for_unit = operands + arrange(&kept, tokens, columns, operands);
    Products p = {.count = count};
    Rounding r = {.x = x, .stride = x_stride, .rows = tokens, .to = kept};
    int split = 0;
    for (int i = 0; i < count; i++) {
        const Matrix *m = matrices[i];
        int pieces;
#if defined(HAVE_UNIT)
        p.by_unit[i] = unit && unit_multiplies(m, plain ? UNIT_PAYS : tokens);
        if (p.by_unit[i]) {
            p.product[i] = unit_product(m, (const uint16_t *)for_unit, tokens, y, stride, pool->threads);
            pieces = unit_pieces(&p.product[i]);
            split = 1;
        } else
#endif
        {
            p.whole[i] = (Whole){m, y, stride, tokens, strips_for(m, pool->threads), plain || is_plain(m->kind), NULL};
            pieces = (strips_of(m) + p.whole[i].strips - 1) / p.whole[i].strips;
            if (p.whole[i].plain) r.plain = 1;
            else r.rounded = 1;
            r.most = largest(m->kind) > r.most ? largest(m->kind) : r.most;
        }
        p.pieces_before[i + 1] = p.pieces_before[i] + pieces;
        y += m->rows;
    }
    for (int i = 0; i < count; i++) p.whole[i].x = &kept;
    if (r.plain || r.rounded) share(pool, round_piece, &r, kept.tokens / 2);
#if defined(HAVE_UNIT)
    if (split) unit_split(pool, x, x_stride, tokens, columns, (uint16_t *)for_unit);
#endif
    (void)split, (void)unit, (void)for_unit;
    share(pool, any_piece, &p, p.pieces_before[count]);
}

#endif
