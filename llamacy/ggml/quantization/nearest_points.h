/* Finds the points of a codebook that lie nearest to weights; nearest_points.pyx says how. */
#ifndef LLAMACY_NEAREST_POINTS_H
#define LLAMACY_NEAREST_POINTS_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
/* chosen when the module is loaded */
#define EVERY_CPU __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define EVERY_CPU
#endif

enum { LANES = 16, MOST_POINTS = 4096 };

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));

typedef struct {
    floats square, product; /* a and b */
} sums;

/* points [n_points / LANES][n_dims] */
EVERY_CPU
static void find_nearest(const float *points, int n_points, int n_dims, const float *x, const float *w,
                    const float *scales, int n_scales, size_t step, uint16_t *index) {
    sums of[MOST_POINTS / LANES];
    const int n = n_points / LANES;
    for (int k = 0; k < n; k++) {
        floats square = {0}, product = {0}, p;
        for (int j = 0; j < n_dims; j++) {
            memcpy(&p, points, sizeof p);
            points += LANES;
            square += w[j] * (p * p);
            product += (2 * w[j] * x[j]) * p;
        }
        of[k].square = square, of[k].product = product;
    }
    for (int t = 0; t < n_scales; t++) {
        const float s = scales[(size_t)t * step];
        floats least = s * (s * of[0].square - of[0].product);
        integers at = {0};
        for (int k = 1; k < n; k++) {
            const floats error = s * (s * of[k].square - of[k].product);
            const integers closer = error < least;
            least = (floats)(((integers)error & closer) | ((integers)least & ~closer));
            at = (k & closer) | (at & ~closer);
        }
        int best = 0;
        for (int i = 1; i < LANES; i++)
            if (least[i] < least[best] || (least[i] == least[best] && at[i] < at[best])) best = i;
        index[(size_t)t * step] = (uint16_t)(at[best] * LANES + best);
    }
}

#endif
