/* m2m for laboratories: training, data sets, and the checks that a port or a conversion needs. The rules of m2m.h
 * hold. */
#ifndef M2M_TRAIN_H
#define M2M_TRAIN_H

#include "m2m.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Long calls report here, from the calling thread. All may be NULL. `line` gets whole lines without newline; `progress`
 * says how much of `total` is done (same unit) and returns non-zero to stop: what can be kept is kept (training writes
 * a checkpoint), and the call returns M2M_ECANCELLED. */
typedef struct m2m_calls {
    void *user;
    void (*line)(void *user, const char *text);
    int (*progress)(void *user, const char *what, int64_t done, int64_t total);
} m2m_calls;

/* ---- Checks (spec 3-7; design.md, command line) --------------------------------------------------------------- */

/* Runs one component of a model directory (unet, vae_encoder, vae_decoder, text_encoder, image_encoder, m2m) on the
 * tensors of safetensors file `in`, which carry diffusers' argument names, and writes the results to `out`. backward
 * != 0: also `loss` and grad.<parameter> of every trainable parameter; for clip that of CLIPModel(return_loss=True),
 * for image_encoder the supervised contrastive loss (L_out of Khosla et al. 2020, temperature 0.1) of CLS and mean
 * token together as unit vectors, with `labels` [B] (negative: no positives). exact, fast, int8: as in
 * m2m_generate.def; one of them at most. Errors: M2M_ESHAPE names a tensor that is missing or misshapen; M2M_EDEVICE:
 * also a processor that can't do fast or int8. */
M2M_API int m2m_forward(const char *dir, const char *component, const char *in, const char *out, int backward,
                        int exact, int fast, int int8, const char *device, int threads, m2m_error *err);
/* What a component's own preprocessor (preprocessor_config.json, found in `dir`, in its feature_extractor/ or in the
 * one beside it) makes of an image file: pixel_values [1,3,H,W], into safetensors file `out`. component: image_encoder.
 * As transformers' BitImageProcessor and CLIPImageProcessor in their PIL versions. */
M2M_API int m2m_preprocess(const char *dir, const char *component, const char *image, const char *out, m2m_error *err);
/* AdamW and EMA steps on given batches (inputs with a leading T): losses, param.<name>, ema.<name>. Of M2M, of a
 * text-to-image U-Net (sample, timestep [T] or [T,B], encoder_hidden_states and noise, the target), or of a CLIPModel
 * (pixel_values and input_ids) or Dinov2Model (pixel_values and labels). */
M2M_API int m2m_optimize(const char *dir, const char *in, const char *out, double lr, const char *device, int threads,
                         m2m_error *err);
/* Token ids of each line of a text file (UTF-8, at most 256 KiB a line) as transformers' CLIPTokenizer makes them,
 * start and end included: one JSON array a line to calls->line. dir: a model directory with tokenizer/, or a
 * tokenizer's folder. padded != 0: cut and padded to its model_max_length. Errors name file and line. */
M2M_API int m2m_tokenize(const char *dir, const char *file, int padded, const m2m_calls *calls, m2m_error *err);
/* What a model directory, a component's folder, a single-file Stable Diffusion checkpoint or another safetensors file
 * is, as text lines to calls->line: architecture, every tensor accounted for and, if sums != 0, the SHA-256 of the
 * weight files and which known file that is. Sums read every byte: seconds per GiB. Errors name a tensor that is
 * missing, unknown or misshapen; a sum that is not known is none. */
M2M_API int m2m_info(const char *path, int sums, const m2m_calls *calls, m2m_error *err);

/* ---- A model to start from (spec 4, 7) --------------------------------------------------------------------------- */

typedef struct m2m_init_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_init.def"
#undef OPTION
} m2m_init_options;

/* Makes an M2M model directory `dir` from a text-to-image one, or from a single-file Stable Diffusion checkpoint (its
 * averaged weights, where it has them): U-Net and VAE are kept but for the U-Net's attn2, which is drawn as
 * torch.nn.Linear draws it; the scheduler becomes DDIM with `leading` timesteps. `dir` is new or empty, and appears
 * whole or not at all. Errors name what is missing or does not fit. */
M2M_API int m2m_init(const char *from, const char *dir, const m2m_init_options *options, const m2m_calls *calls,
                     m2m_error *err);

