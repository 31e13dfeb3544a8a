/* Contact sheets, charts and what they are drawn with: places, colours, clipping; odd input is
 * refused or does no harm. */
#include "image/draw.h"
#include "image/font.h"
#include "image/image.h"
#include "image/plot.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t red[3] = {255, 0, 0};

static const uint8_t *at(const m2m_image *img, int x, int y)
{
    return img->data + (size_t)(y * img->width + x) * (size_t)img->channels;
}

static int count(const m2m_image *img, const uint8_t rgb[3])
{
    int n = 0;
    for (int i = 0; i < img->width * img->height; i++)
        n += memcmp(img->data + i * img->channels, rgb, 3) == 0;
    return n;
}

static m2m_image plain(int width, int height, int channels, const uint8_t rgb[3])
{
    m2m_image img;
    assert_int_equal(m2m_image_new(&img, width, height, channels, NULL), 0);
    image_fill(&img, 0, 0, width, height, rgb);
    return img;
}

static void filling_and_pasting_are_clipped(void **state)
{
    (void)state;
    m2m_image img, small = plain(4, 4, 3, red);
    assert_int_equal(m2m_image_new(&img, 10, 8, 3, NULL), 0);
    image_fill(&img, -5, -5, 7, 7, red);
    assert_int_equal(count(&img, red), 4);
    image_fill(&img, 20, 20, 5, 5, red);
    image_fill(&img, 3, 3, -2, 5, red);
    assert_int_equal(count(&img, red), 4);
    image_paste(&img, &small, 8, 6);
    assert_int_equal(count(&img, red), 8);
    image_paste(&img, &small, -3, 7);
    assert_int_equal(count(&img, red), 9);
    image_paste(&img, &small, -100, 0);
    image_paste(&img, &small, 0, 100);
    assert_int_equal(count(&img, red), 9);
    m2m_image_free(&img);
    m2m_image_free(&small);
}

static void pasting_uses_alpha(void **state)
{
    (void)state;
    m2m_image img = plain(2, 1, 3, (const uint8_t[]){0, 0, 255}), half = plain(2, 1, 4, red);
    half.data[3] = 0;
    half.data[7] = 128;
    image_paste(&img, &half, 0, 0);
    assert_memory_equal(img.data, "\0\0\377\200\0\177", 6);
    m2m_image_free(&img);
    m2m_image_free(&half);
}

static void cropping(void **state)
{
    (void)state;
    m2m_image img, part;
    assert_int_equal(m2m_image_new(&img, 5, 4, 3, NULL), 0);
    for (int i = 0; i < 60; i++) img.data[i] = (uint8_t)i;
    assert_int_equal(image_crop(&part, &img, 3, 1, 2, 3, NULL), 0);
    assert_memory_equal(at(&part, 0, 0), at(&img, 3, 1), 6);
    assert_memory_equal(at(&part, 1, 2), at(&img, 4, 3), 3);
    m2m_image_free(&part);
    m2m_image_free(&img);
}

static void letters(void **state)
{
    (void)state;
    m2m_image a = plain(12, 8, 3, (const uint8_t[]){0, 0, 0}),
              b = plain(24, 16, 3, (const uint8_t[]){0, 0, 0});
    font_draw(&a, 0, 0, 1, "I", red);
    assert_int_equal(count(&a, red), 11);
    font_draw(&b, 0, 0, 2, "I", red);
    assert_int_equal(count(&b, red), 44);
    font_draw(&a, -3, -3, 1, "clipped at every side", red);
    font_draw(&a, 9, 5, 3, "\xC3\xA9\xFF\x01", red);
    assert_int_equal(font_text_width("ab\xC3\xA9", 2), 3 * 2 * FONT_WIDTH);
    assert_int_equal(font_text_width("", 2), 0);
    m2m_image_free(&a);
    m2m_image_free(&b);
}

static void sheets_hold_every_image(void **state)
{
    (void)state;
    m2m_image images[7], sheet;
    for (int i = 0; i < 7; i++)
        images[i] =
            plain(i == 3 ? 32 : 64, 64, i % 2 ? 3 : 4, (const uint8_t[]){(uint8_t)(10 * i), 99, 7});
    assert_int_equal(m2m_contact_sheet(&sheet, images, 2, images + 2, 5, 3, NULL), 0);
    assert_int_equal(sheet.channels, 3);
    assert_int_equal(sheet.width, 8 + 3 * (128 + 8)); /* enlarged twice, to 128 */
    assert_int_equal(sheet.height, 8 + 2 * 16 + 3 * (128 + 8));
    for (int i = 0; i < 7; i++)
        assert_int_equal(
            count(&sheet, (const uint8_t[]){(uint8_t)(10 * i), 99, 7}), 128 * (i == 3 ? 64 : 128));
    /* The given ones have a frame of 3 pixels. */
    assert_int_equal(count(&sheet, (const uint8_t[]){230, 126, 34}), 2 * (134 * 134 - 128 * 128));
    m2m_image_free(&sheet);
    assert_int_equal(m2m_contact_sheet(&sheet, NULL, 0, images, 1, 4, NULL), 0);
    assert_int_equal(sheet.width, 8 + 128 + 8);
    m2m_image_free(&sheet);
    assert_int_equal(m2m_contact_sheet(&sheet, images, 1, NULL, 0, 4, NULL), 0);
    m2m_image_free(&sheet);
    for (int i = 0; i < 7; i++) m2m_image_free(&images[i]);
}

