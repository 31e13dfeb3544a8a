#include "lib/extractor.h"

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"
#include "models/clip.h"
#include "models/features.h"
#include "models/inception.h"
#include "models/processor.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, MOST = 1024 };        /* images at a time, unless told otherwise */
enum { REVISION = 1 };                  /* to be raised when other features come out of the same files */

struct extractor {
    const struct eye *eye;
    backend *be;
    inception_model inception;
    inception_graph graph;
    inception_resize resize;
    exec *x;
    clip_model clip;
    clip_graph images, texts;
    exec *text_x;
    tokenizer *tokenizer;      /* NULL: no texts */
    encoder_model encoder;
    features *dino;
    processor processor;
    int dim, classes, width, height;       /* of what the model sees */
    int batch;                 /* images at a time; rows of a last batch that are not needed are zero */
    float *pixels;             /* [batch,3,height,width]; NULL before the first image */
    float *out;                /* [batch,L,D] of dino */
    char name[64], sha256[SHA256_HEX];
    struct sha256_ctx files;   /* all that the model was opened from */
};

/* A kind of model: opened; made ready for x->batch images; made to see one; run on all, features [batch,D] and logits
 * [batch,C]. */
typedef struct eye {
    const char *kind;
    int (*open)(extractor *x, const char *dir, m2m_error *err);
    int (*start)(extractor *x, m2m_error *err);
    int (*see)(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err);
    int (*run)(extractor *x, float *features, float *logits, m2m_error *err);
} eye;

/* ---- What it is made of ---- */

/* One that is not there counts too: it may come later. path NULL: memory is out, or there is no such file. */
static int sum_file(extractor *x, const char *path, m2m_error *err)
{
    char sum[SHA256_HEX] = "";
    int rc = path && file_exists(path) ? sha256_of_file(path, sum, err) : 0;
    sha256_add(&x->files, sum, sizeof sum);
    return rc;
}

static int sum_files(extractor *x, const char *dir, const char *const *names, m2m_error *err)
{
    int rc = 0;
    for (; *names && !rc; names++) {
        char *path = path_join(dir, *names);
        rc = path ? sum_file(x, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
        free(path);
    }
    return rc;
}

/* dir: the model's own, where config.json is. */
static int sum_model(extractor *x, const char *dir, const weights *w, m2m_error *err)
{
    weights_identity(w, x->sha256);
    sha256_add(&x->files, x->sha256, sizeof x->sha256);
    return sum_files(x, dir, (const char *const[]){"config.json", NULL}, err);
}

/* dir: what its processor was loaded from. */
static int sum_processor(extractor *x, const char *dir, m2m_error *err)
{
    char *path = processor_find(dir, err);
    int rc = sum_file(x, path, err);
    free(path);
    return rc;
}

void extractor_id(const extractor *x, char id[SHA256_HEX])
{
    struct sha256_ctx all = x->files;
    uint8_t digest[SHA256_BYTES];
    char how[96];
    const int n = snprintf(how, sizeof how, "%d %s %s", REVISION, x->eye->kind, extractor_resize_name(x));
    sha256_add(&all, how, (size_t)n);
    sha256_digest(&all, sizeof digest, digest);
    sha256_hex(digest, id);
}

/* ---- Seeing ---- */

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
    if (!rc) rc = sum_model(x, inner, w, err);
    weights_close(&w);
    free(inner);
    if (!rc) rc = inception_open(&x->inception, dir, err);
    x->dim = INCEPTION_FEATURES;
    x->classes = x->inception.classes;
    return rc;
}

static int start_inception(extractor *x, m2m_error *err)
{
    int rc = inception_graph_build(&x->graph, &x->inception, x->batch, x->height, x->width, err);
    if (rc) return rc;
    node *wanted[2] = {x->graph.features, x->graph.logits_unbiased};
    x->x = exec_new(x->graph.g, x->be, wanted, 2, err);
    return x->x ? 0 : M2M_EUNSUPPORTED;
}

