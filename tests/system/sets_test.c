/* m2m eval sets on tiny models: however a run is cut up, the report is the same; its numbers are those of the features
 * that it wrote; data that can't be used is counted and named. */
#include "program.h"

#include "base/file.h"
#include "base/lock.h"
#include "data/shard.h"
#include "tensor/safetensors.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETS = 3, N = 2 };

static const char brighter_processor[] =
    "{\"do_resize\": true, \"size\": {\"shortest_edge\": 15}, \"resample\": 3, \"do_center_crop\": true,"
    " \"crop_size\": {\"height\": 15, \"width\": 15}, \"do_rescale\": true, \"rescale_factor\": 0.00392156862745098,"
    " \"do_normalize\": true, \"image_mean\": [0.3, 0.3, 0.3], \"image_std\": [0.5, 0.5, 0.5],"
    " \"image_processor_type\": \"CLIPImageProcessor\"}";

static void evaluate(outcome *o, const way *w, const char *out, const char *data, const char *const *more)
{
    const char *args[64] = {"eval", "sets", in_tests("golden/models/m2m_self"), data, "-o", out, "-n", "2",
                            "--given", "1,2", "--count", "3", "--steps", "4", "--seed", "5", "--threads", "1",
                            "--clip", in_scratch("clip"), "--dino", in_scratch("dino")};
    int n = 0;
    while (args[n]) n++;
    for (; more && *more; more++) args[n++] = *more;
    program_run(o, w, args);
}

static const char *sets(void) { return in_tests("data/sets"); }

/* The run that others are compared with, made once, with the models that it needs. */
static int prepare(void **state)
{
    outcome o;
    if (scratch_make(state)) return -1;
    make_eyes();
    evaluate(&o, &(way){0}, in_scratch("whole"), sets(), NULL);
    expect_success(&o);
    return 0;
}

static void same_reports(const char *out)
{
    static const char *const names[] = {"report.json", "report.csv", "report.md", "report.html",
                                        "images/k2/000002/001.png", "sheets/k1_000001.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!same_files(in_scratch("whole/%s", names[i]), in_scratch("%s/%s", out, names[i])))
            fail_msg("%s/%s is not that of an uninterrupted run", out, names[i]);
}

/* ---- What a run told ---- */

static cJSON *report(const char *out)
{
    size_t size;
    char *text = read_file(in_scratch("%s/report.json", out), &size);
    cJSON *r = cJSON_Parse(text);
    free(text);
    assert_non_null(r);
    return r;
}

static cJSON *row_of(const cJSON *r, int given)
{
    cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(r, "rows"))
        if (cJSON_GetObjectItem(row, "given")->valueint == given) return row;
    fail_msg("no row with %d given", given);
    return NULL;
}

static cJSON *measure_of(const cJSON *row, const char *key)
{
    cJSON *m;
    cJSON_ArrayForEach(m, cJSON_GetObjectItem(row, "measures"))
        if (!strcmp(cJSON_GetObjectItem(m, "key")->valuestring, key)) return m;
    fail_msg("no measure %s", key);
    return NULL;
}

static double value_of(const cJSON *measure, int n)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(measure, "curve"), n)->valuedouble;
}

/* ---- However it is cut up ---- */

/* Folder of a model's features: its name goes on with a checksum. */
static char *features_of(const char *out, const char *kind, char path[4096])
{
    char command[4200];
    snprintf(command, sizeof command, "echo %s-*", in_scratch("%s/features/%s", out, kind));
    FILE *f = popen(command, "r");
    assert_non_null(fgets(path, 4096, f));
    path[strcspn(path, "\n")] = 0;
    pclose(f);
    return path;
}

static void a_killed_run_goes_on(void **state)
{
    (void)state;
    outcome o;
    const way killed = {.until = in_scratch("killed/images/k2/000000/000.png"), .kill = true};
    evaluate(&o, &killed, in_scratch("killed"), sets(), NULL);
    assert_int_equal(o.status, 128 + 9);
    assert_false(there(in_scratch("killed/report.json")));
    evaluate(&o, &(way){0}, in_scratch("killed"), sets(), NULL);
    expect_success(&o);
    same_reports("killed");
}

