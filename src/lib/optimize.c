/* m2m_optimize: AdamW and EMA steps on given batches, to compare with PyTorch. */
#include "m2m_train.h"

#include "lib/contrast_job.h"
#include "lib/device.h"
#include "lib/setjob.h"
#include "lib/unetjob.h"
#include "train/optimizer.h"

#include <stdlib.h>

/* T batches of what is trained, whichever it is. */
typedef struct batches {
    enum { SETS, PAIRS, TEXTS } kind;
    set_job sets;
    contrast_job pairs;
    unet_job texts;
    paramset *params;
    const node *loss;
    node *const *grads;
    exec *x;
    int steps;
} batches;

static int batches_open(batches *b, const char *dir, const safetensors *in, backend *be, m2m_error *err)
{
    int status;
    b->kind = job_has(in, "pixel_values") ? PAIRS : job_has(in, "encoder_hidden_states") ? TEXTS : SETS;
    if (b->kind == PAIRS) {
        const contrast_kind kind = job_has(in, "input_ids") ? CONTRAST_CLIP : CONTRAST_ENCODER;
        status = contrast_job_open(&b->pairs, dir, kind, in, be, 1, err);
        b->params = b->pairs.params, b->loss = b->pairs.loss, b->grads = b->pairs.grads;
        b->x = b->pairs.x, b->steps = b->pairs.steps;
    } else if (b->kind == TEXTS) {
        status = unet_job_open(&b->texts, dir, in, be, 1, true, err);
        b->params = b->texts.unet.params, b->loss = b->texts.graph.loss, b->grads = b->texts.graph.grads;
        b->x = b->texts.x, b->steps = b->texts.steps;
    } else {
        status = set_job_open(&b->sets, dir, in, be, 1, true, err);
        b->params = b->sets.unet.params, b->loss = b->sets.graph.loss, b->grads = b->sets.graph.grads;
        b->x = b->sets.x, b->steps = b->sets.steps;
    }
    return status;
}

static int batches_run(batches *b, int step, m2m_error *err)
{
    if (b->kind == TEXTS) return unet_job_run(&b->texts, step, err);
    return b->kind == PAIRS ? contrast_job_run(&b->pairs, step, err) : set_job_run(&b->sets, step, err);
}

static void batches_close(batches *b)
{
    if (b->kind == PAIRS) contrast_job_close(&b->pairs);
    else if (b->kind == TEXTS) unet_job_close(&b->texts);
    else set_job_close(&b->sets);
}

static int own_all(paramset *params, m2m_error *err)
{
    int status = 0;
    for (int i = 0; i < paramset_count(params) && !status; i++) status = param_own_f32(paramset_at(params, i), err);
    return status;
}

static int run_steps(batches *b, optimizer *o, double lr, results *r, m2m_error *err)
{
    int status = 0;
    float *losses = calloc((size_t)b->steps, sizeof *losses);
    if (!losses) return fail(err, M2M_ENOMEM, "no memory for %d losses", b->steps);
    for (int t = 0; t < b->steps && !status; t++) {
        status = batches_run(b, t, err);
        if (status) break;
        exec_read(b->x, b->loss, &losses[t]);
        optimizer_add(o, b->x, b->grads);
        optimizer_step(o, lr, losses[t]);
    }
    if (!status) results_add(r, "", "losses", SHAPE(b->steps), losses);
    free(losses);
    return status;
}

static int optimize(batches *b, backend *be, double lr, results *r, m2m_error *err)
{
    int status = own_all(b->params, err);
    if (status) return status;
    optimizer_options options = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .ema_decay = 0.9999,
                                 .accumulate = 1};
    optimizer *o = optimizer_new(b->params, be, &options, err);
    if (!o) return M2M_ENOMEM;
    status = run_steps(b, o, lr, r, err);
    for (int i = 0; i < paramset_count(b->params) && !status; i++) {
        const param *p = paramset_at(b->params, i);
        results_add(r, "param.", p->name, p->shape, p->data);
        results_add(r, "ema.", p->name, p->shape, optimizer_data(o, OPTIMIZER_EMA, i));
    }
    optimizer_free(o);
    return status;
}

int m2m_optimize(const char *dir, const char *in, const char *out, double lr, const char *device, int threads,
                 m2m_error *err)
{
    safetensors *tensors;
    int status = safetensors_open(&tensors, in, err);
    if (status) return status;
    results r = {0};
    batches b = {0};
    backend *be = device_open(device, threads, (device_way){0}, NULL, err);
    status = be ? batches_open(&b, dir, tensors, be, err) : M2M_EDEVICE;
    if (!status) status = optimize(&b, be, lr, &r, err);
    if (!status) status = results_save(&r, out, err);
    batches_close(&b);
    results_free(&r);
    if (be) be->close(be);
    safetensors_close(&tensors);
    return status;
}
