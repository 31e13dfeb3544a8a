/* Resizing against Pillow, bit for bit; crop, pad, stretch; how people write sizes and colours. */
#include "image/image.h"
#include "image/resize.h"
#include "image/spec.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const filters[] = {"nearest", "box", "bilinear", "bicubic", "lanczos"};

static safetensors *golden;

static int open_golden(void **state)
{
    (void)state;
    return safetensors_open(&golden, TEST_DIR "/golden/resize.safetensors", NULL);
}

static int close_golden(void **state)
{
    (void)state;
    safetensors_close(&golden);
    return 0;
}

static m2m_image view(const tensor *t)
{
    return (m2m_image){(int)t->shape.dim[1], (int)t->shape.dim[0], (int)t->shape.dim[2], t->data};
}

static void bytes_equal_pillows(void **state)
{
    (void)state;
    int done = 0;
    for (int i = 0; i < safetensors_count(golden); i++) {
        char input[16], how[16];
        const char *name = safetensors_name(golden, i);
        const tensor *t = safetensors_at(golden, i);
        if (t->type != DT_U8 || sscanf(name, "%15[^.].%15[^.].", input, how) != 2) continue;
        int filter = 0;
        while (strcmp(filters[filter], how) != 0) filter++;
        m2m_image in = view(safetensors_find(golden, input)), want = view(t), got;
        assert_int_equal(
            image_resize(&got, &in, want.width, want.height, (resize_filter)filter, NULL), 0);
        if (memcmp(got.data, want.data, image_bytes(&want)) != 0) fail_msg("%s differs", name);
        m2m_image_free(&got);
        done++;
    }
    assert_int_equal(done, 55);
}

static void floats_equal_pillows(void **state)
{
    (void)state;
    const m2m_image in = view(safetensors_find(golden, "rgb"));
    float *src = malloc(image_bytes(&in) * sizeof *src);
    assert_non_null(src);
    int done = 0;
    to_f32(src, in.data, DT_U8, (int64_t)image_bytes(&in));
    for (int i = 0; i < safetensors_count(golden); i++) {
        char how[16];
        const tensor *t = safetensors_at(golden, i);
        if (sscanf(safetensors_name(golden, i), "float.%15[^.].", how) != 1) continue;
        int filter = 0;
        while (strcmp(filters[filter], how) != 0) filter++;
        const int w = (int)t->shape.dim[1], h = (int)t->shape.dim[0];
        float *got = malloc((size_t)(w * h * 3) * sizeof *got);
        assert_non_null(got);
        assert_int_equal(
            resize_f32(got, w, h, src, in.width, in.height, 3, (resize_filter)filter, NULL), 0);
        /* Both sum in double and round to float once a pass: half a unit in the last place of
         * values up to 300, twice. */
        for (int k = 0; k < w * h * 3; k++)
            assert_true(fabsf(got[k] - ((const float *)t->data)[k]) <= 4e-5f);
        free(got);
        done++;
    }
    assert_int_equal(done, 6);
    free(src);
}

static void extreme_sizes(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_image line, got;
    assert_int_equal(m2m_image_new(&line, 65535, 1, 3, NULL), 0);
    memset(line.data, 200, image_bytes(&line));
    for (int f = RESIZE_NEAREST; f <= RESIZE_LANCZOS; f++) {
        assert_int_equal(image_resize(&got, &line, 1, 3, (resize_filter)f, NULL), 0);
        for (int i = 0; i < 9; i++) assert_int_equal(got.data[i], 200);
        m2m_image_free(&got);
    }
    assert_int_equal(image_resize(&got, &line, 0, 3, RESIZE_BOX, &err), M2M_EINVAL);
    assert_null(got.data);
    assert_int_equal(image_resize(&got, &line, 65536, 3, RESIZE_BOX, &err), M2M_EINVAL);
    m2m_image_free(&line);
}

/* ---- Fitting ---- */

/* 12 x 6, each third another colour. */
static void make_thirds(m2m_image *img)
{
    assert_int_equal(m2m_image_new(img, 12, 6, 3, NULL), 0);
    for (int i = 0; i < 72; i++) img->data[3 * i + i % 12 / 4] = 255;
}

static const uint8_t gray[3] = {10, 20, 30};

static void is(const m2m_image *img, int x, int y, int r, int g, int b)
{
    const uint8_t *p = img->data + 3 * (y * img->width + x);
    if (p[0] != r || p[1] != g || p[2] != b)
        fail_msg("at %d, %d: %d %d %d, wanted %d %d %d", x, y, p[0], p[1], p[2], r, g, b);
}

static void crop_keeps_the_centre(void **state)
{
    (void)state;
    m2m_image in, out;
    make_thirds(&in);
    assert_int_equal(image_fit(&out, &in, 6, 6, FIT_CROP, gray, NULL), 0);
    assert_true(out.width == 6 && out.height == 6 && out.channels == 3);
    is(&out, 0, 0, 255, 0, 0);
    is(&out, 1, 5, 0, 255, 0);
    is(&out, 4, 0, 0, 255, 0);
    is(&out, 5, 5, 0, 0, 255);
    m2m_image_free(&out);
    m2m_image_free(&in);
}

