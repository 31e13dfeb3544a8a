/* Linear layers in integers of 16 bits (words_gemm.inc.c), where their sizes suit; others are the float
 * kernels'. */

/* The parameter that input 1 is: its copy in words is no larger than 16-bit floats, but for the scales. */
static const param *words_param(const node *n)
{
    const param *p = weight_param(n);
    return p && !p->transient ? p : NULL;
}

static int64_t words_taps(const node *n)
{
    const shape w = n->in[1]->shape;
    return w.rank == 4 ? w.dim[2] * w.dim[3] : 1;
}

static bool words_fit(const node *n)
{
    const shape w = n->in[1]->shape;
    return words_param(n) && w.dim[1] % 32 == 0 && w.dim[0] >= V;
}

/* Bytes of a packed weight: integers, then scales. */
static size_t words_weight_bytes(const node *n, size_t *scales_at)
{
    const shape w = n->in[1]->shape;
    const size_t integers = panels_size(w.dim[0], words_taps(n), w.dim[1]) * sizeof(int16_t);
    if (scales_at) *scales_at = integers;
    return integers + panels_size(w.dim[0], words_taps(n), words_pieces(w.dim[1])) * sizeof(float);
}

/* Floats of a panel before it is rounded. */
static int64_t words_panel_floats(const node *n)
{
    return TILE_COLS * words_taps(n) * n->in[1]->shape.dim[1];
}

typedef struct words_pack_job {
    int16_t *dst;
    float *scale, *own;
    const void *w;
    dtype type;
    int64_t no, ni, taps;
} words_pack_job;

static void words_pack_span(const void *ctx, span s, int worker)
{
    const words_pack_job *p = ctx;
    const int64_t panel = p->taps * p->ni * TILE_COLS, pieces = words_pieces(p->ni);
    float *plain = p->own + worker * panel;
    for (int64_t j = s.first; j < s.end; j++) {
        pack_outputs(plain, p->w, p->type, j * TILE_COLS, p->no, p->taps, p->ni);
        for (int64_t t = 0; t < p->taps; t++)
            for (int64_t k = 0; k < pieces; k++) {
                const span depth = words_piece(p->ni, k);
                const int64_t at = (t * p->ni + depth.first) * TILE_COLS;
                words_pack_piece(p->dst + j * panel + at, p->scale + ((j * p->taps + t) * pieces + k) * TILE_COLS,
                                 plain + at, depth.end - depth.first);
            }
    }
}

/* The kept copy of the parameter, made again when it changed. own: words_panel_floats a thread. */
static const int16_t *words_weight(const call *c, float *own, const float **scale)
{
    const param *p = c->weight[1];
    const shape w = c->n->in[1]->shape;
    size_t at;
    bool stale;
    pack_entry *e = pack_get(&cpu_of(c->be)->packs, p, PACK_WORDS, words_weight_bytes(c->n, &at), &stale);
    *scale = (const float *)((char *)e->data + at);
    if (!stale) return e->data;
    const words_pack_job job = {e->data, (float *)((char *)e->data + at), own, p->data, p->type, w.dim[0], w.dim[1],
                                words_taps(c->n)};
    run_spans(c->be, (w.dim[0] + TILE_COLS - 1) / TILE_COLS, 1, (double)words_panel_floats(c->n), words_pack_span,
              &job);
    param_drop_pages(p);
    return e->data;
}

static int words_reserve(backend *be, const node *n, int kind, size_t bytes, m2m_error *err)
{
    const param *p = words_param(n);
    if (pack_reserve(&cpu_of(be)->packs, p, kind, bytes)) return 0;
    return fail(err, M2M_ENOMEM, "%s: no memory for its packed copy of %zu bytes", p->name, bytes);
}

/* For each thread a block of rows, and a panel while the weight is packed. */
static size_t words_linear_scratch(const backend *be, const node *n)
{
    if (!words_fit(n)) return linear_scratch(be, n);
    const int64_t block = words_own(n->in[1]->shape.dim[1]), panel = words_panel_floats(n);
    return (size_t)(be->threads * (block > panel ? block : panel)) * sizeof(float);
}

static size_t words_linear_fuses(const backend *be, const node *n, const node *then)
{
    if (!words_fit(n)) return linear_fuses(be, n, then);
    if (!gated_fit(then)) return SIZE_MAX;
    return words_linear_scratch(be, n) + (size_t)be->threads * GATED_FLOATS * sizeof(float);
}

static int words_linear_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    if (!words_fit(n)) return linear_prepare(be, n, state, err);
    return words_reserve(be, n, PACK_WORDS, words_weight_bytes(n, NULL), err);
}

static void words_linear(const call *c)
{
    if (!words_fit(c->n)) {
        fast_linear(c);
        return;
    }
    const int64_t ni = shape_last(c->n->in[0]->shape), no = shape_last(c->n->shape);
    const matrix x = {operand(c, 0), ni};
    words_product w = {.p = {.m = shape_rows(c->n->shape), .n = no, .taps = 1, .depth = ni, .bias = operand(c, 2),
                             .c = c->out, .ldc = no, .rows = matrix_rows, .ctx = &x},
                       .plain = true, .own = c->scratch};
    w.b = words_weight(c, c->scratch, &w.scale);
    if (c->then) words_gated_all(c->be, &w, c->out,
                                 (float *)((char *)c->scratch + words_linear_scratch(c->be, c->n)));
    else words_all(c->be, &w);
}
