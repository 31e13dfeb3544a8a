/* Reading: files of every kind against what Pillow reads from them (tools/golden/make_image_files.py), and that hostile
 * ones are refused before memory is taken. Truncated and damaged files, thousands of them, must do no harm. */
#include "base/file.h"
#include "image/codec.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct sample {
    const char *name;
    int width, height, channels;
} sample;

static const sample samples[] = {
    {"rgb.png", 9, 7, 3}, {"rgba.png", 9, 7, 4}, {"gray.png", 9, 7, 3}, {"gray_alpha.png", 9, 7, 4},
    {"gray1.png", 9, 7, 3}, {"gray16.png", 9, 7, 3}, {"rgb16.png", 9, 7, 3}, {"palette.png", 9, 7, 3},
    {"palette_clear.png", 9, 7, 4},
    {"rgb_clear.png", 9, 7, 4}, {"interlaced.png", 9, 7, 3}, {"turned6.png", 7, 9, 3}, {"turned3_late.png", 9, 7, 3},
    {"rgb.jpg", 9, 7, 3}, {"gray.jpg", 9, 7, 3}, {"progressive.jpg", 9, 7, 3}, {"turned1.jpg", 9, 7, 3},
    {"turned2.jpg", 9, 7, 3}, {"turned3.jpg", 9, 7, 3}, {"turned4.jpg", 9, 7, 3}, {"turned5.jpg", 7, 9, 3},
    {"turned6.jpg", 7, 9, 3}, {"turned7.jpg", 7, 9, 3}, {"turned8.jpg", 7, 9, 3}, {"lossy.webp", 9, 7, 3},
    {"rgba.webp", 9, 7, 4}, {"turned8.webp", 7, 9, 3},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static const char *path_of(const char *name, const char *end)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/image/files/%s%s", TEST_DIR, name, end);
    return path;
}

/* To be freed. */
static uint8_t *read_file(const char *name, const char *end, size_t *size)
{
    char *data;
    m2m_error err;
    if (file_read_all(path_of(name, end), 1 << 20, &data, size, &err)) fail_msg("%s", err.msg);
    return (uint8_t *)data;
}

static void every_kind_is_read_as_pillow_reads_it(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        const sample *s = &samples[i];
        m2m_image img;
        m2m_error err;
        size_t size;
        uint8_t *wanted = read_file(s->name, ".raw", &size);
        if (m2m_image_load(&img, path_of(s->name, ""), &err)) fail_msg("%s", err.msg);
        if (img.width != s->width || img.height != s->height || img.channels != s->channels)
            fail_msg("%s: %d x %d x %d", s->name, img.width, img.height, img.channels);
        assert_int_equal(image_bytes(&img), size);
        int tolerance = strstr(s->name, ".jpg") ? 2 : 0;    /* the inverse transform may round otherwise */
        for (size_t k = 0; k < size; k++) {
            if (abs(img.data[k] - wanted[k]) > tolerance)
                fail_msg("%s: byte %zu: %d, %d wanted", s->name, k, img.data[k], wanted[k]);
        }
        m2m_image_free(&img);
        free(wanted);
    }
}

/* Must be refused with this code and a message that begins with the name and holds `text`. */
static void refuse(const char *what, const void *data, size_t size, int code, const char *text)
{
    m2m_image img = {1, 1, 1, NULL};
    m2m_error err = {0};
    int rc = image_decode(&img, data, size, "a name", &err);
    if (rc != code || err.code != code) fail_msg("%s: %d %s", what, rc, rc ? err.msg : "accepted");
    if (strncmp(err.msg, "a name: ", 8) != 0 || !strstr(err.msg, text)) fail_msg("%s: %s", what, err.msg);
    if (img.data || img.width) fail_msg("%s: the image is not zero", what);
    assert_int_equal(image_decode(&img, data, size, "a name", NULL), code);
}

static void refuse_file(const char *name, int code, const char *text)
{
    size_t size;
    uint8_t *data = read_file(name, "", &size);
    refuse(name, data, size, code, text);
    free(data);
}