/* ---- Evaluation (spec 9) ---------------------------------------------------------------------------------------- */

/* Scores of the tensors in safetensors file `in`, as one JSON object to calls->line. From features_a [N,D] and
 * features_b [M,D]: "fid" (covariances divided by N-1; any N >= 2) and "kid" (unbiased squared MMD over all rows with
 * the kernel (x.y/D + 1)^3). From logits [N,C], N >= 10: "inception_score_mean" and "inception_score_std" over 10
 * consecutive parts. Errors: M2M_ESHAPE, M2M_EFORMAT for what is not finite, M2M_EINVAL for too few rows. */
M2M_API int m2m_metrics(const char *in, const m2m_calls *calls, m2m_error *err);

typedef struct m2m_sets_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_sets.def"
#undef OPTION
} m2m_sets_options;

/* The paper's protocol (its section 4; docs/evaluation.md): of each set of `data` (paths as m2m_train's) the first
 * images are given, generate->n made, and each n-th image is scored over all sets. `out` gets images/kK/SET/NNN.png,
 * features/, and, when all sets are there, report.json, .csv, .md, .html and sheets/. Image k of set s depends on
 * (generate->seed, s, k) and its context alone. What is there is kept, so the call that follows a dead run finishes
 * it, with the same report; options->share divides the sets among runs, the last of which writes the report. Sets whose
 * given images are missing or can't be read are left out, counted and named. Errors, beside those of m2m_generate and
 * of files: M2M_EINVAL for options that don't fit or when `out` was begun with others. */
M2M_API int m2m_eval_sets(const m2m_model *model, const char *data, const char *out,
                          const m2m_generate_options *generate, const m2m_sets_options *options,
                          const m2m_calls *calls, m2m_error *err);
/* The tables of several such directories as one, into `out`; the scores are not computed again. */
M2M_API int m2m_eval_sets_compare(const char *const *dirs, int n, const char *out, m2m_error *err);

typedef struct m2m_eval_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_eval.def"
#undef OPTION
} m2m_eval_options;

/* A score of folders of images (docs/evaluation.md), as a line to calls->line and, with options->json, as a JSON file.
 * `a` and `b` (NULL where the metric needs one alone): folders of images (those of folders in them not), folders of
 * WebDataset shards, or a shard. Images that can't be read are left out, counted and named. metric:
 *     "fid"     Frechet distance of `a` and `b`; either may be statistics (.npz). Memory does not grow with the images.
 *               With options->save_stats that of `a` alone is written
 *     "kid"     kernel inception distance, with standard error; "prdc": precision, recall, density, coverage of `b`
 *               (made) against `a` (real). These and "is" keep all features: 8 KB an image on Inception
 *     "is"      inception score of `a`
 *     "clip"    100 cos of CLIP's embeddings, averaged: of images of `a` and their captions, or of images with the same
 *               name in `a` and `b`; "dino": likewise of DINOv2's class tokens
 * Errors, beside those of files and models: M2M_EINVAL for options and paths that don't go together or a model that is
 * not given; M2M_EFORMAT when no image is left; M2M_ECANCELLED. */
M2M_API int m2m_eval(const char *metric, const char *a, const char *b, const m2m_eval_options *options,
                     const m2m_calls *calls, m2m_error *err);

/* ---- Training (spec 7) ------------------------------------------------------------------------------------------ */

typedef struct m2m_train_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_train.def"
#undef OPTION
} m2m_train_options;

/* Trains as the JSON file `config` (keys of m2m_train.def) says, after `sets` ("key=value", n_sets of them) replaced
 * values. resume != 0: continues from the last checkpoint in the output directory, bit for bit as if never stopped.
 * What it needs of memory is reported first, and too much is an error (M2M_ENOMEM) before anything starts. */
M2M_API int m2m_train(const char *config, const char *const *sets, int n_sets, int resume, const m2m_calls *calls,
                      m2m_error *err);

/* ---- Data sets -------------------------------------------------------------------------------------------------- */

typedef struct m2m_compose_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_compose.def"
#undef OPTION
} m2m_compose_options;

/* Composes sets from a pool of drawings (docs/data.md) into WebDataset shards under `out`. */
M2M_API int m2m_data_compose(const char *pool, const char *out, const m2m_compose_options *options,
                             const m2m_calls *calls, m2m_error *err);

