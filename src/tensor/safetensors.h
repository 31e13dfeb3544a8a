/* Reading and writing *.safetensors (formats.md 4): a JSON header, then the tensors' bytes.
 *
 * Files may be hostile: the header is checked in full (limits, types, products, ranges without
 * hole or overlap that end with the file) before a tensor is handed out. Tensors are borrowed
 * from the mapped file; one that lies unaligned is copied. An open file is immutable: any thread
 * may read it. */
#ifndef TENSOR_SAFETENSORS_H
#define TENSOR_SAFETENSORS_H

#include "base/sha256.h"
#include "m2m.h"
#include "tensor/tensor.h"

typedef struct safetensors safetensors;

/* Errors begin with the path: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM; M2M_EUNSUPPORTED for more than
 * MAX_RANK dimensions. */
int safetensors_open(safetensors **out, const char *path, m2m_error *err);
void safetensors_close(safetensors **s);             /* its tensors and names end too */

const char *safetensors_path(const safetensors *s);
size_t safetensors_bytes(const safetensors *s);      /* of the file */
int safetensors_count(const safetensors *s);
/* Tensor i in 0..count-1, sorted by name. The data must not be written. */
const char *safetensors_name(const safetensors *s, int i);
const tensor *safetensors_at(const safetensors *s, int i);
const tensor *safetensors_find(const safetensors *s, const char *name);   /* NULL: not there */
/* A tensor that must be there, with this shape (if not NULL). Errors: M2M_ESHAPE, which name
 * file and tensor. */
int safetensors_need(const safetensors *s, const char *name, const shape *wanted, const tensor **out, m2m_error *err);
/* Text of __metadata__; NULL: no such key. */
const char *safetensors_meta(const safetensors *s, const char *key);
int safetensors_meta_count(const safetensors *s);
m2m_text safetensors_meta_at(const safetensors *s, int i);
/* Of the whole file as it is mapped, whatever lies at its path by now. */
void safetensors_sha256(const safetensors *s, char text[SHA256_HEX]);
/* Its pages are not needed soon; reading them again fetches them from the disk. */
void safetensors_drop(const safetensors *s);

typedef struct safetensors_item {
    const char *name;
    tensor t;                  /* borrowed for the call */
    dtype stored;              /* another than t.type: converted on the way, through float */
} safetensors_item;

/* Writes the file atomically (file_out). Items may come in any order; same items, same bytes:
 * they are laid out by element size, large first, then by name, so that every tensor is aligned.
 * Errors: M2M_EINVAL for an item's name that is empty, double, not UTF-8 or "__metadata__";
 * M2M_EIO; M2M_ENOMEM. */
int safetensors_save(const char *path, const safetensors_item *items, int n, const m2m_text *meta, int n_meta,
                     m2m_error *err);

#endif
