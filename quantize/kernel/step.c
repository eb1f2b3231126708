/* The step, read top to bottom like model/transformer.py. Compiled once for each kernel, with KERNEL its
   name and DOT_FILE the file of its products; plain loops that the compiler may widen, for no float sum
   depends on how (see reference.py). */
#include "engine.h"
#include "numbers.h"

#include <math.h>

#include DOT_FILE
#include "sample.h"

#define EPSILON 1e-5f
#define ATTENTION_ONE 16383.0f
#define DENOMINATOR_ONE 1048576.0f
#define MASKED (-1e30f)

typedef struct {
    int64_t position;
    int32_t slot;              /* where its key and value go */
    int64_t first, stop;       /* positions seen in the ring */
    int32_t own_first, own_stop; /* slots seen behind the ring */
} row;

static int32_t least_of(int32_t a, int32_t b) { return a < b ? a : b; }

/* Rows of the panel that row r is in, and where its tile of the first 4 columns begins. */
static int32_t panel_rows(const matrix *m, int32_t r) {
    return least_of(PANEL_ROWS, m->rows - r / PANEL_ROWS * PANEL_ROWS);
}

static uint8_t *tile_of(const matrix *m, int32_t r) {
    return m->tiles + (int64_t)(r / PANEL_ROWS) * PANEL_ROWS * m->columns +
           r % PANEL_ROWS / TILE_ROWS * TILE_BYTES;
}

static void set_tiles(matrix *m, int32_t rows, const int8_t *q, const float *scales) {
    for (int32_t r = 0; r < m->rows; r++) {
        uint8_t *to = tile_of(m, r) + r % TILE_ROWS * 4;
        int64_t group_stride = 4 * panel_rows(m, r);
        for (int32_t c = 0; c < m->columns; c++)
            to[c / 4 * group_stride + c % 4] = (uint8_t)((r < rows ? q[(int64_t)r * m->columns + c] : 0) ^ FLIP);
        m->quant_scales[r] = r < rows ? scales[r] : 0.0f;
    }
}

static void set_matrix(ns_engine *e, int32_t layer, int32_t part, const int8_t *q, const float *scales) {
    if (part == NS_TOKENS) {
        set_tiles(&e->token_table, e->shape.vocabulary, q, scales);
    } else {
        matrix *m = &e->layers[layer * NS_PARTS + part];
        set_tiles(m, m->rows, q, scales);
    }
}

/* to[c * to_stride + r] = row r of m times q[c * q_stride ...] * q_scales[c], for rows first .. stop. */
static void times(const ns_engine *e, const matrix *m, int32_t first, int32_t stop, const int8_t *q,
                  int64_t q_stride, const float *q_scales, int32_t count, float *to, int64_t to_stride) {
    for (int32_t r = first, taken; r < stop; r += taken) {
        int32_t panel = panel_rows(m, r);
        taken = least_of(stop - r, panel - r % PANEL_ROWS);
        const float *scales = m->quant_scales + r;
        for (int32_t c = 0; c < count; c += GROUP) {
            int32_t together = least_of(count - c, GROUP);
            dot(tile_of(m, r), TILE_BYTES, 4 * panel, taken / TILE_ROWS, m->columns / 4, q + c * q_stride,
                q_stride, together, e->sums, PANEL_ROWS);
            for (int32_t i = 0; i < together; i++) {
                const int32_t *sums = e->sums + i * PANEL_ROWS;
                float *out = to + (c + i) * to_stride + r - first;
                float scale = q_scales[c + i];
                for (int32_t j = 0; j < taken; j++) out[j] = (float)sums[j] * (scales[j] * scale);
            }
        }
    }
}

/* Of x; the sum in 16 lanes and a fixed tree. */
static float root_mean_square(const float *x, int32_t n) {
    float lanes[16] = {0};
    for (int32_t i = 0; i < n; i += 16)
        for (int j = 0; j < 16; j++) lanes[j] += x[i + j] * x[i + j];
    for (int half = 8; half > 0; half /= 2)
        for (int j = 0; j < half; j++) lanes[j] += lanes[j + half];
    return sqrtf(lanes[0] / (float)n + EPSILON);
}

