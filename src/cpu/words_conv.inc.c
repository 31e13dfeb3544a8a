/* Convolutions in integers of 16 bits: by Winograd's way, or directly, the image in words in scratch. Those that do not
 * suit are the float kernels'. */

static size_t words_conv2d_scratch(const backend *be, const node *n)
{
    if (!words_fit(n)) return conv2d_scratch(be, n);
    if (words_wino_fit(be, n)) return words_wino_scratch(be, n);
    const int64_t stride = words_stride(n->in[1]->shape.dim[1], 2);
    const int64_t image = (shape_rows(n->in[0]->shape) + 1) * stride;
    return (size_t)(round_up(image, 16) + be->threads * words_panel_floats(n)) * sizeof(float);
}

static int words_conv2d_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    size_t unit_at, scale_at;
    if (!words_fit(n)) return conv2d_prepare(be, n, state, err);
    if (!words_wino_fit(be, n)) return words_reserve_weight(be, n, &of_words, err);
    return words_reserve(be, n, PACK_WORDS_WINOGRAD, words_wino_bytes(n, &unit_at, &scale_at), err);
}

static double words_conv2d_work(const backend *be, const node *n)
{
    return words_fit(n) && !words_wino_fit(be, n) ? node_flops(n) : conv2d_work(be, n);
}

typedef struct words_image_job {
    float *to;
    const float *x;
    int64_t depth;
} words_image_job;

static void words_image_span(const void *ctx, span s, int worker)
{
    const words_image_job *j = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++)
        words_row(j->to + i * words_stride(j->depth, 2), j->x + i * j->depth, j->depth);
}

static void words_direct(const call *c)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, w = c->n->in[1]->shape, y = c->n->shape;
    const int64_t stride = words_stride(x.dim[3], 2), pixels = shape_rows(x);
    float *zeros = c->scratch, *image = zeros + stride;
    memset(zeros, 0, (size_t)stride * sizeof *zeros);
    const words_image_job round = {image, operand(c, 0), x.dim[3]};
    run_spans(c->be, pixels, 1, (double)x.dim[3], words_image_span, &round);
    const conv_view v = {x.dim[1], x.dim[2], stride, y.dim[1], y.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         false, image, zeros};
    words_product p = {.p = {.m = shape_rows(y), .n = y.dim[3], .taps = w.dim[2] * w.dim[3], .depth = x.dim[3],
                             .bias = operand(c, 2), .c = c->out, .ldc = y.dim[3], .rows = conv_rows, .ctx = &v},
                       .width = &of_words};
    words_weight(c, &p, zeros + round_up((pixels + 1) * stride, 16));
    words_all(c->be, &p);
}

static void words_conv2d(const call *c)
{
    if (!words_fit(c->n)) fast_conv2d(c);
    else if (words_wino_fit(c->be, c->n)) words_wino_conv(c, c->scratch);
    else words_direct(c);
}
