/* Scores, tables and sheets of m2m_eval_sets, from the features that lie on the disk: memory is that of one row of
 * features of every set. */
#include "lib/sets_job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "eval/gaussian.h"
#include "eval/report.h"
#include "eval/scores.h"
#include "eval/sequence.h"
#include "lib/job.h"
#include "m2m_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPLITS = 10, COLUMNS = 14 };   /* parts of the inception score; images in a row of a sheet */

/* One row of the table in work. */
typedef struct scoring {
    sets_job *j;
    int k;
    int *good, n_good;             /* sets that it stands on */
    cJSON *row, *measures, *notes, *problems;
} scoring;

static void note(scoring *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(scoring *q, const char *fmt, ...)
{
    str s = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.failed) cJSON_AddItemToArray(q->notes, cJSON_CreateString(s.data));
    str_free(&s);
}

/* Set s is left out: of everything, or `of` something. */
static int add_problem(scoring *q, int s, const char *of, const char *why, m2m_error *err)
{
    const char *key = dataset_key(q->j->data, s);
    str text = {0};
    str_printf(&text, "%s%s%s", of, *of ? ": " : "", why);
    cJSON *p = cJSON_CreateObject();
    bool added = p && !text.failed && cJSON_AddStringToObject(p, "where", key) &&
                 cJSON_AddStringToObject(p, "why", text.data ? text.data : "") && cJSON_AddItemToArray(q->problems, p);
    if (added) sets_tell(q->j, "set %s is left out with %d given: %s", key, q->k, text.data ? text.data : "");
    else cJSON_Delete(p);
    str_free(&text);
    return added ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
}

/* ---- Measures ---- */

typedef struct measure {
    const char *key, *better;
    char label[128];
    int sets;
    double *curve;                 /* [n] */
} measure;

static void stands_on(const sets_eye *e, str *s)
{
    str_printf(s, "%s %s: SHA-256 of its weights %.12s, of all that decides %.12s; pixels as %s", e->kind,
               extractor_name(e->x), extractor_sha256(e->x), e->id, extractor_resize_name(e->x));
}

static int add_measure(scoring *q, const sets_eye *e, const measure *m, m2m_error *err)
{
    double mean, deviation;
    str on = {0};
    mean_deviation(m->curve, q->j->n, &mean, &deviation);
    stands_on(e, &on);
    cJSON *o = cJSON_CreateObject(), *curve = cJSON_CreateDoubleArray(m->curve, q->j->n);
    bool good = o && curve && !on.failed && cJSON_AddStringToObject(o, "key", m->key) &&
                cJSON_AddStringToObject(o, "label", m->label) && cJSON_AddStringToObject(o, "on", on.data) &&
                cJSON_AddNumberToObject(o, "sets", m->sets) && cJSON_AddStringToObject(o, "better", m->better) &&
                cJSON_AddNumberToObject(o, "mean", mean) && cJSON_AddNumberToObject(o, "deviation", deviation);
    if (good) good = cJSON_AddItemToObject(o, "curve", curve);
    else cJSON_Delete(curve);
    if (good) good = cJSON_AddItemToArray(q->measures, o);
    else cJSON_Delete(o);
    str_free(&on);
    return good ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
}

/* Row `index` of a tensor of every set's file into all [n_good,dim]. */
static int gather(const scoring *q, const sets_eye *e, int of, const char *name, int index, int dim, float *all,
                  m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < q->n_good && !rc; i++) {
        safetensors *f = NULL;
        rc = sets_features_open(q->j, e, q->good[i], of, &f, err);
        const tensor *t = rc ? NULL : safetensors_find(f, name);
        bool good = t && t->type == DT_F32 && t->shape.rank == 2 && t->shape.dim[0] > index && t->shape.dim[1] == dim;
        if (!rc && !good)
            rc = fail(err, M2M_ESHAPE, "%s: %s is not what was written there; remove the file", safetensors_path(f),
                      name);
        if (!rc) memcpy(all + (size_t)i * (size_t)dim, (const float *)t->data + (size_t)index * (size_t)dim,
                        (size_t)dim * sizeof *all);
        safetensors_close(&f);
    }
    return rc;
}

/* The n-th images of all sets against the first given ones. */
static int frechet(const scoring *q, const sets_eye *e, double *curve, m2m_error *err)
{
    const int dim = extractor_dim(e->x);
    float *all = malloc((size_t)q->n_good * (size_t)dim * sizeof *all);
    gaussian first = {0};
    int rc = all ? gather(q, e, 0, "features", 0, dim, all, err) : fail(err, M2M_ENOMEM, "no memory for features");
    if (!rc) rc = gaussian_of(&first, all, q->n_good, dim, err);
    for (int i = 0; i < q->j->n && !rc; i++) {
        gaussian made = {0};
        rc = gather(q, e, q->k, "features", i, dim, all, err);
        if (!rc) rc = gaussian_of(&made, all, q->n_good, dim, err);
        if (!rc) rc = frechet_distance(&first, &made, &curve[i], err);
        gaussian_free(&made);
        if (!rc) rc = sets_progress(q->j, i + 1, err);
    }
    gaussian_free(&first);
    free(all);
    return rc;
}