static void norm_rows(ns_engine *e, int32_t count) {
    int32_t width = e->shape.width;
    for (int32_t c = 0; c < count; c++) {
        const float *x = e->x + (int64_t)c * width;
        e->q_scales[c] = quantize_row(x, width, e->q + (int64_t)c * width) / root_mean_square(x, width);
    }
}

static void embed(ns_engine *e, const int32_t token, int32_t pairs, const int32_t *rows, const float *weights,
                  float *x) {
    const matrix *m = &e->token_table;
    int32_t width = e->shape.width;
    const uint8_t *tile = tile_of(m, token) + token % TILE_ROWS * 4;
    int64_t group_stride = 4 * panel_rows(m, token);
    float scale = m->quant_scales[token];
    for (int32_t i = 0; i < width; i++)
        x[i] = (float)(int8_t)(tile[i / 4 * group_stride + i % 4] ^ FLIP) * scale;
    for (int32_t p = 0; p < pairs; p++) {
        const int8_t *side = e->side_q + (int64_t)rows[p] * width;
        float weight = weights[p] * e->side_scales[rows[p]];
        for (int32_t i = 0; i < width; i++) x[i] += (float)side[i] * weight;
    }
}

static void rotate(float *x, const float *cos, const float *sin, int32_t half) {
    for (int32_t j = 0; j < half; j++) {
        float a = x[j], b = x[half + j];
        float ac = a * cos[j], bs = b * sin[j], as = a * sin[j], bc = b * cos[j];
        x[j] = ac - bs;
        x[half + j] = as + bc;
    }
}

static void angles(ns_engine *e, int64_t position, float *cos, float *sin) {
    int64_t wrapped = position % e->shape.period;
    for (int32_t j = 0; j < e->head_width / 2; j++) {
        int64_t angle = wrapped * e->turns[j] % e->shape.period;
        cos[j] = e->rotary_cos[angle];
        sin[j] = e->rotary_sin[angle];
    }
}

/* Turn query and key, and keep key and value in the row's slot. wide holds [query | key | value]. */
static void remember(ns_engine *e, int32_t layer, int32_t c, const row *at) {
    int32_t width = e->shape.width, n = e->head_width, heads = e->shape.heads, slot = at->slot;
    float *wide = e->wide + (int64_t)c * e->hidden;
    const float *cos = e->cos_sin + (int64_t)c * n, *sin = cos + n / 2;
    int8_t q[1024];
    for (int32_t h = 0; h < heads; h++) {
        float *query = wide + h * n, *key = query + width, *value = key + width;
        rotate(query, cos, sin, n / 2);
        rotate(key, cos, sin, n / 2);
        e->query_scales[c * heads + h] =
            quantize_row(query, n, e->query + (int64_t)c * width + h * n) * e->shape.score_gain;
        int64_t head = (int64_t)layer * heads + h;
        e->key_scales[head * e->slots + slot] = quantize_row(key, n, q);
        uint8_t *to = e->key_ring + (head * e->slots + slot / TILE_ROWS * TILE_ROWS) * n + slot % TILE_ROWS * 4;
        for (int32_t i = 0; i < n; i++) q[i] ^= (int8_t)FLIP;
        for (int32_t g = 0; g < n / 4; g++) memcpy(to + g * TILE_BYTES, q + 4 * g, 4);
        e->value_scales[head * e->slots + slot] = quantize_row(value, n, q);
        to = e->value_ring + head * e->slots * n + (int64_t)(slot / 4) * TILE_BYTES + slot % 4;
        for (int32_t b = 0; b < n / TILE_ROWS; b++, to += (int64_t)e->slots * TILE_ROWS)
            for (int r = 0; r < TILE_ROWS; r++) to[4 * r] = (uint8_t)(q[TILE_ROWS * b + r] ^ FLIP);
    }
}

typedef struct {
    int32_t slot, column, length; /* slots slot .. slot + length are score columns column .. ; whole tiles */
} stretch;

