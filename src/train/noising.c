#include "train/noising.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

int train_schedule(schedule *s, const char *from, const m2m_train_options *o, m2m_error *err)
{
    char *path = path_join(from, "scheduler/scheduler_config.json");
    int status = path ? schedule_load(s, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(path);
    for (int i = 0; !status && o->prediction_type && i < PREDICTIONS; i++)
        if (!strcmp(o->prediction_type, prediction_types[i])) s->prediction = (prediction)i;
    return status;
}

void noise_latents(const draw_plan *d, const schedule *s, int64_t batch, int64_t floats, const float *clean,
                   float *times, float *noisy, float *target)
{
    draw_timesteps(d, batch, times);
    draw_noise(d, batch, floats, target);
    for (int row = 0; row < d->sets * d->draws * d->images; row++) {
        int set = row / (d->draws * d->images), image = row % d->images, time = (int)times[row];
        const float *from = clean + (set * d->images + image) * floats;
        float *noise = target + row * floats;
        schedule_add_noise(s, time, from, noise, noisy + row * floats, floats);
        schedule_target(s, time, from, noise, noise, floats);
    }
}

void noise_context(const draw_plan *d, const schedule *s, int64_t batch, int64_t floats, const float *content,
                   const bool *dropped, float *context, float *times)
{
    int level[DRAW_MAX_SETS];
    draw_context_levels(d, batch, level);
    for (int set = 0; set < d->sets; set++) {
        if (dropped[set]) level[set] = 0;
        for (int i = 0; i < d->images; i++, content += floats, context += floats) {
            times[set * d->images + i] += (float)level[set];
            if (dropped[set]) memset(context, 0, (size_t)floats * sizeof *context);
            else if (level[set] == 0) memcpy(context, content, (size_t)floats * sizeof *context);
            else {
                draw_context_noise(d, batch, set, i, floats, context);
                schedule_add_noise(s, level[set], content, context, context, floats);
            }
        }
    }
}
