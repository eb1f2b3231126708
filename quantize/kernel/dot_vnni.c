/* dot (see dot_scalar.c) for AVX-512 VNNI: vpdpbusd wants one unsigned side, so tiles keep number + 128
   (FLIP), and sums start at -128 times the sum of the vector. */
#include <immintrin.h>

#define FLIP 0x80

static inline __m512i load_four(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

/* As the intrinsic, but the compiler cannot move the sum to other registers and back. */
static inline void add_products(__m512i *sum, __m512i tile, __m512i four) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(tile), "v"(four));
}

static inline __m512i excess(const int8_t *x, int32_t n) {
    __m512i sum = _mm512_setzero_si512(), offset = _mm512_set1_epi8((char)0x80);
    for (; n >= 64; n -= 64, x += 64) add_products(&sum, offset, _mm512_loadu_si512(x));
    if (n > 0) add_products(&sum, offset, _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, x));
    return _mm512_set1_epi32(-_mm512_reduce_add_epi32(sum));
}

/* BLOCKS and COUNT are constants where this is called, so the sums stay in registers. */
static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t block_stride,
                                                           int64_t group_stride, int32_t groups,
                                                           const int8_t *x, int64_t x_stride,
                                                           const __m512i *start, int32_t *out,
                                                           int64_t out_stride, const int blocks,
                                                           const int count) {
    __m512i sums[4][4];
    for (int c = 0; c < count; c++)
        for (int b = 0; b < blocks; b++) sums[c][b] = start[c];
    for (int32_t g = 0; g < groups; g++, tiles += group_stride, x += 4) {
        __m512i tile[4];
        for (int b = 0; b < blocks; b++) tile[b] = _mm512_loadu_si512(tiles + b * block_stride);
        for (int c = 0; c < count; c++) {
            __m512i four = load_four(x + c * x_stride);
            for (int b = 0; b < blocks; b++) add_products(&sums[c][b], tile[b], four);
        }
    }
    for (int c = 0; c < count; c++)
        for (int b = 0; b < blocks; b++)
            _mm512_storeu_si512(out + c * out_stride + b * TILE_ROWS, sums[c][b]);
}

#define DOT_SOME(B, C)                                                                                  \
    dot_some(tiles, block_stride, group_stride, groups, x + c * x_stride, x_stride, start + c,          \
             out + c * out_stride, out_stride, B, C)

static void dot(const uint8_t *tiles, int64_t block_stride, int64_t group_stride, int32_t blocks,
                int32_t groups, const int8_t *x, int64_t x_stride, int32_t count, int32_t *out,
                int64_t out_stride) {
    __m512i start[2 * GROUP];
    for (int32_t c = 0; c < count; c++) start[c] = excess(x + c * x_stride, 4 * groups);
    for (int taken; blocks > 0; blocks -= taken, tiles += taken * block_stride, out += taken * TILE_ROWS) {
        taken = blocks >= 4 ? 4 : blocks >= 2 ? 2 : 1;
        for (int32_t c = 0, together; c < count; c += together) {
            together = count - c >= 4 ? 4 : count - c >= 2 ? 2 : 1;
            switch (10 * taken + together) {
            case 44: DOT_SOME(4, 4); break;
            case 42: DOT_SOME(4, 2); break;
            case 41: DOT_SOME(4, 1); break;
            case 24: DOT_SOME(2, 4); break;
            case 22: DOT_SOME(2, 2); break;
            case 21: DOT_SOME(2, 1); break;
            case 14: DOT_SOME(1, 4); break;
            case 12: DOT_SOME(1, 2); break;
            default: DOT_SOME(1, 1);
            }
        }
    }
}
