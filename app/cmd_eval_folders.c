/* m2m eval fid, kid, is, prdc, clip, dino: scores of any folders. */
#include "commands.h"
#include "outdir.h"
#include "show.h"
#include "stop.h"

#include <string.h>

/* Options that every metric takes. */
#define SHARED "json exact fast int8 device threads batch "

static bool is_word_of(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && at[n] == ' ') return true;
    return false;
}

static int work(const char *metric, const args *a, const m2m_eval_options *o, m2m_error *err)
{
    int failed = o->json ? outfile_check(o->json, err) : 0;
    if (!failed && o->save_stats) failed = outfile_check(o->save_stats, err);
    if (failed) return failed;
    show *shown = show_new();
    m2m_calls calls = show_calls(shown);
    stop_listen();
    failed = m2m_eval(metric, a->plain.items[0], a->plain.count > 1 ? a->plain.items[1] : NULL, o, &calls, err);
    show_free(&shown);
    return failed;
}

/* fitting: the options that go with this metric, a space after each. */
static int run(const command *c, int argc, char **argv, const char *fitting)
{
    m2m_eval_options o;
    args a;
    int status = args_parse(c, argc, argv, NULL, &o, &a);
    for (int i = 0; i < a.given.count && status == RUN; i++)
        if (!is_word_of(fitting, a.given.items[i]))
            status = say_usage(c, "--%s does not go with %s", a.given.items[i], c->name);
    if (status == RUN) {
        m2m_error err = {0};
        const int failed = work(strchr(c->name, ' ') + 1, &a, &o, &err);
        status = failed ? say_error(&err) : EXIT_SUCCESS;
        if (failed == M2M_ECANCELLED && stop_asked()) status = EXIT_STOPPED;
    }
    args_free(&a);
    return status;
}

/* A metric: its command and which options go with it. */
#define METRIC(name_, words, least_, most_, synopsis_, purpose_, text_)                                                \
    static int run_##name_(const command *c, int argc, char **argv) { return run(c, argc, argv, SHARED words " "); }   \
    const command command_eval_##name_ = {.name = "eval " #name_, .synopsis = synopsis_, .purpose = purpose_,          \
                                          .text = text_, .table = "eval", .most = most_, .least = least_,              \
                                          .run = run_##name_}

#define FOLDER "a folder of images (not those of folders in it), or of WebDataset shards (.tar)"

METRIC(fid, "inception clip dino features resize save_stats", 1, 2, "A B --inception FOLDER [options]",
       "Frechet inception distance between two folders",
       "A and B: each " FOLDER ", or statistics\n"
       "(.npz with mu and sigma, as pytorch-fid and clean-fid keep them). Memory does not grow with the images. The\n"
       "result names the way of resizing, the weights and the bad images; told with --clip or --dino it is a Frechet\n"
       "distance, but no FID.\n"
       "\n"
       "Examples:\n"
       "  m2m eval fid real made --inception inception --json fid.json\n"
       "  m2m eval fid real --save-stats real.npz --inception inception --resize clean-fid");

METRIC(kid, "inception clip dino features resize subsets subset_size seed", 2, 2, "A B --inception FOLDER [options]",
       "kernel inception distance between two folders, with its standard error",
       "A and B: each " FOLDER ".\n"
       "kid is the unbiased estimate over all images, kid_standard_error from leaving one out; kid_subsets_… are\n"
       "over random subsets, as the peers tell it.\n"
       "\n"
       "Example:\n"
       "  m2m eval kid real made --inception inception");

METRIC(is, "inception resize splits seed", 1, 1, "A --inception FOLDER [options]", "inception score of a folder",
       "A: " FOLDER ".\n"
       "Images are shuffled, then cut into parts, as torch-fidelity does it.\n"
       "\n"
       "Example:\n"
       "  m2m eval is made --inception inception --resize torch-fidelity");

METRIC(prdc, "inception clip dino features resize neighbours", 2, 2, "REAL MADE --inception FOLDER [options]",
       "precision, recall, density and coverage",
       "REAL and MADE: each " FOLDER ".\n"
       "\n"
       "Example:\n"
       "  m2m eval prdc real made --inception inception");

METRIC(clip, "clip captions", 1, 2, "A [B] --clip FOLDER [options]",
       "CLIP score of images and captions, or of pairs of images",
       "A alone: " FOLDER ",\n"
       "with captions: KEY.txt beside KEY.png, or --captions. With B: images of the same name are compared.\n"
       "Scores are 100 times the cosine, averaged.\n"
       "\n"
       "Examples:\n"
       "  m2m eval clip made --clip clip-vit-large-patch14\n"
       "  m2m eval clip made given --clip clip-vit-large-patch14");

METRIC(dino, "dino", 2, 2, "A B --dino FOLDER [options]", "likeness of pairs of images by DINOv2's class token",
       "A and B: each " FOLDER ".\n"
       "Images of the same name are compared. The score is 100 times the cosine, averaged.\n"
       "\n"
       "Example:\n"
       "  m2m eval dino made given --dino dinov2-base");
