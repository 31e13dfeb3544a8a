/* The .def tables as rows that programs can walk. */
#include "base/opts.h"

#include <string.h>

#define NUMBER_INT(x) x
#define NUMBER_REAL(x) x
#define NUMBER_FLAG(x) x
#define NUMBER_TEXT(x) 0
#define TEXT_INT(x) NULL
#define TEXT_REAL(x) NULL
#define TEXT_FLAG(x) NULL
#define TEXT_TEXT(x) x
#define OPTION(type_, field_, default_, min_, max_, choices_, help_)                                  \
    {.name = #field_, .type = M2M_OPTION_##type_, .offset = offsetof(OPTIONS, field_),                \
     .default_number = NUMBER_##type_(default_), .min = min_, .max = max_,                            \
     .default_text = TEXT_##type_(default_), .choices = choices_, .help = help_},

#define OPTIONS m2m_generate_options
static const m2m_option generate_rows[] = {
#include "m2m_generate.def"
};
#undef OPTIONS

#define OPTIONS m2m_train_options
static const m2m_option train_rows[] = {
#include "m2m_train.def"
};
#undef OPTIONS

#define OPTIONS m2m_compose_options
static const m2m_option compose_rows[] = {
#include "m2m_compose.def"
};
#undef OPTIONS

#define OPTIONS m2m_import_options
static const m2m_option import_rows[] = {
#include "m2m_import.def"
};
#undef OPTIONS

#define OPTIONS m2m_mis_options
static const m2m_option mis_rows[] = {
#include "m2m_mis.def"
};
#undef OPTIONS

#define OPTIONS m2m_sets_options
static const m2m_option sets_rows[] = {
#include "m2m_sets.def"
};
#undef OPTIONS

#define OPTIONS m2m_eval_options
static const m2m_option eval_rows[] = {
#include "m2m_eval.def"
};
#undef OPTIONS

#define OPTIONS m2m_bench_options
static const m2m_option bench_rows[] = {
#include "m2m_bench.def"
};
#undef OPTIONS

#define OPTIONS m2m_init_options
static const m2m_option init_rows[] = {
#include "m2m_init.def"
};
#undef OPTIONS

#define TABLE(name) {#name, name##_rows, (int)(sizeof name##_rows / sizeof name##_rows[0])}
static const m2m_option_table tables[] = {TABLE(generate), TABLE(train), TABLE(compose), TABLE(import),
                                          TABLE(mis),      TABLE(sets),  TABLE(eval),    TABLE(bench),  TABLE(init)};

const m2m_option_table *m2m_options(const char *name)
{
    for (size_t i = 0; name && i < sizeof tables / sizeof tables[0]; i++) {
        if (!strcmp(tables[i].name, name)) return &tables[i];
    }
    return NULL;
}

void m2m_options_defaults(const m2m_option_table *t, void *options)
{
    opts_defaults(t, options);
}

int m2m_options_set(const m2m_option_table *t, void *options, const char *name, const char *value, m2m_error *err)
{
    return opts_set(t, options, name, value, err);
}

void m2m_generate_defaults(m2m_generate_options *options)
{
    opts_defaults(m2m_options("generate"), options);
}
