/* The weights of one component: a safetensors file, or several with an index (diffusers' and
 * transformers' layout).
 *
 * weights_open takes the component's directory, a *.safetensors file or a
 * *.safetensors.index.json. In a directory it takes the first that exists of
 * diffusion_pytorch_model, then model, each as .safetensors, .safetensors.index.json,
 * .fp16.safetensors, .safetensors.index.fp16.json. Files are mapped, not read. An index must
 * name exactly the tensors that its shards hold, and shards are plain names in the same
 * directory. Immutable when open: any thread may read. */
#ifndef TENSOR_WEIGHTS_H
#define TENSOR_WEIGHTS_H

#include "tensor/safetensors.h"

typedef struct weights weights;

/* Errors as safetensors_open's; M2M_EUNSUPPORTED when there are only pickled weights (.bin,
 * .ckpt: reading them can run code). */
int weights_open(weights **out, const char *path, m2m_error *err);
void weights_close(weights **w);                       /* its tensors and names end too */

/* Tensor i in 0..count-1, sorted by name over all files. Borrowed, not to be written. */
int weights_count(const weights *w);
const char *weights_name(const weights *w, int i);
const tensor *weights_at(const weights *w, int i);
const tensor *weights_find(const weights *w, const char *name);   /* NULL: not there */

/* A tensor under another name, or a part of one: data lies in the file that the weights map. */
typedef struct weights_view {
    char *name;                                        /* to be freed; taken by weights_show */
    tensor t;
} weights_view;

/* The weights show these tensors from now on, instead of the files' own; takes `views` (malloc) and its names, also
 * when it fails. Errors: M2M_EFORMAT when two have one name. */
int weights_show(weights *w, weights_view *views, int n, m2m_error *err);

const char *weights_path(const weights *w);            /* what was opened: the file or the index */
int weights_files(const weights *w);                   /* safetensors files: 1 or more */
const safetensors *weights_file(const weights *w, int i);
/* Names all the files: of one, its SHA-256; of several, the SHA-256 of their sums' digits, each with a line feed. Takes
 * most of a second per gigabyte. */
void weights_identity(const weights *w, char text[SHA256_HEX]);
int64_t weights_bytes(const weights *w);               /* of all files */
void weights_drop(const weights *w);                   /* the pages are not needed soon; NULL: nothing */

#endif
