/* Image sets to train on, behind one interface: WebDataset shards (a sample with members 00.png, 01.png, … is a set,
 * one with a single KEY.png, .jpg or .webp, as pairs of image and text come, a set of one image) and folders of folders
 * (a folder with images is a set). Opening reads names, not pixels; images are decoded when
 * asked for.
 *
 * An open data set is immutable but for its list of bad images: any thread may read images, one thread marks them. */
#ifndef DATA_SET_H
#define DATA_SET_H

#include "base/error.h"
#include "data/captions.h"
#include "image/spec.h"

#include <stdbool.h>

typedef struct dataset dataset;

typedef struct dataset_view {       /* how pixels become what is asked for */
    int width, height;
    image_fit_mode fit;
    uint8_t background[3];
} dataset_view;

/* paths: comma separated; each a .tar, a folder of .tar files, or a folder of folders of images. Sets with fewer than
 * `least` images are left out and counted. Errors: M2M_EIO, M2M_EFORMAT (also: no set at all), M2M_ENOMEM. */
int dataset_open(dataset **d, const char *paths, int least, m2m_error *err);
void dataset_close(dataset **d);

int dataset_sets(const dataset *d);
int dataset_left_out(const dataset *d);
int dataset_images(const dataset *d, int set);          /* of one set */
int64_t dataset_first(const dataset *d, int set);       /* number of its first image, counted over all sets */
int64_t dataset_total(const dataset *d);                /* images */
const char *dataset_key(const dataset *d, int set);     /* for messages */
/* Of keys, names, order and sizes of all images, and of both ends of up to 8,192 of them, spread evenly: data made anew
 * differs, though not every single image that was replaced by one of the same size shows. */
uint64_t dataset_fingerprint(const dataset *d);

int dataset_set_of(const dataset *d, int64_t image);    /* the set that an image of 0..total-1 is in */
/* The set's member of a suffix ("txt", "json", "latents.npy"), borrowed; NULL: it has none, as no folder has. */
const uint8_t *dataset_member(const dataset *d, int set, const char *suffix, size_t *size);

/* The set's caption, to be freed: its member .txt, else "caption" in its .json, without white space around it. Errors
 * name the set: M2M_EFORMAT when it has none, an empty one, one of more than DATASET_CAPTION bytes or one that is no
 * UTF-8, or when its .json is none; M2M_ENOMEM. */
enum { DATASET_CAPTION = CAPTION_BYTES };
int dataset_caption(const dataset *d, int set, char **caption, m2m_error *err);

/* Is a shard's member of this suffix an image of a set: digits, a dot, an image's ending ("03.png")? */
bool dataset_is_member(const char *suffix);

/* A new RGB image as the view wants it. Errors name the image: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. */
int dataset_read(const dataset *d, int set, int image, const dataset_view *v, m2m_image *out, m2m_error *err);

/* Place of an image in its sequence, from 0: its number in a shard, its index in a folder. */
int dataset_position(const dataset *d, int set, int image);
/* The camera beside an image (03.npy beside 03.png). Errors name the file: M2M_EIO when there is none, M2M_EFORMAT,
 * M2M_ENOMEM. */
int dataset_camera(const dataset *d, int set, int image, double pose[12], m2m_error *err);

#endif
