/* What a run of m2m_eval_sets holds, and its three parts: making images (sets_make.c), looking at them
 * (sets_features.c), telling the scores (sets_score.c). Each part keeps its results in files, so that what is there
 * needs not be done again:
 *
 *     OUT/sets.json                                settings that decide the images
 *     OUT/images/k4/000012/000.png …               made from 4 given images of set 12; or bad.txt: why there are none;
 *                                                  lock: of the run that is making them
 *     OUT/features/clip-0123456789ab/given/000012.safetensors       features [G,D]; text [D] if the set has a caption
 *                                                  (kind and start of extractor_id: with another they are made anew)
 *     OUT/features/clip-0123456789ab/k4/000012.safetensors          features [n,D], of Inception logits [n,C]
 *     OUT/sheets/k4_000012.png */
#ifndef LIB_SETS_JOB_H
#define LIB_SETS_JOB_H

#include "m2m_train.h"

#include "base/json.h"
#include "base/share.h"
#include "data/set.h"
#include "lib/extractor.h"
#include "tensor/safetensors.h"

enum { SETS_GIVEN = 64, SETS_EYES = 3 };      /* most numbers in options->given; models that look at images */

typedef struct sets_eye {
    const char *kind;              /* "inception", "clip", "dino" */
    const char *dir;               /* NULL: not given */
    extractor *x;
    char id[SHA256_HEX];           /* extractor_id */
} sets_eye;

typedef struct sets_job {
    const m2m_generate_options *generate;
    const m2m_sets_options *options;
    const m2m_calls *calls;
    const char *out, *data_path;
    const m2m_model *model;
    dataset *data;
    dataset_view view;             /* how given images are seen: at the size of those that are made */
    backend *be;
    sets_eye eyes[SETS_EYES];
    int given[SETS_GIVEN], n_given, most;      /* K of each row, ascending; the last one */
    int sets, n;                   /* used of the data; images made of each */
    share share;
    cJSON *settings;
    int64_t done, todo;            /* images of this run, for progress */
    int others;                    /* sets that other runs are making */
    bool told_unlocked;
    char what[64];
} sets_job;

/* A path below OUT from a format, to be freed; NULL with *err when memory is out. */
char *sets_path(const sets_job *j, m2m_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Non-zero (M2M_ECANCELLED) when the caller asked to stop. */
int sets_progress(const sets_job *j, int64_t done, m2m_error *err);
void sets_tell(const sets_job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

typedef enum sets_state { SET_MISSING, SET_MADE, SET_BAD } sets_state;

/* Of set s with k given images. why: of a bad one, to be freed; may be NULL. */
sets_state sets_look(const sets_job *j, int s, int k, char **why);
/* Makes what is missing in this run's share. */
int sets_make(sets_job *j, m2m_error *err);
/* Image i of set s. Errors: M2M_EIO, M2M_EFORMAT. */
int sets_read_made(const sets_job *j, int s, int k, int i, m2m_image *img, m2m_error *err);

/* Computes what is missing of the share's features. */
int sets_see(sets_job *j, m2m_error *err);
/* Are those of set s, with k given, there? */
bool sets_seen(const sets_job *j, const sets_eye *e, int s, int k);
/* To be closed. of: 0 for those of the given images, else k. */
int sets_features_open(const sets_job *j, const sets_eye *e, int s, int of, safetensors **f, m2m_error *err);

/* All shares' sets are there: writes sheets and reports. */
int sets_report(sets_job *j, m2m_error *err);

#endif
