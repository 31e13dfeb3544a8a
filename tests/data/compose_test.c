/* Composing: a function of pool, seed and options alone; held-out drawings never reach training sets. */
#include "data/compose.h"

#include "base/json.h"
#include "data/family.h"
#include "data/set.h"
#include "data/shard.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

static scratch_dir dir;

static int make_dir(void **state)
{
    (void)state;
    if (scratch_dir_make(&dir)) return -1;
    tiny_pool(scratch_dir_file(&dir, "pool"));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    scratch_dir_remove_tree(dir.path);
    return 0;
}

static int run(const char *out, const m2m_compose_options *o, const m2m_calls *calls, m2m_error *err)
{
    char pool[300];
    snprintf(pool, sizeof pool, "%s/pool", dir.path);
    return compose(pool, scratch_dir_file(&dir, out), o, calls, err);
}

/* All shards of a directory as one: key, suffix, bytes of every member. */
static bytes members(const char *out)
{
    bytes all = {0};
    char path[300];
    for (int k = 0;; k++) {
        shard *s;
        snprintf(path, sizeof path, "%s/%s/sets-%05d.tar", dir.path, out, k);
        if (access(path, F_OK)) return all;
        assert_int_equal(shard_open(&s, path, NULL), 0);
        for (int64_t i = 0; i < shard_samples(s); i++)
            for (int m = 0; m < shard_members(s, i); m++) {
                char name[100];
                size_t size, n;
                const uint8_t *data = shard_data(s, i, m, &size);
                n = (size_t)snprintf(name, sizeof name, "%s.%s", shard_key(s, i), shard_suffix(s, i, m));
                all.data = realloc(all.data, all.size + n + size);
                memcpy(all.data + all.size, name, n);
                memcpy(all.data + all.size + n, data, size);
                all.size += n + size;
            }
        shard_close(&s);
    }
}

static void same_sets(const char *a, const char *b, bool same)
{
    bytes x = members(a), y = members(b);
    assert_true(x.size > 0);
    assert_int_equal(x.size == y.size && memcmp(x.data, y.data, x.size) == 0, same);
    free(x.data);
    free(y.data);
}

static void threads_and_shards_change_nothing(void **state)
{
    (void)state;
    m2m_compose_options o = tiny_options();
    assert_int_equal(run("one", &o, NULL, NULL), 0);
    o.threads = 3;
    assert_int_equal(run("three", &o, NULL, NULL), 0);
    same_sets("one", "three", true);
    o.shard = 100;
    assert_int_equal(run("large", &o, NULL, NULL), 0);
    same_sets("one", "large", true);
    o.seed = 2;
    assert_int_equal(run("other", &o, NULL, NULL), 0);
    same_sets("one", "other", false);
}

typedef struct stopper {
    int64_t at;
    int calls;
} stopper;

static int stop(void *user, const char *what, int64_t done, int64_t total)
{
    stopper *s = user;
    (void)what;
    assert_true(done <= total);
    s->calls++;
    return done >= s->at;
}

static void cut_off_run_goes_on(void **state)
{
    (void)state;
    m2m_compose_options o = tiny_options();
    stopper s = {.at = 10};
    m2m_calls calls = {.user = &s, .progress = stop};
    m2m_error err;
    assert_int_equal(run("cut", &o, &calls, &err), M2M_ECANCELLED);
    assert_int_equal(access(scratch_dir_file(&dir, "cut/sets-00000.tar"), F_OK), 0);
    assert_int_equal(access(scratch_dir_file(&dir, "cut/sets-00001.tar"), F_OK), -1);
    s.at = 100;
    assert_int_equal(run("cut", &o, &calls, &err), 0);
    same_sets("one", "cut", true);
    o.seed = 99;
    assert_int_equal(run("cut", &o, NULL, &err), M2M_EINVAL);
}

/* ---- What is in the sets ---- */

static cJSON *record(const shard *s, int64_t i)
{
    size_t size;
    cJSON *o;
    int m = shard_find(s, i, "json");
    assert_true(m >= 0);
    const uint8_t *data = shard_data(s, i, m, &size);
    assert_int_equal(json_parse(&o, (const char *)data, size, NULL), 0);
    return o;
}

static const char *item(const cJSON *o, const char *name, int i)
{
    return cJSON_GetArrayItem(json_member(o, name), i)->valuestring;
}

static void check_record(const cJSON *o, const char *split, int images)
{
    bool subject = strcmp(json_member(o, "family")->valuestring, "subject") == 0;
    assert_int_equal(cJSON_GetArraySize(json_member(o, "subjects")), images);
    for (int i = 0; i < images; i++) {
        bool delta = strcmp(item(o, "styles", i), "delta") == 0;
        assert_int_equal(delta, strcmp(split, "val_style") == 0);
        if (!delta) assert_int_equal(tiny_is_held(item(o, "subjects", i)), strcmp(split, "val_subject") == 0);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(item(o, "drawings", i), item(o, "drawings", k));
            if (subject) assert_string_equal(item(o, "subjects", i), item(o, "subjects", k));
            else assert_string_equal(item(o, "styles", i), item(o, "styles", k));
            if (!subject) assert_string_not_equal(item(o, "subjects", i), item(o, "subjects", k));
        }
    }
}

