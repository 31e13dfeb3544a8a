/* The multi-image data set made from captions (spec 8): for each caption K images from K noises, in WebDataset shards.
 *
 * OUT/train/mis-00000.tar …, OUT/validation/…, OUT/test/…: a sample a caption, its key the caption's id (mis_plan.h) in
 * nine digits; members .00.jpg … (or .png), .txt (the caption), .json (seeds, model, settings), .latents.npy if asked
 * for. OUT/mis.json: settings, counts of the captions, the table of shards.
 *
 * Image k of caption c depends on (seed, c, k) alone: its noise is that of seed mis_image_seed(seed, c, k), with which
 * m2m_generate makes the same image from the same prompt. Shards are what runs share: share i of n is a range of them,
 * so runs exchange nothing. A shard grows set by set (shard_continue), so a run that dies loses the set in work, and
 * the next one goes on there. */
#ifndef DATA_MIS_H
#define DATA_MIS_H

#include "m2m_train.h"

typedef int mis_step(void *user, double done);

/* Where images come from. Borrowed for the call; one thread, but for `tokens`. */
typedef struct mis_source {
    void *user;
    /* Tokens of a caption, start and end included; negative: no memory. Any thread. */
    int (*tokens)(const void *user, const char *caption);
    /* n images of a caption from seeds[n], n at most `batch`; images: zeroed by the caller, then the caller's, also
     * after an error. latents: [n, channels, height, width] of the latent, or NULL. step is told the share of the work
     * that is done, and stops it with M2M_ECANCELLED if it returns non-zero. */
    int (*make)(void *user, const char *caption, const uint64_t *seeds, int n, mis_step *step, void *step_user,
                m2m_image *images, float *latents, m2m_error *err);
    double flops;                          /* of the model for an image; 0: not known */
    int batch, max_tokens;
    int width, height;                     /* pixels */
    int latent_channels, latent_height, latent_width;
    const char *model, *sha256;            /* its directory, and the hash of its U-Net's weights */
} mis_source;

uint64_t mis_image_seed(uint64_t seed, int64_t caption, int k);    /* 53 bits */

/* Makes what options->share asks for and is not there yet. Errors: those of mis_plan.h; M2M_EINVAL for an OUT made
 * with other options; M2M_EIO, also when another run is at the same shard; M2M_ECANCELLED. */
int mis_make(const mis_source *source, const char *captions, const char *out, const m2m_mis_options *options,
             const m2m_calls *calls, m2m_error *err);

/* Counts the captions, makes one batch, and reports as lines what all of it will take. */
int mis_estimate(const mis_source *source, const char *captions, const m2m_mis_options *options,
                 const m2m_calls *calls, m2m_error *err);

#endif
