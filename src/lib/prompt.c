/* Images from a prompt (diffusers' StableDiffusionPipeline): the text's states, then a painter for one image at a
 * time, so that image k's bits depend on its noise alone. */
#include "base/file.h"
#include "lib/device.h"
#include "lib/generation.h"
#include "models/text_states.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int prompt_check(const generation *q, int n_given, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    if (n_given || o->latents)
        return fail(err, M2M_EINVAL, "%s: %s makes images from a prompt; wanted an M2M directory for images",
                    n_given ? "images" : "latents", q->m->dir);
    if (!o->prompt) return fail(err, M2M_EINVAL, "prompt: none is given, and %s makes images from one", q->m->dir);
    return 0;
}

static int encode(generation *q, text_states *t, int length, m2m_error *err)
{
    const char *const text[2] = {q->o->negative_prompt ? q->o->negative_prompt : "", q->o->prompt};
    static const char *const name[2] = {"negative-prompt", "prompt"};
    int32_t *ids = malloc(2 * (size_t)length * sizeof *ids);
    int status = ids ? 0 : fail(err, M2M_ENOMEM, "no memory for %d tokens", length);
    for (int i = 0; i < 2 && !status; i++) {
        status = tokenizer_encode_padded(q->m->tokenizer, text[i], strlen(text[i]), ids + i * length, length, err);
        if (status) fail_prefix(err, status, "%s", name[i]);
    }
    if (!status) status = text_states_run(t, ids, q->states, err);
    free(ids);
    return status;
}

/* With a backend of its own, which takes what it made of the encoder's weights with it when it goes. */
static int make_states(generation *q, int length, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    backend *be = device_open(o->device, (int)o->threads, DEVICE_WAY(o), NULL, err);
    if (!be) return M2M_EDEVICE;
    text_states *t = text_states_new(&q->m->text, be, 2, length, err);
    q->states = malloc(2 * (size_t)length * (size_t)q->m->text.config.width * sizeof *q->states);
    int status = !t ? M2M_EINVAL : !q->states ? fail(err, M2M_ENOMEM, "no memory for the prompt's states") : 0;
    if (!status) status = encode(q, t, length, err);
    text_states_free(t);
    be->close(be);
    weights_drop(q->m->text.weights);
    return status;
}

int prompt_open(generation *q, m2m_error *err)
{
    guide_interval interval;
    int length = text_length(q->m->tokenizer, &q->m->text);
    int status = guide_interval_parse(q->o->guidance_interval, &interval, err);
    if (!status) status = make_states(q, length, err);
    if (status) return status;
    painter_options p = {.batch = 1, .tokens = length, .steps = (int)q->o->steps, .guidance = q->o->guidance,
                         .interval = interval, .rescale = q->o->guidance_rescale, .sampler = q->o->scheduler,
                         .deepcache = (int)q->o->deepcache};
    q->painter = painter_new(&q->m->unet.config, q->m->unet.params, q->be, &q->m->schedule, q->latent_h, q->latent_w,
                             &p, err);
    return q->painter ? 0 : M2M_EINVAL;
}

int prompt_make(generation *q, const float *noise, float *latent, float *trajectory, painter_step *step,
                m2m_error *err)
{
    const float *with = q->states + (int64_t)text_length(q->m->tokenizer, &q->m->text) * q->m->text.config.width;
    const uint64_t seed = (uint64_t)q->o->seed;
    const uint32_t index = (uint32_t)q->index;
    painter_seeds(q->painter, &seed, &index);
    return painter_make(q->painter, with, q->states, noise, 1, latent, trajectory, step, q, err);
}