static void a_run_killed_while_it_looks_goes_on(void **state)
{
    (void)state;
    outcome o;
    char path[4096];
    copy_tree(in_scratch("whole"), in_scratch("half"));
    strcat(features_of("half", "clip", path), "/k2");
    remove_tree(path);
    assert_int_equal(unlink(in_scratch("half/report.json")), 0);
    evaluate(&o, &(way){0}, in_scratch("half"), sets(), NULL);
    expect_success(&o);
    same_reports("half");
}

static void two_shares_are_one_run(void **state)
{
    (void)state;
    outcome o;
    evaluate(&o, &(way){0}, in_scratch("shared"), sets(), (const char *const[]){"--share", "1/2", NULL});
    expect_success(&o);
    assert_false(there(in_scratch("shared/report.json")));
    assert_non_null(strstr(o.out, "2 of 6 sets are still missing"));
    evaluate(&o, &(way){0}, in_scratch("shared"), sets(), (const char *const[]){"--share", "0/2", NULL});
    expect_success(&o);
    same_reports("shared");
}

static void rows_can_be_added(void **state)
{
    (void)state;
    outcome o;
    evaluate(&o, &(way){0}, in_scratch("grown"), sets(),
             (const char *const[]){"--given", "1", "--count", "2", "-n", "1", NULL});
    expect_success(&o);
    assert_false(there(in_scratch("grown/images/k2")));
    evaluate(&o, &(way){0}, in_scratch("grown"), sets(), NULL);
    expect_success(&o);
    same_reports("grown");
}

static void other_options_are_refused(void **state)
{
    (void)state;
    outcome o;
    evaluate(&o, &(way){0}, in_scratch("whole"), sets(), (const char *const[]){"--steps", "5", NULL});
    expect_refused(&o, "steps 4, asked is 5");
    evaluate(&o, &(way){0}, in_scratch("new"), sets(), (const char *const[]){"--features", "inception", NULL});
    expect_refused(&o, "features: inception is asked for");
    evaluate(&o, &(way){0}, in_scratch("new"), sets(), (const char *const[]){"--given", "1,0", NULL});
    expect_refused(&o, "given: found \"1,0\"");
    assert_false(there(in_scratch("new")));
}

/* A set that another run has in work is left to it. */
static void two_runs_of_one_share_do_not_meet(void **state)
{
    (void)state;
    outcome o;
    lock l;
    assert_int_equal(dir_make(in_scratch("twice/images/k1/000001"), NULL), 0);
    assert_int_equal(lock_open(&l, in_scratch("twice/images/k1/000001/lock"), NULL), 0);
    evaluate(&o, &(way){0}, in_scratch("twice"), sets(), NULL);
    expect_success(&o);
    assert_non_null(strstr(o.out, "1 sets are left to another run"));
    assert_non_null(strstr(o.out, "1 of 6 sets are still missing"));
    assert_false(there(in_scratch("twice/images/k1/000001/000.png")));
    assert_true(there(in_scratch("twice/images/k2/000001/001.png")));
    assert_false(there(in_scratch("twice/report.json")));
    lock_close(&l);
    evaluate(&o, &(way){0}, in_scratch("twice"), sets(), NULL);
    expect_success(&o);
    assert_null(strstr(o.out, "another run"));
    assert_false(there(in_scratch("twice/images/k1/000001/lock")));
    same_reports("twice");
}

/* Features belong to all that they come from: with another preprocessor, or a tokenizer that came later, they are made
 * anew. */
static void what_looks_may_change(void **state)
{
    (void)state;
    outcome o;
    char eye[PATH_MAX];
    snprintf(eye, sizeof eye, "%s", in_scratch("other_clip"));
    const char *const small[] = {"--given", "1", "--count", "2", "-n", "1", "--clip", eye, NULL};
    copy_tree(in_scratch("clip"), in_scratch("other_clip"));
    assert_int_equal(rename(in_scratch("other_clip/tokenizer_config.json"), in_scratch("other_clip/kept")), 0);
    double seen[3];
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            assert_int_equal(rename(in_scratch("other_clip/kept"), in_scratch("other_clip/tokenizer_config.json")), 0);
        if (i == 2) write_text(in_scratch("other_clip/preprocessor_config.json"), brighter_processor);
        evaluate(&o, &(way){0}, in_scratch("changing"), sets(), small);
        expect_success(&o);
        cJSON *r = report("changing"), *row = row_of(r, 1);
        seen[i] = value_of(measure_of(row, "clip_image_image"), 0);
        char *notes = cJSON_Print(cJSON_GetObjectItem(row, "notes"));
        assert_int_equal(strstr(notes, "other_clip has no tokenizer") != NULL, i == 0);
        if (i) measure_of(row, "clip_text_image");
        free(notes);
        cJSON_Delete(r);
    }
    assert_true(seen[0] == seen[1]);
    assert_true(fabs(seen[2] - seen[1]) > 1e-6);
}

