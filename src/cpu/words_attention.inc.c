/* Fused attention (fast_attention.inc.c) in integers of 16 bits. Queries and keys are rounded row by row over a head's
 * width, values column by column over a block of keys, and so are a query's probabilities of that block: with the
 * norm that they have, so that one that stands out keeps its digits. Softmax and sums stay in float. */

enum {
    WORDS_QUERIES = QUERIES < 72 ? QUERIES : 72,   /* of a tile, at most */
    WORDS_FEW_QUERIES = 24,      /* of one, where a head is narrow */
    WORDS_KEYS = 256,            /* of a block */
    WORDS_WIDTH = 1024,          /* of a head, at most */
};

/* Sizes of one head's keys and values in words, in floats. */
typedef struct words_heads {
    attention_job j;
    int64_t blocks, tiles;       /* of keys; of queries */
    int64_t k_size, k_scales, v_size, v_scales, row;
} words_heads;

static words_heads words_heads_of(const node *n)
{
    words_heads w = {.j = attention_sizes(n)};
    attention_job *j = &w.j;
    j->queries = j->width > 128 ? WORDS_QUERIES : WORDS_FEW_QUERIES;
    j->keys = WORDS_KEYS;
    w.blocks = (j->lk + WORDS_KEYS - 1) / WORDS_KEYS;
    w.tiles = (j->lq + j->queries - 1) / j->queries;
    w.k_size = j->long_lk * j->width / 2;
    w.k_scales = j->long_lk * words_pieces(&of_words, j->width);
    w.v_size = round_up(j->lk, 2) * j->wide / 2;
    w.v_scales = w.blocks * j->wide;
    w.row = words_stride(&of_words, j->width);
    return w;
}

static bool words_attention_fit(const node *n)
{
    const int64_t width = n->in[0]->shape.dim[2] / n->attr.heads;
    return width % 32 == 0 && width <= WORDS_WIDTH && n->in[1]->shape.dim[1] > 0;
}

static int64_t words_head_floats(const words_heads *w)
{
    return round_up(w->k_size + w->k_scales + w->v_size + w->v_scales, 16);
}

/* Queries in words, results [..][wide], scores [..][keys], probabilities in words, top and total. */
static int64_t words_thread_floats(const words_heads *w)
{
    return round_up(WORDS_QUERIES * (w->row + w->j.wide + WORDS_KEYS + WORDS_KEYS / 2 + 2), 16);
}

static size_t words_attention_scratch(const backend *be, const node *n)
{
    if (!words_attention_fit(n)) return attention_scratch(be, n);
    const words_heads w = words_heads_of(n);
    return (size_t)(w.j.b / w.j.r * w.j.heads * words_head_floats(&w) + be->threads * words_thread_floats(&w)) *
           sizeof(float);
}

/* Keys [lk, width], c apart, as panels [lk/COLS][width/2][COLS][2]; scales [lk/COLS][pieces][COLS]. */
static void words_pack_keys(const words_heads *w, int32_t *to, float *scale, const float *k)
{
    const attention_job *j = &w->j;
    const int64_t pairs = j->width / 2, pieces = words_pieces(&of_words, j->width);
    const int64_t head = words_head(&of_words, j->width);
    float row[16 + WORDS_WIDTH / 2];
    for (int64_t i = 0; i < j->long_lk; i++) {
        if (i < j->lk) words_row(row, k + i * j->c, j->width);
        else memset(row, 0, (size_t)w->row * sizeof *row);
        const int64_t panel = i / TILE_COLS, column = i % TILE_COLS;
        const int32_t *from = (const int32_t *)(row + head);
        for (int64_t p = 0; p < pieces; p++) scale[(panel * pieces + p) * TILE_COLS + column] = row[p];
        for (int64_t p = 0; p < pairs; p++) to[(panel * pairs + p) * TILE_COLS + column] = from[p];
    }
}

