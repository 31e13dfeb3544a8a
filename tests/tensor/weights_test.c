/* Directories of weights: which file is taken, shards with an index, and every index that lies. */
#include "base/file.h"
#include "scratch_dir.h"
#include "tensor/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define OF(type_, shape_, data_)                      \
    {                                                 \
        .type = type_, .shape = shape_, .data = data_ \
    }

SCRATCH_DIR_FIXTURE(dir)

static const char *in_dir(const char *name)
{
    return scratch_dir_file(&dir, name);
}

static void save_one(const char *file, const char *tensor_name, float value)
{
    const safetensors_item item = {tensor_name, OF(DT_F32, SHAPE(1), &value), DT_F32};
    assert_int_equal(safetensors_save(in_dir(file), &item, 1, NULL, 0, NULL), 0);
}

static float value_of(const weights *w, const char *name)
{
    const tensor *t = weights_find(w, name);
    assert_non_null(t);
    return *(const float *)t->data;
}

/* In order of preference: each is made before those that must win over it. */
static void the_right_file_is_taken(void **state)
{
    (void)state;
    static const char *const names[] = {"model.fp16.safetensors", "model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"};
    m2m_error err = {0};
    weights *w = NULL;
    assert_int_equal(weights_open(&w, dir.path, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "has no diffusion_pytorch_model.safetensors"));
    assert_int_equal(file_write_all(in_dir("pytorch_model.bin"), "x", 1, NULL), 0);
    assert_int_equal(weights_open(&w, dir.path, &err), M2M_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "pickle"));
    for (int i = 0; i < 4; i++) {
        save_one(names[i], "w", (float)i);
        assert_int_equal(weights_open(&w, dir.path, NULL), 0);
        assert_true(value_of(w, "w") == (float)i);
        assert_string_equal(path_base(weights_path(w)), names[i]);
        assert_int_equal(weights_files(w), 1);
        weights_close(&w);
        assert_null(w);
    }
    assert_int_equal(weights_open(&w, in_dir("model.safetensors"), NULL), 0);
    assert_true(value_of(w, "w") == 1);
    weights_close(&w);
}

static void sums_and_sizes(void **state)
{
    (void)state;
    weights *w;
    char text[SHA256_HEX], whole[SHA256_HEX], *data;
    size_t size;
    save_one("sum.safetensors", "w", 5);
    assert_int_equal(weights_open(&w, in_dir("sum.safetensors"), NULL), 0);
    safetensors_sha256(weights_file(w, 0), text);
    assert_int_equal(file_read_all(in_dir("sum.safetensors"), 1 << 20, &data, &size, NULL), 0);
    sha256_of(data, size, whole);
    assert_string_equal(text, whole);
    save_one("sum.safetensors", "w", 6);    /* renamed over: what is open stays */
    weights_identity(w, text);
    assert_string_equal(text, whole);
    assert_int_equal(weights_bytes(w), size);
    weights_drop(w);
    assert_true(value_of(w, "w") == 5);
    free(data);
    weights_close(&w);
}

static const char *write_index(const char *map)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":8},\"weight_map\":%s}", map);
    const char *path = in_dir("s.safetensors.index.json");
    assert_int_equal(file_write_all(path, text, strlen(text), NULL), 0);
    return path;
}

static void shards_are_one(void **state)
{
    (void)state;
    weights *w;
    save_one("s-1.safetensors", "b", 1);
    save_one("s-2.safetensors", "a", 2);
    assert_int_equal(
        weights_open(
            &w, write_index("{\"a\":\"s-2.safetensors\",\"b\":\"s-1.safetensors\"}"), NULL),
        0);
    assert_int_equal(weights_count(w), 2);
    assert_int_equal(weights_files(w), 2);
    assert_string_equal(weights_name(w, 0), "a");
    assert_true(value_of(w, "a") == 2);
    assert_true(value_of(w, "b") == 1);
    assert_ptr_equal(weights_at(w, 1), weights_find(w, "b"));
    assert_null(weights_find(w, "c"));
    weights_close(&w);
}

