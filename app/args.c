#include "args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* File names and tensor names come from outside: what would move the cursor or break the line is shown as ?. */
static void say_line(const char *text)
{
    char line[1200];
    snprintf(line, sizeof line, "m2m: %s", text);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < 32 || *c == 127) *c = '?';
    }
    fprintf(stderr, "%s\n", line);
}

int say_error(const m2m_error *err)
{
    say_line(err->msg);
    return EXIT_FAILURE;
}

int say_usage(const command *c, const char *fmt, ...)
{
    char text[1024];
    int n = c ? snprintf(text, sizeof text, "%s: ", c->name) : 0;
    va_list ap;
    va_start(ap, fmt);
    n += vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    if (n < (int)sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, " (see m2m %s%s--help)", c ? c->name : "", c ? " " : "");
    say_line(text);
    return EXIT_USAGE;
}

static bool words_add(words *w, const char *text)
{
    if (w->count == w->room) {
        int room = w->room ? 2 * w->room : 8;
        const char **items = realloc(w->items, (size_t)room * sizeof *items);
        if (!items) return false;
        w->items = items;
        w->room = room;
    }
    w->items[w->count++] = text;
    return true;
}

void words_free(words *w)
{
    free(w->items);
    *w = (words){0};
}

void args_free(args *a)
{
    words_free(&a->plain);
    words_free(&a->given);
    words_free(&a->values);
}

void args_again(const command *c, const args *a, void *shared)
{
    const m2m_option_table *t = m2m_options(c->table);
    for (int i = 0; i < a->given.count; i++)
        if (opts_find(t, a->given.items[i])) opts_set(t, shared, a->given.items[i], a->values.items[i], NULL);
}

bool args_given(const args *a, const char *name)
{
    for (int i = 0; i < a->given.count; i++) {
        if (!strcmp(a->given.items[i], name)) return true;
    }
    return false;
}

void help_flag(const m2m_option *row, char *buf, size_t size)
{
    snprintf(buf, size, "%s%s", row->name[1] ? "--" : "-", row->name);
    for (char *c = buf; *c; c++) {
        if (*c == '_') *c = '-';
    }
}

bool args_exclude(const command *c, const args *a, const char *one, const char *other)
{
    if (!args_given(a, one) || !args_given(a, other)) return true;
    char x[64], y[64];
    help_flag(&(m2m_option){.name = one}, x, sizeof x);
    help_flag(&(m2m_option){.name = other}, y, sizeof y);
    say_usage(c, "%s contradicts %s: give one of them", x, y);
    return false;
}

bool args_require(const command *c, const args *a, const char *name)
{
    if (args_given(a, name)) return true;
    char flag[64];
    help_flag(&(m2m_option){.name = name}, flag, sizeof flag);
    say_usage(c, "%s is missing", flag);
    return false;
}

enum { TABLES = 3 };

/* What args_parse works on. */
typedef struct parser {
    const command *c;
    const m2m_option_table *tables[TABLES];  /* the command's own, the library's, another of the library's, or NULL */
    m2m_option_table own_table;
    void *options[TABLES];                   /* the structs they fill */
    args *a;
    int argc, at;
    char **argv;
} parser;

static const m2m_option *find(const parser *p, const char *name, void **options)
{
    const m2m_option *row = NULL;
    for (int i = 0; i < TABLES && !row; i++) {
        if (p->tables[i]) row = opts_find(p->tables[i], name);
        *options = p->options[i];
    }
    return row;
}

static int refuse_unknown(const parser *p, const char *flag, const char *name)
{
    const char *nearest = NULL;
    for (int i = 0; i < TABLES; i++) {
        const char *one = p->tables[i] ? opts_nearest(p->tables[i], name) : NULL;
        if (one && (!nearest || opts_distance(name, one) < opts_distance(name, nearest))) nearest = one;
    }
    if (!nearest) return say_usage(p->c, "%.100s: no such option", flag);
    char meant[64];
    help_flag(&(m2m_option){.name = nearest}, meant, sizeof meant);
    return say_usage(p->c, "%.100s: no such option; did you mean %s?", flag, meant);
}

