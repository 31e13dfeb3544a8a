/* Winograd's F(4x4, 3x3) (winograd.inc.c) with its 36 products by tiles of digits (digits_gemm.inc.c). These are so
 * fast that bytes from L3 count: weights are transformed once for all tiles, into scratch; of a block of tiles the
 * input for six of the products fits L2, and all panels of outputs take that before the next six. */

enum {
    DIGIT_BLOCK = 128,                                /* tiles of a block, at most */
    DIGIT_FEW = 64,                                   /* of an image, for which it pays */
    DIGIT_BYTES = 1100 << 10,                         /* of six products' input, about */
    DIGIT_WEIGHTS = 48 << 20,                         /* bytes of transformed weights at a time, about */
    DIGIT_PIECE = 320,                                /* channels of a piece, at most */
    DIGIT_U_STEP = DIGIT_PIECE * TILE_COLS + LINE,    /* floats between transformed weights: odd_lines */
};

/* The kept weight of --fast: nine taps of 16 bits, as words_wino's, and what will be the largest transformed ones. */
typedef struct digit_taps {
    int16_t *taps;                     /* [panels][9][depth][TILE_COLS] */
    float *unit;                       /* [panels][TILE_COLS]: what 1 in taps means */
    float *top;                        /* [panels][pieces][36][TILE_COLS], in units */
} digit_taps;

typedef struct digit_wino {
    wino_job j;                        /* block, sums and all of the image */
    const words_width *width;
    int64_t pieces, stride;            /* of the depth; floats of a row of transformed input */
    int64_t range, first, panels;      /* panels at a time; those at hand, whose weights, scale and sums are */
    const digit_taps *taps;            /* of --fast; NULL: j.panels has floats */
    char *weights;                     /* [panels][pieces][36] of B's tiles, `piece` bytes each */
    int64_t piece;
    float *scale;                      /* [panels][pieces][36][TILE_COLS] */
    float *input;                      /* [36][block][stride]: rows in words */
    float *sums;                       /* [panels][36][block][TILE_COLS], s_step between the 36 */
    float *own;                        /* per thread: floats of weights or input */
} digit_wino;

static digit_wino digit_wino_of(const backend *be, shape x, shape y)
{
    digit_wino w = {.j = wino_sizes(x, y), .width = digits_width(be)};
    wino_job *j = &w.j;
    w.pieces = words_pieces(w.width, j->depth);
    w.stride = words_stride(w.width, j->depth);
    int64_t most = DIGIT_BYTES / (6 * 4 * w.stride);
    most = most < 32 ? 32 : most > DIGIT_BLOCK ? DIGIT_BLOCK : most;
    const int64_t blocks = (j->tiles + most - 1) / most;
    j->block = round_up((j->tiles + blocks - 1) / blocks, DIGIT_ROWS);
    j->s_step = odd_lines(j->block * TILE_COLS);
    w.piece = DIGIT_PIECE * TILE_COLS * w.width->size + 64;   /* not all in one set of L1 */
    const int64_t panels = wino_panels(j), passes = panels * w.pieces * WINO * w.piece / DIGIT_WEIGHTS + 1;
    w.range = (panels + passes - 1) / passes;
    return w;
}

/* Where it pays: weights of small images would take longer than their products, and where these may be of 8 bits, so
 * would larger ones'. (The largest weigh most in a result's error: they keep 16.) Whatever the number of images, or a
 * model that sees one and then two would keep its weights both ways. */
static bool digits_wino_fit(const backend *be, const node *n)
{
    const shape w = n->in[1]->shape, x = n->in[0]->shape;
    if (cpu_of(be)->exact || !words_fit(n) || !wino_fits(w, x, n->shape, n->attr.stride)) return false;
    if (weight_param(n)->transient && digits_width(be)->size == 2) return false;
    const wino_job j = wino_sizes(x, n->shape);
    return j.down * j.across >= (cpu_of(be)->bytes ? 4 : 1) * DIGIT_FEW;
}

/* Floats: transformed weights, their scales; transformed input; sums; per thread, those that become digits. */
static int64_t digits_wino_weights_floats(const digit_wino *w)
{
    return w->range * w->pieces * WINO * (w->piece / 4 + TILE_COLS);
}

static int64_t digits_wino_input_floats(const digit_wino *w)
{
    return round_up(WINO * w->j.block * w->stride, 16);
}

static int64_t digits_wino_sums_floats(const digit_wino *w)
{
    return w->range * WINO * w->j.s_step;
}

