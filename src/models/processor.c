#include "models/processor.h"

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"
#include "models/reader.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 8192 };       /* that a configuration may ask for */

/* ---- configuration ---- */

/* PIL's number of a filter. */
static resize_filter filter_of(reader *r)
{
    static const resize_filter filters[] = {RESIZE_NEAREST, RESIZE_LANCZOS, RESIZE_BILINEAR, RESIZE_BICUBIC,
                                            RESIZE_BOX};
    return filters[reader_int(r, "resample", 3, 0, 4)];
}

/* {"height": H, "width": W}, {"shortest_edge": S} where short_side is not NULL, or the integer of older files: S, or a
 * square. Absent: *short_side or the square as they are. */
static void read_size(reader *r, const char *key, int *short_side, int *width, int *height)
{
    const cJSON *v = r->status ? NULL : json_member(r->o, key);
    if (!v) return;
    if (cJSON_IsNumber(v)) {
        int side = reader_int(r, key, 0, 1, MOST_SIDE);
        if (short_side) *short_side = side;
        else *width = *height = side;
        return;
    }
    if (!cJSON_IsObject(v)) {
        reader_refuse(r, M2M_EFORMAT, key, "something else", "an integer or an object");
        return;
    }
    reader s = {.o = v, .err = r->err};
    reader_only_null(&s, "longest_edge");
    reader_only_null(&s, "max_height");
    reader_only_null(&s, "max_width");
    if (short_side) *short_side = reader_int(&s, "shortest_edge", 0, 1, MOST_SIDE);
    if (!short_side || !*short_side) {
        *width = reader_int(&s, "width", 0, 1, MOST_SIDE);
        *height = reader_int(&s, "height", 0, 1, MOST_SIDE);
        if (!s.status && (!*width || !*height))
            reader_refuse(&s, M2M_EFORMAT, key, "incomplete", short_side ? "shortest_edge, or height and width"
                                                                         : "height and width");
    }
    r->status = s.status;
}

static void read_three(reader *r, const char *key, const float otherwise[3], float out[3])
{
    double values[3];
    int n = 0;
    memcpy(out, otherwise, 3 * sizeof *out);
    if (r->status || !json_member(r->o, key)) return;
    r->status = json_reals(r->o, key, -1e6, 1e6, values, 3, &n, r->err);
    if (!r->status && n != 3) reader_refuse(r, M2M_EFORMAT, key, "another length", "3 numbers");
    for (int i = 0; i < 3 && !r->status; i++) out[i] = (float)values[i];
}

static void known_kind(reader *r, const char *key)
{
    static const char *const known[] = {"BitImageProcessor", "BitImageProcessorFast", "CLIPImageProcessor",
                                        "CLIPImageProcessorFast", "CLIPFeatureExtractor"};
    const char *kind = reader_text(r, key, known[0]);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(kind, known[i])) return;
    reader_refuse(r, M2M_EUNSUPPORTED, key, kind, "BitImageProcessor or CLIPImageProcessor");
}

int processor_parse(processor *p, const cJSON *json, m2m_error *err)
{
    static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f}, std[3] = {0.26862954f, 0.26130258f,
                                                                                   0.27577711f};
    reader r = {.o = json, .err = err};
    *p = (processor){.short_side = 224, .crop_width = 224, .crop_height = 224};
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "is not a JSON object");
    known_kind(&r, "image_processor_type");
    known_kind(&r, "feature_extractor_type");
    p->resize = reader_bool(&r, "do_resize", true);
    p->crop = reader_bool(&r, "do_center_crop", true);
    p->rescale = reader_bool(&r, "do_rescale", true);
    p->normalize = reader_bool(&r, "do_normalize", true);
    reader_only_bool(&r, "do_pad", false);
    p->filter = filter_of(&r);
    read_size(&r, "size", &p->short_side, &p->width, &p->height);
    read_size(&r, "crop_size", NULL, &p->crop_width, &p->crop_height);
    const cJSON *factor = r.status ? NULL : json_member(json, "rescale_factor");
    p->factor = 1 / 255.0;
    if (factor) r.status = json_real(json, "rescale_factor", -1e6, 1e6, &p->factor, err);
    read_three(&r, "image_mean", mean, p->mean);
    read_three(&r, "image_std", std, p->std);
    for (int i = 0; i < 3 && !r.status; i++)
        if (p->std[i] == 0) reader_refuse(&r, M2M_EFORMAT, "image_std", "0", "another number");
    return r.status;
}

