/* m2m eval fid, kid, prdc, clip, dino on tiny models: folders, shards and statistics give the same figures; what is bad
 * is left out, counted and named; figures are those of a few known cases. That they are the peers' is seen by
 * tools/eval/check_peers.py. */
#include "program.h"

#include "data/shard.h"
#include "image/image.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 14, MOST = 24 };

/* Of prepare; in_scratch itself keeps its last few paths only. */
static char a[PATH_MAX], b[PATH_MAX], dino[PATH_MAX], clip[PATH_MAX];

/* A smooth picture of its own for every seed, of changing size. */
static void draw(const char *path, unsigned seed)
{
    m2m_image img;
    m2m_error err = {0};
    const int width = 20 + (int)(seed % 5), height = 34 - (int)(seed % 7);
    assert_int_equal(m2m_image_new(&img, width, height, 3, &err), 0);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                const double wave = sin(x * (0.1 + seed % 11 * 0.05) + c) + cos(y * (0.07 + seed % 13 * 0.03) + seed);
                img.data[(y * width + x) * 3 + c] = (uint8_t)(127.5 + 60 * wave);
            }
    if (m2m_image_save(&img, path, NULL, 0, &err)) fail_msg("%s", err.msg);
    m2m_image_free(&img);
}

static void add_to_shard(shard_writer *w, int i)
{
    char key[16];
    size_t size;
    char *data = read_file(in_scratch("a/%02d.png", i), &size);
    snprintf(key, sizeof key, "%02d", i);
    assert_int_equal(shard_add(w, key, (shard_field[]){{"png", data, size}, {"txt", "a cat", 5}}, 2, NULL), 0);
    free(data);
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    make_eyes();
    snprintf(a, sizeof a, "%s", in_scratch("a"));
    snprintf(b, sizeof b, "%s", in_scratch("b"));
    snprintf(dino, sizeof dino, "%s", in_scratch("dino"));
    snprintf(clip, sizeof clip, "%s", in_scratch("clip"));
    static const char *const folders[] = {"a", "b", "shards", "bad", "texts"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(in_scratch("%s", folders[i]), 0755), 0);
    shard_writer *w[2];
    for (int k = 0; k < 2; k++)
        assert_int_equal(shard_create(&w[k], in_scratch("shards/%d.tar", k), NULL), 0);
    for (int i = 0; i < IMAGES; i++) {
        draw(in_scratch("a/%02d.png", i), (unsigned)i);
        draw(in_scratch("b/%02d.png", i), (unsigned)i + 100);
        add_to_shard(w[i >= IMAGES / 2], i);
    }
    for (int k = 0; k < 2; k++) assert_int_equal(shard_finish(&w[k], NULL), 0);
    return 0;
}

static cJSON *result(const char *json)
{
    size_t size;
    char *text = read_file(json, &size);
    cJSON *o = cJSON_Parse(text);
    free(text);
    assert_non_null(o);
    return o;
}

/* The result of a run that must succeed; words: NULL at the end. */
static cJSON *evaluate(const char *const *words)
{
    const char *args[MOST + 4] = {"eval"};
    outcome o;
    int n = 1;
    for (; *words; words++) args[n++] = *words;
    assert_true(n < MOST);
    args[n++] = "--json";
    args[n++] = in_scratch("result.json");
    program_run(&o, &(way){0}, args);
    expect_success(&o);
    return result(in_scratch("result.json"));
}
#define EVAL(...) evaluate((const char *const[]){__VA_ARGS__, NULL})

static double number(const cJSON *o, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(o, key);
    if (!cJSON_IsNumber(v)) fail_msg("%s is no number", key);
    return v->valuedouble;
}

/* The figure, and the result is done with. */
static double figure(cJSON *o, const char *key)
{
    const double x = number(o, key);
    cJSON_Delete(o);
    return x;
}

static const cJSON *input(const cJSON *o, int i)
{
    const cJSON *v = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "inputs"), i);
    assert_non_null(v);
    return v;
}

static void close_to(const char *what, double found, double wanted, double relative)
{
    if (!(fabs(found - wanted) <= relative * fabs(wanted) + 1e-12))
        fail_msg("%s: %.12g, wanted %.12g", what, found, wanted);
}


/* ---- Frechet distance ---- */

