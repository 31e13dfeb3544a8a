/* Fast elementwise kernels. Tails go through a zero-padded vector, so every element is computed by the same code. */

/* Vectors are computed in whole ones from the start of the tensor, whatever the pieces are. */
enum { GRAIN = 64 };

#define UNARY(name, expr)                                                                 \
    static void name##_span(const void *ctx, span s, int worker)                          \
    {                                                                                     \
        const call *c = ctx;                                                              \
        const float *px = c->in[0];                                                       \
        float *out = c->out;                                                              \
        const float alpha = c->n->attr.alpha, beta = c->n->attr.beta;                     \
        (void)worker, (void)alpha, (void)beta;                                            \
        for (int64_t i = s.first; i < s.end; i += V) {                                    \
            const vf x = load_row(px, i, s.end);                                          \
            store_row(out, i, s.end, expr);                                               \
        }                                                                                 \
    }                                                                                     \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        run_spans(c->be, shape_count(c->n->shape), GRAIN, 1, name##_span, c);             \
    }

/* x, g -> dx */
#define UNARY_GRAD(name, expr)                                                            \
    static void name##_span(const void *ctx, span s, int worker)                          \
    {                                                                                     \
        const call *c = ctx;                                                              \
        const float *px = c->in[0], *pg = c->in[1];                                       \
        float *out = c->out;                                                              \
        const float alpha = c->n->attr.alpha, beta = c->n->attr.beta;                     \
        (void)worker, (void)alpha, (void)beta;                                            \
        for (int64_t i = s.first; i < s.end; i += V) {                                    \
            const vf x = load_row(px, i, s.end), g = load_row(pg, i, s.end);              \
            store_row(out, i, s.end, expr);                                               \
        }                                                                                 \
    }                                                                                     \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        run_spans(c->be, shape_count(c->n->shape), GRAIN, 1, name##_span, c);             \
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

/* Items are elements, rows of `count`, or runs of `inner` that meet one element of b. */
typedef struct binary_job {
    const float *a, *b;
    float *out;
    repeat r;
} binary_job;

#define BINARY(name, op)                                                                  \
    static void name##_elements(const void *ctx, span s, int worker)                      \
    {                                                                                     \
        const binary_job *j = ctx;                                                        \
        (void)worker;                                                                     \
        for (int64_t i = s.first; i < s.end; i += V)                                      \
            store_row(j->out, i, s.end, load_row(j->a, i, s.end) op load_row(j->b, i, s.end)); \
    }                                                                                     \
    static void name##_rows(const void *ctx, span s, int worker)                          \
    {                                                                                     \
        const binary_job *j = ctx;                                                        \
        const int64_t n = j->r.count;                                                     \
        (void)worker;                                                                     \
        for (int64_t k = s.first; k < s.end; k++) {                                       \
            const float *a = j->a + k * n, *b = j->b + k / j->r.times * n;                \
            for (int64_t i = 0; i < n; i += V)                                            \
                store_row(j->out + k * n, i, n, load_row(a, i, n) op load_row(b, i, n));  \
        }                                                                                 \
    }                                                                                     \
    static void name##_scalars(const void *ctx, span s, int worker)                       \
    {                                                                                     \
        const binary_job *j = ctx;                                                        \
        const repeat r = j->r;                                                            \
        (void)worker;                                                                     \
        for (int64_t k = s.first; k < s.end; k++) {                                       \
            const float b = j->b[k / (r.times * r.count) * r.count + k % r.count];        \
            const float *a = j->a + k * r.inner;                                          \
            for (int64_t i = 0; i < r.inner; i += V)                                      \
                store_row(j->out + k * r.inner, i, r.inner, load_row(a, i, r.inner) op b); \
        }                                                                                 \
    }                                                                                     \
    static void fast_##name(const call *c)                                                \
    {                                                                                     \
        const binary_job j = {c->in[0], c->in[1], c->out, repeat_of(c->n->shape, c->n->in[1]->shape)}; \
        const int64_t rows = j.r.blocks * j.r.times;                                      \
        if (!j.r.fits) ref_f32_kernels[OP_##name].run(c);                                 \
        else if (j.r.inner > 1) run_spans(c->be, rows * j.r.count, 1, (double)j.r.inner, name##_scalars, &j); \
        else if (rows > 1) run_spans(c->be, rows, 1, (double)j.r.count, name##_rows, &j); \
        else run_spans(c->be, j.r.count, GRAIN, 1, name##_elements, &j);                  \
    }

BINARY(add, +)
BINARY(sub, -)
BINARY(mul, *)

static void geglu_row(float *out, const float *x, const float *gate, int64_t n)
{
    for (int64_t i = 0; i < n; i += V) {
        const vf t = load_row(gate, i, n);
        store_row(out, i, n, load_row(x, i, n) * (t * vphi(t)));
    }
}

/* As geglu_row, off by 1.5e-5 of x at most, with a third of the operations: the normal distribution by a polynomial
 * fitted to least error of GELU for |gate| <= 4.5; beyond, it is 0 or 1. */
static void geglu_row_coarse(float *out, const float *x, const float *gate, int64_t n)
{
    for (int64_t i = 0; i < n; i += V) {
        const vf g = load_row(gate, i, n), u = g * g;
        vf p = splat(-1.40364095e-12f);
        p = p * u + 1.70104325e-10f;
        p = p * u + -9.21044075e-09f;
        p = p * u + 2.96304114e-07f;
        p = p * u + -6.37149969e-06f;
        p = p * u + 9.79299377e-05f;
        p = p * u + -0.00112301513f;
        p = p * u + 0.00983430183f;
        p = p * u + -0.0663389274f;
        p = p * u + 0.398884916f;
        const vf phi = choose(g > 4.5f, splat(1), choose(g < -4.5f, splat(0), p * g + 0.5f));
        store_row(out, i, n, load_row(x, i, n) * (g * phi));
    }
}

typedef void geglu_row_function(float *out, const float *x, const float *gate, int64_t n);

/* Products of integers round far more than the coarse one does. */
static geglu_row_function *geglu_row_of(const backend *be)
{
    return cpu_of(be)->words ? geglu_row_coarse : geglu_row;
}

static void geglu_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const int64_t n = shape_last(c->n->shape);
    geglu_row_function *row = geglu_row_of(c->be);
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++) {
        const float *x = (const float *)c->in[0] + 2 * r * n;
        row((float *)c->out + r * n, x, x + n, n);
    }
}

static void fast_geglu(const call *c)
{
    run_spans(c->be, shape_rows(c->n->shape), 1, 4 * (double)shape_last(c->n->shape), geglu_span, c);
}

static void geglu_grad_span(const void *ctx, span s, int worker)
{
    const call *c = ctx;
    const int64_t n = shape_last(c->n->shape) / 2;
    (void)worker;
    for (int64_t r = s.first; r < s.end; r++) {
        const float *x = (const float *)c->in[0] + 2 * r * n, *gate = x + n, *g = (const float *)c->in[1] + r * n;
        float *dx = (float *)c->out + 2 * r * n, *dgate = dx + n;
        for (int64_t i = 0; i < n; i += V) {
            const vf t = load_row(gate, i, n), vg = load_row(g, i, n), phi = vphi(t);
            const vf slope = phi + t * vexp_within(-0.5f * t * t) * 0.39894228f, vx = load_row(x, i, n);
            store_row(dx, i, n, vg * (t * phi));
            store_row(dgate, i, n, vg * vx * slope);
        }
    }
}

static void fast_geglu_grad(const call *c)
{
    run_spans(c->be, shape_rows(c->n->shape), 1, 4 * (double)shape_last(c->n->shape), geglu_grad_span, c);
}
