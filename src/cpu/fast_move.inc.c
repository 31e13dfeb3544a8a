/* Fast kernels that move or sum: copies of whole rows wherever the layout allows it. */

typedef struct axis_view {
    int64_t outer, axis, inner;
} axis_view;

static axis_view view_axis(shape s, int axis)
{
    axis_view v = {1, s.dim[axis], 1};
    for (int d = 0; d < axis; d++) v.outer *= s.dim[d];
    for (int d = axis + 1; d < s.rank; d++) v.inner *= s.dim[d];
    return v;
}

/* `outer` blocks of `count` floats, from stride to stride; src NULL: zeros. Items: pieces of BITE floats of a block. */
typedef struct copy_job {
    float *dst;
    const float *src;
    int64_t dst_stride, src_stride, count, bites;
} copy_job;

enum { BITE = 8192 };

static void copy_span(const void *ctx, span s, int worker)
{
    const copy_job *j = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const int64_t block = i / j->bites, at = i % j->bites * BITE;
        const size_t bytes = (size_t)(j->count - at < BITE ? j->count - at : BITE) * sizeof(float);
        float *to = j->dst + block * j->dst_stride + at;
        if (j->src) memcpy(to, j->src + block * j->src_stride + at, bytes);
        else memset(to, 0, bytes);
    }
}

static void copy_blocks(const backend *be, float *dst, int64_t dst_stride, const float *src, int64_t src_stride,
                        int64_t outer, int64_t count)
{
    const copy_job j = {dst, src, dst_stride, src_stride, count, (count + BITE - 1) / BITE};
    if (count) run_spans(be, outer * j.bites, 1, (double)(count / j.bites), copy_span, &j);
}

static void fast_concat(const call *c)
{
    const axis_view y = view_axis(c->n->shape, c->n->attr.axis), a = view_axis(c->n->in[0]->shape, c->n->attr.axis);
    const int64_t na = a.axis * a.inner, ny = y.axis * y.inner;
    copy_blocks(c->be, c->out, ny, c->in[0], na, y.outer, na);
    copy_blocks(c->be, (float *)c->out + na, ny, c->in[1], ny - na, y.outer, ny - na);
}

static void fast_slice(const call *c)
{
    const axis_view x = view_axis(c->n->in[0]->shape, c->n->attr.axis), y = view_axis(c->n->shape, c->n->attr.axis);
    copy_blocks(c->be, c->out, y.axis * y.inner, (const float *)c->in[0] + c->n->attr.start * x.inner,
                x.axis * x.inner, x.outer, y.axis * y.inner);
}

static void fast_slice_grad(const call *c)
{
    const axis_view x = view_axis(c->n->shape, c->n->attr.axis), g = view_axis(c->n->in[0]->shape, c->n->attr.axis);
    const int64_t nx = x.axis * x.inner, ng = g.axis * g.inner, before = c->n->attr.start * x.inner;
    float *out = c->out;
    copy_blocks(c->be, out, nx, NULL, 0, x.outer, before);
    copy_blocks(c->be, out + before, nx, c->in[0], ng, x.outer, ng);
    copy_blocks(c->be, out + before + ng, nx, NULL, 0, x.outer, nx - before - ng);
}

/* [outer, rows, cols] -> [outer, cols, rows]. Items: bands of BAND rows, in blocks that fit L1. */
typedef struct transpose_job {
    float *out;
    const float *in;
    int64_t rows, cols, bands;
} transpose_job;

enum { BAND = 32 };

static void transpose_span(const void *ctx, span s, int worker)
{
    const transpose_job *j = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const float *in = j->in + i / j->bands * j->rows * j->cols;
        float *out = j->out + i / j->bands * j->rows * j->cols;
        const int64_t r0 = i % j->bands * BAND, r1 = r0 + BAND < j->rows ? r0 + BAND : j->rows;
        for (int64_t c0 = 0; c0 < j->cols; c0 += BAND)
            for (int64_t k = c0; k < c0 + BAND && k < j->cols; k++)
                for (int64_t r = r0; r < r1; r++) out[k * j->rows + r] = in[r * j->cols + k];
    }
}