static void splits_do_not_leak(void **state)
{
    (void)state;
    static const char *const splits[] = {"train", "val_subject", "val_style"};
    for (int k = 0; k < 3; k++) {
        m2m_compose_options o = tiny_options();
        shard *s;
        char path[300];
        o.sets = 60;
        o.shard = 60;
        o.images = k == 1 ? 2 : 3;       /* two held-out subjects in each group */
        o.split = splits[k];
        assert_int_equal(run(splits[k], &o, NULL, NULL), 0);
        snprintf(path, sizeof path, "%s/%s/sets-00000.tar", dir.path, splits[k]);
        assert_int_equal(shard_open(&s, path, NULL), 0);
        assert_int_equal(shard_samples(s), 60);
        for (int64_t i = 0; i < 60; i++) {
            cJSON *r = record(s, i);
            check_record(r, splits[k], (int)o.images);
            cJSON_Delete(r);
        }
        shard_close(&s);
    }
}

/* Each family alone gives pictures that are neither empty nor those of another family. */
static void every_family_draws(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILY_COUNT; f++) {
        char families[40], out[40], path[300];
        m2m_compose_options o = tiny_options();
        dataset *d;
        snprintf(families, sizeof families, "%s=1", family_name((family)f));
        snprintf(out, sizeof out, "family-%s", family_name((family)f));
        o.families = families;
        o.sets = 4;
        o.size = 32;
        assert_int_equal(run(out, &o, NULL, NULL), 0);
        snprintf(path, sizeof path, "%s/%s", dir.path, out);
        assert_int_equal(dataset_open(&d, path, 2, NULL), 0);
        dataset_view v = {32, 32, FIT_CROP, {255, 255, 255}};
        for (int set = 0; set < 4; set++)
            for (int i = 0; i < 3; i++) {
                m2m_image img;
                assert_int_equal(dataset_read(d, set, i, &v, &img, NULL), 0);
                int differing = 0;
                for (int k = 3; k < 32 * 32 * 3; k++) differing += abs(img.data[k] - img.data[k % 3]) > 8;
                if (differing < 60) fail_msg("family %s, set %d, image %d is empty", family_name((family)f), set, i);
                m2m_image_free(&img);
            }
        dataset_close(&d);
    }
}

static void wrong_options_are_named(void **state)
{
    (void)state;
    static const struct { int64_t sets, images, size; const char *split, *families, *says;
    } cases[] = {{12, 3, 16, "test", NULL, "test"},
                 {12, 1, 16, "train", NULL, "images"},
                 {12, 101, 16, "train", NULL, "images"},
                 {12, 3, 8, "train", NULL, "size"},
                 {0, 3, 16, "train", NULL, "sets"},
                 {12, 3, 16, "train", "plane=1", "plane=1"},
                 {12, 3, 16, "train", "plain", "plain"},
                 {12, 3, 16, "train", "plain=-1", "plain=-1"},
                 {12, 3, 16, "train", "plain=0", "0"},
                 {12, 3, 16, "train", "plain=1x", "plain=1x"},
                 {12, 50, 16, "train", "plain=1", "50 subjects"},
                 {12, 3, 16, "val_style", "subject=1", "val_style"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m2m_compose_options o = tiny_options();
        m2m_error err = {0};
        o.sets = cases[i].sets;
        o.images = cases[i].images;
        o.size = cases[i].size;
        o.split = cases[i].split;
        o.families = cases[i].families;
        int rc = run("wrong", &o, NULL, &err);
        if (rc != M2M_EINVAL || !strstr(err.msg, cases[i].says)) fail_msg("case %zu: %d %s", i, rc, err.msg);
        assert_int_equal(access(scratch_dir_file(&dir, "wrong"), F_OK), -1);
    }
}

static void broken_pools_are_named(void **state)
{
    (void)state;
    static const struct { const char *index, *says; int code;
    } cases[] = {{"{\"key\": \"a\"}\n", "line 1", M2M_EFORMAT},
                 {"\n[1]\n", "line 2", M2M_EFORMAT},
                 {"{\"key\": \"a\", \"style\": \"s\", \"name\": \"a\", \"subject\": \"a\", \"file\": \"a.png\", "
                  "\"tar\": \"no.tar\", "
                  "\"split\": \"train\"}\n",
                  "no.tar", M2M_EIO},
                 {"", "split", M2M_EFORMAT}};
    char pool[300], index[320];
    snprintf(pool, sizeof pool, "%s/broken", dir.path);
    snprintf(index, sizeof index, "%s/index.jsonl", pool);
    mkdir(pool, 0777);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m2m_compose_options o = tiny_options();
        m2m_error err = {0};
        write_file(index, cases[i].index, strlen(cases[i].index));
        int rc = compose(pool, scratch_dir_file(&dir, "wrong"), &o, NULL, &err);
        if (rc != cases[i].code || !strstr(err.msg, cases[i].says)) fail_msg("case %zu: %d %s", i, rc, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_shards_change_nothing),
        cmocka_unit_test(cut_off_run_goes_on),
        cmocka_unit_test(splits_do_not_leak),
        cmocka_unit_test(every_family_draws),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(broken_pools_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
