/* Data sets over shards and folders, their check, and the loader's order: bad images cost themselves only, and batch b
 * is the same whatever was drawn before it. */
#include "base/file.h"
#include "base/json.h"
#include "data/check.h"
#include "data/loader.h"
#include "data/set.h"
#include "data/shard.h"
#include "image/image.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

SCRATCH_DIR_FIXTURE(dir)
static const dataset_view view = {16, 16, FIT_CROP, {255, 0, 0}};

/* ---- Spoilt images ---- */

static void cut(uint8_t *p, size_t *n) { (void)p; *n /= 2; }
static void head_only(uint8_t *p, size_t *n) { (void)p; *n = 8; }
static void nothing(uint8_t *p, size_t *n) { (void)p; *n = 0; }
static void no_image(uint8_t *p, size_t *n) { memset(p, 'x', *n); }
static void no_signature(uint8_t *p, size_t *n) { (void)n; p[0] ^= 0x10; }
static void header_crc(uint8_t *p, size_t *n) { (void)n; p[29] ^= 1; }
static void huge_side(uint8_t *p, size_t *n) { (void)n; p[16] = 0x7f; }
static void zero_side(uint8_t *p, size_t *n) { (void)n; memset(p + 16, 0, 4); }
static void pixels_crc(uint8_t *p, size_t *n) { p[*n - 14] ^= 1; }
static void pixels_bits(uint8_t *p, size_t *n) { memset(p + *n / 2, 0xff, 6); }
static void jpeg_cut(uint8_t *p, size_t *n) { memcpy(p, "\xff\xd8\xff\xe0\0\x10JFIF", 10); *n = 20; }
static void webp_cut(uint8_t *p, size_t *n) { memcpy(p, "RIFF\xff\xff\xff\x7fWEBPVP8 ", 16); *n = 40; }

static const struct { const char *what; void (*spoil)(uint8_t *, size_t *); } spoils[] = {
#define CASE(f) {#f, f}
    CASE(cut), CASE(head_only), CASE(nothing), CASE(no_image), CASE(no_signature), CASE(header_crc), CASE(huge_side),
    CASE(zero_side), CASE(pixels_crc), CASE(pixels_bits), CASE(jpeg_cut), CASE(webp_cut)};

