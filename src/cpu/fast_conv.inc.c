/* Convolutions as implicit matrix products (gemm.inc.c), and the choice between them and Winograd's (winograd.inc.c).
 * x [B,H,W,I], w [O,I,kh,kw], y [B,H',W',O]. */

typedef struct conv_view {
    int64_t h, w, channels;       /* the image that is read */
    int64_t oh, ow;               /* the pixels that are written */
    int64_t kw;
    int64_t stride, top, left;
    bool backward;                /* read g to make dx: the taps run the other way */
    const float *data, *zeros;    /* zeros: `channels` of them, for pixels outside */
} conv_view;

/* The row of `size` that output row o reads through tap k, or -1. */
static inline int64_t conv_source(const conv_view *v, int64_t o, int64_t k, int64_t pad, int64_t size)
{
    if (!v->backward) {
        const int64_t i = o * v->stride - pad + k;
        return i >= 0 && i < size ? i : -1;
    }
    const int64_t i = o + pad - k;
    return i >= 0 && i % v->stride == 0 && i / v->stride < size ? i / v->stride : -1;
}

static void conv_rows(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row)
{
    const conv_view *v = ctx;
    const int64_t ky = tap / v->kw, kx = tap % v->kw;
    int64_t ox = first % v->ow, oy = first / v->ow % v->oh, b = first / (v->ow * v->oh);
    int64_t iy = conv_source(v, oy, ky, v->top, v->h);
    for (int64_t i = 0; i < count; i++) {
        const int64_t ix = iy < 0 ? -1 : conv_source(v, ox, kx, v->left, v->w);
        row[i] = ix < 0 ? v->zeros : v->data + ((b * v->h + iy) * v->w + ix) * v->channels;
        if (++ox < v->ow) continue;
        ox = 0;
        if (++oy == v->oh) {
            oy = 0;
            b++;
        }
        iy = conv_source(v, oy, ky, v->top, v->h);
    }
}

/* Zeros, then (unless w is a parameter) the packed weight. */
static size_t zeros_bytes(int64_t channels)
{
    return (size_t)(channels + 15) / 16 * 64;
}

static size_t conv2d_scratch(const backend *be, const node *n)
{
    (void)be;
    return zeros_bytes(n->in[0]->shape.dim[3]) + unpacked_bytes(n, false);
}

static int conv2d_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, false, err);
}

static void fast_conv2d(const call *c)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, w = c->n->in[1]->shape, y = c->n->shape;
    const size_t zeros = zeros_bytes(x.dim[3]);
    memset(c->scratch, 0, zeros);
    const conv_view v = {x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         false, operand(c, 0), c->scratch};
    const product p = {.m = shape_rows(y), .n = y.dim[3], .taps = w.dim[2] * w.dim[3], .depth = x.dim[3],
                       .b = packed_weight(c, false, (float *)((char *)c->scratch + zeros)), .bias = operand(c, 2),
                       .c = c->out, .ldc = y.dim[3], .rows = conv_rows, .ctx = &v};
    product_run(c->be, &p);
}

static size_t conv2d_dx_scratch(const backend *be, const node *n)
{
    (void)be;
    return zeros_bytes(n->in[0]->shape.dim[3]) + unpacked_bytes(n, true);
}

static int conv2d_dx_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, true, err);
}

static void fast_conv2d_dx(const call *c)
{
    const attr *a = &c->n->attr;
    const shape g = c->n->in[0]->shape, w = c->n->in[1]->shape, x = c->n->shape;
    const size_t zeros = zeros_bytes(g.dim[3]);
    memset(c->scratch, 0, zeros);
    const conv_view v = {g.dim[1], g.dim[2], g.dim[3], x.dim[1], x.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         true, operand(c, 0), c->scratch};
    const product p = {.m = shape_rows(x), .n = x.dim[3], .taps = w.dim[2] * w.dim[3], .depth = g.dim[3],
                       .b = packed_weight(c, true, (float *)((char *)c->scratch + zeros)), .c = c->out,
                       .ldc = x.dim[3], .rows = conv_rows, .ctx = &v};
    product_run(c->be, &p);
}

/* Zeros, the gradient as [taps][O][I], and outer_run's blocks. */
static size_t conv2d_dw_scratch(const backend *be, const node *n)
{
    const shape w = n->shape;
    return zeros_bytes(w.dim[1]) + (size_t)(shape_count(w) + 15) / 16 * 64 +
           (size_t)be->threads * OUTER_FLOATS * sizeof(float);
}

/* [taps][O][I] -> [O][I][taps] */
static void taps_last(const backend *be, float *out, const float *in, int64_t no, int64_t ni, int64_t taps)
{
#pragma omp parallel for schedule(static) num_threads(threads_for(be, no * ni * taps))
    for (int64_t o = 0; o < no; o++)
        for (int64_t i = 0; i < ni; i++)
            for (int64_t t = 0; t < taps; t++) out[(o * ni + i) * taps + t] = in[(t * no + o) * ni + i];
}

static void fast_conv2d_dw(const call *c)
{
    const attr *a = &c->n->attr;
    const shape g = c->n->in[0]->shape, x = c->n->in[1]->shape, w = c->n->shape;
    const int64_t taps = w.dim[2] * w.dim[3];
    const size_t zeros = zeros_bytes(x.dim[3]);
    memset(c->scratch, 0, zeros);
    float *sums = (float *)((char *)c->scratch + zeros);
    const conv_view v = {x.dim[1], x.dim[2], x.dim[3], g.dim[1], g.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         false, c->in[1], c->scratch};
    const outer_job p = {.pixels = shape_rows(g), .no = w.dim[0], .ni = w.dim[1], .taps = taps, .g = c->in[0],
                     .rows = conv_rows, .ctx = &v, .c = taps == 1 ? c->out : sums,
                     .scratch = sums + (shape_count(w) + 15) / 16 * 16};
    outer_run(c->be, &p);
    if (taps > 1) taps_last(c->be, c->out, sums, w.dim[0], w.dim[1], taps);
}
