/* Images one after another, each by its name: those of a folder, or of WebDataset shards. What scores of folders stand
 * on.
 *
 * A folder that holds a .tar is one of shards, and its other files are not looked at; a single .tar will do too. Hidden
 * files, files that don't end as an image and folders in the folder are passed over. Only names are kept: an image is
 * decoded when it is asked for. An open gallery is immutable: any thread. */
#ifndef DATA_GALLERY_H
#define DATA_GALLERY_H

#include "data/problems.h"

typedef struct gallery gallery;

/* Damaged shards go to *p. Errors: M2M_EIO when path is not there; M2M_EFORMAT when it
 * holds no image; M2M_ENOMEM. */
int gallery_open(gallery **g, const char *path, problems *p, m2m_error *err);
void gallery_close(gallery **g);

bool gallery_is_shards(const gallery *g);
int64_t gallery_count(const gallery *g);
/* In order of names: "01.png", "sets-00000.tar: 000012.03.png". */
const char *gallery_name(const gallery *g, int64_t i);
/* What pairs go by, without shard and ending: "01", "000012.03"; *n bytes of the name. */
const char *gallery_stem(const gallery *g, int64_t i, size_t *n);
enum { GALLERY_NONE = -1, GALLERY_SEVERAL = -2 };
/* The image of that stem, or one of the above. */
int64_t gallery_find(const gallery *g, const char *stem, size_t n);

/* As m2m_image_load; errors name the image. */
int gallery_read(const gallery *g, int64_t i, m2m_image *img, m2m_error *err);
/* Its caption, to be freed: in a folder the text file with its stem, in a shard the sample's .txt or .json, as for
 * dataset_caption. Errors: M2M_EFORMAT, M2M_EIO, M2M_ENOMEM. */
int gallery_caption(const gallery *g, int64_t i, char **caption, m2m_error *err);

#endif