static int see_inception(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err)
{
    return inception_pixels(pixels, image, x->resize, err);
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

static const char *const tokenizer_files[] = {
    "tokenizer_config.json", "vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json",
    "added_tokens.json", NULL};

static int open_clip(extractor *x, const char *dir, m2m_error *err)
{
    int rc = clip_model_open(&x->clip, dir, err);
    if (!rc) rc = processor_load(&x->processor, x->clip.dir, err);
    if (!rc) rc = sum_model(x, x->clip.dir, x->clip.weights, err);
    if (!rc) rc = sum_processor(x, x->clip.dir, err);
    if (rc) return rc;
    x->dim = x->clip.config.projection;
    x->width = x->height = x->clip.config.image_size;
    char *inner = tokenizer_dir(dir), *file = inner ? path_join(inner, "tokenizer_config.json") : NULL;
    rc = file ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    if (!rc && file_exists(file)) rc = tokenizer_open(&x->tokenizer, inner, err);
    if (!rc) rc = sum_files(x, inner, tokenizer_files, err);
    free(file);
    free(inner);
    return rc;
}

static int start_clip(extractor *x, m2m_error *err)
{
    int rc = clip_image_build(&x->images, &x->clip.config, x->clip.params, x->batch, err);
    if (!rc && !(x->x = exec_new(x->images.g, x->be, &x->images.out, 1, err))) rc = M2M_EUNSUPPORTED;
    return rc;
}

static int run_clip(extractor *x, float *rows, float *logits, m2m_error *err)
{
    (void)logits;
    return clip_images_run(&x->clip, &x->images, x->x, x->pixels, rows, err);
}

/* Texts of `length` tokens, all at the same. */
static int open_texts(extractor *x, int length, m2m_error *err)
{
    if (x->text_x) return 0;
    int rc = clip_texts_build(&x->texts, &x->clip.config, x->clip.params, 1, length, err);
    if (!rc && !(x->text_x = exec_new(x->texts.g, x->be, &x->texts.out, 1, err))) rc = M2M_EUNSUPPORTED;
    return rc;
}

/* ---- DINO ---- */

static int open_dino(extractor *x, const char *dir, m2m_error *err)
{
    int rc = encoder_model_open(&x->encoder, dir, true, err);
    if (!rc) rc = processor_load(&x->processor, dir, err);
    if (!rc) rc = sum_model(x, x->encoder.dir, x->encoder.weights, err);
    if (!rc) rc = sum_processor(x, dir, err);
    if (rc) return rc;
    x->width = x->processor.crop_width;
    x->height = x->processor.crop_height;
    if (!x->processor.crop) processor_size(&x->processor, 1, 1, &x->width, &x->height);
    x->dim = x->encoder.config.width;
    return 0;
}

static int start_dino(extractor *x, m2m_error *err)
{
    x->dino = features_new(&x->encoder, x->be, x->batch, x->height, x->width, err);
    if (!x->dino) return M2M_EINVAL;
    x->out = malloc((size_t)(x->batch * features_tokens(x->dino) * x->dim) * sizeof *x->out);
    return x->out ? 0 : fail(err, M2M_ENOMEM, "no memory for features");
}

/* pooler_output is the class token of last_hidden_state. */
static int run_dino(extractor *x, float *rows, float *logits, m2m_error *err)
{
    (void)logits;
    int rc = features_run(x->dino, x->pixels, x->out, err);
    for (int b = 0; b < x->batch && !rc; b++)
        memcpy(rows + (size_t)b * (size_t)x->dim, x->out + b * features_tokens(x->dino) * x->dim,
               (size_t)x->dim * sizeof *rows);
    return rc;
}

/* ---- All ---- */

static const eye eyes[] = {
    {"inception", open_inception, start_inception, see_inception, run_inception},
    {"clip", open_clip, start_clip, see_processed, run_clip},
    {"dino", open_dino, start_dino, see_processed, run_dino},
};

/* "clip" of "models/clip/". */
static void set_name(extractor *x, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    size_t at = n;
    while (at > 0 && dir[at - 1] != '/') at--;
    snprintf(x->name, sizeof x->name, "%.*s", (int)(n - at), dir + at);
}

int extractor_open(extractor **out, const char *kind, const char *dir, backend *be, m2m_error *err)
{
    extractor *x = calloc(1, sizeof *x);
    int rc = x ? 0 : fail(err, M2M_ENOMEM, "no memory for %s", kind);
    for (size_t i = 0; i < sizeof eyes / sizeof *eyes && x; i++)
        if (!strcmp(eyes[i].kind, kind)) x->eye = &eyes[i];
    if (!rc && !x->eye) rc = fail(err, M2M_EINVAL, "%s: wanted inception, clip or dino", kind);
    if (!rc) *x = (extractor){.be = be, .eye = x->eye, .batch = BATCH};
    if (!rc) set_name(x, dir);
    if (!rc) sha256_init(&x->files);
    if (!rc && (rc = x->eye->open(x, dir, err))) fail_prefix(err, rc, "%s", kind);
    if (rc) extractor_close(&x);
    *out = x;
    return rc;
}

void extractor_close(extractor **out)
{
    extractor *x = *out;
    if (!x) return;
    exec_free(x->x);
    exec_free(x->text_x);
    clip_graph_free(&x->images);
    clip_graph_free(&x->texts);
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

void extractor_batch(extractor *x, int n)
{
    check(n > 0 && n <= MOST && !x->pixels, "batch of %d", n);
    x->batch = n;
}

int extractor_resize(extractor *x, const char *name, m2m_error *err)
{
    return inception_resize_find(&x->resize, name, err);
}

const char *extractor_resize_name(const extractor *x)
{
    return x->eye->see == see_inception ? inception_resize_name(x->resize) : "preprocessor_config.json";
}

int extractor_dim(const extractor *x) { return x->dim; }
int extractor_classes(const extractor *x) { return x->classes; }
const char *extractor_name(const extractor *x) { return x->name; }
const char *extractor_sha256(const extractor *x) { return x->sha256; }
bool extractor_has_text(const extractor *x) { return x->tokenizer != NULL; }

void extractor_label(const extractor *x, const char *inception, const char *other, char *label, size_t size)
{
    const bool twice = !strcmp(x->eye->kind, x->name);
    if (x->classes) snprintf(label, size, "%s", inception);
    else snprintf(label, size, "%s (%s%s%s)", other, x->eye->kind, twice ? "" : " ", twice ? "" : x->name);
}

const char *extractor_frechet_key(const extractor *x) { return x->classes ? "fid" : "frechet_distance"; }

static int start(extractor *x, m2m_error *err)
{
    if (x->pixels) return 0;
    x->pixels = calloc((size_t)x->batch * 3 * (size_t)x->width * (size_t)x->height, sizeof *x->pixels);
    int rc = x->pixels ? x->eye->start(x, err) : fail(err, M2M_ENOMEM, "%s: no memory for pixels", x->eye->kind);
    if (rc) free(x->pixels), x->pixels = NULL;
    return rc;
}

size_t extractor_pixels(const extractor *x) { return 3 * (size_t)x->width * (size_t)x->height; }

int extractor_see(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err)
{
    return x->eye->see(x, image, pixels, err);
}

int extractor_run(extractor *x, const float *pixels, int n, float *features_, float *logits, m2m_error *err)
{
    const size_t dim = (size_t)x->dim, classes = (size_t)x->classes, batch = (size_t)x->batch;
    const size_t image = extractor_pixels(x);
    float *a = malloc(batch * dim * sizeof *a), *b = malloc(batch * (classes + 1) * sizeof *b);
    int rc = a && b ? start(x, err) : fail(err, M2M_ENOMEM, "no memory for features");
    for (int i = 0; i < n && !rc; i += x->batch) {
        const size_t some = n - i < x->batch ? (size_t)(n - i) : batch;
        memcpy(x->pixels, pixels + (size_t)i * image, some * image * sizeof *pixels);
        memset(x->pixels + some * image, 0, (batch - some) * image * sizeof *pixels);
        rc = x->eye->run(x, a, b, err);
        if (!rc) memcpy(features_ + (size_t)i * dim, a, some * dim * sizeof *a);
        if (!rc && logits) memcpy(logits + (size_t)i * classes, b, some * classes * sizeof *b);
    }
    free(a);
    free(b);
    return rc;
}

int extractor_images(extractor *x, const m2m_image *images, int n, float *features_, float *logits, m2m_error *err)
{
    const size_t dim = (size_t)x->dim, classes = (size_t)x->classes, image = extractor_pixels(x);
    float *pixels = malloc((size_t)x->batch * image * sizeof *pixels);
    int rc = pixels ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for pixels", x->eye->kind);
    for (int i = 0; i < n && !rc; i += x->batch) {
        const int some = n - i < x->batch ? n - i : x->batch;
        for (int k = 0; k < some && !rc; k++) rc = extractor_see(x, &images[i + k], pixels + (size_t)k * image, err);
        if (!rc) rc = extractor_run(x, pixels, some, features_ + (size_t)i * dim,
                                    logits ? logits + (size_t)i * classes : NULL, err);
    }
    free(pixels);
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
    if (!rc) rc = open_texts(x, length, err);
    if (!rc) rc = clip_texts_run(&x->clip, &x->texts, x->text_x, ids, out, err);
    free(ids);
    return rc;
}
