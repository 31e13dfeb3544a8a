/* m2m bench: how long the steps of a model take here, and where the time goes. */
#include "commands.h"
#include "outdir.h"
#include "show.h"
#include "stop.h"

static int bench(const args *a, const m2m_bench_options *options, m2m_error *err)
{
    m2m_model *embedded = NULL;
    m2m_model_facts facts = {0};
    int failed = options->json ? outfile_check(options->json, err) : 0;
    if (!failed && a->plain.count) facts.dir = a->plain.items[0];
    else if (!failed && !(failed = m2m_model_open(&embedded, NULL, err))) m2m_model_get_facts(embedded, &facts);
    if (!failed) {
        show *shown = show_new();
        m2m_calls calls = show_calls(shown);
        failed = m2m_bench(facts.dir, options, &calls, err);
        show_free(&shown);
    }
    m2m_model_close(&embedded);
    return failed;
}

static int run(const command *c, int argc, char **argv)
{
    m2m_bench_options options;
    args a;
    int status = args_parse(c, argc, argv, NULL, &options, &a);
    if (status == RUN) {
        m2m_error err = {0};
        stop_listen();
        int failed = bench(&a, &options, &err);
        status = !failed ? EXIT_SUCCESS : say_error(&err);
        if (failed == M2M_ECANCELLED && stop_asked()) status = EXIT_STOPPED;
    }
    args_free(&a);
    return status;
}

const command command_bench = {
    .name = "bench",
    .synopsis = "[DIR] [options]",
    .purpose = "time the steps of a model: seconds, memory, and where the time goes",
    .text = "DIR is a model directory or one of its components; left out, the embedded model. With --random only its\n"
            "configuration is read, so a model can be timed before its weights exist.\n"
            "\n"
            "Example:\n"
            "  m2m bench --ops\n"
            "  m2m bench sd21/unet --random --size 64x64 --runs 3",
    .table = "bench",
    .most = 1,
    .run = run,
};
