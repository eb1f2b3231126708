/* The kernels compiled in, which of them this processor runs, and the arena that they all share. */
#include "engine.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static int always(void) { return 1; }

#ifdef HAVE_VNNI
static int has_vnni(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
extern const kernel_functions ns_functions_vnni;
#endif
#ifdef HAVE_AVX2
static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }
extern const kernel_functions ns_functions_avx2;
#endif
#ifdef HAVE_DOTPROD
static int has_dotprod(void) {
#if defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
#else
    return 1; /* every 64-bit Apple desktop processor */
#endif
}
extern const kernel_functions ns_functions_dotprod;
#endif
#ifdef HAVE_NEON
extern const kernel_functions ns_functions_neon;
#endif
extern const kernel_functions ns_functions_scalar;

static const struct {
    const char *name;
    int (*runs)(void);
    const kernel_functions *functions;
} kernels[] = {
#ifdef HAVE_VNNI
    {"vnni", has_vnni, &ns_functions_vnni},
#endif
#ifdef HAVE_AVX2
    {"avx2", has_avx2, &ns_functions_avx2},
#endif
#ifdef HAVE_DOTPROD
    {"dotprod", has_dotprod, &ns_functions_dotprod},
#endif
#ifdef HAVE_NEON
    {"neon", always, &ns_functions_neon},
#endif
    {"scalar", always, &ns_functions_scalar},
};

#define KERNELS ((int32_t)(sizeof kernels / sizeof *kernels))

const char *ns_interface(void) { return NS_INTERFACE; }

const char *ns_kernel_name(int32_t kernel) { return kernel < KERNELS ? kernels[kernel].name : NULL; }

int32_t ns_kernel_runs(int32_t kernel) { return kernels[kernel].runs() != 0; }

