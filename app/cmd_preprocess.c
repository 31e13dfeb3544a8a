/* m2m preprocess: the pixels that an encoder is shown for an image, so that a port or a conversion can be checked. */
#include "commands.h"
#include "outdir.h"

typedef struct settings {
    const char *component, *out;
} settings;

static const m2m_option rows[] = {
    {.name = "component", .type = M2M_OPTION_TEXT, .offset = offsetof(settings, component),
     .choices = "image_encoder|clip", .help = "whose preprocessor"},
    {.name = "out", .type = ARG_FILE, .offset = offsetof(settings, out), .help = "safetensors for pixel_values"},
    {0},
};

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN && (!args_require(c, &a, "component") || !args_require(c, &a, "out"))) status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        int failed = outfile_check(s.out, &err);
        if (!failed) failed = m2m_preprocess(a.plain.items[0], s.component, a.plain.items[1], s.out, &err);
        status = failed ? say_error(&err) : EXIT_SUCCESS;
    }
    args_free(&a);
    return status;
}

const command command_preprocess = {
    .name = "preprocess",
    .synopsis = "DIR --component NAME --out Y.safetensors IMAGE",
    .purpose = "what an encoder is shown for an image: checks a port or a conversion",
    .text = "DIR is a model directory or a component's folder; its preprocessor_config.json says what is done.\n"
            "Resizing and cropping are those of transformers' image processors in their PIL versions.\n"
            "Output: pixel_values [1,3,H,W].\n"
            "\n"
            "Example:\n"
            "  m2m preprocess models/m2m-dino --component image_encoder --out y.safetensors cat.png",
    .rows = rows,
    .most = 2,
    .least = 2,
    .run = run,
};
