/* Images for m2m_eval_sets. A set's images appear one by one, each whole; a set that lacks one is made anew. */
#include "lib/sets_job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHY = 1024 };           /* most bytes of a reason */

/* Of all images of set s. Image k's noise then depends on it and k alone. */
static int64_t set_seed(int64_t seed, int s)
{
    rng r = rng_make((uint64_t)seed, RNG_SETS, (uint32_t)s);
    const uint64_t high = rng_u32(&r), low = rng_u32(&r);
    return (int64_t)((high << 32 | low) >> 11);
}

static char *image_path(const sets_job *j, int s, int k, int i, m2m_error *err)
{
    return sets_path(j, err, "images/k%d/%06d/%03d.png", k, s, i);
}

sets_state sets_look(const sets_job *j, int s, int k, char **why)
{
    char *path = sets_path(j, NULL, "images/k%d/%06d/bad.txt", k, s);
    bool bad = path && file_exists(path), all = !bad;
    if (bad && why && file_read_all(path, WHY, why, NULL, NULL)) *why = strdup("its given images could not be read");
    free(path);
    for (int i = j->n - 1; i >= 0 && all; i--) {
        path = image_path(j, s, k, i, NULL);
        all = path && file_exists(path);
        free(path);
    }
    return bad ? SET_BAD : all ? SET_MADE : SET_MISSING;
}

int sets_read_made(const sets_job *j, int s, int k, int i, m2m_image *img, m2m_error *err)
{
    char *path = image_path(j, s, k, i, err);
    int rc = path ? m2m_image_load(img, path, err) : M2M_ENOMEM;
    free(path);
    return rc;
}

/* ---- One set ---- */

typedef struct making {
    sets_job *j;
    int s, k;
    m2m_error err;                 /* of a callback; why it asked to stop */
} making;

static int on_step(void *user, int image, int step, int steps)
{
    making *m = user;
    (void)step;
    (void)steps;
    return sets_progress(m->j, m->j->done + image, &m->err) != 0;
}

static int on_image(void *user, int index, const m2m_image *img)
{
    making *m = user;
    char *path = image_path(m->j, m->s, m->k, index, &m->err);
    int rc = path ? m2m_image_save(img, path, NULL, 0, &m->err) : M2M_ENOMEM;
    free(path);
    return rc != 0;
}

static int generate(making *m, const m2m_image *given, m2m_error *err)
{
    sets_job *j = m->j;
    m2m_generate_options o = *j->generate;
    m2m_generate_calls calls = {.user = m, .step = on_step, .image = on_image};
    m2m_image *made = calloc((size_t)j->n, sizeof *made);
    o.seed = set_seed(o.seed, m->s);
    int rc = made ? m2m_generate(j->model, given, m->k, &o, &calls, made, err)
                  : fail(err, M2M_ENOMEM, "no memory for %d images", j->n);
    if (rc == M2M_ECANCELLED && m->err.code) {
        rc = m->err.code;
        if (err) *err = m->err;
    }
    for (int i = 0; made && i < j->n; i++) m2m_image_free(&made[i]);
    free(made);
    return rc;
}

/* Fills why where the data is at fault, which is no error of the run. */
static int read_given(const sets_job *j, int s, int k, m2m_image *given, char why[WHY], m2m_error *err)
{
    m2m_error e = {0};
    const int there = dataset_images(j->data, s);
    why[0] = 0;
    if (there < k) snprintf(why, WHY, "has %d images, wanted %d", there, k);
    for (int i = 0; i < k && !why[0]; i++) {
        int rc = dataset_read(j->data, s, i, &j->view, &given[i], &e);
        if (rc == M2M_ENOMEM) return fail(err, rc, "%s", e.msg);
        if (rc) snprintf(why, WHY, "%s", e.msg);
    }
    return 0;
}

static int mark(const sets_job *j, int s, int k, const char *why, m2m_error *err)
{
    char *path = sets_path(j, err, "images/k%d/%06d/bad.txt", k, s);
    int rc = path ? 0 : M2M_ENOMEM;
    if (!rc && *why) rc = file_write_all(path, why, strlen(why), err);
    else if (!rc) unlink(path);                                    /* the data may have been mended */
    free(path);
    return rc;
}

/* What follows has the set's folder for itself. */
static int fill_set(sets_job *j, int s, int k, const char *dir, m2m_error *err)
{
    making m = {.j = j, .s = s, .k = k};
    char why[WHY];
    m2m_image *given = calloc((size_t)k, sizeof *given);
    int rc = given ? 0 : fail(err, M2M_ENOMEM, "no memory for a set of images");
    if (!rc) dir_sweep(dir);
    if (!rc) rc = read_given(j, s, k, given, why, err);
    if (!rc) rc = mark(j, s, k, why, err);
    if (!rc && !*why) rc = generate(&m, given, err);
    for (int i = 0; given && i < k; i++) m2m_image_free(&given[i]);
    free(given);
    return rc;
}

static void note_no_locks(sets_job *j, const lock *l)
{
    if (l->held || j->told_unlocked) return;
    sets_tell(j, "%s: this file system has no locks: two runs of one share would not notice each other", j->out);
    j->told_unlocked = true;
}

/* A set that another run is making is left to it: runs of one share then do it together. */
static int make_set(sets_job *j, int s, int k, m2m_error *err)
{
    lock l;
    char *dir = sets_path(j, err, "images/k%d/%06d", k, s), *path = sets_path(j, err, "images/k%d/%06d/lock", k, s);
    int rc = dir && path ? dir_make(dir, err) : M2M_ENOMEM;
    if (!rc) rc = lock_open(&l, path, err);
    if (!rc) {
        note_no_locks(j, &l);
        if (sets_look(j, s, k, NULL) != SET_MADE) rc = fill_set(j, s, k, dir, err);      /* not made meanwhile */
        unlink(path);
        lock_close(&l);
    } else if (rc == 1) {
        j->others++;
        rc = 0;
    }
    free(dir);
    free(path);
    return rc;
}

int sets_make(sets_job *j, m2m_error *err)
{
    const int from = share_start(j->share, j->sets), to = share_end(j->share, j->sets);
    int rc = 0;
    j->done = j->todo = 0;
    if (j->share.n > 1) snprintf(j->what, sizeof j->what, "images, share %d/%d", j->share.i, j->share.n);
    else snprintf(j->what, sizeof j->what, "images");
    for (int s = from; s < to; s++)
        for (int r = 0; r < j->n_given; r++)
            if (sets_look(j, s, j->given[r], NULL) != SET_MADE) j->todo += j->n;
    for (int s = from; s < to && !rc; s++)
        for (int r = 0; r < j->n_given && !rc; r++) {
            if (sets_look(j, s, j->given[r], NULL) == SET_MADE) continue;
            rc = make_set(j, s, j->given[r], err);
            j->done += j->n;
            if (!rc) rc = sets_progress(j, j->done, err);
        }
    return rc;
}
