#include "train/set_batch.h"

#include "train/noising.h"

#include <stdlib.h>
#include <string.h>

int set_batch_new(set_batch *b, const unet_config *u, const schedule *s, const train_shape *ts, const draw_plan *plan,
                  bool flip, m2m_error *err)
{
    *b = (set_batch){.u = u, .schedule = s, .shape = *ts, .plan = *plan, .flip = flip};
    b->floats = (int64_t)u->in_channels * ts->height * ts->width;
    b->content_floats = context_floats(u, ts->height, ts->width, ts->tokens);
    size_t clean = (size_t)ts->sets * (size_t)ts->images, noisy = clean * (size_t)ts->draws;
    size_t latent = (size_t)b->floats * sizeof(float), content = (size_t)b->content_floats * sizeof(float);
    b->items = malloc(clean * sizeof *b->items);
    b->clean = malloc(clean * latent);
    b->content = u->variant == SET_SELF ? b->clean : malloc(clean * content);
    b->context = malloc(clean * content);
    b->condition = calloc(clean * CONDITION_NUMBERS, sizeof *b->condition);
    b->present = calloc(clean, sizeof *b->present);
    b->target = malloc(noisy * latent);
    b->noisy = malloc(noisy * latent);
    b->times = malloc((clean + noisy) * sizeof *b->times);
    if (b->items && b->clean && b->content && b->context && b->condition && b->present && b->target && b->noisy &&
        b->times)
        return 0;
    set_batch_free(b);
    return fail(err, M2M_ENOMEM, "no memory for a batch of %zu latents", clean + noisy);
}

void set_batch_free(set_batch *b)
{
    void *content = b->content == b->clean ? NULL : b->content;
    void *all[] = {b->items, b->clean, content, b->context, b->target, b->noisy, b->condition, b->present, b->times};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *b = (set_batch){0};
}

static int load_clean(set_batch *b, loader *l, const set_source *from, int64_t batch, m2m_error *err)
{
    bool flips[DRAW_MAX_SETS] = {false};
    const int numbers = from->conditions.numbers;
    loader_batch(l, batch, b->items);
    if (b->flip) draw_flips(&b->plan, batch, flips);
    for (int i = 0; i < b->shape.sets * b->shape.images; i++) {
        int64_t image;
        bool flip = flips[i / b->shape.images];
        int status = set_source_image(from, l->data, b->items[i], &image, err);
        if (status) return status;
        latents_get(&from->latents, image, flip, b->clean + i * b->floats);
        if (b->content != b->clean) latents_get(&from->features, image, flip, b->content + i * b->content_floats);
        if (numbers)
            memcpy(b->condition + i * numbers, from->conditions.values + image * numbers,
                   (size_t)numbers * sizeof *b->condition);
    }
    return 0;
}

/* A set loses context and condition together, or the condition alone. What stays of contexts gets its
 * noise. */
static void drop(set_batch *b, int64_t batch)
{
    bool all[DRAW_MAX_SETS], condition[DRAW_MAX_SETS];
    draw_dropped(&b->plan, batch, all);
    draw_condition_dropped(&b->plan, batch, condition);
    noise_context(&b->plan, b->schedule, batch, b->content_floats, b->content, all, b->context, b->times);
    for (int s = 0; s < b->shape.sets; s++)
        for (int i = 0; i < b->shape.images; i++) b->present[s * b->shape.images + i] = !all[s] && !condition[s];
}

int set_batch_load(set_batch *b, loader *l, const set_source *from, int64_t batch, m2m_error *err)
{
    const train_shape *s = &b->shape;
    int status = load_clean(b, l, from, batch, err);
    if (status) return status;
    float *noisy_times = b->times + s->sets * s->images;
    noise_latents(&b->plan, b->schedule, batch, b->floats, b->clean, noisy_times, b->noisy, b->target);
    clean_timesteps(b->u, s, noisy_times, b->times);
    drop(b, batch);
    return 0;
}

int set_batch_write(const set_batch *b, const train_graph *t, exec *x, m2m_error *err)
{
    int status = exec_write(x, t->context, b->context, err);
    if (!status) status = exec_write(x, t->noisy, b->noisy, err);
    if (!status) status = train_graph_write_times(t, x, b->times, err);
    if (!status) status = train_graph_write_condition(t, x, b->condition, b->present, err);
    if (!status && t->target) status = exec_write(x, t->target, b->target, err);
    return status ? status : train_graph_write_lens(t, x, err);
}
