/* safetensors: what is written is read back; every way of being malformed that formats.md 4 names is refused with its
 * reason. */
#include "base/file.h"
#include "base/str.h"
#include "scratch_dir.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define OF(type_, shape_, data_)                      \
    {                                                 \
        .type = type_, .shape = shape_, .data = data_ \
    }

SCRATCH_DIR_FIXTURE(dir)

/* A file of that header with `length` as its stated length and `data` bytes behind it. */
static const char *write_raw(
    const char *name, uint64_t length, const char *header, size_t header_size, size_t data)
{
    str s = {0};
    const char *path = scratch_dir_file(&dir, name);
    for (int i = 0; i < 8; i++) str_char(&s, (char)(length >> (8 * i)));
    str_bytes(&s, header, header_size);
    for (size_t i = 0; i < data; i++) str_char(&s, (char)i);
    assert_int_equal(file_write_all(path, s.data, s.len, NULL), 0);
    str_free(&s);
    return path;
}

static void refuse(const char *path, int code, const char *reason)
{
    m2m_error err = {0};
    safetensors *s = (safetensors *)&err; /* must stay untouched */
    int rc = safetensors_open(&s, path, &err);
    if (rc != code || !strstr(err.msg, reason) || strncmp(err.msg, path, strlen(path)) != 0)
        fail_msg("%s: got %d \"%s\", wanted %d with \"%s\"", path, rc, err.msg, code, reason);
    assert_ptr_equal(s, &err);
    assert_null(strchr(err.msg, '\n'));
}

/* ---- Round trips ---- */

static void written_is_read(void **state)
{
    (void)state;
    float f[6] = {0, 1.5f, -2, 1e30f, -0.0f, INFINITY};
    int64_t i[2] = {-1, INT64_MAX};
    uint8_t b[3] = {1, 0, 1};
    const safetensors_item items[] = {{"z.flags", OF(DT_BOOL, SHAPE(3), b), DT_BOOL},
        {"b.weight", OF(DT_F32, SHAPE(2, 3), f), DT_F32},
        {"a \"quoted\" \xC3\xA4", OF(DT_I64, SHAPE(2), i), DT_I64},
        {"empty", OF(DT_F32, SHAPE(0, 4), NULL), DT_F32},
        {"scalar", OF(DT_F32, {0}, f + 1), DT_F32}};
    const m2m_text meta[] = {{"format", "pt"}, {"note", "two\nlines \xE2\x9C\x93"}};
    safetensors *s;
    const char *path = scratch_dir_file(&dir, "round.safetensors");
    assert_int_equal(safetensors_save(path, items, 5, meta, 2, NULL), 0);
    assert_int_equal(safetensors_open(&s, path, NULL), 0);
    assert_int_equal(safetensors_count(s), 5);
    assert_string_equal(safetensors_name(s, 0), "a \"quoted\" \xC3\xA4");
    assert_string_equal(safetensors_name(s, 4), "z.flags");
    const tensor *t = safetensors_find(s, "b.weight");
    assert_non_null(t);
    assert_int_equal(t->type, DT_F32);
    assert_true(shape_equal(t->shape, SHAPE(2, 3)));
    assert_memory_equal(t->data, f, sizeof f);
    assert_memory_equal(safetensors_find(s, "a \"quoted\" \xC3\xA4")->data, i, sizeof i);
    assert_memory_equal(safetensors_find(s, "z.flags")->data, b, sizeof b);
    assert_int_equal(safetensors_find(s, "scalar")->shape.rank, 0);
    assert_int_equal(shape_count(safetensors_find(s, "empty")->shape), 0);
    for (int k = 0; k < 5; k++)
        assert_true(safetensors_at(s, k)->mapped); /* all aligned: no copy */
    assert_null(safetensors_find(s, "absent"));
    assert_string_equal(safetensors_meta(s, "format"), "pt");
    assert_string_equal(safetensors_meta(s, "note"), meta[1].text);
    assert_null(safetensors_meta(s, "Format"));
    assert_int_equal(safetensors_meta_count(s), 2);
    safetensors_drop(s);
    assert_memory_equal(t->data, f, sizeof f);
    safetensors_close(&s);
    assert_null(s);
    safetensors_close(&s);
}

