/* Captions from a TSV file: columns, headers, gzip, and every kind of bad line, counted and in its place. */
#include "data/captions.h"

#include "tiny.h"

#include <zlib.h>

SCRATCH_DIR_FIXTURE(dir)

static const char *put(const char *text, size_t size)
{
    write_file(scratch_dir_file(&dir, "c.tsv"), text, size);
    return scratch_dir_file(&dir, "c.tsv");
}

static void pack(const char *name, const char *text, size_t size)
{
    gzFile f = gzopen(scratch_dir_file(&dir, name), "wb");
    assert_int_equal(gzwrite(f, text, (unsigned)size), size);
    assert_int_equal(gzclose(f), 0);
}

static caption_file *open_file(const char *path, int column)
{
    caption_file *c = NULL;
    m2m_error err = {0};
    if (captions_open(&c, path, column, &err)) fail_msg("%s", err.msg);
    return c;
}

static void expect(caption_file *c, int64_t row, caption_state state, const char *text)
{
    caption_line line;
    m2m_error err = {0};
    if (captions_next(c, &line, &err) != 1) fail_msg("row %d is not there %s", (int)row, err.msg);
    assert_int_equal(line.row, row);
    assert_int_equal(line.state, state);
    assert_string_equal(line.text, text);
    assert_int_equal(line.len, strlen(text));
}

static void expect_end(caption_file **c)
{
    caption_line line;
    assert_int_equal(captions_next(*c, &line, NULL), 0);
    captions_close(c);
    assert_null(*c);
}

static const char sample[] = "http://a\tone\r\n"
                             "no tab here\n"
                             "http://b\t \t\n"
                             "http://c\t two words \textra\n"
                             "http://d\tbad \xff utf-8\n"
                             "http://e\tze\0ro\n"
                             "\n"
                             "http://f\t\xc3\xa9t\xc3\xa9 <PERSON>";

static void expect_sample(caption_file *c)
{
    expect(c, 0, CAPTION_GOOD, "one");
    expect(c, 1, CAPTION_NO_COLUMN, "");
    expect(c, 2, CAPTION_EMPTY, "");
    expect(c, 3, CAPTION_GOOD, "two words");
    expect(c, 4, CAPTION_NOT_TEXT, "");
    expect(c, 5, CAPTION_NOT_TEXT, "");
    expect(c, 6, CAPTION_NO_COLUMN, "");
    expect(c, 7, CAPTION_GOOD, "\xc3\xa9t\xc3\xa9 <PERSON>");
    expect_end(&c);
}

static void bad_lines_are_told_and_keep_their_rows(void **state)
{
    (void)state;
    expect_sample(open_file(put(sample, sizeof sample - 1), 2));
}

static void gzip_is_the_same(void **state)
{
    (void)state;
    pack("c.tsv.gz", sample, sizeof sample - 1);
    expect_sample(open_file(scratch_dir_file(&dir, "c.tsv.gz"), 2));
}

static void headers_name_the_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int column;
        const char *first;
    } cases[] = {
        {"url\tcaption\nhttp://a\tcat\n", 2, "cat"},
        {"Caption\turl\ncat\thttp://a\n", 2, "cat"},
        {"\xef\xbb\xbfurl\tCAPTION\r\nhttp://a\tcat\r\n", 2, "cat"},
        {"\xef\xbb\xbfhttp://a\tcat\n", 2, "cat"},
        {"http://a\tcaption\nhttp://a\tcat\n", 2, "caption"},      /* a caption, no header */
        {"cat\thttp://a\n", 1, "cat"},
        {"x\ty\tcat\n", 3, "cat"},
        {"id\turl\tcaption\n1\thttp://a\tcat\n", 1, "cat"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        caption_file *c = open_file(put(cases[i].text, strlen(cases[i].text)), cases[i].column);
        expect(c, 0, CAPTION_GOOD, cases[i].first);
        captions_close(&c);
    }
}

/* A line of n bytes in all. */
static size_t long_line(char *buf, size_t n)
{
    memcpy(buf, "http://a\t", 9);
    memset(buf + 9, 'x', n - 9);
    buf[n] = '\n';
    return n + 1;
}