/* The value of a flag: what stands after =, else the next argument. NULL: there is none (reported). */
static const char *take_value(parser *p, const char *flag, const char *attached)
{
    if (attached) return attached;
    if (p->at >= p->argc) {
        say_usage(p->c, "%s: its value is missing", flag);
        return NULL;
    }
    const char *next = p->argv[p->at];
    bool number = next[0] == '-' && (isdigit((unsigned char)next[1]) || next[1] == '.');
    if (next[0] == '-' && next[1] && !number) {
        say_usage(p->c, "%s: its value is missing, found the option %.100s", flag, next);
        return NULL;
    }
    p->at++;
    return next;
}

static int store(parser *p, const m2m_option *row, void *options, const char *attached)
{
    char flag[64];
    help_flag(row, flag, sizeof flag);
    const char *value = row->type == M2M_OPTION_FLAG ? (attached ? attached : "1") : take_value(p, flag, attached);
    if (!value) return EXIT_USAGE;
    void *field = (char *)options + row->offset;
    if (row->type == ARG_WORDS) {
        if (!words_add(field, value)) return say_usage(p->c, "no memory");
    } else if (row->type >= ARG_FILE) {
        if (!*value) return say_usage(p->c, "%s: found an empty name", flag);
        *(const char **)field = value;
    } else {
        m2m_option_table one = {p->c->name, row, 1};
        m2m_error err;
        if (opts_set(&one, options, row->name, value, &err))
            return say_usage(p->c, "%s%s", flag, err.msg + strlen(row->name));
    }
    bool noted = words_add(&p->a->given, row->name) && words_add(&p->a->values, value);
    return noted ? RUN : say_usage(p->c, "no memory");
}

static int parse_flag(parser *p, const char *arg)
{
    char name[128];
    const char *attached = NULL;
    if (arg[1] == '-') {
        size_t n = strcspn(arg + 2, "=");
        if (n == 0 || n >= sizeof name) return say_usage(p->c, "%.100s: no such option", arg);
        memcpy(name, arg + 2, n);
        name[n] = 0;
        if (arg[2 + n] == '=') attached = arg + 2 + n + 1;
    } else {
        name[0] = arg[1];
        name[1] = 0;
        if (arg[2]) attached = arg + 2 + (arg[2] == '=');
    }
    void *options;
    const m2m_option *row = find(p, name, &options);
    if (!row) return refuse_unknown(p, arg, name);
    return store(p, row, options, attached);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    }
    return false;
}

static m2m_option_table own_table(const command *c)
{
    m2m_option_table t = {c->name, c->rows, 0};
    while (c->rows && c->rows[t.count].name) t.count++;
    return t;
}

static void own_defaults(const m2m_option_table *t, void *own)
{
    for (int i = 0; i < t->count; i++) {
        m2m_option_table one = {t->name, &t->rows[i], 1};
        void *field = (char *)own + t->rows[i].offset;
        if (t->rows[i].type == ARG_WORDS) *(words *)field = (words){0};
        else if (t->rows[i].type >= ARG_FILE) *(const char **)field = NULL;
        else opts_defaults(&one, own);
    }
}

int args_parse(const command *c, int argc, char **argv, void *own, void *shared, args *a)
{
    *a = (args){0};
    parser p = {.c = c, .a = a, .argc = argc, .argv = argv, .own_table = own_table(c),
                .options = {own, shared, (char *)shared + c->also_at}};
    p.tables[0] = &p.own_table;
    p.tables[1] = m2m_options(c->table);
    p.tables[2] = m2m_options(c->also);
    own_defaults(&p.own_table, own);
    for (int i = 1; i < TABLES; i++)
        if (p.tables[i]) opts_defaults(p.tables[i], p.options[i]);
    if (wants_help(argc, argv)) {
        help_command(c, stdout);
        return EXIT_SUCCESS;
    }
    bool plain_only = false;
    while (p.at < argc) {
        const char *arg = argv[p.at++];
        int status = RUN;
        if (plain_only || arg[0] != '-' || !arg[1]) {
            if (a->plain.count >= c->most)
                return say_usage(c, "%.200s: one argument too many, wanted %s", arg, c->synopsis);
            if (!*arg) return say_usage(c, "found an empty argument");
            if (!words_add(&a->plain, arg)) return say_usage(c, "no memory");
        } else if (!strcmp(arg, "--")) {
            plain_only = true;
        } else {
            status = parse_flag(&p, arg);
        }
        if (status != RUN) return status;
    }
    if (a->plain.count < c->least)
        return say_usage(c, "found %d of its arguments, wanted %s", a->plain.count, c->synopsis);
    return RUN;
}
