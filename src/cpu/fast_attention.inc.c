/* Fused attention: tiles of queries against blocks of keys with a running sum and the first block's maximum, raised
 * only where sums become too large without; the score matrix is never stored. The gradient computes the probabilities
 * again from the log-sum-exp. Products are gemm.inc.c's tiles. q [b,lq,c], k v [b/r,lk,c], c = heads * width. */

enum {
    QUERIES = V == 16 ? 96 : 8 * TILE_ROWS,     /* of a tile, at most */
    KEYS = V == 8 ? 256 : 128,                  /* of a block, at most */
    POWERS_MOST = 1 << 30,                      /* sum of a row of a block that is larger than its maximum allows */
};

static const float LOG2_E = 1.44269504f;

typedef struct attention_job {
    int64_t b, r, lq, lk, c, width, heads;
    int64_t wide;                /* width in whole panels */
    int64_t long_lk;             /* lk in whole panels */
    int64_t queries, keys;       /* of a tile and of a block: scores fit L1; a wide head's keys serve more queries */
    bool ask;                    /* for the next panel of keys or values, as a head is too large for L3 */
    float scale;
    const int32_t *lens;
} attention_job;

static attention_job attention_sizes(const node *n)
{
    const shape q = n->in[0]->shape, k = n->in[1]->shape;
    attention_job j = {.b = q.dim[0], .r = q.dim[0] / k.dim[0], .lq = q.dim[1], .lk = k.dim[1], .c = q.dim[2],
                       .width = q.dim[2] / n->attr.heads, .heads = n->attr.heads, .scale = n->attr.alpha};
    j.wide = round_up(j.width, TILE_COLS);
    j.long_lk = round_up(j.lk, TILE_COLS);
    // Keys from L3 must serve many queries: AVX-512 computes so fast, and many keys don't fit L2.
    const bool tall = V == 16 || j.width > 128 || j.lk > 1024;
    j.ask = V != 16 && j.lk * j.width > 1 << 19;
    j.queries = tall ? QUERIES : QUERIES / 2;
    j.keys = tall && V != 16 ? KEYS / 2 : KEYS;
    return j;
}

static int64_t attention_limit(const attention_job *j, int64_t b)
{
    if (!j->lens) return j->lk;
    return j->lens[b] < 0 ? 0 : j->lens[b] < j->lk ? j->lens[b] : j->lk;
}

/* rows x [n, width] (c apart) as the B of products: transposed = [n/COLS][width][COLS], else [width/COLS][n][COLS]. */
static void attention_pack(const attention_job *j, float *dst, const float *x, int64_t n, bool transposed)
{
    const int64_t columns = transposed ? n : j->width, depth = transposed ? j->width : n;
    const b_steps step = transposed ? (b_steps){0, 1, j->c} : (b_steps){0, j->c, 1};
    for (int64_t i = 0; i < columns; i += TILE_COLS, dst += TILE_COLS * depth)
        pack_panel(dst, x, step, i, columns, 1, depth);
}

/* c[rows, columns] (+)= a[rows, depth] B; a's and c's buffers hold whole tiles of rows, b's panels are b_depth deep.
 * after: what is asked for during the last panel; NULL: nothing is, during any. */
static void attention_product(float *c, int64_t ldc, const float *a, int64_t lda, int64_t rows, const float *b,
                              int64_t b_depth, int64_t depth, int64_t columns, bool first, const float *after)
{
    for (int64_t jc = 0; jc < columns; jc += TILE_WIDE, b += b_depth * TILE_WIDE) {
        const float *next = jc + TILE_WIDE < columns ? b + b_depth * TILE_WIDE : after;
        ahead panel = ahead_of(after ? next : NULL, depth * TILE_WIDE, rows);
        for (int64_t i = 0; i < rows;) {
            ask_next(&panel);
            const tile_job job = {.taps = 1, .depth = depth, .b_panel = b_depth * TILE_COLS, .c_panel = TILE_COLS,
                                  .c = c + i * ldc + jc, .ldc = ldc, .rows = rows - i,
                                  .cols = round_up(columns - jc < TILE_WIDE ? columns - jc : TILE_WIDE, TILE_COLS),
                                  .first = first};
            row_ptr row[TILE_ROWS];
            for (int t = 0; t < TILE_ROWS; t++) row[t] = a + (i + t) * lda;
            i += tile_rows(&job, row, b);
        }
    }
}

