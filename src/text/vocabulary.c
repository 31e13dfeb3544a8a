#include "text/vocabulary.h"

#include "base/error.h"
#include "base/file.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ID = 1 << 24, MAX_MERGES = 1 << 22 };

typedef struct entry {
    const char *token;       /* of the document */
    int32_t id;
} entry;

typedef struct merge {
    int32_t left, right, rank, made;
} merge;

struct vocabulary {
    cJSON *document;         /* vocab.json or tokenizer.json: owns the entries' texts */
    bool whole;              /* it is tokenizer.json */
    entry *entries;          /* sorted by token */
    int count;
    int32_t inner[256], last[256];   /* id of a byte as a symbol within a word and at its end; -1: none */
    merge *merges;           /* sorted by left, right */
    int n_merges;
};

/* ---- tokens ---- */

void tokens_add(tokens *t, int32_t id)
{
    if (t->count == t->room) {
        int room = t->room ? 2 * t->room : 96;
        int32_t *grown = room > 0 ? realloc(t->id, (size_t)room * sizeof *grown) : NULL;
        if (!grown) {
            t->failed = true;
            return;
        }
        t->id = grown;
        t->room = room;
    }
    t->id[t->count++] = id;
}

void tokens_free(tokens *t)
{
    free(t->id);
    *t = (tokens){0};
}

/* ---- entries ---- */

static int by_token(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->token, ((const entry *)b)->token);
}

int32_t vocabulary_find(const vocabulary *v, const char *token)
{
    entry key = {.token = token};
    const entry *found = v->count ? bsearch(&key, v->entries, (size_t)v->count, sizeof key, by_token) : NULL;
    return found ? found->id : -1;
}

int vocabulary_size(const vocabulary *v) { return v->count; }

const cJSON *vocabulary_added(const vocabulary *v)
{
    return v->whole ? json_member(v->document, "added_tokens") : NULL;
}

static int read_entries(vocabulary *v, const cJSON *vocab, m2m_error *err)
{
    if (!cJSON_IsObject(vocab)) return fail(err, M2M_EFORMAT, "has no vocabulary, wanted an object of tokens and ids");
    v->entries = malloc(((size_t)cJSON_GetArraySize(vocab) + 1) * sizeof *v->entries);
    if (!v->entries) return fail(err, M2M_ENOMEM, "no memory for a vocabulary");
    for (const cJSON *m = vocab->child; m; m = m->next) {
        int64_t id;
        char found[80];
        if (!json_is_int(m, 0, MAX_ID, &id))
            return fail(err, M2M_EFORMAT, "token \"%.60s\" has the id %s, wanted 0..%d", m->string,
                        json_found(m, found, sizeof found), MAX_ID);
        v->entries[v->count++] = (entry){m->string, (int32_t)id};
    }
    if (v->count == 0) return fail(err, M2M_EFORMAT, "has an empty vocabulary");
    qsort(v->entries, (size_t)v->count, sizeof *v->entries, by_token);
    return 0;
}

/* GPT-2's printable stand-ins for bytes: those that print stand for themselves, the others follow from U+0100. */
static int find_bytes(vocabulary *v, m2m_error *err)
{
    str symbol = {0};
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256 && !symbol.failed; b++) {
        bool prints = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        str_clear(&symbol);
        unicode_add(&symbol, prints ? b : next++);
        str_char(&symbol, '\0');
        v->inner[b] = symbol.failed ? -1 : vocabulary_find(v, symbol.data);
        symbol.len--;
        str_bytes(&symbol, "</w>", 5);
        v->last[b] = symbol.failed ? -1 : vocabulary_find(v, symbol.data);
    }
    bool failed = symbol.failed;
    str_free(&symbol);
    return failed ? fail(err, M2M_ENOMEM, "no memory for a vocabulary") : 0;
}

/* ---- merges ---- */

static int by_pair(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    if (x->right != y->right) return x->right < y->right ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static const merge *find_merge(const vocabulary *v, int32_t left, int32_t right)
{
    int lo = 0, hi = v->n_merges;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        const merge *m = &v->merges[mid];
        if (m->left < left || (m->left == left && m->right < right)) lo = mid + 1;
        else hi = mid;
    }
    bool found = lo < v->n_merges && v->merges[lo].left == left && v->merges[lo].right == right;
    return found ? &v->merges[lo] : NULL;
}