/* Shards that differ in the last one alone are different weights. */
static void all_shards_count(void **state)
{
    (void)state;
    weights *w;
    char sums[2][SHA256_HEX], one[SHA256_HEX], other[SHA256_HEX], wanted[SHA256_HEX], lines[2 * SHA256_HEX + 1];
    for (int i = 0; i < 2; i++) {
        save_one("s-1.safetensors", "b", 1);
        save_one("s-2.safetensors", "a", 2 + (float)i);
        assert_int_equal(
            weights_open(&w, write_index("{\"a\":\"s-2.safetensors\",\"b\":\"s-1.safetensors\"}"), NULL), 0);
        weights_identity(w, i ? other : one);
        for (int k = 0; k < 2; k++) safetensors_sha256(weights_file(w, k), sums[k]);
        weights_close(&w);
    }
    assert_string_not_equal(one, other);
    snprintf(lines, sizeof lines, "%s\n%s\n", sums[0], sums[1]);
    sha256_of(lines, strlen(lines), wanted);
    assert_string_equal(other, wanted);
}

static void lying_indexes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *map;
        int code;
        const char *reason;
    } cases[] = {
        {"{\"a\":\"../s-2.safetensors\",\"b\":\"s-1.safetensors\"}", M2M_EFORMAT,
            "\"../s-2.safetensors\", wanted"},
        {"{\"a\":\"/etc/x.safetensors\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":\"sub/s-2.safetensors\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":\"..\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":\"\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":\".hidden.safetensors\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":\"s.bin\"}", M2M_EFORMAT, "same directory"},
        {"{\"a\":7}", M2M_EFORMAT, "lies in 7"},
        {"{\"a\":null}", M2M_EFORMAT, "lies in null"},
        {"{\"a\":[\"s-2.safetensors\"]}", M2M_EFORMAT, "lies in an array"},
        {"{\"a\":\"s-9.safetensors\"}", M2M_EIO, "s-9.safetensors: can't open it"},
        {"{\"a\":\"s-1.safetensors\",\"b\":\"s-1.safetensors\"}", M2M_EFORMAT,
            "tensor \"a\" is not in s-1.safetensors"},
        {"{\"a\":\"s-1.safetensors\",\"b\":\"s-2.safetensors\"}", M2M_EFORMAT,
            "is in s-2.safetensors, weight_map says s-1"},
        {"{\"b\":\"s-1.safetensors\",\"c\":\"s-2.safetensors\"}", M2M_EFORMAT,
            "tensor \"c\" is not in s-2.safetensors"},
        {"{\"b\":\"s-1.safetensors\",\"a\":\"s-2.safetensors\",\"x\":\"s-3.safetensors\"}",
            M2M_EFORMAT, "in two of the files"},
        {"{\"b\":\"s-1.safetensors\",\"x\":\"s-4.safetensors\"}", M2M_EFORMAT,
            "names 2 tensors, the files hold 3"},
        {"{}", M2M_EFORMAT, "names 0 files"},
        {"[]", M2M_EFORMAT, "no object \"weight_map\""},
        {"null", M2M_EFORMAT, "no object \"weight_map\""},
        {"{\"a\":\"s-2.safetensors\",\"a\":\"s-1.safetensors\"}", M2M_EFORMAT,
            "\"a\" occurs twice"},
        {"{\"a\":", M2M_EFORMAT, "JSON, line 1"},
        {"{\"a\":\"broken.safetensors\"}", M2M_EFORMAT, "broken.safetensors: header"},
    };
    float f[2] = {0};
    const safetensors_item both[] = {
        {"x", OF(DT_F32, SHAPE(1), f), DT_F32}, {"y", OF(DT_F32, SHAPE(1), f), DT_F32}};
    save_one("s-1.safetensors", "b", 1);
    save_one("s-2.safetensors", "a", 2);
    save_one("s-3.safetensors", "a", 3);
    assert_int_equal(safetensors_save(in_dir("s-4.safetensors"), both, 2, NULL, 0, NULL), 0);
    assert_int_equal(file_write_all(in_dir("broken.safetensors"),
                         "\377\377\377\377\377\377\377\377{}", 10, NULL),
        0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m2m_error err = {0};
        weights *w = NULL;
        int rc = weights_open(&w, write_index(cases[i].map), &err);
        if (rc != cases[i].code || !strstr(err.msg, cases[i].reason))
            fail_msg("%s: got %d \"%s\", wanted %d with \"%s\"", cases[i].map, rc, err.msg,
                cases[i].code, cases[i].reason);
        assert_null(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_file_is_taken),
        cmocka_unit_test(sums_and_sizes),
        cmocka_unit_test(shards_are_one),
        cmocka_unit_test(all_shards_count),
        cmocka_unit_test(lying_indexes_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
