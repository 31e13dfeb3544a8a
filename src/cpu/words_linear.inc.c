/* Linear layers in integers of 16 or 8 bits (words_gemm.inc.c), where their sizes suit; others are the float
 * kernels'. */

static int64_t words_taps(const node *n)
{
    const shape w = n->in[1]->shape;
    return w.rank == 4 ? w.dim[2] * w.dim[3] : 1;
}

static bool words_fit(const node *n)
{
    const shape w = n->in[1]->shape;
    return weight_param(n) && w.dim[1] % 32 == 0 && w.dim[0] >= V;
}

/* Of a linear layer's factors. A few rows are cheap, and often an embedding. */
static const words_width *words_width_of(const backend *be, const node *n)
{
    enum { FEW = 16 };
    return cpu_of(be)->bytes && shape_rows(n->shape) >= FEW ? WIDTH_BYTES : WIDTH_WORDS(be);
}

/* Bytes of a packed weight: integers, scales, and of bytes_gemm.inc.c's offsets. */
static size_t words_weight_bytes(const node *n, const words_width *width, size_t *scale_at, size_t *offset_at)
{
    const shape w = n->in[1]->shape;
    const size_t scales = panels_size(w.dim[0], words_taps(n), words_pieces(width, w.dim[1])) * sizeof(float);
    *scale_at = panels_size(w.dim[0], words_taps(n), round_up(w.dim[1], width->whole)) * (size_t)width->size;
    *offset_at = *scale_at + scales;
    return *offset_at + (width->kind == PACK_BYTES ? scales : 0);
}

/* Whether a packed copy is kept: as kept_param says, but where it is no larger than 16-bit floats. */
static bool words_kept(const node *n, const words_width *width)
{
    const param *p = weight_param(n);
    return !p->transient && (!p->compact || width->size <= 2);
}

/* Bytes of scratch for a weight that is packed at every run. */
static size_t words_weight_scratch(const node *n, const words_width *width)
{
    size_t scale_at, offset_at;
    return words_kept(n, width) ? 0 : words_weight_bytes(n, width, &scale_at, &offset_at);
}

/* Floats of a panel before it is rounded. */
static int64_t words_panel_floats(const node *n)
{
    return TILE_COLS * words_taps(n) * n->in[1]->shape.dim[1];
}

typedef struct words_pack_job {
    const words_width *width;
    char *dst;
    float *scale, *own;
    int32_t *offset;
    const void *w;
    dtype type;
    int64_t no, ni, taps;
} words_pack_job;

static void words_pack_span(const void *ctx, span s, int worker)
{
    const words_pack_job *p = ctx;
    const int64_t panel = p->taps * p->ni * TILE_COLS, pieces = words_pieces(p->width, p->ni);
    const int64_t deep = round_up(p->ni, p->width->whole);   /* of the packed panel */
    float *plain = p->own + worker * panel;
    for (int64_t j = s.first; j < s.end; j++) {
        pack_outputs(plain, p->w, p->type, j * TILE_COLS, p->no, p->taps, p->ni);
        for (int64_t t = 0; t < p->taps; t++)
            for (int64_t k = 0; k < pieces; k++) {
                const span depth = words_piece(p->width, p->ni, k);
                const int64_t to = ((j * p->taps + t) * deep + depth.first) * TILE_COLS * p->width->size;
                const int64_t scale = ((j * p->taps + t) * pieces + k) * TILE_COLS;
                p->width->pack_piece(p->dst + to, p->scale + scale, p->offset ? p->offset + scale : NULL,
                                     plain + (t * p->ni + depth.first) * TILE_COLS, depth.end - depth.first);
            }
    }
}

/* Points w to the kept copy of the parameter, made again when it changed, or to one made now in scratch
 * (words_weight_scratch). own: words_panel_floats a thread. */
