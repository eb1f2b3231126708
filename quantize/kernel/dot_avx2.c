/* dot (see dot_scalar.c) for AVX2: vpmaddubsw wants one unsigned side, so the vector's signs go to the
   matrix (a vector without negative numbers has none). Pairs reach 2 * 127 * 127 at most: int16 holds that. */
#include <immintrin.h>

#define FLIP 0

static inline __m256i load_four(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}

static inline int any_negative(const int8_t *x, int32_t n) {
    uint64_t signs = 0, eight;
    for (int32_t i = 0; i < n; i += 8) {
        memcpy(&eight, x + i, 8);
        signs |= eight;
    }
    return (signs & UINT64_C(0x8080808080808080)) != 0;
}

/* blocks, count and is_signed are constants where this is called, so the sums stay in registers. */
static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t block_stride,
                                                           int64_t group_stride, int32_t groups,
                                                           const int8_t *x, int64_t x_stride, int32_t *out,
                                                           int64_t out_stride, const int blocks,
                                                           const int count, const int is_signed) {
    __m256i sums[2][2][2], ones = _mm256_set1_epi16(1);
    for (int c = 0; c < count; c++)
        for (int b = 0; b < blocks; b++) sums[c][b][0] = sums[c][b][1] = _mm256_setzero_si256();
    for (int32_t g = 0; g < groups; g++, tiles += group_stride, x += 4)
        for (int c = 0; c < count; c++) {
            __m256i four = load_four(x + c * x_stride), size = is_signed ? _mm256_abs_epi8(four) : four;
            for (int b = 0; b < blocks; b++)
                for (int half = 0; half < 2; half++) {
                    __m256i tile = _mm256_loadu_si256((const __m256i *)(tiles + b * block_stride) + half);
                    if (is_signed) tile = _mm256_sign_epi8(tile, four);
                    __m256i pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(size, tile), ones);
                    sums[c][b][half] = _mm256_add_epi32(sums[c][b][half], pairs);
                }
        }
    for (int c = 0; c < count; c++)
        for (int b = 0; b < blocks; b++)
            for (int half = 0; half < 2; half++)
                _mm256_storeu_si256((__m256i *)(out + c * out_stride + b * TILE_ROWS) + half,
                                    sums[c][b][half]);
}

#define DOT_SOME(B, C, SIGNED)                                                                          \
    dot_some(tiles, block_stride, group_stride, groups, x + c * x_stride, x_stride,                     \
             out + c * out_stride, out_stride, B, C, SIGNED)

static void dot(const uint8_t *tiles, int64_t block_stride, int64_t group_stride, int32_t blocks,
                int32_t groups, const int8_t *x, int64_t x_stride, int32_t count, int32_t *out,
                int64_t out_stride) {
    int is_signed = 0;
    for (int32_t c = 0; c < count; c++) is_signed |= any_negative(x + c * x_stride, 4 * groups);
    for (int taken; blocks > 0; blocks -= taken, tiles += taken * block_stride, out += taken * TILE_ROWS) {
        taken = blocks >= 2 ? 2 : 1;
        for (int32_t c = 0, together; c < count; c += together) {
            together = count - c >= 2 ? 2 : 1;
            switch (100 * is_signed + 10 * taken + together) {
            case 122: DOT_SOME(2, 2, 1); break;
            case 121: DOT_SOME(2, 1, 1); break;
            case 112: DOT_SOME(1, 2, 1); break;
            case 111: DOT_SOME(1, 1, 1); break;
            case 22: DOT_SOME(2, 2, 0); break;
            case 21: DOT_SOME(2, 1, 0); break;
            case 12: DOT_SOME(1, 2, 0); break;
            default: DOT_SOME(1, 1, 0);
            }
        }
    }
}
