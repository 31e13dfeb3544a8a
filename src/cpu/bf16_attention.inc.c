/* Fused attention by tiles of bf16 (16 rows by 16 columns, 32 deep), for --int8: 8 bits of each number. Unlike digits'
 * its sums are floats, and its probabilities have a float's range: they may be beside any score that is not far below
 * the largest, so that scores are looked at once.
 *
 * Queries are rows and keys columns: scores [queries][keys] = Q K^T, results [queries][width] = P V. A chunk is 32
 * keys; probabilities and values of its keys i and 16 + i stand beside each other, as that is how two vectors join. */

enum {
    BF16_QUERIES = 2 * DIGIT_ROWS,     /* of a tile */
    BF16_CHUNK = 32,                   /* keys, numbers of a head's width: the depth of a tile of bf16 */
    BF16_KEYS = 128,                   /* of a block */
    BF16_GROUP = 4,                    /* tiles of queries that take a block of keys in turn */
    BF16_SOME = 8,                     /* rows of probabilities made beside four products of tiles */
};

/* Sizes of one head's keys and values in bf16. */
typedef struct bf16_heads {
    attention_job j;
    int64_t wide, steps;               /* a head's width in whole chunks, in chunks */
    int64_t chunks, groups;            /* of keys; of tiles of queries */
    int64_t chunk;                     /* bytes of a chunk's keys, [2][steps] tiles; of its values, [wide/16] */
} bf16_heads;

static bf16_heads bf16_heads_of(const node *n)
{
    bf16_heads h = {.j = attention_sizes(n)};
    h.wide = round_up(h.j.width, BF16_CHUNK);
    h.steps = h.wide / BF16_CHUNK;
    h.chunks = (h.j.lk + BF16_CHUNK - 1) / BF16_CHUNK;
    h.groups = (h.j.lq + BF16_GROUP * BF16_QUERIES - 1) / (BF16_GROUP * BF16_QUERIES);
    h.chunk = 2 * h.steps * DIGIT_TILE;
    return h;
}

static bool bf16_attention_fit(const backend *be, const node *n)
{
    return cpu_of(be)->bytes && tiles_attention_fit(n);
}

/* Floats of one head's keys and values, behind which is the keys' largest number. */
static int64_t bf16_largest_at(const bf16_heads *h)
{
    return 2 * h->chunks * h->chunk / 4;
}

static int64_t bf16_head_floats(const bf16_heads *h)
{
    return bf16_largest_at(h) + LINE;
}

/* Of a tile: queries, results, totals. */

static int64_t bf16_tile_floats(const bf16_heads *h)
{
    return h->chunk / 4 + BF16_QUERIES * (h->wide + V);
}

/* Of a thread: scores of a block, probabilities of two, a tile, and tiles of queries. */
static int64_t bf16_thread_floats(const bf16_heads *h)
{
    return BF16_QUERIES * 2 * BF16_KEYS + DIGIT_TILE / 4 + BF16_GROUP * bf16_tile_floats(h);
}

static size_t bf16_attention_scratch(const backend *be, const node *n)
{
    const bf16_heads h = bf16_heads_of(n);
    return (size_t)(h.j.b / h.j.r * h.j.heads * bf16_head_floats(&h) + be->threads * bf16_thread_floats(&h)) *
           sizeof(float);
}

/* ---- to bf16 ---- */

