/* m2m eval: how good are images? */
#include "commands.h"

static const command *const children[] = {&command_eval_sets, &command_eval_fid,  &command_eval_kid,
                                          &command_eval_is,   &command_eval_prdc, &command_eval_clip,
                                          &command_eval_dino, NULL};

const command command_eval = {
    .name = "eval",
    .synopsis = "COMMAND …",
    .purpose = "score images and models",
    .text = "`m2m eval COMMAND --help` tells more.",
    .children = children,
};
