#include "lib/unetjob.h"

#include "train/modeldir.h"

#include <stdlib.h>

static int size_is(const safetensors *in, const char *name, int64_t found, int64_t wanted, const char *what,
                   m2m_error *err)
{
    if (found == wanted) return 0;
    return fail(err, M2M_ESHAPE, "%s: tensor %s has %lld %s, wanted %lld", safetensors_path(in), name,
                (long long)found, what, (long long)wanted);
}

/* [T,B] from one timestep a step or one a row. */
static int read_timesteps(unet_job *j, const safetensors *in, int64_t batch, m2m_error *err)
{
    const tensor *t;
    if (safetensors_need(in, "timestep", NULL, &t, err)) return M2M_ESHAPE;
    int64_t n = shape_count(t->shape), rows = j->steps * batch;
    if (n != j->steps && n != rows) return size_is(in, "timestep", n, rows, "elements", err);
    j->timestep = malloc((size_t)rows * sizeof *j->timestep);
    if (!j->timestep) return fail(err, M2M_ENOMEM, "no memory for %lld timesteps", (long long)rows);
    to_f32(j->timestep, t->data, t->type, n);
    for (int64_t i = rows; n < rows && i-- > 0;) j->timestep[i] = j->timestep[i / batch];
    return 0;
}

/* *s: of sample, without T; *length: L. */
static int read_inputs(unet_job *j, const safetensors *in, int lead, bool with_loss, shape *s, int64_t *length,
                       m2m_error *err)
{
    shape all, k, e;
    const unet_config *c = &j->unet.config;
    if (!(j->sample = job_floats(in, "sample", lead + 4, &all, err)) ||
        !(j->states = job_floats(in, "encoder_hidden_states", lead + 3, &k, err)) ||
        (with_loss && !(j->noise = job_floats(in, "noise", lead + 4, &e, err))))
        return M2M_ESHAPE;
    const int64_t *d = all.dim + lead;
    *s = SHAPE(d[0], d[1], d[2], d[3]);
    *length = k.dim[lead + 1];
    j->steps = lead ? (int)all.dim[0] : 1;
    int status = size_is(in, "sample", d[1], c->in_channels, "channels", err);
    if (!status && lead) status = size_is(in, "encoder_hidden_states", k.dim[0], j->steps, "steps", err);
    if (!status) status = size_is(in, "encoder_hidden_states", k.dim[lead], d[0], "rows", err);
    if (!status) status = size_is(in, "encoder_hidden_states", k.dim[lead + 2], c->cross_dim, "channels", err);
    if (!status && with_loss && !shape_equal(e, all))
        status = size_is(in, "noise", shape_count(e), shape_count(all), "elements", err);
    return status ? status : read_timesteps(j, in, d[0], err);
}

int unet_job_open(unet_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                  m2m_error *err)
{
    shape s;
    int64_t length;
    text_graph *t = &j->graph;
    *j = (unet_job){.steps = 1};
    int status = unet_model_open(&j->unet, dir, true, err);
    if (!status) status = read_inputs(j, in, lead, with_loss, &s, &length, err);
    if (!status)
        status = text_graph_build(t, &j->unet.config, j->unet.params, (int)s.dim[0], (int)s.dim[2], (int)s.dim[3],
                                  (int)length, with_loss ? TEXT_GRADIENTS : 0, err);
    if (status) return status;
    node *wanted[2] = {t->prediction, t->loss};
    j->x = task_exec(t->g, be, wanted, t->loss ? 2 : 1, j->unet.params, t->grads, err);
    return j->x ? 0 : M2M_EUNSUPPORTED;
}

static int write_batch(exec *x, const node *input, const float *all, int step, m2m_error *err)
{
    return exec_write(x, input, all + step * shape_count(input->shape), err);
}

int unet_job_run(unet_job *j, int step, m2m_error *err)
{
    const text_graph *t = &j->graph;
    int status = write_batch(j->x, t->sample, j->sample, step, err);
    if (!status) status = write_batch(j->x, t->timestep, j->timestep, step, err);
    if (!status) status = write_batch(j->x, t->tokens, j->states, step, err);
    if (!status && t->loss) status = write_batch(j->x, t->target, j->noise, step, err);
    return status ? status : exec_run(j->x, err);
}

void unet_job_close(unet_job *j)
{
    exec_free(j->x);
    text_graph_free(&j->graph);
    unet_model_close(&j->unet);
    free(j->sample);
    free(j->timestep);
    free(j->states);
    free(j->noise);
    *j = (unet_job){0};
}
