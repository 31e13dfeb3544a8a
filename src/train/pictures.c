#include "train/pictures.h"

#include "image/draw.h"
#include "image/image.h"
#include "train/set_source.h"

#include <math.h>
#include <stdlib.h>

static int read_processor(pictures *p, const char *dir, m2m_error *err)
{
    processor own;
    int status = processor_load(&own, dir, err);
    if (status) return status;
    const double factor = own.rescale ? own.factor : 1;
    for (int c = 0; c < 3; c++) {
        const double mean = own.normalize ? own.mean[c] : 0, std = own.normalize ? own.std[c] : 1;
        p->scale[c] = (float)(127.5 * factor / std);
        p->shift[c] = (float)((127.5 * factor - mean) / std);
    }
    return 0;
}

int pictures_open(
    pictures *p, const m2m_train_options *o, const char *dir, int images, const m2m_calls *calls, m2m_error *err)
{
    *p = (pictures){.size = (int)o->size, .rows = (int)o->sets * images};
    p->variation = (variation){.strength = (float)o->vary, .mirror = o->flip != 0};
    p->plan = (draw_plan){.seed = (uint64_t)o->seed, .sets = (int)o->sets, .draws = 1, .images = images};
    int status = train_view(&p->view, o, err);
    if (!status) status = read_processor(p, dir, err);
    stream_plan plan = {.paths = o->data,
        .view = p->view,
        .seed = (uint64_t)o->seed,
        .sets = (int)o->sets,
        .images = images,
        .calls = calls};
    if (!status) status = stream_open(&p->train, &plan, err);
    plan.paths = o->val_data;
    if (!status && o->val_data) status = stream_open(&p->val, &plan, err);
    const size_t floats = 3 * (size_t)p->rows * (size_t)p->size * (size_t)p->size;
    p->shown = malloc(floats * sizeof *p->shown);
    p->values = malloc(floats * sizeof *p->values);
    p->draws = malloc((size_t)p->rows * VARY_DRAWS * sizeof *p->draws);
    if (!status && (!p->shown || !p->values || !p->draws))
        status = fail(err, M2M_ENOMEM, "no memory for a batch of %d images", p->rows);
    return status;
}

void pictures_close(pictures *p)
{
    stream_close(&p->train);
    stream_close(&p->val);
    free(p->shown);
    free(p->values);
    free(p->draws);
    *p = (pictures){0};
}

size_t pictures_bytes(const pictures *p)
{
    return 6 * (size_t)p->rows * (size_t)p->size * (size_t)p->size * sizeof(float);
}

const dataset *pictures_data(const pictures *p, bool validate)
{
    return validate && p->val.data ? p->val.data : p->train.data;
}

int pictures_read(pictures *p, bool validate, int64_t batch, m2m_error *err)
{
    const int64_t plane = (int64_t)p->size * p->size;
    stream *s = validate && p->val.data ? &p->val : &p->train;
    int status = stream_read(s, batch, validate ? p->shown : p->values, err);
    if (status) return status;
    if (!validate) {
        draw_uniform(&p->plan, batch, VARY_DRAWS, p->draws);
        for (int i = 0; i < p->rows; i++)
            vary_image(
                p->shown + i * 3 * plane, p->values + i * 3 * plane, p->size, &p->variation, p->draws + i * VARY_DRAWS);
    }
    for (int64_t i = 0; i < p->rows * 3 * plane; i++) {
        const int c = (int)(i / plane % 3);
        p->values[i] = p->shown[i] * p->scale[c] + p->shift[c];
    }
    p->items = s->items;
    return 0;
}

enum { SHEET = 8 };

/* Numbers of the rows of `found`, nearest to row i of `asking` first; fewer than `n` if there are no more, then i. */
static void find_nearest(int *which, int n, rows asking, rows found, int64_t i, bool itself)
{
    double last = INFINITY;
    for (int k = 0; k < n; k++) {
        double most = -INFINITY;
        which[k] = (int)i;
        for (int64_t j = 0; j < found.count; j++) {
            const double near = cosine100(asking.data + i * asking.dim, found.data + j * found.dim, found.dim);
            if ((j == i && !itself) || near >= last || near <= most) continue;
            most = near;
            which[k] = (int)j;
        }
        last = most;
    }
}

static int paste(const pictures *p, int which, int x, int y, m2m_image *sheet, m2m_error *err)
{
    m2m_image one = {0};
    int status = image_from_chw(&one, p->shown + which * 3 * (int64_t)p->size * p->size, p->size, p->size, err);
    if (!status) image_paste(sheet, &one, x, y);
    m2m_image_free(&one);
    return status;
}

int pictures_nearest(
    const pictures *p, rows asking, rows found, int step, bool itself, m2m_image *sheet, m2m_error *err)
{
    const int all = p->rows / step, lines = all < SHEET ? all : SHEET;
    int status = m2m_image_new(sheet, SHEET * p->size, lines * p->size, 3, err);
    for (int r = 0; r < lines && !status; r++) {
        int which[SHEET] = {r * step};
        find_nearest(which + 1, SHEET - 1, asking, found, which[0], itself);
        for (int k = 0; k < SHEET && !status; k++) status = paste(p, which[k], k * p->size, r * p->size, sheet, err);
    }
    if (status) m2m_image_free(sheet);
    return status;
}
