#include "data/import_set.h"

#include "base/error.h"
#include "image/codec.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What kinds call ---- */

static import_item *refuse_item(import_set *set, const char *why, int number)
{
    char text[120];
    snprintf(text, sizeof text, why, number);
    problems_add(&set->problems, PROBLEM_RECORD, set->name ? set->name : "", text);
    return NULL;
}

static import_item *add_item(import_set *set, int number)
{
    if (set->n == IMPORT_IMAGES) return refuse_item(set, "it has more than %d images", IMPORT_IMAGES);
    if (number < 0 || number > 9999) return refuse_item(set, "its image number %d is none of 0..9999", number);
    for (int i = 0; i < set->n; i++)
        if (set->items[i].number == number) return refuse_item(set, "its image number %d occurs twice", number);
    if (set->n == set->room) {
        int room = set->room ? set->room * 2 : 16;
        import_item *items = realloc(set->items, (size_t)room * sizeof *items);
        if (!items) return set->problems.failed = true, NULL;
        set->items = items;
        set->room = room;
    }
    set->items[set->n] = (import_item){.number = number};
    return &set->items[set->n++];
}

bool import_add(import_set *set, int number, const char *file, const char *pose)
{
    import_item *item = add_item(set, number);
    if (!item) return false;
    item->file = strdup(file);
    item->pose = pose ? strdup(pose) : NULL;
    if (item->file && (item->pose || !pose)) return true;
    set->problems.failed = true;
    return false;
}

bool import_add_bytes(import_set *set, int number, blob bytes, blob pose)
{
    import_item *item = add_item(set, number);
    if (!item) return false;
    item->bytes = bytes;
    item->pose_bytes = pose;
    return true;
}

static void set_free(import_set *set)
{
    for (int i = 0; i < set->n; i++) {
        free(set->items[i].file);
        free(set->items[i].pose);
        blob_free(&set->items[i].bytes);
        blob_free(&set->items[i].pose_bytes);
    }
    free(set->items);
    free(set->name);
    free(set->key);
    free(set->source);
    str_free(&set->about);
    str_free(&set->text);
    problems_free(&set->problems);
    *set = (import_set){0};
}

/* ---- Cameras ---- */

int pose_read(double pose[12], const blob *b, const char *name, m2m_error *err)
{
    tensor t;
    char text[128];
    int rc = npy_view(&t, b->data, b->size, name, err);
    if (rc) return rc;
    if ((t.type != DT_F32 && t.type != DT_F64) || !shape_equal(t.shape, SHAPE(3, 4)))
        return fail(err, M2M_EFORMAT, "%s: holds %s %s, a camera [3, 4] of F32 or F64 was wanted", name,
                    dtype_name(t.type), shape_text(t.shape, text, sizeof text));
    npy_f64(pose, &t);
    for (int i = 0; i < 12; i++)
        if (!isfinite(pose[i])) return fail(err, M2M_EFORMAT, "%s: number %d of 12 is not finite", name, i);
    double worst = 0;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k <= i; k++) {
            double dot = -(i == k);
            for (int c = 0; c < 3; c++) dot += pose[i * 4 + c] * pose[k * 4 + c];
            if (fabs(dot) > worst) worst = fabs(dot);
        }
    const double *a = pose, *e = pose + 4, *r = pose + 8;
    double turn = a[0] * (e[1] * r[2] - e[2] * r[1]) - a[1] * (e[0] * r[2] - e[2] * r[0])
                  + a[2] * (e[0] * r[1] - e[1] * r[0]);
    if (worst > 1e-3 || turn < 0)
        return fail(err, M2M_EFORMAT, "%s: its left 3x3 numbers are no rotation (R R^T is off by %.3g, determinant "
                    "%.3g; wanted 0 and 1)", name, worst, turn);
    return 0;
}

/* ---- Members ---- */

/* The field owns `owned` then. */
static void add_field(made_set *m, const char *suffix, const void *data, size_t size, char *owned)
{
    m->owned[m->n_fields] = owned;
    snprintf(m->suffixes[m->n_fields], sizeof *m->suffixes, "%s", suffix);
    m->fields[m->n_fields] = (shard_field){m->suffixes[m->n_fields], data, size};
    m->n_fields++;
    m->bytes += size;
}

static int add_text(made_set *m, const char *suffix, str *text, m2m_error *err)
{
    size_t size = text->len;
    char *owned = str_take(text);
    if (!owned) return fail(err, M2M_ENOMEM, "no memory to describe a set");
    add_field(m, suffix, owned, size, owned);
    return 0;
}

