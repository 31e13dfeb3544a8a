#include "train/rate.h"

static int slot(const rate *r, int i)
{
    return (r->first + i) % RATE_POINTS;
}

void rate_add(rate *r, double seconds, int64_t done)
{
    /* The newest point moves along until it is a 64th of the window from the one before: 64 points
     * then span the window. */
    int n = r->count;
    if (n >= 2 && r->point[slot(r, n - 1)].seconds - r->point[slot(r, n - 2)].seconds <
                      (double)RATE_WINDOW / RATE_POINTS) {
        n--;
    } else if (n == RATE_POINTS) {
        r->first = slot(r, 1);
        n--;
    }
    r->point[slot(r, n)].seconds = seconds;
    r->point[slot(r, n)].done = done;
    r->count = n + 1;
}

double rate_per_second(const rate *r)
{
    if (r->count < 2) return 0;
    int first = slot(r, 0), last = slot(r, r->count - 1);
    double seconds = r->point[last].seconds - r->point[first].seconds;
    return seconds > 0 ? (double)(r->point[last].done - r->point[first].done) / seconds : 0;
}

double rate_left(const rate *r, int64_t total)
{
    double speed = rate_per_second(r);
    if (speed <= 0) return -1;
    return (double)(total - r->point[slot(r, r->count - 1)].done) / speed;
}
