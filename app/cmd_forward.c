/* m2m forward and m2m optimize: one component of a model on given tensors, so that a port or a conversion can be
 * checked. */
#include "commands.h"
#include "outdir.h"

typedef struct settings {
    const char *component, *in, *out, *device;
    int64_t backward, exact, fast, int8, threads;
    double lr;
} settings;

#define ROW(type_, field, ...) {.name = #field, .type = type_, .offset = offsetof(settings, field), __VA_ARGS__}
#define COMPONENTS "unet|vae|vae_encoder|vae_decoder|text_encoder|image_encoder|m2m|clip|inception"
#define IN_ROW ROW(ARG_FILE, in, .help = "safetensors with the inputs, under diffusers' argument names")
#define OUT_ROW ROW(ARG_FILE, out, .help = "safetensors for the results")
#define DEVICE_ROW ROW(M2M_OPTION_TEXT, device, .default_text = "cpu", .help = "cpu or cuda[:n]")
#define THREADS_ROW ROW(M2M_OPTION_INT, threads, .max = 1024, .help = "0: as many as the machine and its quota allow")

static const m2m_option forward_rows[] = {
    ROW(M2M_OPTION_TEXT, component, .choices = COMPONENTS, .help = "what is run"),
    IN_ROW,
    OUT_ROW,
    ROW(M2M_OPTION_FLAG, backward, .max = 1, .help = "also `loss` and grad.NAME of every trainable parameter"),
    ROW(M2M_OPTION_FLAG, exact, .max = 1, .help = "no Winograd convolutions"),
    ROW(M2M_OPTION_FLAG, fast, .max = 1, .help = "products of 16-bit integers, as m2m generate --fast"),
    ROW(M2M_OPTION_FLAG, int8, .max = 1, .help = "linear layers of 8-bit integers, as m2m generate --int8"),
    DEVICE_ROW,
    THREADS_ROW,
    {0},
};

static const m2m_option optimize_rows[] = {
    IN_ROW,
    OUT_ROW,
    ROW(M2M_OPTION_REAL, lr, .default_number = 1e-5, .max = 1, .help = "learning rate"),
    DEVICE_ROW,
    THREADS_ROW,
    {0},
};

static int run_forward(const char *dir, const settings *s, m2m_error *err)
{
    return m2m_forward(dir, s->component, s->in, s->out, (int)s->backward, (int)s->exact, (int)s->fast, (int)s->int8,
                       s->device, (int)s->threads, err);
}

static int run_optimize(const char *dir, const settings *s, m2m_error *err)
{
    return m2m_optimize(dir, s->in, s->out, s->lr, s->device, (int)s->threads, err);
}

static int run(const command *c, int argc, char **argv)
{
    bool forward = c == &command_forward;
    settings s = {0};
    args a;
    int status = args_parse(c, argc, argv, &s, NULL, &a);
    if (status == RUN && ((forward && !args_require(c, &a, "component")) || !args_require(c, &a, "in") ||
                          !args_require(c, &a, "out")))
        status = EXIT_USAGE;
    if (status == RUN) {
        m2m_error err = {0};
        int failed = outfile_check(s.out, &err);
        if (!failed) failed = (forward ? run_forward : run_optimize)(a.plain.items[0], &s, &err);
        status = failed ? say_error(&err) : EXIT_SUCCESS;
    }
    args_free(&a);
    return status;
}

const command command_forward = {
    .name = "forward",
    .synopsis = "DIR --component NAME --in X.safetensors --out Y.safetensors [options]",
    .purpose = "run one component of a model on given tensors: checks a port or a conversion",
    .text = "Inputs by component:\n"
            "  unet                         sample, timestep, encoder_hidden_states\n"
            "  vae_encoder vae_decoder vae  sample\n"
            "  image_encoder                pixel_values [B,3,H,W]\n"
            "  clip                         pixel_values and input_ids [B,L], or one of them: CLIPModel's directory\n"
            "  inception                    pixel_values [B,3,299,299] in [-1,1]\n"
            "  m2m                          clean [S,N,C,H,W] or (M2M-DINO) features [S,N,L,D], noisy [S,N,C,H,W],\n"
            "                               timesteps [S] or [S,N], dropped [S], condition [S,N,12 or 1]\n"
            "With --backward also noise, the target; for m2m, noisy is then made from clean, noise and timesteps if\n"
            "it is absent.\n"
            "Outputs: sample, moments, last_hidden_state, features, logits, logits_unbiased, image_embeds and\n"
            "text_embeds (unit vectors); with --backward also loss and grad.NAME.\n"
            "\n"
            "Example:\n"
            "  m2m forward models/m2m-self-64/unet --component m2m --in x.safetensors --out y.safetensors --backward",
    .rows = forward_rows,
    .most = 1,
    .least = 1,
    .run = run,
};

const command command_optimize = {
    .name = "optimize",
    .synopsis = "DIR --in X.safetensors --out Y.safetensors [options]",
    .purpose = "AdamW and EMA steps on given batches: checks training against another program's",
    .text = "Inputs as of `m2m forward --component m2m --backward`, each with a leading T: T steps are made.\n"
            "Outputs: losses [T], and param.NAME and ema.NAME after the last step.\n"
            "\n"
            "Example:\n"
            "  m2m optimize models/m2m-self-64 --in x.safetensors --out y.safetensors --lr 1e-3",
    .rows = optimize_rows,
    .most = 1,
    .least = 1,
    .run = run,
};
