/* Reference kernels, attention and its gradient: row by row, scores computed twice or three times, never stored. */

/* q [b,lq,c], k v [b/r,lk,c], c = heads * width. */
typedef struct attention_dims {
    int64_t b, r, lq, lk, c, width;
    int heads;
    double scale;
} attention_dims;

static attention_dims attention_sizes(const node *n)
{
    const shape q = n->in[0]->shape, k = n->in[1]->shape;
    return (attention_dims){q.dim[0], q.dim[0] / k.dim[0], q.dim[1], k.dim[1], q.dim[2], q.dim[2] / n->attr.heads,
                            n->attr.heads, n->attr.alpha};
}

static double dot(const real *a, const real *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* One query row against `keys` rows of k and v. Returns the log of the sum of exponentials (-inf without keys). */
static double attend(real *out, const real *q, const real *k, const real *v, int64_t keys, attention_dims d)
{
    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < d.width; j++) out[j] = 0;
    for (int64_t i = 0; i < keys; i++) top = fmax(top, d.scale * dot(q, k + i * d.c, d.width));
    for (int64_t i = 0; i < keys; i++) total += exp(d.scale * dot(q, k + i * d.c, d.width) - top);
    for (int64_t i = 0; i < keys; i++) {
        const double p = exp(d.scale * dot(q, k + i * d.c, d.width) - top) / total;
        for (int64_t j = 0; j < d.width; j++) out[j] += (real)(p * v[i * d.c + j]);
    }
    return keys ? top + log(total) : -INFINITY;
}

static void ref_attention(const call *c)
{
    const attention_dims d = attention_sizes(c->n);
    const int32_t *lens = c->in[3];
    for (int64_t b = 0; b < d.b; b++)
        for (int64_t h = 0; h < d.heads; h++)
            for (int64_t i = 0; i < d.lq; i++) {
                const int64_t at = (b * d.lq + i) * d.c + h * d.width, key = b / d.r * d.lk * d.c + h * d.width;
                const double lse = attend(OUT + at, IN(0) + at, IN(1) + key, IN(2) + key, lens ? lens[b] : d.lk, d);
                if (c->part[0]) PART(0)[(b * d.heads + h) * d.lq + i] = (real)lse;
            }
}

/* One query row's share: dq is written, dk and dv (may be NULL) are added to. */
static void attend_grad(real *dq, real *dk, real *dv, const real *q, const real *k, const real *v, const real *o,
                        const real *g, double lse, int64_t keys, attention_dims d)
{
    const double drift = dot(g, o, d.width);
    for (int64_t j = 0; j < d.width; j++) dq[j] = 0;
    for (int64_t i = 0; i < keys; i++) {
        const double p = exp(d.scale * dot(q, k + i * d.c, d.width) - lse);
        const double ds = p * (dot(g, v + i * d.c, d.width) - drift) * d.scale;
        for (int64_t j = 0; j < d.width; j++) {
            dq[j] += (real)(ds * k[i * d.c + j]);
            if (dk) dk[i * d.c + j] += (real)(ds * q[j]);
            if (dv) dv[i * d.c + j] += (real)(p * g[j]);
        }
    }
}

static void ref_attention_grad(const call *c)
{
    const attention_dims d = attention_sizes(c->n);
    const int32_t *lens = c->in[6];
    for (int k = 0; k < 2; k++)
        if (c->part[k]) memset(c->part[k], 0, (size_t)(d.b / d.r * d.lk * d.c) * sizeof(real));
    for (int64_t b = 0; b < d.b; b++)
        for (int64_t h = 0; h < d.heads; h++)
            for (int64_t i = 0; i < d.lq; i++) {
                const int64_t at = (b * d.lq + i) * d.c + h * d.width, key = b / d.r * d.lk * d.c + h * d.width;
                attend_grad(OUT + at, PART(0) ? PART(0) + key : NULL, PART(1) ? PART(1) + key : NULL, IN(0) + at,
                            IN(1) + key, IN(2) + key, IN(3) + at, IN(5) + at, IN(4)[(b * d.heads + h) * d.lq + i],
                            lens ? lens[b] : d.lk, d);
            }
}
