#include "eval/report.h"

#include "base/error.h"
#include "base/file.h"
#include "m2m_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const cJSON *o, const char *key)
{
    return json_member(o, key)->valuestring;
}

static double number_of(const cJSON *o, const char *key)
{
    return json_member(o, key)->valuedouble;
}

static const cJSON *rows_of(const cJSON *report)
{
    return json_member(report, "rows");
}

/* ---- Columns ---- */

static bool same_column(const cJSON *a, const cJSON *b)
{
    return !strcmp(text_of(a, "label"), text_of(b, "label")) && !strcmp(text_of(a, "on"), text_of(b, "on"));
}

static bool add_column(report_columns *c, const cJSON *measure)
{
    for (int i = 0; i < c->n; i++)
        if (same_column(c->first[i], measure)) return true;
    const cJSON **more = realloc(c->first, ((size_t)c->n + 1) * sizeof *more);
    if (!more) return false;
    c->first = more;
    c->first[c->n++] = measure;
    return true;
}

int report_columns_find(report_columns *c, const cJSON *report, m2m_error *err)
{
    *c = (report_columns){0};
    for (const cJSON *row = rows_of(report)->child; row; row = row->next)
        for (const cJSON *m = json_member(row, "measures")->child; m; m = m->next)
            if (!add_column(c, m)) return fail(err, M2M_ENOMEM, "no memory for a table's columns");
    return 0;
}

const cJSON *report_cell(const report_columns *c, int i, const cJSON *row)
{
    for (const cJSON *m = json_member(row, "measures")->child; m; m = m->next)
        if (same_column(c->first[i], m)) return m;
    return NULL;
}

/* ---- Checking ---- */

static int check_texts(const cJSON *o, const char *const *keys, m2m_error *err)
{
    const char *found;
    int rc = 0;
    for (; *keys && !rc; keys++) rc = json_text(o, *keys, &found, err);
    return rc;
}

static int check_list(const cJSON *o, const char *key, int most, int (*each)(const cJSON *item, m2m_error *err),
                      m2m_error *err)
{
    const cJSON *list = json_member(o, key);
    int rc = 0, n = 0;
    if (!cJSON_IsArray(list)) return fail(err, M2M_EFORMAT, "%s: wanted a list", key);
    for (const cJSON *item = list->child; item && !rc; item = item->next, n++) {
        rc = n < most ? each(item, err) : fail(err, M2M_EFORMAT, "more than %d of them", most);
        if (rc) fail_prefix(err, rc, "%s[%d]", key, n);
    }
    return rc;
}

static int check_text(const cJSON *item, m2m_error *err)
{
    char found[96];
    if (cJSON_IsString(item)) return 0;
    return fail(err, M2M_EFORMAT, "found %s, wanted a text", json_found(item, found, sizeof found));
}

/* Shown as it is in the page, so it stays beside it. */
static int check_path(const cJSON *item, m2m_error *err)
{
    int rc = check_text(item, err);
    if (!rc && (item->valuestring[0] == '/' || strstr(item->valuestring, "..") || strchr(item->valuestring, ':')))
        rc = fail(err, M2M_EFORMAT, "found \"%.80s\", wanted a path below the report", item->valuestring);
    return rc;
}

static int check_number(const cJSON *item, m2m_error *err)
{
    char found[96];
    if (cJSON_IsNumber(item)) return 0;
    return fail(err, M2M_EFORMAT, "found %s, wanted a number", json_found(item, found, sizeof found));
}

static int check_problem(const cJSON *item, m2m_error *err)
{
    return check_texts(item, (const char *const[]){"where", "why", NULL}, err);
}

static int check_measure(const cJSON *m, m2m_error *err)
{
    double mean, deviation;
    int64_t sets;
    int rc = check_texts(m, (const char *const[]){"key", "label", "on", "better", NULL}, err);
    if (!rc) rc = json_int(m, "sets", 0, INT32_MAX, &sets, err);
    if (!rc) rc = json_real(m, "mean", -1e300, 1e300, &mean, err);
    if (!rc) rc = json_real(m, "deviation", 0, 1e300, &deviation, err);
    return rc ? rc : check_list(m, "curve", REPORT_N, check_number, err);
}

