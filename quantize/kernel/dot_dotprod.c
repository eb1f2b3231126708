/* dot (see dot_scalar.c) for arm64 with the dot product instructions: sdot is made for these tiles. */
#include <arm_neon.h>

#define FLIP 0

static inline __attribute__((always_inline)) void dot_some(const uint8_t *tiles, int64_t group_stride, int32_t groups,
                                                           const int8_t *x, int64_t x_stride, int32_t *out,
                                                           int64_t out_stride, const int count) {
    int32x4_t sums[4][4];
    for (int c = 0; c < count; c++)
        for (int r = 0; r < 4; r++) sums[c][r] = vdupq_n_s32(0);
    for (int32_t g = 0; g < groups; g++) {
        const int8_t *tile = (const int8_t *)tiles + g * group_stride;
        int8x16_t rows[4];
        for (int r = 0; r < 4; r++) rows[r] = vld1q_s8(tile + 16 * r);
        for (int c = 0; c < count; c++) {
            int32_t four;
            memcpy(&four, x + c * x_stride + 4 * g, 4);
            int8x16_t column = vreinterpretq_s8_s32(vdupq_n_s32(four));
            for (int r = 0; r < 4; r++) sums[c][r] = vdotq_s32(sums[c][r], rows[r], column);
        }
    }
    for (int c = 0; c < count; c++)
        for (int r = 0; r < 4; r++) vst1q_s32(out + c * out_stride + 4 * r, sums[c][r]);
}

static void dot(const uint8_t *tiles, int64_t block_stride, int64_t group_stride, int32_t blocks,
                int32_t groups, const int8_t *x, int64_t x_stride, int32_t count, int32_t *out,
                int64_t out_stride) {
    for (int32_t b = 0; b < blocks; b++, tiles += block_stride, out += TILE_ROWS) {
        int32_t c = 0;
        for (; c + 4 <= count; c += 4)
            dot_some(tiles, group_stride, groups, x + c * x_stride, x_stride, out + c * out_stride, out_stride, 4);
        for (; c + 2 <= count; c += 2)
            dot_some(tiles, group_stride, groups, x + c * x_stride, x_stride, out + c * out_stride, out_stride, 2);
        if (c < count) dot_some(tiles, group_stride, groups, x + c * x_stride, 0, out + c * out_stride, 0, 1);
    }
}