static void the_way_does_not_matter(void **state)
{
    (void)state;
    char npz[PATH_MAX];
    snprintf(npz, sizeof npz, "%s", in_scratch("a.npz"));
    cJSON *o = EVAL("fid", a, b, "--dino", dino);
    const double wanted = number(o, "frechet_distance");
    assert_null(cJSON_GetObjectItem(o, "fid"));        /* so may only what stands on Inception be called */
    assert_int_equal(number(input(o, 0), "images"), IMAGES);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "warnings")), 4);
    cJSON_Delete(o);
    assert_true(wanted > 0.01);
    /* Batches differ in the order of sums of some products. */
    close_to("batch", figure(EVAL("fid", a, b, "--dino", dino, "--batch", "1"), "frechet_distance"), wanted, 1e-5);
    close_to("batch", figure(EVAL("fid", a, b, "--dino", dino, "--batch", "9"), "frechet_distance"), wanted, 1e-5);
    close_to("shards", figure(EVAL("fid", in_scratch("shards"), b, "--dino", dino), "frechet_distance"), wanted, 1e-9);
    cJSON_Delete(EVAL("fid", a, "--dino", dino, "--save-stats", npz));
    close_to("statistics", figure(EVAL("fid", npz, b, "--dino", dino), "frechet_distance"), wanted, 1e-9);
    assert_true(fabs(figure(EVAL("fid", npz, npz), "frechet_distance")) < 1e-9);
}

static void what_is_bad_is_named(void **state)
{
    (void)state;
    size_t size;
    char *png = read_file(in_scratch("a/03.png"), &size);
    for (int i = 0; i < IMAGES; i++) {
        size_t n;
        char *data = read_file(in_scratch("a/%02d.png", i), &n);
        write_file(in_scratch("bad/%02d.png", i), data, n);
        free(data);
    }
    write_file(in_scratch("bad/torn.png"), png, size / 2);
    write_text(in_scratch("bad/words.jpg"), "no image");
    write_text(in_scratch("bad/notes.txt"), "is not looked at");
    free(png);
    cJSON *o = EVAL("fid", in_scratch("bad"), in_scratch("b"), "--clip", clip);
    const cJSON *side = input(o, 0), *list = cJSON_GetObjectItem(side, "problems");
    assert_int_equal(number(side, "images"), IMAGES);
    assert_int_equal(number(side, "bad"), 2);
    char *text = cJSON_Print(list);
    assert_non_null(strstr(text, "torn.png"));
    assert_non_null(strstr(text, "words.jpg"));
    free(text);
    close_to("without the bad", number(o, "frechet_distance"),
             figure(EVAL("fid", in_scratch("a"), in_scratch("b"), "--clip", clip), "frechet_distance"), 1e-9);
    cJSON_Delete(o);
}

/* What a script takes is the last line, behind all progress: `m2m eval … | tail -1`. */
static void the_result_stands_last(void **state)
{
    (void)state;
    outcome o;
    static const char *const begins[] = {"Fr", "folders: ", "coco: "};
    static const char *const before[] = {"images of b  14 of 14", "check sets", "read the index  5270 of 5270"};
    for (int k = 0; k < 3; k++) {
        if (k == 0) RUN(&o, "eval", "fid", a, b, "--dino", dino);
        if (k == 1) RUN(&o, "data", "check", "folders", in_scratch("."));
        if (k == 2) RUN(&o, "data", "check", "coco", in_tests("data/layouts/coco"));
        expect_success(&o);
        if (!strstr(o.out, before[k])) fail_msg("\"%s\" is not in %s", before[k], o.out);
        char *last = strrchr(o.out, '\n');
        assert_non_null(last);
        *last = 0;
        last = strrchr(o.out, '\n');
        if (!last || strncmp(last + 1, begins[k], strlen(begins[k])))
            fail_msg("the last line is \"%s\"", last ? last + 1 : o.out);
    }
}

/* ---- Other distances ---- */

static void a_folder_is_like_itself(void **state)
{
    (void)state;
    cJSON *o = EVAL("prdc", a, a, "--dino", dino, "--neighbours", "3");
    close_to("precision", number(o, "precision"), 1, 0);
    close_to("recall", number(o, "recall"), 1, 0);
    close_to("coverage", figure(o, "coverage"), 1, 0);
    o = EVAL("kid", a, b, "--dino", dino, "--subsets", "3", "--subset-size", "5");
    assert_true(number(o, "kid_standard_error") > 0 && number(o, "kid_subsets_std") > 0);
    const double whole = number(o, "kid");
    cJSON_Delete(o);
    /* A subset of all images is all images. */
    o = EVAL("kid", a, b, "--dino", dino, "--subsets", "2", "--subset-size", "1000");
    close_to("kid", number(o, "kid"), whole, 1e-12);
    close_to("kid of subsets", figure(o, "kid_subsets_mean"), whole, 1e-9);
}

/* ---- Pairs ---- */

