/* Fused attention (fast_attention.inc.c) by tiles of digits (digits_gemm.inc.c), with keys as rows and queries as
 * columns: scores [keys][queries] = K Q^T, then results [width][queries] = V^T P. So softmax goes down the rows, with
 * no sums across a vector, and probabilities come out in the order that tiles want. Each block of keys has its own
 * largest score: probabilities are digits of what they are beside the power of 2 above it, and the total is of the
 * rounded ones. Sums stay in float.
 *
 * Trap: for hundreds of cycles after a tile instruction the processor has one unit for floats of 512 bits instead of
 * two; so few of what is done to each score are floats. */

enum {
    DIGIT_QUERIES = TILE_COLS,         /* of a tile */
    DIGIT_KEYS = 128,                  /* of a block */
    DIGIT_WIDTH = 512,                 /* of a head, at most: whose products digits_sum holds */
    DIGIT_STEPS = DIGIT_KEYS / DIGIT_DEPTH,
    DIGIT_GROUP = 4,                   /* tiles of queries that take a block of keys in turn: many come from L3 */
};

/* Sizes of one head's keys and values in digits. */
typedef struct digit_heads {
    attention_job j;
    int digits;
    int64_t blocks, groups;            /* of keys; of tiles of queries */
    int64_t steps;                     /* of a head's width, of 64 */
    int64_t k_size, v_size;            /* floats: keys [lk/16][steps] tiles, values [blocks][width/16][DIGIT_STEPS] */
    int64_t k_scales, v_scales;        /* one, in a line; [blocks][width] */
} digit_heads;

static digit_heads digit_heads_of(const backend *be, const node *n)
{
    digit_heads h = {.j = attention_sizes(n), .digits = digits_width(be)->size};
    const int64_t tile = h.digits * DIGIT_TILE / 4;
    h.blocks = (h.j.lk + DIGIT_KEYS - 1) / DIGIT_KEYS;
    h.groups = (h.j.lq + DIGIT_GROUP * DIGIT_QUERIES - 1) / (DIGIT_GROUP * DIGIT_QUERIES);
    h.steps = (h.j.width + DIGIT_DEPTH - 1) / DIGIT_DEPTH;
    h.k_scales = LINE;
    h.k_size = (h.j.lk + DIGIT_ROWS - 1) / DIGIT_ROWS * h.steps * tile;
    h.v_size = h.blocks * (h.j.width / DIGIT_ROWS) * DIGIT_STEPS * tile;
    h.v_scales = h.blocks * h.j.width;
    return h;
}

/* Of what attention by tiles can do. */
static bool tiles_attention_fit(const node *n)
{
    const int64_t width = attention_sizes(n).width;
    return width % V == 0 && width <= DIGIT_WIDTH && n->in[1]->shape.dim[1] > 0;
}

static bool digits_attention_fit(const node *n)
{
    return tiles_attention_fit(n) && n->attr.alpha > 0;
}

static int64_t digit_head_floats(const digit_heads *h)
{
    return round_up(h->k_size + h->v_size + h->k_scales + h->v_scales, 16);
}

/* Of a tile: queries as a panel, and results [width][queries]. */
static int64_t digit_tile_floats(const digit_heads *h)
{
    return 2 * h->steps * h->digits * DIGIT_TILE / 4 + h->j.width * DIGIT_QUERIES;
}

/* Probabilities as a panel, scores [keys][queries], and tiles. */
static int64_t digit_thread_floats(const digit_heads *h)
{
    return 2 * DIGIT_STEPS * h->digits * DIGIT_TILE / 4 + DIGIT_KEYS * DIGIT_QUERIES +
           DIGIT_GROUP * digit_tile_floats(h);
}

static size_t digits_attention_scratch(const backend *be, const node *n)
{
    const digit_heads h = digit_heads_of(be, n);
    return (size_t)(h.j.b / h.j.r * h.j.heads * digit_head_floats(&h) + be->threads * digit_thread_floats(&h)) *
           sizeof(float);
}

