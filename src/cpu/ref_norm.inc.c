/* Reference kernels, group norm (with an optional SiLU behind it) and layer norm, and their gradients. */

/* x [b, inner, groups * width]: group g of image i is the block of `inner` rows, `width` wide, at offset. */
typedef struct norm_block {
    int64_t inner, channels, width;
} norm_block;

static void norm_stats(const real *x, norm_block k, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t p = 0; p < k.inner; p++)
        for (int64_t j = 0; j < k.width; j++) sum += x[p * k.channels + j];
    const double count = (double)(k.inner * k.width);
    *mean = sum / count;
    for (int64_t p = 0; p < k.inner; p++)
        for (int64_t j = 0; j < k.width; j++) {
            const double d = x[p * k.channels + j] - *mean;
            squares += d * d;
        }
    *variance = squares / count;
}

static void norm_apply(real *out, const real *x, const real *w, const real *b, norm_block k, double mean, double rstd,
                       bool silu)
{
    for (int64_t p = 0; p < k.inner; p++)
        for (int64_t j = 0; j < k.width; j++) {
            const double y = (x[p * k.channels + j] - mean) * rstd * w[j] + b[j];
            out[p * k.channels + j] = (real)(silu ? y * sigmoid(y) : y);
        }
}

/* One block's dx, and what it adds to dw and db (which may be NULL). */
static void norm_grad(real *dx, real *dw, real *db, const real *x, const real *w, const real *b, const real *g,
                      norm_block k, double mean, double rstd, bool silu)
{
    double sum_g = 0, sum_gx = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t p = 0; p < k.inner; p++)
            for (int64_t j = 0; j < k.width; j++) {
                const int64_t at = p * k.channels + j;
                const double xhat = (x[at] - mean) * rstd;
                double gy = g[at];
                if (silu) gy *= silu_slope(xhat * w[j] + b[j]);
                if (pass == 0) {
                    sum_g += gy * w[j];
                    sum_gx += gy * w[j] * xhat;
                    if (dw) dw[j] += (real)(gy * xhat);
                    if (db) db[j] += (real)gy;
                } else {
                    const double count = (double)(k.inner * k.width);
                    dx[at] = (real)(rstd * (gy * w[j] - sum_g / count - xhat * sum_gx / count));
                }
            }
}

static void ref_group_norm(const call *c)
{
    const shape s = c->n->shape;
    const int groups = c->n->attr.groups;
    const int64_t channels = shape_last(s), width = channels / groups;
    const norm_block k = {shape_rows(s) / s.dim[0], channels, width};
    for (int64_t i = 0; i < s.dim[0]; i++)
        for (int64_t g = 0; g < groups; g++) {
            const int64_t at = i * k.inner * channels + g * width;
            double mean, variance;
            norm_stats(IN(0) + at, k, &mean, &variance);
            const double rstd = 1 / sqrt(variance + c->n->attr.eps);
            norm_apply(OUT + at, IN(0) + at, IN(1) + g * width, IN(2) + g * width, k, mean, rstd, c->n->attr.silu);
            if (!c->part[0]) continue;
            PART(0)[(i * groups + g) * 2] = (real)mean;
            PART(0)[(i * groups + g) * 2 + 1] = (real)rstd;
        }
}

static void ref_group_stats(const call *c)
{
    const shape s = c->n->in[0]->shape;
    const int groups = c->n->attr.groups;
    const int64_t channels = shape_last(s), width = channels / groups;
    const norm_block k = {shape_rows(s) / s.dim[0], channels, width};
    for (int64_t i = 0; i < s.dim[0]; i++)
        for (int64_t g = 0; g < groups; g++) {
            double mean, variance;
            norm_stats(IN(0) + i * k.inner * channels + g * width, k, &mean, &variance);
            OUT[(i * groups + g) * 2] = (real)mean;
            OUT[(i * groups + g) * 2 + 1] = (real)variance;
        }
}