static void what_is_no_still_rgb_image_is_refused(void **state)
{
    (void)state;
    refuse("empty", NULL, 0, M2M_EFORMAT, "empty");
    refuse("text", "hello, world", 12, M2M_EFORMAT, "unknown format");
    refuse("gif", "GIF89a\1\0\1\0\0\0\0", 13, M2M_EFORMAT, "PNG, JPEG or WebP");
    refuse("png's name", "\x89PNG\r\n\x1a\n", 8, M2M_EFORMAT, "PNG");
    refuse("jpeg's start", "\xff\xd8\xff", 3, M2M_EFORMAT, "JPEG");
    refuse("webp's name", "RIFF\0\0\0\0WEBP", 12, M2M_EFORMAT, "WebP");
    refuse_file("cmyk.jpg", M2M_EUNSUPPORTED, "CMYK");
    refuse_file("animated.webp", M2M_EUNSUPPORTED, "animated");
}

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;
    while (n--) {
        c ^= *p++;
        for (int i = 0; i < 8; i++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    }
    return ~c;
}

static void put32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* rgb.png with a header that claims other things, its checksum right. */
static void refuse_png(uint32_t width, uint32_t height, int depth, int colour, const char *text)
{
    char what[64];
    size_t size;
    uint8_t *data = read_file("rgb.png", "", &size);
    put32(data + 16, width);
    put32(data + 20, height);
    data[24] = (uint8_t)depth;
    data[25] = (uint8_t)colour;
    put32(data + 29, crc(data + 12, 17));
    snprintf(what, sizeof what, "PNG %u x %u, depth %d, colour %d", width, height, depth, colour);
    refuse(what, data, size, M2M_EFORMAT, text);
    free(data);
}

static void headers_of_png_that_lie(void **state)
{
    (void)state;
    refuse_png(0, 7, 8, 2, "PNG");
    refuse_png(9, 0, 8, 2, "PNG");
    refuse_png(65536, 1, 8, 2, "");
    refuse_png(1, 0x7fffffff, 8, 2, "");
    refuse_png(0xffffffff, 0xffffffff, 8, 2, "");
    refuse_png(65535, 65535, 8, 2, "64 million");
    refuse_png(8001, 8000, 16, 6, "64 million");
    refuse_png(10, 7, 8, 2, "PNG");        /* more pixels than there are */
    refuse_png(4000, 4000, 8, 2, "PNG");
    refuse_png(9, 7, 16, 2, "PNG");
    refuse_png(9, 7, 3, 2, "PNG");
    refuse_png(9, 7, 8, 5, "PNG");
    refuse_png(9, 7, 8, 3, "PNG");         /* a palette, but there is none */
}

static void headers_of_jpeg_and_webp_that_lie(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = read_file("rgb.jpg", "", &size), *frame = memmem(data, size, "\xff\xc0", 2);
    assert_non_null(frame);
    memcpy(frame + 5, "\xff\xff\xff\xff", 4);
    refuse("JPEG of 65535 x 65535", data, size, M2M_EFORMAT, "");
    memcpy(frame + 5, "\x1f\x41\x1f\x40", 4);
    refuse("JPEG of 8001 x 8000", data, size, M2M_EFORMAT, "64 million");
    memcpy(frame + 5, "\x00\x07\x00\x00", 4);
    refuse("JPEG of no width", data, size, M2M_EFORMAT, "");
    memcpy(frame + 5, "\x01\x00\x01\x00", 4);
    refuse("JPEG with few of its pixels", data, size, M2M_EFORMAT, "");
    free(data);

    data = read_file("rgba.webp", "", &size);
    uint8_t *lossless = memmem(data, size, "VP8L", 4);
    assert_non_null(lossless);
    memcpy(lossless + 9, "\xff\xff\xff\x1f", 4);    /* 14 bits each: 16384 x 16384, and alpha */
    refuse("WebP of 16384 x 16384", data, size, M2M_EFORMAT, "64 million");
    free(data);
    data = read_file("lossy.webp", "", &size);
    memcpy(data + 4, "\xff\xff\xff\xff", 4);
    refuse("WebP that is shorter than it says", data, size, M2M_EFORMAT, "");
    free(data);
}

