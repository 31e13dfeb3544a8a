#include "data/compose_set.h"

#include "base/error.h"
#include "base/str.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECT_STYLES = 3 };   /* fewest styles in which a subject must exist to be shown over styles */

typedef struct plan {
    family family;
    const pool_group *group;
    int items[COMPOSE_IMAGES];
    placement places[COMPOSE_IMAGES];
    look look;
} plan;

int composer_check(composer *c, m2m_error *err)
{
    rng r = rng_make(0, RNG_COMPOSE, 0);
    bool related = pool_related(c->pool, c->images, &r) != NULL;
    bool subject = pool_subject(c->pool, SUBJECT_STYLES, &r) != NULL;
    double sum = 0;
    for (int f = 0; f < FAMILY_COUNT; f++) {
        if (!(family_get_kind((family)f) == KIND_SUBJECT ? subject : related)) c->weights[f] = 0;
        sum += c->weights[f];
    }
    if (sum <= 0)
        return fail(err, M2M_EINVAL, "the split \"%s\" has no group of %d subjects in one style and none in %d styles",
            c->split, c->images, SUBJECT_STYLES);
    return 0;
}

/* ---- Choosing ---- */

static family pick_family(const composer *c, rng *r)
{
    double sum = 0, at = rng_real(r);
    for (int f = 0; f < FAMILY_COUNT; f++) sum += c->weights[f];
    int last = 0;
    for (int f = 0; f < FAMILY_COUNT; f++) {
        if (c->weights[f] <= 0) continue;
        last = f;
        if (at * sum < c->weights[f]) return (family)f;
        at -= c->weights[f] / sum;
    }
    return (family)last;
}

static const char *kind_of(const plan *p, const drawing *d)
{
    return family_get_kind(p->family) == KIND_SUBJECT ? d->style : d->subject;
}

/* One drawing of each kind of the group, kinds in random order; when there are fewer kinds than pictures, more
 * drawings of them, others before the same ones again. */
static void pick_items(plan *p, const composer *c, rng *r, int *order)
{
    const pool_group *g = p->group;
    int done = 0, round_from = 0;
    for (int i = 0; i < g->n; i++) order[i] = i;
    rng_shuffle(r, order, g->n);
    for (int fresh = 1; done < c->images; fresh = 0) {
        for (int i = 0; i < g->n && done < c->images; i++) {
            int item = g->items[order[i]];
            bool seen = false;
            for (int k = fresh ? 0 : round_from; k < done && !seen; k++) {
                const drawing *a = pool_at(c->pool, p->items[k]), *b = pool_at(c->pool, item);
                seen = p->items[k] == item || (fresh && strcmp(kind_of(p, a), kind_of(p, b)) == 0);
            }
            if (!seen) p->items[done++] = item;
        }
        if (!fresh && done - round_from >= g->n) round_from = done;
    }
    if (family_get_kind(p->family) == KIND_SUBJECT) rng_shuffle(r, p->items, c->images);
}

/* Faces are all the same disc as silhouettes: look further a few times. */
static const pool_group *pick_group(const composer *c, family f, rng *r)
{
    if (family_get_kind(f) == KIND_SUBJECT) return pool_subject(c->pool, SUBJECT_STYLES, r);
    const pool_group *g = pool_related(c->pool, c->images, r);
    for (int i = 0; i < 8 && g && f == FAMILY_silhouette; i++) {
        if (strcmp(pool_at(c->pool, g->items[0])->category, "Smileys & Emotion") != 0) break;
        g = pool_related(c->pool, c->images, r);
    }
    return g;
}

static int make_plan(plan *p, const composer *c, int64_t index, m2m_error *err)
{
    rng r = rng_make(c->seed, RNG_COMPOSE, (uint32_t)index);
    p->family = pick_family(c, &r);
    p->group = pick_group(c, p->family, &r);
    check(p->group != NULL, "family %s without a group", family_name(p->family));
    int *order = malloc((size_t)p->group->n * sizeof *order);
    if (!order) return fail(err, M2M_ENOMEM, "no memory to compose a set");
    pick_items(p, c, &r, order);
    free(order);
    colour means[COMPOSE_IMAGES];
    for (int i = 0; i < c->images; i++) means[i] = pool_at(c->pool, p->items[i])->mean;
    p->look = family_look(p->family, &r, means, c->images);
    for (int i = 0; i < c->images; i++) p->places[i] = family_placement(p->family, &r);
    return 0;
}

/* ---- Describing ---- */

static void add_colour(str *s, const char *name, colour c)
{
    str_printf(s, ", \"%s\": \"", name);
    for (int i = 0; i < 3; i++) str_printf(s, "%02x", (int)(c.c[i] * 255 + 0.5f));
    str_char(s, '"');
}

static void add_real(str *s, const char *name, float v)
{
    str_printf(s, ", \"%s\": ", name);
    str_number(s, (double)(int)(v * 10000 + (v < 0 ? -0.5f : 0.5f)) / 10000);
}

