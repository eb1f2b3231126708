/* dot (see dot_scalar.c) for every arm64: two products of 127 * 127 fit int16, then pairs go to int32. */
#include <arm_neon.h>

#define FLIP 0

static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t group_stride, int32_t groups,
                                                           const int8_t *x, int64_t x_stride, int32_t *out,
                                                           int64_t out_stride, const int count) {
    int32x4_t sums[2][8]; /* each row's sum in two halves */
    for (int c = 0; c < count; c++)
        for (int r = 0; r < 8; r++) sums[c][r] = vdupq_n_s32(0);
    for (int32_t g = 0; g < groups; g += 2) {
        const int8_t *tile = (const int8_t *)tiles + g * group_stride;
        for (int c = 0; c < count; c++) {
            int32_t four[2];
            memcpy(four, x + c * x_stride + 4 * g, 8);
            int8x8_t first = vreinterpret_s8_s32(vdup_n_s32(four[0]));
            int8x8_t second = vreinterpret_s8_s32(vdup_n_s32(four[1]));
            for (int r = 0; r < 8; r++) {
                int16x8_t products = vmull_s8(vld1_s8(tile + 8 * r), first);
                products = vmlal_s8(products, vld1_s8(tile + group_stride + 8 * r), second);
                sums[c][r] = vpadalq_s16(sums[c][r], products);
            }
        }
    }
    for (int c = 0; c < count; c++)
        for (int r = 0; r < 4; r++)
            vst1q_s32(out + c * out_stride + 4 * r, vpaddq_s32(sums[c][2 * r], sums[c][2 * r + 1]));
}

static void dot(const uint8_t *tiles, int64_t block_stride, int64_t group_stride, int32_t blocks,
                int32_t groups, const int8_t *x, int64_t x_stride, int32_t count, int32_t *out,
                int64_t out_stride) {
    for (int32_t b = 0; b < blocks; b++, tiles += block_stride, out += TILE_ROWS) {
        int32_t c = 0;
        for (; c + 2 <= count; c += 2)
            dot_some(tiles, group_stride, groups, x + c * x_stride, x_stride, out + c * out_stride, out_stride, 2);
        if (c < count) dot_some(tiles, group_stride, groups, x + c * x_stride, 0, out + c * out_stride, 0, 1);
    }
}
