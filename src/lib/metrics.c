/* m2m_metrics: scores of features and logits from a file. */
#include "m2m_train.h"

#include "base/str.h"
#include "eval/gaussian.h"
#include "eval/scores.h"
#include "lib/job.h"

#include <math.h>
#include <stdlib.h>

enum { SPLITS = 10 };

/* A table of finite numbers; r->data is to be freed. */
static int read_rows(const safetensors *in, const char *name, int64_t most_columns, rows *r, m2m_error *err)
{
    shape s;
    float *data = job_floats(in, name, 2, &s, err);
    if (!data) return M2M_ESHAPE;
    int status = 0;
    if (s.dim[1] > most_columns)
        status = fail(err, M2M_ESHAPE, "%s: tensor %s has %lld columns, wanted at most %lld", safetensors_path(in),
                      name, (long long)s.dim[1], (long long)most_columns);
    for (int64_t i = 0; i < shape_count(s) && !status; i++)
        if (!isfinite(data[i]))
            status = fail(err, M2M_EFORMAT, "%s: tensor %s holds %g in row %lld, wanted finite numbers",
                          safetensors_path(in), name, (double)data[i], (long long)(i / s.dim[1]));
    if (status) free(data);
    else *r = (rows){data, s.dim[0], (int)s.dim[1]};
    return status;
}

static void add_member(str *s, const char *name, double value)
{
    str_add(s, s->len > 1 ? ", " : "");
    str_json(s, name);
    str_add(s, ": ");
    str_number(s, value);
}

static int compare_features(const safetensors *in, str *s, m2m_error *err)
{
    rows a = {0}, b = {0};
    gaussian ga = {0}, gb = {0};
    kid_score k;
    double fid;
    int status = read_rows(in, "features_a", GAUSSIAN_DIM, &a, err);
    if (!status) status = read_rows(in, "features_b", GAUSSIAN_DIM, &b, err);
    if (!status) status = kid(a, b, 0, 0, 0, &k, err);         /* first: it also finds what is too small or unequal */
    if (!status) status = gaussian_of(&ga, a.data, a.count, a.dim, err);
    if (!status) status = gaussian_of(&gb, b.data, b.count, b.dim, err);
    if (!status) status = frechet_distance(&ga, &gb, &fid, err);
    if (status) fail_prefix(err, status, "%s: features_a and features_b", safetensors_path(in));
    if (!status) {
        add_member(s, "fid", fid);
        add_member(s, "kid", k.value);
    }
    gaussian_free(&ga);
    gaussian_free(&gb);
    free((float *)(uintptr_t)a.data);
    free((float *)(uintptr_t)b.data);
    return status;
}

static int score_logits(const safetensors *in, str *s, m2m_error *err)
{
    rows logits = {0};
    double mean, deviation;
    int status = read_rows(in, "logits", 1 << 20, &logits, err);
    if (!status) {
        status = inception_score(logits, SPLITS, &mean, &deviation, err);
        if (status) fail_prefix(err, status, "%s", safetensors_path(in));
    }
    if (!status) {
        add_member(s, "inception_score_mean", mean);
        add_member(s, "inception_score_std", deviation);
    }
    free((float *)(uintptr_t)logits.data);
    return status;
}

int m2m_metrics(const char *in, const m2m_calls *calls, m2m_error *err)
{
    safetensors *tensors;
    int status = safetensors_open(&tensors, in, err);
    if (status) return status;
    const bool features = job_has(tensors, "features_a") || job_has(tensors, "features_b");
    const bool logits = job_has(tensors, "logits");
    str s = {0};
    str_char(&s, '{');
    if (!features && !logits)
        status = fail(err, M2M_ESHAPE, "%s: has neither features_a and features_b nor logits", in);
    if (!status && features) status = compare_features(tensors, &s, err);
    if (!status && logits) status = score_logits(tensors, &s, err);
    str_char(&s, '}');
    if (!status && s.failed) status = fail(err, M2M_ENOMEM, "no memory for the result");
    if (!status && calls && calls->line) calls->line(calls->user, s.data);
    str_free(&s);
    safetensors_close(&tensors);
    return status;
}
