/* Captions from a text file of tab-separated columns, as Conceptual 12M comes: url<TAB>caption, a line each, plain or
 * packed with gzip.
 *
 * Rows are counted from 0, bad lines too and a header not, so a row's number is its place in the file whatever is left
 * out of it. A first line is a header when a column of it is called "caption" (that column is then taken) and none is
 * an address. Nothing but a damaged or unreadable file is an error: a bad line is told as such. Owned by one thread. */
#ifndef DATA_CAPTIONS_H
#define DATA_CAPTIONS_H

#include "base/error.h"

#include <stdbool.h>

enum { CAPTION_BYTES = 1 << 16, CAPTION_COLUMNS = 64 };     /* most bytes of a line; most columns looked at */

typedef enum caption_state {
    CAPTION_GOOD,
    CAPTION_NO_COLUMN,         /* the line has too few columns */
    CAPTION_EMPTY,             /* nothing but white space */
    CAPTION_NOT_TEXT,          /* not UTF-8, or a zero byte */
    CAPTION_LINE_LONG,         /* over CAPTION_BYTES bytes */
    CAPTION_STATES
} caption_state;

typedef struct caption_line {
    int64_t row;
    int64_t offset;            /* of the line, in the unpacked file */
    caption_state state;
    const char *text;          /* of a good one, without white space around it; valid until the next call; else "" */
    size_t len;
} caption_line;

typedef struct caption_file caption_file;

/* column: 1 is the first. Errors: M2M_EIO, M2M_ENOMEM. */
int captions_open(caption_file **c, const char *path, int column, m2m_error *err);
void captions_close(caption_file **c);
/* The next line: 1, or 0 at the end, or M2M_EIO, M2M_EFORMAT (damaged gzip data). */
int captions_next(caption_file *c, caption_line *line, m2m_error *err);
/* The next line will be `row`, which begins at `offset`. Going back in a packed file unpacks it again. */
int captions_seek(caption_file *c, int64_t row, int64_t offset, m2m_error *err);
int64_t captions_done(const caption_file *c);      /* bytes of the file as it is that were read so far, for progress */
const char *captions_path(const caption_file *c);

/* A sample's caption, to be freed: its text file, else "caption" in its JSON, without white space around it. data NULL:
 * it has no such member. Errors: M2M_EFORMAT when there is none, an empty one, one of more than CAPTION_BYTES bytes or
 * one that is no UTF-8, or when the JSON is none; M2M_ENOMEM. */
typedef struct caption_member {
    const char *data;
    size_t size;
} caption_member;
int caption_choose(caption_member text, caption_member json, char **caption, m2m_error *err);
/* The same of a text alone. */
int caption_take(const char *text, size_t n, char **caption, m2m_error *err);

/* Leaves out white space before and after text[0..len-1]. */
void caption_trim(const char **text, size_t *len);

#endif
