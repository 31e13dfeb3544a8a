/* m2m_bench: seconds per run of a component, memory, and where the time goes. */
#include "m2m_train.h"

#include "base/json.h"
#include "base/memory.h"
#include "diffusion/rollout.h"
#include "image/spec.h"
#include "lib/bench_ops.h"
#include "lib/device.h"
#include "lib/model.h"
#include "models/m2m.h"
#include "models/vae_graph.h"
#include "base/rng.h"
#include "train/modeldir.h"
#include "train/optimizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_TOKENS = 77, MAX_RUNS = 1000, DEFAULT_SEED = 1 };

typedef struct bench {
    const char *dir;
    const m2m_bench_options *o;
    const m2m_calls *calls;
    const char *component;
    backend *be;
    int height, width;               /* of the latent; 0: the model's own */
    double seconds[MAX_RUNS];
    double flops, opened;            /* of one run; seconds from the start to the first run */
    int64_t plan_bytes, bound_bytes, weight_bytes, context_bytes;
    bench_ops ops;
} bench;

typedef int bench_run(void *what, m2m_error *err);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const bench *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!b->calls || !b->calls->line) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    b->calls->line(b->calls->user, text);
}

/* One run to warm up (weights are packed, pages touched), then the timed ones. */
static int time_runs(bench *b, bench_run *run, void *what, m2m_error *err)
{
    int status = run(what, err);
    b->opened = now() - b->opened;
    for (int i = 0; i < b->o->runs && !status; i++) {
        double start = now();
        status = run(what, err);
        b->seconds[i] = now() - start;
        if (!status && b->calls && b->calls->progress && b->calls->progress(b->calls->user, "runs", i + 1, b->o->runs))
            status = fail(err, M2M_ECANCELLED, "cancelled");
    }
    return status;
}

static int write_random(exec *x, const node *input, uint32_t index, m2m_error *err)
{
    size_t n = (size_t)shape_count(input->shape);
    float *data = malloc(n * sizeof *data);
    if (!data) return fail(err, M2M_ENOMEM, "no memory for input %s", input->name);
    rng_normal(DEFAULT_SEED, RNG_NOISE, index, data, n);
    int status = exec_write(x, input, data, err);
    free(data);
    return status;
}

static int write_constant(exec *x, const node *input, float value, m2m_error *err)
{
    size_t n = (size_t)shape_count(input->shape);
    float *data = malloc(n * sizeof *data);
    if (!data) return fail(err, M2M_ENOMEM, "no memory for input %s", input->name);
    for (size_t i = 0; i < n; i++) data[i] = value;
    int status = exec_write(x, input, data, err);
    free(data);
    return status;
}

static int run_exec(void *what, m2m_error *err) { return exec_run(what, err); }

/* Plans, fills, times and profiles a graph whose inputs `fill` writes. */
static void note_plan(bench *b, const exec *x, graph *g, const paramset *params)
{
    b->plan_bytes = (int64_t)exec_bytes(x);
    b->bound_bytes = (int64_t)exec_bytes_bound(x);
    b->weight_bytes = (int64_t)paramset_bytes(params);
    b->flops = graph_flops(g);
}

/* One more run of x, node by node. */
static int time_ops(bench *b, exec *x, bench_run *run, void *what, m2m_error *err)
{
    exec_profile(x, true);
    int status = run(what, err);
    return status ? status : bench_ops_sum(&b->ops, x, b->be, err);
}

static int time_exec(bench *b, exec *x, m2m_error *err)
{
    int status = time_runs(b, run_exec, x, err);
    return status || !(b->o->ops || b->o->shapes) ? status : time_ops(b, x, run_exec, x, err);
}

/* ---- components ---- */

/* The latent's size, where the caller does not say: the model's own. */
static void choose_size(bench *b, int side)
{
    if (!b->height) b->height = b->width = side;
}

static int fill_params(const bench *b, paramset *params, m2m_error *err)
{
    return b->o->random ? paramset_init(params, DEFAULT_SEED, err) : 0;
}

static int bench_unet(bench *b, m2m_error *err)
{
    unet_model m;
    text_graph t = {0};
    int status = unet_model_open(&m, b->dir, !b->o->random, err);
    if (status) return status;
    choose_size(b, m.config.sample_size);
    const int h = b->height, w = b->width;
    status = fill_params(b, m.params, err);
    if (!status) status = text_graph_build(&t, &m.config, m.params, (int)b->o->batch, h, w, TEXT_TOKENS, 0, err);
    exec *x = status ? NULL : exec_new(t.g, b->be, &t.prediction, 1, err);
    if (!status && !x) status = M2M_ENOMEM;
    if (!status) note_plan(b, x, t.g, m.params);
    if (!status) status = write_random(x, t.sample, 0, err);
    if (!status) status = write_random(x, t.tokens, 1, err);
    if (!status) status = write_constant(x, t.timestep, 500, err);
    if (!status) status = time_exec(b, x, err);
    exec_free(x);
    text_graph_free(&t);
    unet_model_close(&m);
    return status;
}

