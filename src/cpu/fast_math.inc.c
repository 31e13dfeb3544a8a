/* Fast elementwise kernels. Tails go through a zero-padded vector, so every element is computed by the same code. */

#define UNARY(name, expr)                                                                 \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        const float *px = c->in[0];                                                       \
        float *out = c->out;                                                              \
        const float alpha = c->n->attr.alpha, beta = c->n->attr.beta;                     \
        const int64_t n = shape_count(c->n->shape);                                       \
        (void)alpha, (void)beta;                                                          \
        FOR_SPANS(c->be, n, n, {                                                          \
            for (int64_t i = s.first; i < s.end; i += V) {                                \
                const int64_t left = s.end - i;                                           \
                const vf x = left >= V ? load(px + i) : load_part(px + i, left);          \
                const vf y = expr;                                                        \
                if (left >= V) store(out + i, y);                                         \
                else store_part(out + i, y, left);                                        \
            }                                                                             \
        });                                                                               \
    }

/* x, g -> dx */
#define UNARY_GRAD(name, expr)                                                            \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        const float *px = c->in[0], *pg = c->in[1];                                       \
        float *out = c->out;                                                              \
        const float alpha = c->n->attr.alpha, beta = c->n->attr.beta;                     \
        const int64_t n = shape_count(c->n->shape);                                       \
        (void)alpha, (void)beta;                                                          \
        FOR_SPANS(c->be, n, n, {                                                          \
            for (int64_t i = s.first; i < s.end; i += V) {                                \
                const int64_t left = s.end - i;                                           \
                const vf x = left >= V ? load(px + i) : load_part(px + i, left);          \
                const vf g = left >= V ? load(pg + i) : load_part(pg + i, left);          \
                const vf y = expr;                                                        \
                if (left >= V) store(out + i, y);                                         \
                else store_part(out + i, y, left);                                        \
            }                                                                             \
        });                                                                               \
    }

UNARY(scale, alpha * x + beta)
UNARY(silu, x * vsigmoid(x))
UNARY_GRAD(silu_grad, g * vsilu_slope(x))
UNARY(gelu, x * vphi(x))
UNARY_GRAD(gelu_grad, g * vgelu_slope(x))
UNARY(exp, vexp(x))
UNARY(abs, vabs(x))
UNARY(sign, choose(x > 0.0f, splat(1), choose(x < 0.0f, splat(-1), splat(0))))
UNARY(clamp, choose(x < alpha, splat(alpha), choose(x > beta, splat(beta), x)))
UNARY_GRAD(clamp_grad, choose((x >= alpha) & (x <= beta), g, splat(0)))

/* How b repeats along a: element i of a meets b[i / inner % count]. (inner, count) = (1, n): same shape or the trailing
 * dimensions, [C] on [B,H,W,C]; inner > 1: b lacks trailing ones. With one more level for [B,1,1,C] on [B,H,W,C]. */
typedef struct repeat {
    int64_t blocks, times, count, inner;   /* b [blocks, 1, count, 1] against a [blocks, times, count, inner] */
    bool fits;
} repeat;

/* Collapses the two shapes to that pattern, if they have it. */
static repeat repeat_of(shape a, shape b)
{
    repeat r = {1, 1, 1, 1, true};
    int stage = 0;   /* from the right: 0 inner (b is 1), 1 count, 2 times (b is 1), 3 blocks */
    for (int d = a.rank - 1, e = b.rank - 1; d >= 0; d--, e--) {
        const int64_t na = a.dim[d], nb = e >= 0 ? b.dim[e] : 1;
        if (na == 1) continue;
        const bool same = na == nb;
        if (stage == 0 && same) stage = 1;
        else if (stage == 1 && !same) stage = 2;
        else if (stage == 2 && same) stage = 3;
        else if (stage == 3 && !same) r.fits = false;
        int64_t *const sizes[] = {&r.inner, &r.count, &r.times, &r.blocks};
        *sizes[stage] *= na;
    }
    return r;
}