/* Whether the permutation is [outer, rows, cols] -> [outer, cols, rows] after joining neighbours. */
static bool permute_transposes(const attr *a, shape x, int64_t *outer, int64_t *rows, int64_t *cols)
{
    int fixed = 0;
    while (fixed < x.rank && a->perm[fixed] == fixed) fixed++;
    if (fixed == x.rank) return false;
    const int split = a->perm[fixed];
    for (int d = fixed; d < x.rank; d++) {
        const int want = d - fixed < x.rank - split ? split + d - fixed : d - (x.rank - split);
        if (a->perm[d] != want) return false;
    }
    *outer = *rows = *cols = 1;
    for (int d = 0; d < x.rank; d++) *(d < fixed ? outer : d < split ? rows : cols) *= x.dim[d];
    return true;
}

static void fast_permute(const call *c)
{
    int64_t outer, rows, cols;
    if (!permute_transposes(&c->n->attr, c->n->in[0]->shape, &outer, &rows, &cols)) {
        ref_f32_kernels[OP_permute].run(c);
        return;
    }
    const transpose_job j = {c->out, c->in[0], rows, cols, (rows + BAND - 1) / BAND};
    run_spans(c->be, outer * j.bands, 1, 2 * (double)(rows * cols / j.bands), transpose_span, &j);
}

/* Items: rows of the result. */
static void resize_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t ch = y.dim[3];
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++) {
        const int64_t b = r / y.dim[1], si = r % y.dim[1] * x.dim[1] / y.dim[1];
        const float *from = (const float *)c->in[0] + (b * x.dim[1] + si) * x.dim[2] * ch;
        float *to = (float *)c->out + r * y.dim[2] * ch;
        for (int64_t j = 0; j < y.dim[2]; j++)
            memcpy(to + j * ch, from + j * x.dim[2] / y.dim[2] * ch, (size_t)ch * sizeof(float));
    }
}

static void fast_resize_nearest(const call *c)
{
    const shape y = c->n->shape;
    run_spans(c->be, y.dim[0] * y.dim[1], 1, (double)(y.dim[2] * y.dim[3]), resize_span, c);
}

static void add_row(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

/* The output rows (or columns) whose source is i: first .. end-1. */
static span resize_sources(int64_t i, int64_t size, int64_t out)
{
    return (span){(i * out + size - 1) / size, ((i + 1) * out + size - 1) / size};
}

/* Items: pixels of dx. */
static void resize_grad_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    const int64_t ch = x.dim[3];
    (void)worker;
    for (int64_t p = s.first; p < s.end; p++) {
        const int64_t b = p / (x.dim[1] * x.dim[2]);
        const span rows = resize_sources(p / x.dim[2] % x.dim[1], x.dim[1], g.dim[1]);
        const span cols = resize_sources(p % x.dim[2], x.dim[2], g.dim[2]);
        float *to = (float *)c->out + p * ch;
        memset(to, 0, (size_t)ch * sizeof(float));
        for (int64_t i = rows.first; i < rows.end; i++)
            for (int64_t j = cols.first; j < cols.end; j++)
                add_row(to, (const float *)c->in[0] + ((b * g.dim[1] + i) * g.dim[2] + j) * ch, ch);
    }
}

static void fast_resize_nearest_grad(const call *c)
{
    const int64_t pixels = shape_rows(c->n->shape);
    run_spans(c->be, pixels, 1, (double)(shape_count(c->n->in[0]->shape) / pixels + 1), resize_grad_span, c);
}

/* Items: pixels of the result. */
static void avg_pool_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t k = c->n->attr.stride, ch = y.dim[3];
    const float part = 1 / (float)(k * k);
    (void)worker;
    for (int64_t p = s.first; p < s.end; p++) {
        const int64_t b = p / (y.dim[1] * y.dim[2]), oy = p / y.dim[2] % y.dim[1], ox = p % y.dim[2];
        const float *from = (const float *)c->in[0] + ((b * x.dim[1] + oy * k) * x.dim[2] + ox * k) * ch;
        float *to = (float *)c->out + p * ch;
        memset(to, 0, (size_t)ch * sizeof(float));
        for (int64_t t = 0; t < k * k; t++) add_row(to, from + (t / k * x.dim[2] + t % k) * ch, ch);
        for (int64_t i = 0; i < ch; i++) to[i] *= part;
    }
}