/* The step that a painter runs for batch / 2 images side by side, each with a text and a negative prompt. */
static int bench_guided(bench *b, m2m_error *err)
{
    unet_model m;
    step_graph t = {0};
    int status = unet_model_open(&m, b->dir, !b->o->random, err);
    if (status) return status;
    choose_size(b, m.config.sample_size);
    const step_shape s = {.height = b->height, .width = b->width, .tokens = TEXT_TOKENS, .branches = 2,
                          .rows = (int)(b->o->batch + 1) / 2};
    if (m.config.variant != SET_NONE)
        status = fail(err, M2M_EINVAL, "component: guided, but this U-Net has image-set attention, wanted m2m");
    if (!status) status = fill_params(b, m.params, err);
    if (!status) status = step_graph_build(&t, &m.config, m.params, &s, err);
    exec *x = status ? NULL : exec_new(t.g, b->be, &t.prediction, 1, err);
    if (!status && !x) status = M2M_ENOMEM;
    if (!status) note_plan(b, x, t.g, m.params);
    if (!status) status = write_random(x, t.latent, 0, err);
    if (!status) status = write_constant(x, t.timestep, 500, err);
    for (int i = 0; i < t.c.layers && !status; i++) {
        status = write_random(x, t.c.branch[0].key[i], 1, err);
        if (!status) status = write_random(x, t.c.branch[0].value[i], 2, err);
    }
    if (!status) status = time_exec(b, x, err);
    exec_free(x);
    step_graph_free(&t);
    unet_model_close(&m);
    return status;
}

static int bench_vae(bench *b, vae_part part, m2m_error *err)
{
    vae_model m;
    vae_graph t = {0};
    int status = vae_model_open(&m, b->dir, !b->o->random, err);
    if (status) return status;
    int f = vae_factor(&m.config), scale = part == VAE_ENCODE ? f : 1;
    choose_size(b, m.config.sample_size / f);
    const int h = b->height * scale, w = b->width * scale;
    status = fill_params(b, m.params, err);
    if (!status) status = vae_graph_build(&t, &m.config, m.params, part, (int)b->o->batch, h, w, err);
    exec *x = status ? NULL : exec_new(t.g, b->be, &t.out, 1, err);
    if (!status && !x) status = M2M_ENOMEM;
    if (!status) note_plan(b, x, t.g, m.params);
    if (!status) status = write_random(x, t.in, 0, err);
    if (!status) status = time_exec(b, x, err);
    exec_free(x);
    vae_graph_free(&t);
    vae_model_close(&m);
    return status;
}

static int bench_encoder(bench *b, m2m_error *err) { return bench_vae(b, VAE_ENCODE, err); }
static int bench_decoder(bench *b, m2m_error *err) { return bench_vae(b, VAE_DECODE, err); }

typedef struct guided {
    rollout *r;
    float *sample;
} guided;

static int run_guided(void *what, m2m_error *err)
{
    guided *q = what;
    const float *out;
    return rollout_predict(q->r, q->sample, NULL, 0, &out, err);
}

/* Context images of random numbers; floats: of an image's context. */
static int add_context(bench *b, rollout *r, int64_t floats, m2m_error *err)
{
    int status = 0;
    float *content = malloc((size_t)floats * sizeof *content);
    if (!content) return fail(err, M2M_ENOMEM, "no memory for an image's context");
    for (int i = 0; i < b->o->context && !status; i++) {
        rng_normal(DEFAULT_SEED, RNG_NOISE, (uint32_t)i + 1, content, (size_t)floats);
        status = rollout_add(r, &(context_image){.content = content}, err);
    }
    free(content);
    return status;
}

/* L of M2M-DINO's features of images of that size of latent; 0 for M2M-Self. */
static int tokens_of(bench *b, const unet_config *u, int h, int w, int *tokens, m2m_error *err)
{
    vision v;
    vae_model vae;
    *tokens = 0;
    if (u->variant != SET_DINO) return 0;
    int status = vision_open(&v, b->dir, false, u->cross_dim, err);
    if (status) return status;
    status = vae_model_open(&vae, b->dir, false, err);
    if (!status) *tokens = vision_tokens(&v, w * vae_factor(&vae.config), h * vae_factor(&vae.config));
    if (!status) vae_model_close(&vae);
    vision_close(&v);
    return status;
}

