/* Reference kernels that move or sum: concat, slice, permute, resize, pooling, reduction and broadcast. */

/* A shape seen from one axis: outer x axis x inner. */
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

/* outer blocks of `count` reals, from stride to stride. */
static void copy_blocks(real *dst, int64_t dst_stride, const real *src, int64_t src_stride, int64_t outer,
                        int64_t count)
{
    for (int64_t o = 0; o < outer; o++)
        memcpy(dst + o * dst_stride, src + o * src_stride, (size_t)count * sizeof(real));
}

static void ref_concat(const call *c)
{
    const axis_view y = view_axis(c->n->shape, c->n->attr.axis), a = view_axis(c->n->in[0]->shape, c->n->attr.axis);
    const int64_t na = a.axis * a.inner, ny = y.axis * y.inner;
    copy_blocks(OUT, ny, IN(0), na, y.outer, na);
    copy_blocks(OUT + na, ny, IN(1), ny - na, y.outer, ny - na);
}

static void ref_slice(const call *c)
{
    const axis_view x = view_axis(c->n->in[0]->shape, c->n->attr.axis), y = view_axis(c->n->shape, c->n->attr.axis);
    copy_blocks(OUT, y.axis * y.inner, IN(0) + c->n->attr.start * x.inner, x.axis * x.inner, x.outer, y.axis * y.inner);
}

static void ref_slice_grad(const call *c)
{
    const axis_view x = view_axis(c->n->shape, c->n->attr.axis), g = view_axis(c->n->in[0]->shape, c->n->attr.axis);
    memset(OUT, 0, (size_t)shape_count(c->n->shape) * sizeof(real));
    copy_blocks(OUT + c->n->attr.start * x.inner, x.axis * x.inner, IN(0), g.axis * g.inner, x.outer, g.axis * g.inner);
}

static void ref_gather_rows(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    const int32_t *ids = c->in[1];
    for (int64_t r = 0; r < rows; r++) memcpy(OUT + r * width, IN(0) + ids[r] * width, (size_t)width * sizeof(real));
}

static void ref_gather_rows_grad(const call *c)
{
    const int64_t width = shape_last(c->n->shape), rows = shape_rows(c->n->in[0]->shape);
    const int32_t *ids = c->in[1];
    memset(OUT, 0, (size_t)shape_count(c->n->shape) * sizeof(real));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < width; j++) OUT[ids[r] * width + j] += IN(0)[r * width + j];
}

static void ref_reshape(const call *c)
{
    memmove(c->out, c->in[0], (size_t)shape_count(c->n->shape) * sizeof(real));
}

static void ref_permute(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    int64_t step[MAX_RANK], next = 1;
    for (int d = x.rank - 1; d >= 0; d--) {
        step[d] = next;
        next *= x.dim[d];
    }
    for (int64_t i = 0; i < next; i++) {
        int64_t from = 0, rest = i;
        for (int d = y.rank - 1; d >= 0; d--) {
            from += rest % y.dim[d] * step[c->n->attr.perm[d]];
            rest /= y.dim[d];
        }
        OUT[i] = IN(0)[from];
    }
}

static void ref_resize_nearest(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t ch = y.dim[3];
    for (int64_t b = 0; b < y.dim[0]; b++)
        for (int64_t i = 0; i < y.dim[1]; i++)
            for (int64_t j = 0; j < y.dim[2]; j++) {
                const int64_t si = i * x.dim[1] / y.dim[1], sj = j * x.dim[2] / y.dim[2];
                memcpy(OUT + ((b * y.dim[1] + i) * y.dim[2] + j) * ch,
                       IN(0) + ((b * x.dim[1] + si) * x.dim[2] + sj) * ch, (size_t)ch * sizeof(real));
            }
}

static void ref_resize_nearest_grad(const call *c)
{
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    memset(OUT, 0, (size_t)shape_count(x) * sizeof(real));
    for (int64_t b = 0; b < g.dim[0]; b++)
        for (int64_t i = 0; i < g.dim[1]; i++)
            for (int64_t j = 0; j < g.dim[2]; j++) {
                const int64_t si = i * x.dim[1] / g.dim[1], sj = j * x.dim[2] / g.dim[2];
                for (int64_t k = 0; k < g.dim[3]; k++)
                    OUT[((b * x.dim[1] + si) * x.dim[2] + sj) * g.dim[3] + k] +=
                        IN(0)[((b * g.dim[1] + i) * g.dim[2] + j) * g.dim[3] + k];
            }
}

