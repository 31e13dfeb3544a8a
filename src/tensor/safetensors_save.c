/* Writing safetensors: see safetensors.h. */
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "tensor/safetensors.h"

#include <stdlib.h>
#include <string.h>

static int by_layout(const void *a, const void *b)
{
    const safetensors_item *x = *(const safetensors_item *const *)a,
                           *y = *(const safetensors_item *const *)b;
    size_t m = dtype_size(x->stored), n = dtype_size(y->stored);
    return m != n ? (m > n ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(
        (*(const safetensors_item *const *)a)->name, (*(const safetensors_item *const *)b)->name);
}

static int check_names(const safetensors_item **order, int n, m2m_error *err)
{
    if (n) qsort(order, (size_t)n, sizeof *order, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = order[i]->name;
        if (!*name || strcmp(name, "__metadata__") == 0 || !utf8_valid(name, strlen(name)))
            return fail(err, M2M_EINVAL, "a tensor can't be named \"%.200s\"", name);
        if (i && strcmp(name, order[i - 1]->name) == 0)
            return fail(err, M2M_EINVAL, "two tensors are named \"%.200s\"", name);
    }
    return 0;
}

static void add_header(
    str *s, const safetensors_item **order, int n, const m2m_text *meta, int n_meta)
{
    unsigned long long at = 0;
    str_add(s, "{");
    if (n_meta) {
        str_add(s, "\"__metadata__\":{");
        for (int i = 0; i < n_meta; i++) {
            if (i) str_add(s, ",");
            str_json(s, meta[i].keyword);
            str_add(s, ":");
            str_json(s, meta[i].text);
        }
        str_add(s, n ? "}," : "}");
    }
    for (int i = 0; i < n; i++) {
        const tensor *t = &order[i]->t;
        unsigned long long size =
            (unsigned long long)shape_count(t->shape) * dtype_size(order[i]->stored);
        str_json(s, order[i]->name);
        str_printf(s, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(order[i]->stored));
        for (int k = 0; k < t->shape.rank; k++)
            str_printf(s, k ? ",%lld" : "%lld", (long long)t->shape.dim[k]);
        str_printf(s, "],\"data_offsets\":[%llu,%llu]}%s", at, at + size, i + 1 < n ? "," : "");
        at += size;
    }
    str_add(s, "}");
    while (s->len % 8 && !s->failed) str_add(s, " ");
}

static int write_data(file_out *f, const safetensors_item *item, m2m_error *err)
{
    enum { STEP = 4096 };
    const tensor *t = &item->t;
    int64_t n = shape_count(t->shape);
    size_t size = dtype_size(t->type);
    if (item->stored == t->type) return file_out_write(f, t->data, (size_t)n * size, err);
    float wide[STEP];
    uint64_t narrow[STEP];
    for (int64_t i = 0; i < n; i += STEP) {
        int64_t k = n - i < STEP ? n - i : STEP;
        to_f32(wide, (const uint8_t *)t->data + (size_t)i * size, t->type, k);
        from_f32(narrow, wide, item->stored, k);
        int rc = file_out_write(f, narrow, (size_t)k * dtype_size(item->stored), err);
        if (rc) return rc;
    }
    return 0;
}

static int write_file(
    const char *path, const str *header, const safetensors_item **order, int n, m2m_error *err)
{
    file_out *f;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(header->len >> (8 * i));
    int rc = file_out_open(&f, path, err);
    if (rc) return rc;
    rc = file_out_write(f, length, 8, err);
    if (!rc) rc = file_out_write(f, header->data, header->len, err);
    for (int i = 0; !rc && i < n; i++) rc = write_data(f, order[i], err);
    if (rc)
        file_out_abandon(&f);
    else
        rc = file_out_commit(&f, err);
    return rc;
}

int safetensors_save(const char *path, const safetensors_item *items, int n, const m2m_text *meta,
    int n_meta, m2m_error *err)
{
    str header = {0};
    const safetensors_item **order = malloc(((size_t)n + 1) * sizeof *order);
    if (!order) return fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    for (int i = 0; i < n; i++) order[i] = &items[i];
    int rc = check_names(order, n, err);
    if (rc) {
        rc = fail_prefix(err, rc, "%s", path);
        goto done;
    }
    if (n) qsort(order, (size_t)n, sizeof *order, by_layout);
    add_header(&header, order, n, meta, n_meta);
    rc = header.failed ? fail(err, M2M_ENOMEM, "%s: no memory for its header", path)
                       : write_file(path, &header, order, n, err);
done:
    str_free(&header);
    free(order);
    return rc;
}
