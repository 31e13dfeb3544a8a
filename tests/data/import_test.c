/* Importing data sets in their owners' layouts: what is in the shards is what was in the source, in its order, with its
 * cameras; sets are a function of source and options; a run that was cut off goes on to the same bytes. */
#include "layouts.h"

#include "base/json.h"
#include "data/import_set.h"
#include "data/shard.h"
#include "image/codec.h"
#include "tensor/npy.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

SCRATCH_DIR_FIXTURE(dir)

/* A layout imported into OUT; its first shard. */
static shard *imported(const char *kind, const char *out, long sets, long images, void (*change)(m2m_import_options *))
{
    import_run r;
    shard *s;
    char path[600];
    layout_import(&r, kind, layout_path(kind), scratch_dir_file(&dir, out), change);
    if (r.rc) fail_msg("%s: %s", kind, r.err.msg);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.sets, sets);
    assert_int_equal(r.images, images);
    snprintf(path, sizeof path, "%s/%s/sets-00000.tar", dir.path, out);
    assert_int_equal(shard_open(&s, path, NULL), 0);
    assert_int_equal(shard_samples(s), sets);
    return s;
}

static cJSON *about(const shard *s, int64_t sample)
{
    size_t size;
    int place = shard_find(s, sample, "json");
    assert_true(place >= 0);
    const uint8_t *data = shard_data(s, sample, place, &size);
    cJSON *o;
    assert_int_equal(json_parse(&o, (const char *)data, size, NULL), 0);
    return o;
}

static void same_as_file(const shard *s, int64_t sample, const char *suffix, const char *kind, const char *file)
{
    char path[900];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", layout_path(kind), file);
    bytes b = read_file(path);
    int place = shard_find(s, sample, suffix);
    if (place < 0) fail_msg("%s has no %s", shard_key(s, sample), suffix);
    const uint8_t *data = shard_data(s, sample, place, &size);
    assert_int_equal(size, b.size);
    assert_memory_equal(data, b.data, size);
    free(b.data);
}

static const char *text(const cJSON *o, const char *key)
{
    const char *value = NULL;
    if (json_text(o, key, &value, NULL)) fail_msg("no text %s", key);
    return value;
}

static void positions_are(const cJSON *o, const int *wanted, int n)
{
    int64_t found[20];
    int count;
    assert_int_equal(json_ints(o, "positions", 0, 9999, found, 20, &count, NULL), 0);
    assert_int_equal(count, n);
    for (int i = 0; i < n; i++) assert_int_equal(found[i], wanted[i]);
}

/* ---- Objaverse ---- */

static const char uid0[] = "0a1b2c3d4e5f60718293a4b5c6d7e8f9", uid2[] = "ffeeddccbbaa99887766554433221100";

static void views_carry_their_cameras(void **state)
{
    (void)state;
    shard *s = imported("objaverse", "views", 3, 36, NULL);
    char file[100];
    assert_string_equal(shard_key(s, 0), "00000000-0a1b2c3d4e5f60718293a4b5c6d7e8f9");
    assert_int_equal(shard_members(s, 0), 25);
    for (int i = 0; i < 12; i++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "%02d.png", i);
        snprintf(file, sizeof file, "%s/%03d.png", uid0, i);
        same_as_file(s, 0, suffix, "objaverse", file);
        snprintf(suffix, sizeof suffix, "%02d.npy", i);
        snprintf(file, sizeof file, "%s/%03d.npy", uid0, i);
        same_as_file(s, 0, suffix, "objaverse", file);      /* float64: NumPy's own bytes again */
    }
    /* float32 becomes float64 with the same numbers */
    char path[900];
    size_t size;
    snprintf(path, sizeof path, "%s/%s/003.npy", layout_path("objaverse"), uid2);
    bytes b = read_file(path);
    tensor narrow, wide;
    double a[12], c[12];
    assert_int_equal(npy_view(&narrow, b.data, b.size, "a", NULL), 0);
    assert_int_equal(narrow.type, DT_F32);
    const uint8_t *data = shard_data(s, 2, shard_find(s, 2, "03.npy"), &size);
    assert_int_equal(npy_view(&wide, data, size, "b", NULL), 0);
    assert_int_equal(wide.type, DT_F64);
    npy_f64(a, &narrow);
    npy_f64(c, &wide);
    assert_memory_equal(a, c, sizeof a);
    free(b.data);
    cJSON *o = about(s, 2);
    assert_string_equal(text(o, "source"), "objaverse");
    assert_string_equal(text(o, "name"), uid2);
    assert_true(cJSON_IsTrue(json_member(o, "cameras")) && cJSON_IsFalse(json_member(o, "ordered")));
    cJSON_Delete(o);
    shard_close(&s);
}

