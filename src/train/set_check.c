#include "train/set_check.h"

#include "base/rng.h"
#include "data/loader.h"
#include "diffusion/rollout.h"
#include "image/draw.h"
#include "image/image.h"
#include "models/pixels.h"
#include "train/set_batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 8, SHOWN = 8, MADE = 4, STEPS = 25, LENGTHS = 5 };

struct set_check {
    set_check_source s;
    train_graph graph;
    exec *x;
    set_batch batch;
    loader loader;
    int batches;
    float *prediction;       /* [S*N, C,h,w] */
};

/* Sums over the images with at least one image of context. */
typedef struct tally {
    double all, high, by_length[LENGTHS];
} tally;

static int build(set_check *c, m2m_error *err)
{
    const set_check_source *s = &c->s;
    int sets = dataset_sets(s->data) < SETS ? dataset_sets(s->data) : SETS;
    int wanted = s->sets < dataset_sets(s->data) ? s->sets : dataset_sets(s->data);
    train_shape ts = {.sets = sets, .images = s->images, .draws = 1, .height = s->side, .width = s->side};
    draw_plan plan = {.seed = s->seed,
                      .purpose = DRAW_VALIDATE,
                      .sets = sets,
                      .draws = 1,
                      .images = s->images,
                      .t_first = 0,
                      .t_last = s->schedule->train_steps - 1,
                      .per_image = true};
    c->batches = wanted / sets > 0 ? wanted / sets : 1;
    int status = train_graph_build(&c->graph, &s->unet->config, s->unet->params, &ts, false, false, err);
    if (!status) status = set_batch_new(&c->batch, &s->unet->config, s->schedule, &ts, &plan, false, err);
    if (!status) status = loader_open(&c->loader, s->data, s->seed, sets, s->images, false, err);
    if (status) return status;
    c->x = exec_new(c->graph.g, s->be, &c->graph.prediction, 1, err);
    c->prediction = malloc((size_t)(sets * s->images * c->batch.floats) * sizeof *c->prediction);
    if (c->x && !c->prediction) return fail(err, M2M_ENOMEM, "no memory for validation");
    return c->x ? 0 : M2M_ENOMEM;
}

set_check *set_check_new(const set_check_source *s, m2m_error *err)
{
    set_check *c = calloc(1, sizeof *c);
    if (!c) return fail(err, M2M_ENOMEM, "no memory for validation"), NULL;
    c->s = *s;
    if (!build(c, err)) return c;
    set_check_free(c);
    return NULL;
}

void set_check_free(set_check *c)
{
    if (!c) return;
    exec_free(c->x);
    train_graph_free(&c->graph);
    set_batch_free(&c->batch);
    loader_close(&c->loader);
    free(c->prediction);
    free(c);
}

/* ---- losses ---- */

static void add_losses(const set_check *c, bool high, tally *t)
{
    const set_batch *b = &c->batch;
    for (int row = 0; row < b->shape.sets * b->shape.images; row++) {
        int length = row % b->shape.images;
        const float *p = c->prediction + row * b->floats, *e = b->noise + row * b->floats;
        double sum = 0;
        for (int64_t i = 0; i < b->floats; i++) sum += (double)(p[i] - e[i]) * (p[i] - e[i]);
        sum /= (double)b->floats;
        if (length == 0) continue;
        if (!high) t->all += sum;
        else {
            t->high += sum;
            if (length < LENGTHS) t->by_length[length] += sum;
        }
    }
}

/* Every set gets the next set's context; noise, timesteps and noisy images stay. */
static void exchange_contexts(set_batch *b)
{
    size_t per_set = (size_t)(b->shape.images * b->floats), rest = ((size_t)b->shape.sets - 1) * per_set;
    memcpy(b->context, b->clean + per_set, rest * sizeof *b->context);
    memcpy(b->context + rest, b->clean, per_set * sizeof *b->context);
}

static int predict(set_check *c, m2m_error *err)
{
    int status = set_batch_write(&c->batch, &c->graph, c->x, err);
    if (!status) status = exec_run(c->x, err);
    if (!status) exec_read(c->x, c->graph.prediction, c->prediction);
    return status;
}

static int measure(set_check *c, bool high, tally *with, tally *other, m2m_error *err)
{
    int status = 0;
    draw_plan *p = &c->batch.plan;
    p->t_first = high ? 600 : 0;
    p->t_last = high ? 900 : c->s.schedule->train_steps - 1;
    for (int b = 0; b < c->batches && !status; b++) {
        status = set_batch_load(&c->batch, &c->loader, c->s.latents, b, err);
        if (!status) status = predict(c, err);
        if (!status) add_losses(c, high, with);
        if (!status && c->batch.shape.sets > 1) exchange_contexts(&c->batch);
        if (!status) status = predict(c, err);
        if (!status) add_losses(c, high, other);
    }
    return status;
}

