/* m2m eval: how good are images? */
#include "commands.h"

static const command *const children[] = {&command_eval_sets, NULL};

const command command_eval = {
    .name = "eval",
    .synopsis = "COMMAND …",
    .purpose = "score images and models",
    .text = "`m2m eval COMMAND --help` tells more.",
    .children = children,
};
