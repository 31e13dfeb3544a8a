/* The program: finds the command in the table and runs it. */
#include "commands.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static const command *const commands[] = {
    &command_generate, &command_forward, &command_optimize, &command_preprocess, &command_tokenize,
    &command_init, &command_train, &command_info, &command_bench, &command_data, &command_eval, &command_metrics,
    NULL,
};

static void help(FILE *f)
{
    fputs("m2m: given a set of images, make more images of the same set\n"
          "\n"
          "Usage: m2m COMMAND …\n"
          "\n"
          "Example: eight new images of the set that four given ones belong to, and out/contact_sheet.png with all\n"
          "  m2m generate -i a.png -i b.png -i c.png -i d.png -n 8 -o out\n"
          "\n"
          "Commands:\n", f);
    for (int i = 0; commands[i]; i++) fprintf(f, "  %-12s %s\n", commands[i]->name, commands[i]->purpose);
    fputs("\n"
          "  m2m COMMAND --help   its options with defaults and ranges\n"
          "  m2m --version        version, compiler, libraries\n"
          "\n"
          "Exit status: 0 success, 1 failure, 2 bad arguments (both with one line on stderr), 130 stopped by Ctrl-C.\n",
          f);
}

static const command *find(const command *const *list, const char *name)
{
    for (; *list; list++) {
        // A subcommand's name is that of its parent, a space, and its own.
        const char *own = strrchr((*list)->name, ' ');
        if (!strcmp(own ? own + 1 : (*list)->name, name)) return *list;
    }
    return NULL;
}

static int unknown(const command *parent, const command *const *list, const char *name)
{
    m2m_option rows[16];
    m2m_option_table names = {"commands", rows, 0};
    for (; list[names.count]; names.count++) {
        const char *space = strrchr(list[names.count]->name, ' ');
        rows[names.count] = (m2m_option){.name = space ? space + 1 : list[names.count]->name};
    }
    const char *nearest = opts_nearest(&names, name);
    if (nearest) return say_usage(parent, "%.100s: unknown command; did you mean %s?", name, nearest);
    return say_usage(parent, "%.100s: unknown command", name);
}

static bool is_help(const char *arg)
{
    return !strcmp(arg, "--help") || !strcmp(arg, "-h") || !strcmp(arg, "help");
}

/* Goes down the tree of commands as far as argv names one, then runs it or prints its help. */
static int dispatch(const command *const *list, const command *parent, bool only_help, int argc, char **argv)
{
    if (argc == 0) {
        if (parent) help_command(parent, stdout);
        else help(stdout);
        return only_help ? EXIT_SUCCESS : say_usage(parent, "no command given");
    }
    if (is_help(argv[0])) return dispatch(list, parent, true, argc - 1, argv + 1);
    const command *c = find(list, argv[0]);
    if (!c) return unknown(parent, list, argv[0]);
    if (c->children) return dispatch(c->children, c, only_help, argc - 1, argv + 1);
    if (!only_help) return c->run(c, argc - 1, argv + 1);
    help_command(c, stdout);
    return EXIT_SUCCESS;
}

static void version(void)
{
    char text[512];
    printf("m2m %s\n%s\n", m2m_version(), m2m_build_text(text, sizeof text));
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); // a limit on file size becomes an error like a full disk, not a death
    int status = EXIT_SUCCESS;
    bool option = argc > 1 && argv[1][0] == '-' && !is_help(argv[1]);
    if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version"))) version();
    else if (option) status = say_usage(NULL, "%.100s: no such option", argv[1]);
    else status = dispatch(commands, NULL, false, argc - 1, argv + 1);
    if ((fflush(stdout) || ferror(stdout)) && status == EXIT_SUCCESS) {
        fprintf(stderr, "m2m: standard output: %s\n", strerror(errno));
        status = EXIT_FAILURE;
    }
    return status;
}