/* The member's name without its ending: "07", as wide as the set's largest number. */
static const char *number_text(const import_set *set, int number, char buf[8])
{
    int most = 0;
    for (int i = 0; i < set->n; i++) most = set->items[i].number > most ? set->items[i].number : most;
    snprintf(buf, 8, "%0*d", most < 100 ? 2 : most < 1000 ? 3 : 4, number);
    return buf;
}

/* In: the file's bytes and what they show. Out: the bytes of the member; *b owns what it did or, resized, those. */
static int resize(const import_view *v, m2m_image *img, blob *b, image_format *format, m2m_error *err)
{
    m2m_image fitted;
    uint8_t *data;
    size_t size;
    int rc = image_fit(&fitted, img, v->size, v->size, v->fit, v->background, err);
    if (rc) return rc;
    if (*format != IMAGE_JPEG) *format = IMAGE_PNG;
    rc = image_encode(&fitted, *format, NULL, 0, &data, &size, err);
    m2m_image_free(&fitted);
    if (rc) return rc;
    blob_free(b);
    *b = (blob){data, size, (char *)data};
    return 0;
}

static int add_image(made_set *m, const import_view *v, const char *number, blob *b, const char *where, m2m_error *err)
{
    m2m_image img;
    image_format format = image_sniff(b->data, b->size);
    int rc = image_decode(&img, b->data, b->size, where, err);
    if (rc) return rc;
    if (v->size) rc = resize(v, &img, b, &format, err);
    m2m_image_free(&img);
    if (!rc && m->bytes + b->size > (size_t)SHARD_BYTES)
        rc = fail(err, M2M_EFORMAT, "%s: the set would have more than %lld bytes; let images be resized (--size)",
                  where, (long long)SHARD_BYTES);
    if (rc) return rc;
    char suffix[16];
    const char *ending = format == IMAGE_PNG ? "png" : format == IMAGE_JPEG ? "jpg" : "webp";
    snprintf(suffix, sizeof suffix, "%s.%s", number, ending);
    add_field(m, suffix, b->data, b->size, b->owned);
    b->owned = NULL;
    return 0;
}

static int add_pose(made_set *m, const char *number, const double pose[12], m2m_error *err)
{
    str file = {0};
    char suffix[16];
    double copy[12];
    memcpy(copy, pose, sizeof copy);
    tensor t = {.type = DT_F64, .shape = SHAPE(3, 4), .data = copy};
    npy_write(&file, &t);
    snprintf(suffix, sizeof suffix, "%s.npy", number);
    return add_text(m, suffix, &file, err);
}

/* Out of memory ends the job; all else is this image's own fault. */
static int note(made_set *m, problem_kind kind, const char *where, int rc, const m2m_error *why, m2m_error *err)
{
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why->msg);
    if (rc) problems_add(&m->set.problems, kind, where, why->msg);
    return 0;
}

static int load(const import_source *s, const char *file, blob *own, blob *b, const char *where, m2m_error *err)
{
    if (file) return store_read(s->files, file, b, err);
    *b = *own;
    *own = (blob){0};
    return b->data || b->size ? 0 : fail(err, M2M_EFORMAT, "%s: there is none", where);
}

static int add_item_fields(made_set *m, const import_source *s, const import_view *v, import_item *item,
                           m2m_error *err)
{
    char number[8], where[300], pose_where[300];
    double pose[12];
    m2m_error why = {0};
    blob b = {0}, p = {0};
    bool posed = item->pose || item->pose_bytes.data;
    number_text(&m->set, item->number, number);
    if (item->file) snprintf(where, sizeof where, "%.290s", item->file);
    else snprintf(where, sizeof where, "%.270s, image %s", m->set.name, number);
    if (item->pose) snprintf(pose_where, sizeof pose_where, "%.290s", item->pose);
    else snprintf(pose_where, sizeof pose_where, "%.270s, %s.npy", m->set.name, number);
    int rc = posed ? load(s, item->pose, &item->pose_bytes, &p, pose_where, &why) : 0;
    if (posed && !rc) rc = pose_read(pose, &p, pose_where, &why);
    blob_free(&p);
    if (rc) return note(m, PROBLEM_POSE, pose_where, rc, &why, err);
    rc = load(s, item->file, &item->bytes, &b, where, &why);
    if (!rc) rc = add_image(m, v, number, &b, where, &why);
    blob_free(&b);
    if (rc) return note(m, PROBLEM_IMAGE, where, rc, &why, err);
    m->images++;
    return posed ? add_pose(m, number, pose, err) : 0;
}