static int score_frechet(scoring *q, double *curve, m2m_error *err)
{
    const char *wanted = q->j->options->features;
    for (int i = 0; i < SETS_EYES; i++) {
        const sets_eye *e = &q->j->eyes[i];
        if (!e->dir || (wanted && strcmp(wanted, e->kind))) continue;
        if (q->n_good < 2) {
            note(q, "no Fréchet distance: it needs 2 sets, there are %d", q->n_good);
            return 0;
        }
        measure m = {.key = extractor_frechet_key(e->x), .better = "lower", .sets = q->n_good, .curve = curve};
        extractor_label(e->x, "FID-Inception", "Fréchet distance", m.label, sizeof m.label);
        if (q->n_good < 10000)
            note(q, "the Fréchet distance is of %d sets (the paper: 10000): it falls with their number, so compare it "
                 "at equal numbers only", q->n_good);
        int rc = frechet(q, e, curve, err);
        return rc ? rc : add_measure(q, e, &m, err);
    }
    return 0;
}

static int score_inception(scoring *q, double *curve, m2m_error *err)
{
    const sets_eye *e = &q->j->eyes[0];
    if (!e->dir) return 0;
    if (q->n_good < SPLITS) {
        note(q, "no inception score: it needs %d sets, there are %d", SPLITS, q->n_good);
        return 0;
    }
    const int classes = extractor_classes(e->x);
    float *all = malloc((size_t)q->n_good * (size_t)classes * sizeof *all);
    int rc = all ? 0 : fail(err, M2M_ENOMEM, "no memory for logits of %d images", q->n_good);
    for (int i = 0; i < q->j->n && !rc; i++) {
        double deviation;
        rc = gather(q, e, q->k, "logits", i, classes, all, err);
        if (!rc) shuffle_rows(all, q->n_good, classes, SHUFFLE_SEED);
        if (!rc) rc = inception_score((rows){all, q->n_good, classes}, SPLITS, &curve[i], &deviation, err);
    }
    free(all);
    measure m = {.key = "is", .label = "IS", .better = "higher", .sets = q->n_good, .curve = curve};
    return rc ? rc : add_measure(q, e, &m, err);
}

/* ---- Similarities ---- */

enum { LIKE_TEXT, LIKE_BEFORE, LIKE_GIVEN, LIKES };

typedef struct likeness {
    double *sum[LIKES];            /* [n] over sets */
    double *one;                   /* [n] */
    int sets[LIKES];
} likeness;

static void add_likeness(likeness *l, const sequence *s)
{
    static void (*const ways[LIKES])(const sequence *, double *) = {sequence_text, sequence_before, sequence_given};
    for (int w = 0; w < LIKES; w++) {
        if (w == LIKE_TEXT && !s->text) continue;
        ways[w](s, l->one);
        for (int i = 0; i < s->n; i++) l->sum[w][i] += l->one[i];
        l->sets[w]++;
    }
}

static int add_set(const scoring *q, const sets_eye *e, int set, likeness *l, m2m_error *err)
{
    safetensors *given = NULL, *made = NULL;
    shape a = {0}, b = {0}, c = {0};
    float *x = NULL, *y = NULL, *text = NULL;
    const int dim = extractor_dim(e->x);
    int rc = sets_features_open(q->j, e, set, 0, &given, err);
    if (!rc) rc = sets_features_open(q->j, e, set, q->k, &made, err);
    if (!rc && (!(x = job_floats(given, "features", 2, &a, err)) || !(y = job_floats(made, "features", 2, &b, err))))
        rc = M2M_ESHAPE;
    if (!rc && job_has(given, "text") && !(text = job_floats(given, "text", 1, &c, err))) rc = M2M_ESHAPE;
    bool wide = a.dim[1] == dim && b.dim[1] == dim && (!text || c.dim[0] == dim);
    if (!rc && (!wide || a.dim[0] < q->k || b.dim[0] < q->j->n))
        rc = fail(err, M2M_ESHAPE, "%s: features are not what was written there; remove the file",
                  safetensors_path(made));
    if (!rc) add_likeness(l, &(sequence){dim, q->k, q->j->n, x, y, text});
    safetensors_close(&given);
    safetensors_close(&made);
    free(x);
    free(y);
    free(text);
    return rc;
}