/* c[rows, columns] += a^T B, a [depth, rows]. */
static void attention_product_columns(float *c, int64_t ldc, const float *a, int64_t lda, int64_t rows, const float *b,
                                      int64_t b_depth, int64_t depth, int64_t columns)
{
    for (int64_t jc = 0; jc < columns; jc += TILE_COLS, b += b_depth * TILE_COLS)
        for (int64_t i = 0; i < rows;) {
            const tile_job job = {.depth = depth, .a_step = lda, .c = c + i * ldc + jc, .ldc = ldc, .rows = rows - i,
                                  .cols = TILE_COLS};
            i += tile_columns(&job, a + i, b);
        }
}

/* `count` query rows (c apart) times the scale into a tile [whole][wide]; the rest is zero. */
static void attention_queries(const attention_job *j, float *dst, int64_t whole, const float *q, int64_t count,
                              float scale)
{
    memset(dst, 0, (size_t)(whole * j->wide) * sizeof *dst);
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < j->width; k++) dst[i * j->wide + k] = q[i * j->c + k] * scale;
}

/* Per thread: scaled queries and results [QUERIES][wide], scores [QUERIES][KEYS], top and total [QUERIES]. */
static size_t attention_thread_floats(const attention_job *j)
{
    return (size_t)(QUERIES * (2 * j->wide + KEYS + 2));
}

/* For all heads of all key rows: K transposed and V in panels; then the threads' parts. */
static size_t attention_scratch(const backend *be, const node *n)
{
    const attention_job j = attention_sizes(n);
    const int64_t heads = j.b / j.r * j.heads;
    return ((size_t)(heads * (j.long_lk * j.width + j.lk * j.wide)) +
            (size_t)be->threads * attention_thread_floats(&j)) * sizeof(float);
}

/* The running maxima of a block of scores, in powers of two; results and totals so far are scaled to match. All rows
 * before any goes on, since a row alone would wait for its maximum. */
static void attention_peaks(const attention_job *j, float *s, float *o, float *top, float *total, int64_t rows,
                            int64_t count)
{
    float shrink[QUERIES];
    for (int64_t i = 0; i < rows; i++, s += j->keys) {
        vf high = splat(top[i]);
        for (int64_t k = 0; k < count; k += V) high = vmax(high, load(s + k));
        shrink[i] = top[i];
        top[i] = vtop(high);
    }
    for (int64_t i = 0; i < rows; i += V) store_row(shrink, i, rows, vexp2_below(load_row(shrink, i, rows) -
                                                                                 load_row(top, i, rows)));
    for (int64_t i = 0; i < rows; i++, o += j->wide) {
        total[i] *= shrink[i];
        for (int64_t k = 0; k < j->wide && shrink[i] != 1; k += V) store(o + k, load(o + k) * shrink[i]);
    }
}

/* Behind the last of a block's scores, in its vector: they count as nothing. */
static void attention_pad(float *s, int64_t ld, int64_t rows, int64_t count)
{
    for (int64_t i = 0; i < rows && count % V; i++, s += ld)
        for (int64_t k = count; k < round_up(count, V); k++) s[k] = -INFINITY;
}

/* Scores of one block of keys. */
static void attention_scores(const attention_job *j, float *s, const float *q, int64_t rows, const float *keys,
                             int64_t count, const float *after)
{
    attention_product(s, j->keys, q, j->wide, rows, keys, j->width, j->width, count, true, after);
    attention_pad(s, j->keys, rows, count);
}

/* Scores s to 2^(s - top), and each row's sum. near: top is not their maximum but one of scores before them, which does
 * as well unless it is too far below: then false, and s is of no use. */
static inline __attribute__((always_inline)) bool attention_powers(bool near, const attention_job *j, float *s,
                                                                   const float *top, float *sum, int64_t rows,
                                                                   int64_t count)
{
    bool small = true;
    for (int64_t i = 0; i < rows; i++, s += j->keys) {
        vf all = splat(0);
        for (int64_t k = 0; k < count; k += V) {
            const vf x = load(s + k) - top[i], p = vexp2_below(near ? vmin(splat(126), x) : x);
            store(s + k, p);
            all += p;
        }
        sum[i] = vsum(all);
        small &= sum[i] < POWERS_MOST;
    }
    return small;
}

