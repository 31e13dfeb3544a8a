/* The commands of the program: each is one file, and one row of the table in main.c. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "args.h"

#include <stdio.h>
#include <stdlib.h>

extern const command command_generate, command_forward, command_optimize, command_preprocess, command_train,
    command_info, command_bench, command_data, command_init, command_metrics, command_tokenize, command_eval,
    command_eval_sets, command_eval_fid, command_eval_kid, command_eval_is, command_eval_prdc, command_eval_clip,
    command_eval_dino;

#endif
