# Steps of step.py to structs of step.h: a function for each kind, of what a step reads
# (r), what it writes (w), and its constants (c).

cdef int fill_embedding(embedding_step* s, w, c) except -1:
    weight = c["weight"]
    if isinstance(weight, MappedMatrix):
        s.weight = (<MappedMatrix>weight).row
        s.mapped = (<MappedMatrix>weight).rows
    else:
        s.weight = (<PackedMatrix?>weight).matrix
    s.y = rows_of(w["y"])
    return 0


cdef int fill_rope_table(rope_table_step* s, w, c) except -1:
    cdef float[::1] angles = c["angles"]
    cdef float[::1] long_angles = c.get("long_angles")
    s.angles = NULL if c["is_dynamic"] else &angles[0]
    s.long_angles = NULL if long_angles is None else &long_angles[0]
    s.n_dims = 2 * <int>angles.shape[0]
    s.head_dim = c["head_dim"]
    s.half = c["half"]
    s.magnitude = c["magnitude"]
    s.growth = c.get("growth", 0)
    s.n_ctx_orig = c.get("n_ctx_orig", 1)
    s.table = rows_of(w["table"]).data
    return 0


cdef int fill_norm(norm_step* s, norm_kernel f, r, w, c) except -1:
    weight = c.get("weight")
    s.f = f
    s.x, s.y = rows_of(r["x"]), rows_of(w["y"])
    s.weight, s.bias = floats_of(weight), floats_of(c.get("bias"))
    s.n = c["n"]
    s.n_parts = c["n_parts"]
    s.weight_step = s.n if weight is not None and len(weight) > s.n else 0
    s.eps = c["eps"]
    return 0


cdef int fill_prepare(prepare_step* s, r, w, c) except -1:
    s.x = rows_of(r["x"])
    s.n, s.n_parts = c["n"], c.get("n_parts", 1)
    s.n_digits = c["n_digits"]
    s.prepared = <uint8_t*>bytes_of(w["prepared"])
    s.part_bytes = len(w["prepared"]) // s.n_parts
    return 0


cdef int fill_result(prepare_step* s, w, c) except -1:
    """The rows that a step writes, where it leaves them prepared as well."""
    s.x = rows_of(w["y"] if "y" in w else w["z"])
    s.n, s.n_parts = c["n"] * c.get("n_parts", 1), 1
    s.n_digits = c["n_digits"]
    s.prepared = <uint8_t*>bytes_of(w["prepared"])
    return 0


cdef int fill_linear(linear_args* a, r, w, c) except -1:
    a.form = EPILOGUES[c["form"]]
    a.w = (<PackedMatrix?>c["weight"]).matrix
    if "weight2" in c:
        a.w2 = (<PackedMatrix?>c["weight2"]).matrix
    a.scale, a.scale2 = floats_of(c.get("scale")), floats_of(c.get("scale2"))
    a.bias, a.bias2 = floats_of(c.get("bias")), floats_of(c.get("bias2"))
    fill_operands(a, r, w)
    return 0


cdef int fill_operands(linear_args* a, r, w) except -1:
    cdef float_rows x = rows_of(r.get("x")), y = rows_of(w["y"])
    a.x, a.ldx = x.data, x.ld
    a.prepared = bytes_of(r.get("prepared"))
    a.y, a.ldy = y.data, y.ld
    a.ahead = weights_ahead()
    return 0


cdef int fill_append(append_step* s, r, w, c) except -1:
    s.kv = layout_of(w["state"], c["n_head"])
    s.offset = w["state"].offset
    s.q, s.k, s.v = rows_of(w.get("q")), rows_of(w["k"]), rows_of(r.get("v"))
    s.q_table = rows_of(r.get("q_table")).data
    s.k_table = rows_of(r.get("k_table")).data
    s.q_half, s.k_half = c.get("q_half", 0), c.get("k_half", 0)
    return 0


cdef int fill_attention(attention_step* s, r, w, c) except -1:
    s.kv = layout_of(r["state"], c["n_head"])
    s.args.offset = r["state"].offset
    s.args.scale = c["scale"]
    s.args.is_causal = r["state"].spec.is_causal
    s.args.window = c.get("window", 0)  # 0: all positions
    s.args.softcap = c.get("softcap", 0)  # 0: scores stay
    s.args.sinks, s.args.slopes = floats_of(c.get("sinks")), floats_of(c.get("slopes"))
    s.args.may_round = c["may_round"]
    s.q, s.y = rows_of(r["q"]), rows_of(w.get("y"))
    s.has_scores = "scores" in r or "scores" in w
    return 0


cdef int fill_copy(copy_step* s, r, w, c) except -1:
    cdef float_rows table = rows_of(r.get("table"))
    s.x, s.y = rows_of(r["x"]), rows_of(w["y"])
    s.x.data += <int>c.get("first", 0)
    s.n = c["n"]
    s.n_parts, s.part_step = c.get("n_parts", 1), c.get("part_step", 0)
    s.table = table.data
    s.head_dim = <int>table.ld // 2
    s.half = c.get("half", 0)
    return 0