/* Keys of row k that any of its rows of queries reads. */
static int64_t attention_keys(const attention_job *j, int64_t k)
{
    int64_t keys = 0;
    for (int64_t b = k * j->r; b < (k + 1) * j->r; b++)
        keys = attention_limit(j, b) > keys ? attention_limit(j, b) : keys;
    return keys;
}

/* 16 x 16 numbers of 32 bits: rows become columns. */
static inline __attribute__((always_inline)) void digits_turn(__m512i r[DIGIT_ROWS])
{
    __m512i t[DIGIT_ROWS];
    UNROLL(8)
    for (int i = 0; i < DIGIT_ROWS; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    UNROLL(4)
    for (int i = 0; i < DIGIT_ROWS; i += 4) {   /* r[i + k]: column k of each four, of rows i .. i + 3 */
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    UNROLL(4)
    for (int k = 0; k < 4; k++) {
        const __m512i a = _mm512_shuffle_i32x4(r[k], r[4 + k], 0x88), b = _mm512_shuffle_i32x4(r[k], r[4 + k], 0xdd);
        const __m512i c = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0xdd);
        t[k] = _mm512_shuffle_i32x4(a, c, 0x88);
        t[8 + k] = _mm512_shuffle_i32x4(a, c, 0xdd);
        t[4 + k] = _mm512_shuffle_i32x4(b, d, 0x88);
        t[12 + k] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
    UNROLL(16)
    for (int i = 0; i < DIGIT_ROWS; i++) r[i] = t[i];
}

/* A tile turned; to's rows are `step` bytes apart. */
static void digits_turn_tile(char *to, int64_t step, const char *from)
{
    __m512i r[DIGIT_ROWS];
    UNROLL(16)
    for (int i = 0; i < DIGIT_ROWS; i++) r[i] = (__m512i)load_whole(from + i * 64);
    digits_turn(r);
    UNROLL(16)
    for (int i = 0; i < DIGIT_ROWS; i++) store_whole(to + i * step, (vi)r[i]);
}

/* Keys [count, width], c apart, to tiles; their scale, which is one, is returned. */
static inline __attribute__((always_inline)) float digits_pack_keys(int digits, const digit_heads *h, char *to,
                                                                    const float *k, int64_t count)
{
    const int64_t step = h->steps * digits * 64, width = h->j.width;
    vf top = splat(0), scale;
    memset(to + count * step, 0, (size_t)(round_up(count, DIGIT_ROWS) - count) * (size_t)step);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < width; c += V) top = digits_larger(top, load(k + i * h->j.c + c));
    const vf by = digits_inverses(digits, splat(digits_top_of(top)), digits_unit(digits), &scale);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < width; c += DIGIT_DEPTH) {
            vf x[4];
            digits_load(x, k + i * h->j.c + c, width - c, by[0]);
            digits_split(digits, to + i * step + c * digits, 64, x);
        }
    return scale[0];
}

/* V numbers of each of a block's `count` values at v, c apart, to tiles that are turned, and scales. */
static inline __attribute__((always_inline)) void digits_pack_values(int digits, const digit_heads *h, char *to,
                                                                     float *scale, const float *v, int64_t count)
{
    const int64_t c = h->j.c;
    vf top = splat(0), scales;
    for (int64_t k = 0; k < count; k++) top = digits_larger(top, load(v + k * c));
    const vf by = digits_inverses(digits, top, digits_unit(digits), &scales);
    store(scale, scales);
    for (int64_t k = 0; k < DIGIT_KEYS; k += DIGIT_DEPTH, to += digits * 64) {
        char tile[DIGITS * DIGIT_TILE];
        for (int l = 0; l < DIGIT_ROWS; l++) {
            vf x[4];
            UNROLL(4)
            for (int i = 0; i < 4; i++) x[i] = k + V * i + l < count ? load(v + (k + V * i + l) * c) * by : splat(0);
            digits_split(digits, tile + l * 64, DIGIT_TILE, x);
        }
        for (int d = 0; d < digits; d++)
            digits_turn_tile(to + d * 64, DIGIT_STEPS * digits * 64, tile + d * DIGIT_TILE);
    }
}