/* A shard of one sound set of 3, and one set of 2 images + a spoilt one for each way to spoil it. */
static int64_t write_spoilt(const char *path)
{
    shard_writer *w;
    int64_t ways = (int64_t)(sizeof spoils / sizeof *spoils);
    assert_int_equal(shard_create(&w, path, NULL), 0);
    for (int64_t k = -1; k < ways; k++) {
        shard_field f[4];
        char key[20];
        static const char *const names[] = {"00.png", "01.png", "02.png"};
        for (int i = 0; i < 3; i++) {
            f[i].suffix = names[i];
            f[i].data = tiny_png(16, i, &f[i].size);
        }
        if (k >= 0) spoils[k].spoil((uint8_t *)f[1].data, &f[1].size);
        f[3] = k == 0 ? (shard_field){"json", "{", 1} : (shard_field){"json", "{}", 2};
        snprintf(key, sizeof key, "set-%02d", (int)k + 1);
        assert_int_equal(shard_add(w, key, f, 4, NULL), 0);
        for (int i = 0; i < 3; i++) free((void *)f[i].data);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    return ways;
}

static void spoilt_images_are_refused(void **state)
{
    (void)state;
    dataset *d;
    int64_t ways = write_spoilt(scratch_dir_file(&dir, "spoilt.tar"));
    assert_int_equal(dataset_open(&d, scratch_dir_file(&dir, "spoilt.tar"), 2, NULL), 0);
    assert_int_equal(dataset_sets(d), ways + 1);
    for (int set = 0; set < dataset_sets(d); set++)
        for (int i = 0; i < 3; i++) {
            m2m_image img = {0};
            m2m_error err = {0};
            int rc = dataset_read(d, set, i, &view, &img, &err);
            bool spoilt = set > 0 && i == 1;
            if (spoilt != (rc != 0)) fail_msg("set %d, image %d: %d %s", set, i, rc, err.msg);
            if (spoilt && !strstr(err.msg, "01.png"))
                fail_msg("%s: no name in: %s", spoils[set - 1].what, err.msg);
            m2m_image_free(&img);
        }
    dataset_close(&d);
}

static int64_t number(const cJSON *o, const char *key)
{
    int64_t n = -1;
    assert_int_equal(json_int(o, key, 0, 1 << 30, &n, NULL), 0);
    return n;
}

static void count_line(void *user, const char *text)
{
    assert_null(strchr(text, '\n'));
    ++*(int *)user;
}

static void check_counts_and_lists(void **state)
{
    (void)state;
    int lines = 0;
    m2m_calls calls = {.user = &lines, .line = count_line};
    cJSON *o;
    char paths[700];
    int64_t ways = write_spoilt(scratch_dir_file(&dir, "spoilt.tar"));
    write_file(scratch_dir_file(&dir, "damaged.tar"), "no tar at all", 13);
    snprintf(paths, sizeof paths, "%s/spoilt.tar,%s/damaged.tar,%s/spoilt.tar", dir.path, dir.path, dir.path);
    assert_int_equal(data_check(paths, scratch_dir_file(&dir, "report.json"), &calls, NULL), 0);
    assert_int_equal(json_load(&o, scratch_dir_file(&dir, "report.json"), NULL), 0);
    assert_int_equal(number(o, "sets"), 2 * (ways + 1));
    assert_int_equal(number(o, "images"), 2 * (ways * 2 + 3));
    assert_int_equal(number(o, "bad_images"), 2 * ways);
    assert_int_equal(number(o, "damaged_shards"), 1);
    assert_int_equal(number(o, "bad_json"), 2);
    assert_int_equal(number(o, "duplicate_keys"), ways + 1);
    assert_int_equal(cJSON_GetArraySize(json_member(o, "problems")), 2 * ways + 1 + 2 + ways + 1);
    assert_true(lines > 10);
    cJSON_Delete(o);
    m2m_error err = {0};
    assert_int_equal(data_check(scratch_dir_file(&dir, "damaged.tar"), NULL, NULL, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "damaged.tar"));
    assert_int_equal(data_check(scratch_dir_file(&dir, "nowhere"), NULL, NULL, &err), M2M_EIO);
}

static void folders_are_sets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int side;
    } files[] = {{"f/b/2.png", 16}, {"f/b/1.png", 20}, {"f/b/note.txt", 0}, {"f/a/x.png", 8},
                 {"f/c/1.png", 16}, {"f/c/2.png", 16}, {"f/c/3.png", 16}};
    char path[300];
    dataset *d;
    m2m_image img;
    mkdir(scratch_dir_file(&dir, "f"), 0777);
    mkdir(scratch_dir_file(&dir, "f/a"), 0777);
    mkdir(scratch_dir_file(&dir, "f/b"), 0777);
    mkdir(scratch_dir_file(&dir, "f/c"), 0777);
    for (int i = 0; i < 7; i++) {
        size_t size = 2;
        uint8_t *png = files[i].side ? tiny_png(files[i].side, i, &size) : NULL;
        write_file(scratch_dir_file(&dir, files[i].name), png ? (const void *)png : "hi", size);
        free(png);
    }
    snprintf(path, sizeof path, "%s/f", dir.path);
    assert_int_equal(dataset_open(&d, path, 2, NULL), 0);
    assert_int_equal(dataset_sets(d), 2);
    assert_int_equal(dataset_left_out(d), 1);                 /* a has one image */
    assert_int_equal(dataset_images(d, 0), 2);
    assert_int_equal(dataset_images(d, 1), 3);
    assert_int_equal(dataset_first(d, 1), 2);
    assert_int_equal(dataset_total(d), 5);
    assert_int_equal(dataset_read(d, 0, 0, &view, &img, NULL), 0);      /* 1.png, of 20 pixels, fitted */
    assert_int_equal(img.width, 16);
    assert_int_equal(img.channels, 3);
    m2m_image_free(&img);
    dataset_close(&d);
    m2m_error err = {0};
    assert_int_equal(dataset_open(&d, path, 4, &err), M2M_EFORMAT);
    assert_int_equal(data_check(path, NULL, NULL, NULL), 0);
}

