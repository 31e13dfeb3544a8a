/* Images in memory; writing them, with texts. */
#include "base/file.h"
#include "image/codec.h"
#include "image/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void sides_and_channels_have_limits(void **state)
{
    (void)state;
    static const int bad[][3] = {{0, 1, 3}, {1, 0, 3}, {-1, 1, 3}, {65536, 1, 3}, {1, 65536, 4}, {1, 1, 1}, {1, 1, 5}};
    m2m_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        m2m_image img = {1, 1, 1, NULL};
        assert_int_equal(m2m_image_new(&img, bad[i][0], bad[i][1], bad[i][2], &err), M2M_EINVAL);
        assert_null(img.data);
        assert_int_equal(img.width, 0);
    }
    m2m_image img;
    assert_int_equal(m2m_image_new(&img, 65535, 1, 4, &err), 0);
    for (size_t i = 0; i < image_bytes(&img); i++) assert_int_equal(img.data[i], 0);
    m2m_image_free(&img);
    assert_null(img.data);
    m2m_image_free(&img);
    assert_int_equal(image_check_sides(8000, 8000, "x", &err), 0);
    assert_int_equal(image_check_sides(8001, 8000, "x", &err), M2M_EFORMAT);
    assert_int_equal(image_check_sides(INT64_MAX, INT64_MAX, "x", &err), M2M_EFORMAT);
}

/* A picture whose bytes all differ from their neighbours. */
static m2m_image make(int width, int height, int channels)
{
    m2m_image img;
    assert_int_equal(m2m_image_new(&img, width, height, channels, NULL), 0);
    for (size_t i = 0; i < image_bytes(&img); i++) img.data[i] = (uint8_t)(i * 61 + i / 7);
    return img;
}

static void flattening_mixes_with_the_background(void **state)
{
    (void)state;
    static const uint8_t background[3] = {200, 0, 255};
    m2m_image img = make(16, 16, 4), before;
    assert_int_equal(image_copy(&before, &img, NULL), 0);
    for (int i = 0; i < 256; i++) before.data[4 * i + 3] = img.data[4 * i + 3] = (uint8_t)i;
    image_flatten(&img, background);
    assert_int_equal(img.channels, 3);
    for (int i = 0; i < 256; i++) {
        for (int c = 0; c < 3; c++) {
            double exact = (before.data[4 * i + c] * i + background[c] * (255 - i)) / 255.0;
            assert_true(fabs(img.data[3 * i + c] - exact) <= .5);
        }
    }
    m2m_image_free(&before);
    assert_int_equal(image_copy(&before, &img, NULL), 0);
    image_flatten(&img, background);    /* changes nothing any more */
    assert_memory_equal(img.data, before.data, image_bytes(&img));
    m2m_image_free(&before);
    m2m_image_free(&img);
}

static void orientations_undo_their_opposites(void **state)
{
    (void)state;
    static const int opposite[10] = {0, 1, 2, 3, 4, 5, 8, 7, 6, 9};
    for (int channels = 3; channels <= 4; channels++) {
        for (int i = 0; i < 10; i++) {
            m2m_image img = make(5, 3, channels), before;
            assert_int_equal(image_copy(&before, &img, NULL), 0);
            assert_int_equal(image_orient(&img, i, NULL), 0);
            assert_int_equal(img.width, i >= 5 && i <= 8 ? 3 : 5);
            if (i >= 2 && i <= 8) assert_memory_not_equal(img.data, before.data, image_bytes(&img));
            assert_int_equal(image_orient(&img, opposite[i], NULL), 0);
            assert_int_equal(img.width, 5);
            assert_memory_equal(img.data, before.data, image_bytes(&img));
            m2m_image_free(&img);
            m2m_image_free(&before);
        }
    }
}

static void floats_and_back(void **state)
{
    (void)state;
    m2m_image img = make(16, 16, 3), back;
    float *x = malloc(3 * 256 * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < 256; i++) img.data[3 * i + 1] = (uint8_t)i;
    image_to_chw(&img, x);
    assert_true(x[256] == -1 && x[511] == 1);
    assert_true(fabsf(x[256 + 100] - (100 / 127.5f - 1)) < 1e-7f);
    assert_true(x[512] == img.data[2] / 127.5f - 1);
    assert_int_equal(image_from_chw(&back, x, 16, 16, NULL), 0);
    assert_memory_equal(back.data, img.data, image_bytes(&img));
    m2m_image_free(&back);

    float odd[12] = {-2, 2, NAN, INFINITY, -INFINITY, 0, 1.0001f, -1.0001f, 1e30f, -1e30f, .25f, -.25f};
    static const uint8_t wanted[12] = {0, 255, 0, 255, 0, 128, 255, 0, 255, 0, 159, 96};
    assert_int_equal(image_from_chw(&back, odd, 2, 2, NULL), 0);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 4; i++) assert_int_equal(back.data[i * 3 + c], wanted[c * 4 + i]);
    }
    m2m_image_free(&back);
    m2m_image_free(&img);
    free(x);
}