/* Another library may have told this thread to flush small numbers or to round otherwise. */
#if defined(__x86_64__)
typedef unsigned int float_mode;
static float_mode set_float_mode(void) {
    float_mode before = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return before;
}
static void restore_float_mode(float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static float_mode set_float_mode(void) {
    float_mode before, plain = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(plain) : "memory");
    return before;
}
static void restore_float_mode(float_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
#else
typedef int float_mode;
static float_mode set_float_mode(void) { return 0; }
static void restore_float_mode(float_mode mode) { (void)mode; }
#endif

static int32_t padded(int32_t rows) { return (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; }

static int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

/* Under AddressSanitizer a forbidden zone lies between the arrays. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define ZONE 256
#else
#define ZONE 0
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)0)
#endif

/* Where the next array begins; with a NULL arena only the size is counted. */
static void *take(char *arena, int64_t *used, int64_t bytes) {
    void *at = arena ? arena + *used : NULL;
    int64_t padded_bytes = (bytes + 63) / 64 * 64;
    if (arena) ASAN_POISON_MEMORY_REGION(arena + *used + padded_bytes, ZONE);
    *used += padded_bytes + ZONE;
    return at;
}

static void take_matrix(char *arena, int64_t *used, matrix *m, int32_t rows, int32_t columns) {
    m->rows = padded(rows);
    m->columns = columns;
    m->tiles = take(arena, used, (int64_t)m->rows * columns);
    m->quant_scales = take(arena, used, (int64_t)m->rows * 4);
}

static int64_t lay_out(char *arena, const ns_shape *shape, ns_engine *e) {
    int64_t used = 0;
    take(arena, &used, (int64_t)sizeof *e);
    e->shape = *shape;
    e->head_width = shape->width / shape->heads;
    e->hidden = 4 * shape->width;
    e->slots = shape->capacity + shape->candidate_tokens;
    e->score_columns = 2 * shape->window + 8 * TILE_ROWS;
    int64_t width = shape->width, hidden = e->hidden, slots = e->slots, columns = e->score_columns;
    int64_t heads = (int64_t)shape->layers * shape->heads, n = e->head_width;

    e->layers = take(arena, &used, (int64_t)sizeof(matrix) * shape->layers * NS_PARTS);
    for (int32_t l = 0; l < shape->layers; l++) {
        matrix unused[NS_PARTS], *layer = arena ? e->layers + l * NS_PARTS : unused;
        take_matrix(arena, &used, &layer[NS_QKV], 3 * shape->width, shape->width);
        take_matrix(arena, &used, &layer[NS_OUT], shape->width, shape->width);
        take_matrix(arena, &used, &layer[NS_UP], e->hidden, shape->width);
        take_matrix(arena, &used, &layer[NS_DOWN], shape->width, e->hidden);
    }
    take_matrix(arena, &used, &e->token_table, shape->vocabulary, shape->width);
    int64_t vocabulary = e->token_table.rows;
    e->side_q = take(arena, &used, shape->side_rows * width);
    e->side_scales = take(arena, &used, shape->side_rows * 4);
    e->final_gain = take(arena, &used, width * 4);
    e->rotary_cos = take(arena, &used, (int64_t)shape->period * 4);
    e->rotary_sin = take(arena, &used, (int64_t)shape->period * 4);
    e->turns = take(arena, &used, n * 2);
    e->key_ring = take(arena, &used, heads * slots * n);
    e->value_ring = take(arena, &used, heads * slots * n);
    e->key_scales = take(arena, &used, heads * slots * 4);
    e->value_scales = take(arena, &used, heads * slots * 4);
    e->last = take(arena, &used, slots * width);
    e->last_scales = take(arena, &used, slots * 4);
    e->x = take(arena, &used, CHUNK * width * 4);
    e->wide = take(arena, &used, CHUNK * hidden * 4);
    e->q = take(arena, &used, CHUNK * hidden);
    e->q_scales = take(arena, &used, CHUNK * 4);
    e->query = take(arena, &used, CHUNK * width);
    e->query_scales = take(arena, &used, (int64_t)CHUNK * shape->heads * 4);
    e->cos_sin = take(arena, &used, CHUNK * n * 4);
    e->sums = take(arena, &used, 4 * (int64_t)most(GROUP * most(e->hidden, e->score_columns), (int32_t)vocabulary));
    e->chances = take(arena, &used, columns * 4);
    e->digits = take(arena, &used, 2 * GROUP * columns);
    e->heard = take(arena, &used, 4 * GROUP * n * 4);
    e->units = take(arena, &used, GROUP * 4);
    e->drawing = take(arena, &used, (2 * vocabulary) * 4);
    e->weights = take(arena, &used, vocabulary * 4);
    return used;
}

int64_t ns_memory(const ns_shape *shape) {
    ns_engine e;
    return lay_out(NULL, shape, &e);
}

ns_engine *ns_start(void *arena, const ns_shape *shape, int32_t kernel) {
    ns_engine *e = arena;
    lay_out(arena, shape, e);
    e->kernel = kernels[kernel].functions;
    return e;
}

void ns_set_matrix(ns_engine *e, int32_t layer, int32_t part, const int8_t *q, const float *quant_scales) {
    e->kernel->set_matrix(e, layer, part, q, quant_scales);
}

void ns_set_tables(ns_engine *e, const int8_t *side_q, const float *side_scales, const float *final_gain,
                   const float *rotary_cos, const float *rotary_sin, const int32_t *turns) {
    const ns_shape *s = &e->shape;
    memcpy(e->side_q, side_q, (size_t)s->side_rows * (size_t)s->width);
    memcpy(e->side_scales, side_scales, (size_t)s->side_rows * 4);
    memcpy(e->final_gain, final_gain, (size_t)s->width * 4);
    memcpy(e->rotary_cos, rotary_cos, (size_t)s->period * 4);
    memcpy(e->rotary_sin, rotary_sin, (size_t)s->period * 4);
    memcpy(e->turns, turns, (size_t)e->head_width / 2 * 4);
}

static int known(const ns_engine *e, const ns_input *input) {
    int32_t pair = 0;
    for (int32_t i = 0; i < input->count; i++) {
        if (input->tokens[i] < 0 || input->tokens[i] >= e->shape.vocabulary) return 0;
        for (int32_t p = 0; p < input->pairs[i]; p++, pair++)
            if (input->rows[pair] < 0 || input->rows[pair] >= e->shape.side_rows) return 0;
    }
    return 1;
}

int32_t ns_feed(ns_engine *e, int64_t position, int64_t start, const ns_input *input) {
    if (!known(e, input) || start < 0 || start > position) return -1;
    float_mode mode = set_float_mode();
    int32_t result = e->kernel->feed(e, position, start, position, 0, input);
    restore_float_mode(mode);
    return result;
}

int32_t ns_feed_candidates(ns_engine *e, int64_t position, int64_t start, int64_t fork, int32_t depths,
                           const ns_input *input) {
    if (!known(e, input) || start < 0 || start >= fork || fork > position) return -1;
    if (depths <= 0 || depths % TILE_ROWS || position - fork >= depths) return -1;
    if ((int64_t)depths * input->count > e->shape.candidate_tokens) return -1;
    float_mode mode = set_float_mode();
    int32_t result = e->kernel->feed(e, position, start, fork, depths, input);
    restore_float_mode(mode);
    return result;
}

/* One token's key and value of one head from slot to slot: bytes 4 apart in the tiles (see engine.h). */
static void copy_slot(ns_engine *e, int64_t head, int32_t from, int32_t to) {
    int32_t n = e->head_width;
    uint8_t *keys = e->key_ring + head * e->slots * n, *values = e->value_ring + head * e->slots * n;
    uint8_t *key_from = keys + from / TILE_ROWS * TILE_ROWS * n + from % TILE_ROWS * 4;
    uint8_t *key_to = keys + to / TILE_ROWS * TILE_ROWS * n + to % TILE_ROWS * 4;
    for (int32_t g = 0; g < n / 4; g++) memcpy(key_to + g * TILE_BYTES, key_from + g * TILE_BYTES, 4);
    for (int32_t b = 0; b < n / TILE_ROWS; b++, values += (int64_t)e->slots * TILE_ROWS)
        for (int32_t r = 0; r < TILE_ROWS; r++)
            values[to / 4 * TILE_BYTES + to % 4 + 4 * r] = values[from / 4 * TILE_BYTES + from % 4 + 4 * r];
    e->key_scales[head * e->slots + to] = e->key_scales[head * e->slots + from];
    e->value_scales[head * e->slots + to] = e->value_scales[head * e->slots + from];
}

void ns_keep(ns_engine *e, int32_t candidate, int64_t fork, int32_t depths, int64_t position) {
    int32_t width = e->shape.width, base = e->shape.capacity + candidate * depths;
    for (int64_t at = fork; at < position; at++) {
        int32_t from = base + (int32_t)(at - fork), to = (int32_t)(at % e->shape.capacity);
        for (int64_t head = 0; head < (int64_t)e->shape.layers * e->shape.heads; head++)
            copy_slot(e, head, from, to);
        memcpy(e->last + (int64_t)to * width, e->last + (int64_t)from * width, (size_t)width);
        e->last_scales[to] = e->last_scales[from];
    }
}

void ns_logits(ns_engine *e, int32_t slot, const ns_ranges *allowed, float *logits) {
    float_mode mode = set_float_mode();
    e->kernel->logits(e, slot, allowed, logits);
    restore_float_mode(mode);
}

/* splitmix64 (Steele, Lea & Flood, OOPSLA 2014). */
static uint64_t random_bits(uint64_t seed, uint64_t count) {
    uint64_t z = seed + (count + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int32_t ns_sample(ns_engine *e, int32_t slot, const ns_ranges *allowed, float rhythm, float pitch, float touch,
                  double top_p, uint64_t seed, uint64_t count) {
    float temperatures[3] = {rhythm, pitch, touch};
    float_mode mode = set_float_mode();
    int32_t token = e->kernel->sample(e, slot, allowed, temperatures, top_p, random_bits(seed, count));
    restore_float_mode(mode);
    return token;
}
