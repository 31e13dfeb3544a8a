/* How a convolution reads its image: a row pointer per output pixel and tap. x [B,H,W,I], w [O,I,kh,kw], y [B,H',W',O]. */

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