static void pad_shows_the_background(void **state)
{
    (void)state;
    m2m_image in, out;
    make_thirds(&in);
    assert_int_equal(image_fit(&out, &in, 12, 12, FIT_PAD, gray, NULL), 0);
    is(&out, 0, 2, 10, 20, 30);
    is(&out, 0, 3, 255, 0, 0);
    is(&out, 11, 8, 0, 0, 255);
    is(&out, 11, 9, 10, 20, 30);
    m2m_image_free(&out);
    m2m_image_free(&in);
}

static void alpha_is_over_the_background(void **state)
{
    (void)state;
    m2m_image in, out;
    assert_int_equal(m2m_image_new(&in, 4, 4, 4, NULL), 0);
    for (image_fit_mode mode = FIT_CROP; mode <= FIT_STRETCH; mode++) {
        assert_int_equal(image_fit(&out, &in, 8, 4, mode, gray, NULL), 0);
        assert_true(out.width == 8 && out.height == 4 && out.channels == 3);
        for (int i = 0; i < 8; i++) is(&out, i, i % 4, 10, 20, 30);
        m2m_image_free(&out);
    }
    m2m_image_free(&in);
}

/* Any shape into any other: the promised size, and crop and pad never distort (a uniform image stays uniform). */
static void every_shape_fits(void **state)
{
    (void)state;
    static const int sides[] = {1, 2, 7, 64, 300};
    for (int i = 0; i < 5 * 5 * 5 * 5 * 3; i++) {
        int w = sides[i % 5], h = sides[i / 5 % 5], tw = sides[i / 25 % 5], th = sides[i / 125 % 5];
        m2m_image in, out;
        if ((int64_t)w * h > 1000 && (int64_t)tw * th > 1000) continue;
        assert_int_equal(m2m_image_new(&in, w, h, 3, NULL), 0);
        memset(in.data, 77, image_bytes(&in));
        assert_int_equal(image_fit(&out, &in, tw, th, (image_fit_mode)(i / 625),
                             (const uint8_t[]){77, 77, 77}, NULL),
            0);
        assert_true(out.width == tw && out.height == th);
        for (size_t k = 0; k < image_bytes(&out); k++) assert_int_equal(out.data[k], 77);
        m2m_image_free(&out);
        m2m_image_free(&in);
    }
    m2m_error err = {0};
    m2m_image in, out;
    make_thirds(&in);
    assert_int_equal(image_fit(&out, &in, 0, 5, FIT_CROP, gray, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "0 x 5"));
    assert_int_equal(image_fit(&out, &in, 5, 65536, FIT_PAD, gray, &err), M2M_EINVAL);
    m2m_image_free(&in);
}

static void what_is_done_is_said(void **state)
{
    (void)state;
    char buf[120];
    assert_string_equal(image_fit_text(640, 480, 64, 64, FIT_CROP, buf, sizeof buf),
        "640 x 480, cropped to 480 x 480, resized to 64 x 64");
    assert_string_equal(image_fit_text(640, 480, 64, 64, FIT_PAD, buf, sizeof buf),
        "640 x 480, resized to 64 x 48, padded to 64 x 64");
    assert_string_equal(image_fit_text(640, 480, 64, 64, FIT_STRETCH, buf, sizeof buf),
        "640 x 480, resized to 64 x 64");
    assert_string_equal(image_fit_text(128, 128, 64, 64, FIT_CROP, buf, sizeof buf),
        "128 x 128, resized to 64 x 64");
    assert_string_equal(
        image_fit_text(64, 64, 64, 64, FIT_PAD, buf, sizeof buf), "64 x 64, as it is");
}

static void sizes_and_colours_are_parsed(void **state)
{
    (void)state;
    m2m_error err = {0};
    int w = 0, h = 0;
    uint8_t rgb[3];
    image_fit_mode mode;
    assert_int_equal(parse_size("640x48", &w, &h, NULL), 0);
    assert_true(w == 640 && h == 48);
    static const char *const bad[] = {"", "64", "64x", "x64", "64x64x64", "0x64", "64x65536",
        "-64x64", "64 x64", "6e1x64", "99999999999999999999x64"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_size(bad[i], &w, &h, &err), M2M_EINVAL);
        assert_non_null(strstr(err.msg, bad[i]));
    }
    assert_int_equal(parse_colour("#0aFf7E", rgb, NULL), 0);
    assert_memory_equal(rgb, "\x0a\xff\x7e", 3);
    assert_int_equal(parse_colour("0aff7", rgb, &err), M2M_EINVAL);
    assert_int_equal(parse_colour("0aff7g", rgb, &err), M2M_EINVAL);
    assert_int_equal(parse_colour("##aff7e", rgb, &err), M2M_EINVAL);
    assert_int_equal(parse_fit("pad", &mode, NULL), 0);
    assert_int_equal(mode, FIT_PAD);
    assert_int_equal(parse_fit("padded", &mode, &err), M2M_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_equal_pillows),
        cmocka_unit_test(floats_equal_pillows),
        cmocka_unit_test(extreme_sizes),
        cmocka_unit_test(crop_keeps_the_centre),
        cmocka_unit_test(pad_shows_the_background),
        cmocka_unit_test(alpha_is_over_the_background),
        cmocka_unit_test(every_shape_fits),
        cmocka_unit_test(what_is_done_is_said),
        cmocka_unit_test(sizes_and_colours_are_parsed),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
