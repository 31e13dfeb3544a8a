/* A byte-level BPE vocabulary in CLIP's form (transformers' CLIPTokenizer): every word ends in a symbol with "</w>".
 * Read from tokenizer.json, or else vocab.json and merges.txt. Immutable when open: any thread. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/json.h"

/* Ids that grow; a failure to grow sticks, as in str. */
typedef struct tokens {
    int32_t *id;             /* owned */
    int count, room;
    bool failed;
} tokens;

void tokens_add(tokens *t, int32_t id);
void tokens_free(tokens *t);

typedef struct vocabulary vocabulary;

/* dir: the tokenizer's folder. Errors: M2M_EIO, M2M_EFORMAT name the file. */
int vocabulary_open(vocabulary **v, const char *dir, m2m_error *err);
void vocabulary_close(vocabulary **v);
int vocabulary_size(const vocabulary *v);                      /* entries */
int32_t vocabulary_find(const vocabulary *v, const char *token);   /* -1: not there */
/* "added_tokens" of tokenizer.json; NULL where there is no such file. */
const cJSON *vocabulary_added(const vocabulary *v);

/* Appends the ids of one word of n >= 1 bytes; a symbol that is not in the vocabulary becomes `unknown`. */
void vocabulary_encode(const vocabulary *v, const char *word, size_t n, int32_t unknown, tokens *out);

#endif
