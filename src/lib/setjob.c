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

static int need(const safetensors *in, const char *name, m2m_error *err)
{
    return safetensors_need(in, name, NULL, &(const tensor *){NULL}, err);
}

/* [S,N] of the batch and the latents' shape *s, from the first of the tensors that has it. */
static int read_latents(set_job *j, const safetensors *in, int lead, bool with_loss, shape *s, m2m_error *err)
{
    static const char *const latents[] = {"clean", "noisy", "noise"};
    float **data[] = {&j->clean, &j->noisy, &j->noise};
    bool self = j->unet.config.variant == SET_SELF, known = false;
    int status = self ? need(in, "clean", err) : 0;
    if (!status && with_loss) status = need(in, "noise", err);
    if (!status && !job_has(in, "noisy")) status = need(in, with_loss ? "clean" : "noisy", err);
    for (int i = 0; i < 3 && !status; i++) {
        shape found;
        if (!job_has(in, latents[i]) || (i == 2 && !with_loss)) continue;
        *data[i] = job_floats(in, latents[i], lead + 5, &found, err);
        if (!*data[i]) return M2M_ESHAPE;
        if (known) status = same_shape(in, latents[i], found, *s, err);
        else *s = found;
        known = true;
    }
    return status;
}

static int read_features(set_job *j, const safetensors *in, int lead, shape latents, int *tokens, m2m_error *err)
{
    shape s;
    if (j->unet.config.variant == SET_SELF) return 0;
    j->features = job_floats(in, "features", lead + 4, &s, err);
    if (!j->features) return M2M_ESHAPE;
    shape wanted = prefix_of(latents, lead + 4);
    wanted.dim[lead + 2] = s.dim[lead + 2];
    wanted.dim[lead + 3] = j->unet.config.cross_dim;
    if (s.dim[lead + 2] > 1 << 20) return fail(err, M2M_ESHAPE, "%s: features are too large", safetensors_path(in));
    *tokens = (int)s.dim[lead + 2];
    return same_shape(in, "features", s, wanted, err);
}

static int read_condition(set_job *j, const safetensors *in, int lead, shape latents, m2m_error *err)
{
    int numbers = condition_numbers(j->unet.config.condition);
    if (!numbers && job_has(in, "condition"))
        return fail(err, M2M_EINVAL, "%s: has a tensor condition, but the model's condition is none",
                    safetensors_path(in));
    shape wanted = prefix_of(latents, lead + 3);
    wanted.dim[lead + 2] = numbers;
    return numbers ? read_optional(&j->condition, in, "condition", wanted, err) : 0;
}

