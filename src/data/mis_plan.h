/* Which captions become image sets, and in which shards: found by one pass over the captions, kept in OUT/mis.json, the
 * same for every run and rank that works on OUT.
 *
 * A caption is used when it has at most max_tokens tokens. Its id is its row in the file. Its split goes by its text
 * alone: u = the first 8 bytes of its SHA-256, big-endian, over 2^64; test if u < test, validation if u < test +
 * validation, else train. So equal captions are never in two splits. Each split's captions fill its shards in order. */
#ifndef DATA_MIS_PLAN_H
#define DATA_MIS_PLAN_H

#include "base/str.h"
#include "data/captions.h"
#include "m2m_train.h"

#include <cjson/cJSON.h>

typedef enum mis_split { MIS_TRAIN, MIS_VALIDATION, MIS_TEST, MIS_SPLITS } mis_split;
const char *mis_split_name(mis_split s);       /* "train"; the folder's name too */

typedef struct mis_shard {
    mis_split split;
    int number;                /* within its split: train/mis-00003.tar is 3 */
    int sets;
    int64_t row, offset;       /* of its first caption */
    char hash[17];             /* of its captions, each with a newline: first 16 digits of SHA-256 */
} mis_shard;

typedef struct mis_plan {
    int64_t rows;                          /* lines read */
    int64_t states[CAPTION_STATES];        /* of them; the good ones are those used and those over long */
    int64_t over_long, used;
    int64_t sets[MIS_SPLITS];
    mis_shard *shards;                     /* train's, validation's, test's */
    int n, room;
} mis_plan;

typedef struct mis_filter {
    /* Tokens of a caption, start and end included; negative: no memory. Any thread. */
    int (*tokens)(const void *user, const char *caption);
    const void *user;
    int max_tokens;
    double validation, test;
    int64_t limit;             /* captions to use; 0: all */
    int shard;                 /* sets of a shard */
    int threads;
} mis_filter;

/* Reads all captions. Progress counts bytes. Errors: those of captions.h; M2M_EFORMAT when none can be used;
 * M2M_ENOMEM; M2M_ECANCELLED. *p is to be freed in any case. */
int mis_plan_make(mis_plan *p, caption_file *c, const mis_filter *f, const m2m_calls *calls, m2m_error *err);
void mis_plan_free(mis_plan *p);

/* The captions of a shard, in order; text holds them one after another, each ended by 0. */
typedef struct mis_captions {
    int n;
    int64_t *rows;             /* [n], the ids */
    const char **texts;        /* [n], into arena */
    str arena;
} mis_captions;

/* Errors: M2M_EFORMAT when they are no longer those that the plan was made from. *m is to be freed in any case. */
int mis_captions_read(mis_captions *m, caption_file *c, const mis_filter *f, const mis_shard *s, m2m_error *err);
void mis_captions_free(mis_captions *m);

/* The plan as a file. settings: an object of numbers, texts and flags that decide what the sets are. Loading compares
 * it, and the size of the captions' file, with those of the file and refuses differences by name (M2M_EINVAL). */
int mis_plan_save(const mis_plan *p, const cJSON *settings, const char *captions_path, const char *path,
                  m2m_error *err);
int mis_plan_load(mis_plan *p, const cJSON *settings, const char *captions_path, const char *path, m2m_error *err);

#endif
