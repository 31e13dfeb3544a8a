#include "lib/extractor.h"

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"
#include "models/clip.h"
#include "models/features.h"
#include "models/inception.h"
#include "models/processor.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 4 };            /* images at a time; rows of a last batch that are not needed are zero */

struct extractor {
    const struct eye *eye;
    backend *be;
    inception_model inception;
    inception_graph graph;
    exec *x;
    clip_model clip;
    tokenizer *tokenizer;      /* NULL: no texts */
    encoder_model encoder;
    features *dino;
    processor processor;
    int dim, classes, width, height;       /* of what the model sees */
    float *pixels;             /* [BATCH,3,height,width] */
    float *out, *logits;       /* [BATCH,…] as the model gives them */
    char sha256[SHA256_HEX];
};

/* A kind of model: opened; made to see one image; run on BATCH of them, features [BATCH,D] and logits [BATCH,C]. */
typedef struct eye {
    const char *kind;
    int (*open)(extractor *x, const char *dir, m2m_error *err);
    int (*see)(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err);
    int (*run)(extractor *x, float *features, float *logits, m2m_error *err);
} eye;

static int sum_weights(extractor *x, const weights *w, m2m_error *err)
{
    return weights_sha256(w, 0, x->sha256, err);
}

static int see_processed(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err)
{
    int width, height;
    processor_size(&x->processor, image->width, image->height, &width, &height);
    if (width != x->width || height != x->height)
        return fail(err, M2M_EUNSUPPORTED, "%s: its preprocessor makes %dx%d of an image of %dx%d, wanted %dx%d of any",
                    x->eye->kind, width, height, image->width, image->height, x->width, x->height);
    return processor_run(&x->processor, image, pixels, err);
}

/* ---- Inception ---- */

