/* Which part of a divided job this process has, as those who start many processes tell it in the environment. */
#ifndef APP_SHARE_H
#define APP_SHARE_H

#include "base/error.h"
#include "m2m_train.h"

#include <stddef.h>

/* "i/n" into text, or "" where this process is alone: task i of a Slurm array job (SLURM_ARRAY_TASK_…) and, within it,
 * rank of mpirun (OMPI_COMM_WORLD_…, PMI_…) or srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS). No message passing library
 * is needed for it. Errors: M2M_EINVAL names the variable. */
int share_find(char *text, size_t size, m2m_error *err);
/* Fills the option --share where it is NULL and share_find finds one, which then lies in text; tells which it is. */
int share_take(const char **option, char *text, size_t size, const m2m_calls *calls, m2m_error *err);

#endif
