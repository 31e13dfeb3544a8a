/* How far a long job is, for people: on a terminal one line that moves, elsewhere (a log file) a plain line every five
 * seconds at most, and always the last one.
 *
 *     progress p = progress_start(stderr, "image 2 of 6", 50);
 *     for (…) { …; progress_show(&p, i + 1); }
 *     progress_end(&p);
 *
 * Plain data, owned by one thread. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct progress {
    FILE *f;                   /* borrowed; NULL: shows nothing */
    const char *what;          /* borrowed */
    int64_t done, total;
    int64_t first;             /* units that were done before the start, by an earlier run; 0 unless set */
    double started, shown;     /* seconds of the monotonic clock; shown: the last line's, negative before it */
    bool terminal, line_open;
} progress;

/* f NULL: shows nothing. total: units of work, 0 when unknown. f and what must outlive *p. */
progress progress_start(FILE *f, const char *what, int64_t total);
/* `done` units since the start are finished. Cheap enough to call often. */
void progress_show(progress *p, int64_t done);
/* Removes the moving line, so that other lines can be printed; the next progress_show brings it back. */
void progress_hide(progress *p);
/* Shows the final state on a line that stays. */
void progress_end(progress *p);

/* "image 2 of 6  25 of 50  [=====     ]  12 s, 12 s left" as the line's text into buf; width: columns. For tests. */
const char *progress_text(const progress *p, double seconds, int width, char *buf, size_t size);

#endif
