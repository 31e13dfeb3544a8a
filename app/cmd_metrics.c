/* m2m metrics: the arithmetic of FID, KID and the inception score on given features, so that it can be checked. */
#include "commands.h"
#include "show.h"

typedef struct settings {
    const char *in;
} settings;

static const m2m_option rows[] = {
    {.name = "in", .type = ARG_FILE, .offset = offsetof(settings, in),
     .help = "safetensors with features_a [N,D] and features_b [M,D], or logits [N,C], or all three"},
    {0},
};

static int run(const command *c, int argc, char **argv)
{
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN && !args_require(c, &a, "in")) status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        m2m_calls calls = show_calls(NULL);
        status = m2m_metrics(s.in, &calls, &err) ? say_error(&err) : EXIT_SUCCESS;
    }
    args_free(&a);
    return status;
}

const command command_metrics = {
    .name = "metrics",
    .synopsis = "--in X.safetensors",
    .purpose = "FID, KID and inception score of given features: checks the arithmetic",
    .text = "Prints one JSON object. From features_a and features_b:\n"
            "  fid                   Fréchet distance; covariances divide by N-1\n"
            "  kid                   unbiased squared MMD over all rows, kernel (x.y/D + 1)^3: what torch-fidelity\n"
            "                        and torchmetrics give for subsets of all rows\n"
            "From logits, in 10 consecutive parts, not shuffled:\n"
            "  inception_score_mean, inception_score_std (divided by 10)\n"
            "\n"
            "Example:\n"
            "  m2m metrics --in features.safetensors",
    .rows = rows,
    .run = run,
};
