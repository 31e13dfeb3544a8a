/* Help is made from the same rows as the flags, so it can't say anything else than what is true. */
#include "args.h"

#include <stdio.h>
#include <string.h>

enum { INDENT = 28, WIDTH = 96 };

/* Columns of UTF-8 text. */
static int columns(const char *text, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Prints words from column INDENT on, broken at WIDTH. */
static void wrap(FILE *f, const char *text)
{
    int at = INDENT;
    while (*text) {
        size_t n = strcspn(text, " ");
        int wide = columns(text, n);
        if (at > INDENT && at + 1 + wide > WIDTH) {
            fprintf(f, "\n%*s", INDENT, "");
            at = INDENT;
        } else if (at > INDENT) {
            fputc(' ', f);
            at++;
        }
        fwrite(text, 1, n, f);
        at += wide;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', f);
}

static const char *value_name(const m2m_option *row)
{
    switch (row->type) {
    case M2M_OPTION_INT: return " N";
    case M2M_OPTION_REAL: return " X";
    case M2M_OPTION_FLAG: return "";
    case ARG_FILE: return " FILE";
    case ARG_DIR: return " DIR";
    case ARG_WORD: return " NAME";
    default: return row->choices ? NULL : " TEXT"; // ARG_WORDS: the name of its value stands in choices
    }
}

static void help_row(const m2m_option *row, bool key, FILE *f)
{
    char left[200], right[600], flag[64];
    help_flag(row, flag, sizeof flag);
    const char *value = value_name(row);
    snprintf(left, sizeof left, "  %s%s%s", key ? row->name : flag, value ? value : " ", value ? "" : row->choices);
    int n = snprintf(right, sizeof right, "%s", row->help);
    char *end = right + n;
    size_t room = sizeof right - (size_t)n;
    double usual = row->default_number;
    if (row->type == M2M_OPTION_INT) snprintf(end, room, " (%.0f..%.0f; default %.0f)", row->min, row->max, usual);
    if (row->type == M2M_OPTION_REAL) snprintf(end, room, " (%.9g..%.9g; default %.9g)", row->min, row->max, usual);
    if (row->type == M2M_OPTION_TEXT && row->default_text) snprintf(end, room, " (default %s)", row->default_text);
    if (row->type == M2M_OPTION_FLAG && key) snprintf(end, room, " (default %s)", usual ? "true" : "false");
    int wide = columns(left, strlen(left));
    fputs(left, f);
    if (wide + 2 > INDENT) fprintf(f, "\n%*s", INDENT, "");
    else fprintf(f, "%*s", INDENT - wide, "");
    wrap(f, right);
}

static void help_table(const m2m_option_table *t, bool key, FILE *f)
{
    for (int i = 0; t && i < t->count; i++) help_row(&t->rows[i], key, f);
}

void help_command(const command *c, FILE *f)
{
    fprintf(f, "m2m %s: %s\n\nUsage: m2m %s %s\n\n%s\n", c->name, c->purpose, c->name, c->synopsis, c->text);
    if (c->children) {
        fputs("\nCommands:\n", f);
        for (int i = 0; c->children[i]; i++)
            fprintf(f, "  m2m %-20s %s\n", c->children[i]->name, c->children[i]->purpose);
        return;
    }
    fputs("\nOptions:\n", f);
    for (const m2m_option *row = c->rows; row && row->name; row++) help_row(row, false, f);
    help_table(m2m_options(c->also), false, f);
    help_table(m2m_options(c->table), false, f);
    fprintf(f, "  -h, --help%*sthis text\n", INDENT - 12, "");
    if (!c->keys) return;
    fputs("\nKeys of the JSON file, and of --set:\n", f);
    help_table(m2m_options(c->keys), true, f);
}