/* A tile's results and log-sum-exps. */
static void attention_result(const attention_job *j, const call *c, int64_t b, int64_t h, int64_t first, int64_t rows,
                             const float *o, const float *top, const float *total)
{
    const bool any = attention_limit(j, b) > 0;
    float *out = (float *)c->out + (b * j->lq + first) * j->c + h * j->width;
    float *lse = c->part[0] ? (float *)c->part[0] + (b * j->heads + h) * j->lq + first : NULL;
    for (int64_t i = 0; i < rows; i++) {
        const float inverse = any ? 1 / total[i] : 0;
        for (int64_t k = 0; k < j->width; k++) out[i * j->c + k] = o[i * j->wide + k] * inverse;
        if (lse) lse[i] = any ? top[i] / LOG2_E + logf(total[i]) : -INFINITY;
    }
}

/* One tile of queries of one head. kt, v: that head's panels. */
static void attention_tile(const attention_job *j, const call *c, int64_t b, int64_t h, int64_t first, const float *kt,
                           const float *v, float *buffer)
{
    const int64_t rows = j->lq - first < j->queries ? j->lq - first : j->queries, limit = attention_limit(j, b);
    const int64_t at = (b * j->lq + first) * j->c + h * j->width;
    float *q = buffer, *o = q + QUERIES * j->wide, *s = o + QUERIES * j->wide, *top = s + QUERIES * KEYS;
    float *total = top + QUERIES;
    attention_queries(j, q, j->queries, (const float *)c->in[0] + at, rows, j->scale * LOG2_E);
    memset(o, 0, (size_t)(j->queries * j->wide) * sizeof *o);
    for (int64_t i = 0; i < j->queries; i++) {
        top[i] = -INFINITY;
        total[i] = 0;
    }
    for (int64_t k = 0; k < limit; k += j->keys) {
        const int64_t count = limit - k < j->keys ? limit - k : j->keys;
        const float *keys = kt + k * j->width, *values = v + k * TILE_COLS;
        float sum[QUERIES];
        attention_scores(j, s, q, rows, keys, count, j->ask ? values : NULL);
        if (k == 0 || !attention_powers(true, j, s, top, sum, rows, count)) {
            if (k > 0) attention_scores(j, s, q, rows, keys, count, NULL);
            attention_peaks(j, s, o, top, total, rows, count);
            attention_powers(false, j, s, top, sum, rows, count);
        }
        for (int64_t i = 0; i < rows; i++) total[i] += sum[i];
        attention_product(o, j->wide, s, j->keys, rows, values, j->lk, count, j->width, false,
                          j->ask ? keys + count * j->width : NULL);
    }
    attention_result(j, c, b, h, first, rows, o, top, total);
}

/* Item i of all tiles of queries, `tiles` a head: its row of queries, head and tile; and of all heads of rows of keys,
 * which one it reads. */
typedef struct attention_item {
    int64_t b, head, tile, keys;
} attention_item;

static attention_item attention_item_of(const attention_job *j, int64_t tiles, int64_t i)
{
    const int64_t b = i / (j->heads * tiles), head = i / tiles % j->heads;
    return (attention_item){b, head, i % tiles, b / j->r * j->heads + head};
}

/* heads: makes keys and values of all heads ready; queries: takes all tiles of queries. Costs of an item are in keys
 * times a head's width. */
static void attention_spans(const call *c, const attention_job *j, span_job *heads, double cost, span_job *queries,
                            int64_t tiles, double tile_cost, const void *run)
{
    const double size = (double)(j->lk * j->width);
    run_spans(c->be, j->b / j->r * j->heads, 1, cost * size, heads, run);
    run_spans(c->be, j->b * j->heads * tiles, 1, tile_cost * size, queries, run);
}

typedef struct attention_run {
    const attention_job *j;
    const call *c;
    int64_t heads, tiles, kt_size, v_size;
    float *kt, *v, *own;
} attention_run;

