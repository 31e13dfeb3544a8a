#include "train/conditions.h"

#include "base/error.h"

#include <stdlib.h>

enum { LISTED = 20 };

static void list_bad(const m2m_calls *calls, int64_t bad, const m2m_error *why)
{
    if (!calls || !calls->line || bad > LISTED) return;
    calls->line(calls->user, why->msg);
    if (bad == LISTED) calls->line(calls->user, "further images without a camera are only counted");
}

static bool read_one(const dataset *d, int set, int image, set_condition kind, float *out, m2m_error *why)
{
    double pose[12];
    if (kind == CONDITION_POSITION) {
        out[0] = (float)dataset_position(d, set, image);
        return true;
    }
    if (dataset_camera(d, set, image, pose, why)) return false;
    for (int i = 0; i < 12; i++) out[i] = (float)pose[i];
    return true;
}

int conditions_open(conditions *c, const dataset *d, set_condition kind, const m2m_calls *calls, m2m_error *err)
{
    int64_t total = dataset_total(d), bad = 0;
    *c = (conditions){.numbers = condition_numbers(kind)};
    if (!c->numbers) return 0;
    c->values = calloc((size_t)total * (size_t)c->numbers, sizeof *c->values);
    c->good = calloc((size_t)total, sizeof *c->good);
    if (!c->values || !c->good) {
        conditions_close(c);
        return fail(err, M2M_ENOMEM, "no memory for the conditions of %lld images", (long long)total);
    }
    for (int set = 0; set < dataset_sets(d); set++)
        for (int image = 0; image < dataset_images(d, set); image++) {
            m2m_error why;
            int64_t at = dataset_first(d, set) + image;
            c->good[at] = read_one(d, set, image, kind, c->values + at * c->numbers, &why);
            if (!c->good[at]) list_bad(calls, ++bad, &why);
        }
    if (bad < total) return 0;
    conditions_close(c);
    return fail(err, M2M_EFORMAT, "none of %lld images has a %s", (long long)total, condition_name(kind));
}

void conditions_close(conditions *c)
{
    free(c->values);
    free(c->good);
    *c = (conditions){0};
}
