/* m2m data: make data sets, and see whether a data set can be used. */
#include "commands.h"
#include "outdir.h"
#include "share.h"
#include "show.h"
#include "stop.h"

#include <string.h>

typedef struct settings {
    const char *o, *report;
    int64_t plan;
} settings;

static int finish(int failed, const m2m_error *err)
{
    if (!failed) return EXIT_SUCCESS;
    int status = say_error(err);
    return failed == M2M_ECANCELLED && stop_asked() ? EXIT_STOPPED : status;
}

typedef union options {
    m2m_compose_options compose;
    m2m_import_options import;
    m2m_mis_options mis;
} options;

/* The work itself: what was given, n arguments of it. */
typedef int work(const settings *s, const char *const *given, int n, const options *o, const m2m_calls *calls,
                 m2m_error *err);

static int work_in(const settings *s, const args *a, const options *o, work *job, m2m_error *err)
{
    outdir out = {0};
    int failed = s->o ? outdir_open(&out, s->o, err) : 0;
    if (!failed && s->report) failed = outfile_check(s->report, err);
    if (!failed) {
        show *shown = show_new();
        m2m_calls calls = show_calls(shown);
        stop_listen();
        failed = job(s, a->plain.items, a->plain.count, o, &calls, err);
        show_free(&shown);
    }
    if (failed && s->o) outdir_undo(&out);
    return failed;
}

static int run_work(const command *c, int argc, char **argv, bool needs_out, work *job)
{
    settings s = {0};
    options o;
    args a;
    int status = args_parse(c, argc, argv, &s, &o, &a);
    for (int i = 0; i < a.given.count && status == RUN && a.plain.count < c->most; i++)
        if (strcmp(a.given.items[i], "report") != 0)
            status = say_usage(c, "--%s goes with a KIND, found %s alone", a.given.items[i], a.plain.items[0]);
    if (status == RUN && !args_exclude(c, &a, "plan", "o")) status = EXIT_USAGE;
    if (status == RUN && needs_out && !s.plan && !args_require(c, &a, "o")) status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        status = finish(work_in(&s, &a, &o, job, &err), &err);
    }
    args_free(&a);
    return status;
}

static int do_compose(const settings *s, const char *const *given, int n, const options *o, const m2m_calls *calls,
                      m2m_error *err)
{
    (void)n;
    return m2m_data_compose(given[0], s->o, &o->compose, calls, err);
}

static int do_import(const settings *s, const char *const *given, int n, const options *o, const m2m_calls *calls,
                     m2m_error *err)
{
    (void)n;
    return m2m_data_import(given[0], given[1], s->o, &o->import, s->report, calls, err);
}

static int do_mis(const settings *s, const char *const *given, int n, const options *o, const m2m_calls *calls,
                  m2m_error *err)
{
    (void)n;
    m2m_mis_options mine = o->mis;
    char share[48];
    if (s->plan) return m2m_data_mis_plan(given[0], given[1], &mine, calls, err);
    int failed = share_take(&mine.share, share, sizeof share, calls, err);
    if (failed) return failed;
    return m2m_data_mis(given[0], given[1], s->o, &mine, calls, err);
}

static int do_check(const settings *s, const char *const *given, int n, const options *o, const m2m_calls *calls,
                    m2m_error *err)
{
    if (n == 1) return m2m_data_check(given[0], s->report, calls, err);
    return m2m_data_import(given[0], given[1], NULL, &o->import, s->report, calls, err);
}

static int run_compose(const command *c, int argc, char **argv)
{
    return run_work(c, argc, argv, true, do_compose);
}

static int run_import(const command *c, int argc, char **argv)
{
    return run_work(c, argc, argv, true, do_import);
}

static int run_mis(const command *c, int argc, char **argv)
{
    return run_work(c, argc, argv, true, do_mis);
}

static int run_check(const command *c, int argc, char **argv)
{
    return run_work(c, argc, argv, false, do_check);
}

