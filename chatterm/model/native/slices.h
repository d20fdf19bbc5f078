/* Products with few vectors in whole numbers, as exact as float32 and with a third of the instructions.
 *
 * 32 numbers of a vector are rounded to 24 bits with one scale (float32 has 24 bits itself) and cut into three slices of 8
 * bits with signs: n = 2^16 high + 2^8 middle + low. vpdpbusd multiplies four columns of a row at once, weights without a sign by
 * slices with one, and adds in 32 bits, which never overflow: 32 · 255 · 128. Weights with a sign are shifted to have
 * none; what that adds is taken off before. Sums of whole numbers have no order, so a result is the same to the last bit
 * however many vectors are under way. */
#ifndef CHATTERM_SLICES_H
#define CHATTERM_SLICES_H

#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define HAVE_SLICES 1

/* Words of 32 bits of a group of 32 numbers: each slice, the four columns of a word as the nibbles of tiles have them; each
 * slice, columns as they come; for each slice the sums over 16 columns, two of them; the scale. */
enum { BY_NIBBLES = 0, BY_BYTES = 24, SLICE_SUMS = 48, SLICE_SCALE = 54, SLICE_WORDS = 56 };

/* The largest is 127 · 65536 + 127 · 256 + 127; a few less leave room for the rounding of the factor. */
static const float MOST_SLICED = 127 * 65536 + 127 * 256 + 100;

/* The lowest eight bits with their sign, taken off: what is left is a multiple of 256 and loses those bits. */
static inline __m512i take_slice(__m512i *n) {
    __m512i slice = _mm512_srai_epi32(_mm512_slli_epi32(*n, 24), 24);
    *n = _mm512_srai_epi32(_mm512_sub_epi32(*n, slice), 8);
    return slice;
}

/* One group of one vector of R, whose words stand side by side. */
static void slice_group(const float *x, int R, int32_t *to) {
    const __m256i by_nibbles = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
    __m512 most = _mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b));
    /* a maximum hides what is not a number, a sum does not */
    float top = _mm512_reduce_max_ps(most), all = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
    float scale = top / MOST_SLICED, factor = MOST_SLICED / top;
    if (!(top > 1e-30f)) scale = factor = 0;
    if (!(all <= 3.4e38f)) scale = NAN, factor = 0;
    __m512i na = _mm512_cvtps_epi32(_mm512_mul_ps(a, _mm512_set1_ps(factor)));
    __m512i nb = _mm512_cvtps_epi32(_mm512_mul_ps(b, _mm512_set1_ps(factor)));
    for (int slice = 2; slice >= 0; slice--) {
        int32_t words[8];
        __m256i bytes = _mm256_castsi128_si256(_mm512_cvtepi32_epi8(take_slice(&na)));
        bytes = _mm256_inserti128_si256(bytes, _mm512_cvtepi32_epi8(take_slice(&nb)), 1);
        _mm256_storeu_si256((__m256i *)words, bytes);
        for (int i = 0; i < 8; i++) to[(BY_BYTES + 8 * slice + i) * R] = words[i];
        _mm256_storeu_si256((__m256i *)words, _mm256_shuffle_epi8(bytes, by_nibbles));
        for (int i = 0; i < 8; i++) to[(BY_NIBBLES + 8 * slice + i) * R] = words[i];
        int64_t sums[4];
        __m256i shifted = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
        _mm256_storeu_si256((__m256i *)sums, _mm256_sad_epu8(shifted, _mm256_setzero_si256()));
        to[(SLICE_SUMS + 2 * slice) * R] = (int32_t)(sums[0] + sums[1]) - 16 * 128;
        to[(SLICE_SUMS + 2 * slice + 1) * R] = (int32_t)(sums[2] + sums[3]) - 16 * 128;
    }
    memcpy(&to[SLICE_SCALE * R], &scale, sizeof scale);
}

typedef struct {
    __m512i part[VECTORS][3];
} SliceSums;

