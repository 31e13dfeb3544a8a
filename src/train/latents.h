/* What a frozen model makes of every image of a data set, encoded once and kept as float16 in a file, keyed by what it
 * was made from: the VAE's latents, or the features of M2M-DINO's image encoder. Images that can't be read are counted
 * and listed; sets that lose too many by it are left out. Or, without any encoding, the latents that the sets bring
 * along (m2m data mis --latents). */
#ifndef TRAIN_LATENTS_H
#define TRAIN_LATENTS_H

#include "data/set.h"
#include "graph/backend.h"
#include "m2m_train.h"
#include "models/sight.h"
#include "tensor/safetensors.h"

typedef struct latents {
    const dataset *stored;   /* not NULL: each set's own latents, read from its shard; data is NULL */
    uint8_t *all_good;       /* owned, with stored */
    safetensors *file;
    const uint16_t *data;    /* [flips, images, C,h,w] or [flips, images, L,D] float16 */
    const uint8_t *good;     /* [images] */
    int64_t images, floats;  /* floats of one latent */
    bool flips;              /* the second half is of mirrored images */
} latents;

/* What encodes: one of both. */
typedef struct latents_source {
    const vae_model *vae;
    const vision *vision;
} latents_source;

/* Opens `path` if it was made from the same model, data and view, else makes it. */
int latents_open(latents *l, const char *path, const dataset *d, const dataset_view *v, const latents_source *from,
                 bool flips, backend *be, const m2m_calls *calls, m2m_error *err);
/* Takes the .latents.npy of every set, [images, C,h,w] float16 as vae and view have them. They must be of this VAE:
 * that can't be seen in them. d must outlive *l. Errors: M2M_EFORMAT names a set without them or with others. */
int latents_open_stored(latents *l, const dataset *d, const dataset_view *v, const vae_model *vae, m2m_error *err);
void latents_close(latents *l);
/* Latent of an image (number over all sets) as float32. */
void latents_get(const latents *l, int64_t image, bool flipped, float *out);

#endif
