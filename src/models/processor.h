/* An image encoder's own preprocessing, from preprocessor_config.json: what transformers' BitImageProcessor (DINOv2)
 * and CLIPImageProcessor do, in their PIL versions:
 *
 *     over white where transparent; resized by Pillow's filter (antialiased; a short side keeps the shape, the long one
 *     is rounded down); cropped or padded with black around the centre; times rescale_factor; (x - mean) / std.
 *
 * What it can't do is an error that names key, value found and value wanted. */
#ifndef MODELS_PROCESSOR_H
#define MODELS_PROCESSOR_H

#include "image/resize.h"

#include <stdbool.h>

struct cJSON;

typedef struct processor {
    bool resize, crop, rescale, normalize;
    int short_side;              /* resized to; 0: to width x height */
    int width, height;
    int crop_width, crop_height;
    resize_filter filter;
    double factor;
    float mean[3], std[3];
} processor;

int processor_parse(processor *p, const struct cJSON *json, m2m_error *err);
/* dir: a pipeline with a folder feature_extractor, or a component's folder that holds preprocessor_config.json or lies
 * beside feature_extractor. */
int processor_load(processor *p, const char *dir, m2m_error *err);
/* The path of that file (free). NULL: there is none. */
char *processor_find(const char *dir, m2m_error *err);

/* Size of what comes out for an image of width x height: always the same if there is a crop. */
void processor_size(const processor *p, int width, int height, int *out_width, int *out_height);
/* pixel_values [3, height, width] of processor_size. Errors: M2M_EINVAL, M2M_ENOMEM. Any thread. */
int processor_run(const processor *p, const m2m_image *image, float *pixel_values, m2m_error *err);

#endif