static void transparent_pixels_show_the_background(void **state)
{
    (void)state;
    dataset *d;
    m2m_image img;
    shard_writer *w;
    shard_field f[2] = {{"00.png", NULL, 0}, {"01.png", NULL, 0}};
    assert_int_equal(m2m_image_new(&img, 16, 16, 4, NULL), 0);      /* all transparent */
    assert_int_equal(m2m_image_save(&img, scratch_dir_file(&dir, "t.png"), NULL, 0, NULL), 0);
    m2m_image_free(&img);
    bytes png = read_file(scratch_dir_file(&dir, "t.png"));
    for (int i = 0; i < 2; i++) f[i].data = png.data, f[i].size = png.size;
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "t.tar"), NULL), 0);
    assert_int_equal(shard_add(w, "a", f, 2, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
    assert_int_equal(dataset_open(&d, scratch_dir_file(&dir, "t.tar"), 2, NULL), 0);
    assert_int_equal(dataset_read(d, 0, 1, &view, &img, NULL), 0);
    for (int i = 0; i < 16 * 16; i++) assert_memory_equal(img.data + i * 3, view.background, 3);
    m2m_image_free(&img);
    dataset_close(&d);
    free(png.data);
}

/* ---- Captions ---- */

typedef struct sample {
    const char *key;
    const char *suffixes[3];
    const char *texts[3];      /* NULL: an image */
    const char *caption;       /* NULL: none, and `error` is what the message says */
    const char *error;
} sample;

static const sample samples[] = {
    {"pair", {"jpg", "txt"}, {NULL, " a red apple\n"}, "a red apple", NULL},
    {"both", {"png", "json", "txt"}, {NULL, "{\"caption\": \"of the json\"}", "of the txt"}, "of the txt", NULL},
    {"json", {"00.png", "json"}, {NULL, "{\"caption\": \"\\u00e9tude\"}"}, "\xc3\xa9tude", NULL},
    {"none", {"webp"}, {NULL}, NULL, "set none: has no caption, wanted a member .txt, or \"caption\" in its .json"},
    {"number", {"png", "json"}, {NULL, "{\"caption\": 7}"}, NULL, "caption"},
    {"broken", {"png", "json"}, {NULL, "{"}, NULL, "set broken: its .json"},
    {"empty", {"png", "txt"}, {NULL, " \n"}, NULL, "set empty: its caption is empty"},
    {"latin", {"png", "txt"}, {NULL, "caf\xe9"}, NULL, "set latin: its caption is no UTF-8 text"},
    {"mask", {"jpg", "png", "txt"}, {NULL, NULL, "image and mask: neither is the picture"}, NULL, NULL},
    {"numbered", {"00.png", "png", "txt"}, {NULL, NULL, "numbered images go before"},
     "numbered images go before", NULL}};

enum { SAMPLES = sizeof samples / sizeof *samples };

static void captions_come_with_their_sets(void **state)
{
    (void)state;
    dataset *d;
    shard_writer *w;
    size_t size;
    uint8_t *png = tiny_png(16, 1, &size);
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "texts.tar"), NULL), 0);
    for (int k = 0; k < SAMPLES; k++) {
        shard_field f[3];
        int n = 0;
        for (; n < 3 && samples[k].suffixes[n]; n++) {
            const char *text = samples[k].texts[n];
            f[n] = (shard_field){samples[k].suffixes[n], text ? (const void *)text : png, text ? strlen(text) : size};
        }
        assert_int_equal(shard_add(w, samples[k].key, f, n, NULL), 0);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    free(png);
    assert_int_equal(dataset_open(&d, scratch_dir_file(&dir, "texts.tar"), 1, NULL), 0);
    assert_int_equal(dataset_left_out(d), 1);      /* mask */
    assert_int_equal(dataset_sets(d), SAMPLES - 1);
    for (int k = 0, set = 0; k < SAMPLES; k++) {
        char *caption;
        m2m_error err = {0};
        if (!samples[k].caption && !samples[k].error) continue;
        assert_string_equal(dataset_key(d, set), samples[k].key);
        assert_int_equal(dataset_images(d, set), 1);
        int rc = dataset_caption(d, set++, &caption, &err);
        if (samples[k].caption) {
            if (rc) fail_msg("%s", err.msg);
            assert_string_equal(caption, samples[k].caption);
        } else {
            assert_int_equal(rc, M2M_EFORMAT);
            assert_null(caption);
            if (!strstr(err.msg, samples[k].error)) fail_msg("%s: not in: %s", samples[k].error, err.msg);
        }
        free(caption);
    }
    dataset_close(&d);
}