/* `rows` queries, c apart, as a panel [steps][2][digits], and their scales. */
static inline __attribute__((always_inline)) void digits_pack_queries(int digits, const digit_heads *h, char *to,
                                                                      float *scale, const float *q, int64_t rows)
{
    char tiles[DIGITS * DIGIT_TILE];
    for (int half = 0; half < 2; half++)
        for (int64_t s = 0; s < h->steps; s++) {
            memset(tiles, 0, sizeof tiles);
            for (int64_t i = 0; i < DIGIT_ROWS; i++) {
                const int64_t row = half * DIGIT_ROWS + i, left = h->j.width - s * DIGIT_DEPTH;
                const float *x = q + row * h->j.c;
                vf v[4];
                if (row >= rows) continue;
                if (s == 0) scale[row] = digits_largest(x, h->j.width);
                digits_load(v, x + s * DIGIT_DEPTH, left, digits_inverse(digits, scale[row]));
                digits_split(digits, tiles + i * 64, DIGIT_TILE, v);
            }
            for (int d = 0; d < digits; d++)
                digits_turn_tile(to + ((s * 2 + half) * digits + d) * DIGIT_TILE, 64, tiles + d * DIGIT_TILE);
        }
    for (int64_t i = 0; i < DIGIT_QUERIES; i++) {
        const float by = i < rows ? digits_inverse(digits, scale[i]) : 0;
        scale[i] = by > 0 ? 1 / by : i < rows ? scale[i] * 0 : 0;
    }
}

/* A tile of queries; p and s are for its block of keys alone. */
typedef struct digit_tile {
    int64_t rows;
    char *q, *p;
    int32_t *s;
    float *o;
    vf scale[2];                       /* of queries, with attention's, in powers of 2 */
    vf top[2], total[2];               /* the largest score so far, and what 2^(score - top) add up to */
    vf factor[2];                      /* 2^(the block's largest - top), over what 1 is in digits */
} digit_tile;

/* Scores of 16 keys from their sums; `high` holds each column's largest of `count`. */
static inline __attribute__((always_inline)) void digits_scale(int digits, int32_t *s, const digit_sums sum,
                                                               int64_t count, vi high[2])
{
    for (int64_t r = 0; r < DIGIT_ROWS && r < count; r++, s += DIGIT_QUERIES)
        UNROLL(2)
        for (int half = 0; half < 2; half++) {
            const vi x = digits_sum(digits, sum[0][0][r], half);
            store_whole(s + half * V, x);
            high[half] = (vi)_mm512_max_epi32((__m512i)high[half], (__m512i)x);
        }
}

/* Scores of `count` keys, in columns, over their scale, and each column's largest. The sums of 16 are joined while
 * those of the next are made. */
static inline __attribute__((always_inline)) void digits_scores(int digits, const digit_heads *h, digit_tile *t,
                                                                const char *keys, int64_t count, vi high[2])
{
    const int64_t tiles = (count + DIGIT_ROWS - 1) / DIGIT_ROWS;
    digit_sums sum[2] __attribute__((aligned(64)));
    digit_store none = {.left = 0};
    for (int64_t i = 0; i <= tiles; i++) {
        const digit_rows tile = {.a = keys + i * h->steps * digits * DIGIT_TILE, .step = h->steps * digits * 64};
        if (i < tiles) digits_run(digits, sum[i % 2], &tile, t->q, h->steps, &none, 0);
        if (i == 0) continue;
        const int64_t k = (i - 1) * DIGIT_ROWS;
        digits_scale(digits, t->s + k * DIGIT_QUERIES, sum[(i - 1) % 2], count - k, high);
    }
}

/* What a probability of 1 is in digits: rounding may make a little more of it. */
static inline float digits_one(int digits)
{
    return digits == 3 ? 8350000.0f : 32600.0f;
}

