/* m2m_optimize: AdamW and EMA steps on given batches, to compare with PyTorch. */
#include "m2m_train.h"

#include "lib/device.h"
#include "lib/setjob.h"
#include "train/optimizer.h"

#include <stdlib.h>

static int own_all(paramset *params, m2m_error *err)
{
    int status = 0;
    for (int i = 0; i < paramset_count(params) && !status; i++) status = param_own_f32(paramset_at(params, i), err);
    return status;
}

static int run_steps(set_job *j, optimizer *o, double lr, results *r, m2m_error *err)
{
    int status = 0;
    float *losses = calloc((size_t)j->steps, sizeof *losses);
    if (!losses) return fail(err, M2M_ENOMEM, "no memory for %d losses", j->steps);
    for (int t = 0; t < j->steps && !status; t++) {
        status = set_job_run(j, t, err);
        if (status) break;
        exec_read(j->x, j->graph.loss, &losses[t]);
        optimizer_add(o, j->x, j->graph.grads);
        optimizer_step(o, lr, losses[t]);
    }
    if (!status) results_add(r, "", "losses", SHAPE(j->steps), losses);
    free(losses);
    return status;
}

static int optimize(set_job *j, backend *be, double lr, results *r, m2m_error *err)
{
    int status = own_all(j->unet.params, err);
    if (status) return status;
    optimizer_options options = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .ema_decay = 0.9999,
                                 .accumulate = 1};
    optimizer *o = optimizer_new(j->unet.params, be, &options, err);
    if (!o) return M2M_ENOMEM;
    status = run_steps(j, o, lr, r, err);
    for (int i = 0; i < paramset_count(j->unet.params) && !status; i++) {
        const param *p = paramset_at(j->unet.params, i);
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
    set_job j = {0};
    backend *be = device_open(device, threads, false, NULL, err);
    status = be ? set_job_open(&j, dir, tensors, be, 1, true, err) : M2M_EDEVICE;
    if (!status) status = optimize(&j, be, lr, &r, err);
    if (!status) status = results_save(&r, out, err);
    set_job_close(&j);
    results_free(&r);
    if (be) be->close(be);
    safetensors_close(&tensors);
    return status;
}
