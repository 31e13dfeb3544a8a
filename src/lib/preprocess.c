/* m2m_preprocess: the pixels that an encoder is shown for an image. */
#include "m2m_train.h"

#include "base/file.h"
#include "lib/job.h"
#include "models/component.h"
#include "models/processor.h"

#include <stdlib.h>
#include <string.h>

static const char *const components[] = {"image_encoder", "clip"};

static int known_component(const char *name, m2m_error *err)
{
    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (!strcmp(components[i], name)) return 0;
    return fail(err, M2M_EINVAL, "component: %s, wanted image_encoder or clip", name);
}

static int save_pixels(const processor *p, const m2m_image *img, const char *out, m2m_error *err)
{
    int width, height;
    processor_size(p, img->width, img->height, &width, &height);
    float *pixels = malloc(3 * (size_t)width * (size_t)height * sizeof *pixels);
    if (!pixels) return fail(err, M2M_ENOMEM, "no memory for %d x %d pixels", width, height);
    int status = processor_run(p, img, pixels, err);
    if (!status) {
        results r = {0};
        results_add(&r, "", "pixel_values", SHAPE(1, 3, height, width), pixels);
        status = results_save(&r, out, err);
        results_free(&r);
    }
    free(pixels);
    return status;
}

int m2m_preprocess(const char *dir, const char *component, const char *image, const char *out, m2m_error *err)
{
    processor p;
    m2m_image img = {0};
    int status = known_component(component, err);
    if (!status && !dir_exists(dir)) status = fail(err, M2M_EIO, "%s: is not a directory, wanted a model's", dir);
    if (!status) status = processor_load(&p, dir, err);
    if (!status) status = m2m_image_load(&img, image, err);
    if (!status) status = save_pixels(&p, &img, out, err);
    m2m_image_free(&img);
    return status;
}
