# Operands of a step as C has them; None is NULL.

cdef float_rows rows_of(operand) except *:
    """Rows of a float32 array; none of nothing, nor of the logits, which a run has.

    The array may be columns of a wider one, side by side.
    """
    cdef float_rows rows
    cdef float[:, :] view
    rows.data, rows.ld = NULL, 0
    if operand is not None and operand is not LOGITS:
        view = operand
        if view.strides[1] != sizeof(float):
            raise ValueError("operand: wanted columns side by side")
        rows.data, rows.ld = &view[0, 0], view.strides[0] // sizeof(float)
    return rows


cdef float* floats_of(vector) except? NULL:
    cdef float[::1] view
    if vector is None:
        return NULL
    view = vector
    return &view[0]


cdef void* bytes_of(prepared) except? NULL:
    cdef uint8_t[::1] view
    if prepared is None:
        return NULL
    view = prepared
    return &view[0]


cdef routing* routes_of(operands) except NULL:
    return &(<Routing?>operands["routes"]).routes


cdef kv_layout layout_of(slot, int n_head) except *:
    """The layout of one layer's keys and values, read by that many heads."""
    cdef int type = PAGE_TYPES[slot.kv_type]
    spec = slot.spec
    return kv_layout_of(
        <kv_type>type, n_head, spec.n_head_kv, spec.head_dim, spec.value_dim,
        spec.is_latent)
