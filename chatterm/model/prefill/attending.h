/* What attention of many tokens works on, whichever way it is computed. */
#ifndef CHATTERM_ATTENDING_H
#define CHATTERM_ATTENDING_H

#include "../native/simd.h"

typedef struct {
    const float *queries; /* (tokens, heads, head_size), tokens query_stride apart */
    const void *keys, *values; /* (kv_heads, seen, head_size), heads kv_stride apart: float, or narrow */
    const float *key_scales, *value_scales; /* (kv_heads, seen), heads scale_stride apart, of narrow ones: 16-bit integers */
    float *out;           /* (tokens, heads, head_size), contiguous */
    uint16_t *key_operands, *value_operands; /* for the matrix unit */
    size_t query_stride, kv_stride, scale_stride;
    int tokens, heads, kv_heads, head_size, seen, first; /* the first token stands at index `first` of what is seen */
    int window, parts;    /* window 0: all; parts of queries and keys, for the matrix unit */
    float scale, soft_cap; /* soft_cap 0: none */
} Attending;

/* Scores after the family's soft cap: cap · tanh(score / cap). */
static inline f32x16 capped(const Attending *a, f32x16 score) {
    if (a->soft_cap <= 0) return score;
    return a->soft_cap - 2 * a->soft_cap / (exp16(score * (2 / a->soft_cap)) + 1.0f);
}

#endif