static void order_of_items_does_not_matter(void **state)
{
    (void)state;
    float f[4] = {1, 2, 3, 4};
    safetensors_item items[] = {{"a", OF(DT_F32, SHAPE(4), f), DT_F16},
        {"b", OF(DT_F32, SHAPE(2, 2), f), DT_F32}, {"c", OF(DT_F32, SHAPE(1), f), DT_U8}};
    const safetensors_item turned[] = {items[2], items[1], items[0]};
    char *one, *two, path[500];
    size_t n, m;
    snprintf(path, sizeof path, "%s", scratch_dir_file(&dir, "one"));
    assert_int_equal(safetensors_save(path, items, 3, NULL, 0, NULL), 0);
    assert_int_equal(file_read_all(path, 1 << 20, &one, &n, NULL), 0);
    assert_int_equal(safetensors_save(path, turned, 3, NULL, 0, NULL), 0);
    assert_int_equal(file_read_all(path, 1 << 20, &two, &m, NULL), 0);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    free(one);
    free(two);
}

static void conversion_while_writing(void **state)
{
    (void)state;
    enum { N = 10000 }; /* more than one block */
    static float f[N], got[N];
    for (int i = 0; i < N; i++) f[i] = (float)(i % 2048 - 1024) / 8;
    const safetensors_item item = {"w", OF(DT_F32, SHAPE(N), f), DT_F16};
    safetensors *s;
    const char *path = scratch_dir_file(&dir, "half");
    assert_int_equal(safetensors_save(path, &item, 1, NULL, 0, NULL), 0);
    assert_int_equal(safetensors_open(&s, path, NULL), 0);
    const tensor *t = safetensors_find(s, "w");
    assert_int_equal(t->type, DT_F16);
    to_f32(got, t->data, t->type, N);
    assert_memory_equal(got, f, sizeof f);
    safetensors_close(&s);
}

static void nothing_at_all(void **state)
{
    (void)state;
    safetensors *s;
    const char *path = scratch_dir_file(&dir, "none");
    assert_int_equal(safetensors_save(path, NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(safetensors_open(&s, path, NULL), 0);
    assert_int_equal(safetensors_count(s), 0);
    assert_null(safetensors_find(s, ""));
    safetensors_close(&s);
}

static void unaligned_data_can_be_used(void **state)
{
    (void)state;
    const char *header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}}";
    safetensors *s;
    const char *path = write_raw("odd", strlen(header), header, strlen(header), 9);
    assert_int_equal(safetensors_open(&s, path, NULL), 0);
    const tensor *t = safetensors_find(s, "b");
    assert_int_equal((uintptr_t)t->data % 4, 0);
    assert_memory_equal(t->data, "\1\2\3\4\5\6\7\10", 8);
    safetensors_close(&s);
}

static void needed_tensors_are_named(void **state)
{
    (void)state;
    m2m_error err = {0};
    float f[2] = {0};
    const safetensors_item item = {"w", OF(DT_F32, SHAPE(2), f), DT_F32};
    safetensors *s;
    const tensor *t = NULL;
    assert_int_equal(safetensors_save(scratch_dir_file(&dir, "need"), &item, 1, NULL, 0, NULL), 0);
    assert_int_equal(safetensors_open(&s, scratch_dir_file(&dir, "need"), NULL), 0);
    assert_int_equal(safetensors_need(s, "v", NULL, &t, &err), M2M_ESHAPE);
    assert_non_null(strstr(err.msg, "no tensor \"v\""));
    shape wanted = SHAPE(1, 2);
    assert_int_equal(safetensors_need(s, "w", &wanted, &t, &err), M2M_ESHAPE);
    assert_non_null(strstr(err.msg, "\"w\" has shape [2], wanted [1, 2]"));
    assert_null(t);
    wanted = SHAPE(2);
    assert_int_equal(safetensors_need(s, "w", &wanted, &t, &err), 0);
    assert_ptr_equal(t, safetensors_find(s, "w"));
    safetensors_close(&s);
}

