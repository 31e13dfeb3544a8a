/* Texts for people: sizes, durations, progress on a file and on a terminal. */
#include "base/memory.h"
#include "base/progress.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void sizes(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"}, {1, "1 B"}, {999, "999 B"}, {1000, "1.0 KiB"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"},
        {102345, "99.9 KiB"}, {102400, "100 KiB"}, {1023487, "999 KiB"}, {1023489, "1.0 MiB"}, {1 << 20, "1.0 MiB"},
        {1610612736, "1.5 GiB"}, {INT64_C(5) << 40, "5.0 TiB"}, {INT64_MAX, "8.0 EiB"}, {-1536, "-1.5 KiB"}};
    char buf[TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(bytes_text(cases[i].bytes, buf, sizeof buf), cases[i].text);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0.00 s"}, {.346, "0.35 s"}, {9.99, "9.99 s"}, {9.996, "10 s"}, {59.4, "59 s"},
        {59.6, "1 min 00 s"}, {123, "2 min 03 s"}, {3599.4, "59 min 59 s"}, {3599.6, "1 h 00 min"},
        {3900, "1 h 05 min"}, {86399.9, "1 d 00 h"}, {266400, "3 d 02 h"}, {-1, "unknown"}, {1e300, "unknown"},
        {NAN, "unknown"}, {INFINITY, "unknown"}};
    char buf[TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(duration_text(cases[i].seconds, buf, sizeof buf), cases[i].text);
}

static void a_line_of_progress(void **state)
{
    (void)state;
    char buf[256];
    progress p = {.what = "image 2 of 6", .total = 50};
    assert_string_equal(progress_text(&p, 0, 80, buf, sizeof buf),
        "image 2 of 6  0 of 50  [                        ]  0.00 s");
    p.done = 25;
    assert_string_equal(progress_text(&p, 60, 120, buf, sizeof buf),
        "image 2 of 6  25 of 50  [============            ]  1 min 00 s, 1 min 00 s left");
    assert_string_equal(progress_text(&p, 60, 0, buf, sizeof buf),
        "image 2 of 6  25 of 50  1 min 00 s, 1 min 00 s left");
    p.first = 20;                       /* a resumed run: 5 units took the minute */
    assert_string_equal(progress_text(&p, 60, 0, buf, sizeof buf),
        "image 2 of 6  25 of 50  1 min 00 s, 5 min 00 s left");
    p.first = 0;
    p.done = 50;
    assert_string_equal(progress_text(&p, 60, 80, buf, sizeof buf),
        "image 2 of 6  50 of 50  [========================]  1 min 00 s");
    p.total = 0;
    assert_string_equal(progress_text(&p, 60, 80, buf, sizeof buf), "image 2 of 6  50  1 min 00 s");
    for (int width = 0; width < 100; width++) {    /* never longer than the terminal where that is possible */
        p.total = 50;
        p.done = 7;
        size_t n = strlen(progress_text(&p, 60, width, buf, sizeof buf));
        assert_true(n < 62 || n < (size_t)width);
    }
}

static void a_file_gets_few_lines_and_always_the_last(void **state)
{
    (void)state;
    char text[512];
    FILE *f = tmpfile();
    assert_non_null(f);
    progress p = progress_start(f, "work", 1000);
    for (int i = 1; i <= 1000; i++) progress_show(&p, i);
    progress_hide(&p);
    assert_int_equal(ftell(f), 0);
    progress_end(&p);
    progress_end(&p);
    rewind(f);
    assert_non_null(fgets(text, sizeof text, f));
    assert_int_equal(strncmp(text, "work  1000 of 1000  0.0", 23), 0);
    assert_null(strpbrk(text, "\r\033"));
    assert_null(fgets(text, sizeof text, f));
    fclose(f);
    p = progress_start(NULL, "work", 10);    /* shows nothing */
    progress_show(&p, 5);
    progress_hide(&p);
    progress_end(&p);
}

static void a_terminal_gets_one_line_that_moves(void **state)
{
    (void)state;
    char text[2048], *name;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) || !(name = ptsname(terminal))) skip();
    int fd = open(name, O_RDWR | O_NOCTTY);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(f);
    progress p = progress_start(f, "work", 4);
    progress_show(&p, 1);
    progress_hide(&p);
    progress_show(&p, 2);
    for (int i = 0; i < 1000; i++) progress_show(&p, 3);    /* too soon to be drawn */
    progress_end(&p);
    size_t have = 0;
    do {    /* what was written arrives in pieces */
        ssize_t n = read(terminal, text + have, sizeof text - 1 - have);
        assert_true(n > 0);
        have += (size_t)n;
        text[have] = 0;
    } while (!strchr(text, '\n'));
    int lines = 0, draws = 0;
    for (char *s = text; *s; s++) {
        lines += *s == '\n';
        draws += strncmp(s, "work", 4) == 0;
    }
    assert_int_equal(lines, 1);
    assert_in_range(draws, 3, 6);
    assert_int_equal(strncmp(text, "\rwork  1 of 4  [", 16), 0);
    assert_non_null(strstr(text, "work  3 of 4"));
    fclose(f);
    close(terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(a_line_of_progress),
        cmocka_unit_test(a_file_gets_few_lines_and_always_the_last),
        cmocka_unit_test(a_terminal_gets_one_line_that_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
