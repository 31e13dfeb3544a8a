/* The training step's vectors: optimizer, moving average, sums. Tails are computed by the same vector code, so an
 * element's bits do not depend on where it lies. */

static void fast_adamw(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v)
{
    const double correct1 = 1 - pow(o->beta1, (double)o->step), correct2 = 1 - pow(o->beta2, (double)o->step);
    const float decay = (float)(1 - o->lr * o->weight_decay), mix1 = (float)(1 - o->beta1);
    const float beta2 = (float)o->beta2, mix2 = (float)(1 - o->beta2), eps = (float)o->eps;
    const float root2 = (float)sqrt(correct2), step = (float)(o->lr / correct1), gs = (float)o->grad_scale;
    FOR_SPANS(be, n, n, {
        for (int64_t i = s.first; i < s.end; i++) {
            const float gi = g[i] * gs;
            const float mi = m[i] + mix1 * (gi - m[i]), vi2 = v[i] * beta2 + mix2 * gi * gi;
            p[i] = p[i] * decay - step * (mi / (__builtin_sqrtf(vi2) / root2 + eps));
            m[i] = mi;
            v[i] = vi2;
        }
    });
}

static void fast_lerp(backend *be, int64_t n, float *dst, const float *src, float keep)
{
    const float rest = 1 - keep;
    FOR_SPANS(be, n, n, {
        for (int64_t i = s.first; i < s.end; i++) dst[i] = dst[i] * keep + src[i] * rest;
    });
}

static void fast_accumulate(backend *be, int64_t n, float *dst, const float *src)
{
    FOR_SPANS(be, n, n, {
        for (int64_t i = s.first; i < s.end; i++) dst[i] += src[i];
    });
}

/* 64 fixed shares, whatever the threads: the sum's bits depend on n alone. */
static double fast_sum_squares(backend *be, int64_t n, const float *x)
{
    enum { SHARES = 64 };
    double part[SHARES], total = 0;
#pragma omp parallel for schedule(static) num_threads(threads_for(be, n))
    for (int k = 0; k < SHARES; k++) {
        const span s = span_of(n, 64, SHARES, k);
        double lane[8] = {0};
        int64_t i = s.first;
        for (; i + 8 <= s.end; i += 8)
            for (int j = 0; j < 8; j++) lane[j] += (double)x[i + j] * x[i + j];
        for (; i < s.end; i++) lane[0] += (double)x[i] * x[i];
        part[k] = 0;
        for (int j = 0; j < 8; j++) part[k] += lane[j];
    }
    for (int k = 0; k < SHARES; k++) total += part[k];
    return total;
}