/* Values [lk, width], c apart, as panels [wide/COLS][lk/2][COLS][2]; scales [blocks][wide]. */
static void words_pack_values(const words_heads *w, int16_t *to, float *scale, const float *v)
{
    const attention_job *j = &w->j;
    float plain[WORDS_KEYS * TILE_COLS];
    for (int64_t col = 0; col < j->wide; col += TILE_COLS, to += round_up(j->lk, 2) * TILE_COLS)
        for (int64_t b = 0; b < w->blocks; b++) {
            const int64_t first = b * WORDS_KEYS, left = j->lk - first, count = left < WORDS_KEYS ? left : WORDS_KEYS;
            memset(plain + count * TILE_COLS, 0, count % 2 * TILE_COLS * sizeof *plain);
            for (int64_t i = 0; i < count; i++)
                memcpy(plain + i * TILE_COLS, v + (first + i) * j->c + col, TILE_COLS * sizeof *plain);
            words_pack_piece(to + first * TILE_COLS, scale + b * j->wide + col, NULL, plain, round_up(count, 2));
        }
}

/* part->to.c [rows, columns] (+)= rows times panels. */
static void words_multiply(const words_tile *part, const words_row_ptr *row, const int16_t *b, int64_t columns)
{
    words_tile t = *part;
    t.to.c_panel = TILE_COLS;
    for (int64_t col = 0; col < columns; col += TILE_WIDE) {
        t.to.cols = round_up(columns - col < TILE_WIDE ? columns - col : TILE_WIDE, TILE_COLS);
        for (int64_t i = 0; i < part->to.rows;) {
            t.to.c = part->to.c + i * t.to.ldc + col;
            t.to.rows = part->to.rows - i;
            i += words_tile_rows(&t, row + i, b);
        }
        b += TILE_PANELS * t.b_panel;
        t.scale += TILE_PANELS * t.scale_panel;
    }
}

/* As attention_scores, of keys k .. k+count-1. q: a tile's queries in words. */
static void words_scores(const words_heads *w, float *s, const float *q, int64_t rows, const float *head, int64_t k,
                         int64_t count)
{
    const attention_job *j = &w->j;
    const int64_t pieces = words_pieces(&of_words, j->width);
    words_row_ptr row[WORDS_QUERIES];
    for (int64_t p = 0; p < pieces; p++) {
        const span depth = words_piece(&of_words, j->width, p);
        for (int64_t i = 0; i < j->queries; i++) {
            const float *from = q + i * w->row;
            row[i] = (words_row_ptr){words_at(&of_words, from, j->width, depth.first), from[p] * j->scale * LOG2_E};
        }
        const words_tile scores = {.width = &of_words,
                                   .to = {.c = s, .ldc = WORDS_KEYS, .rows = rows, .first = p == 0},
                                   .groups = (depth.end - depth.first) / 2, .b_panel = j->width * TILE_COLS,
                                   .scale = head + w->k_size + (k * pieces + p * TILE_COLS),
                                   .scale_panel = pieces * TILE_COLS};
        words_multiply(&scores, row, (const int16_t *)head + k * j->width + depth.first * TILE_COLS, count);
    }
    attention_pad(s, WORDS_KEYS, rows, count);
}

/* As attention_powers; squares: the sums of theirs. */
static inline __attribute__((always_inline)) bool words_powers(bool near, float *s, const float *top, float *sum,
                                                               float *squares, int64_t rows, int64_t count)
{
    bool small = true;
    for (int64_t i = 0; i < rows; i++, s += WORDS_KEYS) {
        vf all = splat(0), all_squares = splat(0);
        for (int64_t k = 0; k < count; k += V) {
            const vf x = load(s + k) - top[i], e = words_exp2_below(near ? vmin(splat(126), x) : x);
            store(s + k, e);
            all += e;
            all_squares += e * e;
        }
        sum[i] = vsum(all);
        squares[i] = vsum(all_squares);
        small &= sum[i] < POWERS_MOST;
    }
    return small;
}

/* Rows of s, whose squares' sums are given, as words, and where they lie. */
static void words_probabilities(const float *s, const float *squares, int16_t *words, words_row_ptr *p, int64_t rows,
                                int64_t count)
{
    float norm[WORDS_QUERIES], inverse[WORDS_QUERIES];
    for (int64_t i = 0; i < rows; i++) {
        norm[i] = sqrtf(squares[i]);
        inverse[i] = words_inverse_of(norm[i]);
    }
    for (int64_t i = 0; i < rows; i++, words += WORDS_KEYS) {
        words_round(words, s + i * WORDS_KEYS, round_up(count, V), inverse[i]);
        p[i] = (words_row_ptr){(const int32_t *)words, words_scale_of(norm[i])};
    }
}

