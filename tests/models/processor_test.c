/* preprocessor_config.json: what is understood, what is refused and how; sizes. The pixels themselves are compared with
 * transformers' by system/golden. */
#include "base/error.h"
#include "base/json.h"
#include "models/processor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(processor *p, const char *text, m2m_error *err)
{
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    int status = processor_parse(p, o, err);
    cJSON_Delete(o);
    return status;
}

static processor parsed(const char *text)
{
    processor p;
    m2m_error err;
    if (parse(&p, text, &err)) fail_msg("%s", err.msg);
    return p;
}

static void absent_keys_are_transformers_defaults(void **state)
{
    (void)state;
    processor p = parsed("{}");
    assert_true(p.resize && p.crop && p.rescale && p.normalize);
    assert_int_equal(p.short_side, 224);
    assert_int_equal(p.crop_width, 224);
    assert_int_equal(p.filter, RESIZE_BICUBIC);
    assert_float_equal(p.mean[0], 0.48145466f, 0);
    assert_float_equal(p.std[2], 0.27577711f, 0);
}

static void sizes_are_those_of_transformers(void **state)
{
    (void)state;
    int w, h;
    processor p = parsed("{\"size\": {\"shortest_edge\": 256}, \"do_center_crop\": false}");
    processor_size(&p, 640, 480, &w, &h);
    assert_int_equal(w, 341);    /* 341.33 rounded down */
    assert_int_equal(h, 256);
    processor_size(&p, 10, 29, &w, &h);
    assert_int_equal(w, 256);
    assert_int_equal(h, 742);    /* 742.4 */
    p = parsed("{\"size\": 32, \"crop_size\": 30}");
    processor_size(&p, 640, 480, &w, &h);
    assert_int_equal(p.short_side, 32);
    assert_int_equal(w, 30);
    assert_int_equal(h, 30);
    p = parsed("{\"size\": {\"height\": 5, \"width\": 7}, \"do_center_crop\": false}");
    processor_size(&p, 640, 480, &w, &h);
    assert_int_equal(w, 7);
    assert_int_equal(h, 5);
}

static void refusals_name_the_key(void **state)
{
    (void)state;
    static const struct { const char *text, *key; int code; } bad[] = {
        {"{\"size\": \"big\"}", "size", M2M_EFORMAT},
        {"{\"size\": {\"height\": 5}}", "size", M2M_EFORMAT},
        {"{\"size\": {\"shortest_edge\": 0}}", "shortest_edge", M2M_EFORMAT},
        {"{\"size\": {\"shortest_edge\": 100000}}", "shortest_edge", M2M_EFORMAT},
        {"{\"size\": {\"shortest_edge\": 5, \"longest_edge\": 9}}", "longest_edge", M2M_EUNSUPPORTED},
        {"{\"crop_size\": 8193}", "crop_size", M2M_EFORMAT},
        {"{\"crop_size\": {\"shortest_edge\": 5}}", "crop_size", M2M_EFORMAT},
        {"{\"resample\": 5}", "resample", M2M_EFORMAT},
        {"{\"image_std\": [1, 0, 1]}", "image_std", M2M_EFORMAT},
        {"{\"image_mean\": [1, 2]}", "image_mean", M2M_EFORMAT},
        {"{\"do_pad\": true}", "do_pad", M2M_EUNSUPPORTED},
        {"{\"image_processor_type\": \"ViTImageProcessor\"}", "image_processor_type", M2M_EUNSUPPORTED},
        {"{\"do_resize\": 1}", "do_resize", M2M_EFORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        processor p;
        m2m_error err = {0};
        assert_int_equal(parse(&p, bad[i].text, &err), bad[i].code);
        if (!strstr(err.msg, bad[i].key)) fail_msg("%s: %s", bad[i].text, err.msg);
    }
}

static void extreme_shapes_are_an_error(void **state)
{
    (void)state;
    processor p = parsed("{}");
    float *out = malloc(3 * 224 * 224 * sizeof *out);
    m2m_image thin = {0};
    m2m_error err = {0};
    assert_non_null(out);
    assert_int_equal(m2m_image_new(&thin, 1, 60000, 3, &err), 0);
    assert_int_equal(processor_run(&p, &thin, out, &err), M2M_EINVAL);
    m2m_image_free(&thin);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_are_transformers_defaults),
        cmocka_unit_test(sizes_are_those_of_transformers),
        cmocka_unit_test(refusals_name_the_key),
        cmocka_unit_test(extreme_shapes_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