/* ---- Numbers ---- */

typedef struct looks {
    safetensors *given[SETS], *made[SETS];
    int dim;
} looks;

static const float *rows_at(const safetensors *s, const char *name)
{
    return safetensors_find(s, name)->data;
}

static void open_looks(looks *l, const char *kind, int k)
{
    char path[4096], file[4200];
    features_of("whole", kind, path);
    for (int s = 0; s < SETS; s++) {
        snprintf(file, sizeof file, "%s/given/%06d.safetensors", path, s);
        assert_int_equal(safetensors_open(&l->given[s], file, NULL), 0);
        snprintf(file, sizeof file, "%s/k%d/%06d.safetensors", path, k, s);
        assert_int_equal(safetensors_open(&l->made[s], file, NULL), 0);
    }
    l->dim = (int)safetensors_find(l->made[0], "features")->shape.dim[1];
}

static void close_looks(looks *l)
{
    for (int s = 0; s < SETS; s++) {
        safetensors_close(&l->given[s]);
        safetensors_close(&l->made[s]);
    }
}

static double angle(const float *a, const float *b, int dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < dim; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return 100 * ab / sqrt(aa) / sqrt(bb);
}

static void near(const char *what, double found, double wanted)
{
    if (!(fabs(found - wanted) < 1e-9 * (1 + fabs(wanted)))) fail_msg("%s is %.15g, wanted %.15g", what, found, wanted);
}

/* With 2 given: of the second image made, over all sets. */
static void similarities_are_those_of_the_features(void **state)
{
    (void)state;
    looks l;
    cJSON *r = report("whole"), *row = row_of(r, 2);
    open_looks(&l, "clip", 2);
    double text = 0, before = 0, given = 0;
    for (int s = 0; s < SETS; s++) {
        const float *g = rows_at(l.given[s], "features"), *m = rows_at(l.made[s], "features"), *second = m + l.dim;
        text += angle(second, rows_at(l.given[s], "text"), l.dim) / SETS;
        given += (angle(second, g, l.dim) + angle(second, g + l.dim, l.dim)) / 2 / SETS;
        before += (angle(second, g, l.dim) + angle(second, g + l.dim, l.dim) + angle(second, m, l.dim)) / 3 / SETS;
    }
    const cJSON *m = measure_of(row, "clip_text_image");
    near("text-image", value_of(m, 1), text);
    near("image-given", value_of(measure_of(row, "clip_image_given"), 1), given);
    near("image-image", value_of(measure_of(row, "clip_image_image"), 1), before);
    near("mean", cJSON_GetObjectItem(m, "mean")->valuedouble, (value_of(m, 0) + value_of(m, 1)) / 2);
    near("deviation", cJSON_GetObjectItem(m, "deviation")->valuedouble, fabs(value_of(m, 0) - value_of(m, 1)) / 2);
    assert_int_equal(cJSON_GetObjectItem(m, "sets")->valueint, SETS);
    assert_non_null(measure_of(row, "dino_image_image"));
    close_looks(&l);
    cJSON_Delete(r);
}

/* The Fréchet distance is what `m2m metrics`, which is held against scipy, tells of the first given images and the
 * n-th made ones. */
