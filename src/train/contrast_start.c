#include "train/contrast_start.h"

#include "base/rng.h"
#include "models/contrast.h"

#include <math.h>
#include <string.h>

static bool has(const param *p, const char *part) { return strstr(p->name, part) != NULL; }

static void draw_normal(param *p, uint64_t seed, double deviation)
{
    float *x = p->data;
    const size_t n = (size_t)shape_count(p->shape);
    rng_normal(seed, RNG_START, (uint32_t)p->index, x, n);
    for (size_t i = 0; i < n; i++) x[i] *= (float)deviation;
    p->version++;
}

static void fill(param *p, float value)
{
    float *x = p->data;
    for (int64_t i = 0; i < shape_count(p->shape); i++) x[i] = value;
    p->version++;
}

/* CLIPPreTrainedModel._init_weights. */
static double clip_deviation(const clip_config *c, const param *p)
{
    const int layers = has(p, "vision_model.") ? c->vision.layers : c->text.layers;
    const double first = (double)p->shape.dim[0], second = (double)p->shape.dim[1], depth = 1 / sqrt(2.0 * layers);
    if (has(p, "class_embedding")) return 1 / sqrt(first);
    if (has(p, "embedding")) return 0.02;
    if (has(p, "fc1.")) return 1 / sqrt(2 * second);
    if (has(p, "fc2.")) return depth / sqrt(first);
    if (has(p, "q_proj.") || has(p, "k_proj.") || has(p, "v_proj.")) return depth / sqrt(second);
    return 1 / sqrt(second); /* out_proj, the two projections */
}

void clip_start(const clip_config *c, paramset *params, uint64_t seed)
{
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        if (has(p, "logit_scale")) fill(p, logf(1 / 0.07f));
        else if (p->shape.rank > 1 || has(p, "class_embedding")) draw_normal(p, seed, clip_deviation(c, p));
        else if (has(p, ".bias")) fill(p, 0);
    }
}

void encoder_start(paramset *params, uint64_t seed)
{
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        if (!strncmp(p->name, CONTRAST_HEAD_PREFIX, strlen(CONTRAST_HEAD_PREFIX))) continue;
        if (has(p, "mask_token") || has(p, ".bias")) fill(p, 0);
        else if (p->shape.rank > 1) draw_normal(p, seed, 0.02);
    }
}
