/* What Inception-v3 sees of an image, as the programs that tell FID do it. */
#include "models/inception.h"

#include "image/image.h"
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    resize_filter filter;
    float centre, reach;               /* (x - centre) / reach of 0..255 */
} ways[] = {
    [INCEPTION_PYTORCH_FID] = {RESIZE_TORCH, 127.5f, 127.5f},
    [INCEPTION_TORCH_FIDELITY] = {RESIZE_TENSORFLOW1, 128, 128},
    [INCEPTION_CLEAN_FID] = {RESIZE_BICUBIC, 128, 128},
};

static const char *const names[] = {
#define X(name, text) text,
    INCEPTION_RESIZES(X)
#undef X
};

const char *inception_resize_name(inception_resize how) { return names[how]; }

int inception_resize_find(inception_resize *how, const char *name, m2m_error *err)
{
    for (int i = 0; i < INCEPTION_RESIZE_COUNT; i++)
        if (!strcmp(names[i], name)) {
            *how = (inception_resize)i;
            return 0;
        }
    return fail(err, M2M_EINVAL, "resize: %s, wanted pytorch-fid, torch-fidelity or clean-fid", name);
}

/* [h,w,3] of 0..255 into planes; what bicubic throws beyond that is cut off, as clean-fid does. */
static void fill_planes(float *pixels, const float *from, inception_resize how)
{
    const size_t plane = (size_t)INCEPTION_SIDE * INCEPTION_SIDE;
    const float centre = ways[how].centre, factor = 1 / ways[how].reach;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < plane; i++)
            pixels[c * plane + i] = (fminf(fmaxf(from[3 * i + c], 0), 255) - centre) * factor;
}

int inception_pixels(float *pixels, const m2m_image *image, inception_resize how, m2m_error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    const size_t n = (size_t)image->width * (size_t)image->height * 3;
    m2m_image copy = {0};
    float *from = malloc(n * sizeof *from), *to = malloc(3 * sizeof *to * INCEPTION_SIDE * INCEPTION_SIDE);
    int rc = from && to ? 0 : fail(err, M2M_ENOMEM, "no memory for an image");
    if (!rc && image->channels != 3) {
        rc = image_copy(&copy, image, err);
        if (!rc) image_flatten(&copy, white);
    }
    if (!rc) {
        const uint8_t *rgb = copy.data ? copy.data : image->data;
        for (size_t i = 0; i < n; i++) from[i] = rgb[i];
        rc = resize_f32(to, INCEPTION_SIDE, INCEPTION_SIDE, from, image->width, image->height, 3, ways[how].filter,
                        err);
    }
    if (!rc) fill_planes(pixels, to, how);
    m2m_image_free(&copy);
    free(from);
    free(to);
    return rc;
}
