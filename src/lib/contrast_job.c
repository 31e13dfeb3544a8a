#include "lib/contrast_job.h"

#include "train/modeldir.h"

#include <stdlib.h>
#include <string.h>

static int differs(const safetensors *in, const char *name, shape found, const char *wanted, m2m_error *err)
{
    char text[80];
    return fail(err, M2M_ESHAPE, "%s: tensor %s has shape %s, wanted %s", safetensors_path(in), name,
                shape_text(found, text, sizeof text), wanted);
}

static int read_inputs(contrast_job *j, const safetensors *in, int lead, shape *pixels, m2m_error *err)
{
    const bool clip = j->kind == CONTRAST_CLIP;
    const char *name = clip ? "input_ids" : "labels";
    shape ids;
    j->pixels = job_floats(in, "pixel_values", lead + 4, pixels, err);
    j->ids = j->pixels ? job_integers(in, name, lead + 1 + clip, &ids, err) : NULL;
    if (!j->ids) return M2M_ESHAPE;
    for (int d = 0; d <= lead; d++)
        if (ids.dim[d] != pixels->dim[d]) return differs(in, name, ids, "as many rows as pixel_values", err);
    j->steps = lead ? (int)pixels->dim[0] : 1;
    j->batch = (int)pixels->dim[lead];
    j->length = clip ? (int)ids.dim[lead + 1] : 1;
    if (j->batch > 1 << 15) return differs(in, "pixel_values", *pixels, "at most 32768 rows", err);
    j->targets = malloc((size_t)j->batch * (size_t)j->batch * sizeof *j->targets);
    return j->targets ? 0 : fail(err, M2M_ENOMEM, "no memory for a batch of %d", j->batch);
}

static int build_clip(contrast_job *j, const char *dir, const safetensors *in, shape s, m2m_error *err)
{
    int status = clip_model_open(&j->clip, dir, err);
    if (status) return fail_prefix(err, status, "component clip");
    const clip_config *c = &j->clip.config;
    const int64_t *size = s.dim + s.rank - 3;
    if (size[0] != c->channels || size[1] != c->image_size || size[2] != c->image_size)
        return differs(in, "pixel_values", s, "3 channels of image_size x image_size", err);
    status = clip_train_build(&j->pairs, c, j->clip.params, j->batch, j->length, true, err);
    j->params = j->clip.params;
    j->loss = j->pairs.loss;
    j->grads = j->pairs.grads;
    j->out[0] = j->pairs.images;
    j->out[1] = j->pairs.texts;
    for (int i = 0; i < j->batch * j->batch; i++) j->targets[i] = i % (j->batch + 1) ? 0 : 1 / (float)j->batch;
    return status;
}

static int build_encoder(contrast_job *j, const char *dir, const safetensors *in, shape s, m2m_error *err)
{
    int status = encoder_model_open(&j->encoder, dir, true, err);
    if (status) return status;
    const dinov2_config *c = &j->encoder.config;
    const int64_t *size = s.dim + s.rank - 3;
    if (size[0] != c->channels) return differs(in, "pixel_values", s, "num_channels channels", err);
    contrast_shape shape_ = {.batch = j->batch, .height = (int)size[1], .width = (int)size[2], .temperature = 0.1f};
    status = encoder_train_build(&j->alike, c, j->encoder.params, &shape_, true, err);
    j->params = j->encoder.params;
    j->loss = j->alike.loss;
    j->grads = j->alike.grads;
    j->out[0] = j->alike.embeds;
    return status;
}

int contrast_job_open(contrast_job *j, const char *dir, contrast_kind kind, const safetensors *in, backend *be,
                      int lead, m2m_error *err)
{
    shape s;
    *j = (contrast_job){.kind = kind};
    int status = read_inputs(j, in, lead, &s, err);
    if (!status) status = kind == CONTRAST_CLIP ? build_clip(j, dir, in, s, err) : build_encoder(j, dir, in, s, err);
    if (status) return status;
    node *more[3] = {j->loss, j->out[0], j->out[1]};
    j->x = task_exec(j->alike.tower.g ? j->alike.tower.g : j->pairs.towers.g, be, more, j->out[1] ? 3 : 2, j->params,
                     j->grads, err);
    if (!j->x) return M2M_EUNSUPPORTED;
    return kind == CONTRAST_ENCODER ? encoder_train_write(&j->alike, j->x, err) : 0;
}

int contrast_job_run(contrast_job *j, int step, m2m_error *err)
{
    const bool clip = j->kind == CONTRAST_CLIP;
    const node *pixels = clip ? j->pairs.towers.pixels : j->alike.tower.pixels;
    const int32_t *ids = j->ids + (int64_t)step * j->batch * j->length;
    int status = exec_write(j->x, pixels, j->pixels + step * shape_count(pixels->shape), err);
    if (!clip) contrast_targets(ids, j->batch, false, j->targets);
    if (!status) status = exec_write(j->x, clip ? j->pairs.targets : j->alike.targets[0], j->targets, err);
    if (!status && clip) status = clip_train_write_ids(&j->pairs, &j->clip.config.text, j->x, ids, err);
    return status ? status : exec_run(j->x, err);
}

void contrast_job_close(contrast_job *j)
{
    exec_free(j->x);
    clip_train_free(&j->pairs);
    encoder_train_free(&j->alike);
    clip_model_close(&j->clip);
    encoder_model_close(&j->encoder);
    free(j->pixels);
    free(j->ids);
    free(j->targets);
    *j = (contrast_job){0};
}