static void ref_group_norm_by(const call *c)
{
    const shape s = c->n->shape;
    const int groups = c->n->attr.groups;
    const int64_t channels = shape_last(s), width = channels / groups;
    const norm_block k = {shape_rows(s) / s.dim[0], channels, width};
    for (int64_t i = 0; i < s.dim[0]; i++)
        for (int64_t g = 0; g < groups; g++) {
            const int64_t at = i * k.inner * channels + g * width;
            const real *stats = IN(3) + (i * groups + g) * 2;
            norm_apply(OUT + at, IN(0) + at, IN(1) + g * width, IN(2) + g * width, k, stats[0], stats[1],
                       c->n->attr.silu);
        }
}

static void norm_clear_parts(const call *c, int64_t channels)
{
    for (int k = 0; k < 2; k++)
        if (c->part[k]) memset(c->part[k], 0, (size_t)channels * sizeof(real));
}

static void ref_group_norm_grad(const call *c)
{
    const shape s = c->n->shape;
    const int groups = c->n->attr.groups;
    const int64_t channels = shape_last(s), width = channels / groups;
    const norm_block k = {shape_rows(s) / s.dim[0], channels, width};
    const real *stats = IN(3);
    norm_clear_parts(c, channels);
    for (int64_t i = 0; i < s.dim[0]; i++)
        for (int64_t g = 0; g < groups; g++) {
            const int64_t at = i * k.inner * channels + g * width, ch = g * width;
            norm_grad(OUT + at, PART(0) ? PART(0) + ch : NULL, PART(1) ? PART(1) + ch : NULL, IN(0) + at, IN(1) + ch,
                      IN(2) + ch, IN(4) + at, k, stats[(i * groups + g) * 2], stats[(i * groups + g) * 2 + 1],
                      c->n->attr.silu);
        }
}

static void ref_layer_norm(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    const norm_block k = {1, width, width};
    for (int64_t r = 0; r < rows; r++) {
        double mean, variance;
        norm_stats(IN(0) + r * width, k, &mean, &variance);
        const double rstd = 1 / sqrt(variance + c->n->attr.eps);
        norm_apply(OUT + r * width, IN(0) + r * width, IN(1), IN(2), k, mean, rstd, false);
        if (!c->part[0]) continue;
        PART(0)[r * 2] = (real)mean;
        PART(0)[r * 2 + 1] = (real)rstd;
    }
}

static void ref_layer_norm_grad(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    const norm_block k = {1, width, width};
    norm_clear_parts(c, width);
    for (int64_t r = 0; r < rows; r++)
        norm_grad(OUT + r * width, PART(0), PART(1), IN(0) + r * width, IN(1), NULL, IN(3) + r * width, k, IN(2)[r * 2],
                  IN(2)[r * 2 + 1], false);
}

static void ref_unit(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const real *x = IN(0) + r * width;
        double sum = 0;
        for (int64_t j = 0; j < width; j++) sum += (double)x[j] * x[j];
        const double over = 1 / sqrt(sum);
        for (int64_t j = 0; j < width; j++) OUT[r * width + j] = (real)(x[j] * over);
        if (c->part[0]) PART(0)[r] = (real)over;
    }
}

static void ref_unit_grad(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const real *y = IN(0) + r * width, *g = IN(1) + r * width;
        double along = 0;
        for (int64_t j = 0; j < width; j++) along += (double)y[j] * g[j];
        for (int64_t j = 0; j < width; j++) OUT[r * width + j] = (real)((g[j] - along * y[j]) * IN(2)[r]);
    }
}

static void ref_log_softmax(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const real *x = IN(0) + r * width;
        double top = x[0], sum = 0;
        for (int64_t j = 1; j < width; j++) top = fmax(top, x[j]);
        for (int64_t j = 0; j < width; j++) sum += exp(x[j] - top);
        for (int64_t j = 0; j < width; j++) OUT[r * width + j] = (real)(x[j] - top - log(sum));
    }
}

static void ref_log_softmax_grad(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const real *y = IN(0) + r * width, *g = IN(1) + r * width;
        double sum = 0;
        for (int64_t j = 0; j < width; j++) sum += g[j];
        for (int64_t j = 0; j < width; j++) OUT[r * width + j] = (real)(g[j] - exp(y[j]) * sum);
    }
}