#define BINARY(name, op)                                                                  \
    static inline void name##_rows(float *out, const float *a, const float *b, int64_t n) \
    {                                                                                     \
        int64_t i = 0;                                                                    \
        for (; i + V <= n; i += V) store(out + i, load(a + i) op load(b + i));            \
        for (; i < n; i++) out[i] = a[i] op b[i];                                         \
    }                                                                                     \
    static inline void name##_one(float *out, const float *a, float b, int64_t n)         \
    {                                                                                     \
        int64_t i = 0;                                                                    \
        for (; i + V <= n; i += V) store(out + i, load(a + i) op b);                      \
        for (; i < n; i++) out[i] = a[i] op b;                                            \
    }                                                                                     \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        const float *a = c->in[0], *b = c->in[1];                                         \
        float *out = c->out;                                                              \
        const shape sa = c->n->shape;                                                     \
        const repeat r = repeat_of(sa, c->n->in[1]->shape);                               \
        const int64_t n = shape_count(sa);                                                \
        if (!r.fits) {                                                                    \
            ref_f32_kernels[OP_##name].run(c);                                            \
        } else if (r.blocks * r.times == 1 && r.inner == 1) {                             \
            FOR_SPANS(c->be, n, n, { name##_rows(out + s.first, a + s.first, b + s.first, s.end - s.first); }); \
        } else if (r.inner == 1) {                                                        \
            _Pragma("omp parallel for schedule(static) num_threads(threads_for(c->be, n))") \
            for (int64_t k = 0; k < r.blocks * r.times; k++)                              \
                name##_rows(out + k * r.count, a + k * r.count, b + k / r.times * r.count, r.count); \
        } else {                                                                          \
            _Pragma("omp parallel for schedule(static) num_threads(threads_for(c->be, n))") \
            for (int64_t k = 0; k < r.blocks * r.times * r.count; k++)                    \
                name##_one(out + k * r.inner, a + k * r.inner,                            \
                           b[k / (r.times * r.count) * r.count + k % r.count], r.inner);  \
        }                                                                                 \
    }

BINARY(add, +)
BINARY(sub, -)
BINARY(mul, *)

static void fast_geglu(const call *c)
{
    const int64_t n = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    const float *in = c->in[0];
    float *out = c->out;
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, rows * n))
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += V) {
            const float *x = in + 2 * r * n + i, *gate = x + n;
            const int64_t left = n - i;
            if (left >= V) {
                const vf t = load(gate);
                store(out + r * n + i, load(x) * (t * vphi(t)));
            } else {
                const vf t = load_part(gate, left);
                store_part(out + r * n + i, load_part(x, left) * (t * vphi(t)), left);
            }
        }
}

static void fast_geglu_grad(const call *c)
{
    const int64_t n = shape_last(c->n->shape) / 2, rows = shape_rows(c->n->shape);
    const float *in = c->in[0], *grad = c->in[1];
    float *out = c->out;
#pragma omp parallel for schedule(static) num_threads(threads_for(c->be, rows * n))
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += V) {
            const float *x = in + 2 * r * n + i, *gate = x + n, *g = grad + r * n + i;
            float *dx = out + 2 * r * n + i;
            const int64_t left = n - i < V ? n - i : V;
            const vf vx = left < V ? load_part(x, left) : load(x), vg = left < V ? load_part(g, left) : load(g);
            const vf t = left < V ? load_part(gate, left) : load(gate);
            const vf phi = vphi(t), slope = phi + t * vexp(-0.5f * t * t) * 0.39894228f;
            if (left < V) {
                store_part(dx, vg * (t * phi), left);
                store_part(dx + n, vg * vx * slope, left);
            } else {
                store(dx, vg * (t * phi));
                store(dx + n, vg * vx * slope);
            }
        }
}
