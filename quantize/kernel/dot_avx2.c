/* dot (see dot_scalar.c) for AVX2: vpmaddubsw wants one unsigned side, so the vector's signs go to the
   matrix. Pairs reach 2 * 127 * 127 at most, which int16 holds. */
#include <immintrin.h>

#define FLIP 0

static inline __m256i load_four(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}

static inline __m256i add_products(__m256i sum, __m256i tile, __m256i x, __m256i x_size) {
    __m256i pairs = _mm256_maddubs_epi16(x_size, _mm256_sign_epi8(tile, x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* BLOCKS and COUNT are constants where this is called, so the sums stay in registers. */
static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t block_stride,
                                                           int32_t groups, const int8_t *x, int64_t x_stride,
                                                           int32_t *out, int64_t out_stride, const int blocks,
                                                           const int count) {
    __m256i sums[4][2];
    for (int i = 0; i < blocks * count; i++) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
    for (int32_t g = 0; g < groups; g++)
        for (int c = 0; c < count; c++) {
            __m256i four = load_four(x + c * x_stride + 4 * g), size = _mm256_abs_epi8(four);
            for (int b = 0; b < blocks; b++) {
                const __m256i *tile = (const __m256i *)(tiles + b * block_stride + (int64_t)g * TILE_BYTES);
                __m256i *sum = sums[b * count + c];
                sum[0] = add_products(sum[0], _mm256_loadu_si256(tile), four, size);
                sum[1] = add_products(sum[1], _mm256_loadu_si256(tile + 1), four, size);
            }
        }
    for (int b = 0; b < blocks; b++)
        for (int c = 0; c < count; c++) {
            __m256i *to = (__m256i *)(out + c * out_stride + b * TILE_ROWS);
            _mm256_storeu_si256(to, sums[b * count + c][0]);
            _mm256_storeu_si256(to + 1, sums[b * count + c][1]);
        }
}

static void dot(const uint8_t *tiles, int64_t block_stride, int32_t blocks, int32_t groups, const int8_t *x,
                int64_t x_stride, int32_t count, int32_t *out, int64_t out_stride) {
    for (; blocks > 0; blocks -= 2, tiles += 2 * block_stride, out += 2 * TILE_ROWS) {
        int32_t c = 0;
        if (blocks == 1) {
            for (; c < count; c++)
                dot_some(tiles, 0, groups, x + c * x_stride, 0, out + c * out_stride, 0, 1, 1);
            return;
        }
        for (; c + 2 <= count; c += 2)
            dot_some(tiles, block_stride, groups, x + c * x_stride, x_stride, out + c * out_stride,
                     out_stride, 2, 2);
        if (c < count)
            dot_some(tiles, block_stride, groups, x + c * x_stride, 0, out + c * out_stride, 0, 2, 1);
    }
}