typedef struct m2m_mis_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_mis.def"
#undef OPTION
} m2m_mis_options;

/* Makes image sets from captions (spec 8; docs/data.md): for each caption of the TSV file `captions` (url<TAB>caption,
 * .gz too) `images` pictures by the text-to-image directory `dir`, as WebDataset shards under `out`. Captions longer
 * than the text encoder takes are left out; they and bad lines are counted in a line. What is there already is kept and
 * the work goes on behind it, so the call that follows a dead run finishes it, with the same bytes. Several runs may
 * work on one `out` with different options->share. Errors, beside those of the model and of files: M2M_EINVAL when
 * `out` was begun with other options, M2M_EIO when another run is at the same shard. */
M2M_API int m2m_data_mis(const char *dir, const char *captions, const char *out, const m2m_mis_options *options,
                         const m2m_calls *calls, m2m_error *err);
/* Makes one batch and reports as lines the time, disk and processor hours that all captions will take. */
M2M_API int m2m_data_mis_plan(const char *dir, const char *captions, const m2m_mis_options *options,
                              const m2m_calls *calls, m2m_error *err);
/* Reads every record of shards or folders; bad ones are counted and listed through calls->line, and a JSON report goes
 * to `report` if not NULL. Returns 0 when the data can be used, M2M_EFORMAT when nothing in it can. */
M2M_API int m2m_data_check(const char *path, const char *report, const m2m_calls *calls, m2m_error *err);

typedef struct m2m_import_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_import.def"
#undef OPTION
} m2m_import_options;

/* Reads a data set in its owner's layout (kind: a name of m2m_kinds.def) and writes its sets as WebDataset shards under
 * `out`: OUT/sets-00000.tar …, OUT/import.json (how), OUT/report.json (what was in it, and every bad record). A set has
 * members NN.png/.jpg/.webp, with cameras NN.npy, KEY.json and perhaps KEY.txt (docs/formats.md). Bad records and
 * images are left out, counted and listed, never replaced. The same call goes on where one was cut off. out NULL:
 * everything is read and checked, nothing written but `report` (may be NULL). Errors: M2M_EINVAL for options, an
 * unknown kind or an `out` made otherwise; M2M_EFORMAT when no set is left; M2M_EIO; M2M_ENOMEM; M2M_ECANCELLED. */
M2M_API int m2m_data_import(const char *kind, const char *source, const char *out, const m2m_import_options *options,
                            const char *report, const m2m_calls *calls, m2m_error *err);

/* ---- Speed ------------------------------------------------------------------------------------------------------ */

typedef struct m2m_bench_options {
#define OPTION(type, field, default_, min, max, choices, help) M2M_TYPE_##type field;
#include "m2m_bench.def"
#undef OPTION
} m2m_bench_options;

/* Times steps of a model directory (or of a U-Net config with random weights) and reports lines: seconds per step,
 * memory, and where the time goes by op; options->json also writes the figures to a file. */
M2M_API int m2m_bench(const char *dir, const m2m_bench_options *options, const m2m_calls *calls, m2m_error *err);

/* ---- Option tables ---------------------------------------------------------------------------------------------- */

/* One row of a .def table, for programs that make flags and help from it. */
typedef struct m2m_option {
    const char *name;            /* field name: flag --name with - for _, JSON key */
    int type;                    /* M2M_OPTION_… */
    size_t offset;               /* of the field in its struct */
    double default_number, min, max;
    const char *default_text, *choices, *help;
} m2m_option;

enum { M2M_OPTION_INT, M2M_OPTION_REAL, M2M_OPTION_FLAG, M2M_OPTION_TEXT };

typedef struct m2m_option_table {
    const char *name;            /* "generate", "train", "compose", "mis", "sets", "eval", "bench", "init" */
    const m2m_option *rows;
    int count;
} m2m_option_table;

/* NULL: no table of that name. Static data. */
M2M_API const m2m_option_table *m2m_options(const char *name);
M2M_API void m2m_options_defaults(const m2m_option_table *t, void *options);
/* Parses, range-checks and stores one value; TEXT fields keep the pointer `value`. */
M2M_API int m2m_options_set(const m2m_option_table *t, void *options, const char *name, const char *value,
                            m2m_error *err);

#ifdef __cplusplus
}
#endif
#endif
