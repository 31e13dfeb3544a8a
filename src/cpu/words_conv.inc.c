/* Convolutions in integers of 16 bits: by Winograd's way, or directly, the image in words in scratch. Those that do not
 * suit are the float kernels'. */

/* Of a convolution that is not by Winograd's way. */
static const words_width *direct_width(const backend *be)
{
    return cpu_of(be)->bytes ? WIDTH_BYTES : WIDTH_WORDS(be);
}

/* The image in words has its border of zeros, so that pixels that a row of outputs reads are one distance apart. */
typedef struct words_image {
    const words_width *width;
    int64_t images, h, w, channels;    /* of x */
    int64_t top, left, down, across;   /* the border; the whole */
    float *to;
    const float *x;
} words_image;

static words_image words_image_of(const node *n, const words_width *width)
{
    const shape x = n->in[0]->shape, w = n->in[1]->shape, y = n->shape;
    const attr *a = &n->attr;
    words_image i = {.width = width, .images = x.dim[0], .h = x.dim[1], .w = x.dim[2], .channels = x.dim[3],
                     .top = a->pad[0], .left = a->pad[2]};
    const int64_t down = (y.dim[1] - 1) * a->stride + w.dim[2], across = (y.dim[2] - 1) * a->stride + w.dim[3];
    i.down = i.top + i.h > down ? i.top + i.h : down;
    i.across = i.left + i.w > across ? i.left + i.w : across;
    return i;
}

static int64_t words_image_floats(const node *n, const words_width *width)
{
    const words_image i = words_image_of(n, width);
    return round_up(i.images * i.down * i.across * words_stride(width, i.channels), 16);
}

/* Rows of pixels. */
static void words_image_span(const void *ctx, span s, int worker)
{
    const words_image *j = ctx;
    const int64_t stride = words_stride(j->width, j->channels);
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        float *to = j->to + i * j->across * stride;
        const int64_t y = i % j->down - j->top;
        const float *x = j->x + (i / j->down * j->h + y) * j->w * j->channels;
        for (int64_t k = 0; k < j->across; k++, to += stride) {
            const bool inside = y >= 0 && y < j->h && k >= j->left && k < j->left + j->w;
            if (inside) j->width->row(to, x + (k - j->left) * j->channels, j->channels);
            else memset(to, 0, (size_t)stride * sizeof *to);
        }
    }
}

/* Sizes alone. */
static words_product words_conv_product(const node *n, const words_width *width)
{
    return (words_product){.p = {.m = shape_rows(n->shape), .n = n->shape.dim[3], .taps = words_taps(n),
                                 .depth = n->in[1]->shape.dim[1]},
                           .width = width, .at_once = n->shape.dim[3]};
}

static int64_t words_conv_own(const backend *be, const node *n, const words_width *width)
{
    const words_product w = words_conv_product(n, width);
    const int64_t own = words_own(&w), panel = words_panel_floats(n);
    return round_up(be->threads * (own > panel ? own : panel), 16);
}

static size_t words_conv2d_scratch(const backend *be, const node *n)
{
    if (!words_fit(n)) return conv2d_scratch(be, n);
    if (BY_WINOGRAD(fit)(be, n)) return BY_WINOGRAD(scratch)(be, n);
    const words_width *width = direct_width(be);
    return (size_t)(words_image_floats(n, width) + words_conv_own(be, n, width)) * sizeof(float) +
           words_weight_scratch(n, width);
}

static int words_conv2d_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    if (!words_fit(n)) return conv2d_prepare(be, n, state, err);
    if (!BY_WINOGRAD(fit)(be, n)) return words_reserve_weight(be, n, direct_width(be), err);
    return BY_WINOGRAD(prepare)(be, n, err);
}

/* Multiply-adds times two of the products of a convolution that fits, and what they are of. */
static double words_conv2d_products(const backend *be, const node *n, const words_width **width)
{
    const bool wino = BY_WINOGRAD(fit)(be, n);
    *width = wino ? WIDTH_WORDS(be) : direct_width(be);
    return wino ? wino_work(n->in[0]->shape, n->shape) : node_flops(n);
}

static double words_conv2d_work(const backend *be, const node *n)
{
    const words_width *width;
    if (!words_fit(n)) return conv2d_work(be, n);
    const double products = words_conv2d_products(be, n, &width);
    return products * width->work;
}

static double words_conv2d_tiles(const backend *be, const node *n)
{
    const words_width *width;
    if (!words_fit(n)) return 0;
    const double products = words_conv2d_products(be, n, &width);
    return products * width->digit_work;
}

static void words_direct(const call *c)
{
    const attr *a = &c->n->attr;
    const shape w = c->n->in[1]->shape, y = c->n->shape;
    const words_width *width = direct_width(c->be);
    words_image i = words_image_of(c->n, width);
    float *own = (float *)c->scratch + words_image_floats(c->n, width);
    i.to = c->scratch;
    i.x = operand(c, 0);
    run_spans(c->be, i.images * i.down, 1, (double)(i.across * i.channels), words_image_span, &i);
    const conv_view v = {i.down, i.across, words_stride(width, i.channels), y.dim[1], y.dim[2], w.dim[3], a->stride, 0,
                         0, false, i.to, NULL};
    words_product p = words_conv_product(c->n, width);
    p.p.bias = operand(c, 2);
    p.p.c = c->out;
    p.p.ldc = y.dim[3];
    p.p.rows = conv_rows;
    p.p.ctx = &v;
    p.own = own;
    words_weight(c, &p, own, own + words_conv_own(c->be, c->n, width));
    words_all(c->be, &p);
}

static void words_conv2d(const call *c)
{
    if (!words_fit(c->n)) fast_conv2d(c);
    else if (BY_WINOGRAD(fit)(c->be, c->n)) BY_WINOGRAD(conv)(c);
    else words_direct(c);
}
