#include "share.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct part {
    long i, n;
} part;

/* A number from the environment; -1 where it is not set. */
static int number(const char *name, long *value, m2m_error *err)
{
    const char *text = getenv(name);
    char *end;
    *value = -1;
    if (!text || !*text) return 0;
    *value = strtol(text, &end, 10);
    if (!*end && *value >= 0 && *value <= 1000000) return 0;
    return fail(err, M2M_EINVAL, "%s: found \"%.40s\", wanted a number in 0..1000000; --share i/n does without it",
                name, text);
}

/* Among the processes that were started together. */
static int find_rank(part *p, m2m_error *err)
{
    /* Trap: in a batch script without srun SLURM_PROCID is 0 and SLURM_NTASKS says what was asked for; only within a
     * step there is SLURM_STEP_NUM_TASKS. */
    static const char *const names[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                           {"PMI_RANK", "PMI_SIZE"},
                                           {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        int rc = number(names[k][0], &p->i, err);
        if (!rc) rc = number(names[k][1], &p->n, err);
        if (rc) return rc;
        if (p->i >= 0 && p->n > p->i) return 0;
        if (p->i >= 0 && p->n >= 0)
            return fail(err, M2M_EINVAL, "%s: found %ld, wanted less than %s, which is %ld", names[k][0], p->i,
                        names[k][1], p->n);
    }
    *p = (part){0, 1};
    return 0;
}

/* Among the tasks of a Slurm array job. */
static int find_task(part *p, m2m_error *err)
{
    long id, min, step;
    int rc = number("SLURM_ARRAY_TASK_ID", &id, err);
    if (!rc) rc = number("SLURM_ARRAY_TASK_COUNT", &p->n, err);
    if (!rc) rc = number("SLURM_ARRAY_TASK_MIN", &min, err);
    if (!rc) rc = number("SLURM_ARRAY_TASK_STEP", &step, err);
    if (rc) return rc;
    if (id < 0) {
        *p = (part){0, 1};
        return 0;
    }
    p->i = (id - (min > 0 ? min : 0)) / (step > 0 ? step : 1);
    if (p->i >= 0 && p->i < p->n) return 0;
    return fail(err, M2M_EINVAL, "SLURM_ARRAY_TASK_ID: %ld is none of SLURM_ARRAY_TASK_COUNT = %ld tasks in equal "
                "steps; wanted such, or --share i/n", id, p->n);
}

int share_find(char *text, size_t size, m2m_error *err)
{
    part task, rank;
    text[0] = 0;
    int rc = find_task(&task, err);
    if (!rc) rc = find_rank(&rank, err);
    if (!rc && task.n * rank.n > 1) snprintf(text, size, "%ld/%ld", task.i * rank.n + rank.i, task.n * rank.n);
    return rc;
}

int share_take(const char **option, char *text, size_t size, const m2m_calls *calls, m2m_error *err)
{
    char line[64];
    int rc = *option ? 0 : share_find(text, size, err);
    if (rc) return rc;
    if (!*option && *text) *option = text;
    snprintf(line, sizeof line, "share %.50s", *option ? *option : "");
    if (*option) calls->line(calls->user, line);
    return 0;
}