static int time_guided(bench *b, const unet_model *m, rollout *r, float *sample, int64_t floats, m2m_error *err)
{
    int status = 0;
    rng_normal(DEFAULT_SEED, RNG_NOISE, 0, sample, (size_t)floats);
    b->plan_bytes = (int64_t)rollout_bytes(r);
    b->context_bytes = (int64_t)rollout_bytes_per_image(r);
    b->weight_bytes = (int64_t)paramset_bytes(m->params);
    guided q = {r, sample};
    b->flops = graph_flops(exec_graph(rollout_exec(r)));
    if (!status) status = time_runs(b, run_guided, &q, err);
    return status || !(b->o->ops || b->o->shapes) ? status : time_ops(b, rollout_exec(r), run_guided, &q, err);
}

/* A guided step of one image: two branches, the context cached. */
static int bench_m2m(bench *b, m2m_error *err)
{
    unet_model m;
    schedule s = {0};
    int status = unet_model_open(&m, b->dir, !b->o->random, err);
    if (status) return status;
    choose_size(b, m.config.sample_size);
    const int h = b->height, w = b->width;
    int64_t floats = (int64_t)m.config.in_channels * h * w;
    float *sample = malloc((size_t)floats * sizeof *sample);
    int tokens;
    rollout_options o = {
        .steps = 50, .guidance = 7.5, .sampler = "ddim", .window = b->o->context > 1 ? (int)b->o->context : 1};
    status = sample ? fill_params(b, m.params, err) : fail(err, M2M_ENOMEM, "no memory for a latent");
    if (!status) status = pipeline_schedule(&s, b->dir, err);
    if (!status) status = tokens_of(b, &m.config, h, w, &tokens, err);
    if (!status) o.tokens = tokens;
    rollout *r = status ? NULL : rollout_new(&m.config, m.params, b->be, &s, h, w, &o, err);
    if (r) status = add_context(b, r, context_floats(&m.config, h, w, tokens), err);
    if (!status) status = r ? time_guided(b, &m, r, sample, floats, err) : M2M_ENOMEM;
    rollout_free(r);
    schedule_free(&s);
    free(sample);
    unet_model_close(&m);
    return status;
}

typedef struct training {
    exec *x;
    node *const *grads;
    optimizer *adamw;
} training;

static int run_training(void *what, m2m_error *err)
{
    training *t = what;
    int status = exec_run(t->x, err);
    if (status) return status;
    optimizer_add(t->adamw, t->x, t->grads);
    optimizer_step(t->adamw, 1e-5, 0);
    return 0;
}

/* Forward, backward and AdamW, as m2m train does a step. */
static int time_training(bench *b, exec *x, paramset *params, node *const *grads, m2m_error *err)
{
    static const optimizer_options o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01,
                                        .accumulate = 1};
    training t = {.x = x, .grads = grads};
    t.adamw = optimizer_new(params, b->be, &o, err);
    if (!t.adamw) return M2M_ENOMEM;
    int status = time_runs(b, run_training, &t, err);
    if (!status && (b->o->ops || b->o->shapes)) status = time_ops(b, x, run_training, &t, err);
    optimizer_free(t.adamw);
    return status;
}

/* A training step of S sets of 5 images. */
static int bench_train(bench *b, m2m_error *err)
{
    unet_model m;
    train_graph t = {0};
    int status = unet_model_open(&m, b->dir, !b->o->random, err);
    if (status) return status;
    choose_size(b, m.config.sample_size);
    const int h = b->height, w = b->width;
    train_shape ts = {.sets = (int)b->o->batch, .images = 5, .draws = 1, .height = h, .width = w};
    status = tokens_of(b, &m.config, h, w, &ts.tokens, err);
    if (!status) status = params_prepare(m.params, DEFAULT_SEED, NULL, err);
    if (!status) status = train_graph_build(&t, &m.config, m.params, &ts, true, true, err);
    exec *x = status ? NULL : task_exec(t.g, b->be, &t.loss, 1, m.params, t.grads, err);
    if (!status && !x) status = M2M_ENOMEM;
    if (!status) note_plan(b, x, t.g, m.params);
    if (!status) status = write_random(x, t.context, 0, err);
    if (!status) status = write_random(x, t.noisy, 1, err);
    if (!status) status = write_random(x, t.target, 2, err);
    if (!status) status = write_constant(x, t.timesteps, 500, err);
    if (!status) status = train_graph_write_condition(&t, x, NULL, NULL, err);
    if (!status) status = train_graph_write_lens(&t, x, err);
    if (!status) status = time_training(b, x, m.params, t.grads, err);
    exec_free(x);
    train_graph_free(&t);
    unet_model_close(&m);
    return status;
}