static void the_distance_is_from_the_first_given_images(void **state)
{
    (void)state;
    looks l;
    outcome o;
    float a[SETS * 64], b[SETS * 64];
    cJSON *r = report("whole");
    open_looks(&l, "clip", 2);
    assert_true(l.dim <= 64);
    for (int s = 0; s < SETS; s++) {
        memcpy(a + s * l.dim, rows_at(l.given[s], "features"), (size_t)l.dim * sizeof *a);
        memcpy(b + s * l.dim, rows_at(l.made[s], "features") + l.dim, (size_t)l.dim * sizeof *b);
    }
    const shape two = {.rank = 2, .dim = {SETS, l.dim}};
    const safetensors_item items[2] = {{"features_a", {.type = DT_F32, .shape = two, .data = a}, DT_F32},
                                       {"features_b", {.type = DT_F32, .shape = two, .data = b}, DT_F32}};
    assert_int_equal(safetensors_save(in_scratch("x.safetensors"), items, 2, NULL, 0, NULL), 0);
    RUN(&o, "metrics", "--in", in_scratch("x.safetensors"));
    expect_success(&o);
    cJSON *metrics = cJSON_Parse(o.out);
    const cJSON *m = measure_of(row_of(r, 2), "frechet_distance");
    near("Fréchet distance", value_of(m, 1), cJSON_GetObjectItem(metrics, "fid")->valuedouble);
    assert_string_equal(cJSON_GetObjectItem(m, "label")->valuestring, "Fréchet distance (clip)");
    cJSON_Delete(metrics);
    close_looks(&l);
    cJSON_Delete(r);
}

/* ---- Data at fault ---- */

/* Sets a (good), b (its second image damaged), c (one image). */
static void write_folders(void)
{
    shard *s;
    static const char *const files[] = {"a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0.png"};
    assert_int_equal(shard_open(&s, in_tests("data/sets/sets-00000.tar"), NULL), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(dir_make(in_scratch("folders/%c", 'a' + i), NULL), 0);
    for (int i = 0; i < 5; i++) {
        size_t size;
        char suffix[16];
        snprintf(suffix, sizeof suffix, "%02d.png", i);
        const uint8_t *png = shard_data(s, 0, shard_find(s, 0, suffix), &size);
        write_file(in_scratch("folders/%s", files[i]), png, i == 3 ? size / 2 : size);
    }
    shard_close(&s);
}

static void sets_that_cannot_be_used_are_counted_and_named(void **state)
{
    (void)state;
    outcome o;
    write_folders();
    evaluate(&o, &(way){0}, in_scratch("faulty"), in_scratch("folders"), NULL);
    expect_success(&o);
    cJSON *r = report("faulty"), *one = row_of(r, 1), *two = row_of(r, 2);
    const cJSON *problems = cJSON_GetObjectItem(two, "problems");
    assert_int_equal(cJSON_GetObjectItem(one, "sets")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(measure_of(one, "clip_image_image"), "sets")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(two, "sets")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(measure_of(two, "clip_image_image"), "sets")->valueint, 1);
    assert_int_equal(cJSON_GetArraySize(problems), 2);
    const char *damaged = cJSON_GetObjectItem(cJSON_GetArrayItem(problems, 0), "why")->valuestring;
    if (!strstr(damaged, "b/1.png")) fail_msg("found \"%s\", wanted the damaged image's name", damaged);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(problems, 1), "why")->valuestring,
                        "has 1 images, wanted 2");
    assert_non_null(strstr(o.out, "is left out with 2 given: has 1 images, wanted 2"));
    cJSON_Delete(r);
}

/* Captions: good, no UTF-8, none. */
static void captions_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    outcome o;
    shard *from;
    shard_writer *w;
    assert_int_equal(shard_open(&from, in_tests("data/sets/sets-00000.tar"), NULL), 0);
    assert_int_equal(dir_make(in_scratch("said"), NULL), 0);
    assert_int_equal(shard_create(&w, in_scratch("said/sets-00000.tar"), NULL), 0);
    for (int i = 0; i < 3; i++) {
        size_t size;
        char key[8];
        const uint8_t *png = shard_data(from, 0, shard_find(from, 0, "00.png"), &size);
        const shard_field fields[] = {{"00.png", png, size}, {"txt", i ? "\xff\xfe" : "a cat", i ? 2 : 5}};
        snprintf(key, sizeof key, "%06d", i);
        assert_int_equal(shard_add(w, key, fields, i == 2 ? 1 : 2, NULL), 0);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    shard_close(&from);
    evaluate(&o, &(way){0}, in_scratch("mute"), in_scratch("said"), (const char *const[]){"--given", "1", NULL});
    expect_success(&o);
    cJSON *r = report("mute"), *row = row_of(r, 1), *problems = cJSON_GetObjectItem(row, "problems");
    assert_int_equal(cJSON_GetObjectItem(row, "sets")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(measure_of(row, "clip_image_image"), "sets")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(measure_of(row, "clip_text_image"), "sets")->valueint, 1);
    assert_int_equal(cJSON_GetArraySize(problems), 2);
    static const char *const why[] = {"no UTF-8", "has no caption"};
    for (int i = 0; i < 2; i++) {
        const cJSON *p = cJSON_GetArrayItem(problems, i);
        const char *text = cJSON_GetObjectItem(p, "why")->valuestring;
        if (!strstr(text, why[i]) || !strstr(text, "text-image")) fail_msg("found \"%s\", wanted %s", text, why[i]);
    }
    cJSON_Delete(r);
}

