/* The picture of a run: training loss (smoothed) and validation losses over steps, and below, where it
 * was measured, what the context is worth (loss with the true context / with another set's). */
#ifndef TRAIN_CURVE_H
#define TRAIN_CURVE_H

#include "train/journal.h"

/* Draws the journal's series "loss" and those whose names begin with "val_l" (val_loss…, val_l1), and
 * below those that begin with "ratio", at most PLOT_SERIES each. *out is made anew; on failure it is
 * zero. */
int curve_draw(m2m_image *out, const journal *j, const char *title, m2m_error *err);
/* The same as a PNG file, replaced at once. Errors: M2M_EIO, M2M_ENOMEM. */
int curve_save(const journal *j, const char *title, const char *path, m2m_error *err);

/* y[i] = mean of x over i - half .. i + half, as far as there is something; apart from x. */
void curve_smooth(const double *x, int n, int half, double *y);

#endif
