/* Fast group norm (with SiLU) and layer norm and their gradients. A norm over groups is two sums per channel of each
 * image (chunks of rows in parallel, added up in double in a fixed order), then one pass that writes. */

enum { SUM_ROWS = 16 };   /* rows summed in float before they join the double sums */

static inline void add_double(double *sum, vf x, int64_t i, int64_t n)
{
    float t[V];
    store(t, x);
    for (int64_t j = 0; j < V && i + j < n; j++) sum[i + j] += t[j];
}

/* x [images, rows, channels]; every image's rows are summed in `chunks` parts. */
typedef struct group_job {
    int64_t images, rows, channels, groups, width, chunks;
    bool silu;
    const call *c;
    double *sums;        /* [images][chunks][2][channels] */
    float *center, *gain;    /* [images][channels]: mean; 1/std, times w in the forward pass */
    float *mean1, *mean2;    /* [images][channels]: the gradient's two means */
} group_job;

static group_job group_sizes(const node *n)
{
    const shape s = n->in[0]->shape;
    group_job j = {.images = s.dim[0], .rows = shape_rows(s) / s.dim[0], .channels = shape_last(s),
                   .groups = n->attr.groups, .silu = n->attr.silu};
    j.width = j.channels / j.groups;
    j.chunks = j.rows * j.channels / 32768;   /* of the sizes alone, so that sums have the same bits on any threads */
    if (j.chunks > 16) j.chunks = 16;
    if (j.chunks > j.rows / SUM_ROWS) j.chunks = j.rows / SUM_ROWS;
    if (j.chunks < 1) j.chunks = 1;
    return j;
}

static size_t group_norm_scratch(const backend *be, const node *n)
{
    (void)be;
    const group_job j = group_sizes(n);
    const size_t cells = (size_t)(j.images * j.channels);
    return cells * ((size_t)j.chunks * 2 * sizeof(double) + 4 * sizeof(float));
}

static size_t group_norm_grad_scratch(const backend *be, const node *n)
{
    return group_norm_scratch(be, n);
}

static void group_place(group_job *j, void *scratch)
{
    const int64_t cells = j->images * j->channels;
    j->sums = scratch;
    j->center = (float *)(j->sums + cells * 2 * j->chunks);
    j->gain = j->center + cells;
    j->mean1 = j->gain + cells;
    j->mean2 = j->mean1 + cells;
}

/* sum and squares, per channel, of x minus the first row. */
static void group_sum_rows(const group_job *j, const float *x, const float *shift, span rows, double *sum)
{
    const int64_t n = j->channels;
    memset(sum, 0, (size_t)n * 2 * sizeof *sum);
    for (int64_t r = rows.first; r < rows.end; r += SUM_ROWS) {
        const int64_t end = r + SUM_ROWS < rows.end ? r + SUM_ROWS : rows.end;
        for (int64_t i = 0; i < n; i += V) {
            const vf from = load_row(shift, i, n);
            vf a = splat(0), b = splat(0);
            for (int64_t k = r; k < end; k++) {
                const vf d = load_row(x + k * n, i, n) - from;
                a += d;
                b += d * d;
            }
            add_double(sum, a, i, n);
            add_double(sum + n, b, i, n);
        }
    }
}

/* Adds an image's chunks into the first. */
static double *group_join(const group_job *j, int64_t image)
{
    double *sum = j->sums + image * j->chunks * 2 * j->channels;
    for (int64_t k = 1; k < j->chunks; k++)
        for (int64_t i = 0; i < 2 * j->channels; i++) sum[i] += sum[k * 2 * j->channels + i];
    return sum;
}

/* Mean and variance of a group of an image whose chunks are joined. */
static double group_moments(const group_job *j, const float *x, int64_t image, int64_t g, double *variance)
{
    const double *sum = j->sums + image * j->chunks * 2 * j->channels, *squares = sum + j->channels;
    const float *shift = x + image * j->rows * j->channels;
    const double count = (double)(j->rows * j->width);
    double total = 0, spread = 0;
    for (int64_t i = g * j->width; i < (g + 1) * j->width; i++) total += (double)j->rows * shift[i] + sum[i];
    const double mean = total / count;
    for (int64_t i = g * j->width; i < (g + 1) * j->width; i++) {
        const double d = shift[i] - mean;
        spread += squares[i] + 2 * sum[i] * d + (double)j->rows * d * d;
    }
    *variance = (spread > 0 ? spread : 0) / count;
    return mean;
}

