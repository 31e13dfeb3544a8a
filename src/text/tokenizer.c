#include "text/tokenizer.h"

#include "base/error.h"
#include "text/special.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

struct tokenizer {
    vocabulary *v;
    specials specials;
};

int tokenizer_open(tokenizer **out, const char *dir, m2m_error *err)
{
    tokenizer *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    int status = vocabulary_open(&t->v, dir, err);
    if (!status) status = specials_read(&t->specials, dir, t->v, err);
    if (status) tokenizer_close(&t);
    else *out = t;
    return status;
}

void tokenizer_close(tokenizer **out)
{
    tokenizer *t = *out;
    if (!t) return;
    specials_free(&t->specials);
    vocabulary_close(&t->v);
    free(t);
    *out = NULL;
}

int tokenizer_max_length(const tokenizer *t) { return (int)t->specials.max_length; }
int32_t tokenizer_start_id(const tokenizer *t) { return t->specials.start; }
int32_t tokenizer_end_id(const tokenizer *t) { return t->specials.end; }
int32_t tokenizer_pad_id(const tokenizer *t) { return t->specials.pad; }

/* ---- words ---- */

static bool starts_with(const char *at, size_t n, const char *with)
{
    size_t size = strlen(with);
    return size <= n && !memcmp(at, with, size);
}

/* Bytes of the run of characters of class `want` at the start. */
static size_t run_of(char_class want, const char *at, size_t n)
{
    size_t size = 0;
    uint32_t code;
    for (int step; size < n && (step = utf8_next(at + size, n - size, &code)) > 0; size += (size_t)step)
        if (unicode_class(code) != want) break;
    return size;
}

/* Bytes of the word that starts there: CLIPTokenizer's pattern, in its order; 0 at a blank. */
static size_t word_at(const char *at, size_t n)
{
    static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    uint32_t code;
    size_t step = (size_t)utf8_next(at, n, &code);
    for (size_t i = 0; i < sizeof contractions / sizeof *contractions; i++)
        if (starts_with(at, n, contractions[i])) return strlen(contractions[i]);
    switch (unicode_class(code)) {
    case CHAR_LETTER: return run_of(CHAR_LETTER, at, n);
    case CHAR_NUMBER: return step;
    case CHAR_OTHER: return run_of(CHAR_OTHER, at, n);
    default: return 0;
    }
}

/* "<|startoftext|>" or "<|endoftext|>" as plain text there; returns its bytes, 0: not there. The pattern has them
 * first, so what follows begins anew; the byte-level splitter after it makes three words of each. */
static size_t add_plain_mark(const tokenizer *t, const char *at, size_t n, tokens *out)
{
    static const char *const marks[] = {"startoftext", "endoftext"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(marks[i]);
        if (n < size + 4 || memcmp(at, "<|", 2) || memcmp(at + 2, marks[i], size) || memcmp(at + 2 + size, "|>", 2))
            continue;
        vocabulary_encode(t->v, "<|", 2, t->specials.unknown, out);
        vocabulary_encode(t->v, marks[i], size, t->specials.unknown, out);
        vocabulary_encode(t->v, "|>", 2, t->specials.unknown, out);
        return size + 4;
    }
    return 0;
}

/* Normalized text without special tokens. */
static void add_words(const tokenizer *t, const char *text, size_t n, tokens *out)
{
    for (size_t i = 0, size; i < n; i += size) {
        size = add_plain_mark(t, text + i, n - i, out);
        if (size) continue;
        size = word_at(text + i, n - i);
        if (size) vocabulary_encode(t->v, text + i, size, t->specials.unknown, out);
        else size = (size_t)utf8_next(text + i, n - i, NULL);
    }
}

/* ---- special tokens ---- */

typedef int part_fn(const tokenizer *t, const char *text, size_t n, tokens *out, m2m_error *err);

/* Special tokens of that kind become their ids, what lies between goes to `between`. */
static int split(const tokenizer *t, bool normalized, const char *text, size_t n, part_fn *between, tokens *out,
                 m2m_error *err)
{
    size_t from = 0, i = 0;
    int status = 0;
    while (i < n && !status) {
        const special *s = specials_match(&t->specials, normalized, text + i, n - i);
        if (!s) {
            i++;
            continue;
        }
        if (i > from) status = between(t, text + from, i - from, out, err);
        tokens_add(out, s->id);
        i += strlen(s->text);
        from = i;
    }
    if (!status && n > from) status = between(t, text + from, n - from, out, err);
    return status;
}

static int words_between(const tokenizer *t, const char *text, size_t n, tokens *out, m2m_error *err)
{
    (void)err;
    add_words(t, text, n, out);
    return 0;
}

static int normalize_between(const tokenizer *t, const char *text, size_t n, tokens *out, m2m_error *err)
{
    str normal = {0};
    int status = unicode_normalize(&normal, text, n, err);
    if (!status) status = split(t, true, normal.data, normal.len, words_between, out, err);
    str_free(&normal);
    return status;
}

/* ---- the interface ---- */

int tokenizer_encode(const tokenizer *t, const char *text, size_t n, tokens *out, m2m_error *err)
{
    if (n > TOKENIZER_TEXT)
        return fail(err, M2M_EINVAL, "text of %zu bytes, wanted at most %d", n, TOKENIZER_TEXT);
    if (!utf8_valid(text, n)) return fail(err, M2M_EFORMAT, "text of %zu bytes is not UTF-8", n);
    tokens_add(out, t->specials.start);
    int status = split(t, false, text, n, normalize_between, out, err);
    tokens_add(out, t->specials.end);
    if (!status && out->failed) status = fail(err, M2M_ENOMEM, "no memory for the tokens of %zu bytes", n);
    return status;
}

int tokenizer_count(const tokenizer *t, const char *text, size_t n, m2m_error *err)
{
    tokens all = {0};
    int status = tokenizer_encode(t, text, n, &all, err), count = all.count;
    tokens_free(&all);
    return status ? status : count;
}

int tokenizer_encode_padded(const tokenizer *t, const char *text, size_t n, int32_t *ids, int length, m2m_error *err)
{
    tokens all = {0};
    check(length >= 2, "wanted %d tokens", length);
    int status = tokenizer_encode(t, text, n, &all, err);
    for (int i = 0; i < length && !status; i++) ids[i] = i < all.count ? all.id[i] : t->specials.pad;
    if (!status && all.count > length) ids[length - 1] = t->specials.end;
    tokens_free(&all);
    return status;
}
