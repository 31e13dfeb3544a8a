/* What import.c asks of a kind of data set. A kind reads its owner's index when it is opened and then describes set
 * after set; import.c reads, checks, resizes and writes the images. */
#ifndef DATA_IMPORT_KIND_H
#define DATA_IMPORT_KIND_H

#include "data/problems.h"
#include "data/store.h"

enum { IMPORT_IMAGES = 1000 };     /* most images of a set */

typedef struct import_source {
    const char *kind;          /* its name */
    const char *path;
    const m2m_import_options *options;
    const m2m_option_table *rows;
    store *files;              /* where images lie; made by the kind's open, closed by import.c */
    problems problems;         /* of the index */
    int64_t records;           /* entries of the index, bad ones among them */
    int64_t sets;              /* that read can be asked for */
    bool usable;               /* without any set: captions */
    void *own;                 /* the kind's */
} import_source;

typedef struct import_item {
    int number;                /* NN of its member; in an ordered set its place in the sequence */
    char *file, *pose;         /* names in the store; pose: NULL when there is none */
    blob bytes, pose_bytes;    /* instead of names, when file is NULL */
} import_item;

typedef struct import_set {
    char *name;                /* what it is called at its owner, for messages and KEY.json */
    char *key;                 /* NULL: made from number and name */
    char *source;              /* its kind, when it is not that of the source; else NULL */
    bool ordered;
    str about;                 /* further members of KEY.json: `, "goal": "…"`, a comma before each */
    str text;                  /* the caption; may be empty */
    blob latents;              /* latents.npy of all its images; it stays while they stay as they are */
    import_item *items;
    int n, room;
    problems problems;         /* found by read, and by import.c */
} import_set;

typedef struct import_kind {
    /* Reads the index of s->path: fills records, sets, files, own. Bad entries go to s->problems; an index that can't
     * be read at all is an error. On failure close is called, too. */
    int (*open)(import_source *s, m2m_error *err);
    /* Describes set `index` into the zeroed *set. Any thread. Errors: M2M_ENOMEM, M2M_EIO for a source that went
     * away; what is wrong with this set alone is a problem in it. */
    int (*read)(const import_source *s, int64_t index, import_set *set, m2m_error *err);
    void (*close)(import_source *s);
} import_kind;

/* For kinds. New images of a set; false when memory ran out or the set has IMPORT_IMAGES already (a problem then).
 * file and pose are copied; pose may be NULL. */
bool import_add(import_set *set, int number, const char *file, const char *pose);
bool import_add_bytes(import_set *set, int number, blob bytes, blob pose);
/* Progress of reading the index. Errors: M2M_ECANCELLED. */
int import_progress(const import_source *s, int64_t done, int64_t total, m2m_error *err);

#define KIND(name, also, what) extern const import_kind import_##name;
#include "m2m_kinds.def"
#undef KIND

#endif