static int tell_likeness(scoring *q, const sets_eye *e, const likeness *l, m2m_error *err)
{
    static const char *const what[LIKES] = {"text-image", "image-image", "image-given"};
    static const char *const keys[LIKES] = {"text_image", "image_image", "image_given"};
    const bool clip = !strcmp(e->kind, "clip");
    int rc = 0;
    for (int w = 0; w < LIKES && !rc; w++) {
        char key[32];
        if (w == LIKE_TEXT && !l->sets[w]) {
            if (clip && !extractor_has_text(e->x))
                note(q, "no text-image score: %s has no tokenizer", extractor_name(e->x));
            continue;
        }
        measure m = {.key = key, .better = "higher", .sets = l->sets[w], .curve = l->sum[w]};
        snprintf(key, sizeof key, "%s_%s", e->kind, keys[w]);
        snprintf(m.label, sizeof m.label, "%s %s", clip ? "CLIP" : "DINO", what[w]);
        for (int i = 0; i < q->j->n; i++) l->sum[w][i] /= l->sets[w];
        rc = add_measure(q, e, &m, err);
    }
    return rc;
}

/* Sets whose caption could not be used are named; where no set has one, that is told once. */
static int tell_mute(scoring *q, int with_text, m2m_error *err)
{
    const dataset *d = q->j->data;
    int rc = 0;
    if (with_text && with_text < q->n_good)
        note(q, "text-image scores are of %d of %d sets: the others' captions are missing or can't be read", with_text,
             q->n_good);
    for (int i = 0; i < q->n_good && with_text < q->n_good && !rc; i++) {
        m2m_error why = {0};
        char *caption;
        if (dataset_caption(d, q->good[i], &caption, &why)) {
            if (with_text) rc = add_problem(q, q->good[i], "of text-image scores", why.msg, err);
            else note(q, "no text-image score: no set has a caption that can be used; the first: %s", why.msg);
            if (!with_text) break;
        }
        free(caption);
    }
    return rc;
}

static int score_likeness(scoring *q, const sets_eye *e, m2m_error *err)
{
    likeness l = {0};
    const size_t n = (size_t)q->j->n;
    double *all = calloc(n * (LIKES + 1), sizeof *all);
    int rc = all ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
    for (int w = 0; w < LIKES && all; w++) l.sum[w] = all + (size_t)w * n;
    if (all) l.one = all + LIKES * n;
    for (int i = 0; i < q->n_good && !rc; i++) rc = add_set(q, e, q->good[i], &l, err);
    if (!rc && extractor_has_text(e->x)) rc = tell_mute(q, l.sets[LIKE_TEXT], err);
    if (!rc) rc = tell_likeness(q, e, &l, err);
    free(all);
    return rc;
}

/* ---- A row ---- */

static void tell_absent(scoring *q)
{
    static const char *const lost[SETS_EYES] = {
        "--inception is not given: no FID-Inception, no inception score",
        "--clip is not given: no text-image and image-image scores of CLIP",
        "--dino is not given: no image-image scores of DINO"};
    for (int i = 0; i < SETS_EYES; i++)
        if (!q->j->eyes[i].dir) note(q, "%s", lost[i]);
}

static int score(scoring *q, m2m_error *err)
{
    double *curve = calloc((size_t)q->j->n, sizeof *curve);
    int rc = curve ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
    snprintf(q->j->what, sizeof q->j->what, "scores with %d given", q->k);
    q->j->todo = q->j->n;
    tell_absent(q);
    if (!q->n_good) note(q, "no set is left: no scores");
    if (!rc && q->n_good) rc = score_frechet(q, curve, err);
    if (!rc && q->n_good) rc = score_inception(q, curve, err);
    for (int i = 1; i < SETS_EYES && !rc && q->n_good; i++)
        if (q->j->eyes[i].dir) rc = score_likeness(q, &q->j->eyes[i], err);
    free(curve);
    return rc;
}

/* The sets that the row stands on; others are named. */
static int find_good(scoring *q, m2m_error *err)
{
    q->good = malloc((size_t)q->j->sets * sizeof *q->good);
    if (!q->good) return fail(err, M2M_ENOMEM, "no memory for %d sets", q->j->sets);
    for (int s = 0; s < q->j->sets; s++) {
        char *why = NULL;
        if (sets_look(q->j, s, q->k, &why) != SET_BAD) {
            q->good[q->n_good++] = s;
            continue;
        }
        int rc = add_problem(q, s, "", why ? why : "", err);
        free(why);
        if (rc) return rc;
    }
    if (q->n_good < q->j->sets)
        note(q, "%d of %d sets are left out: their given images are missing or can't be read", q->j->sets - q->n_good,
             q->j->sets);
    return 0;
}