/* Four columns of 16 rows times word `word` of every slice. */
ALWAYS void add_columns(__m512i w, const int32_t *x, int word, int R, SliceSums *sums) {
#pragma GCC unroll 3
    for (int slice = 0; slice < 3; slice++)
        EACH_VECTOR sums->part[r][slice] =
            _mm512_dpbusd_epi32(sums->part[r][slice], w, _mm512_set1_epi32(x[(8 * slice + word) * R + r]));
}

ALWAYS void join_slices(const int32_t *x, int R, const SliceSums *sums, f32x16 *dot) {
    EACH_VECTOR {
        float scale;
        memcpy(&scale, &x[SLICE_SCALE * R + r], sizeof scale);
        __m512i rest = _mm512_add_epi32(_mm512_slli_epi32(sums->part[r][1], 8), sums->part[r][2]);
        f32x16 n = (f32x16)_mm512_cvtepi32_ps(rest);
        n += (f32x16)_mm512_cvtepi32_ps(sums->part[r][0]) * 65536.0f;
        dot[r] = n * scale;
    }
}

/* For the words of columns 8c + `odd`, 8c + `odd` + 2 …: where in a row's fifth bits those of these columns begin, so that
 * each comes to bit 4 of its byte. */
ALWAYS __m512i fifth_bits(__m512i high, int c, int odd) {
    uint64_t row = 0;
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) row |= (uint64_t)((8 * c + odd + 2 * j - 4) & 63) << (8 * j);
    uint64_t both = row | (row + 0x20202020) << 32;
    both = (both & 0x3f3f3f3f3f3f3f3full);
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)both), high), _mm512_set1_epi8(16));
}

/* Σ q·x over 32 columns of nibbles, with fifth bits after them if `five`. */
ALWAYS void dot_sliced_nibbles(const uint8_t *q, int five, const int32_t *x, int R, f32x16 *dot) {
    SliceSums sums;
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i high = five ? _mm512_loadu_si512(q + 256) : nibble;
    EACH_VECTOR sums.part[r][0] = sums.part[r][1] = sums.part[r][2] = _mm512_setzero_si512();
    if (five) PREFETCH_LINE(q + 256);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        PREFETCH_LINE(q + 64 * c);
        __m512i v = _mm512_loadu_si512(q + 64 * c);
        __m512i even = _mm512_and_si512(v, nibble), odd = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
        if (five) even = _mm512_or_si512(even, fifth_bits(high, c, 0)), odd = _mm512_or_si512(odd, fifth_bits(high, c, 1));
        add_columns(even, x + BY_NIBBLES * R, 2 * c, R, &sums);
        add_columns(odd, x + BY_NIBBLES * R, 2 * c + 1, R, &sums);
    }
    join_slices(x, R, &sums, dot);
}

/* Σ q·x over columns 16 · `first` … 16 · `stop` - 1 of a group, of bytes with a sign that `offset` lifts above zero. */
ALWAYS void dot_sliced_bytes(const uint8_t *q, int first, int stop, int offset, const int32_t *x, int R, f32x16 *dot) {
    /* four columns of 16 rows → four bytes of each row */
    const __m512i row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i turn = _mm512_add_epi8(
        _mm512_mullo_epi32(row, _mm512_set1_epi32(0x01010101)), _mm512_set1_epi32(0x30201000));
    SliceSums sums;
    EACH_VECTOR {
#pragma GCC unroll 3
        for (int slice = 0; slice < 3; slice++) {
            int32_t sum = 0;
            for (int half = first; half < stop; half++) sum += x[(SLICE_SUMS + 2 * slice + half) * R + r];
            sums.part[r][slice] = _mm512_set1_epi32(-offset * sum);
        }
    }
#pragma GCC unroll 8
    for (int word = 4 * first; word < 4 * stop; word++, q += 64) {
        PREFETCH_LINE(q);
        __m512i w = _mm512_add_epi8(_mm512_loadu_si512(q), _mm512_set1_epi8((char)offset));
        add_columns(_mm512_permutexvar_epi8(turn, w), x + BY_BYTES * R, word, R, &sums);
    }
    join_slices(x, R, &sums, dot);
}

#endif
#endif
