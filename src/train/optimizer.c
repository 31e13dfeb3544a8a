#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct optimizer {
    paramset *params;
    backend *be;
    optimizer_options options;
    float *block;
    size_t bytes;
    float **m, **v, **ema, **sum;   /* [paramset_count]; NULL where the parameter is frozen or the part is not kept */
    int added;
    int64_t steps, skipped;
};

static int parts_kept(const optimizer_options *o)
{
    return 2 + (o->ema_decay > 0) + 1;
}

static size_t padded(const param *p) { return ((size_t)shape_count(p->shape) + 15) & ~(size_t)15; }

size_t optimizer_bytes(const paramset *params, const optimizer_options *o)
{
    size_t floats = 0;
    for (int i = 0; i < paramset_count(params); i++)
        if (paramset_at(params, i)->trainable) floats += padded(paramset_at(params, i));
    return floats * (size_t)parts_kept(o) * sizeof(float);
}

static void lay_out(optimizer *o, float **table, float **at)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        const param *p = paramset_at(o->params, i);
        if (!p->trainable) continue;
        table[i] = *at;
        *at += padded(p);
    }
}

static void start_average(optimizer *o)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        const param *p = paramset_at(o->params, i);
        if (!o->ema[i]) continue;
        check(p->type == DT_F32 && p->data, "parameter %s is not float32 in memory", p->name);
        memcpy(o->ema[i], p->data, (size_t)shape_count(p->shape) * sizeof(float));
    }
}

optimizer *optimizer_new(paramset *params, backend *be, const optimizer_options *options, m2m_error *err)
{
    size_t count = (size_t)paramset_count(params);
    optimizer *o = calloc(1, sizeof *o);
    float **tables = calloc(4 * count + 1, sizeof *tables);
    size_t bytes = optimizer_bytes(params, options);
    float *block = be->alloc(be, bytes ? bytes : 64);
    if (!o || !tables || !block) {
        if (block) be->free(be, block, bytes);
        free(tables);
        free(o);
        fail(err, M2M_ENOMEM, "the optimizer needs %.1f MiB, which %s can't give", (double)bytes / 1048576.0, be->name);
        return NULL;
    }
    *o = (optimizer){.params = params, .be = be, .options = *options, .block = block, .bytes = bytes,
                     .m = tables, .v = tables + count, .ema = tables + 2 * count, .sum = tables + 3 * count};
    memset(block, 0, bytes);
    float *at = block;
    lay_out(o, o->m, &at);
    lay_out(o, o->v, &at);
    lay_out(o, o->sum, &at);
    if (options->ema_decay > 0) {
        lay_out(o, o->ema, &at);
        start_average(o);
    }
    return o;
}

void optimizer_free(optimizer *o)
{
    if (!o) return;
    o->be->free(o->be, o->block, o->bytes);
    free(o->m);
    free(o);
}

void optimizer_add(optimizer *o, const exec *x, node *const *grads)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        if (!o->sum[i]) continue;
        size_t n = (size_t)shape_count(paramset_at(o->params, i)->shape);
        if (!grads[i]) continue;
        const float *g = exec_output(x, grads[i]);
        if (o->added == 0) o->be->copy(o->be, o->sum[i], g, n * sizeof *g);
        else o->be->accumulate(o->be, (int64_t)n, o->sum[i], g);
    }
    o->added++;
}

static double gradient_norm(const optimizer *o)
{
    double squares = 0;
    for (int i = 0; i < paramset_count(o->params); i++)
        if (o->sum[i]) squares += o->be->sum_squares(o->be, shape_count(paramset_at(o->params, i)->shape), o->sum[i]);
    return sqrt(squares) / o->added;
}

double ema_decay_at(double decay, int64_t step)
{
    if (step <= 1) return 0;
    double s = (double)(step - 1), ramp = (1 + s) / (10 + s);
    return ramp < decay ? ramp : decay;
}

static void update(optimizer *o, const adamw *a)
{
    float keep = (float)ema_decay_at(o->options.ema_decay, o->steps);
    for (int i = 0; i < paramset_count(o->params); i++) {
        param *p = paramset_at(o->params, i);
        if (!o->sum[i]) continue;
        int64_t n = shape_count(p->shape);
        o->be->adamw(o->be, a, n, p->data, o->sum[i], o->m[i], o->v[i]);
        p->version++;
        if (o->ema[i]) o->be->lerp(o->be, n, o->ema[i], p->data, keep);
    }
}

step_report optimizer_step(optimizer *o, double lr, double loss)
{
    check(o->added > 0, "a step without gradients");
    step_report r = {.grad_norm = gradient_norm(o)};
    r.skipped = !isfinite(r.grad_norm) || !isfinite(loss);
    if (r.skipped) {
        o->skipped++;
    } else {
        double scale = 1.0 / o->added;
        /* torch.nn.utils.clip_grad_norm_ */
        if (o->options.clip > 0 && r.grad_norm > o->options.clip) scale *= o->options.clip / (r.grad_norm + 1e-6);
        const optimizer_options *c = &o->options;
        update(o, &(adamw){.lr = lr, .beta1 = c->beta1, .beta2 = c->beta2, .eps = c->eps,
                           .weight_decay = c->weight_decay, .grad_scale = scale, .step = ++o->steps});
    }
    o->added = 0;
    return r;
}

int64_t optimizer_steps(const optimizer *o) { return o->steps; }
int64_t optimizer_skipped(const optimizer *o) { return o->skipped; }

float *optimizer_data(const optimizer *o, optimizer_part part, int index)
{
    return part == OPTIMIZER_M ? o->m[index] : part == OPTIMIZER_V ? o->v[index] : o->ema[index];
}

void optimizer_restore(optimizer *o, int64_t steps, int64_t skipped)
{
    o->steps = steps;
    o->skipped = skipped;
}

void optimizer_swap_ema(optimizer *o)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        param *p = paramset_at(o->params, i);
        float *a = p->data, *b = o->ema[i];
        if (!b) continue;
        for (int64_t k = 0; k < shape_count(p->shape); k++) {
            float t = a[k];
            a[k] = b[k];
            b[k] = t;
        }
        p->version++;
    }
}
