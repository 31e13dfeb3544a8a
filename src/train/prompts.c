#include "train/prompts.h"

#include <stdlib.h>
#include <string.h>

int prompts_open(prompts *p, const char *dir, m2m_error *err)
{
    *p = (prompts){.folder = tokenizer_dir(dir)};
    if (!p->folder) return fail(err, M2M_ENOMEM, "no memory for a path");
    int status = tokenizer_open(&p->tokenizer, p->folder, err);
    if (!status) status = text_model_open(&p->model, dir, true, err);
    if (status) return status;
    const int most = tokenizer_max_length(p->tokenizer);
    p->length = p->model.config.positions;
    if (most && most < p->length) p->length = most;
    return 0;
}

int prompts_prepare(prompts *p, backend *be, int rows, m2m_error *err)
{
    p->rows = rows;
    p->ids = malloc((size_t)rows * (size_t)p->length * sizeof *p->ids);
    if (!p->ids) return fail(err, M2M_ENOMEM, "no memory for %d texts", rows);
    p->encoder = text_states_new(&p->model, be, rows, p->length, err);
    return p->encoder ? 0 : M2M_ENOMEM;
}

void prompts_close(prompts *p)
{
    text_states_free(p->encoder);
    text_model_close(&p->model);
    tokenizer_close(&p->tokenizer);
    free(p->folder);
    free(p->ids);
    *p = (prompts){0};
}

size_t prompts_bytes(const prompts *p)
{
    return paramset_bytes(p->model.params) + text_states_bytes(p->encoder);
}

static int encode(const prompts *p, const char *text, int32_t *ids, m2m_error *err)
{
    int status = tokenizer_encode_padded(p->tokenizer, text, strlen(text), ids, p->length, err);
    return status ? status : clip_text_check(&p->model.config, ids, p->length, err);
}

int prompts_check(const prompts *p, const dataset *d, uint64_t *hash, m2m_error *err)
{
    int32_t *ids = malloc((size_t)p->length * sizeof *ids);
    int status = ids ? 0 : fail(err, M2M_ENOMEM, "no memory for %d tokens", p->length);
    *hash = 0xcbf29ce484222325u;
    for (int s = 0; s < dataset_sets(d) && !status; s++) {
        char *text;
        status = dataset_caption(d, s, &text, err);
        if (status) break;
        status = encode(p, text, ids, err);
        if (status) fail_prefix(err, status, "set %s, its caption", dataset_key(d, s));
        for (const char *c = text; *c; c++) *hash = (*hash ^ (uint8_t)*c) * 0x100000001b3u;
        free(text);
    }
    free(ids);
    return status;
}

int prompts_states(prompts *p, const char *const *texts, int n, float *out, m2m_error *err)
{
    int status = 0;
    for (int i = 0; i < p->rows && !status; i++)
        status = encode(p, i < n ? texts[i] : "", p->ids + i * p->length, err);
    return status ? status : text_states_run(p->encoder, p->ids, out, err);
}
