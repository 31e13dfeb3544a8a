/* m2m_eval: one score of folders of images. */
#include "lib/eval_job.h"

#include "base/error.h"
#include "base/file.h"
#include "eval/scores.h"
#include "m2m_version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_score(eval_job *j, const char *name, double value)
{
    check(j->n_scores < EVAL_SCORES, "%s: too many scores", j->metric);
    j->scores[j->n_scores].name = name;
    j->scores[j->n_scores++].value = value;
}

static void set_label(eval_job *j, const char *inception, const char *other)
{
    extractor_label(j->x, inception, other, j->label, sizeof j->label);
}

/* ---- All features of a folder ---- */

typedef struct table {
    float *data;                   /* [count,dim] */
    int64_t count, room;
    int dim;
    bool logits;                   /* takes these, not the features */
} table;

static int add_rows(void *user, const eval_rows *r, m2m_error *err)
{
    table *t = user;
    if (t->count + r->n > t->room) {
        const int64_t room = 2 * t->room + r->n;
        float *more = realloc(t->data, (size_t)room * (size_t)t->dim * sizeof *more);
        if (!more) return fail(err, M2M_ENOMEM, "no memory for features of %lld images", (long long)room);
        t->data = more;
        t->room = room;
    }
    memcpy(t->data + t->count * t->dim, t->logits ? r->logits : r->features,
           (size_t)r->n * (size_t)t->dim * sizeof *t->data);
    t->count += r->n;
    return 0;
}

static rows rows_of(const table *t) { return (rows){t->data, t->count, t->dim}; }

/* Features of both sides into t[0], t[1]; to be freed also after a failure. */
static int both_tables(eval_job *j, table t[2], m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        t[i] = (table){.dim = extractor_dim(j->x)};
        rc = eval_each(j, &j->sides[i], EVAL_FEATURES, add_rows, &t[i], err);
    }
    return rc;
}

/* ---- Scores ---- */

static int add_moments(void *user, const eval_rows *r, m2m_error *err)
{
    (void)err;
    moments_add(user, r->features, r->n);
    return 0;
}

static int find_statistics(eval_job *j, eval_side *s, m2m_error *err)
{
    if (!s->images) return 0;
    moments *m = moments_new(extractor_dim(j->x), err);
    if (!m) return M2M_ENOMEM;
    int rc = eval_each(j, s, EVAL_FEATURES, add_moments, m, err);
    if (!rc && (rc = moments_take(m, &s->statistics, err))) fail_prefix(err, rc, "%s", s->path);
    moments_free(m);
    return rc;
}

static int score_fid(eval_job *j, m2m_error *err)
{
    const char *file = j->options->save_stats;
    double distance;
    int rc = 0;
    if (j->kind) set_label(j, "FID-Inception", "Fréchet distance");
    else snprintf(j->label, sizeof j->label, "Fréchet distance of statistics");
    for (int i = 0; i < j->n_sides && !rc; i++) rc = find_statistics(j, &j->sides[i], err);
    if (!rc && file) return gaussian_save(&j->sides[0].statistics, file, err);
    if (!rc) rc = frechet_distance(&j->sides[0].statistics, &j->sides[1].statistics, &distance, err);
    if (!rc) add_score(j, j->x ? extractor_frechet_key(j->x) : "frechet_distance", distance);
    return rc;
}

static int score_kid(eval_job *j, m2m_error *err)
{
    const m2m_eval_options *o = j->options;
    table t[2] = {{0}, {0}};
    kid_score k;
    set_label(j, "KID-Inception", "Kernel distance");
    int rc = both_tables(j, t, err);
    if (!rc) rc = kid(rows_of(&t[0]), rows_of(&t[1]), (int)o->subsets, (int)o->subset_size, (uint64_t)o->seed, &k, err);
    if (!rc) {
        add_score(j, "kid", k.value);
        add_score(j, "kid_standard_error", k.error);
        if (k.subsets) add_score(j, "kid_subsets_mean", k.mean);
        if (k.subsets) add_score(j, "kid_subsets_std", k.deviation);
    }
    free(t[0].data);
    free(t[1].data);
    return rc;
}

static int score_prdc(eval_job *j, m2m_error *err)
{
    table t[2] = {{0}, {0}};
    prdc_score p;
    set_label(j, "Precision and recall on Inception's features", "Precision and recall");
    int rc = both_tables(j, t, err);
    if (!rc) rc = prdc(rows_of(&t[0]), rows_of(&t[1]), (int)j->options->neighbours, &p, err);
    if (!rc) {
        add_score(j, "precision", p.precision);
        add_score(j, "recall", p.recall);
        add_score(j, "density", p.density);
        add_score(j, "coverage", p.coverage);
    }
    free(t[0].data);
    free(t[1].data);
    return rc;
}