static int open_inception(extractor *x, const char *dir, m2m_error *err)
{
    weights *w = NULL;
    char *inner = component_dir(dir, "inception");
    x->width = x->height = INCEPTION_SIDE;
    int rc = inner ? weights_open(&w, inner, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    if (!rc) rc = sum_weights(x, w, err);
    weights_close(&w);
    free(inner);
    if (!rc) rc = inception_open(&x->inception, dir, err);
    if (!rc) rc = inception_graph_build(&x->graph, &x->inception, BATCH, x->height, x->width, err);
    if (rc) return rc;
    node *wanted[2] = {x->graph.features, x->graph.logits_unbiased};
    x->x = exec_new(x->graph.g, x->be, wanted, 2, err);
    x->dim = INCEPTION_FEATURES;
    x->classes = x->inception.classes;
    return x->x ? 0 : M2M_EUNSUPPORTED;
}

static int see_inception(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    const size_t small = (size_t)image->width * (size_t)image->height * 3, plane = (size_t)x->width * (size_t)x->height;
    m2m_image rgb = {0};
    float *from = malloc(small * sizeof *from), *to = malloc(3 * plane * sizeof *to);
    int rc = from && to ? image_copy(&rgb, image, err) : fail(err, M2M_ENOMEM, "no memory for an image");
    if (!rc) {
        image_flatten(&rgb, white);
        for (size_t i = 0; i < small; i++) from[i] = (float)rgb.data[i] / 255;
        rc = resize_f32(to, x->width, x->height, from, image->width, image->height, 3, RESIZE_BILINEAR, err);
    }
    for (size_t i = 0; i < 3 * plane && !rc; i++) pixels[i % 3 * plane + i / 3] = 2 * to[i] - 1;
    m2m_image_free(&rgb);
    free(from);
    free(to);
    return rc;
}

static int run_inception(extractor *x, float *rows, float *logits, m2m_error *err)
{
    int rc = exec_write(x->x, x->graph.pixels, x->pixels, err);
    if (!rc) rc = exec_run(x->x, err);
    if (rc) return rc;
    exec_read(x->x, x->graph.features, rows);
    exec_read(x->x, x->graph.logits_unbiased, logits);
    return 0;
}

/* ---- CLIP ---- */

static int open_clip(extractor *x, const char *dir, m2m_error *err)
{
    int rc = clip_model_open(&x->clip, dir, err);
    if (!rc) rc = processor_load(&x->processor, x->clip.dir, err);
    if (!rc) rc = sum_weights(x, x->clip.weights, err);
    if (rc) return rc;
    x->dim = x->clip.config.projection;
    x->width = x->height = x->clip.config.image_size;
    char *inner = component_dir(dir, "tokenizer"), *file = inner ? path_join(inner, "tokenizer_config.json") : NULL;
    rc = file ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    if (!rc && file_exists(file)) rc = tokenizer_open(&x->tokenizer, inner, err);
    free(file);
    free(inner);
    return rc;
}

static int run_clip(extractor *x, float *rows, float *logits, m2m_error *err)
{
    (void)logits;
    return clip_images(&x->clip, x->be, x->pixels, BATCH, rows, err);
}

/* ---- DINO ---- */

static int open_dino(extractor *x, const char *dir, m2m_error *err)
{
    int rc = encoder_model_open(&x->encoder, dir, true, err);
    if (!rc) rc = processor_load(&x->processor, dir, err);
    if (!rc) rc = sum_weights(x, x->encoder.weights, err);
    if (rc) return rc;
    x->width = x->processor.crop_width;
    x->height = x->processor.crop_height;
    if (!x->processor.crop) processor_size(&x->processor, 1, 1, &x->width, &x->height);
    x->dino = features_new(&x->encoder, x->be, BATCH, x->height, x->width, err);
    if (!x->dino) return M2M_EINVAL;
    x->dim = x->encoder.config.width;
    x->out = malloc((size_t)(BATCH * features_tokens(x->dino) * x->dim) * sizeof *x->out);
    return x->out ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for features", dir);
}

/* pooler_output is the class token of last_hidden_state. */
static int run_dino(extractor *x, float *rows, float *logits, m2m_error *err)
{
    (void)logits;
    int rc = features_run(x->dino, x->pixels, x->out, err);
    for (int b = 0; b < BATCH && !rc; b++)
        memcpy(rows + (size_t)b * (size_t)x->dim, x->out + b * features_tokens(x->dino) * x->dim,
               (size_t)x->dim * sizeof *rows);
    return rc;
}

/* ---- All ---- */

static const eye eyes[] = {
    {"inception", open_inception, see_inception, run_inception},
    {"clip", open_clip, see_processed, run_clip},
    {"dino", open_dino, see_processed, run_dino},
};

int extractor_open(extractor **out, const char *kind, const char *dir, backend *be, m2m_error *err)
{
    extractor *x = calloc(1, sizeof *x);
    int rc = x ? 0 : fail(err, M2M_ENOMEM, "no memory for %s", kind);
    for (size_t i = 0; i < sizeof eyes / sizeof *eyes && x; i++)
        if (!strcmp(eyes[i].kind, kind)) x->eye = &eyes[i];
    if (!rc && !x->eye) rc = fail(err, M2M_EINVAL, "%s: wanted inception, clip or dino", kind);
    if (!rc) x->be = be;
    if (!rc && (rc = x->eye->open(x, dir, err))) fail_prefix(err, rc, "%s", kind);
    if (!rc && !(x->pixels = calloc((size_t)BATCH * 3 * (size_t)x->width * (size_t)x->height, sizeof *x->pixels)))
        rc = fail(err, M2M_ENOMEM, "%s: no memory for pixels", kind);
    if (rc) extractor_close(&x);
    *out = x;
    return rc;
}

void extractor_close(extractor **out)
{
    extractor *x = *out;
    if (!x) return;
    exec_free(x->x);
    inception_graph_free(&x->graph);
    inception_close(&x->inception);
    tokenizer_close(&x->tokenizer);
    clip_model_close(&x->clip);
    features_free(x->dino);
    encoder_model_close(&x->encoder);
    free(x->pixels);
    free(x->out);
    free(x);
    *out = NULL;
}

int extractor_dim(const extractor *x) { return x->dim; }
int extractor_classes(const extractor *x) { return x->classes; }
const char *extractor_sha256(const extractor *x) { return x->sha256; }
bool extractor_has_text(const extractor *x) { return x->tokenizer != NULL; }

static int run_batch(extractor *x, const m2m_image *images, int n, float *rows, float *logits, m2m_error *err)
{
    const size_t image = 3 * (size_t)x->width * (size_t)x->height;
    int rc = 0;
    memset(x->pixels, 0, BATCH * image * sizeof *x->pixels);
    for (int i = 0; i < n && !rc; i++) rc = x->eye->see(x, &images[i], x->pixels + (size_t)i * image, err);
    return rc ? rc : x->eye->run(x, rows, logits, err);
}

int extractor_images(extractor *x, const m2m_image *images, int n, float *rows, float *logits, m2m_error *err)
{
    const size_t dim = (size_t)x->dim, classes = (size_t)x->classes;
    float *a = malloc(BATCH * dim * sizeof *a), *b = malloc(BATCH * (classes + 1) * sizeof *b);
    int rc = a && b ? 0 : fail(err, M2M_ENOMEM, "no memory for features");
    for (int i = 0; i < n && !rc; i += BATCH) {
        const size_t some = n - i < BATCH ? (size_t)(n - i) : BATCH;
        rc = run_batch(x, images + i, (int)some, a, b, err);
        if (!rc) memcpy(rows + (size_t)i * dim, a, some * dim * sizeof *a);
        if (!rc && logits) memcpy(logits + (size_t)i * classes, b, some * classes * sizeof *b);
    }
    free(a);
    free(b);
    return rc;
}

int extractor_text(extractor *x, const char *text, float *out, m2m_error *err)
{
    check(x->tokenizer, "texts of %s", x->eye->kind);
    int most = x->clip.config.text.positions, length = tokenizer_max_length(x->tokenizer);
    if (!length || length > most) length = most;
    int32_t *ids = malloc((size_t)length * sizeof *ids);
    int rc = ids ? tokenizer_encode_padded(x->tokenizer, text, strlen(text), ids, length, err)
                 : fail(err, M2M_ENOMEM, "no memory for a text");
    if (!rc) rc = clip_texts(&x->clip, x->be, ids, 1, length, out, err);
    free(ids);
    return rc;
}