/* An image's mean and 1/std, written for every channel of a group. */
static void group_stats(const group_job *j, const float *x, int64_t image, float eps, float *center, float *rstd)
{
    group_join(j, image);
    for (int64_t g = 0; g < j->groups; g++) {
        double variance;
        const double mean = group_moments(j, x, image, g, &variance);
        for (int64_t i = g * j->width; i < (g + 1) * j->width; i++) {
            center[i] = (float)mean;
            rstd[i] = (float)(1 / sqrt(variance + eps));
        }
    }
}

/* Item: chunk of an image. */
static void group_sum_span(const void *ctx, span s, int worker)
{
    const group_job *j = ctx;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++) {
        const float *image = (const float *)j->c->in[0] + k / j->chunks * j->rows * j->channels;
        group_sum_rows(j, image, image, span_of(j->rows, 1, j->chunks, k % j->chunks), j->sums + k * 2 * j->channels);
    }
}

static void group_apply_span(const void *ctx, span s, int worker)
{
    const group_job *j = ctx;
    const int64_t n = j->channels;
    const float *offset = j->c->in[2];
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++) {
        const float *center = j->center + r / j->rows * n, *gain = j->gain + r / j->rows * n;
        const float *x = (const float *)j->c->in[0] + r * n;
        float *y = (float *)j->c->out + r * n;
        for (int64_t i = 0; i < n; i += V) {
            vf v = (load_row(x, i, n) - load_row(center, i, n)) * load_row(gain, i, n) + load_row(offset, i, n);
            if (j->silu) v = v * vsigmoid(v);
            store_row(y, i, n, v);
        }
    }
}

static void fast_group_norm(const call *c)
{
    group_job job = group_sizes(c->n), *j = &job;
    j->c = c;
    group_place(j, c->scratch);
    const float *w = c->in[1];
    float *stats = c->part[0];
    run_spans(c->be, j->images * j->chunks, 1, (double)(j->rows * j->channels / j->chunks), group_sum_span, j);
    for (int64_t k = 0; k < j->images; k++) {
        group_stats(j, c->in[0], k, c->n->attr.eps, j->center + k * j->channels, j->gain + k * j->channels);
        for (int64_t g = 0; stats && g < j->groups; g++) {
            stats[(k * j->groups + g) * 2] = j->center[k * j->channels + g * j->width];
            stats[(k * j->groups + g) * 2 + 1] = j->gain[k * j->channels + g * j->width];
        }
        for (int64_t i = 0; i < j->channels; i++) j->gain[k * j->channels + i] *= w[i];
    }
    run_spans(c->be, j->images * j->rows, 1, (double)j->channels * (j->silu ? 3 : 1), group_apply_span, j);
}

static size_t group_stats_scratch(const backend *be, const node *n)
{
    return group_norm_scratch(be, n);
}

static void fast_group_stats(const call *c)
{
    group_job job = group_sizes(c->n), *j = &job;
    j->c = c;
    group_place(j, c->scratch);
    run_spans(c->be, j->images * j->chunks, 1, (double)(j->rows * j->channels / j->chunks), group_sum_span, j);
    for (int64_t k = 0; k < j->images; k++) {
        group_join(j, k);
        for (int64_t g = 0; g < j->groups; g++) {
            float *at = (float *)c->out + (k * j->groups + g) * 2;
            double variance;
            at[0] = (float)group_moments(j, c->in[0], k, g, &variance);
            at[1] = (float)variance;
        }
    }
}

static size_t group_norm_by_scratch(const backend *be, const node *n)
{
    return group_norm_scratch(be, n);
}

static void fast_group_norm_by(const call *c)
{
    group_job job = group_sizes(c->n), *j = &job;
    j->c = c;
    group_place(j, c->scratch);
    const float *w = c->in[1], *stats = c->in[3];
    for (int64_t k = 0; k < j->images; k++)
        for (int64_t i = 0; i < j->channels; i++) {
            const float *s = stats + (k * j->groups + i / j->width) * 2;
            j->center[k * j->channels + i] = s[0];
            j->gain[k * j->channels + i] = s[1] * w[i];
        }
    run_spans(c->be, j->images * j->rows, 1, (double)j->channels * (j->silu ? 3 : 1), group_apply_span, j);
}

/* The gradient at the norm's output, behind the SiLU. */
static inline vf group_gy(const group_job *j, vf xhat, vf g, const float *w, const float *b, int64_t i)
{
    return j->silu ? g * vsilu_slope(xhat * load_row(w, i, j->channels) + load_row(b, i, j->channels)) : g;
}

