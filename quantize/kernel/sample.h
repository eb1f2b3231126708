/* Drawing a token: the same as quantize/sampling.py, where it is explained. */
#ifndef NOONSONG_SAMPLE_H
#define NOONSONG_SAMPLE_H

#include "engine.h"
#include "numbers.h"

#define LOWEST_TEMPERATURE 0.01f
#define WEIGHT_ONE 4194304.0f /* 2^22 */

static void softmax_weights(const float *z, int32_t n, float top, float inverse, uint32_t *weights) {
    for (int32_t i = 0; i < n; i++)
        weights[i] = (uint32_t)(int32_t)(power_of_2((z[i] - top) * inverse) * WEIGHT_ONE);
}

/* At most vocabulary * WEIGHT_ONE, which 32 bits hold. */
static uint32_t sum_of(const uint32_t *weights, int32_t n) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += weights[i];
    return sum;
}

static uint32_t sum_from(const uint32_t *weights, int32_t n, uint32_t least) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += weights[i] >= least ? weights[i] : 0;
    return sum;
}

/* The first 64 of the 128 bits of a * b. */
static uint64_t product_top(uint64_t a, uint64_t b) {
    uint64_t al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32);
    return ah * bh + (middle >> 32) + ((al * bh + (middle & 0xffffffff)) >> 32);
}

static int32_t index_of_token(const ns_ranges *allowed, int32_t token) {
    int32_t index = 0;
    for (int32_t r = 0; r < allowed->count; r++) {
        int32_t first = allowed->bounds[2 * r], stop = allowed->bounds[2 * r + 1];
        index += token < first ? 0 : token < stop ? token - first : stop - first;
    }
    return index;
}

static int32_t draw(const float *z, const ns_ranges *allowed, int32_t first_note, int32_t first_touch,
                    const float *temperatures, double top_p, uint64_t random_bits, uint32_t *weights) {
    int32_t n = index_of_token(allowed, INT32_MAX);
    int32_t ends[4] = {0, index_of_token(allowed, first_note), index_of_token(allowed, first_touch), n};
    float inverse[3];
    int only = -1;
    for (int k = 0; k < 3; k++) {
        inverse[k] = LOG2_E / (temperatures[k] > LOWEST_TEMPERATURE ? temperatures[k] : LOWEST_TEMPERATURE);
        if (ends[k + 1] - ends[k] == n) only = k;
    }
    softmax_weights(z, n, greatest_of(z, n), inverse[only < 0 ? 0 : only], weights);
    for (int k = 1; k < 3 && only < 0; k++) {
        int32_t first = ends[k], count = ends[k + 1] - first;
        if (!count || inverse[k] == inverse[0]) continue;
        double shared = (double)sum_of(weights + first, count);
        softmax_weights(z + first, count, greatest_of(z + first, count), inverse[k], weights + first);
        double factor = shared / (double)sum_of(weights + first, count);
        for (int32_t i = first; i < ends[k + 1]; i++) weights[i] = (uint32_t)((double)weights[i] * factor);
    }

    /* The least weight that is kept, found bit by bit: the greatest whose like and better reach top_p. */
    uint64_t total = sum_of(weights, n), target = (uint64_t)(top_p * (double)total), kept = total;
    uint32_t least = 0, most = 0;
    if (target < 1) target = 1;
    if (target < total) {
        for (int32_t i = 0; i < n; i++) most = weights[i] > most ? weights[i] : most;
        uint32_t bit = 1u << 31;
        while (bit > most) bit >>= 1;
        for (; bit; bit >>= 1)
            if (sum_from(weights, n, least | bit) >= target) least |= bit;
        uint64_t better = least == UINT32_MAX ? 0 : sum_from(weights, n, least + 1);
        /* Of the equally likely ones, the first few. */
        uint64_t alike = (target - better + least - 1) / least;
        kept = better + alike * least;
        for (int32_t i = 0; i < n; i++) {
            int dropped = weights[i] < least || (weights[i] == least && alike == 0);
            if (weights[i] == least && alike) alike--;
            if (dropped) weights[i] = 0;
        }
    }
    uint64_t drawn = product_top(random_bits, kept);
    int32_t i = 0;
    while (i < n - 1 && drawn >= weights[i]) drawn -= weights[i++];
    for (int32_t r = 0;; r++) {
        int32_t first = allowed->bounds[2 * r], length = allowed->bounds[2 * r + 1] - first;
        if (i < length || r == allowed->count - 1) return first + i;
        i -= length;
    }
}

#endif