/* ---- Writing that must fail ---- */

static void bad_names_are_refused(void **state)
{
    (void)state;
    float f[1] = {0};
    const tensor t = OF(DT_F32, SHAPE(1), f);
    const char *path = scratch_dir_file(&dir, "names");
    m2m_error err = {0};
    assert_int_equal(
        safetensors_save(path, (safetensors_item[]){{"", t, DT_F32}}, 1, NULL, 0, &err),
        M2M_EINVAL);
    assert_int_equal(
        safetensors_save(path, (safetensors_item[]){{"__metadata__", t, DT_F32}}, 1, NULL, 0, &err),
        M2M_EINVAL);
    assert_int_equal(
        safetensors_save(path, (safetensors_item[]){{"\xff", t, DT_F32}}, 1, NULL, 0, &err),
        M2M_EINVAL);
    const safetensors_item twice[] = {{"w", t, DT_F32}, {"v", t, DT_F32}, {"w", t, DT_F32}};
    assert_int_equal(safetensors_save(path, twice, 3, NULL, 0, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "two tensors are named \"w\""));
    assert_false(file_exists(path));
}

static void full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    float f[1] = {0};
    m2m_error err = {0};
    const safetensors_item item = {"w", OF(DT_F32, SHAPE(1), f), DT_F32};
    assert_int_equal(safetensors_save("/dev/full", &item, 1, NULL, 0, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "/dev/full"));
    assert_int_equal(safetensors_save("/nonexistent/w", &item, 1, NULL, 0, &err), M2M_EIO);
}

/* ---- Hostile files ---- */