static int load_file(processor *p, const char *path, m2m_error *err)
{
    cJSON *o;
    int status = json_load(&o, path, err);
    if (status) return status;
    status = processor_parse(p, o, err);
    cJSON_Delete(o);
    return status ? fail_prefix(err, status, "%s", path) : 0;
}

char *processor_find(const char *dir, m2m_error *err)
{
    static const char *const places[] = {"feature_extractor/preprocessor_config.json", "preprocessor_config.json",
                                         "../feature_extractor/preprocessor_config.json"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = path_join(dir, places[i]);
        if (!path) return fail(err, M2M_ENOMEM, "%s: no memory for a path", dir), NULL;
        if (file_exists(path)) return path;
        free(path);
    }
    return fail(err, M2M_EIO, "%s: has no %s, nor %s", dir, places[0], places[1]), NULL;
}

int processor_load(processor *p, const char *dir, m2m_error *err)
{
    char *path = processor_find(dir, err);
    int status = path ? load_file(p, path, err) : M2M_EIO;
    free(path);
    return status;
}

/* ---- pixels ---- */

static int at_most(int64_t side) { return side > IMAGE_SIDE ? IMAGE_SIDE + 1 : (int)side; }

static void resized(const processor *p, int width, int height, int *w, int *h)
{
    *w = p->resize ? p->width : width;
    *h = p->resize ? p->height : height;
    if (!p->resize || !p->short_side) return;
    int64_t side = p->short_side;
    *w = width <= height ? p->short_side : at_most(side * width / height);
    *h = width <= height ? at_most(side * height / width) : p->short_side;
}

void processor_size(const processor *p, int width, int height, int *out_width, int *out_height)
{
    resized(p, width, height, out_width, out_height);
    if (!p->crop) return;
    *out_width = p->crop_width;
    *out_height = p->crop_height;
}

/* Where a crop of `wanted` begins in `side`, rounded down; negative: that much padding. */
static int crop_start(int side, int wanted)
{
    int over = side - wanted;
    return over >= 0 ? over / 2 : -((1 - over) / 2);
}

/* What each byte becomes, by channel. */
static void fill_table(const processor *p, float table[3][256])
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++) {
            float v = p->rescale ? (float)(i * p->factor) : (float)i;
            table[c][i] = p->normalize ? (v - p->mean[c]) / p->std[c] : v;
        }
}

static void write_planes(const processor *p, const m2m_image *img, int width, int height, float *out)
{
    float table[3][256];
    int left = crop_start(img->width, width), top = crop_start(img->height, height);
    fill_table(p, table);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int sy = y + top, sx = x + left;
                bool inside = sy >= 0 && sy < img->height && sx >= 0 && sx < img->width;
                size_t at = inside ? ((size_t)sy * (size_t)img->width + (size_t)sx) * 3 + (size_t)c : 0;
                *out++ = table[c][inside ? img->data[at] : 0];
            }
}

int processor_run(const processor *p, const m2m_image *image, float *pixel_values, m2m_error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    int w, h, width, height;
    m2m_image rgb = {0}, small = {0};
    resized(p, image->width, image->height, &w, &h);
    processor_size(p, image->width, image->height, &width, &height);
    int status = image_copy(&rgb, image, err);
    if (status) return status;
    image_flatten(&rgb, white);
    status = image_resize(&small, &rgb, w, h, p->filter, err);
    if (!status) write_planes(p, &small, width, height, pixel_values);
    m2m_image_free(&rgb);
    m2m_image_free(&small);
    return status;
}
