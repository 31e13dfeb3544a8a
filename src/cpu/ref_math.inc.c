/* Reference kernels, elementwise ops and the timestep embedding. `real` is float or double; sums are in double. */
#include <math.h>
#include <string.h>

#include "cpu/host.h"

#define IN(k) ((const real *)c->in[k])
#define OUT ((real *)c->out)
#define PART(k) ((real *)c->part[k])

/* The offset in a tensor of shape b, broadcast to shape a, of a's element i. */
static int64_t broadcast_offset(shape a, shape b, int64_t i)
{
    int64_t offset = 0, step = 1;
    for (int d = a.rank - 1, e = b.rank - 1; e >= 0; d--, e--) {
        const int64_t at = i % a.dim[d];
        i /= a.dim[d];
        if (b.dim[e] != 1) offset += at * step;
        step *= b.dim[e];
    }
    return offset;
}

#define BINARY(name, expr)                                                              \
    static void ref_##name(const call *c)                                               \
    {                                                                                   \
        const real *pa = IN(0), *pb = IN(1);                                            \
        const shape sa = c->n->shape, sb = c->n->in[1]->shape;                          \
        for (int64_t i = 0, n = shape_count(sa); i < n; i++) {                          \
            const real a = pa[i], b = pb[broadcast_offset(sa, sb, i)];                  \
            OUT[i] = expr;                                                              \
        }                                                                               \
    }

#define UNARY(name, expr)                                                               \
    static void ref_##name(const call *c)                                               \
    {                                                                                   \
        const double alpha = c->n->attr.alpha, beta = c->n->attr.beta;                  \
        (void)alpha, (void)beta;                                                        \
        for (int64_t i = 0, n = shape_count(c->n->shape); i < n; i++) {                 \
            const double x = IN(0)[i];                                                  \
            OUT[i] = (real)(expr);                                                      \
        }                                                                               \
    }

/* x, g -> dx */
#define UNARY_GRAD(name, expr)                                                          \
    static void ref_##name(const call *c)                                               \
    {                                                                                   \
        const double alpha = c->n->attr.alpha, beta = c->n->attr.beta;                  \
        (void)alpha, (void)beta;                                                        \
        for (int64_t i = 0, n = shape_count(c->n->shape); i < n; i++) {                 \
            const double x = IN(0)[i], g = IN(1)[i];                                    \
            OUT[i] = (real)(expr);                                                      \
        }                                                                               \
    }

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu_slope(double x)
{
    const double s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static double gelu_value(double x)
{
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static double gelu_slope(double x)
{
    return 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) * 0.39894228040143267794;
}

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
UNARY(scale, alpha * x + beta)
UNARY(silu, x * sigmoid(x))
UNARY_GRAD(silu_grad, g * silu_slope(x))
UNARY(gelu, gelu_value(x))
UNARY_GRAD(gelu_grad, g * gelu_slope(x))
UNARY(exp, exp(x))
UNARY(abs, fabs(x))
UNARY(sign, (x > 0) - (x < 0))
UNARY(clamp, x < alpha ? alpha : x > beta ? beta : x)
UNARY_GRAD(clamp_grad, x >= alpha && x <= beta ? g : 0)

static void ref_geglu(const call *c)
{
    const int64_t n = shape_last(c->n->shape), rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            OUT[r * n + i] = (real)(IN(0)[2 * r * n + i] * gelu_value(IN(0)[2 * r * n + n + i]));
}

static void ref_geglu_grad(const call *c)
{
    const int64_t n = shape_last(c->n->shape) / 2, rows = shape_rows(c->n->shape);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            const double x = IN(0)[2 * r * n + i], gate = IN(0)[2 * r * n + n + i], g = IN(1)[r * n + i];
            OUT[2 * r * n + i] = (real)(g * gelu_value(gate));
            OUT[2 * r * n + n + i] = (real)(g * x * gelu_slope(gate));
        }
}

/* Angles are rounded as diffusers rounds them (in the element type): at t = 999 a rounding moves a sine by 6e-5. */
static void ref_timestep_embedding(const call *c)
{
    const attr *a = &c->n->attr;
    const int64_t dim = shape_last(c->n->shape), half = dim / 2, rows = shape_rows(c->n->shape);
    memset(OUT, 0, (size_t)(rows * dim) * sizeof(real));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < half; i++) {
            const real exponent = (real)(-log(10000.0)) * (real)i / (real)((double)half - a->alpha);
            const real angle = IN(0)[r] * (real)exp(exponent);
            OUT[r * dim + (a->flip ? half : 0) + i] = (real)sin(angle);
            OUT[r * dim + (a->flip ? 0 : half) + i] = (real)cos(angle);
        }
}
