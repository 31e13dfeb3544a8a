/* What a long command shows: lines on stdout; progress with the time left as one line that moves on a terminal, and as
 * plain lines now and then elsewhere. stderr is kept for the one line of an error. */
#ifndef APP_SHOW_H
#define APP_SHOW_H

#include "m2m_train.h"

typedef struct show show;

show *show_new(void);        /* NULL: no memory; the functions below take NULL */
void show_free(show **s);
/* done of total (same unit); a new `what` starts a new estimate. */
void show_progress(show *s, const char *what, int64_t done, int64_t total);
void show_line(show *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Callbacks for the library's long calls: user is s; progress stops when the user asked to (stop.h). */
m2m_calls show_calls(show *s);

#endif
