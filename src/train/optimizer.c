#include "train/optimizer.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct optimizer {
    paramset *params;
    backend *be;
    optimizer_options options;
    float *block;
    size_t bytes;
    file_memory file;               /* moments and average, if they are not in block */
    float **m, **v, **ema, **sum;   /* [paramset_count]; NULL where the parameter is frozen or the part is not kept */
    int added;
    int64_t steps, skipped;
};

static size_t padded(const param *p) { return ((size_t)shape_count(p->shape) + 15) & ~(size_t)15; }

/* Bytes of one number for each trainable parameter. */
static size_t one_each(const paramset *params)
{
    size_t floats = 0;
    for (int i = 0; i < paramset_count(params); i++)
        if (paramset_at(params, i)->trainable) floats += padded(paramset_at(params, i));
    return floats * sizeof(float);
}

/* Moments and average; the sum of gradients is one more. */
static size_t state_bytes(const paramset *params, const optimizer_options *o)
{
    return one_each(params) * (size_t)(2 + (o->ema_decay > 0));
}

size_t optimizer_bytes(const paramset *params, const optimizer_options *o)
{
    return one_each(params) + (o->offload ? 0 : state_bytes(params, o));
}

size_t optimizer_file_bytes(const paramset *params, const optimizer_options *o)
{
    return o->offload ? state_bytes(params, o) : 0;
}

static float *lay_out(optimizer *o, float **table, float *at)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        const param *p = paramset_at(o->params, i);
        if (!p->trainable) continue;
        table[i] = at;
        at += padded(p);
    }
    return at;
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

static int take_memory(optimizer *o, m2m_error *err)
{
    size_t in_file = optimizer_file_bytes(o->params, &o->options), count = (size_t)paramset_count(o->params);
    o->bytes = optimizer_bytes(o->params, &o->options);
    o->m = calloc(4 * count + 1, sizeof *o->m);
    o->block = o->be->alloc(o->be, o->bytes ? o->bytes : 64);
    if (!o->m || !o->block)
        return fail(err, M2M_ENOMEM, "the optimizer needs %.1f MiB, which %s can't give", (double)o->bytes / 1048576.0,
                    o->be->name);
    memset(o->block, 0, o->bytes);
    o->v = o->m + count;
    o->ema = o->m + 2 * count;
    o->sum = o->m + 3 * count;
    return in_file ? file_memory_open(&o->file, o->options.offload, in_file, err) : 0;
}

optimizer *optimizer_new(paramset *params, backend *be, const optimizer_options *options, m2m_error *err)
{
    optimizer *o = calloc(1, sizeof *o);
    if (!o) return fail(err, M2M_ENOMEM, "no memory for an optimizer"), NULL;
    *o = (optimizer){.params = params, .be = be, .options = *options};
    if (take_memory(o, err)) {
        optimizer_free(o);
        return NULL;
    }
    float *at = lay_out(o, o->sum, o->block);
    if (o->file.data) at = o->file.data;
    at = lay_out(o, o->m, at);
    at = lay_out(o, o->v, at);
    if (options->ema_decay > 0) {
        lay_out(o, o->ema, at);
        start_average(o);
    }
    return o;
}

void optimizer_free(optimizer *o)
{
    if (!o) return;
    if (o->block) o->be->free(o->be, o->block, o->bytes);
    file_memory_close(&o->file);
    free(o->m);
    free(o);
}

/* Two parameters may have one gradient node; it can be written to one place. */
static bool is_first(node *const *grads, int i)
{
    for (int k = 0; k < i; k++)
        if (grads[k] == grads[i]) return false;
    return true;
}

void optimizer_claim(const paramset *params, const optimizer_options *o, exec *x, node *const *grads)
{
    for (int i = 0; o->accumulate == 1 && i < paramset_count(params); i++)
        if (grads[i] && is_first(grads, i)) exec_bind_output(x, grads[i], NULL);
}

void optimizer_bind(optimizer *o, exec *x, node *const *grads)
{
    for (int i = 0; o->options.accumulate == 1 && i < paramset_count(o->params); i++)
        if (grads[i] && is_first(grads, i)) exec_bind_output(x, grads[i], o->sum[i]);
}

void optimizer_add(optimizer *o, const exec *x, node *const *grads)
{
    for (int i = 0; i < paramset_count(o->params); i++) {
        if (!o->sum[i]) continue;
        size_t n = (size_t)shape_count(paramset_at(o->params, i)->shape);
        if (!grads[i]) continue;
        const float *g = exec_output(x, grads[i]);
        if (g == o->sum[i]) continue;    /* optimizer_bind */
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

/* Of state in a file, what parameter i had is not needed before the next step. */
static void drop(const optimizer *o, int i)
{
    float *const parts[] = {o->m[i], o->v[i], o->ema[i]};
    size_t size = padded(paramset_at(o->params, i)) * sizeof(float);
    for (int k = 0; k < 3 && o->file.data; k++)
        if (parts[k]) file_memory_drop(&o->file, (size_t)((char *)parts[k] - (char *)o->file.data), size);
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
        drop(o, i);
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