static void pairs_go_by_name(void **state)
{
    (void)state;
    close_to("an image and itself", figure(EVAL("dino", a, a, "--dino", dino), "dino_image_image"), 100, 1e-6);
    cJSON *packed = EVAL("clip", a, in_scratch("shards"), "--clip", clip);
    close_to("in a shard", figure(packed, "clip_image_image"), 100, 1e-6);
    const double all = figure(EVAL("dino", a, b, "--dino", dino), "dino_image_image");
    assert_true(all < 99.99);
    copy_tree(b, in_scratch("fewer"));
    assert_int_equal(unlink(in_scratch("fewer/05.png")), 0);
    assert_int_equal(unlink(in_scratch("fewer/06.png")), 0);
    cJSON *o = EVAL("dino", a, in_scratch("fewer"), "--dino", dino);
    assert_int_equal(number(input(o, 0), "images"), IMAGES - 2);
    assert_int_equal(number(input(o, 0), "bad"), 2);
    assert_true(fabs(figure(o, "dino_image_image") - all) > 1e-9);
}

static void texts_stand_beside_or_in_a_table(void **state)
{
    (void)state;
    char table[400] = "";
    for (int i = 0; i < 3; i++) {
        static const char *const said[] = {"a cat", "tree", "moon, sun"};
        char line[80];
        draw(in_scratch("texts/%02d.png", i), (unsigned)i);
        write_text(in_scratch("texts/%02d.txt", i), said[i]);
        snprintf(line, sizeof line, "%02d%s\t%s\n", i, i == 1 ? ".png" : "", said[i]);
        strcat(table, line);
    }
    write_text(in_scratch("table.tsv"), table);
    const double beside = figure(EVAL("clip", in_scratch("texts"), "--clip", clip), "clip_text_image");
    cJSON *o = EVAL("clip", in_scratch("texts"), "--clip", clip, "--captions", in_scratch("table.tsv"));
    close_to("from a table", figure(o, "clip_text_image"), beside, 1e-12);
    o = EVAL("clip", in_scratch("shards"), "--clip", clip);
    assert_int_equal(number(input(o, 0), "images"), IMAGES);
    cJSON_Delete(o);
    draw(in_scratch("texts/mute.png"), 9);
    o = EVAL("clip", in_scratch("texts"), "--clip", clip);
    assert_int_equal(number(input(o, 0), "images"), 3);
    assert_int_equal(number(input(o, 0), "bad"), 1);
    close_to("without the mute one", figure(o, "clip_text_image"), beside, 1e-12);
}

/* ---- Refusals ---- */

static void refusals_say_what_is_wanted(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "eval", "fid", a, b);
    expect_refused(&o, "tools/convert_inception.py");
    RUN(&o, "eval", "fid", a, b, "--inception", in_scratch("nowhere"));
    expect_refused(&o, "tools/convert_inception.py");
    RUN(&o, "eval", "fid", a, "--dino", dino);
    expect_refused(&o, "two");
    RUN(&o, "eval", "dino", a, b, "--dino", in_tests("golden/models/m2m_self"));
    expect_refused(&o, "has neither image_encoder/config.json nor config.json");
    RUN(&o, "eval", "fid", a, b, "--dino", dino, "--splits", "3");
    expect_refused(&o, "--splits");
    RUN(&o, "eval", "fid", a, b, "--dino", dino, "--save-stats", in_scratch("s.npz"));
    expect_refused(&o, "save_stats");
    RUN(&o, "eval", "fid", a, in_scratch("nowhere"), "--dino", dino);
    expect_refused(&o, "nowhere");
    RUN(&o, "eval", "kid", a, in_scratch("table.none"), "--dino", dino);
    expect_refused(&o, "table.none");
    RUN(&o, "eval", "dino", a, in_scratch("dino"), "--dino", dino);
    expect_refused(&o, "no image");
    write_text(in_scratch("twice.tsv"), "00\ta\n01\tb\n00.png\tc\n");
    RUN(&o, "eval", "clip", a, "--clip", clip, "--captions", in_scratch("twice.tsv"));
    expect_refused(&o, "line 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_does_not_matter),
        cmocka_unit_test(what_is_bad_is_named),
        cmocka_unit_test(the_result_stands_last),
        cmocka_unit_test(a_folder_is_like_itself),
        cmocka_unit_test(pairs_go_by_name),
        cmocka_unit_test(texts_stand_beside_or_in_a_table),
        cmocka_unit_test(refusals_say_what_is_wanted),
    };
    return cmocka_run_group_tests(tests, prepare, scratch_remove);
}