/* Two vectors of floats, one after the other. */
static inline vi bf16_of(vf first, vf second)
{
    return (vi)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

/* Row x of a head times `by`, to `steps` rows of tiles; returns the largest number in it. */
static inline vf bf16_row(const bf16_heads *h, char *to, const float *x, float by)
{
    vf top = splat(0);
    for (int64_t k = 0; k < h->j.width; k += BF16_CHUNK, to += DIGIT_TILE) {
        const vf a = load(x + k), b = k + V < h->j.width ? load(x + k + V) : splat(0);
        top = digits_larger(digits_larger(top, a), b);
        store_whole(to, bf16_of(a * by, b * by));
    }
    return top;
}

/* A chunk of `count` keys, c apart, as columns. */
static vf bf16_keys(const bf16_heads *h, char *to, const float *k, int64_t count)
{
    vf top = splat(0);
    for (int half = 0; half < 2; half++, to += h->steps * DIGIT_TILE) {
        char rows[DIGIT_WIDTH / BF16_CHUNK * DIGIT_TILE] = {0};
        for (int64_t i = 0; i < DIGIT_ROWS && half * DIGIT_ROWS + i < count; i++)
            top = digits_larger(top, bf16_row(h, rows + i * 64, k + (half * DIGIT_ROWS + i) * h->j.c, 1));
        for (int64_t s = 0; s < h->steps; s++) digits_turn_tile(to + s * DIGIT_TILE, 64, rows + s * DIGIT_TILE);
    }
    return top;
}

/* A chunk of `count` values, c apart, in pairs. */
static void bf16_values(const bf16_heads *h, char *to, const float *v, int64_t count)
{
    static const int16_t order[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    for (int64_t w = 0; w < h->wide; w += V)
        for (int64_t i = 0; i < DIGIT_ROWS; i++, to += 64) {
            const bool inside = w < h->j.width;
            const vf a = inside && i < count ? load(v + i * h->j.c + w) : splat(0);
            const vf b = inside && i + V < count ? load(v + (i + V) * h->j.c + w) : splat(0);
            store_whole(to, (vi)_mm512_permutexvar_epi16((__m512i)load_whole(order), (__m512i)bf16_of(a, b)));
        }
}

/* ---- a tile of queries ---- */

typedef struct bf16_tile {
    int64_t rows;
    char *q;                           /* [2][steps] tiles, times attention's scale in powers of 2 */
    float *o, *total;                  /* [queries][wide]; [queries][V], the sum of probabilities V times */
    float top[BF16_QUERIES];           /* what 2^(score - top) is beside: a whole number */
    float less[BF16_QUERIES];          /* BF16_MAGIC - top */
} bf16_tile;

/* 1.5 * 2^16 + 127: a float near it has a 128th as its last digit, and 127 * 128, a bf16's 1, more than the bits of
 * 1.5 * 2^16 when what was added to it is 0. */
static const float BF16_MAGIC = 98431.0f;

enum {
    BF16_ZERO = 0x47c00000,            /* the bits of 1.5 * 2^16: there 2^-127 would be */
    BF16_MOST = BF16_ZERO + (127 + 40) * 128,
};

/* 2^(a - top) and 2^(b - top) of scores as bf16, each within 7e-3, 2.3e-3 on average. less: BF16_MAGIC - top. high: the
 * largest of the bits looked at. The sixteen bits begin as a power's whole part and its 128ths n; 2^(n/128) is a little
 * less than 1 + n/128: in 128ths, what `excess` has for every two n. */
static inline __attribute__((always_inline)) vi bf16_powers(vf a, vf b, vf less, vi *high)
{
    static const uint8_t excess[64] = {0,  1,  1,  2,  2,  3,  4,  4,  5,  5,  5,  6,  6,  7,  7,  8,
                                       8,  8,  9,  9,  9,  9,  10, 10, 10, 10, 10, 11, 11, 11, 11, 11,
                                       11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 10, 10, 10, 9,  9,
                                       9,  8,  8,  8,  7,  7,  6,  6,  5,  5,  4,  3,  3,  2,  1,  1};
    const __m512i t = (__m512i)(a + less), u = (__m512i)(b + less), zero = _mm512_set1_epi32(BF16_ZERO);
    *high = (vi)_mm512_max_epi32((__m512i)*high, _mm512_max_epi32(t, u));
    const __m512i n = (__m512i)words_pair((vi)_mm512_max_epi32(t, zero), (vi)_mm512_max_epi32(u, zero));
    const __m512i more = _mm512_maskz_permutexvar_epi8(0x5555555555555555, _mm512_srli_epi16(n, 1),
                                                       _mm512_loadu_si512(excess));
    return (vi)_mm512_sub_epi16(n, more);
}

/* Probabilities yet to be made of a chunk's scores, beside t->top: two tiles. That is done row by row between tile
 * instructions, which leave the rest of the processor idle. */
typedef struct bf16_rows {
    const float *s, *less;             /* less: as in bf16_powers, a row's */
    char *p;
    int64_t left;                      /* rows */
    vi high;
} bf16_rows;

static inline __attribute__((always_inline)) void bf16_probabilities(bf16_rows *r, int64_t rows)
{
    for (; rows > 0 && r->left > 0; rows--, r->left--, r->s += BF16_CHUNK, r->p += 64, r->less++)
        store_whole(r->p, bf16_powers(load(r->s), load(r->s + V), splat(*r->less), &r->high));
}

/* Scores of a chunk, [queries][32]. */
static inline __attribute__((always_inline)) void bf16_scores(const bf16_heads *h, float *s, const char *q,
                                                               const char *k, bf16_rows *beside)
{
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    for (int64_t i = 0; i < h->steps; i++, q += DIGIT_TILE, k += DIGIT_TILE) {
        AMX_LOAD(4, q);
        AMX_LOAD(6, k);
        AMX_LOAD(7, k + h->steps * DIGIT_TILE);
        AMX_LOAD(5, q + h->steps * DIGIT_TILE);
        AMX_DOT_BF16(0, 4, 6);
        AMX_DOT_BF16(1, 4, 7);
        AMX_DOT_BF16(2, 5, 6);
        AMX_DOT_BF16(3, 5, 7);
        bf16_probabilities(beside, BF16_SOME);
    }
    const int64_t step = BF16_CHUNK * sizeof *s, half = DIGIT_ROWS * BF16_CHUNK;
    AMX_STORE_ROWS(0, s, step);
    AMX_STORE_ROWS(1, s + V, step);
    AMX_STORE_ROWS(2, s + half, step);
    AMX_STORE_ROWS(3, s + half + V, step);
}

/* Probabilities of a block for one tile of queries, [chunk][2] tiles, and what they are yet to be multiplied by. */
typedef struct bf16_product {
    const bf16_tile *t;
    const char *p, *v;
    int64_t chunks, next, parts;       /* of two tiles of a head's width, and of the totals */
} bf16_product;

/* o += P V for two tiles of the width. */
static inline __attribute__((always_inline)) void bf16_results(const bf16_heads *h, const bf16_product *b, int64_t w,
                                                                bf16_rows *beside)
{
    const int64_t step = h->wide * (int64_t)sizeof(float);
    float *o = b->t->o + w * 2 * V, *low = o + DIGIT_ROWS * h->wide;
    const char *p = b->p, *v = b->v + w * 2 * DIGIT_TILE;
    AMX_LOAD_ROWS(0, o, step);
    AMX_LOAD_ROWS(1, o + V, step);
    AMX_LOAD_ROWS(2, low, step);
    AMX_LOAD_ROWS(3, low + V, step);
    for (int64_t c = 0; c < b->chunks; c++, p += 2 * DIGIT_TILE, v += h->chunk) {
        AMX_LOAD(4, p);
        AMX_LOAD(6, v);
        AMX_LOAD(7, v + DIGIT_TILE);
        AMX_LOAD(5, p + DIGIT_TILE);
        AMX_DOT_BF16(0, 4, 6);
        AMX_DOT_BF16(1, 4, 7);
        AMX_DOT_BF16(2, 5, 6);
        AMX_DOT_BF16(3, 5, 7);
        bf16_probabilities(beside, BF16_SOME);
    }
    AMX_STORE_ROWS(0, o, step);
    AMX_STORE_ROWS(1, o + V, step);
    AMX_STORE_ROWS(2, low, step);
    AMX_STORE_ROWS(3, low + V, step);
}

/* The totals, which are products by 1. */
static inline __attribute__((always_inline)) void bf16_totals(const bf16_product *b, const char *ones,
                                                               bf16_rows *beside)
{
    float *total = b->t->total;
    AMX_LOAD(0, total);
    AMX_LOAD(1, total + DIGIT_ROWS * V);
    AMX_LOAD(6, ones);
    for (int64_t c = 0; c < b->chunks; c++) {
        AMX_LOAD(4, b->p + 2 * c * DIGIT_TILE);
        AMX_LOAD(5, b->p + (2 * c + 1) * DIGIT_TILE);
        AMX_DOT_BF16(0, 4, 6);
        AMX_DOT_BF16(1, 5, 6);
        bf16_probabilities(beside, BF16_SOME / 2);
    }
    AMX_STORE(0, total);
    AMX_STORE(1, total + DIGIT_ROWS * V);
}

/* `parts` more of a product. */
static inline __attribute__((always_inline)) void bf16_multiply(const bf16_heads *h, bf16_product *b, const char *ones,
                                                                 int64_t parts, bf16_rows *beside)
{
    for (; parts > 0 && b->next < b->parts; parts--, b->next++) {
        if (b->next == 0) bf16_totals(b, ones, beside);
        else bf16_results(h, b, b->next - 1, beside);
    }
}

/* Raises t->top to a block's scores; results and totals so far are scaled to match. */
static void bf16_look(const bf16_heads *h, bf16_tile *t, const float *s, int64_t chunks)
{
    for (int i = 0; i < BF16_QUERIES; i++) {
        vf high = splat(-INFINITY);
        for (int64_t c = 0; c < chunks; c++) {
            const float *from = s + (c * BF16_QUERIES + i) * BF16_CHUNK;
            high = vmax(high, vmax(load(from), load(from + V)));
        }
        const float best = ceilf(vtop(high)), top = best > t->top[i] ? best : t->top[i];
        const vf shrink = vexp2_below(splat(t->top[i] - top));
        t->top[i] = top;
        t->less[i] = BF16_MAGIC - top;
        store(t->total + i * V, load(t->total + i * V) * shrink);
        for (int64_t w = 0; w < h->wide; w += V) {
            float *o = t->o + i * h->wide + w;
            store(o, load(o) * shrink);
        }
    }
}

/* What a thread works in. */
typedef struct bf16_own {
    float *s;                          /* scores of a block, [chunk][queries][32] */
    char *p;                           /* probabilities of two */
    char *ones;                        /* a tile */
    bf16_product before;               /* what is yet to be done with the other's probabilities */
} bf16_own;

/* Scores of chunk c of a block of `count` keys; keys that are not there have the lowest. */
static inline __attribute__((always_inline)) void bf16_chunk(const bf16_heads *h, const bf16_tile *t, float *s,
                                                              const char *k, int64_t c, int64_t count,
                                                              bf16_rows *beside)
{
    bf16_scores(h, s, t->q, k + c * h->chunk, beside);
    for (int64_t i = 0; count < (c + 1) * BF16_CHUNK && i < BF16_QUERIES; i++)
        for (int64_t n = count - c * BF16_CHUNK; n < BF16_CHUNK; n++) s[i * BF16_CHUNK + n] = -INFINITY;
}

/* Probabilities of a block of `count` keys for one tile of queries, beside t->top, or, where `look`, beside their own.
 * Tiles multiply meanwhile: the next chunk's scores, and the probabilities before. Returns false if t->top was too
 * low. */
static inline bool bf16_block(const bf16_heads *h, bf16_tile *t, const char *k, int64_t count, bool look, char *p,
                              bf16_own *own)
{
    const int64_t chunks = (count + BF16_CHUNK - 1) / BF16_CHUNK, size = BF16_QUERIES * BF16_CHUNK;
    const int64_t share = (own->before.parts + chunks - 1) / chunks, kept = look ? chunks : 2;
    bf16_rows rows = {.high = BF16_ZERO - (vi){0}};
    for (int64_t c = 0; c < (look ? chunks : 1); c++) bf16_chunk(h, t, own->s + c * size, k, c, count, &rows);
    if (look) bf16_look(h, t, own->s, chunks);
    for (int64_t c = 0; c < chunks; c++) {
        rows.s = own->s + c % kept * size;
        rows.p = p + 2 * c * DIGIT_TILE;
        rows.less = t->less;
        rows.left = BF16_QUERIES;
        if (!look && c + 1 < chunks) bf16_chunk(h, t, own->s + (c + 1) % kept * size, k, c + 1, count, &rows);
        bf16_multiply(h, &own->before, own->ones, share, &rows);
        bf16_probabilities(&rows, BF16_QUERIES);
    }
    return _mm512_reduce_max_epi32((__m512i)rows.high) <= BF16_MOST;
}

/* Before any key. largest: of keys, bits of infinity or NaN if there is one. */
static void bf16_begin(const bf16_heads *h, bf16_tile *t, const float *q, vf largest, float *own)
{
    t->q = (char *)own;
    t->o = own + h->chunk / 4;
    t->total = t->o + BF16_QUERIES * h->wide;
    memset(own, 0, (size_t)bf16_tile_floats(h) * sizeof *own);
    for (int64_t i = 0; i < BF16_QUERIES; i++) {
        t->top[i] = -INFINITY;
        if (i >= t->rows) continue;
        char *to = t->q + (i / DIGIT_ROWS * h->steps * DIGIT_ROWS + i % DIGIT_ROWS) * 64;
        const vf top = bf16_row(h, to, q + i * h->j.c, h->j.scale * LOG2_E);
        store(t->total + i * V, splat(digits_top_of(top)) * 0.0f + largest * 0.0f);
    }
}

typedef struct bf16_run {
    bf16_heads h;
    const call *c;
    float *heads, *own;
} bf16_run;

static void bf16_finish(const bf16_run *r, int64_t b, int64_t head, int64_t first, const bf16_tile *t)
{
    const bf16_heads *h = &r->h;
    const attention_job *j = &h->j;
    const bool any = attention_limit(j, b) > 0;
    float *lse = r->c->part[0] ? (float *)r->c->part[0] + (b * j->heads + head) * j->lq + first : NULL;
    for (int64_t i = 0; i < t->rows; i++) {
        float *out = (float *)r->c->out + (b * j->lq + first + i) * j->c + head * j->width;
        const float total = t->total[i * V], inverse = any ? 1 / total : 0;
        for (int64_t w = 0; w < j->width; w += V) store(out + w, load(t->o + i * h->wide + w) * inverse);
        if (lse) lse[i] = any ? t->top[i] / LOG2_E + logf(total) : -INFINITY;
    }
}

/* A group of tiles of queries of one head, from row `first` on. k: that head's keys and values. */
static void bf16_queries(const bf16_run *r, int64_t b, int64_t head, int64_t first, const float *k, float *memory)
{
    const bf16_heads *h = &r->h;
    const attention_job *j = &h->j;
    const int64_t limit = attention_limit(j, b), per_block = BF16_KEYS / BF16_CHUNK;
    const char *keys = (const char *)k, *values = keys + h->chunks * h->chunk;
    const vf largest = splat(k[bf16_largest_at(h)]);
    bf16_own own = {.s = memory, .p = (char *)(memory + BF16_QUERIES * BF16_KEYS)};
    own.ones = own.p + 2 * BF16_QUERIES * BF16_KEYS * 2;
    bf16_tile tile[BF16_GROUP];
    bf16_rows none = {.left = 0};
    int tiles = 0, turn = 0;
    for (int i = 0; i < DIGIT_ROWS; i++) store_whole(own.ones + i * 64, 0x3f803f80 - (vi){0});
    for (int64_t row = first; tiles < BF16_GROUP && row < j->lq; row += BF16_QUERIES, tiles++) {
        tile[tiles].rows = j->lq - row < BF16_QUERIES ? j->lq - row : BF16_QUERIES;
        bf16_begin(h, &tile[tiles], (const float *)r->c->in[0] + (b * j->lq + row) * j->c + head * j->width, largest,
                   (float *)(own.ones + DIGIT_TILE) + tiles * bf16_tile_floats(h));
    }
    for (int64_t n = 0; n * BF16_KEYS < limit; n++)
        for (int i = 0; i < tiles; i++, turn ^= 1) {
            const int64_t count = limit - n * BF16_KEYS < BF16_KEYS ? limit - n * BF16_KEYS : BF16_KEYS;
            const char *key = keys + n * per_block * h->chunk;
            char *p = own.p + turn * BF16_QUERIES * BF16_KEYS * 2;
            if (!bf16_block(h, &tile[i], key, count, n == 0, p, &own))
                bf16_block(h, &tile[i], key, count, true, p, &own);
            own.before = (bf16_product){&tile[i], p, values + n * per_block * h->chunk,
                                        (count + BF16_CHUNK - 1) / BF16_CHUNK, 0, 1 + h->steps};
        }
    bf16_multiply(h, &own.before, own.ones, own.before.parts, &none);
    for (int i = 0; i < tiles; i++) bf16_finish(r, b, head, first + i * BF16_QUERIES, &tile[i]);
}

/* Item i: keys and values of head i % heads of row i / heads. */
static void bf16_heads_span(const void *ctx, span s, int worker)
{
    const bf16_run *r = ctx;
    const bf16_heads *h = &r->h;
    const attention_job *j = &h->j;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const int64_t at = i / j->heads * j->lk * j->c + i % j->heads * j->width;
        const float *k = (const float *)r->c->in[1] + at, *v = (const float *)r->c->in[2] + at;
        float *head = r->heads + i * bf16_head_floats(h);
        const int64_t keys = attention_keys(j, i / j->heads);
        vf top = splat(0);
        for (int64_t c = 0; c * BF16_CHUNK < keys; c++) {
            const int64_t left = keys - c * BF16_CHUNK, row = c * BF16_CHUNK * j->c;
            top = digits_larger(top, bf16_keys(h, (char *)head + c * h->chunk, k + row, left));
            bf16_values(h, (char *)head + (h->chunks + c) * h->chunk, v + row, left);
        }
        head[bf16_largest_at(h)] = digits_top_of(top);
    }
}

static void bf16_queries_span(const void *ctx, span s, int worker)
{
    const bf16_run *r = ctx;
    tiles_begin();
    for (int64_t i = s.first; i < s.end; i++) {
        const attention_item at = attention_item_of(&r->h.j, r->h.groups, i);
        bf16_queries(r, at.b, at.head, at.tile * BF16_GROUP * BF16_QUERIES,
                     r->heads + at.keys * bf16_head_floats(&r->h), r->own + worker * bf16_thread_floats(&r->h));
    }
    tiles_end();
}

static void bf16_attention(const call *c)
{
    bf16_run r = {.h = bf16_heads_of(c->n), .c = c, .heads = c->scratch};
    attention_job *j = &r.h.j;
    j->lens = c->in[3];
    r.own = r.heads + j->b / j->r * j->heads * bf16_head_floats(&r.h);
    attention_spans(c, j, bf16_heads_span, 4, bf16_queries_span, r.h.groups, BF16_GROUP * BF16_QUERIES / 64.0, &r);
}

/* Attention by the tiles that a mode takes, or none. */
static size_t tiles_attention_scratch(const backend *be, const node *n)
{
    if (bf16_attention_fit(be, n)) return bf16_attention_scratch(be, n);
    return digits_attention_fit(n) ? digits_attention_scratch(be, n) : attention_scratch(be, n);
}

static void tiles_attention(const call *c)
{
    if (bf16_attention_fit(c->be, c->n)) bf16_attention(c);
    else if (digits_attention_fit(c->n)) digits_attention(c);
    else fast_attention(c);
}

/* Of bf16 the instruction does half as many operations as of integers. */
static double tiles_attention_tiles(const backend *be, const node *n)
{
    if (bf16_attention_fit(be, n)) return 2 * node_flops(n);
    return digits_attention_fit(n) ? node_flops(n) * digits_width(be)->digit_work : 0;
}
