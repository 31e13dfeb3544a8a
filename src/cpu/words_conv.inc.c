/* Convolutions in integers of 16 bits: by Winograd's way, or directly, the image in words in scratch. Those that do not
 * suit are the float kernels'. */

/* Floats of an image in words and a row of zeros, and of what follows. */
static int64_t words_image_floats(const node *n, const words_width *width)
{
    return round_up((shape_rows(n->in[0]->shape) + 1) * words_stride(width, n->in[1]->shape.dim[1]), 16);
}

static int64_t words_conv_own(const backend *be, const node *n, const words_width *width)
{
    const int64_t own = words_own(width, n->in[1]->shape.dim[1], false), panel = words_panel_floats(n);
    return round_up(be->threads * (own > panel ? own : panel), 16);
}

static size_t words_conv2d_scratch(const backend *be, const node *n)
{
    if (!words_fit(n)) return conv2d_scratch(be, n);
    if (words_wino_fit(be, n)) return words_wino_scratch(be, n);
    const words_width *width = WIDTH_WORDS(be);
    return (size_t)(words_image_floats(n, width) + words_conv_own(be, n, width)) * sizeof(float) +
           words_weight_scratch(n, width);
}

static int words_conv2d_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    size_t unit_at, scale_at;
    if (!words_fit(n)) return conv2d_prepare(be, n, state, err);
    if (!words_wino_fit(be, n)) return words_reserve_weight(be, n, WIDTH_WORDS(be), err);
    return words_reserve(be, n, PACK_WORDS_WINOGRAD, words_wino_bytes(n, &unit_at, &scale_at), err);
}

static double words_conv2d_work(const backend *be, const node *n)
{
    if (words_fit(n) && !words_wino_fit(be, n)) return node_flops(n) * WIDTH_WORDS(be)->work;
    return conv2d_work(be, n);
}

static void words_direct(const call *c)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, w = c->n->in[1]->shape, y = c->n->shape;
    const words_width *width = WIDTH_WORDS(c->be);
    const int64_t stride = words_stride(width, x.dim[3]);
    float *zeros = c->scratch, *image = zeros + stride, *own = zeros + words_image_floats(c->n, width);
    memset(zeros, 0, (size_t)stride * sizeof *zeros);
    words_rows(c->be, &(words_rows_job){width, image, operand(c, 0), shape_rows(x), x.dim[3], false});
    const conv_view v = {x.dim[1], x.dim[2], stride, y.dim[1], y.dim[2], w.dim[3], a->stride, a->pad[0], a->pad[2],
                         false, image, zeros};
    words_product p = {.p = {.m = shape_rows(y), .n = y.dim[3], .taps = w.dim[2] * w.dim[3], .depth = x.dim[3],
                             .bias = operand(c, 2), .c = c->out, .ldc = y.dim[3], .rows = conv_rows, .ctx = &v},
                       .width = width, .own = own};
    words_weight(c, &p, own, own + words_conv_own(c->be, c->n, width));
    words_all(c->be, &p);
}

static void words_conv2d(const call *c)
{
    if (!words_fit(c->n)) fast_conv2d(c);
    else if (words_wino_fit(c->be, c->n)) words_wino_conv(c, c->scratch);
    else words_direct(c);
}
