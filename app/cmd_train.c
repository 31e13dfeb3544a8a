/* m2m train: trains as a JSON file says. Ctrl-C is no failure: the library writes a checkpoint and training can go
 * on. */
#include "commands.h"
#include "show.h"
#include "stop.h"

typedef struct settings {
    words set;
    int64_t resume;
} settings;

static const m2m_option rows[] = {
    {.name = "resume", .type = M2M_OPTION_FLAG, .offset = offsetof(settings, resume), .max = 1,
     .help = "go on from the last checkpoint in the output directory, bit for bit as if never stopped"},
    {.name = "set", .type = ARG_WORDS, .offset = offsetof(settings, set), .choices = "KEY=VALUE",
     .help = "key=value that replaces what the file says; can be repeated"},
    {0},
};

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN) {
        m2m_error err = {0};
        show *shown = show_new();
        m2m_calls calls = show_calls(shown);
        const char *config = a.plain.items[0];
        stop_listen();
        int failed = m2m_train(config, s.set.items, s.set.count, (int)s.resume, &calls, &err);
        show_free(&shown);
        if (!failed) {
            status = EXIT_SUCCESS;
        } else if (failed == M2M_ECANCELLED && stop_asked()) {
            printf("stopped; to go on: m2m train %s --resume\n", config);
            status = EXIT_SUCCESS;
        } else {
            status = say_error(&err);
        }
    }
    words_free(&s.set);
    args_free(&a);
    return status;
}

const command command_train = {
    .name = "train",
    .synopsis = "CONFIG.json [--resume] [--set key=value …]",
    .purpose = "train a model on sets of images",
    .text = "CONFIG.json holds one object with the keys below; `output` and `data` are needed, and `from` or\n"
            "`config`. The output directory gets the model, checkpoints, a log (JSON lines and TensorBoard), the\n"
            "loss curve and sample grids as pictures. What it needs of memory is told first. Ctrl-C writes a\n"
            "checkpoint and stops.\n"
            "\n"
            "Example: cats.json is\n"
            "  {\"config\": \"models/m2m-self-64\", \"data\": \"cats/\", \"output\": \"runs/cats\"}\n"
            "  m2m train cats.json\n"
            "  m2m train cats.json --resume --set steps=20000",
    .rows = rows,
    .keys = "train",
    .most = 1,
    .least = 1,
    .run = run,
};