static void train_part(m2m_import_options *o) { o->split = "train"; }
static void val_part(m2m_import_options *o) { o->split = "val"; o->views = 5; }

static void the_last_percent_is_held_out(void **state)
{
    (void)state;
    shard *s = imported("objaverse", "train", 2, 24, train_part);    /* floor(3 / 100 * 99) = 2 */
    shard_close(&s);
    s = imported("objaverse", "val", 1, 5, val_part);
    assert_string_equal(strchr(shard_key(s, 0), '-') + 1, uid2);
    shard_close(&s);
}

/* The same files in tars beside the list, as ../shared/data has them. */
static void tars_are_folders(void **state)
{
    (void)state;
    char src[300], path[900];
    import_run r;
    snprintf(src, sizeof src, "%s/packed", dir.path);
    layout_copy(layout_path("objaverse"), src);
    bytes tar = {0};
    for (int i = 0; i < 24; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s/%03d.%s", uid0, i / 2, i % 2 ? "npy" : "png");
        snprintf(path, sizeof path, "%s/%s", src, name);
        bytes b = read_file(path);
        tar_add(&tar, name, '0', b.data, b.size);
        free(b.data);
        assert_int_equal(unlink(path), 0);
    }
    tar_end(&tar);
    snprintf(path, sizeof path, "%s/views-000.tar", src);
    write_file(path, tar.data, tar.size);
    free(tar.data);
    layout_import(&r, "views", src, NULL, NULL);
    assert_int_equal(r.rc, 0);
    assert_true(r.sets == 3 && r.images == 36 && r.problems == 0);
}

/* ---- VGSI ---- */

static void methods_are_ordered_sets(void **state)
{
    (void)state;
    shard *s = imported("vgsi", "steps", 4, 12, NULL);
    cJSON *o = about(s, 1);      /* the second way of 100002: its step 1 has no picture */
    assert_string_equal(text(o, "name"), "100002_1");
    assert_true(cJSON_IsTrue(json_member(o, "ordered")));
    positions_are(o, (const int[]){0, 2, 3}, 3);
    assert_int_equal(cJSON_GetArraySize(json_member(o, "headlines")), 4);
    assert_true(cJSON_IsNull(cJSON_GetArrayItem(json_member(o, "licences"), 1)));
    same_as_file(s, 1, "00.png", "vgsi", "wiki_images/100002_1_0.png");
    same_as_file(s, 1, "02.png", "vgsi", "wiki_images/100002_1_2.png");
    same_as_file(s, 1, "03.png", "vgsi", "wiki_images/100002_1_3.png");
    assert_int_equal(shard_find(s, 1, "01.png"), -1);
    size_t size;
    static const char caption[] = "How to D\u00e4mpfen: Way 1";
    const uint8_t *told = shard_data(s, 2, shard_find(s, 2, "txt"), &size);
    assert_true(size == strlen(caption) && memcmp(told, caption, size) == 0);
    cJSON_Delete(o);
    shard_close(&s);
}

