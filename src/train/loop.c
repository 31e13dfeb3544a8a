#include "train/loop.h"

#include "base/file.h"
#include "base/memory.h"
#include "models/component.h"
#include "train/checkpoint.h"
#include "train/lr.h"
#include "train/rate.h"
#include "train/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct loop {
    task *t;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    optimizer *opt;
    report *report;
    lr_plan lr;
    rate rate;
    checkpoint_state state;
    double started;          /* clock at the start, less what earlier runs spent */
    double loss_sum, norm_sum;
    int logged;              /* steps in the sums */
    char *checkpoint, *model;
} loop;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const loop *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const loop *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!l->calls || !l->calls->line) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    l->calls->line(l->calls->user, text);
}

/* ---- before the first step ---- */

static optimizer_options optimizer_from(const m2m_train_options *o)
{
    return (optimizer_options){.beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .weight_decay = o->weight_decay,
                               .clip = o->clip, .ema_decay = o->ema_decay, .accumulate = (int)o->accumulate,
                               .offload = o->offload ? o->output : NULL};
}

/* Says what the run will hold, and ends it at once if that can't fit. */
static int fits(const loop *l, m2m_error *err)
{
    char a[TEXT_SIZE], b[TEXT_SIZE], c[TEXT_SIZE], d[TEXT_SIZE], e[TEXT_SIZE];
    optimizer_options oo = optimizer_from(l->o);
    optimizer_claim(l->t->params, &oo, l->t->x, l->t->grads);
    int64_t opt = (int64_t)optimizer_bytes(l->t->params, &oo), activations = (int64_t)exec_bytes(l->t->x);
    int64_t file = (int64_t)optimizer_file_bytes(l->t->params, &oo);
    int64_t need = opt + activations + (int64_t)l->t->bytes, limit = memory_available();
    if (l->o->memory_limit > 0) limit = (int64_t)(l->o->memory_limit * 1073741824.0);
    say(l, "memory: %s (activations %s, gradients%s %s, weights and data %s) of %s", bytes_text(need, a, sizeof a),
        bytes_text(activations, b, sizeof b), file ? "" : " and optimizer", bytes_text(opt, c, sizeof c),
        bytes_text((int64_t)l->t->bytes, d, sizeof d), bytes_text(limit, e, sizeof e));
    if (file) say(l, "moments and average: %s in a file in %s", bytes_text(file, a, sizeof a), l->o->output);
    if (need <= limit) return 0;
    return fail(err, M2M_ENOMEM, "training needs %s, %s can be used: fewer sets or images, or true for \"recompute\" "
                "or \"offload\"", bytes_text(need, a, sizeof a), bytes_text(limit, e, sizeof e));
}

static uint64_t fingerprint_of(const loop *l)
{
    const m2m_train_options *o = l->o;
    int64_t parts[] = {o->seed, o->sets, o->images, o->draws, o->accumulate, o->size, o->flip, o->keep_order, o->gaps};
    uint64_t h = l->t->fingerprint;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) h = (h ^ (uint64_t)parts[i]) * 0x100000001b3u;
    if (o->context_noise) h = (h ^ (uint64_t)o->context_noise) * 0x100000001b3u;   /* older runs' stay theirs */
    const char *const texts[] = {o->train_only, o->prediction_type};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (const char *c = texts[i]; c && *c; c++) h = (h ^ (uint8_t)*c) * 0x100000001b3u;
    return h;
}

static int open_loop(loop *l, int resume, m2m_error *err)
{
    optimizer_options oo = optimizer_from(l->o);
    int status = fits(l, err);
    if (!status) status = dir_make(l->o->output, err);
    if (!status) status = lr_parse(l->o->lr_schedule, &l->lr.schedule, err);
    if (status) return status;
    l->lr.lr = l->o->lr;
    l->lr.warmup = l->o->warmup;
    l->lr.steps = l->o->steps;
    l->checkpoint = path_join(l->o->output, "checkpoint.safetensors");
    l->model = path_join(l->o->output, "model");
    if (!l->checkpoint || !l->model) return fail(err, M2M_ENOMEM, "no memory for paths");
    if (!resume && file_exists(l->checkpoint))
        return fail(err, M2M_EINVAL, "%s is there already: resume that run, or choose another output", l->checkpoint);
    if (oo.offload && strcmp(l->be->name, "cpu"))
        return fail(err, M2M_EUNSUPPORTED, "offload: device is %s, wanted cpu", l->be->name);
    l->opt = optimizer_new(l->t->params, l->be, &oo, err);
    if (!l->opt) return M2M_ENOMEM;
    optimizer_bind(l->opt, l->t->x, l->t->grads);
    l->state.fingerprint = fingerprint_of(l);
    if (resume) status = checkpoint_load(l->checkpoint, l->t->params, l->opt, l->state.fingerprint, &l->state, err);
    if (!status) status = exec_alloc(l->t->x, err);
    if (!status) status = report_open(&l->report, l->o, resume ? l->state.step : -1, err);
    l->started = now() - l->state.seconds;
    return status;
}

/* ---- what happens every so many steps ---- */

