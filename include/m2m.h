/* m2m: given a set of images, make more images of the same set.
 *
 * Example:
 *
 *     #include <m2m.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         m2m_error err;
 *         m2m_model *model = NULL;
 *         m2m_image given = {0}, made = {0};
 *         printf("m2m %s\n", m2m_version());
 *         if (m2m_image_new(&given, 64, 64, 3, &err)) goto failed;
 *         for (int i = 0; i < 64 * 64 * 3; i++) given.data[i] = (uint8_t)i;
 *         if (m2m_model_open(&model, NULL, &err)) {          // NULL: the embedded model
 *             printf("no model here: %s\n", err.msg);        // not installed: nothing more to show
 *             m2m_image_free(&given);
 *             return 0;
 *         }
 *         m2m_generate_options options;
 *         m2m_generate_defaults(&options);
 *         options.n = 1;
 *         options.steps = 2;
 *         if (m2m_generate(model, &given, 1, &options, NULL, &made, &err)) goto failed;
 *         printf("made an image of %d x %d\n", made.width, made.height);
 *         m2m_image_free(&made);
 *         m2m_image_free(&given);
 *         m2m_model_close(&model);
 *         return 0;
 *     failed:
 *         fprintf(stderr, "%s\n", err.msg);
 *         return 1;
 *     }
 *
 * Rules that hold everywhere. A function that can fail returns 0 or a negative M2M_E… and fills *err (which may be
 * NULL); outputs are then untouched unless stated otherwise. What a _new, _open or _load gives, the matching _free or
 * _close takes; it sets the pointer to NULL or the struct to zero, and takes NULL or zero. No function prints, exits,
 * or touches the network, and the library has no global state. Training, data sets and checks of ports are in
 * m2m_train.h. */
#ifndef M2M_H
#define M2M_H

#include <stddef.h>
#include <stdint.h>

/* Every public function is declared with it: the shared library exports these and nothing else. */
#define M2M_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------- */

/* Functions that can fail return 0 or one of these. */
enum {
    M2M_EINVAL = -1,     /* an argument or option is out of range or contradicts another */
    M2M_EIO = -2,        /* a file or directory can't be read or written */
    M2M_EFORMAT = -3,    /* a file's content is not what its format promises */
    M2M_ENOMEM = -4,     /* memory, or a limit on it, ran out */
    M2M_ESHAPE = -5,     /* a tensor is missing, unknown or has another shape */
    M2M_EUNSUPPORTED = -6, /* well-formed, but not something m2m can do */
    M2M_ECANCELLED = -7, /* a callback asked to stop */
    M2M_EDEVICE = -8     /* a device is absent or failed */
};

/* Filled on failure; untouched on success. One line, no trailing newline. */
typedef struct m2m_error {
    int code;
    char msg[508];
} m2m_error;

/* "0.1.0". Static text. Any thread. */
M2M_API const char *m2m_version(void);
/* Commit, compiler and libraries, for a bug report, into buf; returns buf. Any thread. */
M2M_API const char *m2m_build_text(char *buf, size_t size);

/* ---- Images ------------------------------------------------------------------------------------------------- */

/* 8 bits a channel, rows top to bottom, no padding: data[(y*width + x)*channels + c]. */
typedef struct m2m_image {
    int width, height;
    int channels;        /* 3 RGB, 4 RGBA (straight alpha) */
    uint8_t *data;       /* owned: width*height*channels bytes */
} m2m_image;

/* A text that travels with a PNG: keyword (Latin-1, 1..79 bytes) and UTF-8 text. */
typedef struct m2m_text {
    const char *keyword, *text;
} m2m_text;

/* A black image; sides 1..65535, channels 3 or 4. On failure *img is zero. Any thread. */
M2M_API int m2m_image_new(m2m_image *img, int width, int height, int channels, m2m_error *err);
/* Reads PNG, JPEG or WebP, told by content; EXIF orientation is applied. At most 64 million pixels. On failure *img is
 * zero. Errors: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. Any thread. */
M2M_API int m2m_image_load(m2m_image *img, const char *path, m2m_error *err);
/* Writes PNG (.png), JPEG (.jpg) or WebP (.webp) by the path's ending: beside, then renamed, so that a failure leaves
 * what was there. texts (may be NULL) go into a PNG. Errors: M2M_EIO, M2M_EINVAL. Any thread. */
M2M_API int m2m_image_save(const m2m_image *img, const char *path, const m2m_text *texts, int n_texts, m2m_error *err);
M2M_API void m2m_image_free(m2m_image *img);

/* One picture of `given` images (framed) followed by `made` ones, in rows of at most `columns`. Any thread. */
M2M_API int m2m_contact_sheet(m2m_image *sheet, const m2m_image *given, int n_given, const m2m_image *made, int n_made,
                              int columns, m2m_error *err);

