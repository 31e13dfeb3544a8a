/* How a convolution reads its image: a row pointer per output pixel and tap. x [B,H,W,I], w [O,I,kh,kw], y
 * [B,H',W',O]. */

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

/* Output pixels ox .. ox+count-1 of one row that reads input row `line` (NULL: outside): a run of pixels with a border
 * of zeros on either side. */
static void conv_run_of_rows(const conv_view *v, const float *line, int64_t ox, int64_t count, int64_t kx, row_ptr *row)
{
    int64_t i = 0;
    if (line && !v->backward) {
        const int64_t step = v->stride * v->channels, base = (ox * v->stride - v->left + kx) * v->channels;
        const int64_t room = (v->w - 1 + v->left - kx) / v->stride - ox + 1;   /* pixels before the right border */
        for (; i < count && base + i * step < 0; i++) row[i] = v->zeros;
        for (; i < count && i < room; i++) row[i] = line + base + i * step;
    } else if (line) {
        for (; i < count; i++) {
            const int64_t ix = conv_source(v, ox + i, kx, v->left, v->w);
            row[i] = ix < 0 ? v->zeros : line + ix * v->channels;
        }
    }
    for (; i < count; i++) row[i] = v->zeros;
}

static void conv_rows(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row)
{
    const conv_view *v = ctx;
    const int64_t ky = tap / v->kw, kx = tap % v->kw;
    int64_t ox = first % v->ow, oy = first / v->ow % v->oh, b = first / (v->ow * v->oh);
    while (count > 0) {
        const int64_t n = v->ow - ox < count ? v->ow - ox : count, iy = conv_source(v, oy, ky, v->top, v->h);
        conv_run_of_rows(v, iy < 0 ? NULL : v->data + (b * v->h + iy) * v->w * v->channels, ox, n, kx, row);
        row += n;
        count -= n;
        ox = 0;
        if (++oy < v->oh) continue;
        oy = 0;
        b++;
    }
}