static void odd_sheets(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_image img = plain(300, 200, 3, red), none = {0}, sheet, many[2] = {img, none};
    assert_int_equal(m2m_contact_sheet(&sheet, NULL, 0, NULL, 0, 4, &err), M2M_EINVAL);
    assert_int_equal(m2m_contact_sheet(&sheet, &img, 1, NULL, 0, 0, &err), M2M_EINVAL);
    assert_int_equal(m2m_contact_sheet(&sheet, &none, 1, NULL, 0, 1, &err), M2M_EINVAL);
    assert_null(sheet.data);
    assert_int_equal(
        m2m_contact_sheet(&sheet, NULL, 0, many, 2, 2, NULL), 0); /* one was not made: a gap */
    assert_int_equal(count(&sheet, red), 300 * 200); /* and large ones stay as they are */
    m2m_image_free(&sheet);
    m2m_image row[300];
    for (int i = 0; i < 300; i++) row[i] = img;
    assert_int_equal(m2m_contact_sheet(&sheet, NULL, 0, row, 300, 300, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "at most 65535 a side"));
    m2m_image_free(&img);
}

/* ---- Charts ---- */

static const uint8_t blue[3] = {31, 119, 180};

static void lines_go_where_the_values_are(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 4, 5}, y[] = {0, 1, 2, 3, 4, 5};
    const plot p = {.title = "t",
        .x_label = "x",
        .width = 400,
        .height = 300,
        .series = {{"", x, y, 6}},
        .n_series = 1};
    m2m_image img;
    assert_int_equal(plot_draw(&img, &p, NULL), 0);
    assert_true(img.width == 400 && img.height == 300);
    int left = 0, right = 0;
    for (int row = 60; row < 250; row++) { /* rising: blue low on the left, high on the right */
        if (memcmp(at(&img, 100, row), blue, 3) == 0) left = row;
        if (memcmp(at(&img, 330, row), blue, 3) == 0) right = row;
    }
    assert_true(left > 200 && right > 60 && right < 120);
    m2m_image_free(&img);
}

static void what_is_no_number_breaks_the_line(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 4}, y[] = {1, 2, NAN, 2, 1}, zero[] = {1, 2, 0, 2, 1};
    for (int i = 0; i < 2; i++) {
        const plot p = {.width = 400,
            .height = 300,
            .log_y = i,
            .series = {{"", x, i ? zero : y, 5}},
            .n_series = 1};
        m2m_image img;
        assert_int_equal(plot_draw(&img, &p, NULL), 0);
        int middle = 0, side = 0;
        for (int row = 50; row < 260; row++) {
            middle += memcmp(at(&img, 64 + 160, row), blue, 3) == 0;
            side += memcmp(at(&img, 64 + 40, row), blue, 3) == 0;
        }
        assert_int_equal(middle, 0);
        assert_true(side > 0);
        m2m_image_free(&img);
    }
}

static void strange_values_do_no_harm(void **state)
{
    (void)state;
    static const double x[] = {0, 1, 2, 3, 4, 5}, same[] = {3, 3, 3, 3, 3, 3},
                        bad[] = {NAN, INFINITY, -INFINITY, -1, 0, NAN},
                        wide[] = {1e-300, 1e300, 1, -1e300, 5, 1e-10},
                        tiny[] = {1, 1 + 1e-15, 1, 1, 1, 1}, zero[6] = {0};
    static const double *const values[] = {same, bad, wide, tiny, zero};
    for (int i = 0; i < 20; i++) {
        const double *y = values[i % 5];
        plot p = {.width = i % 3 ? 160 : 640,
            .height = 160,
            .log_y = i / 5 % 2,
            .series = {{"s", i < 10 ? x : same, y, 6}, {"n", x, y, 0}},
            .n_series = i % 3};
        m2m_image img;
        assert_int_equal(plot_draw(&img, &p, NULL), 0);
        m2m_image_free(&img);
    }
    m2m_error err = {0};
    m2m_image img;
    assert_int_equal(plot_draw(&img, &(plot){.width = 100, .height = 200}, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "100 x 200"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filling_and_pasting_are_clipped),
        cmocka_unit_test(pasting_uses_alpha),
        cmocka_unit_test(cropping),
        cmocka_unit_test(letters),
        cmocka_unit_test(sheets_hold_every_image),
        cmocka_unit_test(odd_sheets),
        cmocka_unit_test(lines_go_where_the_values_are),
        cmocka_unit_test(what_is_no_number_breaks_the_line),
        cmocka_unit_test(strange_values_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