static int64_t digits_wino_thread_floats(const digit_wino *w)
{
    const int64_t weights = WINO * DIGIT_U_STEP, input = WINO * w->j.depth;
    return round_up(weights > input ? weights : input, 16);
}

static size_t digits_wino_scratch(const backend *be, const node *n)
{
    const digit_wino w = digit_wino_of(be, n->in[0]->shape, n->shape);
    const int64_t pack = w.width->size == 2 ? words_panel_floats(n) : 0, own = digits_wino_thread_floats(&w);
    const size_t plain = w.width->size == 3 ? pack_scratch(n, false) : 0;
    const int64_t shared = digits_wino_weights_floats(&w) + digits_wino_input_floats(&w) + digits_wino_sums_floats(&w);
    return zeros_bytes(w.j.depth) + plain + (size_t)(shared + be->threads * (own > pack ? own : pack)) * sizeof(float);
}

/* Bytes of digit_taps' memory, which begins at `at`. */
static size_t digits_taps_at(const digit_wino *w, char *at, digit_taps *t)
{
    const int64_t panels = wino_panels(&w->j), taps = panels * 9 * w->j.depth * TILE_COLS;
    t->taps = (int16_t *)at;
    t->unit = (float *)(at + (size_t)taps * sizeof(int16_t));
    t->top = t->unit + panels * TILE_COLS;
    return (size_t)taps * sizeof(int16_t) + (size_t)(panels * (1 + w->pieces * WINO) * TILE_COLS) * sizeof(float);
}

static int digits_wino_prepare(backend *be, const node *n, m2m_error *err)
{
    const digit_wino w = digit_wino_of(be, n->in[0]->shape, n->shape);
    digit_taps t;
    if (w.width->size == 3) return reserve_weight(be, n, false, err);
    return words_reserve(be, n, PACK_WORDS_WINOGRAD, digits_taps_at(&w, NULL, &t), err);
}

/* ---- weights ---- */

/* Channel c's transformed weights of V outputs, g their first tap, and tap apart. */
static inline __attribute__((always_inline)) void digits_wino_transform(vf u[WINO], bool words, const void *g,
                                                                        int64_t tap)
{
    vf t[18];
#define TAP(i) (words ? words_load((const int16_t *)g + (i) * tap) : load((const float *)g + (i) * tap))
    UNROLL(3)
    for (int i = 0; i < 3; i++) wino_weight(t + i, 3, TAP(i), TAP(3 + i), TAP(6 + i));
#undef TAP
    UNROLL(6)
    for (int i = 0; i < 6; i++) wino_weight(u + 6 * i, 1, t[3 * i], t[3 * i + 1], t[3 * i + 2]);
}

typedef struct digit_taps_job {
    const digit_wino *w;
    const param *p;
    digit_taps to;
    float *own;                        /* a panel of floats a thread */
} digit_taps_job;

/* Panels s of digit_taps. */
static void digits_taps_span(const void *ctx, span s, int worker)
{
    const digit_taps_job *q = ctx;
    const wino_job *j = &q->w->j;
    const int64_t tap = j->depth * TILE_COLS;
    float *plain = q->own + worker * 9 * tap;
    for (int64_t i = s.first; i < s.end; i++) {
        int16_t *taps = q->to.taps + i * 9 * tap;
        pack_outputs(plain, q->p->data, q->p->type, i * TILE_COLS, j->n, 9, j->depth);
        words_round_taps(taps, q->to.unit + i * TILE_COLS, plain, 9 * j->depth);
        for (int64_t n = 0; n < 2 * q->w->pieces; n++) {
            const span k = words_piece(q->w->width, j->depth, n / 2);
            vf top[WINO] = {{0}}, u[WINO];
            for (int64_t c = k.first; c < k.end; c++) {
                digits_wino_transform(u, true, taps + c * TILE_COLS + n % 2 * V, tap);
                for (int f = 0; f < WINO; f++) top[f] = digits_larger(top[f], u[f]);
            }
            for (int f = 0; f < WINO; f++)
                store(q->to.top + ((i * q->w->pieces + n / 2) * WINO + f) * TILE_COLS + n % 2 * V, top[f]);
        }
    }
}

/* The kept weight, made again when it changed. own: a panel of floats a thread. */
static digit_taps digits_wino_taps(const call *c, const digit_wino *w, float *own)
{
    const param *p = c->weight[1];
    digit_taps t;
    bool stale;
    const size_t bytes = digits_taps_at(w, NULL, &t);
    digits_taps_at(w, pack_get(&cpu_of(c->be)->packs, p, PACK_WORDS_WINOGRAD, bytes, &stale)->data, &t);
    if (!stale) return t;
    run_spans(c->be, wino_panels(&w->j), 1, 60 * (double)w->j.depth * TILE_COLS, digits_taps_span,
              &(digit_taps_job){w, p, t, own});
    param_drop_pages(p);
    return t;
}

