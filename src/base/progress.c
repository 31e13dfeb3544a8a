#include "base/progress.h"

#include "base/memory.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 80, BAR = 24, LINE = 512 };
static const double redraw_seconds = 0.1, line_seconds = 5;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

progress progress_start(FILE *f, const char *what, int64_t total)
{
    double t = now();
    return (progress){.f = f, .what = what, .total = total > 0 ? total : 0, .started = t, .shown = -1,
                      .terminal = f && isatty(fileno(f))};
}

static int columns(const progress *p)
{
    struct winsize size;
    if (ioctl(fileno(p->f), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return WIDTH;
}

/* "[=====     ]  " or nothing where there is no room for it. */
static void bar_text(const progress *p, int room, char *bar)
{
    int cells = room < BAR ? room : BAR;
    *bar = 0;
    if (!p->total || cells < 8) return;
    int full = (int)((double)p->done / (double)p->total * cells);
    bar[0] = '[';
    memset(bar + 1, '=', (size_t)full);
    memset(bar + 1 + full, ' ', (size_t)(cells - full));
    memcpy(bar + 1 + cells, "]  ", 4);
}

const char *progress_text(const progress *p, double seconds, int width, char *buf, size_t size)
{
    char count[64], times[96], took[TEXT_SIZE], left[TEXT_SIZE], bar[BAR + 8];
    if (p->total)
        snprintf(count, sizeof count, "%lld of %lld", (long long)p->done, (long long)p->total);
    else
        snprintf(count, sizeof count, "%lld", (long long)p->done);
    duration_text(seconds, took, sizeof took);
    if (p->done > p->first && p->done < p->total) {
        double rest = seconds / (double)(p->done - p->first) * (double)(p->total - p->done);
        snprintf(times, sizeof times, "%s, %s left", took, duration_text(rest, left, sizeof left));
    } else {
        snprintf(times, sizeof times, "%s", took);
    }
    size_t used = strlen(p->what) + strlen(count) + strlen(times) + 10;
    bar_text(p, (size_t)width > used ? width - (int)used : 0, bar);
    snprintf(buf, size, "%s  %s  %s%s", p->what, count, bar, times);
    return buf;
}

static void draw(progress *p, double t)
{
    char line[LINE];
    if (p->terminal) {
        int width = columns(p);
        progress_text(p, t - p->started, width, line, sizeof line);
        /* Cut to the terminal's width: a wrapped line could not be redrawn. \033[K clears what was longer before. */
        fprintf(p->f, "\r%.*s\033[K", width - 1, line);
    } else {
        progress_text(p, t - p->started, 0, line, sizeof line);    /* no room for a bar */
        fprintf(p->f, "%s\n", line);
    }
    fflush(p->f);
    p->shown = t;
    p->line_open = p->terminal;
}

void progress_show(progress *p, int64_t done)
{
    p->done = p->total && done > p->total ? p->total : done;
    if (!p->f) return;
    double t = now(), last = p->shown >= 0 ? p->shown : p->started;
    bool first = p->terminal && p->shown < 0;      /* a terminal shows it at once */
    if (first || t - last >= (p->terminal ? redraw_seconds : line_seconds)) draw(p, t);
}

void progress_hide(progress *p)
{
    if (!p->line_open) return;
    fputs("\r\033[K", p->f);
    fflush(p->f);
    p->line_open = false;
    p->shown = -1;
}

void progress_end(progress *p)
{
    if (!p->f) return;
    draw(p, now());
    if (p->terminal) {
        fputc('\n', p->f);
        fflush(p->f);
    }
    p->f = NULL;
    p->line_open = false;
}
