/* m2m info: what is in a model directory or a safetensors file. */
#include "commands.h"

#include <stddef.h>

typedef struct settings {
    int64_t no_sums;
} settings;

static void line(void *user, const char *text)
{
    (void)user;
    puts(text);
}

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN) {
        m2m_error err = {0};
        m2m_model *embedded = NULL;
        m2m_model_facts facts = {0};
        if (a.plain.count) facts.dir = a.plain.items[0];
        else if (!m2m_model_open(&embedded, NULL, &err)) m2m_model_get_facts(embedded, &facts);
        m2m_calls calls = {.line = line};
        status = err.code || m2m_info(facts.dir, !s.no_sums, &calls, &err) ? say_error(&err) : EXIT_SUCCESS;
        m2m_model_close(&embedded);
    }
    args_free(&a);
    return status;
}

static const m2m_option rows[] = {
    {.name = "no_sums", .type = M2M_OPTION_FLAG, .max = 1, .offset = offsetof(settings, no_sums),
     .help = "leave out the SHA-256 sums, which take seconds per GiB"},
    {0},
};

const command command_info = {
    .name = "info",
    .synopsis = "[MODEL|FILE.safetensors] [--no-sums]",
    .purpose = "what is in a model: architecture, sizes, every tensor accounted for",
    .text = "MODEL is a directory in diffusers' layout; left out, the embedded model. FILE may be a\n"
            "single-file Stable Diffusion 1 or 2 checkpoint: it is told as its components. Tensors that are missing,\n"
            "unknown or of another shape than the configuration says are an error that names them.\n"
            "\n"
            "Example:\n"
            "  m2m info models/m2m-self-64",
    .rows = rows,
    .most = 1,
    .run = run,
};
