#include "train/set_source.h"

#include "base/file.h"
#include "image/spec.h"

#include <stdio.h>
#include <stdlib.h>

int train_view(dataset_view *v, const m2m_train_options *o, m2m_error *err)
{
    v->width = v->height = (int)o->size;
    int status = parse_fit(o->fit, &v->fit, err);
    return status ? status : parse_colour(o->background, v->background, err);
}

int set_source_open(set_source *s, const set_source_plan *p, m2m_error *err)
{
    char *dir = path_join(p->output, "latents"), *path = NULL, *seen = NULL;
    latents_source vae = {.vae = p->vae}, eyes = {.vision = p->vision};
    *s = (set_source){0};
    if (!dir || asprintf(&path, "%s/%s.safetensors", dir, p->what) < 0) path = NULL;
    if (!dir || asprintf(&seen, "%s/%s_features.safetensors", dir, p->what) < 0) seen = NULL;
    int status = path && seen ? 0 : fail(err, M2M_ENOMEM, "no memory for a path");
    if (!status && (!p->stored || p->vision)) status = dir_make(dir, err);
    if (!status && p->stored) status = latents_open_stored(&s->latents, p->data, p->view, p->vae, err);
    else if (!status) status = latents_open(&s->latents, path, p->data, p->view, &vae, p->flips, p->be, p->calls, err);
    if (!status && p->vision)
        status = latents_open(&s->features, seen, p->data, p->view, &eyes, p->flips, p->be, p->calls, err);
    if (!status) status = conditions_open(&s->conditions, p->data, p->condition, p->calls, err);
    free(dir);
    free(path);
    free(seen);
    return status;
}

void set_source_close(set_source *s)
{
    latents_close(&s->latents);
    latents_close(&s->features);
    conditions_close(&s->conditions);
}

size_t set_source_bytes(const set_source *s)
{
    return (size_t)(s->latents.images * s->latents.floats + s->features.images * s->features.floats) * sizeof(uint16_t);
}

static bool is_good(const set_source *s, int64_t image)
{
    return s->latents.good[image] && (!s->features.good || s->features.good[image]) &&
           (!s->conditions.good || s->conditions.good[image]);
}

int set_source_image(const set_source *s, const dataset *d, loader_item it, int64_t *image, m2m_error *err)
{
    int n = dataset_images(d, it.set);
    int64_t first = dataset_first(d, it.set);
    for (int k = 0; k < n; k++) {
        *image = first + (it.image + k) % n;
        if (is_good(s, *image)) return 0;
    }
    return fail(err, M2M_EFORMAT, "set %s: none of its images can be read%s", dataset_key(d, it.set),
                s->conditions.numbers ? " together with its condition" : "");
}
