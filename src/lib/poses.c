#include "lib/poses.h"

#include "base/file.h"
#include "base/json.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 12, MOST = 100000 };

static float *new_poses(int64_t n, const char *spec, m2m_error *err)
{
    float *poses = n < 1 || n > MOST ? NULL : malloc((size_t)n * NUMBERS * sizeof *poses);
    if (n < 1 || n > MOST) fail(err, M2M_EFORMAT, "%s: %lld cameras, wanted 1..%d", spec, (long long)n, (int)MOST);
    else if (!poses) fail(err, M2M_ENOMEM, "%s: no memory for %lld cameras", spec, (long long)n);
    return poses;
}

static int all_finite(const float *poses, int n, const char *spec, m2m_error *err)
{
    for (int i = 0; i < n * NUMBERS; i++)
        if (!isfinite(poses[i]))
            return fail(err, M2M_EFORMAT, "%s: camera %d has a number that is not finite", spec, i / NUMBERS);
    return 0;
}

/* ---- a ring ---- */

/* x right, y up, looking along -z at the origin; world z is up. */
static void look_at_origin(float pose[NUMBERS], double azimuth, double elevation, double distance)
{
    const double ca = cos(azimuth), sa = sin(azimuth), ce = cos(elevation), se = sin(elevation);
    const double rows[3][4] = {{-sa, ca, 0, 0}, {-se * ca, -se * sa, ce, 0}, {ce * ca, ce * sa, se, -distance}};
    for (int i = 0; i < NUMBERS; i++) pose[i] = (float)rows[i / 4][i % 4];
}

static int read_ring(float **poses, int *n, const char *spec, int wanted, m2m_error *err)
{
    const double degree = 3.14159265358979323846 / 180;
    int views = 0, end = 0;
    double elevation = 20, distance = 1.8;
    if (sscanf(spec, "ring:%d%n:%lf%n:%lf%n", &views, &end, &elevation, &end, &distance, &end) < 1 || spec[end] ||
        views < 1 || views > MOST || !(fabs(elevation) <= 90) || !(distance > 0 && distance < 1e6))
        return fail(err, M2M_EINVAL, "%s: wanted ring:VIEWS[:ELEVATION[:DISTANCE]], as ring:12:20:1.8", spec);
    *poses = new_poses(wanted, spec, err);
    if (!*poses) return M2M_ENOMEM;
    for (int i = 0; i < wanted; i++)
        look_at_origin(*poses + i * NUMBERS, 360.0 * (i % views) / views * degree, elevation * degree, distance);
    *n = wanted;
    return 0;
}

/* ---- files ---- */

static int read_array(float **poses, int *n, const tensor *t, const char *spec, m2m_error *err)
{
    char found[80];
    shape s = t->shape;
    int64_t count = shape_count(s);
    bool one = s.rank == 2 && s.dim[0] == 3 && s.dim[1] == 4;
    bool fits = one || (s.rank == 3 && s.dim[1] == 3 && s.dim[2] == 4) || (s.rank == 2 && s.dim[1] == NUMBERS);
    if (!fits || (t->type != DT_F32 && t->type != DT_F64))
        return fail(err, M2M_EFORMAT, "%s: holds %s %s, wanted F32 or F64 [3, 4], [K, 3, 4] or [K, 12]", spec,
                    dtype_name(t->type), shape_text(s, found, sizeof found));
    *poses = new_poses(count / NUMBERS, spec, err);
    double *wide = *poses ? malloc((size_t)count * sizeof *wide) : NULL;
    if (*poses && !wide) fail(err, M2M_ENOMEM, "%s: no memory for %lld numbers", spec, (long long)count);
    if (!wide) return M2M_ENOMEM;
    npy_f64(wide, t);
    for (int64_t i = 0; i < count; i++) (*poses)[i] = (float)wide[i];
    *n = (int)(count / NUMBERS);
    free(wide);
    return 0;
}

static int read_npy(float **poses, int *n, const char *spec, m2m_error *err)
{
    file_map m;
    tensor t;
    int status = file_map_open(&m, spec, err);
    if (status) return status;
    status = npy_view(&t, m.data, m.size, spec, err);
    if (!status) status = read_array(poses, n, &t, spec, err);
    file_map_close(&m);
    return status;
}

/* 12 numbers, or 3 rows of 4; false: neither. */
static bool parse_pose(float pose[NUMBERS], const cJSON *o)
{
    int at = 0, size = cJSON_GetArraySize(o);
    if (!cJSON_IsArray(o) || (size != NUMBERS && size != 3)) return false;
    for (const cJSON *e = o->child; e; e = e->next) {
        if (size == NUMBERS) {
            if (!cJSON_IsNumber(e)) return false;
            pose[at++] = (float)e->valuedouble;
            continue;
        }
        if (!cJSON_IsArray(e) || cJSON_GetArraySize(e) != 4) return false;
        for (const cJSON *k = e->child; k; k = k->next) {
            if (!cJSON_IsNumber(k)) return false;
            pose[at++] = (float)k->valuedouble;
        }
    }
    return true;
}

static int read_json(float **poses, int *n, const char *spec, m2m_error *err)
{
    cJSON *o;
    float one[NUMBERS];
    int status = json_load(&o, spec, err), at = 0;
    if (status) return status;
    bool single = parse_pose(one, o);
    *n = single ? 1 : cJSON_IsArray(o) ? cJSON_GetArraySize(o) : 0;
    *poses = new_poses(*n, spec, err);
    if (!*poses) status = M2M_EFORMAT;
    else if (single) memcpy(*poses, one, sizeof one);
    for (const cJSON *e = single || status ? NULL : o->child; e && !status; e = e->next, at++)
        if (!parse_pose(*poses + at * NUMBERS, e))
            status = fail(err, M2M_EFORMAT, "%s: camera %d is neither 12 numbers nor 3 rows of 4", spec, at);
    cJSON_Delete(o);
    return status;
}

int poses_read(float **poses, int *n, const char *spec, int wanted, m2m_error *err)
{
    int status;
    *poses = NULL;
    if (!strncmp(spec, "ring:", 5)) status = read_ring(poses, n, spec, wanted, err);
    else if (path_ends(spec, ".npy")) status = read_npy(poses, n, spec, err);
    else if (path_ends(spec, ".json")) status = read_json(poses, n, spec, err);
    else status = fail(err, M2M_EINVAL, "camera: %s, wanted a file .npy or .json, or ring:12", spec);
    if (!status) status = all_finite(*poses, *n, spec, err);
    if (!status) return 0;
    free(*poses);
    *poses = NULL;
    return status;
}