/* one * 2^x for |x| <= 1/2: as vexp2_polynomial, or with two digits 7.5e-5 relative. */
static inline __attribute__((always_inline)) vf digits_polynomial(int digits, vf x)
{
    const float one = digits_one(digits);
    if (digits == 2) {
        vf p = splat(5.51714178e-2f * one);
        p = p * x + 2.4261117e-1f * one;
        p = p * x + 6.93261056e-1f * one;
        return p * x + 9.99928073e-1f * one;
    }
    vf p = splat(1.326472615e-3f * one);
    p = p * x + 9.671512991e-3f * one;
    p = p * x + 5.550733581e-2f * one;
    p = p * x + 2.402224243e-1f * one;
    p = p * x + 6.931470037e-1f * one;
    return p * x + 1.0f * one;
}

/* one * 2^(s * scale - best), in digits; best is a whole number. less: 1.5 * 2^23 - best. */
static inline __attribute__((always_inline)) vi digits_power(int digits, vf s, vf scale, vf less)
{
    const vf magic = splat(12582912.0f);
    const vf t = s * scale + less;
    const vf r = s * scale - (t - less);
    const vi whole = (vi)_mm512_max_epi32((__m512i)t, (__m512i)(magic - 40.0f));   /* below, nothing is left */
    return words_whole((vf)((vi)digits_polynomial(digits, r) + (whole << 23)));
}

/* A block's scores, `high` their largest, as probabilities in digits; results and totals so far are scaled to match. */
static inline __attribute__((always_inline)) void digits_probabilities(int digits, const digit_heads *h, digit_tile *t,
                                                                       const vi high[2], int64_t count)
{
    UNROLL(2)
    for (int half = 0; half < 2; half++) {
        const vf largest = digits_float(high[half]) * t->scale[half];
        const vf best = (vf)_mm512_roundscale_ps((__m512)largest, _MM_FROUND_TO_POS_INF);
        const vf top = vmax(t->top[half], best), shrink = vexp2_below(t->top[half] - top), less = 12582912.0f - best;
        vi sum = {0};
        if (_mm512_movepi32_mask((__m512i)(top > t->top[half])))
            for (int64_t k = 0; k < h->j.width; k++) {
                float *o = t->o + k * DIGIT_QUERIES + half * V;
                store(o, load(o) * shrink);
            }
        for (int64_t k = 0; k < count; k += DIGIT_DEPTH)
            for (int l = 0; l < DIGIT_ROWS; l++) {
                vi x[4];
                UNROLL(4)
                for (int i = 0; i < 4; i++) {
                    const int64_t at = k + V * i + l;
                    x[i] = (vi){0};
                    if (at < count)
                        x[i] = digits_power(digits, digits_float(load_whole(t->s + at * DIGIT_QUERIES + half * V)),
                                            t->scale[half], less);
                    sum += x[i];   /* at most 2^23 in each of 128 */
                }
                digits_split_whole(digits, t->p + (k / DIGIT_DEPTH * 2 + half) * digits * DIGIT_TILE + l * 64,
                                   DIGIT_TILE, x);
            }
        t->factor[half] = vexp2_below(best - top) * (1 / digits_one(digits));
        t->total[half] = t->total[half] * shrink + __builtin_convertvector(sum, vf) * t->factor[half];
        t->top[half] = top;
    }
}

/* o += values of one block times its probabilities. */
static inline __attribute__((always_inline)) void digits_results(int digits, const digit_heads *h, digit_tile *t,
                                                                 const char *values, const float *scale, int64_t count)
{
    const int64_t steps = (count + DIGIT_DEPTH - 1) / DIGIT_DEPTH, tiles = h->j.width / DIGIT_ROWS;
    digit_sums sum[2] __attribute__((aligned(64)));
    digit_store none = {.left = 0};
    for (int64_t i = 0; i <= tiles; i++) {
        const digit_rows tile = {.a = values + i * DIGIT_STEPS * digits * DIGIT_TILE,
                                 .step = DIGIT_STEPS * digits * 64};
        if (i < tiles) digits_run(digits, sum[i % 2], &tile, t->p, steps, &none, 0);
        float *o = t->o + (i - 1) * DIGIT_ROWS * DIGIT_QUERIES;
        for (int64_t r = 0; i > 0 && r < DIGIT_ROWS; r++, o += DIGIT_QUERIES)
            UNROLL(2)
            for (int half = 0; half < 2; half++) {
                const vf x = digits_float(digits_sum(digits, sum[(i - 1) % 2][0][0][r], half));
                store(o + half * V, load(o + half * V) + x * (t->factor[half] * scale[(i - 1) * DIGIT_ROWS + r]));
            }
    }
}