static void long_captions_are_refused(void **state)
{
    (void)state;
    dataset *d;
    shard_writer *w;
    char *text = malloc(DATASET_CAPTION + 1), *caption;
    memset(text, 'x', DATASET_CAPTION + 1);
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "long.tar"), NULL), 0);
    for (int k = 0; k < 2; k++) {
        shard_field f[] = {{"png", "x", 1}, {"txt", text, DATASET_CAPTION + (size_t)k}};
        assert_int_equal(shard_add(w, k ? "long" : "most", f, 2, NULL), 0);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    free(text);
    assert_int_equal(dataset_open(&d, scratch_dir_file(&dir, "long.tar"), 1, NULL), 0);
    assert_int_equal(dataset_caption(d, 0, &caption, NULL), 0);
    assert_int_equal(strlen(caption), DATASET_CAPTION);
    free(caption);
    assert_int_equal(dataset_caption(d, 1, &caption, NULL), M2M_EFORMAT);
    dataset_close(&d);
}

/* ---- The loader ---- */

enum { S = 3, N = 2, BATCHES = 40 };

static void open_committed(dataset **d)
{
    m2m_error err = {0};
    if (dataset_open(d, TEST_DIR "/data/sets", 2, &err)) fail_msg("%s", err.msg);
}

static void resumed_batches_are_the_same(void **state)
{
    (void)state;
    dataset *d;
    loader a, b;
    loader_item walked[BATCHES][S * N], one[S * N];
    open_committed(&d);
    assert_int_equal(loader_open(&a, d, 5, S, N, ORDER_RANDOM, NULL), 0);
    for (int i = 0; i < BATCHES; i++) loader_batch(&a, i, walked[i]);
    for (int i = BATCHES - 1; i >= 0; i -= 7) {
        assert_int_equal(loader_open(&b, d, 5, S, N, ORDER_RANDOM, NULL), 0);
        loader_batch(&b, i, one);
        assert_memory_equal(one, walked[i], sizeof one);
        loader_close(&b);
    }
    loader_close(&a);
    assert_int_equal(loader_open(&a, d, 6, S, N, ORDER_RANDOM, NULL), 0);
    int same = 0;
    for (int i = 0; i < BATCHES; i++) {
        loader_batch(&a, i, one);
        same += memcmp(one, walked[i], sizeof one) == 0;
    }
    assert_true(same < BATCHES / 4);
    loader_close(&a);
    dataset_close(&d);
}