static int score_inception(eval_job *j, m2m_error *err)
{
    table t = {.dim = extractor_classes(j->x), .logits = true};
    double mean, deviation;
    snprintf(j->label, sizeof j->label, "Inception score");
    int rc = eval_each(j, &j->sides[0], EVAL_LOGITS, add_rows, &t, err);
    if (!rc) {
        shuffle_rows(t.data, t.count, t.dim, (uint32_t)j->options->seed);
        rc = inception_score(rows_of(&t), (int)j->options->splits, &mean, &deviation, err);
    }
    if (!rc) {
        add_score(j, "inception_score_mean", mean);
        add_score(j, "inception_score_std", deviation);
    }
    free(t.data);
    return rc;
}

typedef struct cosines {
    double sum, squares;
    int64_t n;
} cosines;

static int add_cosines(void *user, const eval_rows *r, m2m_error *err)
{
    (void)err;
    cosines *c = user;
    for (int i = 0; i < r->n; i++) {
        const double x = cosine100(r->features + (size_t)i * (size_t)r->dim, r->partners + (size_t)i * (size_t)r->dim,
                                   r->dim);
        c->sum += x;
        c->squares += x * x;
    }
    c->n += r->n;
    return 0;
}

/* Those of the first side are told one by one. */
static void warn_of_lone(eval_job *j)
{
    const gallery *a = j->sides[0].images, *b = j->sides[1].images;
    int64_t lone = 0;
    for (int64_t i = 0; i < gallery_count(b); i++) {
        size_t n;
        const char *stem = gallery_stem(b, i, &n);
        lone += gallery_find(a, stem, n) == GALLERY_NONE;
    }
    if (lone)
        str_printf(&j->warnings, "%s: %lld of its images have no partner of their name in %s\n", j->sides[1].path,
                   (long long)lone, j->sides[0].path);
}

static int score_cosine(eval_job *j, const char *name, m2m_error *err)
{
    cosines c = {0};
    int rc = eval_each(j, &j->sides[0], EVAL_PAIRS, add_cosines, &c, err);
    if (rc) return rc;
    const double n = (double)c.n, mean = c.sum / n;
    eval_side *b = &j->sides[1];
    add_score(j, name, mean);
    add_score(j, "std", sqrt(fmax(c.squares / n - mean * mean, 0)));
    b->used = b->images ? c.n : 0;
    if (b->images) warn_of_lone(j);
    return 0;
}

static int score_clip(eval_job *j, m2m_error *err)
{
    const bool texts = j->n_sides == 1;
    const char *const what = texts ? "text-image" : "image-image";
    snprintf(j->label, sizeof j->label, "CLIP score, %s (%.100s)", what, extractor_name(j->x));
    if (texts && !extractor_has_text(j->x))
        return fail(err, M2M_EINVAL, "%s: has no tokenizer (tokenizer_config.json), which captions need", j->dir);
    return score_cosine(j, texts ? "clip_text_image" : "clip_image_image", err);
}

static int score_dino(eval_job *j, m2m_error *err)
{
    snprintf(j->label, sizeof j->label, "DINO similarity (%.100s)", extractor_name(j->x));
    return score_cosine(j, "dino_image_image", err);
}

static const struct metric {
    const char *name, *model;      /* NULL: options->features says which */
    int least, most;               /* paths */
    int64_t enough;                /* images; with fewer a warning */
    int (*score)(eval_job *j, m2m_error *err);
} metrics[] = {
    {"fid", NULL, 1, 2, 10000, score_fid},      {"kid", NULL, 2, 2, 1000, score_kid},
    {"is", "inception", 1, 1, 5000, score_inception}, {"prdc", NULL, 2, 2, 1000, score_prdc},
    {"clip", "clip", 1, 2, 100, score_clip},    {"dino", "dino", 2, 2, 100, score_dino},
};

/* ---- Telling ---- */

static void warn_of_few(eval_job *j, int64_t enough)
{
    const bool fid = !strcmp(j->metric, "fid");
    for (int i = 0; i < j->n_sides; i++) {
        const eval_side *s = &j->sides[i];
        if (!s->images || s->used >= enough) continue;
        str_printf(&j->warnings, "%s: %lld images are few for %s (%lld or more are usual)%s\n", s->path,
                   (long long)s->used, j->metric, (long long)enough,
                   fid ? ": it grows as images get fewer, so compare only with the same number" : "");
        if (fid && s->used <= extractor_dim(j->x))
            str_printf(&j->warnings, "%s: fewer images than features (%d): the covariance has no full rank\n", s->path,
                       extractor_dim(j->x));
    }
}

static void tell(const eval_job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(const eval_job *j, const char *fmt, ...)
{
    str s = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.failed && j->calls && j->calls->line) j->calls->line(j->calls->user, s.data);
    str_free(&s);
}

