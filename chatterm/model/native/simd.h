/* Sixteen floats at a time, in the compiler's own vector types: AVX-512 where there is one, halves or quarters of it
 * elsewhere. Only what the compiler does badly by itself is written with intrinsics. */
#ifndef CHATTERM_SIMD_H
#define CHATTERM_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES 16

typedef float f32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));

static inline f32x16 splat(float x) { return (f32x16){0} + x; }

static inline f32x16 load_f32(const void *p) {
    f32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline u32x16 load_u32(const void *p) {
    u32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_f32(float *p, f32x16 v) { memcpy(p, &v, sizeof v); }

static inline f32x16 load_i8(const void *p) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#else
    i8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, i32x16), f32x16);
#endif
}

static inline f32x16 load_u8(const void *p) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
#else
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, i32x16), f32x16);
#endif
}

static inline f32x16 load_bf16(const void *p) {
    u16x16 v;
    memcpy(&v, p, sizeof v);
    return (f32x16)(__builtin_convertvector(v, u32x16) << 16);
}

static inline f32x16 load_f16(const void *p) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#else
    /* Exponent and mantissa moved into place and rescaled by 2^112, which is exact for subnormals too. */
    u16x16 v;
    memcpy(&v, p, sizeof v);
    u32x16 wide = __builtin_convertvector(v, u32x16);
    f32x16 magnitude = (f32x16)((wide & 0x7fff) << 13) * 0x1p112f;
    return (f32x16)((u32x16)magnitude | ((wide & 0x8000) << 16));
#endif
}

static inline float sum16(f32x16 v) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
#endif
}

/* a where the mask is set, b elsewhere. */
static inline f32x16 choose(i32x16 mask, f32x16 a, f32x16 b) {
    return (f32x16)(((i32x16)a & mask) | ((i32x16)b & ~mask));
}

/* e^x to about 1 unit in the last place: Cephes' expf, the range reduced by ln 2 in two parts. */
static inline f32x16 exp16(f32x16 x) {
    const f32x16 low = splat(-87.3f), high = splat(88.7f);
    x = choose(x < low, low, x);
    x = choose(x > high, high, x);
    f32x16 scaled = x * 1.44269504088896341f;
    i32x16 n = __builtin_convertvector(scaled + choose(scaled < 0, splat(-0.5f), splat(0.5f)), i32x16);
    f32x16 whole = __builtin_convertvector(n, f32x16);
    x = x - whole * 0.693359375f;
    x = x + whole * 2.12194440e-4f;
    f32x16 y = splat(1.9875691500e-4f);
    y = y * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * (x * x) + x + 1.0f;
    return y * (f32x16)((n + 127) << 23);
}

#endif