/* A step that is missing leaves a gap: the others keep their places. */
static void a_bad_step_moves_no_other(void **state)
{
    (void)state;
    import_run r;
    shard *s;
    char src[300], path[900];
    snprintf(src, sizeof src, "%s/gap", dir.path);
    layout_copy(layout_path("vgsi"), src);
    snprintf(path, sizeof path, "%s/wiki_images/100031_0_1.png", src);
    assert_int_equal(unlink(path), 0);
    layout_import(&r, "wikihow", src, scratch_dir_file(&dir, "gap-out"), NULL);
    assert_int_equal(r.rc, 0);
    assert_true(r.problems == 1 && strstr(r.lines, "100031_0_1.png"));
    snprintf(path, sizeof path, "%s/gap-out/sets-00000.tar", dir.path);
    assert_int_equal(shard_open(&s, path, NULL), 0);
    cJSON *o = about(s, 3);
    positions_are(o, (const int[]){0, 2, 3}, 3);
    assert_true(shard_find(s, 3, "01.png") < 0 && shard_find(s, 3, "02.png") >= 0);
    cJSON_Delete(o);
    shard_close(&s);
}

/* ---- COCO ---- */

static void sets_share_a_category(void **state)
{
    (void)state;
    static const struct { const char *category; int n; int64_t ids[3]; } wanted[] = {
        {"person", 3, {31, 34, 36}}, {"cat", 3, {9, 25, 30}}, {"dog", 3, {30, 34, 42}}, {"toothbrush", 2, {42, 49}}};
    shard *s = imported("coco", "coco", 4, 11, NULL);
    for (int i = 0; i < 4; i++) {
        cJSON *o = about(s, i);
        int64_t ids[8];
        int n, found = 0;
        assert_string_equal(text(o, "category"), wanted[i].category);
        assert_int_equal(json_ints(o, "image_ids", 0, 1000, ids, 8, &n, NULL), 0);
        assert_int_equal(n, wanted[i].n);
        for (int k = 0; k < n; k++) {
            char suffix[16], file[60];
            for (int w = 0; w < n; w++) found += ids[k] == wanted[i].ids[w];
            snprintf(suffix, sizeof suffix, "%02d.jpg", k);
            snprintf(file, sizeof file, "train2017/%012d.jpg", (int)ids[k]);
            same_as_file(s, i, suffix, "coco", file);
        }
        assert_int_equal(found, n);      /* all of them: none twice */
        cJSON_Delete(o);
    }
    shard_close(&s);
}

static void large_objects(m2m_import_options *o) { o->min_area = 50; }
static void pairs(m2m_import_options *o) { o->set_size = 2; }
static void pairs_of_seed_1(m2m_import_options *o) { o->set_size = 2; o->seed = 1; }
static void two_pairs(m2m_import_options *o) { o->set_size = 2; o->sets = 2; }

/* The first object of an image has 66 square pixels, further ones 21.6. */
static void small_objects_do_not_count(void **state)
{
    (void)state;
    shard *s = imported("coco", "large", 3, 8, large_objects);      /* dogs are second in 30 and 34, alone nowhere */
    for (int i = 0; i < 3; i++) {
        cJSON *o = about(s, i);
        assert_string_not_equal(text(o, "category"), "dog");
        cJSON_Delete(o);
    }
    shard_close(&s);
}

static void ids_of(const shard *s, char *buf, size_t size)
{
    buf[0] = 0;
    for (int64_t i = 0; i < shard_samples(s); i++) {
        cJSON *o = about(s, i);
        char *list = cJSON_PrintUnformatted(json_member(o, "image_ids"));
        size_t n = strlen(buf);
        snprintf(buf + n, size - n, "%s", list);
        cJSON_free(list);
        cJSON_Delete(o);
    }
}

static void sets_are_a_function_of_the_seed(void **state)
{
    (void)state;
    char a[400], b[400], c[400];
    shard *s = imported("coco", "pairs", 4, 8, pairs);
    ids_of(s, a, sizeof a);
    shard_close(&s);
    s = imported("coco", "pairs-again", 4, 8, pairs);
    ids_of(s, b, sizeof b);
    shard_close(&s);
    s = imported("coco", "pairs-1", 4, 8, pairs_of_seed_1);
    ids_of(s, c, sizeof c);
    shard_close(&s);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    s = imported("coco", "two", 2, 4, two_pairs);
    ids_of(s, c, sizeof c);
    for (const char *list = c; *list; list = strchr(list, ']') + 1) {
        char one[40];
        snprintf(one, sizeof one, "%.*s", (int)(strchr(list, ']') - list) + 1, list);
        assert_non_null(strstr(a, one));
    }
    shard_close(&s);
}