/* ---- Files ---- */

static char folder[64], path[128];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/m2m-image-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void png_keeps_every_byte(void **state)
{
    (void)state;
    static const int sides[][2] = {{1, 1}, {1, 300}, {300, 1}, {17, 33}};
    for (size_t i = 0; i < 8; i++) {
        m2m_image img = make(sides[i / 2][0], sides[i / 2][1], 3 + (int)(i % 2)), back;
        m2m_error err;
        if (m2m_image_save(&img, at("a.png"), NULL, 0, &err)) fail_msg("%s", err.msg);
        if (m2m_image_load(&back, path, &err)) fail_msg("%s", err.msg);
        assert_int_equal(back.channels, img.channels);
        assert_memory_equal(back.data, img.data, image_bytes(&img));
        m2m_image_free(&back);
        for (int level = 0; level <= 9; level += 9) {
            uint8_t *data;
            size_t size;
            assert_int_equal(image_encode_png(&img, NULL, 0, level, &data, &size, &err), 0);
            assert_int_equal(image_decode(&back, data, size, "x", &err), 0);
            assert_memory_equal(back.data, img.data, image_bytes(&img));
            m2m_image_free(&back);
            free(data);
        }
        m2m_image_free(&img);
    }
}

static void jpeg_and_webp_come_close(void **state)
{
    (void)state;
    static const char *const names[] = {"a.jpg", "a.jpeg", "a.webp"};
    m2m_image img, back;
    assert_int_equal(m2m_image_new(&img, 40, 30, 4, NULL), 0);
    for (int i = 0; i < 1200; i++) {
        uint8_t pixel[4] = {(uint8_t)(i % 40 * 6), (uint8_t)(i / 40 * 8), 90, 255};
        memcpy(img.data + 4 * i, pixel, 4);
    }
    img.data[3] = 0;    /* one transparent corner: white in a JPEG */
    for (int i = 0; i < 3; i++) {
        m2m_error err;
        if (m2m_image_save(&img, at(names[i]), NULL, 0, &err)) fail_msg("%s", err.msg);
        if (m2m_image_load(&back, path, &err)) fail_msg("%s", err.msg);
        assert_int_equal(back.channels, i == 2 ? 4 : 3);
        for (int p = 200; p < 1200; p++) {
            const uint8_t *now = back.data + p * back.channels, *was = img.data + p * 4;
            for (int c = 0; c < 3; c++) assert_in_range(now[c] + 9 - was[c], 0, 18);
        }
        if (i < 2) assert_in_range(back.data[0], 180, 255);
        if (i == 2) assert_int_equal(back.data[3], 0);
        m2m_image_free(&back);
    }
    m2m_image_free(&img);
}

