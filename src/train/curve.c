#include "train/curve.h"

#include "image/draw.h"
#include "image/image.h"
#include "image/plot.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 900, HEIGHT = 420, SMOOTH_PARTS = 50 };

void curve_smooth(const double *x, int n, int half, double *y)
{
    double sum = 0;
    int from = 0, to = 0; /* sum is that of x[from..to-1] */
    for (int i = 0; i < n; i++) {
        while (to < n && to <= i + half) sum += x[to++];
        while (from < i - half) sum -= x[from++];
        y[i] = half ? sum / (to - from) : x[i];
    }
}

/* Adds a series with its own memory for x and, where it is smoothed, y: both go into *values (freed by the caller). */
static int add(
    plot *p, const journal_series *s, int half, const char *name, double **values, m2m_error *err)
{
    *values = malloc(2 * (size_t)s->count * sizeof **values);
    if (!*values) return fail(err, M2M_ENOMEM, "no memory for a curve of %d points", s->count);
    for (int i = 0; i < s->count; i++) (*values)[i] = (double)s->step[i];
    curve_smooth(s->value, s->count, half, *values + s->count);
    p->series[p->n_series++] = (plot_series){name, *values, *values + s->count, s->count};
    return 0;
}

/* One chart of the series whose names begin with `prefix`, and of the training loss if with_loss. */
static int chart(
    m2m_image *out, const journal *j, plot *p, const char *prefix, bool with_loss, m2m_error *err)
{
    double *values[PLOT_SERIES] = {NULL};
    const journal_series *s = with_loss ? journal_find(j, "loss") : NULL;
    int code =
        s ? add(p, s, s->count / SMOOTH_PARTS, "training loss, smoothed", &values[0], err) : 0;
    for (int i = 0; !code && p->n_series < PLOT_SERIES && (s = journal_at(j, i)); i++)
        if (!strncmp(s->name, prefix, strlen(prefix)))
            code = add(p, s, 0, s->name, &values[p->n_series], err);
    if (!code) code = plot_draw(out, p, err);
    for (int i = 0; i < PLOT_SERIES; i++) free(values[i]);
    return code;
}

static bool has(const journal *j, const char *prefix)
{
    const journal_series *s;
    for (int i = 0; (s = journal_at(j, i)); i++)
        if (!strncmp(s->name, prefix, strlen(prefix))) return true;
    return false;
}

int curve_draw(m2m_image *out, const journal *j, const char *title, m2m_error *err)
{
    plot losses = {
        .title = title, .x_label = "step", .width = WIDTH, .height = HEIGHT, .log_y = true};
    plot ratios = {.title = "loss with the true context / with another set's",
        .x_label = "step",
        .width = WIDTH,
        .height = HEIGHT};
    m2m_image above = {0}, below = {0};
    memset(out, 0, sizeof *out);
    int code = chart(&above, j, &losses, "val_l", true, err);
    if (!code && !has(j, "ratio")) {
        *out = above;
        return 0;
    }
    if (!code) code = chart(&below, j, &ratios, "ratio", false, err);
    if (!code) code = m2m_image_new(out, WIDTH, 2 * HEIGHT, 3, err);
    if (!code) {
        image_paste(out, &above, 0, 0);
        image_paste(out, &below, 0, HEIGHT);
    }
    m2m_image_free(&above);
    m2m_image_free(&below);
    return code;
}

int curve_save(const journal *j, const char *title, const char *path, m2m_error *err)
{
    m2m_image picture;
    int code = curve_draw(&picture, j, title, err);
    if (!code) code = m2m_image_save(&picture, path, NULL, 0, err);
    m2m_image_free(&picture);
    return code;
}