static void attention_pack_span(const void *ctx, span s, int worker)
{
    const attention_run *r = ctx;
    const attention_job *j = r->j;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const int64_t at = i / j->heads * j->lk * j->c + i % j->heads * j->width;
        attention_pack(j, r->kt + i * r->kt_size, (const float *)r->c->in[1] + at, j->lk, true);
        attention_pack(j, r->v + i * r->v_size, (const float *)r->c->in[2] + at, j->lk, false);
    }
}

static void attention_span(const void *ctx, span s, int worker)
{
    const attention_run *r = ctx;
    const attention_job *j = r->j;
    for (int64_t i = s.first; i < s.end; i++) {
        const attention_item at = attention_item_of(j, r->tiles, i);
        attention_tile(j, r->c, at.b, at.head, at.tile * j->queries, r->kt + at.keys * r->kt_size,
                       r->v + at.keys * r->v_size, r->own + (size_t)worker * attention_thread_floats(j));
    }
}

static void fast_attention(const call *c)
{
    attention_job j = attention_sizes(c->n);
    j.lens = c->in[3];
    attention_run r = {.j = &j, .c = c, .heads = j.b / j.r * j.heads, .tiles = (j.lq + j.queries - 1) / j.queries,
                       .kt_size = j.long_lk * j.width, .v_size = j.lk * j.wide};
    r.kt = c->scratch;
    r.v = r.kt + r.heads * r.kt_size;
    r.own = r.v + r.heads * r.v_size;
    attention_spans(c, &j, attention_pack_span, 2, attention_span, r.tiles, (double)j.queries / 8, &r);
}

/* ---- gradient: one task per head of one key row; its r query rows in order, so sums are the same at every run ---- */

typedef struct grad_buffers {
    float *kt, *vt;              /* [lk/COLS][width][COLS]: K and V transposed */
    float *k;                    /* [width/COLS][lk][COLS] */
    float *dk, *dv;              /* [lk][wide] */
    float *q, *g, *dq;           /* [QUERIES][wide]: scaled queries, gradient at the result */
    float *qp, *gp;              /* [width/COLS][QUERIES][COLS]: the same as B of products */
    float *p, *ds;               /* [QUERIES][KEYS] */
    float *drift, *lse;          /* [QUERIES] */
} grad_buffers;

static size_t grad_layout(const attention_job *j, float *at, grad_buffers *u)
{
    const int64_t tile = QUERIES * j->wide, tall = (j->lk + TILE_ROWS) * j->wide;
    float **const part[] = {&u->kt, &u->vt, &u->k, &u->dk, &u->dv, &u->q, &u->g, &u->dq, &u->qp, &u->gp,
                            &u->p, &u->ds, &u->drift, &u->lse};
    const int64_t size[] = {j->long_lk * j->width, j->long_lk * j->width, j->lk * j->wide, tall, tall, tile, tile, tile,
                            tile, tile, QUERIES * KEYS + 16, QUERIES * KEYS + 16, QUERIES, QUERIES};
    size_t used = 0;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        *part[i] = at ? at + used : NULL;
        used += (size_t)round_up(size[i], 16);
    }
    return used;
}

static size_t attention_grad_scratch(const backend *be, const node *n)
{
    const attention_job j = attention_sizes(n);
    grad_buffers u;
    return (size_t)be->threads * grad_layout(&j, NULL, &u) * sizeof(float);
}

/* Probabilities from scores, in p; and ds = p (dp - drift) from dp, in ds. */
static void grad_scores(const grad_buffers *u, int64_t rows, int64_t count)
{
    for (int64_t i = 0; i < rows; i++) {
        float *p = u->p + i * KEYS, *ds = u->ds + i * KEYS;
        for (int64_t k = 0; k < count; k += V) {
            const vf e = vexp2_below((load(p + k) - u->lse[i]) * LOG2_E);
            store(p + k, e);
            store(ds + k, e * (load(ds + k) - u->drift[i]));
        }
    }
}