/* ---- Shards and folders ---- */

static void small(m2m_import_options *o) { o->size = 8; }

static void shards_keep_keys_and_texts(void **state)
{
    (void)state;
    shard *s = imported("shards", "mis", 4, 16, small);
    assert_string_equal(shard_key(s, 2), "000000002");
    assert_int_equal(shard_find(s, 2, "latents.npy"), -1);      /* they are of other pixels */
    cJSON *o = about(s, 2);
    int64_t seed;
    assert_int_equal(json_int(o, "seed", 0, 100, &seed, NULL), 0);
    assert_int_equal(seed, 9);
    assert_string_equal(text(o, "sampler"), "euler");
    cJSON_Delete(o);
    size_t size;
    m2m_image img;
    const uint8_t *data = shard_data(s, 3, shard_find(s, 3, "03.jpg"), &size);
    assert_int_equal(image_decode(&img, data, size, "a", NULL), 0);
    assert_true(img.width == 8 && img.height == 8);
    m2m_image_free(&img);
    shard_close(&s);
    s = imported("shards", "mis-copied", 4, 16, NULL);
    assert_true(shard_find(s, 2, "latents.npy") >= 0);
    shard_close(&s);
}

/* Import of an import: images, cameras, order and what its owner said are still there. */
static void an_import_can_be_imported(void **state)
{
    (void)state;
    static const char *const kinds[] = {"objaverse", "vgsi"};
    for (int k = 0; k < 2; k++) {
        char first[300], second[300];
        import_run r;
        shard *a, *b;
        snprintf(first, sizeof first, "%s/once-%d", dir.path, k);
        snprintf(second, sizeof second, "%s/twice-%d", dir.path, k);
        layout_import(&r, kinds[k], layout_path(kinds[k]), first, NULL);
        assert_int_equal(r.rc, 0);
        layout_import(&r, "shards", first, second, NULL);
        assert_int_equal(r.rc, 0);
        assert_int_equal(shard_open(&a, strcat(first, "/sets-00000.tar"), NULL), 0);
        assert_int_equal(shard_open(&b, strcat(second, "/sets-00000.tar"), NULL), 0);
        assert_int_equal(shard_samples(a), shard_samples(b));
        for (int64_t i = 0; i < shard_samples(a); i++) {
            assert_string_equal(shard_key(a, i), shard_key(b, i));
            assert_int_equal(shard_members(a, i), shard_members(b, i));
            for (int m = 0; m < shard_members(a, i); m++) {
                size_t n, size;
                const uint8_t *x = shard_data(a, i, m, &n), *y = shard_data(b, i, m, &size);
                assert_string_equal(shard_suffix(a, i, m), shard_suffix(b, i, m));
                if (strcmp(shard_suffix(a, i, m), "json") == 0) continue;
                assert_int_equal(n, size);
                assert_memory_equal(x, y, n);
            }
            cJSON *x = about(a, i), *y = about(b, i);
            assert_true(cJSON_Compare(x, y, true));
            cJSON_Delete(x);
            cJSON_Delete(y);
        }
        shard_close(&a);
        shard_close(&b);
    }
}

static void ordered(m2m_import_options *o) { o->ordered = 1; }

static void folders_are_sets(void **state)
{
    (void)state;
    shard *s = imported("folders", "folders", 3, 9, ordered);
    assert_string_equal(shard_key(s, 1), "00000001-forest_old");      /* a dot would end the key */
    same_as_file(s, 0, "00.png", "folders", "beach/1.png");
    same_as_file(s, 0, "01.jpg", "folders", "beach/2.JPG");
    same_as_file(s, 0, "02.webp", "folders", "beach/3.webp");
    cJSON *o = about(s, 2);
    assert_string_equal(text(o, "name"), "st\u00e4dte");
    positions_are(o, (const int[]){0, 1, 2, 3}, 4);
    cJSON_Delete(o);
    shard_close(&s);
}

