/* What a data set will take, from one batch that is made to see: m2m data mis --plan. */
#include "data/mis.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/mis_job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t paper_captions = 12237187;            /* of CC12M within 77 tokens: the paper, section 4.1 */

typedef struct sample {
    double seconds, bytes;                                 /* of an image */
    double set_bytes;                                      /* of the members that a set has once, and of tar headers */
} sample;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int step(void *user, double images)
{
    mis_job *j = user;
    const m2m_calls *c = j->calls;
    int64_t steps = j->options->steps;
    int64_t done = (int64_t)(images * (double)steps);
    return c && c->progress && c->progress(c->user, "steps of a sample", done, j->todo * steps);
}

/* One batch of the first caption. */
static int measure(mis_job *j, sample *s, m2m_error *err)
{
    mis_captions m = {0};
    int n = (int)(j->options->images < j->source->batch ? j->options->images : j->source->batch);
    uint8_t **data = calloc((size_t)n, sizeof *data);
    size_t *sizes = calloc((size_t)n, sizeof *sizes);
    int rc = data && sizes ? 0 : fail(err, M2M_ENOMEM, "no memory for %d images", n);
    if (!rc) rc = mis_captions_read(&m, j->captions, &j->filter, &j->plan.shards[0], err);
    j->todo = n;
    j->work.step = step;
    double start = now();
    if (!rc) rc = mis_images_make(&j->work, m.rows[0], m.texts[0], 0, n, data, sizes, NULL, err);
    *s = (sample){.seconds = (now() - start) / n};
    for (int i = 0; i < n && data; i++) {
        s->bytes += ((double)sizes[i] + 512 + 256) / n;    /* with a header and half a block of padding */
        free(data[i]);
    }
    const mis_source *q = j->source;
    double k = (double)j->options->images;
    double latents = 1024 + 2 * k * q->latent_channels * q->latent_height * q->latent_width;
    s->set_bytes = 2 * (512 + 512) + 512 + 24 * k + (j->options->latents ? latents : 0);
    free(data);
    free(sizes);
    mis_captions_free(&m);
    return rc;
}

static void tell_total(const mis_job *j, const sample *s, const char *what, int64_t captions)
{
    double images = (double)captions * (double)j->options->images, seconds = images * s->seconds;
    double bytes = images * s->bytes + (double)captions * s->set_bytes;
    char size[TEXT_SIZE], one[TEXT_SIZE], hundred[TEXT_SIZE];
    bool gpu = strncmp(j->options->device, "cpu", 3) != 0;
    str t = {0};
    str_printf(&t, "%s: %lld captions x %lld = %.0f images, %s; %s here", what, (long long)captions,
               (long long)j->options->images, images, bytes_text((int64_t)bytes, size, sizeof size),
               duration_text(seconds, one, sizeof one));
    if (gpu) str_printf(&t, ", %.4g GPU hours", seconds / 3600);
    else str_printf(&t, ", %.4g CPU hours (of one thread)", seconds / 3600 * j->work.threads);
    str_printf(&t, "; on 100 such machines %s", duration_text(seconds / 100, hundred, sizeof hundred));
    mis_tell(j, &t);
    str_free(&t);
}

/* Where no GPU made the sample, its hours by the arithmetic. */
static void tell_gpu(const mis_job *j, const char *what, int64_t captions)
{
    double flops = j->source->flops, images = (double)captions * (double)j->options->images;
    if (flops <= 0 || strncmp(j->options->device, "cpu", 3)) return;
    str t = {0};
    str_printf(&t, "%s: %.4g TFLOP of U-Net an image; %.4g GPU hours at %g TFLOP/s (--gpu-tflops), without decoding",
               what, flops * 1e-12, images * flops * 1e-12 / j->options->gpu_tflops / 3600, j->options->gpu_tflops);
    mis_tell(j, &t);
    str_free(&t);
}

static void tell_sample(const mis_job *j, const sample *s)
{
    char time[TEXT_SIZE], size[TEXT_SIZE];
    str t = {0};
    str_printf(&t, "measured: %s an image of %dx%d (%lld steps, batch %d, %s, %d threads), %s as %s",
               duration_text(s->seconds, time, sizeof time), j->source->width, j->source->height,
               (long long)j->options->steps, j->source->batch, j->options->device, j->work.threads,
               bytes_text((int64_t)s->bytes, size, sizeof size), j->options->format);
    mis_tell(j, &t);
    str_free(&t);
}

int mis_estimate(const mis_source *source, const char *captions, const m2m_mis_options *o, const m2m_calls *calls,
                 m2m_error *err)
{
    mis_job j;
    sample s;
    int rc = mis_job_open(&j, source, captions, o, calls, err);
    if (!rc) rc = mis_plan_make(&j.plan, j.captions, &j.filter, calls, err);
    if (!rc) mis_tell_counts(&j);
    if (!rc) rc = measure(&j, &s, err);
    if (!rc) {
        tell_sample(&j, &s);
        tell_total(&j, &s, captions, j.plan.used);
        tell_total(&j, &s, "all of CC12M", paper_captions);
        tell_gpu(&j, "all of CC12M", paper_captions);
    }
    mis_job_close(&j);
    return rc;
}
