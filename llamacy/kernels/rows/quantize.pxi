# Activations to int8, as quantised weights read them: units of 32, of one digit or two.
# Or to fixed point, as F16 and BF16 weights read them at some levels (fixed.h).
#
#   scale = max |x| / 127
#   q     = round(x / scale)
#   fine  = round((x / scale - q) * 2^FINE_BITS)

cdef inline vf digit(vf x) noexcept nogil:
    """Round to the nearest of -127 .. 127; NaN becomes 127, so sums stay in range."""
    return f_max(f_min(f_round(x), f_set1(127)), f_set1(-127))


cdef inline void quantize_unit(
    int n_digits, const float* x, quant_unit* unit, fine_unit* fine
) noexcept nogil:
    cdef vf low = f_load(x), high = f_load(x + 16), whole_low, whole_high
    cdef float peak = f_hmax(f_max(f_abs(low), f_abs(high)))
    # a zero or subnormal peak would make the inverse infinite
    cdef vf inverse = f_set1(127 / peak if peak > 1e-30 else 0)
    low = f_mul(low, inverse)
    high = f_mul(high, inverse)
    whole_low = digit(low)
    whole_high = digit(high)
    f_store_i8(unit.q, whole_low)
    f_store_i8(unit.q + 16, whole_high)
    unit.minus[1] = -<int32_t>f_sum(whole_low)
    unit.minus[2] = -<int32_t>f_sum(whole_high)
    unit.minus[0] = unit.minus[1] + unit.minus[2]
    unit.scale = peak / 127
    unit.sum = -unit.minus[0] * unit.scale
    if n_digits == 1:
        return
    low = digit(f_mul(f_sub(low, whole_low), f_set1(1 << FINE_BITS)))
    high = digit(f_mul(f_sub(high, whole_high), f_set1(1 << FINE_BITS)))
    store_fine(fine, unit, low, high)


cdef size_t quantized_bytes(int k, int m) noexcept nogil:
    """Bytes of the units of m rows of k columns, in all forms."""
    return units_bytes(k, m) + fine_bytes(k, m) + fixed_bytes(k, m)


cdef void quantize(
    const float* x, size_t ldx, int k, int m, int n_digits, void* prepared,
    int begin, int end,
) noexcept nogil:
    """prepared = rows begin .. end of x, in the layout of activations.h for m rows."""
    cdef int row
    cdef activations at
    for row in range(begin, end):
        at = quantized_rows(prepared, k, m, row)
        if n_digits == 1:
            quantize_row(1, x + row * ldx, k // UNIT_COLS, &at)
        elif n_digits & 3:
            quantize_row(2, x + row * ldx, k // UNIT_COLS, &at)
        if n_digits & FIXED_FORM:
            store_fixed(
                <fixed_unit*>at.fixed, at.step, x + row * ldx, k // UNIT_COLS)
    if end == m:
        clear_room(prepared, k, m)


cdef inline void quantize_row(
    int n_digits, const float* x, int n_units, const activations* to
) noexcept nogil:
    """If any activation is not finite, all scales are NaN."""
    cdef int u
    cdef float spoilt
    cdef quant_unit* unit
    cdef vf zeros = f_zero()  # or NaN
    for u in range(n_units):
        quantize_unit(
            n_digits, x + u * UNIT_COLS, <quant_unit*>to.units + u * to.step,
            <fine_unit*>to.fine + u * to.step)
        zeros = f_fma(f_load(x + u * UNIT_COLS), f_zero(), zeros)
        zeros = f_fma(f_load(x + u * UNIT_COLS + 16), f_zero(), zeros)
    spoilt = f_sum(zeros)
    if spoilt != spoilt:
        for u in range(n_units):
            unit = <quant_unit*>to.units + u * to.step
            unit.scale = unit.sum = spoilt
            (<fine_unit*>to.fine + u * to.step).scale = spoilt
    if n_digits > 1:
        drop_digits(<fine_unit*>to.fine, to.step, n_units)


cdef int digits_read(const packed_matrix* w) noexcept nogil:
    if reads_fixed(w):
        return FIXED_FORM
    return 0 if is_float_pack(w.type) else PACK_TRAITS[<int>w.type].digits
