/* CLIP's tokenizer: the ids of transformers' CLIPTokenizer 5.x, which cleans texts otherwise than OpenAI's and
 * OpenCLIP's: HTML entities and quotes stay. A text becomes the start token, its words' tokens, and the end token.
 *
 * Immutable when open: any thread may use it. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/vocabulary.h"

typedef struct tokenizer tokenizer;

enum { TOKENIZER_TEXT = 256 << 10 };    /* most bytes of one text */

/* dir: the tokenizer's folder (of a pipeline: tokenizer_dir(dir)), with vocab.json and merges.txt or
 * tokenizer.json, and what there is of tokenizer_config.json, special_tokens_map.json and added_tokens.json. Errors
 * name the file. */
int tokenizer_open(tokenizer **t, const char *dir, m2m_error *err);
void tokenizer_close(tokenizer **t);

/* Appends all ids of text[0..n-1], start and end included, however many there are. Errors: M2M_EFORMAT (not UTF-8),
 * M2M_EINVAL (longer than TOKENIZER_TEXT), M2M_ENOMEM; *out is then to be freed all the same. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t n, tokens *out, m2m_error *err);
/* How many ids those are, or a negative M2M_E…. */
int tokenizer_count(const tokenizer *t, const char *text, size_t n, m2m_error *err);
/* Exactly `length` ids (at least 2), as a text encoder takes them: what is too much is cut off before the end token,
 * what is missing are pad tokens after it. */
int tokenizer_encode_padded(const tokenizer *t, const char *text, size_t n, int32_t *ids, int length, m2m_error *err);

int tokenizer_max_length(const tokenizer *t);    /* model_max_length; 0: the files tell none */
int32_t tokenizer_start_id(const tokenizer *t);
int32_t tokenizer_end_id(const tokenizer *t);
int32_t tokenizer_pad_id(const tokenizer *t);

#endif