/* A tile's results and log-sum-exps. */
static void digits_finish(const digit_heads *h, const call *c, int64_t b, int64_t head, int64_t first,
                          const digit_tile *t)
{
    const attention_job *j = &h->j;
    const bool any = attention_limit(j, b) > 0;
    float *out = (float *)c->out + (b * j->lq + first) * j->c + head * j->width;
    float *lse = c->part[0] ? (float *)c->part[0] + (b * j->heads + head) * j->lq + first : NULL;
    for (int half = 0; half < 2; half++) {
        const int64_t left = t->rows - half * V;
        const vf inverse = any ? 1.0f / t->total[half] : splat(0);
        for (int64_t k = 0; k < h->j.width; k += V) {
            __m512i r[DIGIT_ROWS];
            UNROLL(16)
            for (int i = 0; i < DIGIT_ROWS; i++)
                r[i] = (__m512i)(load(t->o + (k + i) * DIGIT_QUERIES + half * V) * inverse);
            digits_turn(r);
            for (int64_t i = 0; i < DIGIT_ROWS && i < left; i++)
                store(out + (half * V + i) * j->c + k, (vf)r[i]);
        }
        for (int64_t i = 0; lse && i < V && i < left; i++)
            lse[half * V + i] = any ? t->top[half][i] / LOG2_E + logf(t->total[half][i]) : -INFINITY;
    }
}

typedef struct digits_attention_run {
    digit_heads h;
    const call *c;
    float *heads, *own;
} digits_attention_run;

/* Tile t of queries from q on, before any key. own: digit_tile_floats. k_scale: keys'. */
static inline __attribute__((always_inline)) void digits_begin(int digits, const digit_heads *h, digit_tile *t,
                                                               const float *q, float k_scale, float *own)
{
    float scale[DIGIT_QUERIES];
    t->q = (char *)own;
    t->o = own + 2 * h->steps * digits * DIGIT_TILE / 4;
    digits_pack_queries(digits, h, t->q, scale, q, t->rows);
    for (int half = 0; half < 2; half++) {
        t->scale[half] = load(scale + half * V) * (h->j.scale * LOG2_E * k_scale);
        t->top[half] = splat(-INFINITY);
        t->total[half] = t->scale[half] * 0.0f;
    }
    memset(t->o, 0, (size_t)(h->j.width * DIGIT_QUERIES) * sizeof *t->o);
}

