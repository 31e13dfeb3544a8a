/* CLIP's tokenizer against transformers' CLIPTokenizer (golden/tokenizer), and against files that are wrong. */
#include "text/tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "scratch_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GOLDEN TEST_DIR "/golden/"

static tokenizer *opened(const char *dir)
{
    m2m_error err = {0};
    tokenizer *t = NULL;
    if (tokenizer_open(&t, dir, &err)) fail_msg("%s", err.msg);
    return t;
}

static void expect_ids(const cJSON *wanted, const int32_t *id, int count, int line, const char *name)
{
    if (cJSON_GetArraySize(wanted) != count)
        fail_msg("%s, line %d: %d ids, wanted %d", name, line, count, cJSON_GetArraySize(wanted));
    int i = 0;
    for (const cJSON *e = wanted->child; e; e = e->next, i++)
        if (e->valueint != id[i]) fail_msg("%s, line %d: id %d is %d, wanted %d", name, line, i, id[i], e->valueint);
}

/* All lines of golden/tokenizer, whole and padded to 12 ids. */
static void compare(const char *dir, const char *answers)
{
    enum { LENGTH = 12 };
    m2m_error err = {0};
    file_map text;
    cJSON *o;
    tokenizer *t = opened(dir);
    if (file_map_open(&text, GOLDEN "tokenizer/lines.txt", &err) || json_load(&o, answers, &err))
        fail_msg("%s", err.msg);
    const cJSON *ids = json_member(o, "ids")->child, *padded = json_member(o, "padded")->child;
    int line = 0;
    for (const char *at = (const char *)text.data, *end = at + text.size; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)(stop - at);
        tokens out = {0};
        int32_t row[LENGTH];
        assert_int_equal(tokenizer_encode(t, at, n, &out, &err), 0);
        expect_ids(ids, out.id, out.count, line, answers);
        assert_int_equal(tokenizer_count(t, at, n, &err), out.count);
        assert_int_equal(tokenizer_encode_padded(t, at, n, row, LENGTH, &err), 0);
        expect_ids(padded, row, LENGTH, line, answers);
        tokens_free(&out);
        at = stop + 1;
        ids = ids->next;
        padded = padded->next;
    }
    assert_true(line > 150 && !ids && !padded);
    assert_int_equal(tokenizer_pad_id(t), json_member(o, "pad")->valueint);
    cJSON_Delete(o);
    file_map_close(&text);
    tokenizer_close(&t);
}

static void as_transformers_sd2(void **state)
{
    (void)state;
    compare(GOLDEN "models/tokenizer_sd2/tokenizer", GOLDEN "tokenizer/sd2.json");
}

static void as_transformers_saved(void **state)
{
    (void)state;
    compare(GOLDEN "models/tokenizer_saved", GOLDEN "tokenizer/saved.json");
}

static void as_transformers_small(void **state)
{
    (void)state;
    compare(GOLDEN "models/tokenizer_small", GOLDEN "tokenizer/small.json");
}

static void tells_its_length(void **state)
{
    (void)state;
    tokenizer *sd2 = opened(GOLDEN "models/tokenizer_sd2/tokenizer"), *small = opened(GOLDEN "models/tokenizer_small");
    assert_int_equal(tokenizer_max_length(sd2), 77);
    assert_int_equal(tokenizer_pad_id(sd2), 0);
    assert_int_equal(tokenizer_max_length(small), 0);
    tokenizer_close(&sd2);
    tokenizer_close(&small);
}

static void refuses_texts(void **state)
{
    (void)state;
    m2m_error err = {0};
    tokens out = {0};
    tokenizer *t = opened(GOLDEN "models/tokenizer_sd2/tokenizer");
    char *long_text = malloc(TOKENIZER_TEXT + 1);
    memset(long_text, 'a', TOKENIZER_TEXT + 1);
    assert_int_equal(tokenizer_encode(t, "a\xff", 2, &out, &err), M2M_EFORMAT);
    assert_int_equal(tokenizer_encode(t, "\xed\xa0\x80", 3, &out, &err), M2M_EFORMAT);
    assert_int_equal(tokenizer_count(t, long_text, TOKENIZER_TEXT + 1, &err), M2M_EINVAL);
    assert_true(tokenizer_count(t, long_text, TOKENIZER_TEXT, &err) > 2);    /* one word, in n log n */
    free(long_text);
    tokens_free(&out);
    tokenizer_close(&t);
}

/* Files that are wrong: what is written, and what the message names. */
static const struct {
    const char *vocab, *merges, *config, *map, *named;
} bad[] = {
    {NULL, NULL, NULL, NULL, "vocab.json"},
    {"[1]", "", NULL, NULL, "vocabulary"},
    {"{}", "", NULL, NULL, "empty"},
    {"{\"a\": -1}", "", NULL, NULL, "\"a\""},
    {"{\"a\": 1.5}", "", NULL, NULL, "1.5"},
    {"{\"a\": 1, \"a\": 2}", "", NULL, NULL, "vocab.json"},
    {"{\"a\": 0, \"b</w>\": 1}", NULL, NULL, NULL, "merges.txt"},
    {"{\"a\": 0, \"b</w>\": 1}", "ab\n", NULL, NULL, "line 1"},
    {"{\"a\": 0, \"b</w>\": 1}", "#version: 0.2\na c\n", NULL, NULL, "\"c\""},
    {"{\"a\": 0, \"b</w>\": 1}", "a b</w>\n", NULL, NULL, "\"ab</w>\""},
    {"{\"a\": 0, \"b</w>\": 1}", "a  \n", NULL, NULL, "merge 1"},
    {"{\"a\": 0}", "", NULL, NULL, "unk_token"},
    {"{\"<|endoftext|>\": 0}", "", "{\"bos_token\": null}", NULL, "bos_token"},
    {"{\"<|endoftext|>\": 0}", "", "{\"pad_token\": 3}", NULL, "pad_token"},
    {"{\"<|endoftext|>\": 0}", "", NULL, "{\"pad_token\": {\"content\": \"x\", \"single_word\": true}}", "single_word"},
    {"{\"<|endoftext|>\": 0}", "", NULL, "[]", "special_tokens_map.json"},
    {"{\"<|endoftext|>\": 0}", "", "{\"model_max_length\": \"77\"}", NULL, "model_max_length"},
};

static void refuses_files(void **state)
{
    (void)state;
    scratch_dir dir;
    assert_int_equal(scratch_dir_make(&dir), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const name[] = {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};
        const char *const text[] = {bad[i].vocab, bad[i].merges, bad[i].config, bad[i].map};
        m2m_error err = {0};
        tokenizer *t = NULL;
        for (int k = 0; k < 4; k++) {
            const char *path = scratch_dir_file(&dir, name[k]);
            remove(path);
            if (text[k]) assert_int_equal(file_write_all(path, text[k], strlen(text[k]), &err), 0);
        }
        if (!tokenizer_open(&t, dir.path, &err)) fail_msg("%zu: opened", i);
        assert_null(t);
        if (!strstr(err.msg, bad[i].named)) fail_msg("%zu: \"%s\" does not name %s", i, err.msg, bad[i].named);
    }
    scratch_dir_remove_tree(dir.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_transformers_sd2),   cmocka_unit_test(as_transformers_saved),
        cmocka_unit_test(as_transformers_small), cmocka_unit_test(tells_its_length),
        cmocka_unit_test(refuses_texts),
        cmocka_unit_test(refuses_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
