#include "show.h"
#include "stop.h"

#include "base/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct show {
    progress bar;
    char what[80];           /* of the bar; empty: none is open */
};

show *show_new(void)
{
    return calloc(1, sizeof(show));
}

static void end_bar(show *s)
{
    if (s->what[0]) progress_end(&s->bar);
    s->what[0] = 0;
}

void show_free(show **s)
{
    if (!*s) return;
    end_bar(*s);
    free(*s);
    *s = NULL;
}

void show_progress(show *s, const char *what, int64_t done, int64_t total)
{
    if (!s) return;
    if (strncmp(s->what, what, sizeof s->what - 1) || s->bar.total != total || done < s->bar.done) {
        end_bar(s);
        snprintf(s->what, sizeof s->what, "%s", what);
        // A pipe gets plain lines on stdout: stderr is for the one line of an error.
        s->bar = progress_start(isatty(STDERR_FILENO) ? stderr : stdout, s->what, total);
        s->bar.first = done;
    }
    progress_show(&s->bar, done);
}

static void print_line(show *s, const char *text)
{
    // A bar that is full ends before the line, so that results stand behind it.
    if (s && s->what[0] && s->bar.total && s->bar.done == s->bar.total) end_bar(s);
    else if (s && s->what[0]) progress_hide(&s->bar);
    puts(text);
    fflush(stdout);
}

void show_line(show *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_line(s, text);
}

static void line(void *user, const char *text)
{
    print_line(user, text);
}

static int advance(void *user, const char *what, int64_t done, int64_t total)
{
    show_progress(user, what, done, total);
    return stop_asked();
}

m2m_calls show_calls(show *s)
{
    return (m2m_calls){.user = s, .line = line, .progress = advance};
}
