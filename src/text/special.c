#include "text/special.h"

#include "base/error.h"
#include "base/file.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SPECIALS = 1024 };

enum { START, END, UNKNOWN, PAD, NAMED = 7 };
static const char *const names[NAMED] = {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token",
                                         "mask_token"};

/* A token as the files tell it. */
typedef struct told {
    const char *text;        /* of a document */
    bool normalized;
    int64_t order;           /* of added_tokens: by this number; later ones as they come */
} told;

typedef struct reading {
    const vocabulary *v;
    const cJSON *config, *map, *added;    /* tokenizer_config.json, special_tokens_map.json, added_tokens.json */
    told list[MAX_SPECIALS];
    int count;
    const char *named[NAMED];
} reading;

/* ---- one token ---- */

/* value: "text", or an AddedToken as an object. */
static int tell(told *t, const cJSON *value, const char *what, bool is_special, m2m_error *err)
{
    char found[80];
    bool single = false;
    const cJSON *object = cJSON_IsObject(value) ? value : NULL;
    const cJSON *content = object ? json_member(object, "content") : value;
    if (!cJSON_IsString(content))
        return fail(err, M2M_EFORMAT, "%s is %s, wanted a token", what, json_found(value, found, sizeof found));
    *t = (told){.text = content->valuestring};
    int status = object ? json_or_bool(object, "special", &is_special, err) : 0;
    t->normalized = !is_special;
    if (object && !status) status = json_or_bool(object, "normalized", &t->normalized, err);
    if (object && !status) status = json_or_bool(object, "single_word", &single, err);
    if (status) return fail_prefix(err, status, "%s", what);
    return single ? fail(err, M2M_EUNSUPPORTED, "%s has single_word true, wanted false", what) : 0;
}

static const told *find_told(const reading *r, const char *text)
{
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->list[i].text, text)) return &r->list[i];
    return NULL;
}

/* The first telling of a token holds. */
static int add_told(reading *r, told t, m2m_error *err)
{
    if (!*t.text || find_told(r, t.text)) return 0;
    if (r->count == MAX_SPECIALS) return fail(err, M2M_EUNSUPPORTED, "more than %d added tokens", MAX_SPECIALS);
    r->list[r->count++] = t;
    return 0;
}

