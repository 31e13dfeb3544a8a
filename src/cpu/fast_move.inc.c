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

/* `outer` blocks of `count` floats, from stride to stride; src NULL: zeros. */
static void copy_blocks(const backend *be, float *dst, int64_t dst_stride, const float *src, int64_t src_stride,
                        int64_t outer, int64_t count)
{
    const int64_t pieces = outer >= be->threads ? 1 : be->threads;
    if (count == 0) return;
#pragma omp parallel for schedule(static) num_threads(threads_for(be, outer * count))
    for (int64_t o = 0; o < outer * pieces; o++) {
        const span s = span_of(count, 16, (int)pieces, (int)(o % pieces));
        float *to = dst + o / pieces * dst_stride + s.first;
        const size_t bytes = s.end > s.first ? (size_t)(s.end - s.first) * sizeof(float) : 0;
        if (src) memcpy(to, src + o / pieces * src_stride + s.first, bytes);
        else memset(to, 0, bytes);
    }
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

/* [rows, cols] -> [cols, rows] for one band of rows, in blocks that fit L1. */
static void transpose_band(float *out, const float *in, int64_t rows, int64_t cols, span band)
{
    enum { BLOCK = 32 };
    for (int64_t r0 = band.first; r0 < band.end; r0 += BLOCK)
        for (int64_t c0 = 0; c0 < cols; c0 += BLOCK) {
            const int64_t r1 = r0 + BLOCK < band.end ? r0 + BLOCK : band.end, c1 = c0 + BLOCK < cols ? c0 + BLOCK : cols;
            for (int64_t k = c0; k < c1; k++)
                for (int64_t r = r0; r < r1; r++) out[k * rows + r] = in[r * cols + k];
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
    const int64_t bands = outer >= c->be->threads ? 1 : c->be->threads;
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, outer * rows * cols))
    for (int64_t i = 0; i < outer * bands; i++) {
        const int64_t at = i / bands * rows * cols;
        transpose_band((float *)c->out + at, (const float *)c->in[0] + at, rows, cols,
                       span_of(rows, 16, (int)bands, (int)(i % bands)));
    }
}

static void fast_resize_nearest(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t ch = y.dim[3];
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(y)))
    for (int64_t r = 0; r < y.dim[0] * y.dim[1]; r++) {
        const int64_t b = r / y.dim[1], si = r % y.dim[1] * x.dim[1] / y.dim[1];
        const float *from = (const float *)c->in[0] + (b * x.dim[1] + si) * x.dim[2] * ch;
        float *to = (float *)c->out + r * y.dim[2] * ch;
        for (int64_t j = 0; j < y.dim[2]; j++)
            memcpy(to + j * ch, from + j * x.dim[2] / y.dim[2] * ch, (size_t)ch * sizeof(float));
    }
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

static void fast_resize_nearest_grad(const call *c)
{
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    const int64_t ch = x.dim[3];
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(g)))
    for (int64_t p = 0; p < shape_rows(x); p++) {
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

static void fast_avg_pool(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t k = c->n->attr.stride, ch = y.dim[3];
    const float part = 1 / (float)(k * k);
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(x)))
    for (int64_t p = 0; p < shape_rows(y); p++) {
        const int64_t b = p / (y.dim[1] * y.dim[2]), oy = p / y.dim[2] % y.dim[1], ox = p % y.dim[2];
        float *to = (float *)c->out + p * ch;
        memset(to, 0, (size_t)ch * sizeof(float));
        for (int64_t t = 0; t < k * k; t++)
            add_row(to, (const float *)c->in[0] + ((b * x.dim[1] + oy * k + t / k) * x.dim[2] + ox * k + t % k) * ch, ch);
        for (int64_t i = 0; i < ch; i++) to[i] *= part;
    }
}

static void fast_avg_pool_grad(const call *c)
{
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    const int64_t k = c->n->attr.stride, ch = x.dim[3];
    const float part = 1 / (float)(k * k);
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(x)))
    for (int64_t p = 0; p < shape_rows(x); p++) {
        const int64_t b = p / (x.dim[1] * x.dim[2]), gy = p / x.dim[2] % x.dim[1] / k, gx = p % x.dim[2] / k;
        const bool inside = gy < g.dim[1] && gx < g.dim[2];
        const float *from = (const float *)c->in[0] + ((b * g.dim[1] + gy) * g.dim[2] + gx) * ch;
        float *to = (float *)c->out + p * ch;
        for (int64_t i = 0; i < ch; i++) to[i] = inside ? from[i] * part : 0;
    }
}

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

static size_t sum_to_scratch(const backend *be, const node *n)
{
    const repeat r = repeat_of(n->in[0]->shape, n->shape);
    return r.fits && r.inner == 1 ? (size_t)(r.blocks * be->threads * r.count) * sizeof(double) : 0;
}

static void sum_columns(const call *c, repeat r)
{
    const int64_t chunks = r.blocks >= c->be->threads ? 1 : c->be->threads;
    double *sums = c->scratch;
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, r.blocks * r.times * r.count))
    for (int64_t k = 0; k < r.blocks * chunks; k++)
        sum_rows((const float *)c->in[0] + k / chunks * r.times * r.count,
                 span_of(r.times, 1, (int)chunks, (int)(k % chunks)), r.count, sums + k * r.count);
    for (int64_t b = 0; b < r.blocks; b++)
        for (int64_t i = 0; i < r.count; i++) {
            double total = 0;
            for (int64_t k = 0; k < chunks; k++) total += sums[(b * chunks + k) * r.count + i];
            ((float *)c->out)[b * r.count + i] = (float)total;
        }
}

static void fast_sum_to(const call *c)
{
    const repeat r = repeat_of(c->n->in[0]->shape, c->n->shape);
    const float *x = c->in[0];
    float *out = c->out;
    if (r.fits && r.inner == 1) {
        sum_columns(c, r);
    } else if (r.fits && r.times == 1) {
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(c->n->in[0]->shape)))
        for (int64_t k = 0; k < r.blocks * r.count; k++) out[k] = sum_run(x + k * r.inner, r.inner);
    } else {
        ref_f32_kernels[OP_sum_to].run(c);
    }
}

static void fast_broadcast_to(const call *c)
{
    const repeat r = repeat_of(c->n->shape, c->n->in[0]->shape);
    const float *x = c->in[0];
    float *out = c->out;
    if (!r.fits) {
        ref_f32_kernels[OP_broadcast_to].run(c);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, shape_count(c->n->shape)))
    for (int64_t k = 0; k < r.blocks * r.times; k++) {
        const float *from = x + k / r.times * r.count;
        float *to = out + k * r.count * r.inner;
        if (r.inner == 1) memcpy(to, from, (size_t)r.count * sizeof(float));
        for (int64_t i = 0; r.inner > 1 && i < r.count * r.inner; i++) to[i] = from[i / r.inner];
    }
}
