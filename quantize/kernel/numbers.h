/* The few float functions of the step, the same bits on every IEEE 754 machine (see reference.py). */
#ifndef NOONSONG_NUMBERS_H
#define NOONSONG_NUMBERS_H

#include <stdint.h>
#include <string.h>

#define LOG2_E 1.4426950408889634f
#define SMALLEST 1e-30f /* a vector with no number above this counts as zero */
#define ROUND 12582912.0f /* 1.5 * 2^23: adding it rounds to the nearest whole number, ties to even */
#define ROUND_BITS 0x4B400000
#define LOWEST_POWER (-64.0f)

static inline int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest whole number, ties to even; |x| below 2^22. */
static inline int32_t whole(float x) { return bits_of(x + ROUND) - ROUND_BITS; }

/* 2^x for x up to 0, nothing from -64 down; relative error 2e-7. */
static inline float power_of_2(float x) {
    float least = x;
    x = x > LOWEST_POWER ? x : LOWEST_POWER;
    float shifted = x + ROUND;
    float f = x - (shifted - ROUND);
    float p = 0x1.5bb9e6p-10f;
    p = p * f + 0x1.3cea8cp-7f;
    p = p * f + 0x1.c6b754p-5f;
    p = p * f + 0x1.ebf9bcp-3f;
    p = p * f + 0x1.62e42ap-1f;
    p = p * f + 1.0f;
    p = float_of(bits_of(p) + (int32_t)((uint32_t)(bits_of(shifted) - ROUND_BITS) << 23));
    return least > LOWEST_POWER ? p : 0.0f;
}

/* The largest |x|: floats without their sign order as whole numbers do. */
static inline float largest_of(const float *x, int32_t n) {
    int32_t largest = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t bits = bits_of(x[i]) & 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return float_of(largest);
}

/* The greatest x, by whole numbers in the same order, which the compiler may compare in any. */
static inline float greatest_of(const float *x, int32_t n) {
    int32_t greatest = INT32_MIN;
    for (int32_t i = 0; i < n; i++) {
        int32_t bits = bits_of(x[i]), key = bits ^ (bits >> 31 & 0x7fffffff);
        greatest = key > greatest ? key : greatest;
    }
    return float_of(greatest ^ (greatest >> 31 & 0x7fffffff));
}

/* x as int8 q; the quant_scale is returned. */
static inline float quantize_row(const float *x, int32_t n, int8_t *q) {
    float largest = largest_of(x, n);
    int sounding = largest > SMALLEST;
    float gain = sounding ? 127.0f / largest : 0.0f;
    for (int32_t i = 0; i < n; i++) q[i] = (int8_t)whole(x[i] * gain);
    return sounding ? largest / 127.0f : 0.0f;
}

#endif