/* Piece k of panel i in two digits. */
static void digits_wino_pack_words(const digit_wino *w, int64_t i, span k, char *to, float *scale, const float *top)
{
    const int64_t tap = w->j.depth * TILE_COLS;
    const int16_t *taps = w->taps->taps + i * 9 * tap;
    for (int half = 0; half < 2; half++) {
        const vf unit = load(w->taps->unit + i * TILE_COLS + half * V);
        vf by[WINO];
        for (int f = 0; f < WINO; f++) {
            vf scales;
            by[f] = digits_inverses(2, load(top + f * TILE_COLS + half * V), 1, &scales);
            store(scale + f * TILE_COLS + half * V, scales * unit);
        }
        for (int64_t c = k.first; c < k.end; c += DIGIT_DEPTH)
            for (int l = 0; l < DIGIT_ROWS; l++) {
                vi x[WINO][4] = {{{0}}};
                for (int n = 0; n < 4 && c + V * n + l < k.end; n++) {
                    vf u[WINO];
                    digits_wino_transform(u, true, taps + (c + V * n + l) * TILE_COLS + half * V, tap);
                    UNROLL(36)
                    for (int f = 0; f < WINO; f++) x[f][n] = words_whole(u[f] * by[f]);
                }
                char *at = to + ((c - k.first) / DIGIT_DEPTH * 2 + half) * 2 * DIGIT_TILE + l * 64;
                for (int f = 0; f < WINO; f++) digits_split_whole(2, at + f * w->piece, DIGIT_TILE, x[f]);
            }
    }
}

/* Piece k of panel i in three digits. u: DIGIT_U_STEP for each of 36. */
static void digits_wino_pack_floats(const digit_wino *w, int64_t i, span k, char *to, float *scale, float *u)
{
    const int64_t tap = w->j.depth * TILE_COLS;
    for (int64_t c = k.first; c < k.end; c++)
        for (int v = 0; v < TILE_COLS; v += V) {
            vf d[WINO];
            digits_wino_transform(d, false, w->j.panels + i * 9 * tap + c * TILE_COLS + v, tap);
            UNROLL(36)
            for (int f = 0; f < WINO; f++) store(u + f * DIGIT_U_STEP + (c - k.first) * TILE_COLS + v, d[f]);
        }
    for (int f = 0; f < WINO; f++)
        w->width->pack_piece(to + f * w->piece, scale + f * TILE_COLS, NULL, u + f * DIGIT_U_STEP, k.end - k.first);
}

/* Item i: piece i % pieces of panel first + i / pieces. */
static void digits_wino_weights_span(const void *ctx, span s, int worker)
{
    const digit_wino *w = ctx;
    for (int64_t i = s.first; i < s.end; i++) {
        const span k = words_piece(w->width, w->j.depth, i % w->pieces);
        char *to = w->weights + i * WINO * w->piece;
        float *scale = w->scale + i * WINO * TILE_COLS;
        const int64_t panel = w->first + i / w->pieces, at = w->first * w->pieces + i;
        if (w->taps) digits_wino_pack_words(w, panel, k, to, scale, w->taps->top + at * WINO * TILE_COLS);
        else digits_wino_pack_floats(w, panel, k, to, scale, w->own + worker * digits_wino_thread_floats(w));
    }
}

/* ---- products ---- */

static void digits_wino_input_span(const void *ctx, span s, int worker)
{
    const digit_wino *w = ctx;
    const wino_job *j = &w->j;
    float *plain = w->own + worker * digits_wino_thread_floats(w);
    for (int64_t t = s.first; t < s.end; t++) {
        const float *from[WINO];
        wino_window(j, j->first + t < j->tiles ? j->first + t : j->tiles - 1, from);
        for (int64_t k = 0; k < j->depth; k += V) {
            vf d[WINO];
            wino_transform(d, from, k);
            UNROLL(36)
            for (int i = 0; i < WINO; i++) store(plain + i * j->depth + k, d[i]);
        }
        for (int i = 0; i < WINO; i++)
            w->width->row(w->input + (i * j->block + t) * w->stride, plain + i * j->depth, j->depth);
    }
}