/* Adds the merge of left and right, texts of n and m bytes; `at` is its line or place, from 1. */
static int add_merge(vocabulary *v, const char *left, size_t n, const char *right, size_t m, int at, m2m_error *err)
{
    enum { MOST = 1000 };
    char a[MOST], b[MOST], both[2 * MOST];
    if (n == 0 || m == 0 || n >= MOST || m >= MOST)
        return fail(err, M2M_EFORMAT, "merge %d has parts of %zu and %zu bytes, wanted 1..%d each", at, n, m, MOST - 1);
    if (v->n_merges == MAX_MERGES) return fail(err, M2M_EFORMAT, "has more than %d merges", MAX_MERGES);
    memcpy(a, left, n);
    memcpy(b, right, m);
    a[n] = b[m] = '\0';
    memcpy(both, a, n);
    memcpy(both + n, b, m + 1);
    merge add = {vocabulary_find(v, a), vocabulary_find(v, b), v->n_merges, vocabulary_find(v, both)};
    const char *missing = add.left < 0 ? a : add.right < 0 ? b : add.made < 0 ? both : NULL;
    if (missing) return fail(err, M2M_EFORMAT, "merge %d: \"%.100s\" is not in the vocabulary", at, missing);
    if ((v->n_merges & (v->n_merges + 1)) == 0) {    /* full at 0, 1, 3, 7, …: room for twice as many and one */
        merge *grown = realloc(v->merges, (2 * (size_t)v->n_merges + 1) * sizeof *grown);
        if (!grown) return fail(err, M2M_ENOMEM, "no memory for %d merges", v->n_merges);
        v->merges = grown;
    }
    v->merges[v->n_merges++] = add;
    return 0;
}

static int read_merge_lines(vocabulary *v, const char *text, size_t size, m2m_error *err)
{
    int status = 0, line = 0;
    for (const char *at = text, *end = text + size; at < end && !status;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;
        size_t n = (size_t)((stop ? stop : end) - at);
        if (n && at[n - 1] == '\r') n--;
        const char *blank = memchr(at, ' ', n);
        line++;
        if (n == 0 && next == end) break;
        if (n >= 8 && !memcmp(at, "#version", 8)) blank = NULL;
        else if (!blank) status = fail(err, M2M_EFORMAT, "line %d has no blank, wanted two symbols", line);
        if (blank)
            status = add_merge(v, at, (size_t)(blank - at), blank + 1, n - 1 - (size_t)(blank - at), line, err);
        at = next;
    }
    return status;
}

/* tokenizer.json: an array of "a b" or ["a", "b"]. */
static int read_merge_array(vocabulary *v, const cJSON *list, m2m_error *err)
{
    int status = 0, at = 0;
    if (!cJSON_IsArray(list)) return fail(err, M2M_EFORMAT, "has no \"merges\", wanted an array");
    for (const cJSON *e = list->child; e && !status; e = e->next) {
        const char *left = NULL, *right = NULL;
        size_t n = 0;
        if (cJSON_IsString(e) && (right = strchr(e->valuestring, ' '))) {
            left = e->valuestring;
            n = (size_t)(right++ - left);
        } else if (cJSON_IsArray(e) && cJSON_GetArraySize(e) == 2 && cJSON_IsString(e->child) &&
                   cJSON_IsString(e->child->next)) {
            left = e->child->valuestring;
            right = e->child->next->valuestring;
            n = strlen(left);
        }
        at++;
        if (left && right) status = add_merge(v, left, n, right, strlen(right), at, err);
        else status = fail(err, M2M_EFORMAT, "merge %d is something else, wanted two symbols", at);
    }
    return status;
}

static void sort_merges(vocabulary *v)
{
    int kept = 0;
    if (v->n_merges) qsort(v->merges, (size_t)v->n_merges, sizeof *v->merges, by_pair);
    for (int i = 0; i < v->n_merges; i++) {          /* of two equal pairs the later one holds */
        const merge *m = &v->merges[i];
        if (kept && v->merges[kept - 1].left == m->left && v->merges[kept - 1].right == m->right) kept--;
        v->merges[kept++] = *m;
    }
    v->n_merges = kept;
}

/* ---- opening ---- */

static int read_whole(vocabulary *v, const char *path, m2m_error *err)
{
    int status = json_load(&v->document, path, err);
    if (status) return status;
    const cJSON *model = json_member(v->document, "model");
    v->whole = true;
    status = read_entries(v, cJSON_IsObject(model) ? json_member(model, "vocab") : NULL, err);
    if (!status) status = read_merge_array(v, json_member(model, "merges"), err);
    return status ? fail_prefix(err, status, "%s", path) : 0;
}