/* ---- Sheets ---- */

static int save_sheet(const scoring *q, int s, const char *path, m2m_error *err)
{
    const int k = q->k, n = q->j->n;
    m2m_image *all = calloc((size_t)(k + n), sizeof *all), sheet = {0};
    int rc = all ? 0 : fail(err, M2M_ENOMEM, "no memory for %d images", k + n);
    for (int i = 0; i < k && !rc; i++) rc = dataset_read(q->j->data, s, i, &q->j->view, &all[i], err);
    for (int i = 0; i < n && !rc; i++) rc = sets_read_made(q->j, s, k, i, &all[k + i], err);
    if (!rc) rc = m2m_contact_sheet(&sheet, all, k, all + k, n, k + n < COLUMNS ? k + n : COLUMNS, err);
    if (!rc) rc = m2m_image_save(&sheet, path, NULL, 0, err);
    m2m_image_free(&sheet);
    for (int i = 0; all && i < k + n; i++) m2m_image_free(&all[i]);
    free(all);
    return rc;
}

static int save_sheets(scoring *q, m2m_error *err)
{
    cJSON *list = cJSON_AddArrayToObject(q->row, "sheets");
    int rc = list ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
    for (int i = 0; i < q->n_good && i < q->j->options->sheets && !rc; i++) {
        char name[48];
        snprintf(name, sizeof name, "sheets/k%d_%06d.png", q->k, q->good[i]);
        char *path = sets_path(q->j, err, "%s", name);
        rc = path ? save_sheet(q, q->good[i], path, err) : M2M_ENOMEM;
        free(path);
        if (!rc) cJSON_AddItemToArray(list, cJSON_CreateString(name));
    }
    return rc;
}

/* ---- The report ---- */

static int add_row(sets_job *j, int k, cJSON *rows_, m2m_error *err)
{
    m2m_model_facts facts;
    m2m_model_get_facts(j->model, &facts);
    scoring q = {.j = j, .k = k, .row = cJSON_CreateObject()};
    const char *name = j->options->name ? j->options->name : path_base(facts.dir);
    bool good = q.row && cJSON_AddStringToObject(q.row, "model", name) && cJSON_AddNumberToObject(q.row, "given", k) &&
                cJSON_AddNumberToObject(q.row, "n", j->n) && (q.notes = cJSON_AddArrayToObject(q.row, "notes")) &&
                (q.problems = cJSON_AddArrayToObject(q.row, "problems")) &&
                (q.measures = cJSON_AddArrayToObject(q.row, "measures")) &&
                json_set(q.row, "settings", cJSON_Duplicate(j->settings, true));
    int rc = good ? find_good(&q, err) : fail(err, M2M_ENOMEM, "no memory for a report");
    if (!rc && !cJSON_AddNumberToObject(q.row, "sets", q.n_good)) rc = fail(err, M2M_ENOMEM, "no memory for a report");
    if (!rc) rc = score(&q, err);
    if (!rc) rc = save_sheets(&q, err);
    if (!rc) cJSON_AddItemToArray(rows_, q.row);
    else cJSON_Delete(q.row);
    free(q.good);
    return rc;
}

static void tell_table(const sets_job *j, const cJSON *report)
{
    report_columns c;
    str s = {0};
    if (!report_columns_find(&c, report, NULL)) report_markdown(&s, report, &c);
    const char *at = s.data, *line;
    size_t n;
    while (!s.failed && at && text_line(&at, s.data + s.len, &line, &n) && n) sets_tell(j, "%.*s", (int)n, line);
    free(c.first);
    str_free(&s);
}

int sets_report(sets_job *j, m2m_error *err)
{
    cJSON *report = cJSON_CreateObject(), *rows_ = report ? cJSON_AddArrayToObject(report, "rows") : NULL;
    char *sheets = sets_path(j, err, "sheets");
    bool begun = rows_ && sheets && cJSON_AddNumberToObject(report, "format", REPORT_FORMAT) &&
                 cJSON_AddStringToObject(report, "version", M2M_VERSION_TEXT);
    int rc = begun ? 0 : fail(err, M2M_ENOMEM, "no memory for a report");
    if (!rc) rc = dir_make(sheets, err);
    for (int r = 0; r < j->n_given && !rc; r++) rc = add_row(j, j->given[r], rows_, err);
    if (!rc) rc = report_check(report, err);                       /* also tells where memory ran out */
    if (!rc) rc = report_save(report, j->out, err);
    if (!rc) tell_table(j, report);
    if (!rc) sets_tell(j, "%s/report.html", j->out);
    cJSON_Delete(report);
    free(sheets);
    return rc;
}
