/* .npy files: what NumPy writes is read, what is written is what NumPy writes, damage is refused with its reason. */
#include "tensor/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* np.save of np.array([[1, 2.5, -3]]) by NumPy 2.4.6: a header of 118 bytes, then the numbers. */
static size_t numpy_file(char *buf, const char *header, const void *numbers, size_t size)
{
    size_t n = strlen(header);
    memcpy(buf, "\x93NUMPY\1\0v\0", 10);
    memset(buf + 10, ' ', 118);
    memcpy(buf + 10, header, n < 117 ? n : 117);
    buf[127] = '\n';
    memcpy(buf + 128, numbers, size);
    return 128 + size;
}

static const double numbers[3] = {1, 2.5, -3};
static const char good[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), }";

static void numpys_files_are_read_and_written(void **state)
{
    (void)state;
    char buf[200];
    size_t n = numpy_file(buf, good, numbers, 24);
    tensor t;
    double back[3];
    assert_int_equal(npy_view(&t, buf, n, "a.npy", NULL), 0);
    assert_int_equal(t.type, DT_F64);
    assert_true(shape_equal(t.shape, SHAPE(1, 3)));
    npy_f64(back, &t);
    assert_memory_equal(back, numbers, 24);
    str s = {0};
    npy_write(&s, &t);
    assert_false(s.failed);
    assert_int_equal(s.len, n);
    assert_memory_equal(s.data, buf, n);
    str_free(&s);

    float narrow[3] = {1, 2.5f, -3};
    n = numpy_file(buf, "{'shape': (3,), 'descr': '<f4', 'fortran_order': True}", narrow, 12);
    assert_int_equal(npy_view(&t, buf, n, "a.npy", NULL), 0);
    assert_true(shape_equal(t.shape, SHAPE(3)));
    npy_f64(back, &t);
    assert_memory_equal(back, numbers, 24);
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const struct { const char *header, *why; } bad[] = {
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1, 2), }", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }", "holds 24 bytes"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 9999999999), }", "holds 24 bytes"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693955,), }", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -3), }", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 3), }", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (1, 3), }", "Fortran"},
        {"{'descr': '>f8', 'fortran_order': False, 'shape': (1, 3), }", "'>f8'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1, 3), }", "Python objects"},
        {"{'descr': '<c16', 'fortran_order': False, 'shape': (1, 3), }", "'<c16'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (1, 3), }", "''"},
        {"{'descr': '<f8', 'shape': (1, 3), }", "no NumPy header"},
        {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), }", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), 'x': 1}", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), } {", "no NumPy header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3", "no NumPy header"},
        {"", "no NumPy header"},
    };
    char buf[200];
    m2m_error err;
    tensor t;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t n = numpy_file(buf, bad[i].header, numbers, 24);
        err = (m2m_error){0};
        int rc = npy_view(&t, buf, n, "a.npy", &err);
        if (!rc || strncmp(err.msg, "a.npy: ", 7) != 0 || !strstr(err.msg, bad[i].why))
            fail_msg("%s: %d \"%s\"", bad[i].header, rc, err.msg);
    }
}

/* Each beginning in memory of its own size, so that the sanitizer sees a byte too far. */
static void beginnings_are_refused(void **state)
{
    (void)state;
    char buf[200];
    tensor t;
    size_t n = numpy_file(buf, good, numbers, 24);
    for (size_t k = 0; k < n; k++) {
        char *copy = malloc(k ? k : 1);
        assert_non_null(copy);
        memcpy(copy, buf, k);
        assert_int_equal(npy_view(&t, copy, k, "a.npy", NULL), M2M_EFORMAT);
        free(copy);
    }
    buf[6] = 2;      /* format 2: the length has four bytes, so the header's text begins with garbage */
    assert_int_equal(npy_view(&t, buf, n, "a.npy", NULL), M2M_EFORMAT);
    buf[6] = 4;
    assert_int_equal(npy_view(&t, buf, n, "a.npy", NULL), M2M_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numpys_files_are_read_and_written),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(beginnings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
