#include "tensor/npy.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC = 6, ALIGN = 64, HEADER = 1 << 16 };     /* most bytes of a header: such texts are about a hundred */

static const struct { const char *code; dtype type; } codes[] = {
    {"b1", DT_BOOL}, {"u1", DT_U8}, {"i1", DT_I8}, {"i2", DT_I16}, {"u2", DT_U16}, {"f2", DT_F16}, {"i4", DT_I32},
    {"u4", DT_U32}, {"f4", DT_F32}, {"f8", DT_F64}, {"i8", DT_I64}, {"u8", DT_U64}};

/* ---- The header, a Python dict of three known keys ---- */

typedef struct header {
    const char *at, *end;
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    shape shape;
} header;

static bool take(header *h, const char *text)
{
    size_t n = strlen(text);
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n')) h->at++;
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, text, n) != 0) return false;
    h->at += n;
    return true;
}

static bool take_descr(header *h)
{
    const char *quote = take(h, "'") ? "'" : take(h, "\"") ? "\"" : NULL;
    const char *close = quote ? memchr(h->at, *quote, (size_t)(h->end - h->at)) : NULL;
    if (!close || (size_t)(close - h->at) >= sizeof h->descr) return false;
    memcpy(h->descr, h->at, (size_t)(close - h->at));
    h->at = close + 1;
    return h->has_descr = true;
}

static bool take_shape(header *h)
{
    if (!take(h, "(")) return false;
    while (!take(h, ")")) {
        int64_t n = 0;
        int digits = 0;
        for (; h->at < h->end && *h->at >= '0' && *h->at <= '9' && digits < 16; digits++) n = n * 10 + *h->at++ - '0';
        if (!digits || digits == 16 || h->shape.rank == MAX_RANK) return false;
        h->shape.dim[h->shape.rank++] = n;
        if (!take(h, ",")) {
            if (!take(h, ")")) return false;
            break;
        }
        take(h, " ");
    }
    return h->has_shape = true;
}

static bool take_entry(header *h)
{
    if (!h->has_descr && take(h, "'descr'")) return take(h, ":") && (take(h, " "), take_descr(h));
    if (!h->has_shape && take(h, "'shape'")) return take(h, ":") && take_shape(h);
    if (h->has_order || !take(h, "'fortran_order'") || !take(h, ":")) return false;
    h->fortran = take(h, "True");
    return h->has_order = h->fortran || take(h, "False");
}

static bool take_header(header *h)
{
    if (!take(h, "{")) return false;
    while (!take(h, "}")) {
        if (!take_entry(h)) return false;
        if (!take(h, ",") && !take(h, "}")) return false;
        if (h->at[-1] == '}') break;
    }
    take(h, "");
    return h->at == h->end && h->has_descr && h->has_order && h->has_shape;
}

static int find_type(const header *h, dtype *type, const char *name, m2m_error *err)
{
    const char *d = h->descr;
    if (strchr(d, 'O')) return fail(err, M2M_EFORMAT, "%s: holds Python objects, wanted an array of numbers", name);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (!*d || strcmp(d + 1, codes[i].code) != 0) continue;
        *type = codes[i].type;
        if (*d == '<' || (*d == '|' && dtype_size(*type) == 1)) return 0;
    }
    return fail(err, M2M_EUNSUPPORTED, "%s: its numbers are of type '%.15s', wanted a little-endian type as '<f4' or "
                "'<f8'", name, d);
}

int npy_view(tensor *t, const void *data, size_t size, const char *name, m2m_error *err)
{
    const uint8_t *p = data;
    if (size < 10 || memcmp(p, "\x93NUMPY", MAGIC) != 0 || p[6] < 1 || p[6] > 3)
        return fail(err, M2M_EFORMAT, "%s: no .npy file of format 1 to 3 (%zu bytes)", name, size);
    size_t start = p[6] == 1 ? 10 : 12, n = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1 && size >= 12) n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (size < start || n > size - start || n > HEADER)
        return fail(err, M2M_EFORMAT, "%s: its header would have %zu bytes, the file has %zu", name, n, size);
    header h = {.at = (const char *)p + start, .end = (const char *)p + start + n};
    if (!take_header(&h)) return fail(err, M2M_EFORMAT, "%s: its header is no NumPy header", name);
    dtype type = DT_F64;
    int rc = find_type(&h, &type, name, err);
    if (rc) return rc;
    int64_t count;
    char text[128];
    size_t held = size - start - n;
    if (!shape_count_checked(h.shape, &count) || (uint64_t)count > held || (size_t)count * dtype_size(type) != held)
        return fail(err, M2M_EFORMAT, "%s: holds %zu bytes of numbers, %s of %s were wanted", name, held,
                    shape_text(h.shape, text, sizeof text), dtype_name(type));
    if (h.fortran && h.shape.rank > 1)
        return fail(err, M2M_EUNSUPPORTED, "%s: its numbers are in Fortran order, wanted C order", name);
    *t = (tensor){.type = type, .shape = h.shape, .data = (void *)(uintptr_t)(p + start + n)};
    return 0;
}

void npy_f64(double *dst, const tensor *t)
{
    int64_t n = shape_count(t->shape);
    check(t->type == DT_F32 || t->type == DT_F64, "type %s", dtype_name(t->type));
    for (int64_t i = 0; i < n; i++) {
        float narrow;
        if (t->type == DT_F32) {
            memcpy(&narrow, (const char *)t->data + i * 4, 4);
            dst[i] = (double)narrow;
        } else {
            memcpy(&dst[i], (const char *)t->data + i * 8, 8);
        }
    }
}

void npy_write(str *s, const tensor *t)
{
    const char *code = NULL;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].type == t->type) code = codes[i].code;
    check(code != NULL, "no .npy type for %s", dtype_name(t->type));
    str head = {0};
    str_printf(&head, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", dtype_size(t->type) == 1 ? '|' : '<',
               code);
    for (int i = 0; i < t->shape.rank; i++)
        str_printf(&head, i + 1 < t->shape.rank ? "%lld, " : i ? "%lld" : "%lld,", (long long)t->shape.dim[i]);
    str_add(&head, "), }");
    while (!head.failed && (10 + head.len + 1) % ALIGN) str_char(&head, ' ');
    str_char(&head, '\n');
    uint8_t start[10] = "\x93NUMPY\1";
    start[8] = (uint8_t)(head.len & 255);
    start[9] = (uint8_t)(head.len >> 8);
    str_bytes(s, start, sizeof start);
    str_bytes(s, head.data, head.len);
    str_bytes(s, t->data, (size_t)shape_count(t->shape) * dtype_size(t->type));
    s->failed = s->failed || head.failed;
    str_free(&head);
}