/* ---- telling ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int write_json(const bench *b, double median, m2m_error *err)
{
    if (!b->o->json) return 0;
    cJSON *o = cJSON_CreateObject();
    bool ok = o && cJSON_AddStringToObject(o, "component", b->component) &&
              cJSON_AddStringToObject(o, "backend", b->be->detail) && cJSON_AddNumberToObject(o, "seconds", median) &&
              cJSON_AddNumberToObject(o, "fastest", b->seconds[0]) &&
              cJSON_AddNumberToObject(o, "runs", (double)b->o->runs) &&
              cJSON_AddNumberToObject(o, "gflop", b->flops * 1e-9) &&
              cJSON_AddNumberToObject(o, "peak_resident_bytes", (double)memory_peak()) &&
              cJSON_AddNumberToObject(o, "activation_bytes", (double)b->plan_bytes) &&
              cJSON_AddNumberToObject(o, "weight_bytes", (double)b->weight_bytes);
    int status = ok ? json_save(o, b->o->json, err) : fail(err, M2M_ENOMEM, "no memory for figures");
    cJSON_Delete(o);
    return status;
}

static int tell(bench *b, m2m_error *err)
{
    char a[TEXT_SIZE], c[TEXT_SIZE], d[TEXT_SIZE], e[TEXT_SIZE];
    int n = (int)b->o->runs;
    qsort(b->seconds, (size_t)n, sizeof *b->seconds, by_value);
    double median = n % 2 ? b->seconds[n / 2] : (b->seconds[n / 2 - 1] + b->seconds[n / 2]) / 2;
    say(b, "%s, batch %lld, %s: %.4f s (median of %d; %.4f to %.4f), first run after %.2f s", b->component,
        (long long)b->o->batch, b->be->detail, median, n, b->seconds[0], b->seconds[n - 1], b->opened);
    if (b->flops > 0) say(b, "%.1f GFLOP a run, %.1f GFLOP/s", b->flops * 1e-9, b->flops / median * 1e-9);
    if (b->bound_bytes)
        say(b, "activations: the plan is %.2f times the most that is alive at one time, %s",
            (double)b->plan_bytes / (double)b->bound_bytes, bytes_text(b->bound_bytes, d, sizeof d));
    say(b, "weights %s, activations %s, peak resident %s",
        bytes_text(b->weight_bytes, a, sizeof a), bytes_text(b->plan_bytes, c, sizeof c),
        bytes_text(memory_peak(), e, sizeof e));
    if (b->context_bytes) say(b, "a context image holds %s", bytes_text(b->context_bytes, a, sizeof a));
    if (b->o->ops) bench_ops_tell(&b->ops, false, b->calls);
    if (b->o->shapes) bench_ops_tell(&b->ops, true, b->calls);
    return write_json(b, median, err);
}

static const struct component {
    const char *name;
    int (*run)(bench *b, m2m_error *err);
} components[] = {
    {"unet", bench_unet}, {"guided", bench_guided}, {"m2m", bench_m2m}, {"vae_encoder", bench_encoder},
    {"vae_decoder", bench_decoder}, {"train", bench_train},
};

/* What is timed where the caller does not say. */
static int choose_component(bench *b, m2m_error *err)
{
    unet_model m;
    b->component = b->o->component;
    if (b->component) return 0;
    int status = unet_model_open(&m, b->dir, false, err);
    if (status) return status;
    b->component = m.config.variant == SET_NONE ? "unet" : "m2m";
    unet_model_close(&m);
    return 0;
}

int m2m_bench(const char *dir, const m2m_bench_options *options, const m2m_calls *calls, m2m_error *err)
{
    bench *b = calloc(1, sizeof *b);
    if (!b) return fail(err, M2M_ENOMEM, "no memory for a measurement");
    b->dir = dir;
    b->o = options;
    b->calls = calls;
    b->opened = now();
    int status = options->size ? parse_size(options->size, &b->width, &b->height, err) : 0;
    if (!status) status = choose_component(b, err);
    if (!status) {
        b->be = device_open(options->device, (int)options->threads, DEVICE_WAY(options), options->isa, err);
        status = b->be ? M2M_EINVAL : M2M_EDEVICE;
    }
    for (size_t i = 0; b->be && i < sizeof components / sizeof *components; i++)
        if (!strcmp(components[i].name, b->component)) status = components[i].run(b, err);
    if (!status) status = tell(b, err);
    bench_ops_free(&b->ops);
    if (b->be) b->be->close(b->be);
    free(b);
    return status;
}