/* ---- Going on ---- */

static void one_a_shard(m2m_import_options *o) { o->shard = 1; }
static void one_a_shard_resized(m2m_import_options *o) { o->shard = 1; o->size = 8; }

static void a_run_goes_on(void **state)
{
    (void)state;
    import_run r;
    char src[300], out[300], path[900], lost[900];
    snprintf(src, sizeof src, "%s/again", dir.path);
    snprintf(out, sizeof out, "%s/again-out", dir.path);
    layout_copy(layout_path("vgsi"), src);
    snprintf(lost, sizeof lost, "%s/wiki_images/100031_0_1.png", src);
    assert_int_equal(unlink(lost), 0);
    layout_import(&r, "vgsi", src, out, one_a_shard);
    assert_true(r.rc == 0 && r.sets == 4 && r.images == 11 && r.problems == 1);
    bytes tars[4];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/sets-%05d.tar", out, i);
        tars[i] = read_file(path);
    }
    /* as if cut off behind shard 1: that one's tar is missing, the others are kept with their problems */
    snprintf(path, sizeof path, "%s/sets-00001.tar", out);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/sets-00002.json", out);      /* a tar without what it holds is made anew */
    write_file(path, "{}", 2);
    layout_import(&r, "vgsi", src, out, one_a_shard);
    assert_true(r.rc == 0 && r.sets == 4 && r.images == 11 && r.problems == 1);
    assert_non_null(strstr(r.lines, "100031_0_1.png"));
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/sets-%05d.tar", out, i);
        bytes b = read_file(path);
        assert_int_equal(b.size, tars[i].size);
        assert_memory_equal(b.data, tars[i].data, b.size);
        free(b.data);
        free(tars[i].data);
    }
    layout_import(&r, "vgsi", src, out, one_a_shard_resized);
    assert_int_equal(r.rc, M2M_EINVAL);
    assert_non_null(strstr(r.err.msg, "other options"));
}

static int stop(void *user, const char *what, int64_t done, int64_t total)
{
    (void)total;
    return strcmp(what, "import sets") == 0 && done >= *(int64_t *)user;
}

static void a_stopped_run_leaves_whole_shards(void **state)
{
    (void)state;
    int64_t after = 2;
    m2m_import_options o = {.fit = "crop", .background = "ffffff", .least = 2, .shard = 1, .split = "all", .views = 12,
                            .set_size = 8, .threads = 1};
    m2m_calls calls = {.user = &after, .progress = stop};
    m2m_error err = {0};
    char out[300];
    snprintf(out, sizeof out, "%s/stopped", dir.path);
    assert_int_equal(m2m_data_import("vgsi", layout_path("vgsi"), out, &o, NULL, &calls, &err), M2M_ECANCELLED);
    scratch_dir d;
    snprintf(d.path, sizeof d.path, "%.190s", out);
    assert_int_equal(scratch_dir_count(&d), 3);      /* import.json, one shard and its .json */
    after = INT64_MAX;
    assert_int_equal(m2m_data_import("vgsi", layout_path("vgsi"), out, &o, NULL, &calls, &err), 0);
    assert_int_equal(scratch_dir_count(&d), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_carry_their_cameras),
        cmocka_unit_test(the_last_percent_is_held_out),
        cmocka_unit_test(tars_are_folders),
        cmocka_unit_test(methods_are_ordered_sets),
        cmocka_unit_test(a_bad_step_moves_no_other),
        cmocka_unit_test(sets_share_a_category),
        cmocka_unit_test(small_objects_do_not_count),
        cmocka_unit_test(sets_are_a_function_of_the_seed),
        cmocka_unit_test(shards_keep_keys_and_texts),
        cmocka_unit_test(an_import_can_be_imported),
        cmocka_unit_test(folders_are_sets),
        cmocka_unit_test(a_run_goes_on),
        cmocka_unit_test(a_stopped_run_leaves_whole_shards),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
