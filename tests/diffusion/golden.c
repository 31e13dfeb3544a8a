#include "diffusion/golden.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

safetensors *golden_open(const char *name)
{
    char path[512];
    m2m_error err = {0};
    safetensors *f = NULL;
    snprintf(path, sizeof path, TEST_DIR "/golden/%s", name);
    if (safetensors_open(&f, path, &err)) fail_msg("%s", err.msg);
    return f;
}

cJSON *golden_json(const char *name)
{
    char path[512];
    m2m_error err = {0};
    cJSON *root = NULL;
    snprintf(path, sizeof path, TEST_DIR "/golden/%s", name);
    if (json_load(&root, path, &err)) fail_msg("%s", err.msg);
    return root;
}

static const void *values(const safetensors *f, const char *name, dtype type, int64_t count)
{
    const tensor *t = safetensors_find(f, name);
    if (!t || t->type != type || (count && shape_count(t->shape) != count))
        fail_msg("%s: no %s of %lld values of type %s", safetensors_path(f), name, (long long)count,
            dtype_name(type));
    return t->data;
}

const float *golden_floats(const safetensors *f, const char *name, int64_t count)
{
    return values(f, name, DT_F32, count);
}

const int64_t *golden_ints(const safetensors *f, const char *name, int64_t count)
{
    return values(f, name, DT_I64, count);
}

schedule golden_schedule(const cJSON *cases, const char *config)
{
    schedule s;
    m2m_error err = {0};
    const cJSON *object = json_member(json_member(cases, "configs"), config);
    if (schedule_from_json(&s, object, &err)) fail_msg("%s: %s", config, err.msg);
    return s;
}
