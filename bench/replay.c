/* Plays a dumped network with one kernel and prints what it drew: so that kernels of other machines can be
   run by an emulator, and instructions counted. replay.py plays the same game in Python.

   replay DUMP KERNEL TOKENS CONTEXT [SKIP]    feed tokens SKIP .. CONTEXT, then feed and draw TOKENS
   (what a step costs does not depend on what the skipped ones were) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

static void *read_array(FILE *file, size_t bytes) {
    void *array = malloc(bytes);
    if (!array || fread(array, 1, bytes, file) != bytes) exit(3);
    return array;
}

static void read_matrix(FILE *file, ns_engine *e, int32_t layer, int32_t part, size_t rows, size_t columns) {
    int8_t *q = read_array(file, rows * columns);
    float *scales = read_array(file, rows * 4);
    ns_set_matrix(e, layer, part, q, scales);
    free(q);
    free(scales);
}

static ns_engine *read_engine(const char *path, int32_t kernel, ns_shape *shape) {
    FILE *file = fopen(path, "rb");
    if (!file || fread(shape, sizeof *shape, 1, file) != 1) exit(3);
    void *memory = calloc(1, (size_t)ns_memory(shape) + 64);
    ns_engine *e = ns_start((void *)(((uintptr_t)memory + 63) / 64 * 64), shape, kernel);
    size_t width = (size_t)shape->width, period = (size_t)shape->period;
    read_matrix(file, e, 0, NS_TOKENS, (size_t)shape->vocabulary, width);
    for (int32_t l = 0; l < shape->layers; l++) {
        read_matrix(file, e, l, NS_QKV, 3 * width, width);
        read_matrix(file, e, l, NS_OUT, width, width);
        read_matrix(file, e, l, NS_UP, 4 * width, width);
        read_matrix(file, e, l, NS_DOWN, width, 4 * width);
    }
    int8_t *side_q = read_array(file, (size_t)shape->side_rows * width);
    float *side_scales = read_array(file, (size_t)shape->side_rows * 4);
    float *gain = read_array(file, width * 4);
    float *cos = read_array(file, period * 4), *sin = read_array(file, period * 4);
    int32_t *turns = read_array(file, width / (size_t)shape->heads / 2 * 4);
    ns_set_tables(e, side_q, side_scales, gain, cos, sin, turns);
    fclose(file);
    free(side_q), free(side_scales), free(gain), free(cos), free(sin), free(turns);
    return e;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int32_t kernel = 0, tokens = atoi(argv[3]), context = atoi(argv[4]);
    while (ns_kernel_name(kernel) && strcmp(ns_kernel_name(kernel), argv[2])) kernel++;
    if (!ns_kernel_name(kernel)) return 4;
    printf("%d", ns_kernel_runs(kernel));
    if (!ns_kernel_runs(kernel)) return 0;
    ns_shape shape;
    ns_engine *e = read_engine(argv[1], kernel, &shape);
    for (int32_t i = argc > 5 ? atoi(argv[5]) : 0, token = 0; i < context; i++) {
        int32_t pairs = 0;
        token = i * 31 % shape.vocabulary;
        ns_input input = {1, &token, &pairs, NULL, NULL};
        ns_feed(e, i, 0, &input);
    }
    int32_t token = 0;
    for (int32_t i = context; i < context + tokens; i++) {
        int32_t pairs = 2, rows[2] = {i * 7 % shape.side_rows, i * 13 % shape.side_rows};
        float weights[2] = {0.75f, 0.5f};
        ns_input input = {1, &token, &pairs, rows, weights};
        ns_feed(e, i, 0, &input);
        int32_t onset_bounds[] = {1, shape.first_note, shape.first_note + i % 100, shape.first_touch};
        ns_ranges onset = {2, onset_bounds};
        int32_t touch_bounds[] = {shape.first_touch, shape.vocabulary};
        ns_ranges touch = {1, touch_bounds};
        float pitch = i % 3 ? 0.75f : 1.0f;
        int32_t slot = i % shape.capacity;
        double top_p = i % 5 ? 0.875 : 1.0;
        token = ns_sample(e, slot, i % 2 ? &touch : &onset, 1.0f, pitch, 0.5f, top_p, 1, (uint64_t)i + 1);
        printf(" %d", token);
    }
    printf("\n");
    return 0;
}
