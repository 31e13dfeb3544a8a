/* What is trained, behind one interface: the loop knows steps, gradients and files, a task knows its graph and its
 * data. */
#ifndef TRAIN_TASK_H
#define TRAIN_TASK_H

#include "m2m_train.h"

#include "graph/exec.h"
#include "nn/param.h"
#include "train/journal.h"

enum { TASK_FIELDS = 16 };

typedef struct task task;

typedef struct task_kind {
    const char *name;
    /* Batch number `batch` since the start of the run: forward and backward; its gradients are then outputs of t->x. */
    int (*run)(task *t, int64_t batch, double *loss, m2m_error *err);
    /* With the weights as they are now: named figures. The same batches at every call. */
    int (*validate)(task *t, journal_field fields[TASK_FIELDS], int *n, m2m_error *err);
    /* A picture of what the weights can do now. */
    int (*sample)(task *t, m2m_image *picture, m2m_error *err);
    /* Writes a model directory with the weights as they are now, as `stored`. */
    int (*save)(task *t, const char *dir, dtype stored, m2m_error *err);
    void (*free)(task *t);
} task_kind;

struct task {
    const task_kind *kind;
    paramset *params;        /* what is trained; float32, owned */
    exec *x;
    node **grads;            /* [paramset_count] */
    size_t bytes;            /* that it holds or will hold: weights, activations, data */
    uint64_t fingerprint;    /* of model and data */
    int64_t sets;            /* of a batch, for the rate */
};

/* Nothing big is allocated before `plan`'s caller agreed: exec_alloc is the loop's to call. NULL with *err on
 * failure. */
task *set_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);
task *vae_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);
task *text_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);
task *clip_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);
task *encoder_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);

#endif
