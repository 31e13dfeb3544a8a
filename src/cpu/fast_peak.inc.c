/* What the machine can do: multiply-adds in registers alone, on all threads. */
#include <stdlib.h>
#include <time.h>

enum { PEAK_CHAINS = 12, PEAK_STEPS = 200000, PEAK_TRIES = 12 };

static void peak_span(const void *ctx, span s, int worker)
{
    float *sink = *(float *const *)ctx;
    (void)worker;
    for (int64_t item = s.first; item < s.end; item++) {
        vf acc[PEAK_CHAINS];
        const vf a = splat(0.999f), b = splat(1e-3f);
        UNROLL(12)
        for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = splat((float)i);
        for (int k = 0; k < PEAK_STEPS; k++) {
            UNROLL(12)
            for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = acc[i] * a + b;
        }
        for (int i = 1; i < PEAK_CHAINS; i++) acc[0] += acc[i];
        sink[item] = vsum(acc[0]);
    }
}

/* The best of some tries, so that other programs disturb little. job leaves a float a thread in the sink, which does
 * `flops`. */
static double peak_of(backend *be, span_job *job, double flops)
{
    float *sink = malloc((size_t)be->threads * sizeof *sink);
    double best = 0;
    for (int k = 0; sink && k < PEAK_TRIES; k++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        run_spans(be, be->threads, 1, 1e9, job, &sink);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        best = fmax(best, flops * be->threads / seconds);
    }
    free(sink);
    return best;
}

static double fast_peak(backend *be)
{
    return peak_of(be, peak_span, 2.0 * V * PEAK_CHAINS * PEAK_STEPS);
}
