/* m2m eval sets: the paper's tables. */
#include "commands.h"
#include "outdir.h"
#include "recommended.h"
#include "share.h"
#include "show.h"
#include "stop.h"

#include <string.h>

enum { SETS_MADE = 10, MOST = 100 };     /* images made of a set, where -n is not given; reports compared */

typedef struct settings {
    const char *o;
    int64_t compare;
} settings;

typedef struct options {
    m2m_generate_options generate;
    m2m_sets_options sets;
} options;

static const m2m_option rows[] = {
    {.name = "o", .type = ARG_DIR, .offset = offsetof(settings, o),
     .help = "where images, features and the report go; made if it is not there. Begun with the same options, it is "
             "gone on with"},
    {.name = "compare", .type = M2M_OPTION_FLAG, .offset = offsetof(settings, compare), .max = 1,
     .help = "the arguments are folders that this command made: their tables become one"},
    {0},
};

/* What the user does not say is as the model recommends, but for -n. */
static int evaluate(const command *c, const args *a, const settings *s, options *o, const m2m_calls *calls,
                    m2m_error *err)
{
    const bool embedded = a->plain.count == 1;
    m2m_model *model = NULL;
    char share[48];
    int failed = share_take(&o->sets.share, share, sizeof share, calls, err);
    if (!failed) failed = m2m_model_open(&model, embedded ? NULL : a->plain.items[0], err);
    if (failed) return failed;
    recommended_take(c, a, model, &o->generate);
    if (!args_given(a, "n")) o->generate.n = SETS_MADE;
    failed = m2m_eval_sets(model, a->plain.items[!embedded], s->o, &o->generate, &o->sets, calls, err);
    m2m_model_close(&model);
    return failed;
}

static int work(const command *c, const args *a, const settings *s, options *o, m2m_error *err)
{
    show *shown = show_new();
    m2m_calls calls = show_calls(shown);
    outdir out;
    stop_listen();
    int failed = outdir_open(&out, s->o, err);
    if (!failed && s->compare) failed = m2m_eval_sets_compare(a->plain.items, a->plain.count, s->o, err);
    else if (!failed) failed = evaluate(c, a, s, o, &calls, err);
    if (failed) outdir_undo(&out);
    show_free(&shown);
    return failed;
}

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    options o;
    args a;
    int status = args_parse(c, argc, argv, &s, &o, &a);
    if (status == RUN && !args_require(c, &a, "o")) status = EXIT_USAGE;
    if (status == RUN && !s.compare && a.plain.count > 2)
        status = say_usage(c, "%.200s: one argument too many, wanted MODEL DATA", a.plain.items[2]);
    for (int i = 0; i < a.given.count && status == RUN && s.compare; i++)
        if (strcmp(a.given.items[i], "o") && strcmp(a.given.items[i], "compare"))
            status = say_usage(c, "--%s goes with MODEL DATA, not with --compare", a.given.items[i]);
    if (status == RUN) {
        m2m_error err = {0};
        int failed = work(c, &a, &s, &o, &err);
        status = failed ? say_error(&err) : EXIT_SUCCESS;
        if (failed == M2M_ECANCELLED && stop_asked()) status = EXIT_STOPPED;
    }
    args_free(&a);
    return status;
}

const command command_eval_sets = {
    .name = "eval sets",
    .synopsis = "[MODEL] DATA -o DIR [options], or --compare DIR … -o DIR",
    .purpose = "the paper's tables: images made from test sets, scored one after another",
    .text = "Of each set of DATA (what m2m trains on: shards, or folders of folders) the first --given images are\n"
            "given and -n images made (10 if left out, the paper's number). Each n-th image is scored over all sets,\n"
            "and the table has mean and standard deviation over the n. A score whose model is not given is left out.\n"
            "The images lie in DIR/images, the report in DIR/report.md, .csv, .json and .html (with curves and\n"
            "contact sheets). What is there is kept: the same command goes on where a run was cut off, with the same\n"
            "result. Started by mpirun, srun or as a Slurm array job, each process makes its share; the last one\n"
            "reports.\n"
            "\n"
            "Examples:\n"
            "  m2m eval sets models/mine test -o scores --given 1,2,3,4 --clip clip-vit-large-patch14 --inception pt\n"
            "  m2m eval sets --compare scores-self scores-dino -o table",
    .rows = rows,
    .table = "generate",
    .also = "sets",
    .also_at = offsetof(options, sets),
    .most = MOST,
    .least = 1,
    .run = run,
};
