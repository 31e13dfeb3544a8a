/* What is wrong with a data set: counted by kind, listed one by one, told to the user as it is found.
 *
 * Owned by one thread; workers fill lists of their own, which problems_take joins in order. */
#ifndef DATA_PROBLEMS_H
#define DATA_PROBLEMS_H

#include "base/json.h"
#include "base/str.h"
#include "m2m_train.h"

enum { PROBLEMS_TOLD = 20, PROBLEMS_LISTED = 100000 };    /* further ones are only counted */

/* Kind, its text in lists, its key in reports. */
#define PROBLEM_KINDS(X)                                         \
    X(SHARD, "damaged shard", "damaged_shards")                  \
    X(FOLDER, "unreadable folder", "unreadable_folders")         \
    X(RECORD, "bad record", "bad_records")                       \
    X(IMAGE, "bad image", "bad_images")                          \
    X(POSE, "bad pose", "bad_poses")                             \
    X(JSON, "bad json", "bad_json")                              \
    X(SMALL, "small set", "small_sets")                          \
    X(KEY, "duplicate key", "duplicate_keys")

typedef enum problem_kind {
#define X(name, text, key) PROBLEM_##name,
    PROBLEM_KINDS(X)
#undef X
    PROBLEM_COUNT
} problem_kind;

typedef struct problem {
    problem_kind kind;
    char *where, *why;
} problem;

typedef struct problems {
    const m2m_calls *calls;    /* whom they are told to; may be NULL */
    int64_t counts[PROBLEM_COUNT];
    problem *list;
    int64_t listed, room;
    bool failed;               /* out of memory */
} problems;

/* Control characters in `where` and `why` become "?". A `why` that begins with `where`, as messages do, loses it. */
void problems_add(problems *p, problem_kind kind, const char *where, const char *why);
/* Moves what *from has to the end of *p; *from is empty then. */
void problems_take(problems *p, problems *from);
int64_t problems_total(const problems *p);
void problems_free(problems *p);

/* Members of a JSON object: `,\n  "bad_images": 2, …` for all kinds, and `,\n  "problems": [ … ]`. */
void problems_counts_json(const problems *p, str *s);
void problems_list_json(const problems *p, str *s);
/* Reads both back. Errors: M2M_EFORMAT, M2M_ENOMEM. */
int problems_read(problems *p, const cJSON *object, m2m_error *err);

#endif