static int save(loop *l, m2m_error *err)
{
    l->state.updates = optimizer_steps(l->opt);
    l->state.skipped = optimizer_skipped(l->opt);
    l->state.seconds = now() - l->started;
    int status = checkpoint_save(l->checkpoint, l->t->params, l->opt, &l->state, err);
    if (status) return status;
    optimizer_swap_ema(l->opt);
    status = l->t->kind->save(l->t, l->model, stored_type(l->o->weights), err);
    optimizer_swap_ema(l->opt);
    if (!status) say(l, "step %lld: checkpoint and model in %s", (long long)l->state.step, l->o->output);
    return status;
}

static int validate(loop *l, m2m_error *err)
{
    journal_field fields[TASK_FIELDS];
    int n = 0;
    char text[400];
    optimizer_swap_ema(l->opt);
    int status = l->t->kind->validate(l->t, fields, &n, err);
    optimizer_swap_ema(l->opt);
    if (!status && n) status = report_figures(l->report, l->state.step, fields, n, err);
    size_t at = 0;
    for (int i = 0; i < n && at < sizeof text - 40; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "  %.30s %.5g", fields[i].name, fields[i].value);
    if (!status && n) say(l, "step %lld: validation%s", (long long)l->state.step, text);
    return status;
}

static int sample(loop *l, m2m_error *err)
{
    m2m_image picture = {0};
    optimizer_swap_ema(l->opt);
    int status = l->t->kind->sample(l->t, &picture, err);
    optimizer_swap_ema(l->opt);
    if (!status && picture.data) status = report_picture(l->report, l->state.step, &picture, err);
    m2m_image_free(&picture);
    return status;
}

static int log_step(loop *l, double loss, const step_report *r, double lr, m2m_error *err)
{
    if (!r->skipped) {
        l->loss_sum += loss;
        l->norm_sum += r->grad_norm;
        l->logged++;
    } else {
        say(l, "step %lld: loss %g, gradient norm %g: skipped", (long long)l->state.step, loss, r->grad_norm);
    }
    if (l->state.step % l->o->log_every && l->state.step != l->o->steps) return 0;
    double per_second = rate_per_second(&l->rate) * (double)(l->t->sets * l->o->accumulate);
    double n = l->logged ? l->logged : NAN;
    journal_field fields[] = {{"loss", l->loss_sum / n}, {"grad_norm", l->norm_sum / n}, {"lr", lr},
                              {"sets_per_second", per_second}, {"skipped", (double)optimizer_skipped(l->opt)},
                              {"seconds", now() - l->started}};
    say(l, "step %lld  loss %.5f  norm %.3f  %.2f sets/s", (long long)l->state.step, l->loss_sum / n, l->norm_sum / n,
        per_second);
    l->loss_sum = l->norm_sum = 0;
    l->logged = 0;
    return report_figures(l->report, l->state.step, fields, (int)(sizeof fields / sizeof *fields), err);
}

/* ---- steps ---- */

static int one_step(loop *l, m2m_error *err)
{
    double sum = 0;
    for (int64_t k = 0; k < l->o->accumulate; k++) {
        double loss = 0;
        int status = l->t->kind->run(l->t, l->state.step * l->o->accumulate + k, &loss, err);
        if (status) return status;
        optimizer_add(l->opt, l->t->x, l->t->grads);
        sum += loss;
    }
    double lr = lr_at(&l->lr, l->state.step), loss = sum / (double)l->o->accumulate;
    step_report r = optimizer_step(l->opt, lr, loss);
    l->state.step++;
    rate_add(&l->rate, now(), l->state.step);
    return log_step(l, loss, &r, lr, err);
}

/* Validation and samples come before the checkpoint, so that a resumed run finds them done. */
static int after_step(loop *l, m2m_error *err)
{
    int64_t step = l->state.step;
    bool last = step == l->o->steps;
    int status = 0;
    if (last || step % l->o->val_every == 0) status = validate(l, err);
    if (!status && (last || step % l->o->sample_every == 0)) status = sample(l, err);
    if (!status && (last || step % l->o->save_every == 0)) status = save(l, err);
    return status;
}

static int run(loop *l, m2m_error *err)
{
    int status = 0;
    rate_add(&l->rate, now(), l->state.step);
    while (!status && l->state.step < l->o->steps) {
        status = one_step(l, err);
        if (status) break;
        bool stop = l->calls && l->calls->progress &&
                    l->calls->progress(l->calls->user, "training", l->state.step, l->o->steps);
        status = after_step(l, err);
        if (status || !stop || l->state.step == l->o->steps) continue;
        status = l->state.step % l->o->save_every ? save(l, err) : 0;
        if (!status) status = fail(err, M2M_ECANCELLED, "stopped after step %lld of %lld", (long long)l->state.step,
                                   (long long)l->o->steps);
    }
    return status;
}

int train_loop(task *t, const m2m_train_options *o, backend *be, int resume, const m2m_calls *calls, m2m_error *err)
{
    loop l = {.t = t, .o = o, .be = be, .calls = calls};
    int status = open_loop(&l, resume, err);
    if (!status && l.state.step >= o->steps) say(&l, "step %lld: nothing left to do", (long long)l.state.step);
    if (!status) status = run(&l, err);
    report_close(&l.report);
    optimizer_free(l.opt);
    free(l.checkpoint);
    free(l.model);
    return status;
}