/* The first n bytes, in memory of just that size, so that sanitizers see a byte read behind them. */
static int decode_start(const uint8_t *data, size_t n)
{
    m2m_image img;
    m2m_text *texts;
    int n_texts;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, data, n);
    int rc = image_decode(&img, copy, n, "cut", NULL);
    assert_true((rc == 0) == (img.data != NULL));
    m2m_image_free(&img);
    if (image_decode_texts(copy, n, "cut", &texts, &n_texts, NULL) == 0) image_texts_free(&texts, n_texts);
    assert_null(texts);
    free(copy);
    return rc;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        size_t size;
        uint8_t *data = read_file(samples[i].name, "", &size);
        /* A PNG's pixels, which have a checksum of their own, are whole without the chunk's checksum (4 bytes), the
         * chunks that follow (here 38 bytes) and the end mark (12 bytes). */
        size_t tail = strstr(samples[i].name, "late") ? 54 : strstr(samples[i].name, ".png") ? 16 : 0;
        assert_int_equal(decode_start(data, size), 0);
        for (size_t n = 0; n < size; n++) {
            if (!decode_start(data, n) && n < size - tail)
                fail_msg("%s: its first %zu of %zu bytes are accepted", samples[i].name, n, size);
        }
        free(data);
    }
}

static bool same_pixels(const m2m_image *wanted, const uint8_t *data, size_t size)
{
    m2m_image img;
    if (image_decode(&img, data, size, "changed", NULL)) return false;
    bool same = img.width == wanted->width && img.height == wanted->height && img.channels == wanted->channels &&
                memcmp(img.data, wanted->data, image_bytes(&img)) == 0;
    m2m_image_free(&img);
    return same;
}

static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    for (int i = 0; i < SAMPLES; i++) {
        size_t size;
        uint8_t *data = read_file(samples[i].name, "", &size);
        const uint8_t *pixels = memmem(data, size, "IDAT", 4);    /* of a PNG: they have a checksum */
        m2m_image whole;
        assert_int_equal(image_decode(&whole, data, size, "whole", NULL), 0);
        for (size_t at = 0; at < size; at++) {
            for (size_t k = 0; k < sizeof flips; k++) {
                data[at] ^= flips[k];
                int rc = decode_start(data, size);
                bool in_pixels = pixels && data + at > pixels && at < size - 54;
                if (!rc && in_pixels && !same_pixels(&whole, data, size))
                    fail_msg("%s: byte %zu changed, unnoticed", samples[i].name, at);
                data[at] ^= flips[k];
            }
        }
        m2m_image_free(&whole);
        free(data);
    }
}

static void formats_are_told_by_content_and_by_ending(void **state)
{
    (void)state;
    assert_int_equal(image_format_of("a.b/c.PNG"), IMAGE_PNG);
    assert_int_equal(image_format_of("c.jpg"), IMAGE_JPEG);
    assert_int_equal(image_format_of("c.Jpeg"), IMAGE_JPEG);
    assert_int_equal(image_format_of("c.webp"), IMAGE_WEBP);
    assert_int_equal(image_format_of("png"), IMAGE_UNKNOWN);
    assert_int_equal(image_format_of("c.png.txt"), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff("RIFF1234WAVE", 12), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff("\xff\xd8\xff\xe0", 4), IMAGE_JPEG);
    m2m_image img = {1, 1, 1, NULL};
    m2m_error err;
    assert_int_equal(m2m_image_load(&img, "/nowhere/image.png", &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "/nowhere/image.png"));
    assert_null(img.data);
    assert_int_equal(m2m_image_load(&img, TEST_DIR, &err), M2M_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read_as_pillow_reads_it),
        cmocka_unit_test(what_is_no_still_rgb_image_is_refused),
        cmocka_unit_test(headers_of_png_that_lie),
        cmocka_unit_test(headers_of_jpeg_and_webp_that_lie),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(formats_are_told_by_content_and_by_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
