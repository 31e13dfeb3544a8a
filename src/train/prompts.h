/* Captions to the states that a text-to-image U-Net learns to attend to, through a frozen tokenizer and text tower. */
#ifndef TRAIN_PROMPTS_H
#define TRAIN_PROMPTS_H

#include "data/set.h"
#include "models/text_states.h"
#include "text/tokenizer.h"

typedef struct prompts {
    text_model model;
    tokenizer *tokenizer;
    char *folder;            /* the tokenizer's */
    int length;              /* T: tokens of a text as generation takes it */
    int rows;                /* texts at a time */
    int32_t *ids;            /* [rows, T] */
    text_states *encoder;
} prompts;

/* dir: text_encoder/ and tokenizer/ of a pipeline, or a CLIP as m2m train leaves it. Closed also after a failure. */
int prompts_open(prompts *p, const char *dir, m2m_error *err);
int prompts_prepare(prompts *p, backend *be, int rows, m2m_error *err);
void prompts_close(prompts *p);
size_t prompts_bytes(const prompts *p);

/* Has every set a caption that can be encoded? *hash becomes one of all captions. Errors name the set. */
int prompts_check(const prompts *p, const dataset *d, uint64_t *hash, m2m_error *err);

/* out [rows, T,D]: states of texts [n], n <= rows, and of "" behind them. */
int prompts_states(prompts *p, const char *const *texts, int n, float *out, m2m_error *err);

#endif