#define ONE(dtype, shape, offsets) \
    "{\"w\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(a, b)                                                \
    "{\"v\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" a \
    "},\"w\":{\"dtype\":\"U8\",\"shape\":[4],"                   \
    "\"data_offsets\":" b "}}"

static const struct {
    const char *name, *header;
    size_t data;
    int code;
    const char *reason;
} hostile[] = {
    {"end-overflows", ONE("U8", "[4]", "[0,18446744073709551615]"), 4, M2M_EFORMAT, "data_offsets"},
    {"end-beyond-file", ONE("U8", "[5]", "[0,5]"), 4, M2M_EFORMAT,
        "lies at 0..5, the file has data at 0..4"},
    {"begin-after-end", ONE("U8", "[4]", "[4,0]"), 4, M2M_EFORMAT, "lies at 4..0"},
    {"negative-offset", ONE("U8", "[4]", "[-4,0]"), 4, M2M_EFORMAT, "data_offsets"},
    {"fractional-offset", ONE("U8", "[4]", "[0,4.5]"), 4, M2M_EFORMAT, "data_offsets"},
    {"text-offset", ONE("U8", "[4]", "[\"0\",4]"), 4, M2M_EFORMAT, "data_offsets"},
    {"one-offset", ONE("U8", "[4]", "[4]"), 4, M2M_EFORMAT, "1 data_offsets"},
    {"three-offsets", ONE("U8", "[4]", "[0,4,8]"), 4, M2M_EFORMAT, "data_offsets"},
    {"no-offsets", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, M2M_EFORMAT,
        "\"data_offsets\" is absent"},
    {"overlap", TWO("[0,4]", "[2,6]"), 6, M2M_EFORMAT, "begins at 2, but the one before ends at 4"},
    {"same-place", TWO("[0,4]", "[0,4]"), 4, M2M_EFORMAT, "begins at 0"},
    {"hole", TWO("[0,4]", "[8,12]"), 12, M2M_EFORMAT, "hole"},
    {"hole-at-start", ONE("U8", "[4]", "[4,8]"), 8, M2M_EFORMAT, "hole"},
    {"trailing-bytes", ONE("U8", "[4]", "[0,4]"), 5, M2M_EFORMAT,
        "end at byte 4 of the data, file at 5"},
    {"trailing-alone", "{}", 3, M2M_EFORMAT, "end at byte 0"},
    {"unknown-dtype", ONE("F31", "[4]", "[0,4]"), 4, M2M_EFORMAT, "dtype \"F31\" is unknown"},
    {"dtype-number", "{\"w\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,4]}}", 4, M2M_EFORMAT,
        "\"dtype\" is 7"},
    {"dtype-absent", "{\"w\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4, M2M_EFORMAT,
        "\"dtype\" is absent"},
    {"wrong-product", ONE("F32", "[2,2]", "[0,12]"), 12, M2M_EFORMAT,
        "[2, 2] of F32 needs 16 bytes, data_offsets give 12"},
    {"product-overflows", ONE("U8", "[4294967296,4294967296]", "[0,0]"), 0, M2M_EFORMAT,
        "can be counted"},
    {"product-wraps-to-4", ONE("F32", "[4611686018427387904,4]", "[0,0]"), 0, M2M_EFORMAT, "shape"},
    {"bytes-overflow", ONE("F64", "[2147483648,2147483647]", "[0,0]"), 0, M2M_EFORMAT,
        "can be counted"},
    {"zero-hides-overflow", ONE("U8", "[9007199254740991,9007199254740991,0]", "[0,0]"), 0,
        M2M_EFORMAT, "can be counted"},
    {"zero-first-hides-overflow", ONE("U8", "[0,9007199254740991,9007199254740991]", "[0,0]"), 0,
        M2M_EFORMAT, "can be counted"},
    {"negative-dimension", ONE("U8", "[-2,-2]", "[0,4]"), 4, M2M_EFORMAT, "\"shape\""},
    {"fractional-dimension", ONE("U8", "[2.5]", "[0,4]"), 4, M2M_EFORMAT, "\"shape\""},
    {"shape-no-array", ONE("U8", "4", "[0,4]"), 4, M2M_EFORMAT, "\"shape\" is no array"},
    {"many-dimensions", ONE("U8", "[1,1,1,1,1,1,4]", "[0,4]"), 4, M2M_EUNSUPPORTED, "7 dimensions"},
    {"entry-no-object", "{\"w\":[0,4]}", 4, M2M_EFORMAT, "\"w\": is no object"},
    {"duplicate-tensor",
        "{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"w\":{\"dtype\":\"U8\","
        "\"shape\":[2],"
        "\"data_offsets\":[2,4]}}",
        4, M2M_EFORMAT, "\"w\" occurs twice"},
    {"duplicate-field",
        "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
        M2M_EFORMAT, "\"dtype\" occurs twice"},
    {"duplicate-meta", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, M2M_EFORMAT,
        "\"a\" occurs twice"},
    {"duplicate-by-escape",
        "{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"\\u0077\":{\"dtype\":"
        "\"U8\","
        "\"shape\":[2],\"data_offsets\":[2,4]}}",
        4, M2M_EFORMAT, "\"w\" occurs twice"},
    {"nul-in-name", "{\"w\\u0000x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
        M2M_EFORMAT, "\\u0000"},
    {"meta-number", "{\"__metadata__\":{\"a\":1}}", 0, M2M_EFORMAT, "\"a\" is no text"},
    {"meta-text", "{\"__metadata__\":\"a\"}", 0, M2M_EFORMAT, "__metadata__ is no object"},
    {"not-utf8", "{\"\xff\xfe\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
        M2M_EFORMAT, "not UTF-8"},
    {"overlong-utf8", "{\"\xc0\xaf\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
        M2M_EFORMAT, "not UTF-8"},
    {"array-header", "[]", 0, M2M_EFORMAT, "start with '{'"},
    {"space-first", " {}", 0, M2M_EFORMAT, "start with '{'"},
    {"no-json", "{\"w\"", 0, M2M_EFORMAT, "':' was wanted"},
    {"two-values", "{}{}", 0, M2M_EFORMAT, "something follows"},
    {"bare-words", "{\"w\":NaN}", 0, M2M_EFORMAT, "value was wanted"},
    {"octal", "{\"w\":{\"dtype\":\"U8\",\"shape\":[04],\"data_offsets\":[0,4]}}", 4, M2M_EFORMAT,
        "not a number"},
};

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        size_t n = strlen(hostile[i].header);
        refuse(write_raw(hostile[i].name, n, hostile[i].header, n, hostile[i].data),
            hostile[i].code, hostile[i].reason);
    }
}

