#include "data/family.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TURN 6.28318530718f

static const struct {
    const char *name;
    double weight;
    family_kind kind;
    const char *help;
} rows[] = {
#define FAMILY(name, weight, kind, help) {#name, weight, KIND_##kind, help},
#include "data/families.def"
#undef FAMILY
};

const char *family_name(family f)
{
    return rows[f].name;
}

const char *family_help(family f)
{
    return rows[f].help;
}

family_kind family_get_kind(family f)
{
    return rows[f].kind;
}

int family_weights(double weights[FAMILY_COUNT], const char *text, m2m_error *err)
{
    for (int i = 0; i < FAMILY_COUNT; i++) weights[i] = text ? 0 : rows[i].weight;
    double sum = 0;
    while (text && *text) {
        size_t part = strcspn(text, ","), name = strcspn(text, "=,");
        int f = 0;
        while (f < FAMILY_COUNT && (strlen(rows[f].name) != name || memcmp(rows[f].name, text, name) != 0)) f++;
        char *end = NULL;
        double w = name < part ? strtod(text + name + 1, &end) : -1;
        if (f == FAMILY_COUNT || end != text + part || !(w >= 0 && w < 1e9))
            return fail(err, M2M_EINVAL,
                        "families: \"%.*s\" is no family=weight; families are plain, subject, …, invert",
                        (int)(part > 60 ? 60 : part), text);
        weights[f] = w;
        sum += w;
        text += part + (text[part] == ',');
    }
    if (text && sum <= 0) return fail(err, M2M_EINVAL, "families: all weights are 0; wanted one above");
    return 0;
}

static float real(rng *r, float lo, float hi)
{
    return (float)rng_between(r, lo, hi);
}

static bool chance(rng *r, double p)
{
    return rng_real(r) < p;
}

/* ---- Colours that go together ---- */

static colour pastel(rng *r)
{
    float h = real(r, 0, 1), s = real(r, 0.18f, 0.42f);
    return colour_hsv(h, s, real(r, 0.9f, 1));
}

static colour vivid(rng *r)
{
    float h = real(r, 0, 1), s = real(r, 0.6f, 0.9f);
    return colour_hsv(h, s, real(r, 0.75f, 0.98f));
}

static colour deep(rng *r)
{
    float h = real(r, 0, 1), s = real(r, 0.45f, 0.85f);
    return colour_hsv(h, s, real(r, 0.18f, 0.4f));
}

static colour neutral(rng *r)
{
    static const float greys[] = {1, 1, 0.93f, 0.8f, 0.5f, 0.22f, 0.08f};
    float v = greys[rng_below(r, (uint32_t)(sizeof greys / sizeof *greys))];
    return (colour){{v, v, v}};
}

static colour any_colour(rng *r)
{
    float at = real(r, 0, 1);
    return at < 0.38f ? pastel(r) : at < 0.66f ? vivid(r) : at < 0.84f ? deep(r) : neutral(r);
}

static colour light_colour(rng *r)
{
    return chance(r, 0.3f) ? (colour){{1, 1, 1}} : pastel(r);
}

static colour dark_colour(rng *r)
{
    return chance(r, 0.3f) ? (colour){{0.1f, 0.1f, 0.12f}} : deep(r);
}

static float least_distance(colour c, const colour *means, int n)
{
    float least = 9;
    for (int i = 0; i < n; i++) {
        float far = colour_distance(c, means[i]);
        if (far < least) least = far;
    }
    return least;
}

/* The first of a few colours that stands off from all drawings, or the one that does best. */
static colour paper_for(rng *r, const colour *means, int n)
{
    colour best = any_colour(r);
    float score = least_distance(best, means, n);
    for (int i = 0; i < 7 && score < 0.22f; i++) {
        colour c = any_colour(r);
        float s = least_distance(c, means, n);
        if (s > score) {
            best = c;
            score = s;
        }
    }
    return best;
}

/* A colour beside `c`: lighter or darker, its hue a little off. */
static colour companion(rng *r, colour c, float distance)
{
    colour best = c;
    float error = 9;
    for (int i = 0; i < 12; i++) {
        colour t = colour_mix(any_colour(r), c, 0.35f);
        float off = fabsf(colour_distance(t, c) - distance);
        if (off < error) {
            best = t;
            error = off;
        }
    }
    return best;
}

/* n colours from dark to light in equal steps of luma, the hue wandering from one to another. */
static void ramp(rng *r, colour *to, int n, float dark, float light, float wander)
{
    float h = real(r, 0, 1), turn = real(r, -wander, wander), vivid_by = real(r, 0.3f, 0.8f);
    for (int i = 0; i < n; i++) {
        float t = (float)i / (float)(n - 1), luma = dark + (light - dark) * t;
        colour c = colour_hsv(h + turn * t, vivid_by, 1);
        float have = colour_luma(c);
        to[i] = luma < have ? colour_mix((colour){{0}}, c, luma / have)
                            : colour_mix(c, (colour){{1, 1, 1}}, (luma - have) / (1 - have + 1e-3f));
    }
}

/* ---- Looks ---- */

static void look_ground(look *l, rng *r)
{
    l->ground = (ground)(GROUND_GRADIENT + rng_below(r, 4));
    if (l->ground == GROUND_GRADIENT) {
        l->pattern = companion(r, l->paper, 0.45f);
        l->slant = real(r, 0, TURN);
        return;
    }
    l->pattern = companion(r, l->paper, 0.22f);
    l->period = real(r, 0.17f, 0.36f);
    static const float slants[] = {0, 0.125f, 0.25f, 0.375f};
    l->slant = TURN * slants[rng_below(r, l->ground == GROUND_STRIPES ? 4 : 2)];
}

