/* exp, and functions made of it: SiLU, GELU, tanh, and gated units. */
#ifndef LLAMACY_VECTOR_MATH_H
#define LLAMACY_VECTOR_MATH_H

/* e^x = 2^n * e^r with n whole and |r| <= ln(2) / 2; slope is (e^r - 1) / r. */
typedef struct { vf n, r, slope; } exp_parts;

/* A Taylor polynomial of degree 7 in r, whose first missing term is below 2^-27. */
INLINE exp_parts f_exp_parts(vf x) {
    exp_parts e;
    x = f_min(f_set1(89.0f), f_max(f_set1(-104.0f), x));
    e.n = f_round(f_mul(x, f_set1(1.44269504f)));
    /* ln(2) in two parts, so that n times the first is exact */
    e.r = f_fnma(e.n, f_set1(0.693359375f), x);
    e.r = f_fnma(e.n, f_set1(-2.12194440e-4f), e.r);
    e.slope = f_set1(1.0f / 5040);
    e.slope = f_fma(e.slope, e.r, f_set1(1.0f / 720));
    e.slope = f_fma(e.slope, e.r, f_set1(1.0f / 120));
    e.slope = f_fma(e.slope, e.r, f_set1(1.0f / 24));
    e.slope = f_fma(e.slope, e.r, f_set1(1.0f / 6));
    e.slope = f_fma(e.slope, e.r, f_set1(0.5f));
    e.slope = f_fma(e.slope, e.r, f_set1(1.0f));
    return e;
}

/* Relative error <= 2 ULP; 0 below -104, infinity above 89, NaN for NaN. */
INLINE vf f_exp(vf x) {
    const exp_parts e = f_exp_parts(x);
    return f_scale2(f_fma(e.slope, e.r, f_set1(1.0f)), e.n);
}

/* e^x - 1, within a few ULP near 0 too, where e^x itself has lost the digits of x. */
INLINE vf f_expm1(vf x) {
    const exp_parts e = f_exp_parts(x);
    const vf one = f_set1(1.0f);
    return f_add(f_scale2(f_mul(e.slope, e.r), e.n), f_sub(f_scale2(one, e.n), one));
}

/* 1 + e^x. Numbers below 2^-126 are lost beside 1, and Intel's CPUs take 60 ns to make them. */
INLINE vf f_one_more(vf x) { return f_add(f_set1(1.0f), f_exp(f_max(f_set1(-87.0f), x))); }

/* x * sigmoid(x) */
INLINE vf f_silu(vf x) { return f_div(x, f_one_more(f_sub(f_zero(), x))); }

/* x * (1 + tanh(z)) / 2 = x / (1 + e^(-2z)), z = sqrt(2 / pi) * (x + 0.044715 x^3): GELU
 * with tanh instead of erf (Hendrycks & Gimpel 2016, arXiv:1606.08415). */
INLINE vf f_gelu(vf x) {
    const vf cubic = f_fma(f_mul(x, x), f_set1(-2 * 0.044715f * 0.797884561f), f_set1(-2 * 0.797884561f));
    return f_div(x, f_one_more(f_mul(x, cubic)));
}

/* 1 / (1 + e^-x) */
INLINE vf f_sigmoid(vf x) { return f_div(f_set1(1.0f), f_one_more(f_sub(f_zero(), x))); }

/* ln(1 + e^x) = max(x, 0) + ln(1 + t), t = e^-|x|, where ln(1 + t) = 2 atanh(s), s = t / (2 + t): the
 * series in s^2 <= 1/9, whose first missing term is below 2^-29 of the sum. NaN stays NaN. */
INLINE vf f_softplus(vf x) {
    const vf t = f_exp(f_sub(f_zero(), f_abs(x))), s = f_div(t, f_add(t, f_set1(2.0f))), ss = f_mul(s, s);
    vf p = f_set1(1.0f / 15);
    p = f_fma(p, ss, f_set1(1.0f / 13));
    p = f_fma(p, ss, f_set1(1.0f / 11));
    p = f_fma(p, ss, f_set1(1.0f / 9));
    p = f_fma(p, ss, f_set1(1.0f / 7));
    p = f_fma(p, ss, f_set1(1.0f / 5));
    p = f_fma(p, ss, f_set1(1.0f / 3));
    p = f_fma(p, ss, f_set1(1.0f));
    return f_fma(f_add(s, s), p, f_max(f_zero(), x));
}

/* x * sigmoid(1.702 x) */
INLINE vf f_gelu_quick(vf x) { return f_div(x, f_one_more(f_mul(x, f_set1(-1.702f)))); }

/* x * (1 + erf(x / sqrt(2))) / 2 = max(x, 0) - |x| erfc(z) / 2, z = |x| / sqrt(2), where
 * erfc(z) = t e^(p(t) - z^2), t = 1 / (1 + z / 2): p is fitted to 5e-8 for z up to 9.4, and erfc is
 * 0 in float32 from there on. */
INLINE vf f_gelu_erf(vf x) {
    const vf size = f_min(f_set1(30.0f), f_abs(x)), one = f_set1(1.0f);
    const vf z = f_mul(size, f_set1(0.707106781f)), t = f_div(one, f_fma(z, f_set1(0.5f), one));
    vf p = f_set1(0.13954682648f);
    p = f_fma(p, t, f_set1(-0.65134143829f));
    p = f_fma(p, t, f_set1(1.08690857887f));
    p = f_fma(p, t, f_set1(-0.60266923904f));
    p = f_fma(p, t, f_set1(-0.15827997029f));
    p = f_fma(p, t, f_set1(0.04306344315f));
    p = f_fma(p, t, f_set1(0.02025135979f));
    p = f_fma(p, t, f_set1(0.38967543840f));
    p = f_fma(p, t, f_set1(0.99827516079f));
    p = f_fma(p, t, f_set1(-1.26543021202f));
    const vf half = f_mul(f_mul(size, f_set1(0.5f)), f_mul(t, f_exp(f_fnma(z, z, p))));
    return f_sub(f_max(f_zero(), x), half);
}

/* x * sigmoid(1.702 x) * (1 + up), with x at most 7 and up within -7 .. 7: the gated unit of
 * gpt-oss (OpenAI 2025, arXiv:2508.10925). NaN stays NaN. */
INLINE vf f_clamped_swiglu(vf x, vf up) {
    const vf limit = f_set1(7.0f), one = f_set1(1.0f);
    x = f_min(limit, x);
    up = f_max(f_set1(-7.0f), f_min(limit, up));
    x = f_div(x, f_add(one, f_exp(f_mul(x, f_set1(-1.702f)))));
    return f_fma(x, up, x);
}

/* (e^2x - 1) / (e^2x + 1), which is 1 in float32 from x = 9.1 on. */
INLINE vf f_tanh(vf x) {
    x = f_min(f_set1(10.0f), f_max(f_set1(-10.0f), x));
    const vf e = f_expm1(f_add(x, x));
    return f_div(e, f_add(e, f_set1(2.0f)));
}

/* cap * tanh(x / cap): never beyond the cap, and nearly x where x is small beside it. */
INLINE vf f_softcap(vf x, float cap) { return f_mul(f_set1(cap), f_tanh(f_mul(x, f_set1(1 / cap)))); }

#endif