static void describe_look(str *s, const look *l)
{
    static const char *const figures[] = {"plain", "line", "pixel", "silhouette", "sticker"};
    static const char *const grounds[] = {"solid", "gradient", "stripes", "checks", "dots"};
    static const char *const tones[] = {"none", "ramp", "steps", "hue", "invert"};
    str_printf(s, "{\"figure\": \"%s\", \"ground\": \"%s\", \"tone\": \"%s\"", figures[l->figure], grounds[l->ground],
        tones[l->tone]);
    add_colour(s, "paper", l->paper);
    if (l->ground != GROUND_SOLID) {
        add_colour(s, "pattern", l->pattern);
        add_real(s, "period", l->period);
        add_real(s, "slant", l->slant);
    }
    if (l->figure == FIGURE_LINE || l->figure == FIGURE_SILHOUETTE || l->figure == FIGURE_STICKER)
        add_colour(s, "ink", l->ink);
    if (l->figure == FIGURE_LINE || l->figure == FIGURE_STICKER) add_real(s, "width", l->width);
    if (l->figure == FIGURE_PIXEL) str_printf(s, ", \"cells\": %d, \"levels\": %d", l->cells, l->levels);
    for (int i = 0; i < l->n_colours; i++) {
        char name[24];
        snprintf(name, sizeof name, "colour_%d", i);
        add_colour(s, name, l->colours[i]);
    }
    if (l->tone == TONE_HUE) add_real(s, "hue", l->hue);
    add_real(s, "scale", l->scale);
    add_real(s, "angle", l->angle);
    str_char(s, '}');
}

static void describe_items(str *s, const composer *c, const plan *p, const char *name, size_t field)
{
    str_printf(s, ", \"%s\": [", name);
    for (int i = 0; i < c->images; i++) {
        const char *text = *(const char *const *)((const char *)pool_at(c->pool, p->items[i]) + field);
        if (i) str_add(s, ", ");
        str_json(s, text);
    }
    str_char(s, ']');
}

static void describe(str *s, const composer *c, const plan *p, int64_t index)
{
    str_printf(s, "{\"family\": \"%s\", \"group\": ", family_name(p->family));
    str_json(s, p->group->name);
    str_printf(s,
               ", \"split\": \"%s\", \"seed\": %llu, \"set\": %lld, \"images\": %d, \"size\": %d, \"look\": ", c->split,
               (unsigned long long)c->seed, (long long)index, c->images, c->size);
    describe_look(s, &p->look);
    describe_items(s, c, p, "drawings", offsetof(drawing, key));
    describe_items(s, c, p, "styles", offsetof(drawing, style));
    describe_items(s, c, p, "subjects", offsetof(drawing, subject));
    str_add(s, "}\n");
}

static void caption(str *s, const composer *c, const plan *p)
{
    const drawing *d = pool_at(c->pool, p->items[0]);
    if (family_get_kind(p->family) == KIND_SUBJECT)
        str_printf(s, "%s in several styles", d->subject);
    else
        str_printf(s, "%s, %s style, %s", p->group->name, d->style, family_name(p->family));
}

/* ---- Making ---- */

static int take_text(composed *s, str *text, const char *suffix, m2m_error *err)
{
    shard_field *f = &s->fields[s->n];
    *f = (shard_field){suffix, NULL, text->len};
    f->data = str_take(text);
    if (!f->data) return fail(err, M2M_ENOMEM, "no memory to describe a set");
    s->n++;
    return 0;
}

static int draw_image(composed *s, const composer *c, const plan *p, int i, m2m_error *err)
{
    m2m_image img;
    uint8_t *data;
    size_t size;
    int rc = augment_draw(&img, &pool_at(c->pool, p->items[i])->image, &p->look, &p->places[i], c->size, err);
    if (rc) return rc;
    rc = image_encode_png(&img, NULL, 0, 6, &data, &size, err);
    m2m_image_free(&img);
    if (rc) return rc;
    snprintf(s->suffixes[i], sizeof s->suffixes[i], "%02d.png", i);
    s->fields[s->n++] = (shard_field){s->suffixes[i], data, size};
    return 0;
}

int composed_make(composed *s, const composer *c, int64_t index, m2m_error *err)
{
    check(c->images >= 2 && c->images <= COMPOSE_IMAGES, "%d images in a set", c->images);
    *s = (composed){.n = 0};
    snprintf(s->key, sizeof s->key, "%08lld", (long long)index);
    plan *p = calloc(1, sizeof *p);
    int rc = p ? make_plan(p, c, index, err) : fail(err, M2M_ENOMEM, "no memory to compose a set");
    for (int i = 0; i < c->images && !rc; i++) rc = draw_image(s, c, p, i, err);
    if (!rc) {
        str json = {0}, txt = {0};
        s->family = p->family;
        describe(&json, c, p, index);
        caption(&txt, c, p);
        rc = take_text(s, &json, "json", err);
        if (!rc) rc = take_text(s, &txt, "txt", err);
        str_free(&json);
        str_free(&txt);
    }
    free(p);
    if (rc) composed_free(s);
    return rc;
}

void composed_free(composed *s)
{
    for (int i = 0; i < s->n; i++) free((void *)s->fields[i].data);
    s->n = 0;
}