cdef int fill_join(join_step* s, r, w, c) except -1:
    s.x, s.y, s.z = rows_of(r["x"]), rows_of(r["y"]), rows_of(w["z"])
    s.n_parts, s.n_x, s.n_y = c["n_parts"], c["n_x"], c["n_y"]
    return 0


cdef int fill_head_linear(head_linear_step* s, r, w, c) except -1:
    cdef PackedExperts weight = c["weight"]
    s.args.form = EPILOGUE_STORE
    s.args.w = weight.matrix
    s.stride, s.n_head = weight.stride, weight.n_expert
    fill_operands(&s.args, r, w)
    if "prepared" in r:
        s.prepared = len(r["prepared"]) // s.n_head
    return 0


cdef int fill_elementwise(
    const kernel_table* kernels, step* s, str op, r, w, c
) except -1:
    """Look the operation up in the kernels' tables."""
    cdef const unary_op* unary = find_unary(kernels, op)
    cdef const binary_op* binary = find_binary(kernels, op)
    if unary is not NULL:
        s.kind = STEP_UNARY
        s.unary.f = unary.f
        s.unary.x, s.unary.y = rows_of(r["x"]), rows_of(w["y"])
        s.unary.n = c["n"]
        for i, constant in enumerate(c.get("constants", ())):
            s.unary.constants[i] = constant
        s.unary.routes = routes_of(r) if "routes" in r else NULL
    elif binary is not NULL:
        s.kind = STEP_BINARY
        s.binary.f = binary.f
        s.binary.x, s.binary.y = rows_of(r["x"]), rows_of(r["y"])
        s.binary.z = rows_of(w["z"])
        s.binary.n = c.get("n", s.binary.z.ld)
        s.binary.routes = routes_of(r) if "routes" in r else NULL
    else:
        raise ValueError(f"op: wanted a kind of step or a kernel, found {op!r}")
    return 0


cdef const unary_op* find_unary(const kernel_table* kernels, str op):
    cdef const unary_op* each = kernels.unary
    cdef bytes name = op.encode()
    while each.name is not NULL:
        if strcmp(each.name, name) == 0:
            return each
        each += 1
    return NULL


cdef const binary_op* find_binary(const kernel_table* kernels, str op):
    cdef const binary_op* each = kernels.binary
    cdef bytes name = op.encode()
    while each.name is not NULL:
        if strcmp(each.name, name) == 0:
            return each
        each += 1
    return NULL


cdef int fill_gain(
    const kernel_table* kernels, binary_step* s, r, w, c
) except -1:
    cdef float[::1] weight = c["weight"]
    s.f = find_binary(kernels, "mul").f
    s.x, s.z = rows_of(r["x"]), rows_of(w["z"])
    s.y.data, s.y.ld = &weight[0], 0
    s.n = <int>weight.shape[0]
    return 0


cdef int fill_sigmoid_gate(sigmoid_gate_step* s, r, w, c) except -1:
    cdef float[::1] weight = c["weight"]
    s.x, s.y, s.z = rows_of(r["x"]), rows_of(r["y"]), rows_of(w["z"])
    s.weight = &weight[0]
    s.k = <int>weight.shape[0]
    s.n = c["n"]
    return 0


cdef int fill_head_gate(
    const kernel_table* kernels, head_gate_step* s, r, w, c
) except -1:
    s.f = find_unary(kernels, "scale").f
    s.x, s.gate, s.y = rows_of(r["x"]), rows_of(r["gate"]), rows_of(w["y"])
    s.n_head, s.n = c["n_parts"], c["n"]
    return 0


cdef int fill_gather(gather_step* s, r, w, c) except -1:
    s.routes = routes_of(r)
    s.is_by_row = c["is_by_row"]
    s.x, s.y = rows_of(r["x"]), rows_of(w.get("y"))
    s.n = c["n"]
    s.n_digits = c.get("n_digits", 1)
    s.prepared = bytes_of(w.get("prepared"))
    return 0


cdef int fill_experts(experts_step* s, r, w, c) except -1:
    cdef PackedExperts weight = c["weight"], weight2 = c.get("weight2")
    s.routes = routes_of(r)
    s.args.form = EPILOGUES[c["form"]]
    s.args.w = weight.matrix
    s.stride = weight.stride
    if weight2 is not None:
        s.args.w2 = weight2.matrix
        s.stride2 = weight2.stride
    s.args.scale = floats_of(c.get("scale"))
    s.args.scale2 = floats_of(c.get("scale2"))
    s.args.bias = rows_of(c.get("bias")).data
    s.args.bias2 = rows_of(c.get("bias2")).data
    fill_operands(&s.args, r, w)
    return 0


cdef int fill_mix(mix_step* s, r, w, c) except -1:
    s.routes = routes_of(r)
    s.x, s.y = rows_of(r["x"]), rows_of(w["y"])
    s.n = c["n"]
    return 0


