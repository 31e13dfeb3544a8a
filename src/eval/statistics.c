/* gaussian_load, gaussian_save: .npz files, zip archives of .npy arrays. */
#include "eval/gaussian.h"

#include "base/error.h"
#include "base/file.h"
#include "tensor/npy.h"

#include <archive.h>
#include <archive_entry.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const size_t ENTRY_LIMIT = (size_t)GAUSSIAN_DIM * GAUSSIAN_DIM * sizeof(double) + 65536;

static int read_entry(struct archive *a, const char *path, str *s, m2m_error *err)
{
    char part[65536];
    la_ssize_t n;
    str_clear(s);
    while ((n = archive_read_data(a, part, sizeof part)) > 0 && s->len <= ENTRY_LIMIT) str_bytes(s, part, (size_t)n);
    if (n < 0) return fail(err, M2M_EFORMAT, "%s: %s", path, archive_error_string(a));
    if (s->len > ENTRY_LIMIT)
        return fail(err, M2M_EFORMAT, "%s: an array of more than %zu bytes, wanted at most %d features", path,
                    ENTRY_LIMIT, (int)GAUSSIAN_DIM);
    return s->failed ? fail(err, M2M_ENOMEM, "%s: no memory for its statistics", path) : 0;
}

/* The array of that rank as new doubles; its first dimension goes to *dim, and all are equal to it. */
static int take_array(const str *s, const char *path, const char *name, int rank, double **out, int64_t *dim,
                      m2m_error *err)
{
    tensor t;
    char what[600], found[80];
    snprintf(what, sizeof what, "%.500s: %s", path, name);
    int status = npy_view(&t, s->data, s->len, what, err);
    if (status) return status;
    if (*out) return fail(err, M2M_EFORMAT, "%s is there twice", what);
    const bool shaped = t.shape.rank == rank && t.shape.dim[0] >= 1 && t.shape.dim[0] <= GAUSSIAN_DIM &&
                        t.shape.dim[rank - 1] == t.shape.dim[0];
    if (!shaped || (t.type != DT_F32 && t.type != DT_F64))
        return fail(err, M2M_EFORMAT, "%s is %s %s, wanted %s of 1 to %d features in F32 or F64", what,
                    dtype_name(t.type), shape_text(t.shape, found, sizeof found),
                    rank == 1 ? "a mean" : "a square covariance", (int)GAUSSIAN_DIM);
    *out = malloc((size_t)shape_count(t.shape) * sizeof **out);
    if (!*out) return fail(err, M2M_ENOMEM, "%s: no memory for its statistics", path);
    npy_f64(*out, &t);
    *dim = t.shape.dim[0];
    for (int64_t i = 0; i < shape_count(t.shape); i++)
        if (!isfinite((*out)[i])) return fail(err, M2M_EFORMAT, "%s holds %g, wanted finite numbers", what, (*out)[i]);
    return 0;
}

static int read_arrays(struct archive *a, const char *path, gaussian *g, m2m_error *err)
{
    struct archive_entry *entry;
    str s = {0};
    int64_t dims[2] = {0, 0};
    int status = 0, r;
    while (!status && (r = archive_read_next_header(a, &entry)) != ARCHIVE_EOF) {
        if (r < ARCHIVE_WARN) {
            status = fail(err, M2M_EFORMAT, "%s: %s", path, archive_error_string(a));
            break;
        }
        const char *name = archive_entry_pathname(entry);
        const bool mean = name && !strcmp(name, "mu.npy"), sigma = name && !strcmp(name, "sigma.npy");
        if (!mean && !sigma) continue;
        status = read_entry(a, path, &s, err);
        if (!status && mean) status = take_array(&s, path, "mu", 1, &g->mean, &dims[0], err);
        if (!status && sigma) status = take_array(&s, path, "sigma", 2, &g->sigma, &dims[1], err);
    }
    str_free(&s);
    if (status) return status;
    if (!g->mean || !g->sigma)
        return fail(err, M2M_EFORMAT, "%s: has no array %s, wanted mu and sigma", path, g->mean ? "sigma" : "mu");
    if (dims[0] != dims[1])
        return fail(err, M2M_EFORMAT, "%s: mu has %lld features, sigma %lld", path, (long long)dims[0],
                    (long long)dims[1]);
    g->dim = (int)dims[0];
    return 0;
}

int gaussian_load(gaussian *g, const char *path, m2m_error *err)
{
    *g = (gaussian){0};
    if (!file_exists(path)) return fail(err, M2M_EIO, "%s: is no file, wanted statistics (.npz)", path);
    struct archive *a = archive_read_new();
    if (!a) return fail(err, M2M_ENOMEM, "%s: no memory to read it", path);
    int status = 0;
    if (archive_read_support_format_zip_seekable(a) || archive_read_open_filename(a, path, 65536))
        status = fail(err, M2M_EFORMAT, "%s: %s", path, archive_error_string(a));
    if (!status) status = read_arrays(a, path, g, err);
    archive_read_free(a);
    if (status) gaussian_free(g);
    return status;
}

/* ---- writing ---- */

typedef struct sink {
    file_out *f;
    m2m_error *err;
} sink;

static la_ssize_t write_some(struct archive *a, void *user, const void *data, size_t size)
{
    sink *s = user;
    (void)a;
    return file_out_write(s->f, data, size, s->err) ? -1 : (la_ssize_t)size;
}

static int write_array(struct archive *a, const char *name, const tensor *t)
{
    str s = {0};
    npy_write(&s, t);
    struct archive_entry *e = archive_entry_new();
    bool ok = e && !s.failed;
    if (ok) {
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_mtime(e, 315532800, 0);      /* 1980, a zip's first: same statistics, same bytes */
        archive_entry_set_size(e, (la_int64_t)s.len);
        ok = archive_write_header(a, e) == ARCHIVE_OK && archive_write_data(a, s.data, s.len) == (la_ssize_t)s.len;
    }
    archive_entry_free(e);
    str_free(&s);
    return ok ? 0 : M2M_EIO;
}

int gaussian_save(const gaussian *g, const char *path, m2m_error *err)
{
    m2m_error own = {0};
    sink s = {.err = &own};
    int status = file_out_open(&s.f, path, err);
    if (status) return status;
    struct archive *a = archive_write_new();
    const tensor mean = {.type = DT_F64, .shape = SHAPE(g->dim), .data = g->mean};
    const tensor sigma = {.type = DT_F64, .shape = SHAPE(g->dim, g->dim), .data = g->sigma};
    const bool ok = a && !archive_write_set_format_zip(a) && !archive_write_zip_set_compression_store(a) &&
                    !archive_write_open(a, &s, NULL, write_some, NULL) && !write_array(a, "mu.npy", &mean) &&
                    !write_array(a, "sigma.npy", &sigma) && !archive_write_close(a);
    if (!ok)
        status = own.code ? fail(err, own.code, "%s", own.msg)
                          : fail(err, M2M_ENOMEM, "%s: the statistics can't be written", path);
    archive_write_free(a);
    if (status) file_out_abandon(&s.f);
    else status = file_out_commit(&s.f, err);
    return status;
}
