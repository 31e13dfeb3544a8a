#include "train/lr.h"

#include <math.h>
#include <string.h>

int lr_parse(const char *name, lr_schedule *schedule, m2m_error *err)
{
    static const char *const names[] = {"constant", "cosine", "linear"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i])) continue;
        *schedule = (lr_schedule)i;
        return 0;
    }
    return fail(
        err, M2M_EINVAL, "lr_schedule is \"%.40s\", wanted one of constant, cosine, linear", name);
}

double lr_at(const lr_plan *p, int64_t step)
{
    if (step < p->warmup) return p->lr * (double)step / (double)p->warmup;
    if (p->schedule == LR_CONSTANT) return p->lr;
    int64_t span = p->steps > p->warmup ? p->steps - p->warmup : 1;
    double gone = fmin(1, (double)(step - p->warmup) / (double)span);
    return p->schedule == LR_LINEAR ? p->lr * (1 - gone) : p->lr * 0.5 * (1 + cos(M_PI * gone));
}
