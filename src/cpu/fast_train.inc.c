/* The training step's vectors: optimizer, moving average, sums. Every element is computed alike, wherever it lies. */

typedef struct adamw_job {
    float decay, mix1, beta2, mix2, eps, root2, step, grad_scale;
    float *p, *m, *v;
    const float *g;
} adamw_job;

static void adamw_span(const void *ctx, span s, int worker)
{
    const adamw_job j = *(const adamw_job *)ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) {
        const float g = j.g[i] * j.grad_scale;
        const float m = j.m[i] + j.mix1 * (g - j.m[i]), v = j.v[i] * j.beta2 + j.mix2 * g * g;
        j.p[i] = j.p[i] * j.decay - j.step * (m / (__builtin_sqrtf(v) / j.root2 + j.eps));
        j.m[i] = m;
        j.v[i] = v;
    }
}

static void fast_adamw(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v)
{
    const double correct1 = 1 - pow(o->beta1, (double)o->step), correct2 = 1 - pow(o->beta2, (double)o->step);
    const adamw_job j = {
        .decay = (float)(1 - o->lr * o->weight_decay), .mix1 = (float)(1 - o->beta1), .beta2 = (float)o->beta2,
        .mix2 = (float)(1 - o->beta2), .eps = (float)o->eps, .root2 = (float)sqrt(correct2),
        .step = (float)(o->lr / correct1), .grad_scale = (float)o->grad_scale, .p = p, .m = m, .v = v, .g = g,
    };
    run_spans(be, n, 64, 2, adamw_span, &j);
}

typedef struct mix_job {
    float *dst;
    const float *src;
    float keep, take;
} mix_job;

static void mix_span(const void *ctx, span s, int worker)
{
    const mix_job j = *(const mix_job *)ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++) j.dst[i] = j.dst[i] * j.keep + j.src[i] * j.take;
}

static void fast_lerp(backend *be, int64_t n, float *dst, const float *src, float keep)
{
    const mix_job j = {dst, src, keep, 1 - keep};
    run_spans(be, n, 64, 1, mix_span, &j);
}

static void fast_accumulate(backend *be, int64_t n, float *dst, const float *src)
{
    const mix_job j = {dst, src, 1, 1};
    run_spans(be, n, 64, 1, mix_span, &j);
}

/* A fixed number of shares, whatever the threads: the sum's bits depend on n alone. */
enum { SQUARE_SHARES = 64 };

typedef struct squares_job {
    const float *x;
    int64_t n;
    double *part;
} squares_job;

static void squares_span(const void *ctx, span shares, int worker)
{
    const squares_job *j = ctx;
    (void)worker;
    for (int64_t k = shares.first; k < shares.end; k++) {
        const span s = span_of(j->n, 64, SQUARE_SHARES, k);
        double lane[8] = {0};
        int64_t i = s.first;
        for (; i + 8 <= s.end; i += 8)
            for (int t = 0; t < 8; t++) lane[t] += (double)j->x[i + t] * j->x[i + t];
        for (; i < s.end; i++) lane[0] += (double)j->x[i] * j->x[i];
        j->part[k] = 0;
        for (int t = 0; t < 8; t++) j->part[k] += lane[t];
    }
}

static double fast_sum_squares(backend *be, int64_t n, const float *x)
{
    double part[SQUARE_SHARES], total = 0;
    const squares_job j = {x, n, part};
    run_spans(be, SQUARE_SHARES, 1, (double)n / SQUARE_SHARES, squares_span, &j);
    for (int k = 0; k < SQUARE_SHARES; k++) total += part[k];
    return total;
}
