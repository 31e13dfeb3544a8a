/* m2m data: make data sets, and see whether a data set can be used. */
#include "commands.h"
#include "outdir.h"
#include "show.h"
#include "stop.h"

typedef struct settings {
    const char *o, *report;
} settings;

static int finish(int failed, const m2m_error *err)
{
    if (!failed) return EXIT_SUCCESS;
    int status = say_error(err);
    return failed == M2M_ECANCELLED && stop_asked() ? EXIT_STOPPED : status;
}

static int run_compose(const command *c, int argc, char **argv)
{
    settings s = {0};
    m2m_compose_options options;
    args a;
    int status = args_parse(c, argc, argv, &s, &options, &a);
    if (status == RUN && !args_require(c, &a, "o")) status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        outdir out;
        int failed = outdir_open(&out, s.o, &err);
        if (!failed) {
            show *shown = show_new();
            m2m_calls calls = show_calls(shown);
            stop_listen();
            failed = m2m_data_compose(a.plain.items[0], s.o, &options, &calls, &err);
            show_free(&shown);
            if (failed) outdir_undo(&out);
        }
        status = finish(failed, &err);
    }
    args_free(&a);
    return status;
}

static int run_check(const command *c, int argc, char **argv)
{
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN) {
        m2m_error err = {0};
        int failed = s.report ? outfile_check(s.report, &err) : 0;
        if (!failed) {
            show *shown = show_new();
            m2m_calls calls = show_calls(shown);
            stop_listen();
            failed = m2m_data_check(a.plain.items[0], s.report, &calls, &err);
            show_free(&shown);
        }
        status = finish(failed, &err);
    }
    args_free(&a);
    return status;
}

static const m2m_option compose_rows[] = {
    {.name = "o", .type = ARG_DIR, .offset = offsetof(settings, o),
     .help = "where the shards go; made if it is not there"},
    {0},
};

static const m2m_option check_rows[] = {
    {.name = "report", .type = ARG_FILE, .offset = offsetof(settings, report),
     .help = "also write the result as JSON to this file"},
    {0},
};

static const command compose = {
    .name = "data compose",
    .synopsis = "POOL -o DIR [options]",
    .purpose = "compose training sets from a pool of drawings",
    .text = "POOL is a directory of drawings made by tools/data (docs/data.md). Each set shares a style, a subject,\n"
            "or a common treatment; the result is WebDataset shards, a set being one sample.\n"
            "\n"
            "Example:\n"
            "  m2m data compose pool -o sets --sets 20000 --images 8 --size 64",
    .rows = compose_rows,
    .table = "compose",
    .most = 1,
    .least = 1,
    .run = run_compose,
};

static const command check_data = {
    .name = "data check",
    .synopsis = "PATH [--report FILE]",
    .purpose = "read every set of a data set; bad records are counted and listed",
    .text = "PATH is a shard (.tar), a folder of shards, or a folder whose folders are sets.\n"
            "\n"
            "Example:\n"
            "  m2m data check sets --report sets.json",
    .rows = check_rows,
    .most = 1,
    .least = 1,
    .run = run_check,
};

static const command *const children[] = {&compose, &check_data, NULL};

const command command_data = {
    .name = "data",
    .synopsis = "COMMAND …",
    .purpose = "make and check data sets",
    .text = "`m2m data COMMAND --help` tells more.",
    .children = children,
};