#define OUT_ROW {.name = "o", .type = ARG_DIR, .offset = offsetof(settings, o),              \
                 .help = "where the shards go; made if it is not there"}
#define REPORT_ROW {.name = "report", .type = ARG_FILE, .offset = offsetof(settings, report), \
                    .help = "also write the result as JSON to this file"}
static const m2m_option compose_rows[] = {OUT_ROW, {0}};
static const m2m_option check_rows[] = {REPORT_ROW, {0}};
static const m2m_option import_rows[] = {OUT_ROW, REPORT_ROW, {0}};
static const m2m_option mis_rows[] = {
    OUT_ROW,
    {.name = "plan", .type = M2M_OPTION_FLAG, .offset = offsetof(settings, plan), .max = 1,
     .help = "make no data set: count the captions, make one batch, and say what all of it will take"},
    {0},
};

static const command compose = {
    .name = "data compose",
    .synopsis = "POOL -o DIR [options]",
    .purpose = "compose training sets from a pool of drawings",
    .text = "POOL is a directory of drawings made by tools/emoji (docs/data.md). Each set shares a style, a subject,\n"
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

/* Kinds of data sets, a line each: name, other name, what it is. */
#define KIND(name, also, what) "  " #name " (" also "): " what "\n"

static const command import_data = {
    .name = "data import",
    .synopsis = "KIND SRC -o DIR [options]",
    .purpose = "turn a data set in its owner's layout into shards of sets",
    .text = "Kinds, and what SRC is then (docs/data.md):\n"
#include "m2m_kinds.def"
            "Bad records and images are left out, counted and listed in DIR/report.json. A run that was cut off goes\n"
            "on where it stopped when it is started again.\n"
            "\n"
            "Example:\n"
            "  m2m data import objaverse views_release -o sets --size 128",
    .rows = import_rows,
    .table = "import",
    .most = 2,
    .least = 2,
    .run = run_import,
};

static const command mis = {
    .name = "data mis",
    .synopsis = "MODEL CAPTIONS.tsv -o DIR [options]",
    .purpose = "make image sets from captions with a text-to-image model",
    .text = "MODEL is a text-to-image directory in diffusers' layout. CAPTIONS.tsv has lines url<TAB>caption (CC12M),\n"
            "with or without a header, also gzipped. Each caption becomes a set of pictures, a sample of WebDataset\n"
            "shards (docs/data.md). What is there is kept: the same command goes on where a run was cut off, with the\n"
            "same result. Started by mpirun, srun or as a Slurm array job, each process makes its share.\n"
            "\n"
            "Examples:\n"
            "  m2m data mis stable-diffusion-2-1-base cc12m.tsv.gz --plan\n"
            "  mpirun -n 8 m2m data mis stable-diffusion-2-1-base cc12m.tsv.gz -o mis",
    .rows = mis_rows,
    .table = "mis",
    .most = 2,
    .least = 2,
    .run = run_mis,
};

static const command check_data = {
    .name = "data check",
    .synopsis = "PATH | KIND SRC [--report FILE] [options]",
    .purpose = "read every set of a data set; bad records are counted and listed",
    .text = "PATH is what m2m trains on: a shard (.tar), a folder of shards, or a folder whose folders are sets.\n"
            "KIND SRC is a data set in its owner's layout; the options, which are for these alone, are those of\n"
            "`m2m data import`. Kinds:\n"
#include "m2m_kinds.def"
            "\n"
            "Examples:\n"
            "  m2m data check sets --report sets.json\n"
            "  m2m data check coco coco2017 --split val",
    .rows = check_rows,
    .table = "import",
    .most = 2,
    .least = 1,
    .run = run_check,
};

static const command *const children[] = {&compose, &mis, &import_data, &check_data, NULL};

const command command_data = {
    .name = "data",
    .synopsis = "COMMAND …",
    .purpose = "make and check data sets",
    .text = "`m2m data COMMAND --help` tells more.",
    .children = children,
};