static void texts_come_back(void **state)
{
    (void)state;
    static const m2m_text texts[] = {
        {"parameters", "a caf\xc3\xa9, \xc2\xa9 2\xc3\x97\nSteps: 20"},         /* Latin-1 */
        {"m2m", "{\"prompt\":\"\xe7\x8c\xab\xe3\x81\xa8\xe7\x8a\xac \xf0\x9f\x90\xb1\"}"},   /* Japanese */
        {"tab", "a\tb"}, {"empty", ""}, {"broken", "a\xff" "b\xc3"}, {"Caf\xe9", "key"},
    };
    m2m_image img = make(5, 4, 3);
    m2m_error err;
    m2m_text *back;
    int n;
    char *data;
    size_t size;
    if (m2m_image_save(&img, at("a.png"), texts, 6, &err)) fail_msg("%s", err.msg);
    if (image_read_texts(path, &back, &n, &err)) fail_msg("%s", err.msg);
    assert_int_equal(n, 5);
    assert_string_equal(image_text_find(back, n, "parameters"), texts[0].text);
    assert_string_equal(image_text_find(back, n, "m2m"), texts[1].text);
    assert_string_equal(image_text_find(back, n, "tab"), "a\tb");
    assert_null(image_text_find(back, n, "empty"));
    assert_string_equal(image_text_find(back, n, "broken"), "a\xef\xbf\xbd" "b\xef\xbf\xbd");
    assert_string_equal(image_text_find(back, n, "Caf\xc3\xa9"), "key");
    assert_null(image_text_find(back, n, "other"));
    image_texts_free(&back, n);
    assert_null(back);
    /* In the file: Latin-1 as tEXt, which every reader knows, all else as iTXt. */
    assert_int_equal(file_read_all(path, 1 << 20, &data, &size, &err), 0);
    assert_non_null(memmem(data, size, "tEXtparameters\0a caf\xe9, \xa9 2\xd7\nSteps", 33));
    assert_non_null(memmem(data, size, "iTXtm2m\0\0\0\0\0{\"prompt\":\"\xe7\x8c\xab", 26));
    assert_non_null(memmem(data, size, "iTXttab", 7));
    free(data);
    assert_int_equal(m2m_image_save(&img, at("a.jpg"), texts, 6, &err), 0);
    assert_int_equal(image_read_texts(path, &back, &n, &err), 0);
    assert_int_equal(n, 0);
    assert_null(back);
    m2m_image_free(&img);
}

static void long_and_many_texts(void **state)
{
    (void)state;
    enum { MANY = 200, LONG = 1000000 };
    m2m_image img = make(2, 2, 3);
    m2m_error err;
    m2m_text *back, texts[MANY];
    int n;
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, 'x', LONG);
    text[LONG] = 0;
    for (int i = 0; i < MANY; i++) texts[i] = (m2m_text){"many", i ? "short" : text};
    if (m2m_image_save(&img, at("a.png"), texts, MANY, &err)) fail_msg("%s", err.msg);
    if (image_read_texts(path, &back, &n, &err)) fail_msg("%s", err.msg);
    assert_int_equal(n, MANY);
    assert_string_equal(back[0].text, text);
    image_texts_free(&back, n);
    free(text);
    m2m_image_free(&img);
}

static void bad_keywords_are_refused(void **state)
{
    (void)state;
    char many[81];
    memset(many, 'k', 80);
    many[80] = 0;
    const char *const bad[] = {"", many, " a", "a ", "a  b", "a\nb", "a\x80" "b"};
    m2m_image img = make(2, 2, 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        m2m_error err;
        assert_int_equal(m2m_image_save(&img, at("bad.png"), &(m2m_text){bad[i], "text"}, 1, &err), M2M_EINVAL);
        assert_false(file_exists(path));
    }
    many[79] = 0;
    assert_int_equal(m2m_image_save(&img, at("good.png"), &(m2m_text){many, "text"}, 1, NULL), 0);
    m2m_image_free(&img);
}

static void failing_to_save_leaves_what_was_there(void **state)
{
    (void)state;
    m2m_image img = make(4, 4, 3), wide = make(16384, 1, 3), back;
    m2m_error err;
    assert_int_equal(m2m_image_save(&img, at("a.gif"), NULL, 0, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "a.gif"));
    assert_non_null(strstr(err.msg, ".webp"));
    assert_int_equal(m2m_image_save(&img, at("no/folder.png"), NULL, 0, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "folder.png"));
    assert_int_equal(m2m_image_save(&img, at("keep.webp"), NULL, 0, &err), 0);
    assert_int_equal(m2m_image_save(&wide, path, NULL, 0, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "keep.webp"));
    assert_non_null(strstr(err.msg, "16383"));
    assert_int_equal(m2m_image_load(&back, path, &err), 0);
    assert_int_equal(back.width, 4);
    m2m_image_free(&back);
    assert_int_equal(mkdir(at("folder.png"), 0777), 0);
    assert_int_equal(m2m_image_save(&img, path, NULL, 0, &err), M2M_EIO);
    m2m_image_free(&img);
    m2m_image_free(&wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_and_channels_have_limits),
        cmocka_unit_test(flattening_mixes_with_the_background),
        cmocka_unit_test(orientations_undo_their_opposites),
        cmocka_unit_test(floats_and_back),
        cmocka_unit_test(png_keeps_every_byte),
        cmocka_unit_test(jpeg_and_webp_come_close),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(long_and_many_texts),
        cmocka_unit_test(bad_keywords_are_refused),
        cmocka_unit_test(failing_to_save_leaves_what_was_there),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