static void fast_avg_pool(const call *c)
{
    const int64_t k = c->n->attr.stride;
    run_spans(c->be, shape_rows(c->n->shape), 1, (double)(k * k * shape_last(c->n->shape)), avg_pool_span, c);
}

/* Items: pixels of dx. */
static void avg_pool_grad_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    const int64_t k = c->n->attr.stride, ch = x.dim[3];
    const float part = 1 / (float)(k * k);
    (void)worker;
    for (int64_t p = s.first; p < s.end; p++) {
        const int64_t b = p / (x.dim[1] * x.dim[2]), gy = p / x.dim[2] % x.dim[1] / k, gx = p % x.dim[2] / k;
        const bool inside = gy < g.dim[1] && gx < g.dim[2];
        const float *from = (const float *)c->in[0] + (inside ? ((b * g.dim[1] + gy) * g.dim[2] + gx) * ch : 0);
        float *to = (float *)c->out + p * ch;
        for (int64_t i = 0; i < ch; i++) to[i] = inside ? from[i] * part : 0;
    }
}

static void fast_avg_pool_grad(const call *c)
{
    run_spans(c->be, shape_rows(c->n->shape), 1, (double)shape_last(c->n->shape), avg_pool_grad_span, c);
}

/* ---- windows: items are pixels of the result ---- */

/* The pixels of x inside the window of output pixel p: rows and columns. */
static int64_t window_inside(const call *c, int64_t p, span *rows, span *columns)
{
    const attr *a = &c->n->attr;
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t oy = p / y.dim[2] % y.dim[1] * a->stride - a->pad[0], ox = p % y.dim[2] * a->stride - a->pad[0];
    *rows = (span){oy < 0 ? 0 : oy, oy + a->dim < x.dim[1] ? oy + a->dim : x.dim[1]};
    *columns = (span){ox < 0 ? 0 : ox, ox + a->dim < x.dim[2] ? ox + a->dim : x.dim[2]};
    return p / (y.dim[1] * y.dim[2]) * x.dim[1];
}

/* NaN wins. */
static void max_row(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = from[i] > to[i] || from[i] != from[i] ? from[i] : to[i];
}

static void window_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const shape x = c->n->in[0]->shape;
    const int64_t ch = x.dim[3];
    const bool largest = c->n->op == OP_window_max;
    (void)worker;
    for (int64_t p = s.first; p < s.end; p++) {
        span rows, columns;
        const int64_t top = window_inside(c, p, &rows, &columns);
        float *to = (float *)c->out + p * ch;
        for (int64_t i = rows.first; i < rows.end; i++)
            for (int64_t k = columns.first; k < columns.end; k++) {
                const float *from = (const float *)c->in[0] + ((top + i) * x.dim[2] + k) * ch;
                if (i == rows.first && k == columns.first) memcpy(to, from, (size_t)ch * sizeof(float));
                else if (largest) max_row(to, from, ch);
                else add_row(to, from, ch);
            }
        const float part = 1 / (float)((rows.end - rows.first) * (columns.end - columns.first));
        for (int64_t i = 0; !largest && i < ch; i++) to[i] *= part;
    }
}

static void fast_window_max(const call *c)
{
    const double cost = (double)(c->n->attr.dim * c->n->attr.dim) * (double)shape_last(c->n->shape);
    run_spans(c->be, shape_rows(c->n->shape), 1, cost, window_span, c);
}

static void fast_window_mean(const call *c) { fast_window_max(c); }

/* ---- sums: x [blocks, times, count, inner] -> [blocks, 1, count, 1] ---- */

/* `rows` rows of x, n wide, summed: float over SUM_ROWS rows, then double. */
static void sum_rows(const float *x, span rows, int64_t n, double *sum)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t r = rows.first; r < rows.end; r += SUM_ROWS) {
        const int64_t end = r + SUM_ROWS < rows.end ? r + SUM_ROWS : rows.end;
        for (int64_t i = 0; i < n; i += V) {
            vf a = splat(0);
            for (int64_t k = r; k < end; k++) a += load_row(x + k * n, i, n);
            add_double(sum, a, i, n);
        }
    }
}

