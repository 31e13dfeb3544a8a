/* m2m init: a model directory for training to start from. */
#include "commands.h"
#include "show.h"

#include <stddef.h>

typedef struct settings {
    const char *from, *o;
} settings;

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    m2m_init_options options;
    args a;
    int status = args_parse(c, argc, argv, &s, &options, &a);
    if (status == RUN && (!args_require(c, &a, "from") || !args_require(c, &a, "o"))) status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        show *shown = show_new();
        m2m_calls calls = show_calls(shown);
        int failed = m2m_init(s.from, s.o, &options, &calls, &err);
        show_free(&shown);
        status = failed ? say_error(&err) : EXIT_SUCCESS;
    }
    args_free(&a);
    return status;
}

static const m2m_option rows[] = {
    {.name = "from", .type = ARG_DIR, .offset = offsetof(settings, from),
     .help = "text-to-image directory in diffusers' layout, or a single-file checkpoint (.safetensors)"},
    {.name = "o", .type = ARG_DIR, .offset = offsetof(settings, o), .help = "the new directory"},
    {0},
};

const command command_init = {
    .name = "init",
    .synopsis = "--from DIR|FILE -o DIR [options]",
    .purpose = "an M2M model directory from Stable Diffusion's weights, to start training from",
    .text = "U-Net and VAE are kept, but for the U-Net's attn2, which becomes the set attention and starts from\n"
            "scratch. Of a single-file checkpoint the averaged weights (model_ema.) are taken where it\n"
            "has them.\n"
            "\n"
            "Example:\n"
            "  m2m init --from stable-diffusion-2-1-base -o m2m-start && m2m info m2m-start",
    .rows = rows,
    .table = "init",
    .run = run,
};