/* One tile of queries of one head. head: that head's keys and values. */
static void words_queries(const words_heads *w, const call *c, int64_t b, int64_t h, int64_t first, const float *head,
                          float *buffer)
{
    const attention_job *j = &w->j;
    const int64_t rows = j->lq - first < j->queries ? j->lq - first : j->queries, limit = attention_limit(j, b);
    const int64_t at = (b * j->lq + first) * j->c + h * j->width;
    const float *v = head + w->k_size + w->k_scales, *v_scale = v + w->v_size;
    float *q = buffer, *o = q + WORDS_QUERIES * w->row, *s = o + WORDS_QUERIES * j->wide;
    int16_t *words = (int16_t *)(s + WORDS_QUERIES * WORDS_KEYS);
    float *top = s + WORDS_QUERIES * (WORDS_KEYS + WORDS_KEYS / 2), *total = top + WORDS_QUERIES;
    words_row_ptr row[WORDS_QUERIES];
    for (int64_t i = 0; i < j->queries; i++) {
        words_row(q + i * w->row, (const float *)c->in[0] + at + (i < rows ? i : rows - 1) * j->c, j->width);
        top[i] = -INFINITY;
        total[i] = 0;
    }
    memset(o, 0, (size_t)(WORDS_QUERIES * j->wide) * sizeof *o);
    for (int64_t k = 0; k < limit; k += WORDS_KEYS) {
        const int64_t count = limit - k < WORDS_KEYS ? limit - k : WORDS_KEYS;
        float sum[WORDS_QUERIES], squares[WORDS_QUERIES];
        words_scores(w, s, q, rows, head, k, count);
        if (k == 0 || !words_powers(true, s, top, sum, squares, rows, count)) {
            if (k > 0) words_scores(w, s, q, rows, head, k, count);
            attention_peaks(j, s, o, top, total, rows, count);
            words_powers(false, s, top, sum, squares, rows, count);
        }
        for (int64_t i = 0; i < rows; i++) total[i] += sum[i];
        words_probabilities(s, squares, words, row, rows, count);
        for (int64_t i = rows; i < j->queries; i++) row[i] = row[rows - 1];
        const words_tile result = {.width = &of_words, .to = {.c = o, .ldc = j->wide, .rows = rows},
                                   .groups = (count + 1) / 2,
                                   .b_panel = round_up(j->lk, 2) * TILE_COLS,
                                   .scale = v_scale + k / WORDS_KEYS * j->wide, .scale_panel = TILE_COLS};
        words_multiply(&result, row, (const int16_t *)v + k * TILE_COLS, j->wide);
    }
    attention_result(j, c, b, h, first, rows, o, top, total);
}

typedef struct words_attention_run {
    words_heads w;
    const call *c;
    float *heads, *own;
} words_attention_run;

static void words_heads_span(const void *ctx, span s, int worker)
{
    const words_attention_run *r = ctx;
    const words_heads *w = &r->w;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const int64_t at = i / w->j.heads * w->j.lk * w->j.c + i % w->j.heads * w->j.width;
        float *k = r->heads + i * words_head_floats(w), *v = k + w->k_size + w->k_scales;
        words_pack_keys(w, (int32_t *)k, k + w->k_size, (const float *)r->c->in[1] + at);
        words_pack_values(w, (int16_t *)v, v + w->v_size, (const float *)r->c->in[2] + at);
    }
}

static void words_queries_span(const void *ctx, span s, int worker)
{
    const words_attention_run *r = ctx;
    const words_heads *w = &r->w;
    for (int64_t i = s.first; i < s.end; i++) {
        const attention_item at = attention_item_of(&w->j, w->tiles, i);
        words_queries(w, r->c, at.b, at.head, at.tile * w->j.queries, r->heads + at.keys * words_head_floats(w),
                      r->own + worker * words_thread_floats(w));
    }
}

static void words_attention(const call *c)
{
    if (!words_attention_fit(c->n)) {
        fast_attention(c);
        return;
    }
    words_attention_run r = {.w = words_heads_of(c->n), .c = c, .heads = c->scratch};
    attention_job *j = &r.w.j;
    j->lens = c->in[3];
    r.own = r.heads + j->b / j->r * j->heads * words_head_floats(&r.w);
    attention_spans(c, j, words_heads_span, 4, words_queries_span, r.w.tiles, (double)j->queries / 16, &r);
}
