/* Winograd's F(4x4, 3x3) (winograd.inc.c) with its 36 products in integers of 16 bits. Transformed input is rounded
 * tile by tile over a chunk of channels. Weights are kept as the nine taps, in integers scaled by a column's largest
 * value: as small as 16-bit floats; a panel transforms and rounds them as it is computed. The norms of what that gives
 * are found once, when the weight is packed. */

enum {
    WORDS_CHUNK = 320,
    WORDS_U_STEP = WORDS_CHUNK * TILE_COLS + 32,   /* integers between the 36 of transformed weights: odd_lines */
    WORDS_TILES = 256,
};

typedef struct words_wino {
    wino_job j;                 /* chunk, block, sums and all of the image */
    int64_t chunks;
    const int16_t *taps;        /* [panels][9][depth][TILE_COLS] */
    const float *unit;          /* [panels][TILE_COLS]: what 1 in taps means */
    const float *scale;         /* [panels][chunks][36][TILE_COLS], of transformed taps */
    int16_t *input;             /* [36][chunks][block][chunk] */
    float *input_scale;         /* [36][chunks][block] */
    float *own;
} words_wino;

static words_wino words_wino_sizes(shape x, shape y)
{
    words_wino w = {.j = wino_sizes(x, y)};
    wino_job *j = &w.j;
    int64_t most = WINO_BYTES / (WINO * 2 * j->depth);
    most = most < 48 ? 48 : most > WORDS_TILES ? WORDS_TILES : most;
    const int64_t blocks = (j->tiles + most - 1) / most;
    w.chunks = (j->depth + WORDS_CHUNK - 1) / WORDS_CHUNK;
    j->block = round_up((j->tiles + blocks - 1) / blocks, TAIL_ROWS);
    j->chunk = round_up((j->depth + w.chunks - 1) / w.chunks, 32);
    j->s_step = odd_lines(j->block * TILE_COLS);
    return w;
}

/* Where it pays: enough tiles that transforming the weights is small beside the products. Images of 4 tiles take it
 * whatever their number, or a model that sees one and then two would keep its weights both ways. */
static bool words_wino_fit(const backend *be, const node *n)
{
    const shape w = n->in[1]->shape, x = n->in[0]->shape;
    if (cpu_of(be)->exact || !words_fit(n) || !wino_fits(w, x, n->shape, n->attr.stride)) return false;
    if (weight_param(n)->transient) return false;
    const wino_job j = wino_sizes(x, n->shape);
    return j.tiles >= 8 || j.down * j.across >= 4;
}

static span words_wino_chunk(const words_wino *w, int64_t c)
{
    const int64_t first = c * w->j.chunk, end = first + w->j.chunk;
    return (span){first, end < w->j.depth ? end : w->j.depth};
}

/* Floats: input, its scales; per thread: transformed weights, their scales, sums. */
static int64_t words_wino_input_floats(const words_wino *w)
{
    return WINO * w->chunks * w->j.block * w->j.chunk / 2 + round_up(WINO * w->chunks * w->j.block, 16);
}

static int64_t words_wino_thread_floats(const words_wino *w)
{
    return WINO * (WORDS_U_STEP / 2 + TILE_COLS + w->j.s_step);
}

/* ---- the weight ---- */

static size_t words_wino_bytes(const node *n, size_t *unit_at, size_t *scale_at)
{
    const words_wino w = words_wino_sizes(n->in[0]->shape, n->shape);
    const size_t panels = (size_t)wino_panels(&w.j);
    *unit_at = panels * 9 * (size_t)w.j.depth * TILE_COLS * sizeof(int16_t);
    *scale_at = *unit_at + panels * TILE_COLS * sizeof(float);
    return *scale_at + panels * (size_t)w.chunks * WINO * TILE_COLS * sizeof(float);
}

/* G g of the nine taps at g, `tap` apart: [6][3]. */
static inline __attribute__((always_inline)) void words_wino_half(vf t[18], const int16_t *g, int64_t tap)
{
    UNROLL(3)
    for (int i = 0; i < 3; i++)
        wino_weight(t + i, 3, words_load(g + i * tap), words_load(g + (3 + i) * tap), words_load(g + (6 + i) * tap));
}

/* Norms over channels k of one panel's transformed taps: scale [36][TILE_COLS]. */
static void words_wino_norms(const int16_t *taps, int64_t depth, span k, float *scale)
{
    for (int v = 0; v < TILE_COLS; v += V) {
        vf sum[WINO];
        for (int f = 0; f < WINO; f++) sum[f] = splat(0);
        for (int64_t c = k.first; c < k.end; c++) {
            vf t[18], row[6];
            words_wino_half(t, taps + c * TILE_COLS + v, depth * TILE_COLS);
            for (int i = 0; i < 6; i++) {
                wino_weight(row, 1, t[3 * i], t[3 * i + 1], t[3 * i + 2]);
                for (int f = 0; f < 6; f++) sum[6 * i + f] += row[f] * row[f];
            }
        }
        for (int f = 0; f < WINO; f++)
            store(scale + f * TILE_COLS + v, words_root(sum[f]) * (1.0f / WORDS_TOP));
    }
}

