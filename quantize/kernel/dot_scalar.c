/* Products of tiles in plain C. Every dot_*.c gives this one function, with the same whole numbers:

   out[c * out_stride + 16 b + r] = sum over i of row r of block b, column i, times x[c * x_stride + i]

   for `blocks` blocks of 16 rows, 4 * groups columns and `count` vectors; tiles lie block_stride bytes apart
   from block to block, group_stride from one 4 columns to the next. Numbers are -127 to 127. A byte of a tile is the number ^ FLIP. */
#define FLIP 0

static void dot(const uint8_t *tiles, int64_t block_stride, int64_t group_stride, int32_t blocks,
                int32_t groups, const int8_t *x, int64_t x_stride, int32_t count, int32_t *out,
                int64_t out_stride) {
    for (int32_t b = 0; b < blocks; b++) {
        for (int32_t c = 0; c < count; c++) {
            const int8_t *tile = (const int8_t *)tiles + b * block_stride;
            const int8_t *column = x + c * x_stride;
            int32_t sums[TILE_ROWS] = {0};
            for (int32_t g = 0; g < groups; g++, tile += group_stride, column += 4)
                for (int r = 0; r < TILE_ROWS; r++)
                    sums[r] += tile[4 * r] * column[0] + tile[4 * r + 1] * column[1] +
                               tile[4 * r + 2] * column[2] + tile[4 * r + 3] * column[3];
            memcpy(out + c * out_stride + b * TILE_ROWS, sums, sizeof sums);
        }
    }
}