/* The sum of one run of n floats. */
static float sum_run(const float *x, int64_t n)
{
    enum { RUN = 16 * V };
    double total = 0;
    for (int64_t i = 0; i < n; i += RUN) {
        const int64_t end = i + RUN < n ? i + RUN : n;
        vf a = splat(0);
        for (int64_t k = i; k < end; k += V) a += load_row(x, k, end);
        total += vsum(a);
    }
    return (float)total;
}

/* Sums of columns go in chunks of rows, by the sizes alone. */
typedef struct sum_job {
    const float *x;
    float *out;
    repeat r;
    int64_t chunks;
    double *sums;        /* [blocks][chunks][count] */
} sum_job;

static int64_t sum_chunks(repeat r)
{
    int64_t chunks = r.times * r.count / 32768;
    if (chunks > r.times / SUM_ROWS) chunks = r.times / SUM_ROWS;
    return chunks < 1 ? 1 : chunks > 16 ? 16 : chunks;
}

static size_t sum_to_scratch(const backend *be, const node *n)
{
    const repeat r = repeat_of(n->in[0]->shape, n->shape);
    (void)be;
    return r.fits && r.inner == 1 ? (size_t)(r.blocks * sum_chunks(r) * r.count) * sizeof(double) : 0;
}

static void sum_columns_span(const void *ctx, span s, int worker)
{
    const sum_job *j = ctx;
    const repeat r = j->r;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++)
        sum_rows(j->x + k / j->chunks * r.times * r.count, span_of(r.times, 1, j->chunks, k % j->chunks), r.count,
                 j->sums + k * r.count);
}

static void sum_runs_span(const void *ctx, span s, int worker)
{
    const sum_job *j = ctx;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++) j->out[k] = sum_run(j->x + k * j->r.inner, j->r.inner);
}

static void sum_columns_join(const sum_job *j)
{
    for (int64_t b = 0; b < j->r.blocks; b++)
        for (int64_t i = 0; i < j->r.count; i++) {
            double total = 0;
            for (int64_t k = 0; k < j->chunks; k++) total += j->sums[(b * j->chunks + k) * j->r.count + i];
            j->out[b * j->r.count + i] = (float)total;
        }
}

static void fast_sum_to(const call *c)
{
    const repeat r = repeat_of(c->n->in[0]->shape, c->n->shape);
    const sum_job j = {c->in[0], c->out, r, sum_chunks(r), c->scratch};
    if (r.fits && r.inner == 1) {
        run_spans(c->be, r.blocks * j.chunks, 1, (double)(r.times * r.count / j.chunks), sum_columns_span, &j);
        sum_columns_join(&j);
    } else if (r.fits && r.times == 1) {
        run_spans(c->be, r.blocks * r.count, 1, (double)r.inner, sum_runs_span, &j);
    } else {
        ref_f32_kernels[OP_sum_to].run(c);
    }
}

static void broadcast_span(const void *ctx, span s, int worker)
{
    const sum_job *j = ctx;
    const repeat r = j->r;
    (void)worker;
    for (int64_t k = s.first; k < s.end; k++) {
        const float *from = j->x + k / r.times * r.count;
        float *to = j->out + k * r.count * r.inner;
        if (r.inner == 1) memcpy(to, from, (size_t)r.count * sizeof(float));
        for (int64_t i = 0; r.inner > 1 && i < r.count; i++)
            for (int64_t t = 0; t < r.inner; t++) to[i * r.inner + t] = from[i];
    }
}

static void fast_broadcast_to(const call *c)
{
    const sum_job j = {.x = c->in[0], .out = c->out, .r = repeat_of(c->n->shape, c->n->in[0]->shape)};
    if (!j.r.fits) ref_f32_kernels[OP_broadcast_to].run(c);
    else run_spans(c->be, j.r.blocks * j.r.times, 1, (double)(j.r.count * j.r.inner), broadcast_span, &j);
}
