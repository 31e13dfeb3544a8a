#include "train/alike.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int32_t label_of(const void *data, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return (int32_t)((h ^ h >> 32) & 0x7fffffff);
}

static int add_way(alike *a, const dataset *d, const char *name, m2m_error *err)
{
    const size_t images = (size_t)dataset_total(d);
    if (a->ways == CONTRAST_HEADS) return fail(err, M2M_EINVAL, "alike: more than %d words", CONTRAST_HEADS);
    const int w = a->ways++;
    a->names[w] = strdup(name);
    a->labels[w] = malloc(images * sizeof **a->labels);
    if (!a->names[w] || !a->labels[w]) return fail(err, M2M_ENOMEM, "no memory for the labels of %zu images", images);
    memset(a->labels[w], 0xff, images * sizeof **a->labels);
    return 0;
}

/* One label for each image of the set from json[name]; false: there is no such array. */
static bool read_array(int32_t *labels, const cJSON *json, const char *name, int images)
{
    const cJSON *all = json_member(json, name), *one;
    int i = 0;
    if (!cJSON_IsArray(all) || cJSON_GetArraySize(all) != images) return false;
    cJSON_ArrayForEach(one, all)
    {
        const char *text = cJSON_GetStringValue(one);
        labels[i++] = text ? label_of(text, strlen(text)) : -1;
    }
    return true;
}

static int read_set(alike *a, const dataset *d, int set, int64_t found[CONTRAST_HEADS], m2m_error *err)
{
    size_t size = 0;
    const uint8_t *text = dataset_member(d, set, "json", &size);
    const int64_t first = dataset_first(d, set);
    cJSON *json = NULL;
    int status = text ? json_parse(&json, (const char *)text, size, err) : 0;
    if (status) return fail_prefix(err, status, "set %s, its .json", dataset_key(d, set));
    for (int w = 0; w < a->ways; w++) {
        const int images = dataset_images(d, set);
        if (strcmp(a->names[w], "set")) {
            found[w] += read_array(a->labels[w] + first, json, a->names[w], images);
            continue;
        }
        for (int i = 0; i < images; i++) a->labels[w][first + i] = set;
        found[w]++;
    }
    cJSON_Delete(json);
    return 0;
}

int alike_open(alike *a, const dataset *d, const char *words, m2m_error *err)
{
    int64_t found[CONTRAST_HEADS] = {0};
    *a = (alike){0};
    char *copy = strdup(words), *rest = copy;
    int status = copy ? 0 : fail(err, M2M_ENOMEM, "no memory for words");
    for (char *word; !status && (word = strsep(&rest, ","));)
        if (*word) status = add_way(a, d, word, err);
    if (!status && a->ways == 0) status = fail(err, M2M_EINVAL, "alike: no word, wanted \"set\" or names of arrays");
    for (int s = 0; s < dataset_sets(d) && !status; s++) status = read_set(a, d, s, found, err);
    for (int w = 0; w < a->ways && !status; w++)
        if (!found[w])
            status = fail(
                err, M2M_EFORMAT, "alike: no set's .json has an array \"%s\" with a text for each image", a->names[w]);
    free(copy);
    if (status) alike_close(a);
    return status;
}

void alike_close(alike *a)
{
    for (int w = 0; w < a->ways; w++) {
        free(a->names[w]);
        free(a->labels[w]);
    }
    *a = (alike){0};
}