/* Should these drawings lie on something light? Mostly on the end of the scale from which the nearest is farther. */
static bool light_behind(rng *r, const colour *means, int n)
{
    float light = 1, dark = 1;
    for (int i = 0; i < n; i++) {
        float luma = colour_luma(means[i]);
        if (1 - luma < light) light = 1 - luma;
        if (luma < dark) dark = luma;
    }
    return real(r, 0, light * light + dark * dark) < light * light;
}

/* The ground has one end of the ramp for itself, so no part of a drawing merges with it. */
static void look_palette(look *l, rng *r, const colour *means, int n)
{
    colour all[LOOK_COLOURS];
    int count = 4 + (int)rng_below(r, 3);
    float dark = real(r, 0.08f, 0.2f), light = real(r, 0.85f, 0.98f);
    ramp(r, all, count, dark, light, 0.45f);
    bool on_light = light_behind(r, means, n);
    l->tone = TONE_STEPS;
    l->n_colours = count - 1;
    l->paper = on_light ? all[count - 1] : all[0];
    memcpy(l->colours, on_light ? all : all + 1, (size_t)(count - 1) * sizeof *all);
}

static void look_duotone(look *l, rng *r, const colour *means, int n)
{
    l->tone = TONE_RAMP;
    l->n_colours = 2;
    float kind = real(r, 0, 1);
    if (kind < 0.15f) {              /* black and white */
        l->colours[0] = (colour){{0.04f, 0.04f, 0.04f}};
        l->colours[1] = (colour){{1, 1, 1}};
    } else if (kind < 0.3f) {        /* sepia */
        l->colours[0] = (colour){{0.2f, 0.12f, 0.06f}};
        l->colours[1] = (colour){{1, 0.94f, 0.8f}};
    } else {
        float h = real(r, 0, 1);
        float s0 = real(r, 0.6f, 0.95f), v0 = real(r, 0.15f, 0.45f);
        l->colours[0] = colour_hsv(h, s0, v0);
        h += real(r, 0.15f, 0.85f);
        l->colours[1] = colour_hsv(h, real(r, 0.15f, 0.6f), 1);
    }
    float v = light_behind(r, means, n) ? real(r, 0.88f, 1) : real(r, 0.02f, 0.15f);
    l->paper = (colour){{v, v, v}};
}

static void look_line(look *l, rng *r)
{
    l->figure = FIGURE_LINE;
    l->width = real(r, 0.016f, 0.04f);
    bool dark_ink = chance(r, 0.6f);
    l->ink = dark_ink ? dark_colour(r) : light_colour(r);
    l->paper = dark_ink ? light_colour(r) : dark_colour(r);
}

static void look_silhouette(look *l, rng *r)
{
    l->figure = FIGURE_SILHOUETTE;
    l->ink = any_colour(r);
    l->paper = any_colour(r);
    for (int i = 0; i < 20 && fabsf(colour_luma(l->ink) - colour_luma(l->paper)) < 0.4f; i++) {
        l->ink = any_colour(r);
        l->paper = any_colour(r);
    }
}

static void look_pose(look *l, rng *r)
{
    static const float turns[] = {-0.25f, -0.125f, -0.083f, 0.083f, 0.125f, 0.25f, 0.5f, 0};
    int turn = (int)rng_below(r, (uint32_t)(sizeof turns / sizeof *turns));
    l->angle = TURN * turns[turn];
    l->scale = turns[turn] == 0 ? real(r, 0.42f, 0.52f) : real(r, 0.6f, 0.85f);
}

look family_look(family f, rng *r, const colour *means, int n)
{
    look l = {.scale = real(r, 0.8f, 0.94f)};
    l.paper = paper_for(r, means, n);
    switch (f) {
    case FAMILY_ground: look_ground(&l, r); break;
    case FAMILY_palette: look_palette(&l, r, means, n); break;
    case FAMILY_duotone: look_duotone(&l, r, means, n); break;
    case FAMILY_hue:
        l.tone = TONE_HUE;
        l.hue = TURN * real(r, 0.2f, 0.8f);
        break;
    case FAMILY_line: look_line(&l, r); break;
    case FAMILY_pixel:
        l.figure = FIGURE_PIXEL;
        l.cells = (int[]){12, 16, 20}[rng_below(r, 3)];
        l.levels = (int[]){0, 3, 4, 5}[rng_below(r, 4)];
        l.scale = 0.95f;
        break;
    case FAMILY_silhouette: look_silhouette(&l, r); break;
    case FAMILY_sticker:
        l.figure = FIGURE_STICKER;
        l.scale = real(r, 0.72f, 0.8f);
        l.width = real(r, 0.03f, 0.055f);
        l.ink = chance(r, 0.75f) ? (colour){{1, 1, 1}} : (colour){{0.08f, 0.08f, 0.1f}};
        for (int i = 0; i < 8 && colour_distance(l.ink, l.paper) < 0.3f; i++) l.paper = any_colour(r);
        break;
    case FAMILY_pose: look_pose(&l, r); break;
    case FAMILY_invert: l.tone = TONE_INVERT; break;
    case FAMILY_plain:
    case FAMILY_subject:
    case FAMILY_COUNT: break;
    }
    return l;
}

placement family_placement(family f, rng *r)
{
    placement p = {.scale = 1};
    if (f != FAMILY_subject) return p;
    p.mirror = chance(r, 0.4f);
    p.scale = real(r, 0.8f, 1.05f);
    p.angle = real(r, -0.12f, 0.12f);
    p.dx = real(r, -0.05f, 0.05f);
    p.dy = real(r, -0.05f, 0.05f);
    return p;
}
