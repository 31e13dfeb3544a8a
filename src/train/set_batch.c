#include "train/set_batch.h"

#include <stdlib.h>
#include <string.h>

void set_source_close(set_source *s)
{
    latents_close(&s->latents);
    latents_close(&s->features);
    conditions_close(&s->conditions);
}

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

static bool is_good(const set_source *from, int64_t image)
{
    return from->latents.good[image] && (!from->features.good || from->features.good[image]) &&
           (!from->conditions.good || from->conditions.good[image]);
}

/* Number of an image that is known in full: this one, or the next of its set that is. */
static int64_t known_image(const loader *l, const set_source *from, loader_item it)
{
    int n = dataset_images(l->data, it.set);
    int64_t first = dataset_first(l->data, it.set);
    for (int k = 0; k < n; k++)
        if (is_good(from, first + (it.image + k) % n)) return first + (it.image + k) % n;
    return -1;
}

static int load_clean(set_batch *b, loader *l, const set_source *from, int64_t batch, m2m_error *err)
{
    bool flips[DRAW_MAX_SETS] = {false};
    const int numbers = from->conditions.numbers;
    loader_batch(l, batch, b->items);
    if (b->flip) draw_flips(&b->plan, batch, flips);
    for (int i = 0; i < b->shape.sets * b->shape.images; i++) {
        int64_t image = known_image(l, from, b->items[i]);
        bool flip = flips[i / b->shape.images];
        if (image < 0)
            return fail(err, M2M_EFORMAT, "set %s: none of its images can be read%s",
                        dataset_key(l->data, b->items[i].set), numbers ? " together with its condition" : "");
        latents_get(&from->latents, image, flip, b->clean + i * b->floats);
        if (b->content != b->clean) latents_get(&from->features, image, flip, b->content + i * b->content_floats);
        if (numbers)
            memcpy(b->condition + i * numbers, from->conditions.values + image * numbers,
                   (size_t)numbers * sizeof *b->condition);
    }
    return 0;
}

/* A set loses context and condition together, or the condition alone. */
static void drop(set_batch *b, int64_t batch)
{
    bool all[DRAW_MAX_SETS], condition[DRAW_MAX_SETS];
    size_t per_set = (size_t)(b->shape.images * b->content_floats);
    draw_dropped(&b->plan, batch, all);
    draw_condition_dropped(&b->plan, batch, condition);
    memcpy(b->context, b->content, (size_t)b->shape.sets * per_set * sizeof *b->context);
    for (int s = 0; s < b->shape.sets; s++) {
        if (all[s]) memset(b->context + (size_t)s * per_set, 0, per_set * sizeof *b->context);
        for (int i = 0; i < b->shape.images; i++) b->present[s * b->shape.images + i] = !all[s] && !condition[s];
    }
}

int set_batch_load(set_batch *b, loader *l, const set_source *from, int64_t batch, m2m_error *err)
{
    const train_shape *s = &b->shape;
    int status = load_clean(b, l, from, batch, err);
    if (status) return status;
    drop(b, batch);
    float *noisy_times = b->times + s->sets * s->images;
    draw_timesteps(&b->plan, batch, noisy_times);
    draw_noise(&b->plan, batch, b->floats, b->target);
    clean_timesteps(b->u, s, noisy_times, b->times);
    for (int row = 0; row < s->sets * s->draws * s->images; row++) {
        int set = row / (s->draws * s->images), image = row % s->images;
        const float *clean = b->clean + (set * s->images + image) * b->floats;
        float *noise = b->target + row * b->floats;
        const int time = (int)noisy_times[row];
        schedule_add_noise(b->schedule, time, clean, noise, b->noisy + row * b->floats, b->floats);
        schedule_target(b->schedule, time, clean, noise, noise, b->floats);
    }
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