/* Per channel: sums of gy and of gy * xhat. */
static void group_grad_rows(const group_job *j, const call *c, int64_t image, span rows, double *sum)
{
    const int64_t n = j->channels;
    const float *x = (const float *)c->in[0] + image * j->rows * n, *g = (const float *)c->in[4] + image * j->rows * n;
    const float *center = j->center + image * n, *rstd = j->gain + image * n;
    memset(sum, 0, (size_t)n * 2 * sizeof *sum);
    for (int64_t r = rows.first; r < rows.end; r += SUM_ROWS) {
        const int64_t end = r + SUM_ROWS < rows.end ? r + SUM_ROWS : rows.end;
        for (int64_t i = 0; i < n; i += V) {
            const vf mean = load_row(center, i, n), scale = load_row(rstd, i, n);
            vf a = splat(0), b = splat(0);
            for (int64_t k = r; k < end; k++) {
                const vf xhat = (load_row(x + k * n, i, n) - mean) * scale;
                const vf gy = group_gy(j, xhat, load_row(g + k * n, i, n), c->in[1], c->in[2], i);
                a += gy;
                b += gy * xhat;
            }
            add_double(sum, a, i, n);
            add_double(sum + n, b, i, n);
        }
    }
}

/* dx = rstd (gy w - mean1 - xhat mean2) */
static void group_grad_apply(const group_job *j, const call *c, int64_t row)
{
    const int64_t n = j->channels, image = row / j->rows;
    const float *x = (const float *)c->in[0] + row * n, *g = (const float *)c->in[4] + row * n, *w = c->in[1];
    const float *m1 = j->mean1 + image * n, *m2 = j->mean2 + image * n;
    float *dx = (float *)c->out + row * n;
    for (int64_t i = 0; i < n; i += V) {
        const vf rstd = load_row(j->gain + image * n, i, n);
        const vf xhat = (load_row(x, i, n) - load_row(j->center + image * n, i, n)) * rstd;
        const vf gy = group_gy(j, xhat, load_row(g, i, n), w, c->in[2], i);
        store_row(dx, i, n, rstd * (gy * load_row(w, i, n) - load_row(m1, i, n) - xhat * load_row(m2, i, n)));
    }
}

/* dw, db and the two means of each group from an image's sums. */
static void group_grad_join(const group_job *j, const call *c, int64_t image)
{
    const int64_t n = j->channels;
    const double *sum = group_join(j, image);
    const float *w = c->in[1];
    float *dw = c->part[0], *db = c->part[1];
    const double count = (double)(j->rows * j->width);
    for (int64_t i = 0; i < n; i++) {
        if (db) db[i] = (image ? db[i] : 0) + (float)sum[i];
        if (dw) dw[i] = (image ? dw[i] : 0) + (float)sum[n + i];
    }
    for (int64_t g = 0; g < j->groups; g++) {
        double first = 0, second = 0;
        for (int64_t i = g * j->width; i < (g + 1) * j->width; i++) {
            first += w[i] * sum[i];
            second += w[i] * sum[n + i];
        }
        for (int64_t i = g * j->width; i < (g + 1) * j->width; i++) {
            j->mean1[image * n + i] = (float)(first / count);
            j->mean2[image * n + i] = (float)(second / count);
        }
    }
}

static void group_grad_span(const void *ctx, span s, int worker)
{
    const group_job *j = ctx;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++)
        group_grad_rows(j, j->c, k / j->chunks, span_of(j->rows, 1, j->chunks, k % j->chunks),
                        j->sums + k * 2 * j->channels);
}

static void group_grad_apply_span(const void *ctx, span s, int worker)
{
    const group_job *j = ctx;
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++) group_grad_apply(j, j->c, r);
}

static void fast_group_norm_grad(const call *c)
{
    group_job job = group_sizes(c->n), *j = &job;
    j->c = c;
    group_place(j, c->scratch);
    const float *stats = c->in[3];
    const double cost = j->silu ? 4 : 2;
    for (int64_t k = 0; k < j->images; k++)
        for (int64_t i = 0; i < j->channels; i++) {
            const float *s = stats + (k * j->groups + i / j->width) * 2;
            j->center[k * j->channels + i] = s[0];
            j->gain[k * j->channels + i] = s[1];
        }
    run_spans(c->be, j->images * j->chunks, 1, cost * (double)(j->rows * j->channels / j->chunks), group_grad_span, j);
    for (int64_t k = 0; k < j->images; k++) group_grad_join(j, c, k);
    run_spans(c->be, j->images * j->rows, 1, cost * (double)j->channels, group_grad_apply_span, j);
}

/* ---- layer norm ---- */