static void an_epoch_has_every_set_once(void **state)
{
    (void)state;
    dataset *d;
    loader l;
    loader_item items[N];
    open_committed(&d);
    int n = dataset_sets(d), other_order = 0, gaps = 0;
    assert_true(n >= 4 && n < 1000);
    for (loader_order order = ORDER_RANDOM; order <= ORDER_GAPS; order++) {
        assert_int_equal(loader_open(&l, d, 7, 1, N, order, NULL), 0);
        int seen[1000] = {0}, first[1000];
        for (int b = 0; b < 3 * n; b++) {
            loader_batch(&l, b, items);
            assert_int_equal(loader_epoch(&l, b), b / n);
            assert_int_equal(seen[items[0].set]++, b / n);
            if (b < n) first[b] = items[0].set;
            else other_order += items[0].set != first[b % n];
            assert_int_equal(items[0].set, items[1].set);
            assert_int_not_equal(items[0].image, items[1].image);
            if (order == ORDER_RUN) assert_int_equal(items[1].image, items[0].image + 1);
            if (order == ORDER_GAPS) assert_true(items[1].image > items[0].image);
            gaps += order == ORDER_GAPS && items[1].image > items[0].image + 1;
            for (int i = 0; i < N; i++) assert_in_range(items[i].image, 0, dataset_images(d, items[i].set) - 1);
        }
        loader_close(&l);
    }
    assert_true(other_order > 0 && gaps > 0);
    dataset_close(&d);
}

static void the_fingerprint_tells_data_apart(void **state)
{
    (void)state;
    dataset *a, *b;
    open_committed(&a);
    open_committed(&b);
    assert_true(dataset_fingerprint(a) == dataset_fingerprint(b));
    dataset_close(&b);
    write_spoilt(scratch_dir_file(&dir, "spoilt.tar"));
    assert_int_equal(dataset_open(&b, scratch_dir_file(&dir, "spoilt.tar"), 2, NULL), 0);
    assert_true(dataset_fingerprint(a) != dataset_fingerprint(b));
    dataset_close(&a);
    dataset_close(&b);
}

/* Names and sizes are not enough: sets made anew with another seed often have both in common. */
static uint64_t print_of(const char *path)
{
    dataset *d;
    assert_int_equal(dataset_open(&d, path, 2, NULL), 0);
    uint64_t h = dataset_fingerprint(d);
    dataset_close(&d);
    return h;
}

static void write_pair(const char *path, const char *first, const char *second)
{
    shard_writer *w;
    shard_field f[] = {{"00.png", first, strlen(first)}, {"01.png", second, strlen(second)}};
    assert_int_equal(shard_create(&w, path, NULL), 0);
    assert_int_equal(shard_add(w, "a", f, 2, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
}

static void the_fingerprint_sees_content(void **state)
{
    (void)state;
    char file[300];
    const char *path = scratch_dir_file(&dir, "pair.tar");
    write_pair(path, "one", "two");
    uint64_t h = print_of(path);
    write_pair(path, "one", "twO");
    assert_true(print_of(path) != h);
    write_pair(path, "one", "two");
    assert_true(print_of(path) == h);
    snprintf(file, sizeof file, "%s/files/set", dir.path);
    assert_int_equal(dir_make(file, NULL), 0);
    strcat(file, "/1.png");
    write_file(file, "one", 3);
    file[strlen(file) - 5] = '2';
    write_file(file, "two", 3);
    path = scratch_dir_file(&dir, "files");
    h = print_of(path);
    write_file(file, "twO", 3);
    assert_true(print_of(path = scratch_dir_file(&dir, "files")) != h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spoilt_images_are_refused),
        cmocka_unit_test(check_counts_and_lists),
        cmocka_unit_test(folders_are_sets),
        cmocka_unit_test(transparent_pixels_show_the_background),
        cmocka_unit_test(captions_come_with_their_sets),
        cmocka_unit_test(long_captions_are_refused),
        cmocka_unit_test(resumed_batches_are_the_same),
        cmocka_unit_test(an_epoch_has_every_set_once),
        cmocka_unit_test(the_fingerprint_tells_data_apart),
        cmocka_unit_test(the_fingerprint_sees_content),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