typedef struct words_wino_pack {
    const words_wino *w;
    const param *p;
    int16_t *taps;
    float *unit, *scale, *own;
} words_wino_pack;

static void words_wino_pack_span(const void *ctx, span s, int worker)
{
    const words_wino_pack *q = ctx;
    const wino_job *j = &q->w->j;
    const int64_t panel = 9 * j->depth * TILE_COLS;
    float *plain = q->own + worker * panel;
    for (int64_t i = s.first; i < s.end; i++) {
        pack_outputs(plain, q->p->data, q->p->type, i * TILE_COLS, j->n, 9, j->depth);
        words_round_taps(q->taps + i * panel, q->unit + i * TILE_COLS, plain, 9 * j->depth);
        for (int64_t c = 0; c < q->w->chunks; c++)
            words_wino_norms(q->taps + i * panel, j->depth, words_wino_chunk(q->w, c),
                             q->scale + (i * q->w->chunks + c) * WINO * TILE_COLS);
    }
}

/* own: a panel of floats a thread, where the weight must be packed. */
static void words_wino_weight(const call *c, words_wino *w, float *own)
{
    const param *p = c->weight[1];
    size_t unit_at, scale_at;
    bool stale;
    const size_t bytes = words_wino_bytes(c->n, &unit_at, &scale_at);
    pack_entry *e = pack_get(&cpu_of(c->be)->packs, p, PACK_WORDS_WINOGRAD, bytes, &stale);
    const words_wino_pack job = {w, p, e->data, (float *)((char *)e->data + unit_at),
                                 (float *)((char *)e->data + scale_at), own};
    w->taps = job.taps;
    w->unit = job.unit;
    w->scale = job.scale;
    if (!stale) return;
    run_spans(c->be, wino_panels(&w->j), 1, 60 * (double)w->j.depth * TILE_COLS, words_wino_pack_span, &job);
    param_drop_pages(p);
}

/* ---- the products ---- */

/* One tile's 6x6 window, transformed and rounded, into place `at` of the block. */
static void words_wino_tile(const words_wino *w, int64_t tile, int64_t at)
{
    const wino_job *j = &w->j;
    const float *from[WINO];
    wino_window(j, tile, from);
    for (int64_t c = 0; c < w->chunks; c++) {
        const span k = words_wino_chunk(w, c);
        float plain[WINO][WORDS_CHUNK];
        vf squares[WINO];
        for (int i = 0; i < WINO; i++) squares[i] = splat(0);
        for (int64_t x = k.first; x < k.end; x += V) {
            vf d[WINO];
            wino_transform(d, from, x);
            UNROLL(36)
            for (int i = 0; i < WINO; i++) {
                store(plain[i] + x - k.first, d[i]);
                squares[i] += d[i] * d[i];
            }
        }
        for (int i = 0; i < WINO; i++) {
            const float norm = sqrtf(vsum(squares[i]));
            const int64_t to = (i * w->chunks + c) * j->block + at;
            w->input_scale[to] = words_scale_of(norm);
            words_round(w->input + to * j->chunk, plain[i], k.end - k.first, words_inverse_of(norm));
        }
    }
}

static void words_wino_input_span(const void *ctx, span s, int worker)
{
    const words_wino *w = ctx;
    (void)worker;
    for (int64_t t = s.first; t < s.end; t++)
        words_wino_tile(w, w->j.first + t < w->j.tiles ? w->j.first + t : w->j.tiles - 1, t);
}

