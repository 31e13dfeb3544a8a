/* Reference kernels, matrix products and convolutions, straight from their definitions. */

static void ref_linear(const call *c)
{
    const int64_t ni = shape_last(c->n->in[0]->shape), no = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < no; o++) {
            double sum = IN(2) ? IN(2)[o] : 0;
            for (int64_t i = 0; i < ni; i++) sum += (double)IN(0)[r * ni + i] * IN(1)[o * ni + i];
            OUT[r * no + o] = (real)sum;
        }
}

static void ref_linear_dx(const call *c)
{
    const int64_t no = shape_last(c->n->in[0]->shape), ni = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < ni; i++) {
            double sum = 0;
            for (int64_t o = 0; o < no; o++) sum += (double)IN(0)[r * no + o] * IN(1)[o * ni + i];
            OUT[r * ni + i] = (real)sum;
        }
}

static void ref_linear_dw(const call *c)
{
    const shape g = c->n->in[0]->shape;
    const int64_t no = shape_last(g), ni = shape_last(c->n->in[1]->shape), rows = shape_rows(g);
    for (int64_t o = 0; o < no; o++)
        for (int64_t i = 0; i < ni; i++) {
            double sum = 0;
            for (int64_t r = 0; r < rows; r++) sum += (double)IN(0)[r * no + o] * IN(1)[r * ni + i];
            OUT[o * ni + i] = (real)sum;
        }
}

/* A convolution's sizes. x [b,h,w,ni], w [no,ni,kh,kw], y [b,oh,ow,no]. */
typedef struct conv_dims {
    int64_t b, h, w, ni, oh, ow, no, kh, kw;
    int stride, top, left;
} conv_dims;

static conv_dims conv_sizes(const attr *a, shape x, shape w, shape y)
{
    return (conv_dims){x.dim[0], x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], y.dim[3], w.dim[2], w.dim[3],
                       a->stride, a->pad[0], a->pad[2]};
}

/* Calls body for every (output pixel y, input pixel x, tap) that meet; y, x are pixel indices, tap = ky * kw + kx. */
#define FOR_TAPS(d, body)                                                                       \
    for (int64_t b = 0; b < d.b; b++)                                                           \
        for (int64_t oy = 0; oy < d.oh; oy++)                                                   \
            for (int64_t ox = 0; ox < d.ow; ox++)                                               \
                for (int64_t ky = 0; ky < d.kh; ky++)                                           \
                    for (int64_t kx = 0; kx < d.kw; kx++) {                                     \
                        const int64_t iy = oy * d.stride - d.top + ky, ix = ox * d.stride - d.left + kx; \
                        if (iy < 0 || iy >= d.h || ix < 0 || ix >= d.w) continue;               \
                        const int64_t y = (b * d.oh + oy) * d.ow + ox, x = (b * d.h + iy) * d.w + ix; \
                        const int64_t tap = ky * d.kw + kx;                                     \
                        body                                                                    \
                    }

static void ref_conv2d(const call *c)
{
    const conv_dims d = conv_sizes(&c->n->attr, c->n->in[0]->shape, c->n->in[1]->shape, c->n->shape);
    const int64_t taps = d.kh * d.kw;
    for (int64_t o = 0; o < d.no; o++)
        for (int64_t p = 0; p < d.b * d.oh * d.ow; p++) OUT[p * d.no + o] = IN(2) ? IN(2)[o] : 0;
    FOR_TAPS(d, {
        for (int64_t o = 0; o < d.no; o++) {
            double sum = 0;
            for (int64_t i = 0; i < d.ni; i++) sum += (double)IN(0)[x * d.ni + i] * IN(1)[(o * d.ni + i) * taps + tap];
            OUT[y * d.no + o] += (real)sum;
        }
    })
}

static void ref_conv2d_dx(const call *c)
{
    const conv_dims d = conv_sizes(&c->n->attr, c->n->shape, c->n->in[1]->shape, c->n->in[0]->shape);
    const int64_t taps = d.kh * d.kw;
    memset(OUT, 0, (size_t)shape_count(c->n->shape) * sizeof(real));
    FOR_TAPS(d, {
        for (int64_t i = 0; i < d.ni; i++) {
            double sum = 0;
            for (int64_t o = 0; o < d.no; o++) sum += (double)IN(0)[y * d.no + o] * IN(1)[(o * d.ni + i) * taps + tap];
            OUT[x * d.ni + i] += (real)sum;
        }
    })
}

static void ref_conv2d_dw(const call *c)
{
    const conv_dims d = conv_sizes(&c->n->attr, c->n->in[1]->shape, c->n->shape, c->n->in[0]->shape);
    const int64_t taps = d.kh * d.kw;
    memset(OUT, 0, (size_t)shape_count(c->n->shape) * sizeof(real));
    FOR_TAPS(d, {
        for (int64_t o = 0; o < d.no; o++)
            for (int64_t i = 0; i < d.ni; i++)
                OUT[(o * d.ni + i) * taps + tap] += IN(0)[y * d.no + o] * IN(1)[x * d.ni + i];
    })
}