/* Products 6 i .. 6 i + 5 of the block's tiles for panel p. */
static inline __attribute__((always_inline)) void digits_wino_multiply(int digits, const digit_wino *w, int64_t i,
                                                                       int64_t p)
{
    const wino_job *j = &w->j;
    const float none[TILE_COLS] = {0};
    digit_sums sum[2] __attribute__((aligned(64)));
    digit_store before = {.left = 0};
    int turn = 0;
    tiles_begin();
    for (int64_t n = 0; n < 6 * w->pieces; n++) {
        const int64_t f = 6 * i + n / w->pieces, k = n % w->pieces, at = (p * w->pieces + k) * WINO + f;
        const int64_t first = words_piece(w->width, j->depth, k).first, steps = digits_steps(w->width, j->depth, k);
        const float *row = w->input + f * j->block * w->stride;
        float *to = w->sums + (p * WINO + f) * j->s_step;
        digit_store s = {.columns = w->scale + at * TILE_COLS, .scale = row + k, .scale_step = w->stride,
                         .from = k ? to : none, .from_step = k ? TILE_COLS : 0, .to = to, .step = TILE_COLS,
                         .cols = TILE_COLS, .left = DIGIT_ROWS};
        for (int64_t t = 0; t < j->count; t += DIGIT_ROWS, turn ^= 1, row += DIGIT_ROWS * w->stride) {
            const digit_rows a = {(const char *)words_at(w->width, row, j->depth, first), w->stride * 4};
            digits_run(digits, sum[turn], &a, w->weights + at * w->piece, steps, &before,
                       (DIGIT_ROWS + steps - 1) / steps);
            s.row = sum[turn][0][0][0];
            before = s;
            s.scale += DIGIT_ROWS * w->stride;
            s.from += DIGIT_ROWS * s.from_step;
            s.to += DIGIT_ROWS * TILE_COLS;
        }
    }
    digits_store(digits, &before, DIGIT_ROWS);
    tiles_end();
}

/* Item i: panel i % panels of six products. */
static void digits_wino_product_span(const void *ctx, span s, int worker)
{
    const digit_wino *w = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        if (w->width->size == 3) digits_wino_multiply(3, w, i / w->panels, i % w->panels);
        else digits_wino_multiply(2, w, i / w->panels, i % w->panels);
    }
}

/* Item i: tile i / panels of panel i % panels. */
static void digits_wino_finish_span(const void *ctx, span s, int worker)
{
    const digit_wino *w = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++)
        wino_finish_panel(&w->j, (span){i / w->panels, i / w->panels + 1}, w->first + i % w->panels,
                          w->sums + i % w->panels * WINO * w->j.s_step);
}

static void digits_wino_run(const backend *be, digit_wino *w)
{
    wino_job *j = &w->j;
    const int64_t all = wino_panels(j);
    for (w->first = 0; w->first < all; w->first += w->range) {
        w->panels = all - w->first < w->range ? all - w->first : w->range;
        run_spans(be, w->panels * w->pieces, 1, 20 * (double)(DIGIT_PIECE * TILE_COLS), digits_wino_weights_span, w);
        for (j->first = 0; j->first < j->tiles; j->first += j->block) {
            j->count = j->tiles - j->first < j->block ? j->tiles - j->first : j->block;
            run_spans(be, round_up(j->count, DIGIT_ROWS), 1, 100 * (double)j->depth, digits_wino_input_span, w);
            run_spans(be, 6 * w->panels, 1, (double)(6 * j->count * j->depth), digits_wino_product_span, w);
            run_spans(be, w->panels * j->count, 1, 100 * TILE_COLS, digits_wino_finish_span, w);
        }
    }
}

static void digits_wino_conv(const call *c)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    digit_wino w = digit_wino_of(c->be, x, y);
    const size_t zeros = zeros_bytes(x.dim[3]), plain = w.width->size == 3 ? pack_scratch(c->n, false) : 0;
    char *scratch = c->scratch;
    memset(scratch, 0, zeros);
    w.weights = scratch + zeros + plain;
    w.scale = (float *)(w.weights + w.range * w.pieces * WINO * w.piece);
    w.input = (float *)w.weights + digits_wino_weights_floats(&w);
    w.sums = w.input + digits_wino_input_floats(&w);
    w.own = w.sums + digits_wino_sums_floats(&w);
    w.j.v = (conv_view){x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], 3, 1, a->pad[0], a->pad[2], false,
                        operand(c, 0), c->scratch};
    w.j.bias = operand(c, 2);
    w.j.y = c->out;
    digit_taps taps;
    if (w.width->size == 3) {
        w.j.panels = packed_weight(c, false, (float *)(scratch + zeros));
    } else {
        taps = digits_wino_taps(c, &w, w.own);
        w.taps = &taps;
    }
    digits_wino_run(c->be, &w);
}
