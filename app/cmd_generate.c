/* m2m generate: the main job. Everything that can be refused is refused before the long work; each finished image is
 * written at once, so that stopping or failing loses nothing that was done. */
#include "commands.h"
#include "outdir.h"
#include "recommended.h"
#include "show.h"
#include "stop.h"

#include "base/file.h"
#include "base/memory.h"

#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>

typedef struct settings {
    words i;
    const char *o;
} settings;

typedef struct job {
    settings own;
    m2m_generate_options options;
    m2m_model *model;
    m2m_image *given, *made;
    int n_given, n_made;
    show *show;
    m2m_error err;           /* of a callback; why it asked to stop */
} job;

static const m2m_option rows[] = {
    {.name = "i", .type = ARG_WORDS, .offset = offsetof(settings, i), .choices = "FILE",
     .help = "a given image (PNG, JPEG, WebP); repeat it for each image of the set, in order"},
    {.name = "o", .type = ARG_DIR, .offset = offsetof(settings, o),
     .help = "where 000.png, 001.png, … and contact_sheet.png go; made if it is not there"},
    {0},
};

static int plan(void *user, int64_t bytes, int64_t context_bytes)
{
    job *j = user;
    char all[TEXT_SIZE], context[TEXT_SIZE];
    bytes_text(bytes, all, sizeof all);
    bytes_text(context_bytes, context, sizeof context);
    if (context_bytes) show_line(j->show, "memory: at most %s; each context image takes %s of it", all, context);
    else show_line(j->show, "memory: at most %s", all);
    show_progress(j->show, "denoising", 0, j->options.n * j->options.steps);
    return stop_asked();
}

static int step(void *user, int image, int done, int steps)
{
    job *j = user;
    show_progress(j->show, "denoising", (int64_t)image * steps + done, j->options.n * steps);
    return stop_asked();
}

typedef char file_path[PATH_MAX + 32];

static void image_path(const job *j, int index, file_path path)
{
    int digits = snprintf(NULL, 0, "%d", (int)j->options.n - 1);
    snprintf(path, sizeof(file_path), "%s/%0*d.png", j->own.o, digits < 3 ? 3 : digits, index);
}

static int save_image(void *user, int index, const m2m_image *img)
{
    job *j = user;
    file_path path;
    image_path(j, index, path);
    m2m_text texts[2] = {{0}};
    int failed = m2m_generate_texts(j->model, j->given, j->n_given, &j->options, index, j->made, texts, &j->err);
    if (!failed) failed = m2m_image_save(img, path, texts, 2, &j->err);
    m2m_text_free(texts, 2);
    if (!failed) j->n_made = index + 1;
    return failed || stop_asked();
}

/* All images in one picture, about as wide as high. */
static int save_sheet(job *j)
{
    file_path path;
    snprintf(path, sizeof path, "%s/contact_sheet.png", j->own.o);
    int columns = (int)ceil(sqrt(j->n_given + j->n_made));
    m2m_image sheet = {0};
    m2m_error err;
    int failed = m2m_contact_sheet(&sheet, j->given, j->n_given, j->made, j->n_made, columns < 4 ? 4 : columns, &err);
    if (!failed) failed = m2m_image_save(&sheet, path, NULL, 0, &err);
    m2m_image_free(&sheet);
    return failed ? say_error(&err) : EXIT_SUCCESS;
}

static bool consistent(const command *c, const args *a, const job *j)
{
    struct stat st;
    const char *model = a->plain.count ? a->plain.items[0] : NULL;
    if (model && !stat(model, &st) && !S_ISDIR(st.st_mode) && !path_ends(model, ".safetensors")) {
        say_usage(c, "%.200s: is a file, wanted a model; each image needs its own -i", model);
        return false;
    }
    static const char *const pairs[][2] = {
        {"latents", "i"}, {"latents", "prompt"}, {"i", "prompt"}, {"noise", "seed"}, {"camera", "position"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!args_exclude(c, a, pairs[i][0], pairs[i][1])) return false;
    }
    if (!args_require(c, a, "o")) return false;
    if (!j->own.i.count && !j->options.latents && !j->options.prompt) {
        say_usage(c, "no image is given: wanted -i IMAGE, once or more (or --prompt TEXT)");
        return false;
    }
    if (j->options.negative_prompt && !j->options.prompt) {
        say_usage(c, "--negative-prompt needs --prompt");
        return false;
    }
    return true;
}

static int load_images(job *j, m2m_error *err)
{
    j->given = calloc((size_t)j->own.i.count + 1, sizeof *j->given);
    if (!j->given) return fail(err, M2M_ENOMEM, "no memory for %d images", j->own.i.count);
    for (; j->n_given < j->own.i.count; j->n_given++) {
        int failed = m2m_image_load(&j->given[j->n_given], j->own.i.items[j->n_given], err);
        if (failed) return failed;
    }
    return 0;
}