static int read_inputs(set_job *j, const safetensors *in, int lead, bool with_loss, shape *s, int *tokens,
                       m2m_error *err)
{
    const tensor *t;
    int status = read_latents(j, in, lead, with_loss, s, err);
    if (!status) status = read_features(j, in, lead, *s, tokens, err);
    if (!status) status = read_condition(j, in, lead, *s, err);
    if (!status) status = read_optional(&j->dropped, in, "dropped", prefix_of(*s, lead + 1), err);
    if (!status) status = safetensors_need(in, "timesteps", NULL, &t, err);
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

static int build(set_job *j, backend *be, shape s, int lead, int tokens, bool with_loss, m2m_error *err)
{
    const int64_t *d = s.dim + lead;
    const unet_config *u = &j->unet.config;
    train_shape ts = {.sets = (int)d[0], .images = (int)d[1], .draws = 1, .height = (int)d[3], .width = (int)d[4],
                      .tokens = tokens};
    if (d[2] != u->in_channels)
        return fail(err, M2M_ESHAPE, "latents have %lld channels, wanted %d", (long long)d[2], u->in_channels);
    int64_t images = d[0] * d[1];
    j->steps = lead ? (int)s.dim[0] : 1;
    j->floats = d[2] * d[3] * d[4];
    j->context_floats = context_floats(u, ts.height, ts.width, tokens);
    j->rows = malloc((size_t)(images * j->floats) * sizeof *j->rows);
    j->context = malloc((size_t)(images * j->context_floats) * sizeof *j->context);
    j->times = malloc(2 * (size_t)images * sizeof *j->times);
    j->present = malloc((size_t)images * sizeof *j->present);
    if (!j->rows || !j->context || !j->times || !j->present)
        return fail(err, M2M_ENOMEM, "no memory for %lld latents", (long long)images);
    int status = timesteps_are_whole(j, j->steps * (j->per_image ? images : d[0]), err);
    if (!status) status = train_graph_build(&j->graph, u, j->unet.params, &ts, with_loss, with_loss, err);
    if (status) return status;
    node *wanted[2] = {j->graph.prediction, j->graph.loss};
    j->x = task_exec(j->graph.g, be, wanted, with_loss ? 2 : 1, j->unet.params, j->graph.grads, err);
    return j->x ? 0 : M2M_EUNSUPPORTED;
}

int set_job_open(set_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                 m2m_error *err)
{
    shape s;
    int tokens = 0;
    *j = (set_job){0};
    int status = unet_model_open(&j->unet, dir, true, err);
    if (!status && j->unet.config.variant == SET_NONE)
        status = fail(err, M2M_EUNSUPPORTED, "%s: its U-Net has no image_set_attention; run it as component unet", dir);
    if (!status) status = pipeline_schedule(&j->schedule, dir, err);
    if (!status) status = read_inputs(j, in, lead, with_loss, &s, &tokens, err);
    if (!status && with_loss && !j->clean && j->schedule.prediction != PREDICT_EPSILON)
        status = fail(err, M2M_EINVAL, "%s: has no clean, which the target is made of: prediction_type is %s",
                      safetensors_path(in), prediction_types[j->schedule.prediction]);
    return status ? status : build(j, be, s, lead, tokens, with_loss, err);
}

/* The context and the task condition, both zeroed where a set is dropped. */
static int write_context(set_job *j, int64_t first, m2m_error *err)
{
    const train_shape *s = &j->graph.shape;
    const float *from = (j->features ? j->features : j->clean) + first * j->context_floats;
    const float *dropped = j->dropped ? j->dropped + first / s->images : NULL;
    size_t per_set = (size_t)(s->images * j->context_floats);
    memcpy(j->context, from, (size_t)s->sets * per_set * sizeof *j->context);
    for (int i = 0; i < s->sets; i++) {
        bool drop = dropped && dropped[i] != 0;
        if (drop) memset(j->context + (size_t)i * per_set, 0, per_set * sizeof *j->context);
        for (int k = 0; k < s->images; k++) j->present[i * s->images + k] = !drop;
    }
    int numbers = condition_numbers(j->unet.config.condition);
    int status = exec_write(j->x, j->graph.context, j->context, err);
    return status ? status : train_graph_write_condition(&j->graph, j->x,
                                                         j->condition ? j->condition + first * numbers : NULL,
                                                         j->present, err);
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

static int write_target(set_job *j, int64_t first, const float *times, m2m_error *err)
{
    int64_t images = (int64_t)j->graph.shape.sets * j->graph.shape.images;
    for (int64_t i = 0; i < images; i++) {
        int64_t at = (first + i) * j->floats;
        schedule_target(&j->schedule, (int)times[i], j->clean ? j->clean + at : j->noise + at, j->noise + at,
                        j->rows + i * j->floats, j->floats);
    }
    return exec_write(j->x, j->graph.target, j->rows, err);
}

int set_job_run(set_job *j, int step, m2m_error *err)
{
    const train_shape *s = &j->graph.shape;
    int64_t images = (int64_t)s->sets * s->images, first = step * images;
    float *noisy_times = j->times + images;
    for (int64_t i = 0; i < images; i++)
        noisy_times[i] = j->timesteps[j->per_image ? first + i : (first + i) / s->images];
    clean_timesteps(&j->unet.config, s, noisy_times, j->times);
    int status = write_context(j, first, err);
    if (!status) status = write_noisy(j, first, noisy_times, err);
    if (!status) status = train_graph_write_times(&j->graph, j->x, j->times, err);
    if (!status && j->graph.loss) status = write_target(j, first, noisy_times, err);
    if (!status) status = train_graph_write_lens(&j->graph, j->x, err);
    return status ? status : exec_run(j->x, err);
}

void set_job_close(set_job *j)
{
    exec_free(j->x);
    train_graph_free(&j->graph);
    schedule_free(&j->schedule);
    unet_model_close(&j->unet);
    float *all[] = {j->clean,     j->features, j->noisy,   j->noise, j->timesteps, j->dropped,
                    j->condition, j->rows,     j->context, j->times, j->present};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *j = (set_job){0};
}