/* ---- Model -------------------------------------------------------------------------------------------------- */

/* Weights and configuration; immutable, so threads may share it, and it must outlive what runs on it. */
typedef struct m2m_model m2m_model;

/* Opens a model directory in diffusers' layout (model_index.json; float32, float16 or bfloat16 safetensors, also
 * sharded), or a single-file Stable Diffusion checkpoint (.safetensors) with a tokenizer (tokenizer/, or vocab.json and
 * merges.txt) in its folder. dir NULL: the embedded model (looked for beside the program, in the source tree, and
 * where it was installed). Weights are mapped, not read: while the model is open
 * their files may be replaced (renamed over) or removed, not overwritten or cut short. Every tensor is accounted for: a
 * missing, unknown or misshapen one is M2M_ESHAPE and named. */
M2M_API int m2m_model_open(m2m_model **model, const char *dir, m2m_error *err);
M2M_API void m2m_model_close(m2m_model **model);

typedef struct m2m_model_facts {
    const char *dir;             /* valid while the model is open, like all texts here */
    const char *kind;            /* "m2m-self", "m2m-dino", "text-to-image" */
    int64_t parameters;          /* of the U-Net */
    int64_t weight_bytes;        /* of all components, as stored */
    int width, height;           /* pixels it was made for */
    int latent_channels, latent_factor;
    int64_t context_bytes;       /* cached keys and values per context image at that size */
} m2m_model_facts;

M2M_API void m2m_model_get_facts(const m2m_model *model, m2m_model_facts *facts);

/* SHA-256 of the U-Net's weight file, 64 hex digits (of a sharded one: of its files' sums, a line each). The
 * model's, valid while it is open. The first call reads the file: about a second for Stable Diffusion's. Any thread,
 * several at once. */
M2M_API const char *m2m_model_sha256(const m2m_model *model);

/* ---- Generate ----------------------------------------------------------------------------------------------- */

/* One field per row of m2m_generate.def, where ranges, defaults and meanings stand. Start from m2m_generate_defaults or
 * m2m_model_defaults. */
typedef struct m2m_generate_options {
#define M2M_TYPE_INT int64_t
#define M2M_TYPE_REAL double
#define M2M_TYPE_FLAG int64_t
#define M2M_TYPE_TEXT const char *
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_generate.def"
#undef OPTION
} m2m_generate_options;

M2M_API void m2m_generate_defaults(m2m_generate_options *options);
/* m2m_generate_defaults, then what the model's directory recommends: for a text-to-image one the sampler that its
 * scheduler_config.json names by class (diffusers), and the keys of a generation_config.json, which are rows of
 * m2m_generate.def (numbers, choices and guidance_interval only). Texts are valid while the model is open. Any
 * thread. */
M2M_API void m2m_model_defaults(const m2m_model *model, m2m_generate_options *options);

/* Called from the thread that runs m2m_generate; return non-zero to cancel. All may be NULL. */
typedef struct m2m_generate_calls {
    void *user;
    /* Before the work: bytes that it will hold at most (weights, activations, context), and of these, per context
     * image. */
    int (*plan)(void *user, int64_t bytes, int64_t context_bytes);
    /* After every denoising step: image 0..n-1, step 1..steps. */
    int (*step)(void *user, int image, int step, int steps);
    /* When an image is done; borrowed for the call. made[0..index] hold the images up to it. */
    int (*image)(void *user, int index, const m2m_image *img);
} m2m_generate_calls;

/* Makes options->n more images of the set `given` (1 or more; none if options->latents is set, or from a prompt: a
 * text-to-image directory takes options->prompt and no images, and makes n images of it), one after another, each
 * looking at the last `window` images before it (paper, section 3; spec 5). made: [n], zeroed by the caller, then owned
 * by the caller; on failure (M2M_ECANCELLED too) those that were finished are kept and the rest are zero. calls may be
 * NULL. One call uses the threads it was given; several calls may run on one model at once. Same seed, machine and
 * threads: same bits. */
M2M_API int m2m_generate(const m2m_model *model, const m2m_image *given, int n_given,
                         const m2m_generate_options *options, const m2m_generate_calls *calls, m2m_image *made,
                         m2m_error *err);

/* The texts that m2m writes into PNGs (formats.md 5): `parameters` in A1111's form and `m2m` as JSON for image `index`.
 * Fills texts[2]; each text is to be released with m2m_text_free. */
M2M_API int m2m_generate_texts(const m2m_model *model, const m2m_image *given, int n_given,
                               const m2m_generate_options *options, int index, const m2m_image *made, m2m_text texts[2],
                               m2m_error *err);
M2M_API void m2m_text_free(m2m_text *texts, int n);

#ifdef __cplusplus
}
#endif
#endif