/* A group of tiles of queries of one head, from row `first` on. k: that head's keys and values. */
static inline __attribute__((always_inline)) void digits_queries(int digits, const digits_attention_run *r, int64_t b,
                                                                 int64_t head, int64_t first, const float *k,
                                                                 float *own)
{
    const digit_heads *h = &r->h;
    const attention_job *j = &h->j;
    const int64_t limit = attention_limit(j, b), value = h->j.width / DIGIT_ROWS * DIGIT_STEPS * digits * DIGIT_TILE;
    const float *q = (const float *)r->c->in[0] + (b * j->lq + first) * j->c + head * j->width;
    const float *v = k + h->k_size, *k_scale = v + h->v_size, *v_scale = k_scale + h->k_scales;
    const int64_t panel = 2 * DIGIT_STEPS * digits * DIGIT_TILE / 4, key = h->steps * digits * DIGIT_TILE / DIGIT_ROWS;
    digit_tile tile[DIGIT_GROUP];
    int tiles = 0;
    for (int64_t at = first; tiles < DIGIT_GROUP && at < j->lq; at += DIGIT_QUERIES, tiles++) {
        digit_tile *t = &tile[tiles];
        t->rows = j->lq - at < DIGIT_QUERIES ? j->lq - at : DIGIT_QUERIES;
        t->p = (char *)own;
        t->s = (int32_t *)(own + panel);
        digits_begin(digits, h, t, q + (at - first) * j->c, *k_scale,
                     own + panel + DIGIT_KEYS * DIGIT_QUERIES + tiles * digit_tile_floats(h));
    }
    for (int64_t at = 0; at < limit; at += DIGIT_KEYS) {
        const int64_t count = limit - at < DIGIT_KEYS ? limit - at : DIGIT_KEYS, block = at / DIGIT_KEYS;
        for (int i = 0; i < tiles; i++) {
            vi high[2] = {INT32_MIN - (vi){0}, INT32_MIN - (vi){0}};
            digits_scores(digits, h, &tile[i], (const char *)k + at * key, count, high);
            digits_probabilities(digits, h, &tile[i], high, count);
            digits_results(digits, h, &tile[i], (const char *)v + block * value, v_scale + block * h->j.width, count);
        }
    }
    for (int i = 0; i < tiles; i++) digits_finish(h, r->c, b, head, first + i * DIGIT_QUERIES, &tile[i]);
}

static inline __attribute__((always_inline)) void digits_head(int digits, const digits_attention_run *r, int64_t i)
{
    const digit_heads *h = &r->h;
    const attention_job *j = &h->j;
    const int64_t at = i / j->heads * j->lk * j->c + i % j->heads * j->width;
    const float *v = (const float *)r->c->in[2] + at;
    const int64_t keys = attention_keys(j, i / j->heads);
    float *k = r->heads + i * digit_head_floats(h), *v_to = k + h->k_size, *k_scale = v_to + h->v_size;
    float *v_scale = k_scale + h->k_scales;
    *k_scale = digits_pack_keys(digits, h, (char *)k, (const float *)r->c->in[1] + at, keys);
    char *to = (char *)v_to;
    for (int64_t b = 0; b * DIGIT_KEYS < keys; b++) {
        const int64_t left = keys - b * DIGIT_KEYS, count = left < DIGIT_KEYS ? left : DIGIT_KEYS;
        for (int64_t w = 0; w < h->j.width; w += DIGIT_ROWS, to += DIGIT_STEPS * digits * DIGIT_TILE)
            digits_pack_values(digits, h, to, v_scale + b * h->j.width + w, v + b * DIGIT_KEYS * j->c + w, count);
    }
}

static void digits_heads_span(const void *ctx, span s, int worker)
{
    const digits_attention_run *r = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        if (r->h.digits == 3) digits_head(3, r, i);
        else digits_head(2, r, i);
    }
}

static void digits_queries_span(const void *ctx, span s, int worker)
{
    const digits_attention_run *r = ctx;
    const digit_heads *h = &r->h;
    float *own = r->own + worker * digit_thread_floats(h);
    tiles_begin();
    for (int64_t i = s.first; i < s.end; i++) {
        const attention_item at = attention_item_of(&h->j, h->groups, i);
        const int64_t first = at.tile * DIGIT_GROUP * DIGIT_QUERIES;
        const float *k = r->heads + at.keys * digit_head_floats(h);
        if (h->digits == 3) digits_queries(3, r, at.b, at.head, first, k, own);
        else digits_queries(2, r, at.b, at.head, first, k, own);
    }
    tiles_end();
}

static void digits_attention(const call *c)
{
    digits_attention_run r = {.h = digit_heads_of(c->be, c->n), .c = c, .heads = c->scratch};
    attention_job *j = &r.h.j;
    j->lens = c->in[3];
    r.own = r.heads + j->b / j->r * j->heads * digit_head_floats(&r.h);
    attention_spans(c, j, digits_heads_span, 4, digits_queries_span, r.h.groups, DIGIT_GROUP * DIGIT_QUERIES / 32.0,
                    &r);
}
