/* The int8 step: a small transformer with a ring of keys and values, in one arena, without allocation.

   quantize/reference.py is the truth for every bit that comes out of here, and says why the bits are the
   same everywhere. The caller (quantize/engine.py) has checked weights, tokens, rows, ranges and positions
   before; what could reach outside the arena is checked here once more. */
#ifndef NOONSONG_STEP_H
#define NOONSONG_STEP_H

#include <stdint.h>

enum { NS_QKV, NS_OUT, NS_UP, NS_DOWN, NS_PARTS, NS_TOKENS = NS_PARTS };

typedef struct {
    int32_t width, layers, heads, window, period, vocabulary, side_rows;
    int32_t capacity;         /* slots of the ring, a multiple of 16, at least window + 64 */
    int32_t candidate_tokens; /* slots behind the ring, a multiple of 16 */
    int32_t first_note, first_touch;
    float score_gain; /* log2(e) / sqrt(head width) */
} ns_shape;

typedef struct ns_engine ns_engine;

typedef struct {
    int32_t count;         /* of tokens */
    const int32_t *tokens; /* [count] */
    const int32_t *pairs;  /* [count] side pairs of each token */
    const int32_t *rows;   /* [sum of pairs] */
    const float *weights;  /* [sum of pairs] */
} ns_input;

typedef struct {
    int32_t count;
    const int32_t *bounds; /* [count][first, stop]: ascending, separate, not empty */
} ns_ranges;

/* kernel.interface() of this file when it was compiled. */
const char *ns_interface(void);

/* Kernels in order of preference; runs is whether this processor can. NULL past the last. */
const char *ns_kernel_name(int32_t kernel);
int32_t ns_kernel_runs(int32_t kernel);

/* Bytes of the arena (aligned to 64) for a shape. */
int64_t ns_memory(const ns_shape *shape);

/* Lay an engine out in a zeroed arena; it is forgotten by freeing the arena. */
ns_engine *ns_start(void *arena, const ns_shape *shape, int32_t kernel);

/* Copy weights in: a matrix of a layer, or the token table (layer 0, part NS_TOKENS); q is row by row. */
void ns_set_matrix(ns_engine *e, int32_t layer, int32_t part, const int8_t *q, const float *quant_scales);
void ns_set_tables(ns_engine *e, const int8_t *side_q, const float *side_scales, const float *final_gain,
                   const float *rotary_cos, const float *rotary_sin, const int32_t *turns);

/* Feed consecutive tokens, the first at `position`; nothing before `start` is seen. 0, or -1 for a token or
   row that does not exist (nothing is fed then). */
int32_t ns_feed(ns_engine *e, int64_t position, int64_t start, const ns_input *input);

/* Feed candidate i, whose own tokens since `fork` begin at slot capacity + i * depths, its token. */
int32_t ns_feed_candidates(ns_engine *e, int64_t position, int64_t start, int64_t fork, int32_t depths,
                           const ns_input *input);

/* Copy a candidate's tokens from `fork` up to `position` into the ring. */
void ns_keep(ns_engine *e, int32_t candidate, int64_t fork, int32_t depths, int64_t position);

/* Logits of the ranges after the token in `slot`, one range after the other. */
void ns_logits(ns_engine *e, int32_t slot, const ns_ranges *allowed, float *logits);

/* Draw the token that follows the one in `slot` with number `count` of the stream `seed` of splitmix64. */
int32_t ns_sample(ns_engine *e, int32_t slot, const ns_ranges *allowed, float rhythm, float pitch, float touch,
                  double top_p, uint64_t seed, uint64_t count);

#endif
