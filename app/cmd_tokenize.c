/* m2m tokenize: what a text encoder is given for each line of a file. */
#include "commands.h"

#include "m2m_train.h"

typedef struct settings {
    int64_t padded;
} settings;

static void line(void *user, const char *text)
{
    (void)user;
    puts(text);
}

static int run(const command *c, int argc, char **argv)
{
    settings s;
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN) {
        m2m_error err = {0};
        m2m_calls calls = {.line = line};
        bool failed = m2m_tokenize(a.plain.items[0], a.plain.items[1], (int)s.padded, &calls, &err) != 0;
        status = failed ? say_error(&err) : EXIT_SUCCESS;
    }
    args_free(&a);
    return status;
}

static const m2m_option rows[] = {
    {.name = "padded", .type = M2M_OPTION_FLAG, .offset = offsetof(settings, padded), .max = 1,
     .help = "cut and pad to the tokenizer's model_max_length, as the text encoder gets it"},
    {0},
};

const command command_tokenize = {
    .name = "tokenize",
    .synopsis = "DIR FILE [--padded]",
    .purpose = "token ids of each line of a file, as CLIP's tokenizer makes them",
    .text = "DIR is a model directory with a tokenizer/ in it, or a tokenizer's own folder. Prints one JSON array\n"
            "of ids for each line of FILE, start and end token included, however long the line is.\n"
            "\n"
            "Example:\n"
            "  m2m tokenize stable-diffusion-2-1-base captions.txt",
    .rows = rows,
    .most = 2,
    .least = 2,
    .run = run,
};
