/* Convolutions as implicit matrix products (gemm.inc.c) or by Winograd's way (winograd.inc.c).
 * x [B,H,W,I], w [O,I,kh,kw], y [B,H',W',O]. */

static size_t zeros_bytes(int64_t channels)
{
    return (size_t)(channels + 15) / 16 * 64;
}

/* Scratch: zeros, then (unless w is a parameter) the packed weight, then Winograd's. x is what is read, y what is
 * written: for the gradient, those are g and dx. */
static size_t conv_scratch(const backend *be, const node *n, bool backward)
{
    const shape x = n->in[0]->shape, w = n->in[1]->shape, y = n->shape;
    const size_t plain = zeros_bytes(x.dim[3]) + pack_scratch(n, backward);
    return plain + (wino_fits(w, x, y, n->attr.stride) ? wino_bytes(be, x, y) : 0);
}

static void conv_run(const call *c, bool backward)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, w = c->n->in[1]->shape, y = c->n->shape;
    const size_t zeros = zeros_bytes(x.dim[3]), packed = pack_scratch(c->n, backward);
    char *scratch = c->scratch;
    memset(scratch, 0, zeros);
    conv_view v = {x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                   backward, operand(c, 0), c->scratch};
    const float *b = packed_weight(c, backward, (float *)(scratch + zeros));
    const float *bias = backward ? NULL : operand(c, 2);
    if (!cpu_of(c->be)->exact && wino_fits(w, x, y, a->stride)) {
        wino_job j = wino_sizes(x, y);
        j.v = v;
        if (backward) {   /* the same sum, read as a forward one with the taps turned round */
            j.v.top = 2 - v.top;
            j.v.left = 2 - v.left;
        }
        j.flip = backward;
        j.panels = b;
        j.bias = bias;
        j.y = c->out;
        j.input = (float *)(scratch + zeros + packed);
        j.own = j.input + wino_input_floats(&j);
        wino_run(c->be, &j, wino_input_span, wino_panel_span, &j);
        return;
    }
    product p = {.m = shape_rows(y), .n = y.dim[3], .taps = w.dim[2] * w.dim[3], .depth = x.dim[3], .b = b,
                       .bias = bias, .c = c->out, .ldc = y.dim[3], .rows = conv_rows, .ctx = &v};
    product_all(c->be, &p);
}

static size_t conv2d_scratch(const backend *be, const node *n)
{
    return conv_scratch(be, n, false);
}

static int conv2d_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, false, err);
}

static void fast_conv2d(const call *c)
{
    conv_run(c, false);
}

static size_t conv2d_dx_scratch(const backend *be, const node *n)
{
    return conv_scratch(be, n, true);
}

static int conv2d_dx_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, true, err);
}

static void fast_conv2d_dx(const call *c)
{
    conv_run(c, true);
}

/* Winograd's products alone; its transforms are the price. */
static double wino_work(shape x, shape y)
{
    const wino_job j = wino_sizes(x, y);
    return 2.0 * WINO * (double)(j.tiles * j.depth) * (double)j.n;
}

static double conv2d_work(const backend *be, const node *n)
{
    const shape x = n->in[0]->shape;
    if (cpu_of(be)->exact || !wino_fits(n->in[1]->shape, x, n->shape, n->attr.stride)) return node_flops(n);
    return wino_work(x, n->shape);
}

/* [taps][O][I] -> [O][I][taps] */
typedef struct taps_job {
    float *out;
    const float *in;
    int64_t no, ni, taps;
} taps_job;

static void taps_last_span(const void *ctx, span s, int worker)
{
    const taps_job *j = ctx;
    (void)worker;
    for (int64_t o = s.first; o < s.end; o++)
        for (int64_t i = 0; i < j->ni; i++)
            for (int64_t t = 0; t < j->taps; t++)
                j->out[(o * j->ni + i) * j->taps + t] = j->in[(t * j->no + o) * j->ni + i];
}

static bool dw_by_winograd(const node *n)
{
    const shape g = n->in[0]->shape, x = n->in[1]->shape;
    return g.dim[3] % 16 == 0 && wino_fits(n->shape, x, g, n->attr.stride);
}

static double conv2d_dw_work(const backend *be, const node *n)
{
    return !cpu_of(be)->exact && dw_by_winograd(n) ? wino_work(n->in[1]->shape, n->in[0]->shape) : node_flops(n);
}

/* Zeros; then Winograd's, or the gradient as [taps][O][I] and outer_run's blocks. */
static size_t conv2d_dw_scratch(const backend *be, const node *n)
{
    const shape g = n->in[0]->shape, x = n->in[1]->shape, w = n->shape;
    const size_t zeros = zeros_bytes(x.dim[3] > g.dim[3] ? x.dim[3] : g.dim[3]);
    const size_t direct = (size_t)(shape_count(w) + 15) / 16 * 64 + (size_t)be->threads * OUTER_FLOATS * sizeof(float);
    const size_t winograd = dw_by_winograd(n) ? wino_dw_bytes(be, x, g) : 0;
    return zeros + (direct > winograd ? direct : winograd);
}

static void fast_conv2d_dw(const call *c)
{
    const attr *a = &c->n->attr;
    const shape g = c->n->in[0]->shape, x = c->n->in[1]->shape, w = c->n->shape;
    const int64_t taps = w.dim[2] * w.dim[3];
    const size_t zeros = zeros_bytes(x.dim[3] > g.dim[3] ? x.dim[3] : g.dim[3]);
    memset(c->scratch, 0, zeros);
    float *rest = (float *)((char *)c->scratch + zeros);
    const conv_view v = {x.dim[1], x.dim[2], x.dim[3], g.dim[1], g.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         false, c->in[1], c->scratch};
    if (!cpu_of(c->be)->exact && dw_by_winograd(c->n)) {
        wino_dw_job j = {.x = wino_dw_sizes(x, g), .g = c->in[0], .dw = c->out, .no = w.dim[0], .ni = w.dim[1]};
        j.x.v = v;
        wino_dw_run(c->be, &j, rest);
        return;
    }
    outer_job p = {.pixels = shape_rows(g), .no = w.dim[0], .ni = w.dim[1], .taps = taps, .g = c->in[0],
                         .rows = conv_rows, .ctx = &v, .c = taps == 1 ? c->out : rest,
                         .own = rest + (shape_count(w) + 15) / 16 * 16};
    outer_run(c->be, &p);
    if (taps == 1) return;
    const taps_job last = {c->out, rest, w.dim[0], w.dim[1], taps};
    run_spans(c->be, w.dim[0], 1, (double)(w.dim[1] * taps), taps_last_span, &last);
}
