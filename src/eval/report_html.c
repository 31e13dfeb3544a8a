#include "eval/report.h"

#include "base/error.h"
#include "base/file.h"
#include "image/plot.h"

#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 120, SHEET_BYTES = 1 << 28 };        /* of a curve's name; most of a contact sheet */

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>m2m eval sets</title>\n<style>\n"
    "body { font: 15px/1.5 sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222 }\n"
    "table { border-collapse: collapse } th, td { border: 1px solid #ccc; padding: .3em .7em; text-align: right }\n"
    "th:first-child, td:first-child { text-align: left } svg, img { max-width: 100%; margin: 1em 1em 0 0 }\n"
    "figure { display: inline-block; margin: 0 1em 1em 0 } img { image-rendering: pixelated }\n"
    "</style>\n</head>\n<body>\n";

static const char *text_of(const cJSON *o, const char *key)
{
    return json_member(o, key)->valuestring;
}

static double number_of(const cJSON *o, const char *key)
{
    return json_member(o, key)->valuedouble;
}

static void cell(str *s, const char *tag, const char *text, const char *more)
{
    str_printf(s, "<%s>", tag);
    str_markup(s, text);
    str_printf(s, "%s</%s>", more, tag);
}

static void table(str *s, const cJSON *rows, const report_columns *c)
{
    str_add(s, "<table>\n<tr><th>model</th><th>given</th><th>made</th><th>sets</th>");
    for (int i = 0; i < c->n; i++)
        cell(s, "th", text_of(c->first[i], "label"), strcmp(text_of(c->first[i], "better"), "lower") ? " ↑" : " ↓");
    for (const cJSON *row = rows->child; row; row = row->next) {
        str_add(s, "</tr>\n<tr>");
        cell(s, "td", text_of(row, "model"), "");
        str_printf(s, "<td>%.0f</td><td>%.0f</td><td>%.0f</td>", number_of(row, "given"), number_of(row, "n"),
                   number_of(row, "sets"));
        for (int i = 0; i < c->n; i++) {
            str_add(s, "<td>");
            report_value(s, report_cell(c, i, row));
            str_add(s, "</td>");
        }
    }
    str_add(s, "</tr>\n</table>\n<p>Mean ± standard deviation over the images made, first to last; each value is over "
               "all sets.</p>\n<ul>\n");
    for (int i = 0; i < c->n; i++) {
        str_add(s, "<li>");
        str_markup(s, text_of(c->first[i], "label"));
        str_add(s, ": ");
        str_markup(s, text_of(c->first[i], "on"));
        str_add(s, "</li>\n");
    }
    str_add(s, "</ul>\n");
}

/* ---- Curves ---- */

typedef struct curve {
    char name[NAME];
    double *x, *y;
    int n;
} curve;

static bool read_curve(curve *k, const cJSON *row, const cJSON *measure)
{
    const cJSON *values = json_member(measure, "curve");
    const size_t n = (size_t)cJSON_GetArraySize(values);
    snprintf(k->name, sizeof k->name, "%.80s, %.0f given", text_of(row, "model"), number_of(row, "given"));
    k->n = 0;
    k->x = calloc(n + 1, sizeof *k->x);
    k->y = calloc(n + 1, sizeof *k->y);
    if (!k->x || !k->y) return false;
    for (const cJSON *v = values->child; v; v = v->next) {
        k->x[k->n] = k->n + 1;
        k->y[k->n++] = v->valuedouble;
    }
    return true;
}

static void flush(str *s, curve *curves, int *n, const char *title)
{
    plot p = {.title = title, .x_label = "n-th image made", .width = 560, .height = 320, .n_series = *n};
    for (int i = 0; i < *n; i++) p.series[i] = (plot_series){curves[i].name, curves[i].x, curves[i].y, curves[i].n};
    if (*n) plot_svg(s, &p);
    for (int i = 0; i < *n; i++) {
        free(curves[i].x);
        free(curves[i].y);
    }
    *n = 0;
}

