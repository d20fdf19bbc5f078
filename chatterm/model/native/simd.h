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
typedef int16_t i16x16 __attribute__((vector_size(32)));
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
#elif defined(__AVX2__)
    const __m128i *eight = p;
    __m256 halves[2] = {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(eight))),
                        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)((const char *)p + 8))))};
    return load_f32(halves);
#else
    i8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, i32x16), f32x16);
#endif
}

static inline f32x16 load_u8(const void *p) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif defined(__AVX2__)
    const __m128i *eight = p;
    __m256 halves[2] = {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(eight))),
                        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)((const char *)p + 8))))};
    return load_f32(halves);
#else
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, i32x16), f32x16);
#endif
}

static inline f32x16 load_i16(const void *p) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)));
#else
    i16x16 v;
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
#elif defined(__F16C__)
    __m256 halves[2] = {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                        _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1))};
    return load_f32(halves);
#else
    /* Exponent and mantissa moved into place and rescaled by 2^112, which is exact for subnormals too. */
    u16x16 v;
    memcpy(&v, p, sizeof v);
    u32x16 wide = __builtin_convertvector(v, u32x16);
    f32x16 magnitude = (f32x16)((wide & 0x7fff) << 13) * 0x1p112f;
    return (f32x16)((u32x16)magnitude | ((wide & 0x8000) << 16));
#endif
}

/* a where the mask is set, b elsewhere. */
static inline f32x16 choose(i32x16 mask, f32x16 a, f32x16 b) {
    return (f32x16)(((i32x16)a & mask) | ((i32x16)b & ~mask));
}

static inline f32x16 magnitude(f32x16 x) { return (f32x16)((u32x16)x & 0x7fffffff); }

/* Rounded to the nearest whole number and the even one, for magnitudes below 2^15. */
static inline void store_i16(void *p, f32x16 x) {
    /* from 1.5 · 2^23 on, floats are the whole numbers, and their bits count with them */
    i32x16 whole = (i32x16)(x + 0x1.8p23f) - 0x4b400000;
    i16x16 v = __builtin_convertvector(whole, i16x16);
    memcpy(p, &v, sizeof v);
}

/* The sum over the lanes, always in the same order. */
static inline float sum16(f32x16 v) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float at[LANES];
    memcpy(at, &v, sizeof v);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) at[i] += at[i + width];
    return at[0];
#endif
}

/* The lane sums of four vectors; each is summed in the same order. */
static inline void sum16_four(const f32x16 v[4], float *out) {
#if defined(__AVX512F__)
    __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512 low = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    __m512 high = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    __m512 all = _mm512_add_ps(low, high); /* a, b, c, d in each quarter */
    __m128 first = _mm_add_ps(_mm512_extractf32x4_ps(all, 0), _mm512_extractf32x4_ps(all, 1));
    __m128 second = _mm_add_ps(_mm512_extractf32x4_ps(all, 2), _mm512_extractf32x4_ps(all, 3));
    _mm_storeu_ps(out, _mm_add_ps(first, second));
#else
    for (int i = 0; i < 4; i++) out[i] = sum16(v[i]);
#endif
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