static int by_order(const void *a, const void *b)
{
    const told *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* ---- the files ---- */

/* "added_tokens_decoder": {"49406": {"content": …}, …}. */
static int read_decoder(reading *r, const cJSON *decoder, m2m_error *err)
{
    int status = 0;
    for (const cJSON *m = decoder->child; m && !status; m = m->next) {
        told t;
        status = tell(&t, m, "added_tokens_decoder", false, err);
        t.order = strtoll(m->string, NULL, 10);
        if (!status) status = add_told(r, t, err);
    }
    return status;
}

/* added_tokens.json: {"<token>": 49408, …}; then tokenizer.json's list, of which all is told. */
static int read_added(reading *r, m2m_error *err)
{
    int status = 0;
    const cJSON *list = vocabulary_added(r->v);
    for (const cJSON *m = cJSON_IsArray(list) ? list->child : NULL; m && !status; m = m->next) {
        told t;
        status = tell(&t, m, "added_tokens", false, err);
        if (!status) status = json_int(m, "id", 0, INT32_MAX, &t.order, err);
        if (!status) status = add_told(r, t, err);
    }
    for (const cJSON *m = r->added ? r->added->child : NULL; m && !status; m = m->next) {
        told t = {.text = m->string, .normalized = true};
        char found[80];
        for (int i = 0; i < NAMED; i++)
            if (r->named[i] && !strcmp(r->named[i], t.text)) t.normalized = false;
        if (!json_is_int(m, 0, INT32_MAX, &t.order))
            status = fail(err, M2M_EFORMAT, "added_tokens.json: \"%.60s\" is %s, wanted an id", m->string,
                          json_found(m, found, sizeof found));
        else status = add_told(r, t, err);
    }
    return status;
}

/* Where the token `name` is told: special_tokens_map.json wins over tokenizer_config.json. */
static const cJSON *told_of(const reading *r, const char *name)
{
    const cJSON *value = r->map ? cJSON_GetObjectItemCaseSensitive(r->map, name) : NULL;
    if (!value && r->config) value = cJSON_GetObjectItemCaseSensitive(r->config, name);
    return value;
}

static int read_named(reading *r, told token[NAMED], m2m_error *err)
{
    static const char *const otherwise[NAMED] = {"<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
    int status = 0;
    for (int i = 0; i < NAMED && !status; i++) {
        const cJSON *value = told_of(r, names[i]);
        token[i] = (told){.text = value ? NULL : otherwise[i]};
        if (value && !cJSON_IsNull(value)) status = tell(&token[i], value, names[i], true, err);
        r->named[i] = token[i].text;
    }
    return status;
}

static int add_list(reading *r, const char *key, m2m_error *err)
{
    const cJSON *list = told_of(r, key);
    int status = 0;
    for (const cJSON *m = cJSON_IsArray(list) ? list->child : NULL; m && !status; m = m->next) {
        told t;
        status = tell(&t, m, key, true, err);
        if (!status) status = add_told(r, t, err);
    }
    return status;
}

/* transformers' order: what the files list as added, by number; then the named ones; then additional ones. */
static int read_all(reading *r, m2m_error *err)
{
    told token[NAMED];
    const cJSON *decoder = r->config ? json_member(r->config, "added_tokens_decoder") : NULL;
    if (!cJSON_IsObject(decoder)) decoder = NULL;
    if (decoder) r->map = r->added = NULL;        /* where it is, the older files are not read */
    int status = read_named(r, token, err);
    if (!status) status = decoder ? read_decoder(r, decoder, err) : 0;
    if (!status) status = read_added(r, err);
    if (status) return status;
    if (r->count) qsort(r->list, (size_t)r->count, sizeof *r->list, by_order);
    for (int i = 0; i < NAMED && !status; i++) status = token[i].text ? add_told(r, token[i], err) : 0;
    if (!status) status = add_list(r, "additional_special_tokens", err);
    return status ? status : add_list(r, "extra_special_tokens", err);
}

/* ---- ids ---- */

static int keep(specials *s, const reading *r, m2m_error *err)
{
    int status = 0;
    int32_t next = vocabulary_size(r->v);
    s->items = calloc((size_t)r->count + 1, sizeof *s->items);
    if (!s->items) return fail(err, M2M_ENOMEM, "no memory for special tokens");
    for (int i = 0; i < r->count && !status; i++) {
        special *out = &s->items[s->count++];
        str text = {0};
        out->normalized = r->list[i].normalized;
        out->id = vocabulary_find(r->v, r->list[i].text);
        if (out->id < 0) out->id = next;
        if (out->id >= next) next = out->id + 1;
        if (out->normalized) status = unicode_normalize(&text, r->list[i].text, strlen(r->list[i].text), err);
        else str_add(&text, r->list[i].text);
        out->text = str_take(&text);
        if (!status && !out->text) status = fail(err, M2M_ENOMEM, "no memory for special tokens");
    }
    return status;
}

static int32_t id_of(const specials *s, const reading *r, int which)
{
    for (int i = 0; i < s->count && r->named[which]; i++)
        if (!strcmp(r->list[i].text, r->named[which])) return s->items[i].id;
    return -1;
}

static int keep_ids(specials *s, const reading *r, m2m_error *err)
{
    int32_t *const ids[] = {&s->start, &s->end, &s->unknown, &s->pad};
    for (int i = START; i <= PAD; i++) {
        *ids[i] = id_of(s, r, i);
        if (*ids[i] < 0) return fail(err, M2M_EFORMAT, "%s is null, wanted a token", names[i]);
    }
    if (vocabulary_find(r->v, r->named[UNKNOWN]) < 0)
        return fail(err, M2M_EFORMAT, "unk_token \"%.60s\" is not in the vocabulary", r->named[UNKNOWN]);
    const cJSON *length = r->config ? json_member(r->config, "model_max_length") : NULL;
    if (length && !cJSON_IsNumber(length)) return fail(err, M2M_EFORMAT, "model_max_length is no number");
    /* transformers writes 1e30 for "no limit" */
    if (length && length->valuedouble >= 3 && length->valuedouble <= 1 << 20)
        s->max_length = (int64_t)length->valuedouble;
    return 0;
}

/* NULL in *o where there is no such file. */
static int load_if_there(cJSON **o, const char *dir, const char *name, m2m_error *err)
{
    char *path = path_join(dir, name);
    int status = path ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    if (!status && file_exists(path)) status = json_load(o, path, err);
    if (!status && *o && !cJSON_IsObject(*o)) status = fail(err, M2M_EFORMAT, "%s: wanted an object", path);
    free(path);
    return status;
}

int specials_read(specials *s, const char *dir, const vocabulary *v, m2m_error *err)
{
    cJSON *config = NULL, *map = NULL, *added = NULL;
    reading *r = calloc(1, sizeof *r);
    *s = (specials){0};
    int status = r ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    if (!status) status = load_if_there(&config, dir, "tokenizer_config.json", err);
    if (!status) status = load_if_there(&map, dir, "special_tokens_map.json", err);
    if (!status) status = load_if_there(&added, dir, "added_tokens.json", err);
    if (!status) {
        *r = (reading){.v = v, .config = config, .map = map, .added = added};
        status = read_all(r, err);
        if (!status) status = keep(s, r, err);
        if (!status) status = keep_ids(s, r, err);
        if (status) fail_prefix(err, status, "%s", dir);
    }
    cJSON_Delete(config);
    cJSON_Delete(map);
    cJSON_Delete(added);
    free(r);
    return status;
}

void specials_free(specials *s)
{
    for (int i = 0; i < s->count; i++) free(s->items[i].text);
    free(s->items);
    *s = (specials){0};
}

const special *specials_match(const specials *s, bool normalized, const char *text, size_t n)
{
    const special *best = NULL;
    size_t longest = 0;
    for (int i = 0; i < s->count; i++) {
        const special *p = &s->items[i];
        if (p->normalized != normalized || p->text[0] != text[0]) continue;
        size_t size = strlen(p->text);
        if (size <= n && size > longest && !memcmp(p->text, text, size)) {
            best = p;
            longest = size;
        }
    }
    return best;
}