static int check_row(const cJSON *row, m2m_error *err)
{
    int64_t number;
    int rc = check_texts(row, (const char *const[]){"model", NULL}, err);
    if (!rc) rc = json_int(row, "given", 1, REPORT_N, &number, err);
    if (!rc) rc = json_int(row, "n", 1, REPORT_N, &number, err);
    if (!rc) rc = json_int(row, "sets", 0, INT32_MAX, &number, err);
    if (!rc && !cJSON_IsObject(json_member(row, "settings")))
        rc = fail(err, M2M_EFORMAT, "settings: wanted an object");
    if (!rc) rc = check_list(row, "notes", 1000, check_text, err);
    if (!rc) rc = check_list(row, "problems", INT32_MAX, check_problem, err);
    if (!rc) rc = check_list(row, "sheets", 1000, check_path, err);
    return rc ? rc : check_list(row, "measures", 100, check_measure, err);
}

int report_check(const cJSON *report, m2m_error *err)
{
    int64_t format;
    int rc = json_int(report, "format", REPORT_FORMAT, REPORT_FORMAT, &format, err);
    if (!rc) rc = check_texts(report, (const char *const[]){"version", NULL}, err);
    return rc ? rc : check_list(report, "rows", REPORT_ROWS, check_row, err);
}

/* ---- Merging ---- */

/* Settings that are not the same in all rows, but for which model it is, as one note. */
static void tell_differences(const cJSON *rows, str *s)
{
    const cJSON *first = json_member(rows->child, "settings");
    for (const cJSON *one = first->child; one; one = one->next) {
        bool differs = false;
        for (const cJSON *row = rows->child; row; row = row->next) {
            const cJSON *other = json_member(row, "settings");
            differs = differs || !cJSON_Compare(one, cJSON_GetObjectItemCaseSensitive(other, one->string), true);
        }
        if (!differs || !strncmp(one->string, "model", 5)) continue;
        str_printf(s, "%s%s", s->len ? ", " : "Rows differ in: ", one->string);
    }
}

static int merge_one(cJSON *rows, const char *dir, m2m_error *err)
{
    cJSON *one = NULL;
    char *path = path_join(dir, "report.json");
    int rc = path ? json_load(&one, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    if (!rc && (rc = report_check(one, err))) fail_prefix(err, rc, "%s", path);
    cJSON *from = rc ? NULL : cJSON_GetObjectItemCaseSensitive(one, "rows");
    while (from && from->child) {
        cJSON *row = cJSON_DetachItemViaPointer(from, from->child);
        json_set(row, "sheets", cJSON_CreateArray());              /* these stay where they are */
        cJSON_AddItemToArray(rows, row);
    }
    cJSON_Delete(one);
    free(path);
    return rc;
}

int report_merge(cJSON **report, const char *const *dirs, int n, m2m_error *err)
{
    cJSON *all = cJSON_CreateObject(), *rows = all ? cJSON_AddArrayToObject(all, "rows") : NULL;
    str note = {0};
    int rc = 0;
    if (!rows || !cJSON_AddNumberToObject(all, "format", REPORT_FORMAT) ||
        !cJSON_AddStringToObject(all, "version", M2M_VERSION_TEXT))
        rc = fail(err, M2M_ENOMEM, "no memory for a report");
    for (int i = 0; i < n && !rc; i++) rc = merge_one(rows, dirs[i], err);
    if (!rc && !rows->child) rc = fail(err, M2M_EFORMAT, "%s: its report has no rows", dirs[0]);
    if (!rc) tell_differences(rows, &note);
    if (!rc && note.len)
        cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(rows->child, "notes"), cJSON_CreateString(note.data));
    str_free(&note);
    if (!rc) rc = report_check(all, err);                          /* also tells where memory ran out */
    if (!rc) *report = all;
    else cJSON_Delete(all);
    return rc;
}

/* ---- Writing ---- */

void report_value(str *s, const cJSON *measure)
{
    if (measure) str_printf(s, "%.2f ± %.2f", number_of(measure, "mean"), number_of(measure, "deviation"));
    else str_add(s, "–");
}

static void csv_text(str *s, const char *text)
{
    str_char(s, '"');
    for (; *text; text++) {
        if (*text == '"') str_char(s, '"');
        str_char(s, *text);
    }
    str_add(s, "\",");
}

static void csv_line(str *s, const cJSON *row, const cJSON *m, const char *n, double value)
{
    csv_text(s, text_of(row, "model"));
    str_printf(s, "%.0f,", number_of(row, "given"));
    csv_text(s, text_of(m, "label"));
    csv_text(s, text_of(m, "on"));
    str_printf(s, "%.0f,%s,", number_of(m, "sets"), n);
    str_number(s, value);
    str_char(s, '\n');
}