int set_check_run(set_check *c, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    static const char *const by_length[LENGTHS] = {"", "ratio_1", "ratio_2", "ratio_3", "ratio_4"};
    tally with = {0}, other = {0};
    int status = measure(c, false, &with, &other, err);
    if (!status) status = measure(c, true, &with, &other, err);
    if (status) return status;
    double count = (double)c->batches * c->batch.shape.sets * (c->s.images - 1);
    int k = 0;
    if (c->s.images < 2) return *n = 0, 0;
    fields[k++] = (journal_field){"val_loss", with.all / count};
    fields[k++] = (journal_field){"val_loss_other", other.all / count};
    fields[k++] = (journal_field){"ratio", with.all / other.all};
    fields[k++] = (journal_field){"ratio_high", with.high / other.high};
    for (int i = 1; i < LENGTHS && i < c->s.images; i++)
        fields[k++] = (journal_field){by_length[i], with.by_length[i] / other.by_length[i]};
    *n = k;
    return 0;
}

/* ---- pictures ---- */

static int paste_decoded(pixels *decoder, const float *latent, float *planes, m2m_image *picture, int x, int y,
                         int side, m2m_error *err)
{
    m2m_image one = {0};
    int status = pixels_decode(decoder, latent, planes, err);
    if (!status) status = image_from_chw(&one, planes, side, side, err);
    if (!status) image_paste(picture, &one, x, y);
    m2m_image_free(&one);
    return status;
}

static int make_row(set_check *c, pixels *decoder, int row, float *planes, m2m_image *picture, m2m_error *err)
{
    const set_check_source *s = &c->s;
    int given = s->images - 1 < 4 ? s->images - 1 : 4, side = s->side * vae_factor(&s->vae->config), status = 0;
    rollout_options o = {.steps = STEPS, .guidance = 3.0, .sampler = "ddim", .window = 4};
    rollout *r = rollout_new(&s->unet->config, s->unet->params, s->be, s->schedule, s->side, s->side, &o, err);
    float *latent = malloc(2 * (size_t)c->batch.floats * sizeof *latent);
    if (!r || !latent) status = M2M_ENOMEM;
    for (int i = 0; i < given && !status; i++) {
        const float *z = c->batch.clean + (row * s->images + i) * c->batch.floats;
        status = rollout_add(r, &(context_image){.content = z}, err);
        if (!status) status = paste_decoded(decoder, z, planes, picture, i * side, row * side, side, err);
    }
    for (int i = 0; i < MADE && !status; i++) {
        float *noise = latent + c->batch.floats;
        rng_normal(s->seed, RNG_NOISE, (uint32_t)(row * MADE + i), noise, (size_t)c->batch.floats);
        status = rollout_make(r, &(rollout_image){.noise = noise, .latent = latent}, err);
        if (!status) status = rollout_add(r, &(context_image){.content = latent}, err);
        if (!status)
            status = paste_decoded(decoder, latent, planes, picture, 8 + (given + i) * side, row * side, side, err);
    }
    rollout_free(r);
    free(latent);
    return status;
}

int set_check_sample(set_check *c, m2m_image *picture, m2m_error *err)
{
    const set_check_source *s = &c->s;
    int side = s->side * vae_factor(&s->vae->config), rows = c->batch.shape.sets < SHOWN ? c->batch.shape.sets : SHOWN;
    int given = s->images - 1 < 4 ? s->images - 1 : 4;
    float *planes = malloc(3 * (size_t)side * (size_t)side * sizeof *planes);
    pixels *decoder = pixels_new(s->vae, s->be, VAE_DECODE, 1, side, side, err);
    int status = !decoder ? M2M_ENOMEM : planes ? 0 : fail(err, M2M_ENOMEM, "no memory for a sample");
    if (!status) status = set_batch_load(&c->batch, &c->loader, s->latents, 0, err);
    if (!status) status = m2m_image_new(picture, (given + MADE) * side + 8, rows * side, 3, err);
    for (int row = 0; row < rows && !status; row++) status = make_row(c, decoder, row, planes, picture, err);
    if (status) m2m_image_free(picture);
    pixels_free(decoder);
    free(planes);
    return status;
}
