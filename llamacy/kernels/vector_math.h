/* exp and what is made of it, in the verbs. */
#ifndef LLAMACY_VECTOR_MATH_H
#define LLAMACY_VECTOR_MATH_H

/* e^x = 2^n * e^r with n whole and |r| <= ln(2) / 2: a Taylor polynomial of degree 7
 * in r, whose first missing term is below 2^-27. Relative error <= 2 ULP; 0 below
 * -104, infinity above 89, NaN for NaN. */
INLINE vf f_exp(vf x) {
    x = f_min(f_set1(89.0f), f_max(f_set1(-104.0f), x));
    vf n = f_round(f_mul(x, f_set1(1.44269504f)));
    /* ln(2) in two parts, so that n times the first is exact */
    vf r = f_fnma(n, f_set1(0.693359375f), x);
    r = f_fnma(n, f_set1(-2.12194440e-4f), r);
    vf p = f_set1(1.0f / 5040);
    p = f_fma(p, r, f_set1(1.0f / 720));
    p = f_fma(p, r, f_set1(1.0f / 120));
    p = f_fma(p, r, f_set1(1.0f / 24));
    p = f_fma(p, r, f_set1(1.0f / 6));
    p = f_fma(p, r, f_set1(0.5f));
    p = f_fma(p, r, f_set1(1.0f));
    p = f_fma(p, r, f_set1(1.0f));
    return f_scale2(p, n);
}

/* x * sigmoid(x) */
INLINE vf f_silu(vf x) { return f_div(x, f_add(f_set1(1.0f), f_exp(f_sub(f_zero(), x)))); }

#endif
