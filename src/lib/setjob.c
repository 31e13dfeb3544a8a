#include "lib/setjob.h"

#include "lib/model.h"
#include "train/modeldir.h"

#include <stdlib.h>
#include <string.h>

static int same_shape(const safetensors *in, const char *name, shape found, shape wanted, m2m_error *err)
{
    char a[80], b[80];
    if (shape_equal(found, wanted)) return 0;
    return fail(err, M2M_ESHAPE, "%s: tensor %s has shape %s, wanted %s", safetensors_path(in), name,
                shape_text(found, a, sizeof a), shape_text(wanted, b, sizeof b));
}

static int read_optional(float **data, const safetensors *in, const char *name, shape wanted, m2m_error *err)
{
    shape s;
    if (!job_has(in, name)) return 0;
    *data = job_floats(in, name, wanted.rank, &s, err);
    return *data ? same_shape(in, name, s, wanted, err) : M2M_ESHAPE;
}

static shape prefix_of(shape s, int rank)
{
    s.rank = rank;
    return s;
}

static int read_inputs(set_job *j, const safetensors *in, int lead, bool with_loss, shape *s, m2m_error *err)
{
    j->clean = job_floats(in, "clean", lead + 5, s, err);
    if (!j->clean) return M2M_ESHAPE;
    int status = read_optional(&j->noisy, in, "noisy", *s, err);
    if (!status && with_loss) status = read_optional(&j->noise, in, "noise", *s, err);
    if (!status) status = read_optional(&j->dropped, in, "dropped", prefix_of(*s, lead + 1), err);
    if (status) return status;
    if (with_loss && !j->noise) return safetensors_need(in, "noise", s, &(const tensor *){NULL}, err);
    if (!with_loss && !j->noisy) return safetensors_need(in, "noisy", s, &(const tensor *){NULL}, err);
    const tensor *t;
    status = safetensors_need(in, "timesteps", NULL, &t, err);
    if (status) return status;
    j->per_image = t->shape.rank == lead + 2;
    shape wanted = prefix_of(*s, lead + (j->per_image ? 2 : 1));
    return read_optional(&j->timesteps, in, "timesteps", wanted, err);
}

static int timesteps_are_whole(const set_job *j, int64_t n, m2m_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!(j->timesteps[i] >= 0 && j->timesteps[i] < (float)j->schedule.train_steps))
            return fail(err, M2M_EINVAL, "timesteps: %g is outside 0..%d", (double)j->timesteps[i],
                        j->schedule.train_steps - 1);
    return 0;
}

static int build(set_job *j, backend *be, shape s, int lead, bool with_loss, m2m_error *err)
{
    const int64_t *d = s.dim + lead;
    train_shape ts = {.sets = (int)d[0], .images = (int)d[1], .draws = 1, .height = (int)d[3], .width = (int)d[4]};
    if (d[2] != j->unet.config.in_channels)
        return fail(err, M2M_ESHAPE, "clean has %lld channels, wanted %d", (long long)d[2], j->unet.config.in_channels);
    int64_t images = d[0] * d[1];
    j->steps = lead ? (int)s.dim[0] : 1;
    j->floats = d[2] * d[3] * d[4];
    j->rows = malloc((size_t)(images * j->floats) * sizeof *j->rows);
    j->times = malloc(2 * (size_t)images * sizeof *j->times);
    if (!j->rows || !j->times) return fail(err, M2M_ENOMEM, "no memory for %lld latents", (long long)images);
    int status = timesteps_are_whole(j, j->steps * (j->per_image ? images : d[0]), err);
    if (!status) status = train_graph_build(&j->graph, &j->unet.config, j->unet.params, &ts, with_loss, with_loss, err);
    if (status) return status;
    node *wanted[2] = {j->graph.prediction, j->graph.loss};
    j->x = task_exec(j->graph.g, be, wanted, with_loss ? 2 : 1, j->unet.params, j->graph.grads, err);
    return j->x ? 0 : M2M_EUNSUPPORTED;
}

int set_job_open(set_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                 m2m_error *err)
{
    shape s;
    *j = (set_job){0};
    int status = unet_model_open(&j->unet, dir, true, err);
    if (!status) status = pipeline_schedule(&j->schedule, dir, err);
    if (!status) status = read_inputs(j, in, lead, with_loss, &s, err);
    return status ? status : build(j, be, s, lead, with_loss, err);
}

static int write_clean(set_job *j, int64_t first, m2m_error *err)
{
    const train_shape *s = &j->graph.shape;
    size_t per_set = (size_t)(s->images * j->floats);
    memcpy(j->rows, j->clean + first * j->floats, (size_t)s->sets * per_set * sizeof *j->rows);
    const float *dropped = j->dropped ? j->dropped + first / s->images : NULL;
    for (int i = 0; dropped && i < s->sets; i++)
        if (dropped[i] != 0) memset(j->rows + (size_t)i * per_set, 0, per_set * sizeof *j->rows);
    return exec_write(j->x, j->graph.clean, j->rows, err);
}

static int write_noisy(set_job *j, int64_t first, const float *times, m2m_error *err)
{
    int64_t images = (int64_t)j->graph.shape.sets * j->graph.shape.images;
    if (j->noisy) return exec_write(j->x, j->graph.noisy, j->noisy + first * j->floats, err);
    for (int64_t i = 0; i < images; i++) {
        int64_t at = (first + i) * j->floats;
        schedule_add_noise(&j->schedule, (int)times[i], j->clean + at, j->noise + at, j->rows + i * j->floats,
                           j->floats);
    }
    return exec_write(j->x, j->graph.noisy, j->rows, err);
}

int set_job_run(set_job *j, int step, m2m_error *err)
{
    const train_shape *s = &j->graph.shape;
    int64_t images = (int64_t)s->sets * s->images, first = step * images;
    float *noisy_times = j->times + images;
    for (int64_t i = 0; i < images; i++)
        noisy_times[i] = j->timesteps[j->per_image ? first + i : (first + i) / s->images];
    clean_timesteps(&j->unet.config, s, noisy_times, j->times);
    int status = write_clean(j, first, err);
    if (!status) status = write_noisy(j, first, noisy_times, err);
    if (!status) status = exec_write(j->x, j->graph.timesteps, j->times, err);
    if (!status && j->graph.loss) status = exec_write(j->x, j->graph.target, j->noise + first * j->floats, err);
    if (!status) status = train_graph_write_lens(&j->graph, j->x, err);
    return status ? status : exec_run(j->x, err);
}

void set_job_close(set_job *j)
{
    exec_free(j->x);
    train_graph_free(&j->graph);
    schedule_free(&j->schedule);
    unet_model_close(&j->unet);
    float *all[] = {j->clean, j->noisy, j->noise, j->timesteps, j->dropped, j->rows, j->times};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *j = (set_job){0};
}
