/* A plain int8 step, as small inference programs have it: rows and vectors in groups of 64 with a float
   quant_scale each, float keys and values, libm. What noonsong's kernel is compared with; and the cache's
   read limit. Random numbers: the time does not depend on them.

   plain WIDTH LAYERS HEADS VOCABULARY POSITION REPEATS -> nanoseconds of each step at POSITION (thread time)
   plain read BYTES REPEATS                             -> nanoseconds of each reading of so many bytes */
#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROUP 64

typedef struct {
    int8_t *q;
    float *s;
    int rows, columns;
} tensor;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static tensor make(int rows, int columns) {
    tensor t = {malloc((size_t)rows * columns), malloc((size_t)rows * columns / GROUP * 4), rows, columns};
    for (int i = 0; i < rows * columns; i++) t.q[i] = (int8_t)(rand() % 255 - 127);
    for (int i = 0; i < rows * columns / GROUP; i++) t.s[i] = 1e-3f;
    return t;
}

static void quantize(tensor *t, const float *x, int n) {
    for (int g = 0; g < n / GROUP; g++) {
        float most = 0.0f;
        for (int i = 0; i < GROUP; i++) most = fmaxf(most, fabsf(x[g * GROUP + i]));
        float s = most / 127.0f;
        t->s[g] = s;
        for (int i = 0; i < GROUP; i++) t->q[g * GROUP + i] = (int8_t)roundf(x[g * GROUP + i] / s);
    }
}

static void matmul(float *out, const tensor *x, const tensor *w) {
    int n = w->columns;
    for (int r = 0; r < w->rows; r++) {
        float value = 0.0f;
        for (int g = 0; g < n; g += GROUP) {
            int32_t sum = 0;
            for (int i = 0; i < GROUP; i++) sum += (int32_t)x->q[g + i] * (int32_t)w->q[r * n + g + i];
            value += (float)sum * w->s[(r * n + g) / GROUP] * x->s[g / GROUP];
        }
        out[r] = value;
    }
}

static void norm(float *out, const float *x, int n) {
    float sum = 0.0f;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    sum = 1.0f / sqrtf(sum / n + 1e-5f);
    for (int i = 0; i < n; i++) out[i] = x[i] * sum;
}

static void attend(float *out, const float *query, const float *keys, const float *values, float *scores,
                   int heads, int n, int position) {
    int width = heads * n;
    for (int h = 0; h < heads; h++) {
        float most = -1e30f, sum = 0.0f;
        for (int t = 0; t <= position; t++) {
            float score = 0.0f;
            for (int i = 0; i < n; i++) score += query[h * n + i] * keys[t * width + h * n + i];
            scores[t] = score / sqrtf(n);
            most = fmaxf(most, scores[t]);
        }
        for (int t = 0; t <= position; t++) sum += scores[t] = expf(scores[t] - most);
        memset(out + h * n, 0, n * 4);
        for (int t = 0; t <= position; t++)
            for (int i = 0; i < n; i++) out[h * n + i] += scores[t] / sum * values[t * width + h * n + i];
    }
}

static int read_limit(size_t bytes, int repeats) {
    uint64_t *from = malloc(bytes + 64), sums[32] = {0}, all = 0;
    memset(from, 1, bytes);
    for (int r = 0; r < repeats; r++) {
        int64_t before = now_ns();
        for (int again = 0; again < 4; again++)
            for (size_t i = 0; i + 32 <= bytes / 8; i += 32)
                for (int j = 0; j < 32; j++) sums[j] ^= from[i + j];
        printf("%ld ", (long)(now_ns() - before) / 4);
    }
    for (int j = 0; j < 32; j++) all ^= sums[j];
    fprintf(stderr, "%d", (int)all);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4) return read_limit((size_t)atol(argv[2]), atoi(argv[3]));
    if (argc != 7) return 2;
    int d = atoi(argv[1]), layers = atoi(argv[2]), heads = atoi(argv[3]), vocabulary = atoi(argv[4]);
    int position = atoi(argv[5]), repeats = atoi(argv[6]), n = d / heads;
    tensor *w = malloc(sizeof(tensor) * 4 * layers), table = make(vocabulary, d), xq = make(1, 4 * d);
    for (int l = 0; l < layers; l++) {
        w[4 * l] = make(3 * d, d), w[4 * l + 1] = make(d, d);
        w[4 * l + 2] = make(4 * d, d), w[4 * l + 3] = make(d, 4 * d);
    }
    size_t kept = (size_t)(position + 1) * d;
    float *keys = calloc(kept * layers, 4), *values = calloc(kept * layers, 4);
    float *x = calloc(d, 4), *h = calloc(4 * d, 4), *wide = calloc(4 * d, 4), *scores = calloc(position + 1, 4);
    float *logits = calloc(vocabulary, 4);
    for (size_t i = 0; i < kept * layers; i++) keys[i] = rand() % 100 * 0.02f - 1, values[i] = keys[i];
    for (int r = 0; r < repeats; r++) {
        int64_t before = now_ns();
        for (int i = 0; i < d; i++) x[i] = table.q[r % vocabulary * d + i] * 0.01f;
        for (int l = 0; l < layers; l++) {
            float *key = keys + kept * l + (size_t)position * d, *value = values + kept * l + (size_t)position * d;
            norm(h, x, d);
            quantize(&xq, h, d);
            matmul(wide, &xq, &w[4 * l]);
            for (int i = 0; i < d; i += 2) {
                float angle = position * powf(1000.0f, -(float)(i % n) / n), c = cosf(angle), s = sinf(angle);
                for (int k = 0; k < 2; k++) {
                    float *v = wide + k * d + i, a = v[0], b = v[1];
                    v[0] = a * c - b * s, v[1] = a * s + b * c;
                }
            }
            memcpy(key, wide + d, d * 4), memcpy(value, wide + 2 * d, d * 4);
            attend(h, wide, keys + kept * l, values + kept * l, scores, heads, n, position);
            quantize(&xq, h, d);
            matmul(wide, &xq, &w[4 * l + 1]);
            for (int i = 0; i < d; i++) x[i] += wide[i];
            norm(h, x, d);
            quantize(&xq, h, d);
            matmul(wide, &xq, &w[4 * l + 2]);
            for (int i = 0; i < 4 * d; i++) h[i] = wide[i] > 0 ? wide[i] * wide[i] + 1e-6f : 1e-6f;
            quantize(&xq, h, 4 * d);
            matmul(wide, &xq, &w[4 * l + 3]);
            for (int i = 0; i < d; i++) x[i] += wide[i];
        }
        norm(h, x, d);
        quantize(&xq, h, d);
        matmul(logits, &xq, &table);
        printf("%ld ", (long)(now_ns() - before));
    }
    fprintf(stderr, "%f", logits[0]);
    return 0;
}