/* Windows of k x k; rows and columns that fill no window are left out. */
static void ref_avg_pool(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t k = c->n->attr.stride, ch = y.dim[3];
    for (int64_t p = 0; p < shape_rows(y); p++)
        for (int64_t j = 0; j < ch; j++) {
            const int64_t b = p / (y.dim[1] * y.dim[2]), oy = p / y.dim[2] % y.dim[1], ox = p % y.dim[2];
            double sum = 0;
            for (int64_t t = 0; t < k * k; t++)
                sum += IN(0)[((b * x.dim[1] + oy * k + t / k) * x.dim[2] + ox * k + t % k) * ch + j];
            OUT[p * ch + j] = (real)(sum / (double)(k * k));
        }
}

static void ref_avg_pool_grad(const call *c)
{
    const shape x = c->n->shape, g = c->n->in[0]->shape;
    const int64_t k = c->n->attr.stride, ch = x.dim[3];
    for (int64_t p = 0; p < shape_rows(x); p++) {
        const int64_t b = p / (x.dim[1] * x.dim[2]), gy = p / x.dim[2] % x.dim[1] / k, gx = p % x.dim[2] / k;
        const bool inside = gy < g.dim[1] && gx < g.dim[2];
        for (int64_t j = 0; j < ch; j++)
            OUT[p * ch + j] = inside ? IN(0)[((b * g.dim[1] + gy) * g.dim[2] + gx) * ch + j] / (real)(k * k) : 0;
    }
}

/* The pixels of x that output pixel p of y looks at: rows and columns, first .. end-1. */
typedef struct window {
    int64_t b, y0, y1, x0, x1;
} window;

static window window_at(const attr *a, shape x, shape y, int64_t p)
{
    const int64_t oy = p / y.dim[2] % y.dim[1] * a->stride - a->pad[0], ox = p % y.dim[2] * a->stride - a->pad[0];
    const int64_t ey = oy + a->dim, ex = ox + a->dim;
    return (window){p / (y.dim[1] * y.dim[2]), oy < 0 ? 0 : oy, ey < x.dim[1] ? ey : x.dim[1], ox < 0 ? 0 : ox,
                    ex < x.dim[2] ? ex : x.dim[2]};
}

static void ref_window_max(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    for (int64_t p = 0; p < shape_rows(y); p++)
        for (int64_t j = 0, ch = y.dim[3]; j < ch; j++) {
            const window w = window_at(&c->n->attr, x, y, p);
            real most = IN(0)[((w.b * x.dim[1] + w.y0) * x.dim[2] + w.x0) * ch + j];
            for (int64_t i = w.y0; i < w.y1; i++)
                for (int64_t k = w.x0; k < w.x1; k++) {
                    const real v = IN(0)[((w.b * x.dim[1] + i) * x.dim[2] + k) * ch + j];
                    if (v > most || v != v) most = v;
                }
            OUT[p * ch + j] = most;
        }
}

static void ref_window_mean(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    for (int64_t p = 0; p < shape_rows(y); p++)
        for (int64_t j = 0, ch = y.dim[3]; j < ch; j++) {
            const window w = window_at(&c->n->attr, x, y, p);
            double sum = 0;
            for (int64_t i = w.y0; i < w.y1; i++)
                for (int64_t k = w.x0; k < w.x1; k++) sum += IN(0)[((w.b * x.dim[1] + i) * x.dim[2] + k) * ch + j];
            OUT[p * ch + j] = (real)(sum / (double)((w.y1 - w.y0) * (w.x1 - w.x0)));
        }
}

/* The offset in x of item i of those that are summed to y's element 0, or (kept) of y's element i. */
static int64_t sum_offset(shape x, shape y, int64_t i, bool kept)
{
    int64_t offset = 0, step = 1;
    for (int d = x.rank - 1, e = y.rank - 1; d >= 0; d--, e--) {
        const bool keeps = e >= 0 && y.dim[e] == x.dim[d];
        if (keeps == kept) {
            offset += i % x.dim[d] * step;
            i /= x.dim[d];
        }
        step *= x.dim[d];
    }
    return offset;
}

static void ref_sum_to(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    const int64_t ny = shape_count(y), each = shape_count(x) / ny;
    for (int64_t i = 0; i < ny; i++) {
        const int64_t at = sum_offset(x, y, i, true);
        double sum = 0;
        for (int64_t k = 0; k < each; k++) sum += IN(0)[at + sum_offset(x, y, k, false)];
        OUT[i] = (real)sum;
    }
}

static void ref_broadcast_to(const call *c)
{
    const shape x = c->n->in[0]->shape, y = c->n->shape;
    for (int64_t i = 0, n = shape_count(y); i < n; i++) OUT[i] = IN(0)[broadcast_offset(y, x, i)];
}
