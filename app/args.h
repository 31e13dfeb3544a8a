/* Arguments of a command: rows of tables (base/opts.h) become flags and help. A command has a table of its own and may
 * share one with the library, so no option is written down twice. */
#ifndef APP_ARGS_H
#define APP_ARGS_H

#include "base/opts.h"

#include <stdio.h>

/* Types of rows in a command's own table, beyond M2M_OPTION_…; ARG_WORDS is repeated and fills a `words`
 * (what its value is called stands in choices), the others a const char *. */
enum { ARG_FILE = 16, ARG_DIR, ARG_WORD, ARG_WORDS };

typedef struct words {
    const char **items;
    int count, room;
} words;

typedef struct command {
    const char *name;        /* "generate", "data compose" */
    const char *synopsis;    /* what follows the name */
    const char *purpose;     /* one line, in `m2m --help` too */
    const char *text;        /* explanation and examples */
    const m2m_option *rows;  /* options that only this command has, then a row without name; may be NULL */
    const char *table;       /* the library's table whose rows are options too, or NULL */
    const char *also;        /* a second such table, whose struct lies also_at bytes into the shared one; or NULL */
    size_t also_at;
    const char *keys;        /* the library's table whose rows are keys of a file: only for help; or NULL */
    int most;                /* arguments that are no options: at most, and at least */
    int least;
    int (*run)(const struct command *c, int argc, char **argv);
    const struct command *const *children; /* instead of run: subcommands, NULL at the end */
} command;

typedef struct args {
    words plain;             /* arguments that are no options */
    words given, values;     /* names of the rows that were given, and what with; in order */
} args;

enum { RUN = -1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

/* Sets defaults, then reads argv[0..argc). own: the struct of c->rows; shared: that of c->table (NULL if there is
 * none). Returns RUN, or the status to exit with after --help or a bad argument, which was then reported. *a
 * is to be freed
 * with args_free in any case. */
int args_parse(const command *c, int argc, char **argv, void *own, void *shared, args *a);
void args_free(args *a);
/* Stores again what was given for rows of the library's table: over other defaults than those of the table. */
void args_again(const command *c, const args *a, void *shared);
bool args_given(const args *a, const char *name);

void words_free(words *w);

/* One line on stderr: "m2m: …", control characters replaced. Return the exit status. */
int say_usage(const command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int say_error(const m2m_error *err);

/* Both refuse (and report, returning false) what can't go together or is missing; a, b: names of rows. */
bool args_exclude(const command *c, const args *a, const char *one, const char *other);
bool args_require(const command *c, const args *a, const char *name);

void help_command(const command *c, FILE *f);
void help_flag(const m2m_option *row, char *buf, size_t size); /* "--steps", "-n" */

#endif
