/* Images of folders through a model, a few at a time: memory does not grow with their number. Threads read, decode and
 * resize ahead of the model. */
#include "lib/eval_job.h"

#include "base/ahead.h"
#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "data/caption_table.h"
#include "lib/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD = 4 };                    /* most threads that read images */

/* ---- Opening ---- */

static int choose_model(eval_job *j, const char *fixed, m2m_error *err)
{
    const m2m_eval_options *o = j->options;
    const char *const kinds[] = {"inception", "clip", "dino"}, *const dirs[] = {o->inception, o->clip, o->dino};
    const char *const wanted = fixed ? fixed : o->features;
    for (int i = 0; i < 3 && !j->kind; i++)
        if (wanted ? !strcmp(wanted, kinds[i]) : dirs[i] != NULL) {
            j->kind = kinds[i];
            j->dir = dirs[i];
        }
    if (j->dir) return 0;
    const char *const kind = j->kind ? j->kind : "inception";
    return fail(err, M2M_EINVAL, "%s: it needs --%s FOLDER%s", j->metric, kind,
                strcmp(kind, "inception") ? "" : ", made by tools/convert_inception.py from pytorch-fid's weights");
}

static int open_model(eval_job *j, m2m_error *err)
{
    const m2m_eval_options *o = j->options;
    j->be = device_open(o->device, (int)o->threads, DEVICE_WAY(o), NULL, err);
    if (!j->be) return M2M_EDEVICE;
    int rc = extractor_open(&j->x, j->kind, j->dir, j->be, err);
    if (rc == M2M_EIO && !strcmp(j->kind, "inception"))
        return fail_prefix(err, rc, "no weights (tools/convert_inception.py makes such a folder)");
    if (rc) return rc;
    extractor_batch(j->x, (int)o->batch);
    return extractor_resize(j->x, o->resize, err);
}

static int open_side(eval_job *j, eval_side *s, m2m_error *err)
{
    s->bad.calls = j->calls;
    if (strcmp(j->metric, "fid") || !path_ends(s->path, ".npz")) return gallery_open(&s->images, s->path, &s->bad, err);
    return gaussian_load(&s->statistics, s->path, err);
}

int eval_open(eval_job *j, const char *fixed, m2m_error *err)
{
    bool images = false;
    int rc = 0;
    for (int i = 0; i < j->n_sides && !rc; i++) {
        rc = open_side(j, &j->sides[i], err);
        images = images || j->sides[i].images;
    }
    if (rc || !images) return rc;
    rc = choose_model(j, fixed, err);
    return rc ? rc : open_model(j, err);
}

void eval_close(eval_job *j)
{
    for (int i = 0; i < 2; i++) {
        gallery_close(&j->sides[i].images);
        problems_free(&j->sides[i].bad);
        gaussian_free(&j->sides[i].statistics);
    }
    extractor_close(&j->x);
    if (j->be) j->be->close(j->be);
    str_free(&j->warnings);
}

/* ---- Seeing an image, ahead ---- */

/* Image i of a side, and what stands beside it in a pair: the image of that name on the other side, or a caption. */
typedef struct sight_of {
    int64_t i;
    float *pixels[2];              /* [extractor_pixels] each; of the looking's, not the slot's */
    char *caption;                 /* to be freed by whoever takes it */
    int status;                    /* what follows is said of a bad one */
    problem_kind kind;
    int side;
    char where[200];
    m2m_error why;
} sight_of;

typedef struct looking {
    const eval_job *j;
    eval_side *side;
    eval_want want;
    caption_table *captions;       /* NULL: those beside the images */
    ahead *ring;
    int depth, room;               /* images on the way, in a batch */
    float *pixels[2];              /* [depth,…]: of the ring */
    float *batch[2];               /* [room,…] */
    float *features, *partners, *logits;       /* [room,D], [room,D], [room,C] */
    char **captions_of;            /* [room] */
    int n;                         /* in the batch */
} looking;

static int see_image(const looking *l, sight_of *s, int side, int64_t i, float *pixels)
{
    const eval_side *from = side ? &l->j->sides[1] : l->side;
    m2m_image img = {0};
    int rc = gallery_read(from->images, i, &img, &s->why);
    if (!rc) rc = extractor_see(l->j->x, &img, pixels, &s->why);
    m2m_image_free(&img);
    s->side = side;
    s->kind = PROBLEM_IMAGE;
    snprintf(s->where, sizeof s->where, "%s", gallery_name(from->images, i));
    return rc;
}

static int see_partner(const looking *l, sight_of *s)
{
    const eval_side *a = &l->j->sides[0], *b = &l->j->sides[1];
    size_t n;
    const char *stem = gallery_stem(a->images, s->i, &n);
    s->kind = PROBLEM_RECORD;
    if (l->j->n_sides == 2) {
        const int64_t k = gallery_find(b->images, stem, n);
        if (k >= 0) return see_image(l, s, 1, k, s->pixels[1]);
        return fail(&s->why, M2M_EFORMAT, "%s of that name in %s",
                    k == GALLERY_NONE ? "there is no image" : "there are several images", b->path);
    }
    if (!l->captions) return gallery_caption(a->images, s->i, &s->caption, &s->why);
    const char *found = caption_table_find(l->captions, stem, n);
    if (!found) return fail(&s->why, M2M_EFORMAT, "has no caption in %s", l->j->options->captions);
    s->caption = strdup(found);
    return s->caption ? 0 : fail(&s->why, M2M_ENOMEM, "no memory for a caption");
}

static void see(void *user, void *slot)
{
    const looking *l = user;
    sight_of *s = slot;
    s->status = see_image(l, s, 0, s->i, s->pixels[0]);
    if (!s->status && l->want == EVAL_PAIRS) s->status = see_partner(l, s);
}