/* ---- Tables ---- */

static void the_page_stands_alone(void **state)
{
    (void)state;
    size_t size;
    char *html = read_file(in_scratch("whole/report.html"), &size);
    int images = 0;
    for (const char *at = html; (at = strstr(at, "<img src=\"")); images++) {
        at += strlen("<img src=\"");
        if (strncmp(at, "data:image/png;base64,iVBORw0KGgo", 33)) fail_msg("an image is %.60s", at);
    }
    assert_int_equal(images, 2 * SETS);
    free(html);
}

/* Behind all progress: `m2m eval sets … | tail -1`. */
static void the_page_is_named_last(void **state)
{
    (void)state;
    outcome o;
    evaluate(&o, &(way){0}, in_scratch("whole"), sets(), NULL);
    expect_success(&o);
    assert_non_null(strstr(o.out, "scores with 2 given  2 of 2"));
    const char *end = strstr(o.out, "whole/report.html\n");
    if (!end || end[strlen("whole/report.html\n")]) fail_msg("the path of the page is not the last line of %s", o.out);
}

static void several_models_are_one_table(void **state)
{
    (void)state;
    outcome o;
    evaluate(&o, &(way){0}, in_scratch("other"), sets(),
             (const char *const[]){"--given", "2", "--name", "a <b>", "--guidance", "3", NULL});
    expect_success(&o);
    RUN(&o, "eval", "sets", "--compare", in_scratch("whole"), in_scratch("other"), "-o", in_scratch("table"));
    expect_success(&o);
    cJSON *r = report("table"), *rows = cJSON_GetObjectItem(r, "rows");
    assert_int_equal(cJSON_GetArraySize(rows), 3);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 2), "model")->valuestring, "a <b>");
    size_t size;
    char *html = read_file(in_scratch("table/report.html"), &size);
    char *text = read_file(in_scratch("table/report.md"), &size);
    assert_non_null(strstr(html, "<svg"));
    assert_non_null(strstr(html, "a &lt;b&gt;"));
    assert_null(strstr(html, "a <b>"));
    assert_non_null(strstr(text, "Rows differ in: guidance\n"));
    free(html);
    free(text);
    cJSON_Delete(r);
    assert_int_equal(dir_make(in_scratch("whole2"), NULL), 0);
    write_text(in_scratch("whole2/report.json"), "{\"format\": 1, \"version\": \"x\", \"rows\": [{\"model\": 3}]}");
    RUN(&o, "eval", "sets", "--compare", in_scratch("whole2"), "-o", in_scratch("table2"));
    expect_refused(&o, "whole2/report.json: rows[0]: \"model\" is 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_run_goes_on),
        cmocka_unit_test(a_run_killed_while_it_looks_goes_on),
        cmocka_unit_test(two_shares_are_one_run),
        cmocka_unit_test(rows_can_be_added),
        cmocka_unit_test(other_options_are_refused),
        cmocka_unit_test(two_runs_of_one_share_do_not_meet),
        cmocka_unit_test(what_looks_may_change),
        cmocka_unit_test(similarities_are_those_of_the_features),
        cmocka_unit_test(the_distance_is_from_the_first_given_images),
        cmocka_unit_test(sets_that_cannot_be_used_are_counted_and_named),
        cmocka_unit_test(captions_that_cannot_be_used_are_named),
        cmocka_unit_test(the_page_stands_alone),
        cmocka_unit_test(the_page_is_named_last),
        cmocka_unit_test(several_models_are_one_table),
    };
    return cmocka_run_group_tests(tests, prepare, scratch_remove);
}
