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
    train_shape ts = {.sets = sets, .images = s->images, .draws = 1, .height = s->side, .width = s->side,
                      .tokens = s->tokens};
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
    if (!status) status = loader_open(&c->loader, s->data, s->seed, sets, s->images, s->order, err);
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
        const float *p = c->prediction + row * b->floats, *e = b->target + row * b->floats;
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
    size_t per_set = (size_t)(b->shape.images * b->content_floats), rest = ((size_t)b->shape.sets - 1) * per_set;
    memcpy(b->context, b->content + per_set, rest * sizeof *b->context);
    memcpy(b->context + rest, b->content, per_set * sizeof *b->context);
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
        status = set_batch_load(&c->batch, &c->loader, c->s.source, b, err);
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

/* What a row of a picture is made with. */
typedef struct row_maker {
    set_check *c;
    pixels *decoder;
    sight *sight;            /* M2M-DINO; else NULL */
    rollout *rollout;
    int side;                /* of an image in pixels */
    float *planes;           /* [3, side, side] */
    float *latent, *noise;   /* [C,h,w] */
    float *features;         /* [L,D] or NULL */
    m2m_image *picture;
} row_maker;

/* Decodes, pastes at (x, y), and if it is wanted, looks at what it sees. */
static int show(row_maker *m, const float *latent, int x, int y, float *seen, m2m_error *err)
{
    m2m_image one = {0};
    int status = pixels_decode(m->decoder, latent, m->planes, err);
    if (!status) status = image_from_chw(&one, m->planes, m->side, m->side, err);
    if (!status) image_paste(m->picture, &one, x, y);
    if (!status && seen) status = sight_run(m->sight, &one, seen, err);
    m2m_image_free(&one);
    return status;
}

/* Task condition of image i of a row's set, counted on behind its end: positions go on, cameras begin again. */
static const float *condition_of(const set_check *c, int row, int i, float room[CONDITION_NUMBERS])
{
    const int numbers = c->s.source->conditions.numbers, images = c->s.images;
    if (!numbers) return NULL;
    memcpy(room, c->batch.condition + (row * images + i % images) * numbers, (size_t)numbers * sizeof *room);
    if (c->s.unet->config.condition == CONDITION_POSITION && i >= images)
        room[0] = c->batch.condition[row * images + images - 1] + (float)(i - images + 1);
    return room;
}

static int make_row(row_maker *m, int row, int given, m2m_error *err)
{
    set_check *c = m->c;
    const set_batch *b = &c->batch;
    float room[CONDITION_NUMBERS];
    int y = row * m->side, status = 0;
    for (int i = 0; i < given && !status; i++) {
        int at = row * c->s.images + i;
        context_image image = {b->content + at * b->content_floats, condition_of(c, row, i, room), 0};
        status = rollout_add(m->rollout, &image, err);
        if (!status) status = show(m, b->clean + at * b->floats, i * m->side, y, NULL, err);
    }
    for (int i = 0; i < MADE && !status; i++) {
        const float *condition = condition_of(c, row, given + i, room);
        rng_normal(c->s.seed, RNG_NOISE, (uint32_t)(row * MADE + i), m->noise, (size_t)b->floats);
        rollout_image image = {.noise = m->noise, .condition = condition, .latent = m->latent};
        status = rollout_make(m->rollout, &image, err);
        if (!status) status = show(m, m->latent, 8 + (given + i) * m->side, y, m->features, err);
        context_image made = {m->features ? m->features : m->latent, condition, 0};
        if (!status) status = rollout_add_made(m->rollout, &made, c->s.seed, (uint32_t)(row * MADE + i), err);
    }
    return status;
}

static void close_maker(row_maker *m)
{
    pixels_free(m->decoder);
    sight_free(m->sight);
    free(m->planes);
    free(m->latent);
    free(m->features);
}

static int open_maker(row_maker *m, set_check *c, m2m_image *picture, m2m_error *err)
{
    const set_check_source *s = &c->s;
    *m = (row_maker){.c = c, .side = s->side * vae_factor(&s->vae->config), .picture = picture};
    m->decoder = pixels_new(s->vae, s->be, VAE_DECODE, 1, m->side, m->side, err);
    if (m->decoder && s->vision) m->sight = sight_new(s->vision, s->be, m->side, m->side, err);
    if (!m->decoder || (s->vision && !m->sight)) return M2M_ENOMEM;
    m->planes = malloc(3 * (size_t)m->side * (size_t)m->side * sizeof *m->planes);
    m->latent = malloc(2 * (size_t)c->batch.floats * sizeof *m->latent);
    if (s->vision) m->features = malloc((size_t)c->batch.content_floats * sizeof *m->features);
    if (!m->planes || !m->latent || (s->vision && !m->features)) return fail(err, M2M_ENOMEM, "no memory for a sample");
    m->noise = m->latent + c->batch.floats;
    return 0;
}

static int make_rows(row_maker *m, int rows, int given, m2m_error *err)
{
    const set_check_source *s = &m->c->s;
    rollout_options o = {.steps = STEPS, .guidance = 3.0, .condition_guidance = -1, .sampler = "ddim", .window = 4,
                         .tokens = s->tokens, .conditioned = s->source->conditions.numbers > 0};
    int status = 0;
    for (int row = 0; row < rows && !status; row++) {
        m->rollout = rollout_new(&s->unet->config, s->unet->params, s->be, s->schedule, s->side, s->side, &o, err);
        status = m->rollout ? make_row(m, row, given, err) : M2M_ENOMEM;
        rollout_free(m->rollout);
    }
    return status;
}

int set_check_sample(set_check *c, m2m_image *picture, m2m_error *err)
{
    const set_check_source *s = &c->s;
    row_maker m;
    int rows = c->batch.shape.sets < SHOWN ? c->batch.shape.sets : SHOWN;
    int given = s->images - 1 < 4 ? s->images - 1 : 4, status = open_maker(&m, c, picture, err);
    if (!status) status = set_batch_load(&c->batch, &c->loader, s->source, 0, err);
    if (!status) status = m2m_image_new(picture, (given + MADE) * m.side + 8, rows * m.side, 3, err);
    if (!status) status = make_rows(&m, rows, given, err);
    if (status) m2m_image_free(picture);
    close_maker(&m);
    return status;
}