/* ---- Looking ---- */

static int open_looking(looking *l, m2m_error *err)
{
    const eval_job *j = l->j;
    const size_t image = extractor_pixels(j->x), dim = (size_t)extractor_dim(j->x), room = (size_t)l->room;
    const int cpus = threads_usable(), threads = cpus < AHEAD ? cpus : AHEAD, n = l->want == EVAL_PAIRS ? 2 : 1;
    l->depth = l->room > threads ? l->room : threads;
    bool good = true;
    for (int i = 0; i < n; i++) {
        l->pixels[i] = malloc((size_t)l->depth * image * sizeof *l->pixels[i]);
        l->batch[i] = malloc(room * image * sizeof *l->batch[i]);
        good = good && l->pixels[i] && l->batch[i];
    }
    l->features = malloc(room * dim * sizeof *l->features);
    l->partners = malloc(room * dim * sizeof *l->partners);
    l->logits = malloc(room * ((size_t)extractor_classes(j->x) + 1) * sizeof *l->logits);
    l->captions_of = calloc(room, sizeof *l->captions_of);
    if (!good || !l->features || !l->partners || !l->logits || !l->captions_of)
        return fail(err, M2M_ENOMEM, "no memory for %d images at a time", l->room);
    const bool listed = n == 2 && j->n_sides == 1 && j->options->captions;
    int rc = listed ? caption_table_open(&l->captions, j->options->captions, err) : 0;
    return rc ? rc : ahead_open(&l->ring, see, l, sizeof(sight_of), l->depth, threads, err);
}

static void close_looking(looking *l)
{
    if (l->ring) ahead_forget(l->ring);
    while (l->ring && ahead_waiting(l->ring)) free(((sight_of *)ahead_take(l->ring))->caption);
    ahead_close(&l->ring);
    for (int i = 0; i < l->n; i++) free(l->captions_of[i]);
    for (int i = 0; i < 2; i++) {
        free(l->pixels[i]);
        free(l->batch[i]);
    }
    free(l->features);
    free(l->partners);
    free(l->logits);
    free(l->captions_of);
    caption_table_close(&l->captions);
}

/* Takes what was seen first into the batch; bad ones are told and passed over. */
static int take_sight(looking *l, m2m_error *err)
{
    const size_t image = extractor_pixels(l->j->x);
    sight_of *s = ahead_take(l->ring);
    if (s->status == M2M_ENOMEM) {
        free(s->caption);
        return fail(err, s->status, "%s", s->why.msg);
    }
    if (s->status) {
        problems_add(s->side ? &l->side[1].bad : &l->side->bad, s->kind, s->where, s->why.msg);
        free(s->caption);
        return 0;
    }
    for (int i = 0; i < 2 && s->pixels[i]; i++)
        memcpy(l->batch[i] + (size_t)l->n * image, s->pixels[i], image * sizeof *s->pixels[i]);
    l->captions_of[l->n++] = s->caption;
    return 0;
}

/* The batch through the model, and away. */
static int look(looking *l, eval_taker *take, void *user, m2m_error *err)
{
    extractor *x = l->j->x;
    const int dim = extractor_dim(x);
    if (!l->n) return 0;
    int rc = extractor_run(x, l->batch[0], l->n, l->features, l->want == EVAL_LOGITS ? l->logits : NULL, err);
    if (!rc && l->batch[1] && l->j->n_sides == 2) rc = extractor_run(x, l->batch[1], l->n, l->partners, NULL, err);
    for (int i = 0; i < l->n; i++) {
        if (!rc && l->captions_of[i])
            rc = extractor_text(x, l->captions_of[i], l->partners + (size_t)i * (size_t)dim, err);
        free(l->captions_of[i]);
        l->captions_of[i] = NULL;
    }
    if (!rc) rc = take(user, &(eval_rows){l->features, l->partners, l->logits, l->n, dim}, err);
    l->side->used += l->n;
    l->n = 0;
    return rc;
}

static int show(const looking *l, int64_t done, m2m_error *err)
{
    char what[80];
    const m2m_calls *c = l->j->calls;
    const int64_t count = gallery_count(l->side->images);
    snprintf(what, sizeof what, "images of %.60s", path_base(l->side->path));
    if (!c || !c->progress || !c->progress(c->user, what, done, count)) return 0;
    return fail(err, M2M_ECANCELLED, "stopped at image %lld of %lld of %s", (long long)done, (long long)count,
                l->side->path);
}

int eval_each(eval_job *j, eval_side *side, eval_want want, eval_taker *take, void *user, m2m_error *err)
{
    looking l = {.j = j, .side = side, .want = want, .room = (int)j->options->batch};
    const int64_t count = gallery_count(side->images);
    const size_t image = extractor_pixels(j->x);
    int rc = open_looking(&l, err);
    for (int64_t done = 0, asked = 0; done < count && !rc; done++) {
        for (; asked < count && ahead_waiting(l.ring) < l.depth; asked++) {
            sight_of s = {.i = asked};
            for (int i = 0; i < 2 && l.pixels[i]; i++) s.pixels[i] = l.pixels[i] + (size_t)(asked % l.depth) * image;
            ahead_ask(l.ring, &s);
        }
        rc = take_sight(&l, err);
        if (!rc && (l.n == l.room || done + 1 == count)) {
            rc = look(&l, take, user, err);
            if (!rc) rc = show(&l, done + 1, err);
        }
    }
    close_looking(&l);
    if (!rc && !side->used)
        rc = fail(err, M2M_EFORMAT, "%s: none of its %lld images %s", side->path, (long long)count,
                  want == EVAL_PAIRS ? "is one of a pair that can be read" : "can be read");
    return rc;
}
