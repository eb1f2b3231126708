/* dot (see dot_scalar.c) for AVX-512 VNNI: vpdpbusd wants one unsigned side, so tiles keep number + 128
   (FLIP), and 128 times the sum of the vector is taken off at the end. */
#include <immintrin.h>

#define FLIP 0x80

static inline __m512i load_four(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

static inline __m512i excess(const int8_t *x, int32_t n) {
    __m512i sum = _mm512_setzero_si512(), offset = _mm512_set1_epi8((char)0x80);
    for (; n >= 64; n -= 64, x += 64) sum = _mm512_dpbusd_epi32(sum, offset, _mm512_loadu_si512(x));
    if (n > 0)
        sum = _mm512_dpbusd_epi32(sum, offset, _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, x));
    return _mm512_set1_epi32(_mm512_reduce_add_epi32(sum));
}

static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t block_stride,
                                                           int32_t groups, const int8_t *x, int64_t x_stride,
                                                           int32_t *out, int64_t out_stride, const int blocks,
                                                           const int count) {
    __m512i sums[16];
    for (int i = 0; i < blocks * count; i++) sums[i] = _mm512_setzero_si512();
    for (int32_t g = 0; g < groups; g++) {
        __m512i tile[4];
        for (int b = 0; b < blocks; b++)
            tile[b] = _mm512_loadu_si512(tiles + b * block_stride + (int64_t)g * TILE_BYTES);
        for (int c = 0; c < count; c++) {
            __m512i four = load_four(x + c * x_stride + 4 * g);
            for (int b = 0; b < blocks; b++)
                sums[b * count + c] = _mm512_dpbusd_epi32(sums[b * count + c], tile[b], four);
        }
    }
    for (int c = 0; c < count; c++) {
        __m512i over = excess(x + c * x_stride, 4 * groups);
        for (int b = 0; b < blocks; b++)
            _mm512_storeu_si512(out + c * out_stride + b * TILE_ROWS,
                                _mm512_sub_epi32(sums[b * count + c], over));
    }
}

#define DOT_SOME(B, C) dot_some(tiles, block_stride, groups, x + c * x_stride, x_stride, \
                                out + c * out_stride, out_stride, B, C)

static void dot(const uint8_t *tiles, int64_t block_stride, int32_t blocks, int32_t groups, const int8_t *x,
                int64_t x_stride, int32_t count, int32_t *out, int64_t out_stride) {
    while (blocks > 0) {
        int taken = blocks >= 4 ? 4 : blocks >= 2 ? 2 : 1;
        for (int32_t c = 0; c < count;) {
            if (count - c >= 4) {
                if (taken == 4) DOT_SOME(4, 4);
                else if (taken == 2) DOT_SOME(2, 4);
                else DOT_SOME(1, 4);
                c += 4;
            } else if (count - c >= 2) {
                if (taken == 4) DOT_SOME(4, 2);
                else if (taken == 2) DOT_SOME(2, 2);
                else DOT_SOME(1, 2);
                c += 2;
            } else {
                if (taken == 4) DOT_SOME(4, 1);
                else if (taken == 2) DOT_SOME(2, 1);
                else DOT_SOME(1, 1);
                c += 1;
            }
        }
        blocks -= taken;
        tiles += taken * block_stride;
        out += taken * TILE_ROWS;
    }
}
