#include "models/ldm.h"

#include "base/error.h"
#include "base/str.h"
#include "models/ldm_config.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum scope { SAME, UNET, RESNET, VAE, VAE_MID, VAE_RESNET, OPEN_CLIP, CLIP_LAYER, CLIP } scope;

typedef struct rule {
    scope in;
    const char *from, *to;
    scope rest;
} rule;

#define NAME(scope, from, to, rest) {scope, from, to, rest},
static const rule rules[] = {
#include "models/ldm_names.def"
};
#undef NAME

/* Where a component's tensors are, and by which rules they are named. */
typedef struct part {
    const char *component, *prefix;
    scope in;
} part;

static const part parts[] = {
    {"unet", "model.diffusion_model.", UNET},
    {"vae", "first_stage_model.", VAE},
    {"vae", "vae.", VAE},
    {"text_encoder", "cond_stage_model.model.", OPEN_CLIP},
    {"text_encoder", "cond_stage_model.transformer.", CLIP},
};
enum { PARTS = sizeof parts / sizeof *parts };

static const char average[] = "model_ema.";

/* What block numbers are reckoned with. */
typedef struct sizes {
    int unet_layers, vae_blocks;
} sizes;

static bool begins(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

/* ---- names ---- */

/* Bytes of name that `from` fits, 0: none; its numbers. */
static size_t fits(const char *from, const char *name, int number[2])
{
    const char *at = name;
    for (int n = 0; *from; from++) {
        if (*from != '#') {
            if (*at++ != *from) return 0;
            continue;
        }
        char *end;
        long value = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : -1;
        if (value < 0 || value > 9999) return 0;
        number[n++] = (int)value;
        at = end;
    }
    return (size_t)(at - name);
}

static void expand(str *out, const char *to, const int number[2], const sizes *z)
{
    int per_block = z->unet_layers + 1, n = number[0];
    for (; *to; to++) {
        if (*to != '$') {
            str_char(out, *to);
            continue;
        }
        to++;
        int value = *to == '1'   ? n
                    : *to == '2' ? number[1]
                    : *to == 'b' ? (n - 1) / per_block
                    : *to == 'l' ? (n - 1) % per_block
                    : *to == 'B' ? n / per_block
                    : *to == 'L' ? n % per_block
                                 : z->vae_blocks - 1 - n;
        str_printf(out, "%d", value);
    }
}

/* False: not part of the component. */
static bool rename_tensor(scope in, const char *name, const sizes *z, str *out)
{
    size_t i = 0;
    while (in != SAME && i < sizeof rules / sizeof *rules) {
        int number[2] = {0};
        const rule *r = &rules[i++];
        size_t n = r->in == in ? fits(r->from, name, number) : 0;
        if (n == 0) continue;
        if (!r->to) return false;
        expand(out, r->to, number, z);
        name += n;
        in = r->rest;
        i = 0;
    }
    str_add(out, name);
    return true;
}

static const tensor *find(const weights *w, const char *fmt, int i)
{
    char name[100];
    snprintf(name, sizeof name, fmt, i);
    return weights_find(w, name);
}

static sizes measure(const weights *w)
{
    sizes z = {0};
    int i = 1;
    while (find(w, "model.diffusion_model.input_blocks.%d.0.in_layers.0.weight", i)) i++;
    z.unet_layers = i - 1;
    while (find(w, "first_stage_model.decoder.up.%d.block.0.norm1.weight", z.vae_blocks) ||
           find(w, "vae.decoder.up.%d.block.0.norm1.weight", z.vae_blocks))
        z.vae_blocks++;
    return z;
}

/* ---- tensors ---- */

typedef struct gathering {
    const weights *w;
    weights_view *views;
    int n, room;
    sizes z;
    bool averages;           /* take the U-Net's average, not its last weights */
} gathering;

static int put(gathering *g, char *name, tensor t, m2m_error *err)
{
    if (name && g->n == g->room) {
        int room = g->room ? 2 * g->room : 1024;
        weights_view *more = realloc(g->views, (size_t)room * sizeof *more);
        if (more) {
            g->views = more;
            g->room = room;
        }
    }
    if (!name || g->n == g->room) {
        free(name);
        return fail(err, M2M_ENOMEM, "no memory for the names of %d tensors", g->n);
    }
    g->views[g->n++] = (weights_view){name, t};
    return 0;
}

/* q, k and v are the thirds of the rows. */
static int put_thirds(gathering *g, const char *name, const char *from, tensor t, m2m_error *err)
{
    const char *at = strchr(name, '@');
    if (t.shape.rank < 1 || t.shape.dim[0] % 3) {
        char text[80];
        return fail(err, M2M_ESHAPE, "tensor %s has shape %s, wanted rows of q, k and v", from,
                    shape_text(t.shape, text, sizeof text));
    }
    t.shape.dim[0] /= 3;
    size_t bytes = (size_t)shape_count(t.shape) * dtype_size(t.type);
    int status = 0;
    for (int i = 0; i < 3 && !status; i++) {
        char *third;
        if (asprintf(&third, "%.*s%c%s", (int)(at - name), name, "qkv"[i], at + 1) < 0) third = NULL;
        status = put(g, third, t, err);
        t.data = (char *)t.data + bytes;
    }
    return status;
}

/* LitEma's name: that of the parameter in LDM's `model`, without its dots. */
static const tensor *average_of(const weights *w, const char *name)
{
    str s = {0};
    str_add(&s, average);
    for (const char *c = name + strlen("model."); *c; c++)
        if (*c != '.') str_char(&s, *c);
    const tensor *t = s.failed ? NULL : weights_find(w, s.data);
    str_free(&s);
    return t;
}

static int gather_one(gathering *g, const part *p, int i, m2m_error *err)
{
    const char *name = weights_name(g->w, i);
    const tensor *t = weights_at(g->w, i);
    str s = {0};
    if (!rename_tensor(p->in, name + strlen(p->prefix), &g->z, &s)) {
        str_free(&s);
        return 0;
    }
    if (g->averages && p->in == UNET) t = average_of(g->w, name);
    char *shown = str_take(&s);
    if (shown && t && strchr(shown, '@')) {
        int status = put_thirds(g, shown, name, *t, err);
        free(shown);
        return status;
    }
    if (t) return put(g, shown, *t, err);
    free(shown);
    return fail(err, M2M_ESHAPE, "tensor %s has no average among those of %s*", name, average);
}

static bool has_any(const weights *w, const char *prefix)
{
    for (int i = 0; i < weights_count(w); i++)
        if (begins(weights_name(w, i), prefix)) return true;
    return false;
}

static const part *find_part(const weights *w, const char *component)
{
    for (int i = 0; i < PARTS; i++)
        if (!strcmp(parts[i].component, component) && has_any(w, parts[i].prefix)) return &parts[i];
    return NULL;
}

static int show_part(weights *w, const part *p, m2m_error *err)
{
    gathering g = {.w = w, .z = measure(w), .averages = has_any(w, "model_ema.diffusion_model")};
    int status = 0;
    for (int i = 0; i < weights_count(w) && !status; i++)
        if (begins(weights_name(w, i), p->prefix)) status = gather_one(&g, p, i, err);
    if (!status) return weights_show(w, g.views, g.n, err);
    for (int i = 0; i < g.n; i++) free(g.views[i].name);
    free(g.views);
    return fail_prefix(err, status, "%s", weights_path(w));
}

/* ---- the interface ---- */

bool ldm_is(const weights *w) { return find_part(w, "unet") != NULL; }

int ldm_open(weights **out, cJSON **config, const char *path, const char *component, m2m_error *err)
{
    weights *w = NULL;
    int status = weights_open(&w, path, err);
    if (status) return status;
    const part *p = find_part(w, component);
    if (!p)
        status = fail(err, M2M_EFORMAT, "%s: holds no %s under the names of a Stable Diffusion checkpoint", path,
                      component);
    if (!status) status = show_part(w, p, err);
    if (!status) {
        status = p->in == UNET  ? ldm_unet_config(w, config, err)
                 : p->in == VAE ? ldm_vae_config(w, config, err)
                                : ldm_text_config(w, config, err);
        if (status) fail_prefix(err, status, "%s: %s", path, component);
    }
    if (status) weights_close(&w);
    else *out = w;
    return status;
}

void ldm_counts(const weights *w, ldm_count *c)
{
    *c = (ldm_count){.tensors = weights_count(w)};
    for (int i = 0; i < c->tensors; i++) {
        const char *name = weights_name(w, i);
        bool of_part = false;
        for (int k = 0; k < PARTS; k++) of_part = of_part || begins(name, parts[k].prefix);
        if (begins(name, average)) c->averages++;
        else if (!of_part) c->others++;
    }
}