/* The stretches of slots that cover positions first .. stop of the ring. */
static int32_t ring_stretches(const ns_engine *e, int64_t first, int64_t stop, stretch *to) {
    if (first >= stop) return 0;
    int64_t from = first / TILE_ROWS * TILE_ROWS;
    int32_t length = (int32_t)((stop - from + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS);
    int32_t slot = (int32_t)(from % e->shape.capacity);
    int32_t straight = e->shape.capacity - slot < length ? e->shape.capacity - slot : length;
    to[0] = (stretch){slot, 0, straight};
    if (straight == length) return 1;
    to[1] = (stretch){0, straight, length - straight};
    return 2;
}

static void fill(float *x, int32_t first, int32_t stop, float value) {
    for (int32_t i = first; i < stop; i++) x[i] = value;
}

/* Softmax of one token's scores as two digits of 7 bits each, times the values' scales.
   Columns not in first .. stop or own .. columns get nothing. Gives the unit of what will be heard. */
static float weigh(ns_engine *e, const int32_t *sums, const stretch *stretches, int32_t parts, int64_t head,
                   float gain, const int32_t masked[3][2], int32_t columns, int8_t *high, int8_t *low) {
    float *chances = e->chances;
    const float *key_scales = e->key_scales + head * e->slots;
    const float *value_scales = e->value_scales + head * e->slots;
    for (int32_t s = 0; s < parts; s++) {
        const float *scales = key_scales + stretches[s].slot;
        const int32_t *from = sums + stretches[s].column;
        float *to = chances + stretches[s].column;
        for (int32_t i = 0; i < stretches[s].length; i++) to[i] = (float)from[i] * (scales[i] * gain);
    }
    for (int m = 0; m < 3; m++) fill(chances, masked[m][0], masked[m][1], MASKED);
    float top = greatest_of(chances, columns);
    uint32_t total = 0;
    int32_t most_bits = 0;
    for (int32_t s = 0; s < parts; s++) {
        const float *scales = value_scales + stretches[s].slot;
        float *at = chances + stretches[s].column;
        for (int32_t i = 0; i < stretches[s].length; i++) {
            float chance = power_of_2(at[i] - top);
            total += (uint32_t)whole(chance * DENOMINATOR_ONE);
            at[i] = chance * scales[i];
            int32_t bits = bits_of(at[i]); /* never negative: these order as whole numbers do */
            most_bits = bits > most_bits ? bits : most_bits;
        }
    }
    float largest = float_of(most_bits);
    if (!(largest > SMALLEST)) {
        memset(high, 0, (size_t)columns);
        memset(low, 0, (size_t)columns);
        return 0.0f;
    }
    float raise = ATTENTION_ONE / largest;
    for (int32_t i = 0; i < columns; i++) {
        int32_t digits = whole(chances[i] * raise);
        high[i] = (int8_t)(digits >> 7);
        low[i] = (int8_t)(digits & 127);
    }
    return (largest / ATTENTION_ONE) * (DENOMINATOR_ONE / (float)total);
}

/* One head of up to GROUP tokens that see nearly the same stretch of the ring, and own slots of theirs when
   they are candidates (then one at a time). What is heard goes to wide, where the query was. */
static void attend(ns_engine *e, int32_t layer, int32_t h, const row *rows, int32_t c, int32_t count) {
    int32_t n = e->head_width, width = e->shape.width, heads = e->shape.heads;
    int64_t head = (int64_t)layer * heads + h, wide = e->score_columns;
    const uint8_t *keys = e->key_ring + head * e->slots * n, *values = e->value_ring + head * e->slots * n;
    const int8_t *query = e->query + (int64_t)c * width + h * n;
    int64_t first = rows[c].first, stop = rows[c].stop;
    for (int32_t i = 1; i < count; i++) {
        first = rows[c + i].first < first ? rows[c + i].first : first;
        stop = rows[c + i].stop > stop ? rows[c + i].stop : stop;
    }
    stretch stretches[3];
    int32_t shared = ring_stretches(e, first, stop, stretches);
    int64_t from = first / TILE_ROWS * TILE_ROWS;
    int32_t own_column = shared ? stretches[shared - 1].column + stretches[shared - 1].length : 0;
    for (int32_t s = 0; s < shared; s++)
        dot(keys + (int64_t)stretches[s].slot * n, (int64_t)TILE_ROWS * n, TILE_BYTES, stretches[s].length / TILE_ROWS, n / 4,
            query, width, count, e->sums + stretches[s].column, wide);
    for (int32_t i = 0; i < count; i++) {
        const row *at = &rows[c + i];
        int32_t parts = shared, columns = own_column, own_from = at->own_first / TILE_ROWS * TILE_ROWS;
        int32_t own_length = 0;
        if (at->own_first < at->own_stop) {
            own_length = (at->own_stop - own_from + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
            stretches[parts++] = (stretch){own_from, own_column, own_length};
            columns += own_length;
            dot(keys + (int64_t)own_from * n, (int64_t)TILE_ROWS * n, TILE_BYTES, own_length / TILE_ROWS, n / 4,
                query + (int64_t)i * width, 0, 1, e->sums + i * wide + own_column, 0);
        }
        int32_t seen = shared ? (int32_t)(at->first - from) : 0;
        int32_t end = shared ? (int32_t)(at->stop - from) : 0;
        int32_t masked[3][2] = {{0, seen},
                                {end, own_length ? own_column + at->own_first - own_from : own_column},
                                {own_length ? own_column + at->own_stop - own_from : columns, columns}};
        int8_t *high = e->digits + 2 * i * wide, *low = high + wide;
        e->units[i] = weigh(e, e->sums + i * wide, stretches, parts, head, e->query_scales[(c + i) * heads + h],
                            (const int32_t(*)[2])masked, columns, high, low);
        if (own_length)
            dot(values + (int64_t)own_from * TILE_ROWS, (int64_t)e->slots * TILE_ROWS, TILE_BYTES, n / TILE_ROWS,
                own_length / 4, high + own_column, wide, 2, e->heard + 2 * i * n, n);
        else
            memset(e->heard + 2 * i * n, 0, sizeof(int32_t) * 2 * (size_t)n);
    }
    int32_t *heard = e->heard, *more = e->heard + 2 * GROUP * n;
    for (int32_t s = 0; s < shared; s++) {
        dot(values + (int64_t)stretches[s].slot * TILE_ROWS, (int64_t)e->slots * TILE_ROWS, TILE_BYTES, n / TILE_ROWS,
            stretches[s].length / 4, e->digits + stretches[s].column, wide, 2 * count, more, n);
        for (int32_t j = 0; j < 2 * count * n; j++) heard[j] += more[j];
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t *high = heard + 2 * i * n, *low = high + n;
        float *out = e->wide + (int64_t)(c + i) * e->hidden + h * n, unit = e->units[i];
        for (int32_t j = 0; j < n; j++) {
            float sum = (float)high[j] * 128.0f;
            out[j] = (sum + (float)low[j]) * unit;
        }
    }
}

static void add(ns_engine *e, int32_t count) {
    int32_t width = e->shape.width;
    for (int32_t c = 0; c < count; c++) {
        float *x = e->x + (int64_t)c * width;
        const float *more = e->wide + (int64_t)c * e->hidden;
        for (int32_t i = 0; i < width; i++) x[i] += more[i];
    }
}

static void quantize_wide(ns_engine *e, int32_t count, int32_t n) {
    for (int32_t c = 0; c < count; c++)
        e->q_scales[c] = quantize_row(e->wide + (int64_t)c * e->hidden, n, e->q + (int64_t)c * n);
}

static void compute(ns_engine *e, const row *rows, int32_t count) {
    int32_t width = e->shape.width, hidden = e->hidden;
    for (int32_t l = 0; l < e->shape.layers; l++) {
        const matrix *layer = e->layers + l * NS_PARTS;
        norm_rows(e, count);
        times(e, &layer[NS_QKV], 0, 3 * width, e->q, width, e->q_scales, count, e->wide, hidden);
        for (int32_t c = 0; c < count; c++) remember(e, l, c, &rows[c]);
        for (int32_t h = 0; h < e->shape.heads; h++)
            for (int32_t c = 0; c < count; c += GROUP)
                attend(e, l, h, rows, c, count - c < GROUP ? count - c : GROUP);
        quantize_wide(e, count, width);
        times(e, &layer[NS_OUT], 0, width, e->q, width, e->q_scales, count, e->wide, hidden);
        add(e, count);
        norm_rows(e, count);
        times(e, &layer[NS_UP], 0, hidden, e->q, width, e->q_scales, count, e->wide, hidden);
        for (int32_t i = 0; i < count * hidden; i++) {
            float positive = e->wide[i] > 0.0f ? e->wide[i] : 0.0f;
            e->wide[i] = positive * positive;
        }
        quantize_wide(e, count, hidden);
        times(e, &layer[NS_DOWN], 0, width, e->q, hidden, e->q_scales, count, e->wide, hidden);
        add(e, count);
    }
    for (int32_t c = 0; c < count; c++) {
        float *x = e->x + (int64_t)c * width, root = root_mean_square(x, width);
        for (int32_t i = 0; i < width; i++) x[i] *= e->final_gain[i];
        int32_t slot = rows[c].slot;
        e->last_scales[slot] = quantize_row(x, width, e->last + (int64_t)slot * width) / root;
    }
}

/* depths 0: consecutive tokens for the ring; else one token for each candidate. */
static int32_t feed(ns_engine *e, int64_t position, int64_t start, int64_t fork, int32_t depths,
                    const ns_input *input) {
    const ns_shape *s = &e->shape;
    const int32_t *side_rows = input->rows;
    const float *weights = input->weights;
    for (int32_t i = 0; i < input->count; i += CHUNK) {
        int32_t count = input->count - i < CHUNK ? input->count - i : CHUNK;
        row rows[CHUNK];
        for (int32_t c = 0; c < count; c++) {
            int64_t at = depths ? position : position + i + c;
            int64_t first = at - s->window + 1 > start ? at - s->window + 1 : start;
            if (depths) {
                int32_t base = s->capacity + (i + c) * depths;
                int64_t seen = first > fork ? first : fork;
                rows[c] = (row){at,         base + (int32_t)(at - fork),   first < fork ? first : fork, fork,
                                base + (int32_t)(seen - fork), base + (int32_t)(at - fork) + 1};
            } else {
                rows[c] = (row){at, (int32_t)(at % s->capacity), first, at + 1, 0, 0};
            }
            float *cos = e->cos_sin + (int64_t)c * e->head_width;
            angles(e, at, cos, cos + e->head_width / 2);
            embed(e, input->tokens[i + c], input->pairs[i + c], side_rows, weights,
                  e->x + (int64_t)c * s->width);
            side_rows += input->pairs[i + c];
            weights += input->pairs[i + c];
        }
        compute(e, rows, count);
    }
    return 0;
}

static void logits(ns_engine *e, int32_t slot, const ns_ranges *allowed, float *to) {
    int32_t done = 0; /* rows of the table: a tile is computed once, however many ranges it holds pieces of */
    for (int32_t r = 0; r < allowed->count; r++) {
        int32_t first = allowed->bounds[2 * r], stop = allowed->bounds[2 * r + 1];
        int32_t from = first / TILE_ROWS * TILE_ROWS, end = (stop + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
        if (from < done) from = done;
        if (from < end)
            times(e, &e->token_table, from, end, e->last + (int64_t)slot * e->shape.width, 0, e->last_scales + slot,
                  1, e->drawing + from, 0);
        done = end;
        memcpy(to, e->drawing + first, sizeof(float) * (size_t)(stop - first));
        to += stop - first;
    }
}

static int32_t sample(ns_engine *e, int32_t slot, const ns_ranges *allowed, const float *temperatures,
                      double top_p, uint64_t random_bits) {
    float *z = e->drawing + e->token_table.rows;
    logits(e, slot, allowed, z);
    return draw(z, allowed, e->shape.first_note, e->shape.first_touch, temperatures, top_p, random_bits,
                e->weights);
}

#define PASTE(a, b) a##b
#define FUNCTIONS(name) PASTE(ns_functions_, name)

extern const kernel_functions FUNCTIONS(KERNEL);
const kernel_functions FUNCTIONS(KERNEL) = {feed, set_matrix, logits, sample};