/* Chunk c of one panel, transformed and rounded, into u [36][count/2][TILE_COLS][2]. */
static void words_wino_transform(const words_wino *w, int64_t panel, int64_t c, int16_t *u, float *scale)
{
    const span k = words_wino_chunk(w, c);
    const int64_t tap = w->j.depth * TILE_COLS;
    const int16_t *g = w->taps + panel * 9 * tap + k.first * TILE_COLS;
    const float *norms = w->scale + (panel * w->chunks + c) * WINO * TILE_COLS;
    vf by[TILE_VECS][WINO];
    for (int v = 0; v < TILE_VECS; v++) {
        const vf unit = load(w->unit + panel * TILE_COLS + v * V);
        for (int f = 0; f < WINO; f++) {
            const vf s = load(norms + f * TILE_COLS + v * V);
            store(scale + f * TILE_COLS + v * V, s * unit);
            by[v][f] = choose(s > 0.0f, 1.0f / s, splat(0));
        }
    }
    for (int64_t x = k.first; x < k.end; x += 2, g += 2 * TILE_COLS, u += 2 * TILE_COLS)
        for (int v = 0; v < TILE_VECS; v++) {
            vf t[2][18], row[2][6];
            words_wino_half(t[0], g + v * V, tap);
            words_wino_half(t[1], g + TILE_COLS + v * V, tap);
            UNROLL(6)
            for (int i = 0; i < 6; i++) {
                wino_weight(row[0], 1, t[0][3 * i], t[0][3 * i + 1], t[0][3 * i + 2]);
                wino_weight(row[1], 1, t[1][3 * i], t[1][3 * i + 1], t[1][3 * i + 2]);
                UNROLL(6)
                for (int f = 0; f < 6; f++) {
                    const vi low = words_whole(row[0][f] * by[v][6 * i + f]);
                    const vi high = words_whole(row[1][f] * by[v][6 * i + f]);
                    store_whole(u + (6 * i + f) * WORDS_U_STEP + 2 * v * V, words_pair(low, high));
                }
            }
        }
}

/* sums [36][block][TILE_COLS] (+)= the block's tiles t, chunk c. */
static void words_wino_multiply(const words_wino *w, const int16_t *u, const float *scale, int64_t c, span t,
                                float *sums)
{
    const wino_job *j = &w->j;
    const span k = words_wino_chunk(w, c);
    const int64_t count = t.end - t.first;
    for (int f = 0; f < WINO; f++, u += WORDS_U_STEP) {
        const int64_t at = (f * w->chunks + c) * j->block;
        words_row_ptr row[WORDS_TILES + TILE_ROWS];
        for (int64_t i = 0; i < round_up(count, TILE_ROWS); i++) {
            const int64_t tile = at + (t.first + i < t.end ? t.first + i : t.end - 1);
            row[i] = (words_row_ptr){(const int32_t *)(w->input + tile * j->chunk), w->input_scale[tile]};
        }
        words_tile job = {.width = &of_words,
                          .to = {.ldc = TILE_COLS, .cols = TILE_COLS, .first = c == 0},
                          .groups = (k.end - k.first) / 2, .scale = scale + f * TILE_COLS};
        for (int64_t i = 0; i < count;) {
            job.to.c = sums + f * j->s_step + (t.first + i) * TILE_COLS;
            job.to.rows = count - i;
            i += words_tile_rows(&job, row + i, u);
        }
    }
}

/* As wino_panel_span. */
static void words_wino_panel_span(const void *ctx, span s, int worker)
{
    const words_wino *w = ctx;
    const wino_job *j = &w->j;
    float *own = w->own + worker * words_wino_thread_floats(w), *sums = own + WINO * WORDS_U_STEP / 2;
    float *scale = sums + WINO * j->s_step;
    for (int64_t i = s.first; i < s.end; i++) {
        const span t = wino_part(j, i);
        const int64_t panel = i / j->parts;
        for (int64_t c = 0; c < w->chunks; c++) {
            words_wino_transform(w, panel, c, (int16_t *)own, scale);
            words_wino_multiply(w, (const int16_t *)own, scale, c, t, sums);
        }
        wino_finish_panel(j, t, panel, sums);
    }
}

static void words_wino_conv(const call *c)
{
    float *zeros = c->scratch;
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    words_wino w = words_wino_sizes(x, y);
    memset(zeros, 0, zeros_bytes(x.dim[3]));
    float *rest = (float *)((char *)zeros + zeros_bytes(x.dim[3]));
    w.j.v = (conv_view){x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], 3, 1, a->pad[0], a->pad[2], false,
                        operand(c, 0), zeros};
    w.j.bias = operand(c, 2);
    w.j.y = c->out;
    words_wino_weight(c, &w, rest);
    w.input = (int16_t *)rest;
    w.input_scale = rest + WINO * w.chunks * w.j.block * w.j.chunk / 2;
    w.own = rest + words_wino_input_floats(&w);
    wino_run(c->be, &w.j, words_wino_input_span, words_wino_panel_span, &w);
}

static int words_wino_prepare(backend *be, const node *n, m2m_error *err)
{
    size_t unit_at, scale_at;
    return words_reserve(be, n, PACK_WORDS_WINOGRAD, words_wino_bytes(n, &unit_at, &scale_at), err);
}

static size_t words_wino_scratch(const backend *be, const node *n)
{
    const words_wino w = words_wino_sizes(n->in[0]->shape, n->shape);
    const int64_t run = words_wino_input_floats(&w) + be->threads * words_wino_thread_floats(&w);
    const int64_t pack = be->threads * words_panel_floats(n);
    return zeros_bytes(w.j.depth) + (size_t)(run > pack ? run : pack) * sizeof(float);
}
