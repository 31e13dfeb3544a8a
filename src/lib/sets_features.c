/* Features for m2m_eval_sets, a file for each set's given images and one for those made from k of them. */
#include "lib/sets_job.h"

#include "base/error.h"
#include "base/file.h"
#include "lib/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *folder_name(int of, char name[16])
{
    if (of) snprintf(name, 16, "k%d", of);
    else snprintf(name, 16, "given");
    return name;
}

static char *features_path(const sets_job *j, const sets_eye *e, int s, int of, m2m_error *err)
{
    char name[16];
    return sets_path(j, err, "features/%s-%.12s/%s/%06d.safetensors", e->kind, e->id, folder_name(of, name), s);
}

int sets_features_open(const sets_job *j, const sets_eye *e, int s, int of, safetensors **f, m2m_error *err)
{
    char *path = features_path(j, e, s, of, err);
    int rc = path ? safetensors_open(f, path, err) : M2M_ENOMEM;
    free(path);
    return rc;
}

/* Images that a file of features must hold: the made ones, or the largest k that the set is good for. */
static int rows_wanted(const sets_job *j, int s, int of)
{
    int most = 0;
    if (of) return j->n;
    for (int r = 0; r < j->n_given; r++)
        if (sets_look(j, s, j->given[r], NULL) == SET_MADE) most = j->given[r];
    return most;
}

static bool there(const sets_job *j, const sets_eye *e, int s, int of)
{
    char *path = features_path(j, e, s, of, NULL);
    safetensors *f = NULL;
    const tensor *t = NULL;
    bool good = path && file_exists(path) && !safetensors_open(&f, path, NULL);
    if (good) t = safetensors_find(f, "features");
    good = t && t->shape.rank == 2 && t->shape.dim[0] >= rows_wanted(j, s, of);
    safetensors_close(&f);
    free(path);
    return good;
}

bool sets_seen(const sets_job *j, const sets_eye *e, int s, int k)
{
    return there(j, e, s, 0) && there(j, e, s, k);
}

/* ---- Looking ---- */

/* Features of n images, and their logits where there are such; with a set's caption also that text's. */
static int look(const sets_eye *e, const m2m_image *images, int n, const char *caption, results *r, m2m_error *err)
{
    const int dim = extractor_dim(e->x), classes = extractor_classes(e->x);
    float *features = malloc((size_t)n * (size_t)dim * sizeof *features);
    float *logits = classes ? malloc((size_t)n * (size_t)classes * sizeof *logits) : NULL;
    int rc = features && (logits || !classes) ? 0 : fail(err, M2M_ENOMEM, "no memory for features of %d images", n);
    if (!rc) rc = extractor_images(e->x, images, n, features, logits, err);
    if (!rc) results_add(r, "", "features", SHAPE(n, dim), features);
    if (!rc && logits) results_add(r, "", "logits", SHAPE(n, classes), logits);
    if (!rc && caption && extractor_has_text(e->x)) {
        rc = extractor_text(e->x, caption, features, err);
        if (!rc) results_add(r, "", "text", SHAPE(dim), features);
    }
    free(features);
    free(logits);
    return rc;
}

static int read_images(const sets_job *j, int s, int of, m2m_image *images, int n, m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++)
        rc = of ? sets_read_made(j, s, of, i, &images[i], err) : dataset_read(j->data, s, i, &j->view, &images[i], err);
    return rc;
}

static int see_images(const sets_job *j, const sets_eye *e, int s, int of, m2m_error *err)
{
    const int n = rows_wanted(j, s, of);
    char *path = features_path(j, e, s, of, err), *caption = NULL;
    m2m_image *images = calloc((size_t)n + 1, sizeof *images);
    results r = {0};
    int rc = path && images ? 0 : fail(err, M2M_ENOMEM, "no memory for %d images", n);
    if (!rc) rc = read_images(j, s, of, images, n, err);
    if (!rc && !of && extractor_has_text(e->x)) {
        /* One that can't be used is told with the scores. */
        if (dataset_caption(j->data, s, &caption, NULL) == M2M_ENOMEM)
            rc = fail(err, M2M_ENOMEM, "no memory for a caption");
    }
    if (!rc) rc = look(e, images, n, caption, &r, err);
    if (!rc) rc = results_save(&r, path, err);
    results_free(&r);
    for (int i = 0; images && i < n; i++) m2m_image_free(&images[i]);
    free(images);
    free(caption);
    free(path);
    return rc;
}

static int make_folder(const sets_job *j, const sets_eye *e, int of, m2m_error *err)
{
    char name[16], *path = sets_path(j, err, "features/%s-%.12s/%s", e->kind, e->id, folder_name(of, name));
    int rc = path ? dir_make(path, err) : M2M_ENOMEM;
    free(path);
    return rc;
}

static int see_set(sets_job *j, const sets_eye *e, int s, m2m_error *err)
{
    int rc = rows_wanted(j, s, 0) == 0 || there(j, e, s, 0) ? 0 : see_images(j, e, s, 0, err);
    for (int r = 0; r < j->n_given && !rc; r++) {
        const int k = j->given[r];
        if (sets_look(j, s, k, NULL) == SET_MADE && !there(j, e, s, k)) rc = see_images(j, e, s, k, err);
    }
    return rc;
}

int sets_see(sets_job *j, m2m_error *err)
{
    const int from = share_start(j->share, j->sets), to = share_end(j->share, j->sets);
    int rc = 0;
    for (int i = 0; i < SETS_EYES && !rc; i++) {
        const sets_eye *e = &j->eyes[i];
        if (!e->dir) continue;
        snprintf(j->what, sizeof j->what, "sets looked at by %s", e->kind);
        j->todo = to - from;
        rc = make_folder(j, e, 0, err);
        for (int r = 0; r < j->n_given && !rc; r++) rc = make_folder(j, e, j->given[r], err);
        for (int s = from; s < to && !rc; s++) {
            rc = see_set(j, e, s, err);
            if (!rc) rc = sets_progress(j, s - from + 1, err);
        }
    }
    return rc;
}