/* One column's curves; more than a chart can hold make another one. */
static void charts(str *s, const cJSON *rows, const report_columns *c, int column)
{
    curve curves[PLOT_SERIES];
    int n = 0;
    const char *label = text_of(c->first[column], "label");
    for (const cJSON *row = rows->child; row; row = row->next) {
        const cJSON *m = report_cell(c, column, row);
        if (m && !read_curve(&curves[n++], row, m)) s->failed = true;
        if (n == PLOT_SERIES) flush(s, curves, &n, label);
    }
    flush(s, curves, &n, label);
}

/* ---- The rest ---- */

static void notes(str *s, const cJSON *row)
{
    str_add(s, "<ul>\n");
    for (const cJSON *note = json_member(row, "notes")->child; note; note = note->next) {
        cell(s, "li", note->valuestring, "");
        str_char(s, '\n');
    }
    for (const cJSON *p = json_member(row, "problems")->child; p; p = p->next) {
        str_add(s, "<li>left out: ");
        str_markup(s, text_of(p, "where"));
        str_add(s, ": ");
        str_markup(s, text_of(p, "why"));
        str_add(s, "</li>\n");
    }
    str_add(s, "</ul>\n<details><summary>settings</summary><ul>\n");
    for (const cJSON *one = json_member(row, "settings")->child; one; one = one->next) {
        char *value = cJSON_PrintUnformatted(one);
        if (!value) s->failed = true;
        str_add(s, "<li>");
        str_markup(s, one->string);
        str_add(s, ": ");
        str_markup(s, value ? value : "");
        str_add(s, "</li>\n");
        cJSON_free(value);
    }
    str_add(s, "</ul></details>\n");
}

/* The PNG itself within the page, which can then be sent alone. */
static int add_png(str *s, const char *path, m2m_error *err)
{
    char *png = NULL, *text;
    size_t size;
    int rc = file_read_all(path, SHEET_BYTES, &png, &size, err);
    if (rc) return rc;
    const size_t n = BASE64_ENCODE_RAW_LENGTH(size);
    if ((text = malloc(n))) base64_encode_raw(text, size, (const uint8_t *)png);
    str_add(s, "data:image/png;base64,");
    if (text) str_bytes(s, text, n);
    else rc = fail(err, M2M_ENOMEM, "%s: no memory to show it", path);
    free(text);
    free(png);
    return rc;
}

static int sheets(str *s, const cJSON *row, const char *dir, m2m_error *err)
{
    int rc = 0;
    for (const cJSON *name = json_member(row, "sheets")->child; name && !rc; name = name->next) {
        char *path = path_join(dir, name->valuestring);
        str_add(s, "<figure><img src=\"");
        rc = path ? add_png(s, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
        str_add(s, "\" alt=\"given images, framed, and those made\"><figcaption>");
        str_markup(s, name->valuestring);
        str_add(s, "</figcaption></figure>\n");
        free(path);
    }
    return rc;
}

int report_html(str *s, const cJSON *report, const report_columns *c, const char *dir, m2m_error *err)
{
    int rc = 0;
    const cJSON *rows = json_member(report, "rows");
    str_add(s, head);
    str_add(s, "<h1>Sets made, by the protocol of arXiv 2404.03109</h1>\n");
    table(s, rows, c);
    for (int i = 0; i < c->n; i++) charts(s, rows, c, i);
    for (const cJSON *row = rows->child; row && !rc; row = row->next) {
        str_printf(s, "<h2>%.0f given: ", number_of(row, "given"));
        str_markup(s, text_of(row, "model"));
        str_add(s, "</h2>\n");
        notes(s, row);
        rc = sheets(s, row, dir, err);
    }
    str_printf(s, "<p>m2m %s</p>\n</body>\n</html>\n", text_of(report, "version"));
    return rc;
}