/* What the user should know before waiting: which model, and what becomes of the given images' sizes. */
static void tell(job *j)
{
    m2m_model_facts facts;
    m2m_model_get_facts(j->model, &facts);
    int width = facts.width, height = facts.height;
    if (j->options.size) sscanf(j->options.size, "%dx%d", &width, &height);
    show_line(j->show, "model: %s (%s, %.1f M parameters)", facts.dir, facts.kind, (double)facts.parameters / 1e6);
    for (int i = 0; i < j->n_given; i++) {
        const m2m_image *g = &j->given[i];
        if (g->width == width && g->height == height) continue;
        show_line(j->show, "fit: %s is %dx%d and becomes %dx%d by --fit %s%s", j->own.i.items[i], g->width,
                  g->height, width, height, j->options.fit, j->n_given > 1 ? ", others likewise" : "");
        break;
    }
}

static int generate(job *j, const command *c, const args *a, m2m_error *err)
{
    const char *model = a->plain.count ? a->plain.items[0] : NULL;
    int failed = load_images(j, err);
    if (!failed && j->options.save_latents) failed = outfile_check(j->options.save_latents, err);
    if (!failed) failed = m2m_model_open(&j->model, model, err);
    if (failed) return failed;
    recommended_take(c, a, j->model, &j->options);
    j->made = calloc((size_t)j->options.n, sizeof *j->made);
    if (!j->made) return fail(err, M2M_ENOMEM, "no memory for %d images", (int)j->options.n);
    tell(j);
    m2m_generate_calls calls = {.user = j, .plan = plan, .step = step, .image = save_image};
    failed = m2m_generate(j->model, j->given, j->n_given, &j->options, &calls, j->made, err);
    if (failed == M2M_ECANCELLED && j->err.code) *err = j->err;
    return failed;
}

/* Reports how it ended; returns the exit status. */
static int finish(job *j, int failed, const m2m_error *err, double seconds)
{
    bool stopped = failed == M2M_ECANCELLED && !j->err.code && stop_asked();
    if (failed && !stopped) return say_error(err);
    if (j->n_made && save_sheet(j)) return EXIT_FAILURE;
    if (!stopped) {
        char took[TEXT_SIZE];
        duration_text(seconds, took, sizeof took);
        file_path next;
        image_path(j, j->n_made, next);
        if (file_exists(next)) printf("%s and what follows it is of an earlier run, and stays\n", next);
        printf("%d image%s in %s: %s/contact_sheet.png\n", j->n_made, j->n_made == 1 ? "" : "s", took, j->own.o);
        return EXIT_SUCCESS;
    }
    m2m_error told;
    fail(&told, M2M_ECANCELLED, "stopped: %d of %d images are in %s", j->n_made, (int)j->options.n, j->own.o);
    say_error(&told);
    return EXIT_STOPPED;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void job_free(job *j)
{
    for (int i = 0; i < j->n_given; i++) m2m_image_free(&j->given[i]);
    for (int i = 0; j->made && i < (int)j->options.n; i++) m2m_image_free(&j->made[i]);
    free(j->given);
    free(j->made);
    m2m_model_close(&j->model);
    words_free(&j->own.i);
}

static int run(const command *c, int argc, char **argv)
{
    job j = {0};
    args a;
    int status = args_parse(c, argc, argv, &j.own, &j.options, &a);
    if (status == RUN && !consistent(c, &a, &j)) status = EXIT_USAGE;
    if (status == RUN) {
        double start = now();
        m2m_error err = {0};
        outdir out;
        stop_listen();
        j.show = show_new();
        int failed = outdir_open(&out, j.own.o, &err);
        if (!failed) {
            failed = generate(&j, c, &a, &err);
            if (failed) outdir_undo(&out);
        }
        show_free(&j.show);
        status = finish(&j, failed, &err, now() - start);
    }
    job_free(&j);
    args_free(&a);
    return status;
}

const command command_generate = {
    .name = "generate",
    .synopsis = "[MODEL] -i IMAGE [-i IMAGE …] -o DIR [options], or MODEL --prompt TEXT -o DIR [options]",
    .purpose = "make more images of the set that the given images belong to",
    .text = "MODEL is a directory in diffusers' layout; left out, the embedded model is used. Images are made one\n"
            "after another, each looking at the last --window images before it, given or made. Each is written when\n"
            "it is done, with a record of how it was made; Ctrl-C keeps what is finished. A text-to-image directory\n"
            "(StableDiffusionPipeline) takes --prompt in the place of images; of a long one it sees the first 77\n"
            "tokens.\n"
            "\n"
            "Examples:\n"
            "  m2m generate -i cat.png -i dog.png -i fox.png -n 8 -o out\n"
            "  m2m generate -i cat.png -o out --seed 7 --steps 25 --guidance 5\n"
            "  m2m generate models/mine -i photo.jpg --size 64x64 --fit crop -o out\n"
            "  m2m generate stable-diffusion-2-1-base --prompt 'a red fox in the snow' --scheduler euler -n 1 -o out\n"
            "\n"
            "Exact replay: --save-latents keeps what was made; --latents and --noise put tensors in the place of\n"
            "images and seed, to compare with another program.",
    .rows = rows,
    .table = "generate",
    .most = 1,
    .run = run,
};