void report_csv(str *s, const cJSON *report, const report_columns *c)
{
    str_add(s, "model,given,measure,on,sets,n,value\n");
    for (const cJSON *row = rows_of(report)->child; row; row = row->next)
        for (int i = 0; i < c->n; i++) {
            const cJSON *m = report_cell(c, i, row);
            int k = 0;
            char n[16];
            if (!m) continue;
            for (const cJSON *v = json_member(m, "curve")->child; v; v = v->next) {
                snprintf(n, sizeof n, "%d", ++k);
                csv_line(s, row, m, n, v->valuedouble);
            }
            csv_line(s, row, m, "mean", number_of(m, "mean"));
            csv_line(s, row, m, "deviation", number_of(m, "deviation"));
        }
}

/* A cell's text: no bar and no line end in it. */
static void cell_text(str *s, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') str_char(s, '\\');
        str_char(s, (unsigned char)*text < 32 ? ' ' : *text);
    }
}

static void markdown_notes(str *s, const cJSON *row)
{
    for (const cJSON *note = json_member(row, "notes")->child; note; note = note->next) {
        str_add(s, "- ");
        cell_text(s, text_of(row, "model"));
        str_printf(s, ", %.0f given: ", number_of(row, "given"));
        cell_text(s, note->valuestring);
        str_char(s, '\n');
    }
    for (const cJSON *p = json_member(row, "problems")->child; p; p = p->next) {
        str_printf(s, "- %.0f given: left out: ", number_of(row, "given"));
        cell_text(s, text_of(p, "where"));
        str_add(s, ": ");
        cell_text(s, text_of(p, "why"));
        str_char(s, '\n');
    }
}

void report_markdown(str *s, const cJSON *report, const report_columns *c)
{
    str_add(s, "| model | given | made | sets |");
    for (int i = 0; i < c->n; i++) {
        str_char(s, ' ');
        cell_text(s, text_of(c->first[i], "label"));
        str_add(s, strcmp(text_of(c->first[i], "better"), "lower") ? " ↑ |" : " ↓ |");
    }
    str_add(s, "\n|---|---|---|---|");
    for (int i = 0; i < c->n; i++) str_add(s, "---|");
    for (const cJSON *row = rows_of(report)->child; row; row = row->next) {
        str_add(s, "\n| ");
        cell_text(s, text_of(row, "model"));
        str_printf(s, " | %.0f | %.0f | %.0f |", number_of(row, "given"), number_of(row, "n"), number_of(row, "sets"));
        for (int i = 0; i < c->n; i++) {
            str_char(s, ' ');
            report_value(s, report_cell(c, i, row));
            str_add(s, " |");
        }
    }
    str_add(s, "\n\nMean ± standard deviation over the images made, first to last; each value is over all sets.\n\n");
    for (int i = 0; i < c->n; i++) {
        str_add(s, "- ");
        cell_text(s, text_of(c->first[i], "label"));
        str_add(s, ": ");
        cell_text(s, text_of(c->first[i], "on"));
        str_char(s, '\n');
    }
    for (const cJSON *row = rows_of(report)->child; row; row = row->next) markdown_notes(s, row);
}

/* Takes *s. */
static int save_text(str *s, const char *dir, const char *name, m2m_error *err)
{
    char *path = path_join(dir, name);
    int rc = s->failed || !path ? fail(err, M2M_ENOMEM, "%s: no memory to write %s", dir, name)
                                : file_write_all(path, s->data, s->len, err);
    str_free(s);
    free(path);
    return rc;
}

int report_save(const cJSON *report, const char *dir, m2m_error *err)
{
    report_columns c;
    char *path = path_join(dir, "report.json");
    str csv = {0}, markdown = {0}, html = {0};
    int rc = report_columns_find(&c, report, err);
    if (!rc) rc = report_html(&html, report, &c, dir, err);
    if (!rc) {
        report_csv(&csv, report, &c);
        report_markdown(&markdown, report, &c);
        rc = save_text(&csv, dir, "report.csv", err);
    }
    if (!rc) rc = save_text(&markdown, dir, "report.md", err);
    if (!rc) rc = save_text(&html, dir, "report.html", err);
    if (!rc) rc = path ? json_save(report, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    str_free(&csv);
    str_free(&markdown);
    str_free(&html);
    free(path);
    free(c.first);
    return rc;
}
