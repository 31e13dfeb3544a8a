/* The contact sheet: what was given (framed, with its own rows), then what was made. Small
 * images are enlarged by whole factors to fill their cell, so that a sheet of 64 x 64 images can be looked at.
 * Declared in m2m.h. */
#include "base/error.h"
#include "image/draw.h"
#include "image/font.h"
#include "image/image.h"
#include "image/resize.h"

#include <stdio.h>

enum { GAP = 8, FRAME = 3, CELL = 128, LABEL = FONT_HEIGHT + GAP };

static const uint8_t paper[3] = {255, 255, 255}, ink[3] = {60, 60, 60}, frame[3] = {230, 126, 34};

typedef struct layout {
    int columns, cell_w, cell_h, zoom;
} layout;

static int rows_of(const layout *l, int n)
{
    return (n + l->columns - 1) / l->columns;
}

static void widen(layout *l, const m2m_image *images, int n)
{
    for (int i = 0; i < n; i++) {
        if (images[i].width > l->cell_w) l->cell_w = images[i].width;
        if (images[i].height > l->cell_h) l->cell_h = images[i].height;
    }
}

static int draw_one(m2m_image *sheet, const m2m_image *img, const layout *l, int x, int y,
    bool framed, m2m_error *err)
{
    if (!img->data) return 0; /* not made: its place stays empty */
    m2m_image big;
    int zoom = l->cell_w * l->zoom / img->width, tall = l->cell_h * l->zoom / img->height;
    if (tall < zoom) zoom = tall;
    int rc = image_resize(&big, img, img->width * zoom, img->height * zoom, RESIZE_NEAREST, err);
    if (rc) return rc;
    x += (l->cell_w * l->zoom - big.width) / 2;
    y += (l->cell_h * l->zoom - big.height) / 2;
    if (framed)
        image_fill(
            sheet, x - FRAME, y - FRAME, big.width + 2 * FRAME, big.height + 2 * FRAME, frame);
    if (framed && big.channels == 4) image_fill(sheet, x, y, big.width, big.height, paper);
    image_paste(sheet, &big, x, y);
    m2m_image_free(&big);
    return 0;
}

/* A label and its rows from *y on. */
static int draw_group(m2m_image *sheet, const char *name, const m2m_image *images, int n,
    const layout *l, int *y, bool framed, m2m_error *err)
{
    char label[64];
    int rc = 0;
    if (n == 0) return 0;
    snprintf(label, sizeof label, "%s (%d)", name, n);
    font_draw(sheet, GAP, *y, 1, label, ink);
    *y += LABEL;
    for (int i = 0; !rc && i < n; i++) {
        int x = GAP + i % l->columns * (l->cell_w * l->zoom + GAP), row = i / l->columns;
        rc = draw_one(sheet, &images[i], l, x, *y + row * (l->cell_h * l->zoom + GAP), framed, err);
    }
    *y += rows_of(l, n) * (l->cell_h * l->zoom + GAP);
    return rc;
}

int m2m_contact_sheet(m2m_image *sheet, const m2m_image *given, int n_given, const m2m_image *made,
    int n_made, int columns, m2m_error *err)
{
    *sheet = (m2m_image){0};
    if (n_given < 0 || n_made < 0 || n_given + n_made < 1 || columns < 1)
        return fail(err, M2M_EINVAL,
            "contact sheet of %d + %d images in %d columns: at least one of each wanted", n_given,
            n_made, columns);
    layout l = {.columns = columns, .zoom = 1};
    widen(&l, given, n_given);
    widen(&l, made, n_made);
    if (l.cell_w < 1) return fail(err, M2M_EINVAL, "contact sheet: all images are empty");
    int most = n_given > n_made ? n_given : n_made;
    if (l.columns > most) l.columns = most;
    while (l.cell_w * (l.zoom + 1) <= CELL && l.cell_h * (l.zoom + 1) <= CELL) l.zoom++;
    int64_t width = GAP + (int64_t)l.columns * (l.cell_w * l.zoom + GAP);
    int64_t rows = rows_of(&l, n_given) + rows_of(&l, n_made),
            labels = (n_given > 0) + (n_made > 0);
    int64_t height = GAP + labels * LABEL + rows * (l.cell_h * l.zoom + GAP);
    if (width > IMAGE_SIDE || height > IMAGE_SIDE)
        return fail(err, M2M_EINVAL,
            "contact sheet of %lld x %lld pixels, at most %d a side; choose other columns",
            (long long)width, (long long)height, (int)IMAGE_SIDE);
    int rc = m2m_image_new(sheet, (int)width, (int)height, 3, err), y = GAP;
    if (rc) return rc;
    image_fill(sheet, 0, 0, sheet->width, sheet->height, paper);
    rc = draw_group(sheet, "given", given, n_given, &l, &y, true, err);
    if (!rc) rc = draw_group(sheet, "generated", made, n_made, &l, &y, false, err);
    if (rc) m2m_image_free(sheet);
    return rc;
}