static void over_long_lines_are_left_out(void **state)
{
    (void)state;
    static char text[3 * CAPTION_BYTES + 400000];
    size_t n = long_line(text, CAPTION_BYTES);
    n += long_line(text + n, CAPTION_BYTES + 1);
    n += long_line(text + n, CAPTION_BYTES + 300000);              /* more than the buffer */
    n += (size_t)sprintf(text + n, "http://b\tlast");
    caption_file *c = open_file(put(text, n), 2);
    caption_line line;
    assert_int_equal(captions_next(c, &line, NULL), 1);
    assert_int_equal(line.state, CAPTION_GOOD);
    assert_int_equal(line.len, CAPTION_BYTES - 9);
    expect(c, 1, CAPTION_LINE_LONG, "");
    expect(c, 2, CAPTION_LINE_LONG, "");
    expect(c, 3, CAPTION_GOOD, "last");
    expect_end(&c);
}

/* From the row and offset of a line, reading goes on there, forth and back, packed or not. */
static void seeking(const char *path)
{
    caption_file *c = open_file(path, 2);
    caption_line line;
    int64_t offset[3000];
    char wanted[32];
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(captions_next(c, &line, NULL), 1);
        offset[i] = line.offset;
    }
    static const int order[] = {2999, 0, 1500, 1, 2998};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(captions_seek(c, order[i], offset[order[i]], NULL), 0);
        snprintf(wanted, sizeof wanted, "caption number %d", order[i]);
        expect(c, order[i], CAPTION_GOOD, wanted);
    }
    expect(c, 2999, CAPTION_GOOD, "caption number 2999");
    expect_end(&c);
}

static void lines_are_found_again(void **state)
{
    (void)state;
    static char text[3000 * 200];
    size_t n = (size_t)sprintf(text, "url\tcaption\n");
    for (int i = 0; i < 3000; i++)
        n += (size_t)sprintf(text + n, "http://example.org/%0*d\tcaption number %d\n", i % 120 + 1, i, i);
    seeking(put(text, n));
    pack("s.tsv.gz", text, n);
    seeking(scratch_dir_file(&dir, "s.tsv.gz"));
}

static void damage_is_named(void **state)
{
    (void)state;
    static char text[600000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i % 90 == 89 ? '\n' : 33 + (i * 7919 >> 5) % 90);
    pack("d.tsv.gz", text, sizeof text);
    bytes packed = read_file(scratch_dir_file(&dir, "d.tsv.gz"));
    caption_file *c;
    caption_line line;
    m2m_error err = {0};
    int rc = 1;
    write_file(scratch_dir_file(&dir, "d.tsv.gz"), packed.data, packed.size / 2);
    c = open_file(scratch_dir_file(&dir, "d.tsv.gz"), 2);
    while (rc == 1) rc = captions_next(c, &line, &err);
    assert_int_equal(rc, M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "d.tsv.gz"));
    assert_non_null(strstr(err.msg, "too early"));
    captions_close(&c);
    memset(packed.data + packed.size / 2, 0xff, 50);
    write_file(scratch_dir_file(&dir, "d.tsv.gz"), packed.data, packed.size);
    c = open_file(scratch_dir_file(&dir, "d.tsv.gz"), 2);
    for (rc = 1; rc == 1;) rc = captions_next(c, &line, &err);
    assert_int_equal(rc, M2M_EFORMAT);
    captions_close(&c);
    free(packed.data);
    assert_int_equal(captions_open(&c, scratch_dir_file(&dir, "gone.tsv"), 2, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "gone.tsv"));
    assert_int_equal(captions_open(&c, dir.path, 2, &err), M2M_EIO);
}

static void an_empty_file_has_no_lines(void **state)
{
    (void)state;
    caption_file *c = open_file(put("", 0), 2);
    expect_end(&c);
    c = open_file(put("url\tcaption\n", 12), 2);
    expect_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_lines_are_told_and_keep_their_rows),
        cmocka_unit_test(gzip_is_the_same),
        cmocka_unit_test(headers_name_the_column),
        cmocka_unit_test(over_long_lines_are_left_out),
        cmocka_unit_test(lines_are_found_again),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(an_empty_file_has_no_lines),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
