/* Cameras from files and rings. */
#include "base/file.h"
#include "base/str.h"
#include "lib/poses.h"
#include "tensor/npy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch_dir.h"

static scratch_dir scratch;

static int scratch_make(void **state)
{
    (void)state;
    return scratch_dir_make(&scratch);
}

static int scratch_remove(void **state)
{
    (void)state;
    scratch_dir_remove_tree(scratch.path);
    return 0;
}

static void ring_looks_at_the_origin(void **state)
{
    (void)state;
    float *p;
    int n;
    m2m_error err;
    if (poses_read(&p, &n, "ring:12:30:2", 14, &err)) fail_msg("%s", err.msg);
    assert_int_equal(n, 14);
    for (int i = 0; i < n; i++) {
        const float *m = p + 12 * i;
        double centre[3], angle = 2 * 3.14159265358979 * i / 12;
        for (int a = 0; a < 3; a++) {
            centre[a] = -(m[a] * m[3] + m[4 + a] * m[7] + m[8 + a] * m[11]);    /* -R^T t */
            for (int b = 0; b < 3; b++) {
                double dot = m[4 * a] * m[4 * b] + m[4 * a + 1] * m[4 * b + 1] + m[4 * a + 2] * m[4 * b + 2];
                assert_true(fabs(dot - (a == b)) < 1e-6);
            }
        }
        assert_true(fabs(centre[0] - 2 * cos(0.5235987756) * cos(angle)) < 1e-5);
        assert_true(fabs(centre[1] - 2 * cos(0.5235987756) * sin(angle)) < 1e-5);
        assert_true(fabs(centre[2] - 1) < 1e-5);
        assert_true(m[3] == 0 && m[7] == 0 && m[11] == -2);    /* the origin lies ahead, along -z */
        assert_true(fabsf(m[2]) < 1e-6f && m[6] > 0);           /* the world's z is up in the picture */
    }
    assert_true(fabsf(p[12 * 12] - p[0]) < 1e-6f);
    free(p);
}

static const char *write_text(const char *name, const void *data, size_t size)
{
    const char *path = scratch_dir_file(&scratch, name);
    m2m_error err;
    if (file_write_all(path, data, size, &err)) fail_msg("%s", err.msg);
    return path;
}

static const char *write_npy(const char *name, shape s, dtype type)
{
    double wide[24];
    float narrow[24];
    for (int i = 0; i < 24; i++) narrow[i] = (float)(wide[i] = i + 0.5);
    str out = {0};
    tensor t = {.type = type, .shape = s, .data = type == DT_F64 ? (void *)wide : (void *)narrow};
    npy_write(&out, &t);
    assert_false(out.failed);
    const char *path = write_text(name, out.data, out.len);
    str_free(&out);
    return path;
}

static void expect(const char *spec, int wanted)
{
    float *p;
    int n;
    m2m_error err;
    if (poses_read(&p, &n, spec, 99, &err)) fail_msg("%s", err.msg);
    assert_int_equal(n, wanted);
    for (int i = 0; i < 12 * n; i++) assert_float_equal(p[i], i + 0.5f, 0);
    free(p);
}

static void files_give_cameras(void **state)
{
    (void)state;
    expect(write_npy("a.npy", SHAPE(3, 4), DT_F64), 1);
    expect(write_npy("a.npy", SHAPE(2, 3, 4), DT_F32), 2);
    expect(write_npy("a.npy", SHAPE(2, 12), DT_F64), 2);
    static const char one[] = "[[0.5,1.5,2.5,3.5],[4.5,5.5,6.5,7.5],[8.5,9.5,10.5,11.5]]";
    expect(write_text("a.json", one, strlen(one)), 1);
    static const char two[] = "[[0.5,1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,9.5,10.5,11.5],"
                              "[[12.5,13.5,14.5,15.5],[16.5,17.5,18.5,19.5],[20.5,21.5,22.5,23.5]]]";
    expect(write_text("a.json", two, strlen(two)), 2);
}

static void refuse(const char *spec, int code)
{
    float *p;
    int n;
    m2m_error err = {0};
    assert_int_equal(poses_read(&p, &n, spec, 99, &err), code);
    assert_null(p);
    if (!strstr(err.msg, path_base(spec))) fail_msg("%s: %s", spec, err.msg);
}

static void refusals_name_the_file(void **state)
{
    (void)state;
    refuse("ring:0", M2M_EINVAL);
    refuse("ring:", M2M_EINVAL);
    refuse("ring:12x", M2M_EINVAL);
    refuse("ring:12:100", M2M_EINVAL);
    refuse("ring:12:20:-1", M2M_EINVAL);
    refuse("poses.txt", M2M_EINVAL);
    refuse("/nowhere/poses.npy", M2M_EIO);
    refuse(write_npy("b.npy", SHAPE(4, 3), DT_F64), M2M_EFORMAT);
    refuse(write_npy("b.npy", SHAPE(12), DT_F32), M2M_EFORMAT);
    refuse(write_text("b.json", "[]", 2), M2M_EFORMAT);
    refuse(write_text("b.json", "{}", 2), M2M_EFORMAT);
    refuse(write_text("b.json", "[[1,2,3]]", 9), M2M_EFORMAT);
    static const char strange[] = "[[1e99,1,2,3,4,5,6,7,8,9,10,11]]";
    refuse(write_text("b.json", strange, strlen(strange)), M2M_EFORMAT);
    refuse(write_text("b.npy", "\x93NUMPY", 6), M2M_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_looks_at_the_origin),
        cmocka_unit_test(files_give_cameras),
        cmocka_unit_test(refusals_name_the_file),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