static void words_weight(const call *c, words_product *w, float *own, void *scratch)
{
    const param *p = c->weight[1];
    const shape s = c->n->in[1]->shape;
    const bool kept = words_kept(c->n, w->width);
    size_t scale_at, offset_at;
    bool stale = true;
    const size_t bytes = words_weight_bytes(c->n, w->width, &scale_at, &offset_at);
    char *data = kept ? pack_get(&cpu_of(c->be)->packs, p, w->width->kind, bytes, &stale)->data : scratch;
    int32_t *offset = w->width->kind == PACK_BYTES ? (int32_t *)(data + offset_at) : NULL;
    const words_pack_job job = {w->width, data, (float *)(data + scale_at), own, offset, p->data, p->type, s.dim[0],
                                s.dim[1], words_taps(c->n)};
    w->b = data;
    w->scale = job.scale;
    w->offset = offset;
    if (!stale) return;
    run_spans(c->be, (s.dim[0] + TILE_COLS - 1) / TILE_COLS, 1, (double)words_panel_floats(c->n), words_pack_span,
              &job);
    if (kept) param_drop_pages(p);
}

static int words_reserve(backend *be, const node *n, int kind, size_t bytes, m2m_error *err)
{
    const param *p = weight_param(n);
    if (pack_reserve(&cpu_of(be)->packs, p, kind, bytes)) return 0;
    return fail(err, M2M_ENOMEM, "%s: no memory for its packed copy of %zu bytes", p->name, bytes);
}

static int words_reserve_weight(backend *be, const node *n, const words_width *width, m2m_error *err)
{
    size_t scale_at, offset_at;
    if (!words_kept(n, width)) return 0;
    return words_reserve(be, n, width->kind, words_weight_bytes(n, width, &scale_at, &offset_at), err);
}

/* Sizes alone; fused: with GEGLU. */
static words_product words_linear_product(const backend *be, const node *n, bool fused)
{
    const int64_t m = shape_rows(n->shape), no = shape_last(n->shape);
    return (words_product){.p = {.m = m, .n = no, .taps = 1, .depth = n->in[1]->shape.dim[1]}, .plain = !few_rows(m),
                           .whole = true, .width = words_width_of(be, n), .at_once = fused ? GATED_COLS : no};
}

/* Rows in words and what a thread wants, or a panel a thread while the weight is packed. */
static size_t words_linear_own(const backend *be, const node *n, const words_product *w)
{
    const int64_t few = w->plain ? 0 : words_size(w->width, w->p.m, w->p.depth);
    const int64_t own = few + be->threads * words_own(w), panels = be->threads * words_panel_floats(n);
    return (size_t)round_up(own > panels ? own : panels, 16) * sizeof(float);
}

static size_t words_linear_scratch(const backend *be, const node *n)
{
    if (!words_fit(n)) return linear_scratch(be, n);
    const words_product w = words_linear_product(be, n, false);
    return words_linear_own(be, n, &w) + words_weight_scratch(n, w.width);
}

static size_t words_linear_fuses(const backend *be, const node *n, const node *then)
{
    if (!words_fit(n)) return linear_fuses(be, n, then);
    if (!gated_fit(then)) return SIZE_MAX;
    const words_product w = words_linear_product(be, n, true);
    return words_linear_own(be, n, &w) + words_weight_scratch(n, w.width) +
           (size_t)(be->threads * words_gated_floats(&w)) * sizeof(float);
}

static int words_linear_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    if (!words_fit(n)) return linear_prepare(be, n, state, err);
    return words_reserve_weight(be, n, words_width_of(be, n), err);
}

static double words_linear_work(const backend *be, const node *n)
{
    return node_flops(n) * (words_fit(n) ? words_width_of(be, n)->work : 1);
}

static double words_linear_tiles(const backend *be, const node *n)
{
    return words_fit(n) ? node_flops(n) * words_width_of(be, n)->digit_work : 0;
}

static void words_linear(const call *c)
{
    if (!words_fit(c->n)) {
        fast_linear(c);
        return;
    }
    words_product w = words_linear_product(c->be, c->n, c->then);
    const size_t own = words_linear_own(c->be, c->n, &w);
    matrix x = {operand(c, 0), w.p.depth};
    w.own = c->scratch;
    w.p.bias = operand(c, 2);
    w.p.c = c->out;
    w.p.ldc = w.p.n;
    w.p.rows = matrix_rows;
    w.p.ctx = &x;
    words_weight(c, &w, c->scratch, (char *)c->scratch + own);
    words_prepare_rows(c->be, &w, &x);
    if (c->then) words_gated_all(c->be, &w, c->out,
                                 (float *)((char *)c->scratch + own + words_weight_scratch(c->n, w.width)));
    else words_all(c->be, &w);
}
