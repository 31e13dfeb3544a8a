/* What Inception sees of an image, against pytorch-fid, torch-fidelity and clean-fid (make_eval_golden.py). */
#include "image/image.h"
#include "models/inception.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEP = 199, ALL = 3 * INCEPTION_SIDE * INCEPTION_SIDE };

static const struct {
    const char *name;
    int width, height;
} sizes[] = {{"small", 31, 23}, {"tall", 200, 641}, {"large", 512, 480}, {"same", 299, 299}};

static m2m_image picture(int width, int height)
{
    m2m_image img;
    assert_int_equal(m2m_image_new(&img, width, height, 3, NULL), 0);
    uint8_t *at = img.data;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *at++ = (uint8_t)(x * 7 + y * 13 + c * 29 + x * y / 11 + (x / 8 + y / 8) % 2 * 90);
    return img;
}

/* Largest difference from every STEP-th number of the peer. */
static float worst(const tensor *t, const float *pixels)
{
    float most = 0;
    assert_int_equal(shape_count(t->shape), (ALL + STEP - 1) / STEP);
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        most = fmaxf(most, fabsf(((const float *)t->data)[i] - pixels[i * STEP]));
    return most;
}

static void pixels_are_those_of_the_peers(void **state)
{
    (void)state;
    safetensors *golden;
    float *pixels = malloc(ALL * sizeof *pixels);
    assert_int_equal(safetensors_open(&golden, TEST_DIR "/golden/eval.safetensors", NULL), 0);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        m2m_image img = picture(sizes[k].width, sizes[k].height);
        for (int way = 0; way < INCEPTION_RESIZE_COUNT; way++) {
            char name[64];
            inception_resize how;
            snprintf(name, sizeof name, "%s.%s", inception_resize_name((inception_resize)way), sizes[k].name);
            assert_int_equal(inception_resize_find(&how, inception_resize_name((inception_resize)way), NULL), 0);
            assert_int_equal(inception_pixels(pixels, &img, how, NULL), 0);
            const float off = worst(safetensors_find(golden, name), pixels);
            /* at most 2.4e-7 when this was set: both in float, in other orders */
            if (!(off < 2e-6f)) fail_msg("%s is off by %g, wanted less than 2e-6", name, (double)off);
        }
        m2m_image_free(&img);
    }
    free(pixels);
    safetensors_close(&golden);
}

static void what_is_transparent_is_white(void **state)
{
    (void)state;
    m2m_image img;
    float *pixels = malloc(ALL * sizeof *pixels);
    assert_int_equal(m2m_image_new(&img, 5, 4, 4, NULL), 0);
    memset(img.data, 0, image_bytes(&img));
    assert_int_equal(inception_pixels(pixels, &img, INCEPTION_PYTORCH_FID, NULL), 0);
    for (int i = 0; i < ALL; i++) assert_float_equal(pixels[i], 1, 1e-6);
    m2m_image_free(&img);
    free(pixels);
}

static void an_unknown_way_is_refused(void **state)
{
    (void)state;
    inception_resize how;
    m2m_error err = {0};
    assert_int_equal(inception_resize_find(&how, "bilinear", &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "bilinear"));
    assert_non_null(strstr(err.msg, "clean-fid"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_of_the_peers),
        cmocka_unit_test(what_is_transparent_is_white),
        cmocka_unit_test(an_unknown_way_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
