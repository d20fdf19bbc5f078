/* Vectors as wide as the processor's registers, for products of many tokens: 16 numbers with AVX-512, 8 with AVX2.
 *
 * What these products need and compilers do not find by themselves is one instruction: pairs of 16-bit numbers multiplied and
 * added to 32-bit sums (vpdpwssd; where there is none, vpmaddwd and an addition). */
#ifndef CHATTERM_WIDE_H
#define CHATTERM_WIDE_H

#include "../native/simd.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
#define HAVE_PAIRS 1
enum { WIDTH = 16, MOST_TOKENS = 12 }; /* numbers in a vector; tokens in one block of registers: 24 sums in all */
#elif defined(__AVX2__) && defined(__FMA__)
#define HAVE_PAIRS 1
enum { WIDTH = 8, MOST_TOKENS = 6 };
#endif

#if defined(HAVE_PAIRS)

typedef float Floats __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Ints __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t Bits __attribute__((vector_size(4 * WIDTH)));
typedef int16_t Pairs __attribute__((vector_size(4 * WIDTH))); /* two numbers of 16 bits in each lane */

static inline Floats load_floats(const float *p) {
    Floats v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline Ints load_ints(const void *p) {
    Ints v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline Bits load_bits(const void *p) {
    Bits v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_floats(float *p, Floats v) { memcpy(p, &v, sizeof v); }

static inline Floats all_floats(float x) {
#if defined(__AVX512F__)
    return (Floats)_mm512_set1_ps(x);
#else
    return (Floats)_mm256_set1_ps(x);
#endif
}

/* sum + a.low · b.low + a.high · b.high, in each 32-bit lane. */
static inline Ints add_pairs(Ints sum, Ints a, Ints b) {
#if defined(__AVX512VNNI__) && defined(__AVX512F__)
    return (Ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512F__)
    return sum + (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__)
    return (Ints)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
#else
    return sum + (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#endif
}

static inline Floats to_floats(Ints v) {
    return __builtin_convertvector(v, Floats);
}

#endif
#endif