static void tell_result(const eval_job *j)
{
    str s = {0};
    const char *at = j->warnings.data, *end = at + j->warnings.len, *line;
    size_t n;
    while (at && text_line(&at, end, &line, &n)) tell(j, "warning: %.*s", (int)n, line);
    str_printf(&s, "%s:", j->label);
    for (int i = 0; i < j->n_scores; i++)
        str_printf(&s, "%s %s %.6g", i ? "," : "", j->scores[i].name, j->scores[i].value);
    if (!j->n_scores) str_printf(&s, " statistics are in %s", j->options->save_stats);
    str_add(&s, "; ");
    for (int i = 0; i < j->n_sides; i++) {
        const eval_side *side = &j->sides[i];
        str_printf(&s, "%s%s", i ? ", " : "", side->path);
        if (side->images) str_printf(&s, " %lld images", (long long)side->used);
        if (problems_total(&side->bad)) str_printf(&s, " (%lld bad)", (long long)problems_total(&side->bad));
    }
    if (j->x) str_printf(&s, "; %s %.12s, resize %s", j->kind, extractor_sha256(j->x), extractor_resize_name(j->x));
    if (!s.failed) tell(j, "%s", s.data);
    str_free(&s);
}

static void side_json(const eval_side *s, str *t)
{
    str_add(t, "{\n  \"path\": ");
    str_json(t, s->path);
    if (s->images)
        str_printf(t, ",\n  \"kind\": \"%s\",\n  \"images\": %lld", gallery_is_shards(s->images) ? "shards" : "folder",
                   (long long)s->used);
    else str_add(t, ",\n  \"kind\": \"statistics\"");
    str_printf(t, ",\n  \"bad\": %lld", (long long)problems_total(&s->bad));
    problems_list_json(&s->bad, t);
    str_add(t, "}");
}

static void text_member(str *t, const char *key, const char *value)
{
    str_printf(t, ",\n  \"%s\": ", key);
    str_json(t, value);
}

static void result_json(const eval_job *j, str *t)
{
    const char *at = j->warnings.data, *end = at + j->warnings.len, *line;
    size_t n;
    str_printf(t, "{\n  \"metric\": \"%s\"", j->metric);
    text_member(t, "label", j->label);
    for (int i = 0; i < j->n_scores; i++) {
        str_printf(t, ",\n  \"%s\": ", j->scores[i].name);
        str_number(t, j->scores[i].value);
    }
    if (j->x) {
        text_member(t, "model", j->kind);
        text_member(t, "model_path", j->dir);
        text_member(t, "model_sha256", extractor_sha256(j->x));
        text_member(t, "resize", extractor_resize_name(j->x));
        str_printf(t, ",\n  \"features\": %d", extractor_dim(j->x));
    }
    str_add(t, ",\n  \"warnings\": [");
    for (int i = 0; at && text_line(&at, end, &line, &n); i++) {
        char *one = strndup(line, n);
        str_add(t, i ? ", " : "");
        str_json(t, one ? one : "");
        free(one);
    }
    str_add(t, "],\n  \"inputs\": [");
    for (int i = 0; i < j->n_sides; i++) {
        str_add(t, i ? ", " : "");
        side_json(&j->sides[i], t);
    }
    str_printf(t, "],\n  \"m2m\": \"%s\"\n}\n", M2M_VERSION_TEXT);
}

static int save_json(const eval_job *j, m2m_error *err)
{
    str t = {0};
    result_json(j, &t);
    int rc = t.failed ? fail(err, M2M_ENOMEM, "no memory for the result")
                      : file_write_all(j->options->json, t.data, t.len, err);
    str_free(&t);
    return rc;
}

/* ---- Running ---- */

static int check_paths(const eval_job *j, const struct metric *m, m2m_error *err)
{
    const bool saves = !strcmp(j->metric, "fid") && j->options->save_stats;
    if (j->n_sides < m->least || (!strcmp(j->metric, "fid") && j->n_sides == 1 && !saves))
        return fail(err, M2M_EINVAL, "%s: one folder, %s, wanted two", j->metric, j->sides[0].path);
    if (j->n_sides > m->most)
        return fail(err, M2M_EINVAL, "%s: %s is one folder too many, wanted one", j->metric, j->sides[1].path);
    if (saves && (j->n_sides == 2 || path_ends(j->sides[0].path, ".npz")))
        return fail(err, M2M_EINVAL, "save_stats: writes the statistics of one folder, found %s",
                    j->sides[j->n_sides - 1].path);
    return 0;
}

int m2m_eval(const char *metric, const char *a, const char *b, const m2m_eval_options *options, const m2m_calls *calls,
             m2m_error *err)
{
    eval_job j = {.metric = metric, .options = options, .calls = calls, .n_sides = b ? 2 : 1};
    const struct metric *m = NULL;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (!strcmp(metrics[i].name, metric)) m = &metrics[i];
    if (!m) return fail(err, M2M_EINVAL, "%s: no such metric, wanted fid, kid, is, prdc, clip or dino", metric);
    j.sides[0].path = a;
    j.sides[1].path = b;
    int rc = check_paths(&j, m, err);
    if (!rc) rc = eval_open(&j, m->model, err);
    if (!rc) rc = m->score(&j, err);
    if (!rc) warn_of_few(&j, m->enough);
    if (!rc && j.warnings.failed) rc = fail(err, M2M_ENOMEM, "no memory for the result");
    if (!rc && options->json) rc = save_json(&j, err);
    if (!rc) tell_result(&j);
    eval_close(&j);
    return rc;
}