static int read_pair(vocabulary *v, const char *vocab, const char *merges, m2m_error *err)
{
    int status = json_load(&v->document, vocab, err);
    if (status) return status;
    status = read_entries(v, v->document, err);
    if (status) return fail_prefix(err, status, "%s", vocab);
    file_map text;
    status = file_map_open(&text, merges, err);
    if (status) return status;
    status = read_merge_lines(v, (const char *)text.data, text.size, err);
    file_map_close(&text);
    return status ? fail_prefix(err, status, "%s", merges) : 0;
}

int vocabulary_open(vocabulary **out, const char *dir, m2m_error *err)
{
    vocabulary *v = calloc(1, sizeof *v);
    char *whole = path_join(dir, "tokenizer.json"), *vocab = path_join(dir, "vocab.json"),
         *merges = path_join(dir, "merges.txt");
    int status = 0;
    if (!v || !whole || !vocab || !merges) status = fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    else if (file_exists(whole)) status = read_whole(v, whole, err);
    else if (file_exists(vocab)) status = read_pair(v, vocab, merges, err);
    else status = fail(err, M2M_EIO, "%s: has no vocab.json and merges.txt, and no tokenizer.json", dir);
    if (!status) sort_merges(v);
    if (!status) status = find_bytes(v, err);
    free(whole);
    free(vocab);
    free(merges);
    if (status) vocabulary_close(&v);
    else *out = v;
    return status;
}

void vocabulary_close(vocabulary **out)
{
    vocabulary *v = *out;
    if (!v) return;
    cJSON_Delete(v->document);
    free(v->entries);
    free(v->merges);
    free(v);
    *out = NULL;
}

/* ---- encoding ---- */

/* A word's symbols as a list; a merged symbol's right part is dead (id -1). */
typedef struct symbol {
    int32_t id;
    int before, after;       /* places; -1: none */
} symbol;

typedef struct candidate {
    const merge *m;
    int at;                  /* place of the left symbol */
} candidate;

/* Candidates as a binary heap: the lowest rank first, of equal ones the leftmost. A word of n bytes takes n log n. */
typedef struct heap {
    candidate *items;
    int count;
} heap;

static bool sooner(candidate a, candidate b)
{
    return a.m->rank != b.m->rank ? a.m->rank < b.m->rank : a.at < b.at;
}

static void heap_push(heap *h, candidate c)
{
    int i = h->count++;
    for (; i > 0 && sooner(c, h->items[(i - 1) / 2]); i = (i - 1) / 2) h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = c;
}

static candidate heap_pop(heap *h)
{
    candidate top = h->items[0], moved = h->items[--h->count];
    int i = 0;
    for (int child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && sooner(h->items[child + 1], h->items[child])) child++;
        if (!sooner(h->items[child], moved)) break;
        h->items[i] = h->items[child];
    }
    h->items[i] = moved;
    return top;
}

static void offer(const vocabulary *v, heap *h, const symbol *s, int at)
{
    if (at < 0 || s[at].after < 0) return;
    const merge *m = find_merge(v, s[at].id, s[s[at].after].id);
    if (m) heap_push(h, (candidate){m, at});
}

static void merge_all(const vocabulary *v, heap *h, symbol *s, int n)
{
    for (int i = 0; i < n; i++) offer(v, h, s, i);
    while (h->count) {
        candidate c = heap_pop(h);
        symbol *left = &s[c.at];
        if (left->id != c.m->left || left->after < 0 || s[left->after].id != c.m->right) continue;
        symbol *right = &s[left->after];
        left->id = c.m->made;
        left->after = right->after;
        if (left->after >= 0) s[left->after].before = c.at;
        right->id = right->after = -1;
        offer(v, h, s, left->before);
        offer(v, h, s, c.at);
    }
}

void vocabulary_encode(const vocabulary *v, const char *word, size_t n, int32_t unknown, tokens *out)
{
    check(n >= 1 && n < INT32_MAX / 4, "a word of %zu bytes", n);
    symbol *s = malloc(n * sizeof *s);
    heap h = {.items = malloc(3 * n * sizeof *h.items)};    /* n - 1 at first, and 2 for each of n - 1 merges */
    if (s && h.items) {
        for (size_t i = 0; i < n; i++) {
            bool end = i + 1 == n;
            int32_t id = (end ? v->last : v->inner)[(uint8_t)word[i]];
            s[i] = (symbol){id < 0 ? unknown : id, (int)i - 1, end ? -1 : (int)i + 1};
        }
        merge_all(v, &h, s, (int)n);
        for (int i = 0; i >= 0; i = s[i].after) tokens_add(out, s[i].id);
    } else {
        out->failed = true;
    }
    free(s);
    free(h.items);
}