static void hostile_lengths_are_refused(void **state)
{
    (void)state;
    refuse(write_raw("len-2gb", 1ull << 31, "{}", 2, 0), M2M_EFORMAT,
        "2147483648 bytes, at most 100000000");
    refuse(write_raw("len-max", UINT64_MAX, "{}", 2, 0), M2M_EFORMAT, "18446744073709551615 bytes");
    refuse(write_raw("len-wraps", UINT64_MAX - 7, "{}", 2, 0), M2M_EFORMAT,
        "18446744073709551608 bytes");
    refuse(write_raw("len-3", 3, "{}", 2, 0), M2M_EFORMAT,
        "header is said to have 3 bytes, file has 10");
    refuse(write_raw("len-0", 0, "{}", 2, 0), M2M_EFORMAT, "start with '{'");
    refuse(write_raw("len-1", 1, "{}", 2, 0), M2M_EFORMAT, "start with '{'");
    refuse(scratch_dir_file(&dir, "absent"), M2M_EIO, "No such file");
    refuse(dir.path, M2M_EIO, "is a directory");
    char *empty = strdup(scratch_dir_file(&dir, "empty"));
    assert_int_equal(file_write_all(empty, "", 0, NULL), 0);
    refuse(empty, M2M_EFORMAT, "file has 0 bytes");
    free(empty);
}

static void deep_json_is_refused(void **state)
{
    (void)state;
    str s = {0};
    str_add(&s, "{\"w\":");
    for (int i = 0; i < 100000; i++) str_char(&s, '[');
    refuse(write_raw("deep", s.len, s.data, s.len, 0), M2M_EFORMAT, "more than 64 brackets");
    str_free(&s);
}

static void padding_is_allowed(void **state)
{
    (void)state;
    safetensors *s;
    assert_int_equal(safetensors_open(&s, write_raw("padded", 8, "{}      ", 8, 0), NULL), 0);
    safetensors_close(&s);
}

/* Every shorter file, and every file with one byte of its header changed, is refused or read; never worse. */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    float f[3] = {1, 2, 3};
    const safetensors_item items[] = {
        {"a", OF(DT_F32, SHAPE(2), f), DT_F32}, {"b", OF(DT_F32, SHAPE(1, 3), f), DT_F16}};
    char *whole, path[500];
    size_t n;
    snprintf(path, sizeof path, "%s", scratch_dir_file(&dir, "cut"));
    assert_int_equal(safetensors_save(path, items, 2, &(m2m_text){"k", "v"}, 1, NULL), 0);
    assert_int_equal(file_read_all(path, 1 << 20, &whole, &n, NULL), 0);
    for (size_t cut = 0; cut < n; cut++) {
        FILE *out = fopen(path, "wb");
        fwrite(whole, 1, cut, out);
        fclose(out);
        refuse(path, M2M_EFORMAT, "");
    }
    for (size_t at = 0; at < n; at++) {
        safetensors *s = NULL;
        FILE *out = fopen(path, "wb");
        whole[at] ^= 0x15;
        fwrite(whole, 1, n, out);
        fclose(out);
        whole[at] ^= 0x15;
        if (safetensors_open(&s, path, NULL)) continue;
        for (int i = 0; i < safetensors_count(s); i++) {
            float sink[64];
            const tensor *t = safetensors_at(s, i);
            assert_true(shape_count(t->shape) <= 64);
            to_f32(sink, t->data, t->type, shape_count(t->shape));
        }
        safetensors_close(&s);
    }
    free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(order_of_items_does_not_matter),
        cmocka_unit_test(conversion_while_writing),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(unaligned_data_can_be_used),
        cmocka_unit_test(needed_tensors_are_named),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(padding_is_allowed),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
