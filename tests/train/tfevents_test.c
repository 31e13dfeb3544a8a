/* Event files, byte for byte as TensorFlow's protocol buffers and TensorBoard's record writer make them. */
#include "train/scratch.h"
#include "train/tfevents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];

static int setup(void **state)
{
    (void)state;
    scratch_dir("tfevents", dir, sizeof dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_dir("tfevents", dir, sizeof dir);
    rmdir(dir);
    return 0;
}

static void crc_is_castagnoli(void **state)
{
    (void)state;
    /* RFC 3720, B.4 */
    uint8_t bytes[32] = {0};
    assert_int_equal(tfevents_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(tfevents_crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(tfevents_crc32c(bytes, 32), 0x46dd794e);
    assert_int_equal(tfevents_crc32c(NULL, 0), 0);
}

/* Made with tensorboard 2.21's event_pb2 and record_writer.masked_crc32c: version; START at step 301; a scalar;
 * a picture. */
static const char golden[] =
    "1800000000000000a37f4b220900000000004a93401a0d627261696e2e4576656e743a3265b8d3fb1000000000"
    "00000095fbfe180900000000004a934010ad023a020801c02893a52100000000000000017becf6090000000000"
    "4d934010b6022a130a110a0a6c6f73732f747261696e150000a03ec1fe4d392a00000000000000ae8d91f50900"
    "0000000050934010f0a2042a1b0a190a0773616d706c6573220e080210ac021803220589504e4721832d28bd";

static void records_are_tensorboards(void **state)
{
    (void)state;
    tfevents *t = NULL;
    m2m_error err = {0};
    if (tfevents_open(&t, dir, 1234.5, 300, &err)) fail_msg("%s", err.msg);
    assert_non_null(strstr(tfevents_path(t), "/events.out.tfevents.0000001234.m2m"));
    assert_int_equal(tfevents_scalar(t, 1235.25, 310, "loss/train", 0.3125, &err), 0);
    assert_int_equal(tfevents_image(t, 1236, 70000, "samples", "\x89PNG!", 5, 300, 2, &err), 0);
    unsigned long size = 0;
    char *bytes = scratch_read(tfevents_path(t), &size);
    assert_int_equal(size, (sizeof golden - 1) / 2);
    for (unsigned long i = 0; i < size; i++) {
        char hex[3];
        snprintf(hex, sizeof hex, "%02x", (uint8_t)bytes[i]);
        if (memcmp(hex, golden + 2 * i, 2))
            fail_msg("byte %lu is %s, not %.2s", i, hex, golden + 2 * i);
    }
    free(bytes);
    tfevents_close(&t);
    assert_null(t);
    tfevents_close(&t);
}

static void two_runs_in_a_second_have_two_files(void **state)
{
    (void)state;
    tfevents *a = NULL, *b = NULL;
    assert_int_equal(tfevents_open(&a, dir, 99.1, -1, NULL), 0);
    assert_int_equal(tfevents_open(&b, dir, 99.9, -1, NULL), 0);
    assert_string_not_equal(tfevents_path(a), tfevents_path(b));
    unsigned long size = 0;
    free(scratch_read(tfevents_path(a), &size));
    assert_int_equal(
        size, 2 * 16 + 9 + 15 + 9 +
                  4); /* two records; a new run's START has step 0, which is not written */
    tfevents_close(&a);
    tfevents_close(&b);
}

static void what_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    tfevents *t = NULL;
    m2m_error err = {0};
    assert_int_equal(tfevents_open(&t, "/nowhere", 1, -1, &err), M2M_EIO);
    assert_null(t);
    assert_non_null(strstr(err.msg, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(records_are_tensorboards),
        cmocka_unit_test(two_runs_in_a_second_have_two_files),
        cmocka_unit_test(what_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
