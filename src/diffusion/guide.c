#include "diffusion/guide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void guide_two(float *out, const float *none, const float *full, double scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = (float)(none[i] + scale * ((double)full[i] - none[i]));
}

void guide_three(float *out, const float *none, const float *images, const float *full,
    double images_scale, double condition_scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double by_images = (double)images[i] - none[i], by_condition = (double)full[i] - images[i];
        out[i] = (float)(none[i] + images_scale * by_images + condition_scale * by_condition);
    }
}

/* Of n values around their mean; diffusers divides by n - 1 in both deviations, which cancels. */
static double deviation(const float *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    for (int64_t i = 0; i < n; i++) squares += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
    return sqrt(squares);
}

void guide_rescale(float *guided, const float *full, double phi, int64_t n)
{
    double wanted = deviation(full, n), found = deviation(guided, n);
    if (phi == 0 || found == 0) return;
    double factor = phi * wanted / found + (1 - phi);
    for (int64_t i = 0; i < n; i++) guided[i] = (float)(factor * guided[i]);
}

bool guide_applies(const guide_interval *i, double timestep)
{
    return !i->limited || (timestep >= i->low && timestep <= i->high);
}

int guide_interval_parse(const char *text, guide_interval *i, m2m_error *err)
{
    int low, high, end = 0;
    *i = (guide_interval){0};
    if (!text) return 0;
    bool good = sscanf(text, "%3d,%3d%n", &low, &high, &end) == 2 && !text[end] && low >= 0 && low <= high;
    if (!good || strspn(text, "0123456789,") != (size_t)end)
        return fail(err, M2M_EINVAL, "guidance_interval: \"%.40s\", wanted LO,HI with 0 <= LO <= HI <= 999", text);
    *i = (guide_interval){true, low, high};
    return 0;
}

guide_plan guide_make(double images_scale, double condition_scale, bool conditioned)
{
    guide_plan g = {.images_scale = images_scale, .condition_scale = condition_scale};
    if (condition_scale < 0 || !conditioned) g.condition_scale = images_scale;
    const bool joint = g.condition_scale == g.images_scale;
    guide_branch as[GUIDE_BRANCHES] = {GUIDE_NONE, GUIDE_IMAGES, GUIDE_FULL};
    if (joint) as[GUIDE_IMAGES] = GUIDE_FULL;
    else if (g.condition_scale == 0) as[GUIDE_FULL] = GUIDE_IMAGES;
    if (g.images_scale == 1) as[GUIDE_NONE] = as[GUIDE_IMAGES];
    else if (g.images_scale == 0 && as[GUIDE_IMAGES] == as[GUIDE_FULL]) as[GUIDE_IMAGES] = as[GUIDE_FULL] = GUIDE_NONE;
    for (int b = 0; b < GUIDE_BRANCHES; b++)
        if ((int)as[b] == b) {
            g.row[b] = g.rows;
            g.branch[g.rows++] = (guide_branch)b;
        }
    for (int b = 0; b < GUIDE_BRANCHES; b++) g.row[b] = g.row[as[b]];
    return g;
}

void guide_apply(const guide_plan *g, float *out, const float *rows, int64_t n)
{
    const float *none = rows + g->row[GUIDE_NONE] * n, *images = rows + g->row[GUIDE_IMAGES] * n;
    const float *full = rows + g->row[GUIDE_FULL] * n;
    if (images == full) guide_two(out, none, full, g->images_scale, n);
    else guide_three(out, none, images, full, g->images_scale, g->condition_scale, n);
    if (g->rows > 1) guide_rescale(out, full, g->rescale, n);
}