static void grad_tile_load(const attention_job *j, const call *c, const grad_buffers *u, int64_t b, int64_t h,
                           int64_t first, int64_t rows)
{
    const int64_t at = (b * j->lq + first) * j->c + h * j->width;
    const float *o = (const float *)c->in[3] + at, *lse = (const float *)c->in[4] + (b * j->heads + h) * j->lq + first;
    const attention_job local = {.c = j->wide, .width = j->width};
    attention_queries(j, u->q, QUERIES, (const float *)c->in[0] + at, rows, j->scale);
    attention_queries(j, u->g, QUERIES, (const float *)c->in[5] + at, rows, 1);
    attention_pack(&local, u->qp, u->q, QUERIES, false);
    attention_pack(&local, u->gp, u->g, QUERIES, false);
    memset(u->dq, 0, (size_t)(QUERIES * j->wide) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) {
        float sum = 0;
        for (int64_t k = 0; k < j->width; k++) sum += u->g[i * j->wide + k] * o[i * j->c + k];
        u->drift[i] = sum;
        u->lse[i] = lse[i];
    }
}

static void grad_tile(const attention_job *j, const call *c, const grad_buffers *u, int64_t b, int64_t h, int64_t first)
{
    const int64_t rows = j->lq - first < QUERIES ? j->lq - first : QUERIES, limit = attention_limit(j, b);
    grad_tile_load(j, c, u, b, h, first, rows);
    for (int64_t k = 0; k < limit; k += KEYS) {
        const int64_t count = limit - k < KEYS ? limit - k : KEYS;
        attention_product(u->p, KEYS, u->q, j->wide, rows, u->kt + k * j->width, j->width, j->width, count, true,
                          NULL);
        attention_product(u->ds, KEYS, u->g, j->wide, rows, u->vt + k * j->width, j->width, j->width, count, true,
                          NULL);
        grad_scores(u, rows, count);
        attention_product(u->dq, j->wide, u->ds, KEYS, rows, u->k + k * TILE_COLS, j->lk, count, j->width, false, NULL);
        attention_product_columns(u->dv + k * j->wide, j->wide, u->p, KEYS, count, u->gp, QUERIES, rows, j->width);
        attention_product_columns(u->dk + k * j->wide, j->wide, u->ds, KEYS, count, u->qp, QUERIES, rows, j->width);
    }
    float *dq = (float *)c->out + (b * j->lq + first) * j->c + h * j->width;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < j->width; k++) dq[i * j->c + k] = u->dq[i * j->wide + k] * j->scale;
}

static void grad_head(const attention_job *j, const call *c, const grad_buffers *u, int64_t row, int64_t h)
{
    const int64_t at = row * j->lk * j->c + h * j->width;
    attention_pack(j, u->kt, (const float *)c->in[1] + at, j->lk, true);
    attention_pack(j, u->vt, (const float *)c->in[2] + at, j->lk, true);
    attention_pack(j, u->k, (const float *)c->in[1] + at, j->lk, false);
    memset(u->dk, 0, (size_t)(j->lk * j->wide) * sizeof(float));
    memset(u->dv, 0, (size_t)(j->lk * j->wide) * sizeof(float));
    for (int64_t b = row * j->r; b < (row + 1) * j->r; b++)
        for (int64_t first = 0; first < j->lq; first += QUERIES) grad_tile(j, c, u, b, h, first);
    for (int64_t i = 0; i < j->lk; i++)
        for (int64_t k = 0; k < j->width; k++) {
            if (c->part[0]) ((float *)c->part[0])[at + i * j->c + k] = u->dk[i * j->wide + k];
            if (c->part[1]) ((float *)c->part[1])[at + i * j->c + k] = u->dv[i * j->wide + k];
        }
}

static void attention_grad_span(const void *ctx, span s, int worker)
{
    const attention_run *r = ctx;
    const attention_job *j = r->j;
    grad_buffers u;
    const size_t size = grad_layout(j, NULL, &u);
    grad_layout(j, r->own + (size_t)worker * size, &u);
    for (int64_t i = s.first; i < s.end; i++) grad_head(j, r->c, &u, i / j->heads, i % j->heads);
}

static void fast_attention_grad(const call *c)
{
    attention_job j = attention_sizes(c->n);
    j.lens = c->in[6];
    const attention_run r = {.j = &j, .c = c, .own = c->scratch};
    run_spans(c->be, j.b / j.r * j.heads, 1, (double)(j.r * j.lq * j.lk * j.width) / 3, attention_grad_span, &r);
}