cdef int fill_delta_rule(
    const kernel_table* kernels, delta_rule_step* s, r, w, c
) except -1:
    cdef float_rows q = rows_of(r["q"]), k = rows_of(r["k"]), v = rows_of(r["v"])
    cdef float_rows decay = rows_of(r["decay"]), beta = rows_of(r["beta"])
    cdef float_rows y = rows_of(w["y"])
    slot = w["state"]
    s.args.n_head, s.args.n_key_head = c["n_head"], c["n_key_head"]
    s.args.repeats_key_heads = c["repeats_key_heads"]
    s.args.decays_rows = c["decays_rows"]
    s.args.key_dim, s.args.value_dim = slot.spec.key_dim, slot.spec.value_dim
    s.args.offset = slot.offset + slot.spec.column_bytes
    s.args.q, s.args.ldq = q.data, q.ld
    s.args.k, s.args.ldk = k.data, k.ld
    s.args.v, s.args.ldv = v.data, v.ld
    s.args.decay, s.args.ld_decay = decay.data, decay.ld
    s.args.beta, s.args.ld_beta = beta.data, beta.ld
    s.args.y, s.args.ldy = y.data, y.ld
    s.n_items = s.args.n_head * kernels.delta_blocks(s.args.value_dim)
    return 0


cdef int fill_ssm_scan(
    const kernel_table* kernels, ssm_scan_step* s, r, w, c
) except -1:
    cdef float_rows x = rows_of(r["x"]), dt = rows_of(r["dt"]), y = rows_of(w["y"])
    cdef float_rows into = rows_of(r["b"]), out_of = rows_of(r["c"])
    slot = w["state"]
    s.args.n_head, s.args.n_group = c["n_head"], c["n_group"]
    s.args.key_dim, s.args.value_dim = slot.spec.key_dim, slot.spec.value_dim
    s.args.offset = slot.offset + slot.spec.column_bytes
    s.args.a, s.args.d = floats_of(c["a"]), floats_of(c["d"])
    s.args.x, s.args.ldx = x.data, x.ld
    s.args.dt, s.args.ld_dt = dt.data, dt.ld
    s.args.b, s.args.ldb = into.data, into.ld
    s.args.c, s.args.ldc = out_of.data, out_of.ld
    s.args.y, s.args.ldy = y.data, y.ld
    s.n_items = s.args.n_head * kernels.ssm_blocks(s.args.value_dim)
    return 0


cdef object fill_selective_scan(
    const kernel_table* kernels, selective_scan_step* s, r, w, c
):
    """Returns the rates of decays by heads, in whole vectors, to be kept alive."""
    cdef float_rows x = rows_of(r["x"]), dt = rows_of(r["dt"]), y = rows_of(w["y"])
    cdef float_rows into = rows_of(r["b"]), out_of = rows_of(r["c"])
    cdef float[:, :, ::1] rates
    slot, n_head = w["state"], c["n_head"]
    key_dim, value_dim = slot.spec.key_dim, slot.spec.value_dim
    padded = np.zeros((n_head, key_dim, -(-value_dim // 16) * 16), np.float32)
    by_channel = c["a"].reshape(n_head, value_dim, key_dim)
    padded[..., :value_dim] = by_channel.swapaxes(1, 2)
    rates = padded
    s.args.n_head, s.args.key_dim, s.args.value_dim = n_head, key_dim, value_dim
    s.args.offset = slot.offset + slot.spec.column_bytes
    s.args.a, s.args.d = &rates[0, 0, 0], floats_of(c["d"])
    s.args.x, s.args.ldx = x.data, x.ld
    s.args.dt, s.args.ld_dt = dt.data, dt.ld
    s.args.b, s.args.ldb = into.data, into.ld
    s.args.c, s.args.ldc = out_of.data, out_of.ld
    s.args.y, s.args.ldy = y.data, y.ld
    s.n_items = n_head * kernels.selective_blocks(value_dim)
    return rates


cdef int fill_squares(squares_step* s, r, w, c) except -1:
    cdef double[:, ::1] sums = w["sums"].sums
    cdef int64_t[::1] counts = w["sums"].counts
    s.routes = routes_of(r) if "routes" in r else NULL
    s.is_by_row = c["is_by_row"]
    s.x = rows_of(r["x"])
    s.n = <int>sums.shape[1]
    s.sums, s.counts = &sums[0, 0], &counts[0]
    return 0


cdef object fill_conv(conv_step* s, r, w, c):
    """Returns the weights by columns, to be kept alive."""
    cdef float[:, ::1] weight = np.ascontiguousarray(
        c["weight"].reshape(c["n"], -1).T, np.float32)
    slot = r["state"]
    s.args.weight = &weight[0, 0]
    s.args.bias = floats_of(c.get("bias"))
    s.args.n_channels = c["n"]
    s.args.n_columns = slot.spec.n_columns
    s.args.n_after = slot.spec.n_after
    s.args.offset = slot.offset
    s.args.then_silu = c.get("form") == "silu"
    s.x, s.y = rows_of(r["x"]), rows_of(w["y"])
    return weight
