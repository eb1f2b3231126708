/* What lies in the arena, and the functions that each kernel compiles for itself. */
#ifndef NOONSONG_ENGINE_H
#define NOONSONG_ENGINE_H

#include "step.h"

#define TILE_ROWS 16 /* a tile is 16 rows of 4 columns, row by row: 64 bytes */
#define TILE_BYTES 64
#define PANEL_ROWS 64 /* of a matrix: read as one stream */
#define CHUNK 16 /* tokens computed side by side */
#define GROUP 4  /* tokens whose products share one reading of the matrix */

typedef struct {
    int32_t rows, columns; /* rows as padded to whole tiles */
    uint8_t *tiles; /* [rows / 64][columns / 4][4][16][4], a last panel of fewer rows [..][columns / 4][1 to 3]
                       [16][4]; int8, ^ 0x80 where the kernel wants it */
    float *quant_scales;   /* [rows] */
} matrix;

typedef struct {
    int32_t (*feed)(ns_engine *e, int64_t position, int64_t start, int64_t fork, int32_t depths,
                    const ns_input *input);
    void (*set_matrix)(ns_engine *e, int32_t layer, int32_t part, const int8_t *q, const float *scales);
    void (*logits)(ns_engine *e, int32_t slot, const ns_ranges *allowed, float *logits);
    int32_t (*sample)(ns_engine *e, int32_t slot, const ns_ranges *allowed, const float *temperatures,
                      double top_p, uint64_t random_bits);
} kernel_functions;

struct ns_engine {
    ns_shape shape;
    int32_t head_width, hidden, slots, score_columns;
    const kernel_functions *kernel;
    matrix *layers; /* [layers][NS_PARTS] */
    matrix token_table;
    int8_t *side_q; /* [side_rows][width] */
    float *side_scales, *final_gain, *rotary_cos, *rotary_sin;
    int32_t *turns; /* [head_width / 2] */

    uint8_t *key_ring;   /* [layers][heads][slots / 16][head_width / 4][16][4] */
    uint8_t *value_ring; /* [layers][heads][head_width / 16][slots / 4][16][4] */
    float *key_scales, *value_scales; /* [layers][heads][slots] */
    int8_t *last;       /* [slots][width]: what the logits are made of */
    float *last_scales; /* [slots] */

    float *x;        /* [CHUNK][width] */
    float *wide;     /* [CHUNK][hidden]: what a matrix gives */
    int8_t *q;       /* [CHUNK][hidden] */
    float *q_scales; /* [CHUNK] */
    int8_t *query;   /* [CHUNK][width] */
    float *query_scales; /* [CHUNK][heads] */
    float *cos_sin;  /* [CHUNK][head_width] */
    int32_t *sums;   /* [GROUP][hidden or score_columns] */
    float *chances;  /* [score_columns] */
    int8_t *digits;  /* [2 * GROUP][score_columns] */
    int32_t *heard;  /* [2][2 * GROUP][head_width] */
    float *units;    /* [GROUP] */
    float *drawing;  /* [vocabulary as padded] logits */
    uint32_t *weights; /* [vocabulary as padded] */
};

#endif