static void layer_row(const float *x, float *y, const float *w, const float *b, int64_t n, float eps, float *stats)
{
    vf sum = splat(0), squares = splat(0);
    for (int64_t i = 0; i < n; i += V) sum += load_row(x, i, n);
    const float mean = vsum(sum) / (float)n;
    for (int64_t i = 0; i < n; i += V) {
        const vf d = n - i >= V ? load(x + i) - mean : splat(0);
        squares += d * d;
    }
    float spread = vsum(squares);
    for (int64_t i = n / V * V; i < n; i++) spread += (x[i] - mean) * (x[i] - mean);
    const float rstd = 1 / sqrtf(spread / (float)n + eps);
    for (int64_t i = 0; i < n; i += V)
        store_row(y, i, n, (load_row(x, i, n) - mean) * rstd * load_row(w, i, n) + load_row(b, i, n));
    if (!stats) return;
    stats[0] = mean;
    stats[1] = rstd;
}

static void layer_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const int64_t n = shape_last(c->n->shape);
    float *stats = c->part[0];
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++)
        layer_row((const float *)c->in[0] + r * n, (float *)c->out + r * n, c->in[1], c->in[2], n, c->n->attr.eps,
                  stats ? stats + 2 * r : NULL);
}

static void fast_layer_norm(const call *c)
{
    run_spans(c->be, shape_rows(c->n->shape), 1, 2 * (double)shape_last(c->n->shape), layer_span, c);
}

/* Rows go in chunks, by the sizes alone. Per chunk: dw and db in double, and the float sums of SUM_ROWS rows. */
static int64_t layer_chunks(shape s)
{
    const int64_t chunks = shape_count(s) / 65536;
    return chunks < 1 ? 1 : chunks > 32 ? 32 : chunks;
}

static size_t layer_norm_grad_scratch(const backend *be, const node *n)
{
    (void)be;
    return (size_t)(layer_chunks(n->shape) * shape_last(n->shape)) * (2 * sizeof(double) + 2 * sizeof(float));
}

static void layer_grad_row(const float *x, const float *w, const float *g, float *dx, int64_t n, float mean, float rstd,
                           float *dw, float *db)
{
    vf first = splat(0), second = splat(0);
    for (int64_t i = 0; i < n; i += V) {
        const vf xhat = (load_row(x, i, n) - mean) * rstd, gy = load_row(g, i, n), gw = gy * load_row(w, i, n);
        first += gw;
        second += gw * xhat;
        store_row(dw, i, n, load_row(dw, i, n) + gy * xhat);
        store_row(db, i, n, load_row(db, i, n) + gy);
    }
    const float m1 = vsum(first) / (float)n, m2 = vsum(second) / (float)n;
    for (int64_t i = 0; i < n; i += V) {
        const vf xhat = (load_row(x, i, n) - mean) * rstd;
        store_row(dx, i, n, rstd * (load_row(g, i, n) * load_row(w, i, n) - m1 - xhat * m2));
    }
}

static void layer_grad_rows(const call *c, span rows, int64_t n, double *sum, float *part)
{
    const float *x = c->in[0], *stats = c->in[2], *g = c->in[3];
    memset(sum, 0, (size_t)n * 2 * sizeof *sum);
    for (int64_t r0 = rows.first; r0 < rows.end; r0 += SUM_ROWS) {
        memset(part, 0, (size_t)n * 2 * sizeof *part);
        for (int64_t r = r0; r < r0 + SUM_ROWS && r < rows.end; r++)
            layer_grad_row(x + r * n, c->in[1], g + r * n, (float *)c->out + r * n, n, stats[2 * r], stats[2 * r + 1],
                           part, part + n);
        for (int64_t i = 0; i < 2 * n; i++) sum[i] += part[i];
    }
}

typedef struct layer_grad_job {
    const call *c;
    int64_t rows, n, chunks;
    double *sums;       /* [chunks][2][n] */
    float *parts;       /* [chunks][2][n] */
} layer_grad_job;

static void layer_grad_span(const void *ctx, span s, int worker)
{
    const layer_grad_job *j = ctx;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++)
        layer_grad_rows(j->c, span_of(j->rows, 1, j->chunks, k), j->n, j->sums + k * 2 * j->n, j->parts + k * 2 * j->n);
}

static void fast_layer_norm_grad(const call *c)
{
    const int64_t n = shape_last(c->n->shape), rows = shape_rows(c->n->shape), chunks = layer_chunks(c->n->shape);
    double *sums = c->scratch;
    const layer_grad_job j = {c, rows, n, chunks, sums, (float *)(sums + chunks * 2 * n)};
    float *dw = c->part[0], *db = c->part[1];
    run_spans(c->be, chunks, 1, 3 * (double)(rows * n / chunks), layer_grad_span, &j);
    for (int64_t t = 1; t < chunks; t++)
        for (int64_t i = 0; i < 2 * n; i++) sums[i] += sums[t * 2 * n + i];
    for (int64_t i = 0; i < n; i++) {
        if (dw) dw[i] = (float)sums[i];
        if (db) db[i] = (float)sums[n + i];
    }
}