/* ---- The whole set ---- */

/* The key: number and name, with "_" for what a key must not have. */
static void make_key(made_set *m, int64_t index)
{
    int n = snprintf(m->key, sizeof m->key, "%08lld-", (long long)index);
    const char *name = m->set.name;
    for (; *name && n < 120; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
        m->key[n++] = plain ? (char)c : '_';
    }
    m->key[n] = 0;
}

static int describe(made_set *m, const import_source *source, const bool *good, bool posed, m2m_error *err)
{
    str s = {0};
    import_set *set = &m->set;
    str_add(&s, "{\"source\": ");
    str_json(&s, set->source ? set->source : source->kind);
    str_add(&s, ", \"name\": ");
    str_json(&s, set->name);
    str_printf(&s, ", \"ordered\": %s", set->ordered ? "true" : "false");
    if (set->ordered) {
        int n = 0;
        str_add(&s, ", \"positions\": [");
        for (int i = 0; i < set->n; i++)
            if (good[i]) str_printf(&s, "%s%d", n++ ? ", " : "", set->items[i].number);
        str_char(&s, ']');
    }
    if (posed) str_add(&s, ", \"cameras\": true");
    if (set->about.data) str_add(&s, set->about.data);
    str_add(&s, "}\n");
    s.failed = s.failed || set->about.failed;
    int rc = add_text(m, "json", &s, err);
    str_free(&s);
    if (!rc && set->text.len) rc = add_text(m, "txt", &set->text, err);
    return rc;
}

static int add_images(made_set *m, const import_source *s, const import_view *v, bool *good, bool *posed,
                      m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < m->set.n && !rc; i++) {
        int before = m->images;
        import_item *item = &m->set.items[i];
        *posed = *posed || item->pose || item->pose_bytes.data;
        rc = add_item_fields(m, s, v, item, err);
        good[i] = m->images > before;
    }
    return rc;
}

static int make_fields(made_set *m, const import_source *s, const import_view *v, m2m_error *err)
{
    size_t most = 2 * (size_t)m->set.n + 3;
    bool posed = false, *good = calloc((size_t)m->set.n + 1, sizeof *good);
    m->fields = calloc(most, sizeof *m->fields);
    m->owned = calloc(most, sizeof *m->owned);
    m->suffixes = calloc(most, sizeof *m->suffixes);
    int rc = good && m->fields && m->owned && m->suffixes ? 0 : fail(err, M2M_ENOMEM, "no memory for a set");
    if (!rc) rc = add_images(m, s, v, good, &posed, err);
    if (!rc && m->images) rc = describe(m, s, good, posed, err);
    const blob *latents = &m->set.latents;
    if (!rc && latents->data && !v->size && m->images && m->images == m->set.n)
        add_field(m, "latents.npy", latents->data, latents->size, NULL);
    free(good);
    return rc;
}

static void drop_fields(made_set *m)
{
    for (int i = 0; i < m->n_fields; i++) free(m->owned[i]);
    m->n_fields = m->images = 0;
}

int made_set_make(made_set *m, const import_kind *kind, const import_source *s, const import_view *view, int64_t index,
                  m2m_error *err)
{
    int rc = kind->read(s, index, &m->set, err);
    if (!rc && (m->set.problems.failed || !m->set.name)) rc = fail(err, M2M_ENOMEM, "no memory for a set");
    if (rc) return rc;
    if (m->set.key && strlen(m->set.key) < sizeof m->key) memcpy(m->key, m->set.key, strlen(m->set.key) + 1);
    else make_key(m, index);
    rc = make_fields(m, s, view, err);
    if (rc) return rc;
    if (m->images >= s->options->least || !m->set.n) return 0;
    char why[100];
    snprintf(why, sizeof why, "it has %d good image%s; a set wants %lld", m->images, m->images == 1 ? "" : "s",
             (long long)s->options->least);
    problems_add(&m->set.problems, PROBLEM_SMALL, m->set.name, why);
    drop_fields(m);
    return m->set.problems.failed ? fail(err, M2M_ENOMEM, "no memory for a set") : 0;
}

void made_set_free(made_set *m)
{
    drop_fields(m);
    free(m->fields);
    free(m->owned);
    free(m->suffixes);
    set_free(&m->set);
    *m = (made_set){0};
}
