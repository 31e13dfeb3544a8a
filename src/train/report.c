#include "train/report.h"

#include "base/file.h"
#include "base/json.h"
#include "base/opts.h"
#include "image/codec.h"
#include "train/curve.h"
#include "train/tfevents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct report {
    char *dir;
    journal *journal;
    tfevents *events;
    int64_t drawn;           /* seconds of the clock when loss.png was last drawn */
};

static double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int draw_curves(report *r, m2m_error *err)
{
    char *path = path_join(r->dir, "loss.png");
    int status = path ? curve_save(r->journal, r->dir, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    r->drawn = (int64_t)clock_seconds();
    free(path);
    return status;
}

static int write_config(const m2m_train_options *o, const char *dir, m2m_error *err)
{
    cJSON *all = opts_to_json(m2m_options("train"), o);
    char *path = path_join(dir, "config.json");
    int status = all && path ? json_save(all, path, err) : fail(err, M2M_ENOMEM, "no memory for config.json");
    cJSON_Delete(all);
    free(path);
    return status;
}

int report_open(report **out, const m2m_train_options *o, int64_t keep, m2m_error *err)
{
    report *r = calloc(1, sizeof *r);
    char *log = path_join(o->output, "log.jsonl"), *samples = path_join(o->output, "samples");
    int status = 0;
    if (!r || !log || !samples || !(r->dir = strdup(o->output)))
        status = fail(err, M2M_ENOMEM, "no memory for a report");
    if (!status) status = dir_make(samples, err);
    if (!status) status = write_config(o, r->dir, err);
    if (!status) status = journal_open(&r->journal, log, keep, err);
    if (!status) status = tfevents_open(&r->events, r->dir, clock_seconds(), keep, err);
    free(log);
    free(samples);
    if (status) report_close(&r);
    *out = r;
    return status;
}

void report_close(report **out)
{
    report *r = *out;
    if (!r) return;
    if (r->journal) draw_curves(r, NULL);
    tfevents_close(&r->events);
    journal_close(&r->journal);
    free(r->dir);
    free(r);
    *out = NULL;
}

int report_figures(report *r, int64_t step, const journal_field *fields, int n, m2m_error *err)
{
    enum { REDRAW = 60 };    /* seconds */
    int status = journal_write(r->journal, step, fields, n, err);
    for (int i = 0; i < n && !status; i++)
        status = tfevents_scalar(r->events, clock_seconds(), step, fields[i].name, fields[i].value, err);
    if (!status && clock_seconds() - (double)r->drawn > REDRAW) status = draw_curves(r, err);
    return status;
}

int report_picture(report *r, int64_t step, const m2m_image *picture, m2m_error *err)
{
    char name[64];
    uint8_t *png = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "samples/step-%07lld.png", (long long)step);
    char *path = path_join(r->dir, name);
    int status =
        path ? image_encode_png(picture, NULL, 0, 6, &png, &size, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    if (!status) status = file_write_all(path, png, size, err);
    if (!status)
        status = tfevents_image(r->events, clock_seconds(), step, "samples", png, size, picture->width, picture->height,
                                err);
    free(png);
    free(path);
    return status;
}
