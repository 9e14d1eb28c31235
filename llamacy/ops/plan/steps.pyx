"""The steps of a forward pass in C, made from those of step.py.

Each function of filling.pxi turns a step of one kind into its struct of step.h;
perform.h has what is done, and `llamacy.ops.plan.runtime` runs it. Operands are NumPy
arrays here: the memory that `llamacy.ops.plan.buffers.allocate` gave them.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset, strcmp

from llamacy.kernels.interface cimport (
    EPILOGUE_ADD, EPILOGUE_CLAMPED_SWIGLU, EPILOGUE_GEGLU, EPILOGUE_STORE,
    EPILOGUE_SWIGLU, STRIP_ROWS, binary_op, count_strips, kernel_table, kv_layout,
    kv_layout_of, kv_type, linear_args, norm_kernel, packed_matrix, unary_op,
)
from llamacy.kernels.packing.matrices cimport (
    MappedMatrix, PackedExperts, PackedMatrix,
)
from llamacy.ops.plan.routing cimport Routing, routing

import numpy as np

from llamacy.kernels.weight_reading import weights_ahead
from llamacy.ops.plan.step import LOGITS
from llamacy.ops.state.kv_pages import PAGE_TYPES

include "operands.pxi"
include "filling.pxi"


MAX_RUN = STRIP_ROWS
"""Queries of one KV head that are attended together."""
EPILOGUES = {
    "store": EPILOGUE_STORE, "add": EPILOGUE_ADD,
    "swiglu": EPILOGUE_SWIGLU, "geglu": EPILOGUE_GEGLU,
    "clamped_swiglu": EPILOGUE_CLAMPED_SWIGLU,
}


cdef class Steps:
    """Steps, in the order they are added, and the operands that they keep alive.

    Parameters
    ----------
    capsule : object
        The kernels: a level's `table`.
    """

    def __cinit__(self, capsule, *_):
        self.kernels = <const kernel_table*>PyCapsule_GetPointer(
            capsule, "llamacy.kernel_table")
        self._kept = [capsule]

    def __dealloc__(self):
        free(self.steps)

    @property
    def has_bf16(self):
        """Whether attention can read pages in bfloat16."""
        return bool(self.kernels.has_bf16)

    def prepared_bytes(self, int k, int m):
        """Count the bytes that m rows of k activations take once they are prepared."""
        return self.kernels.prepared_bytes(k, m)

    def reads_prepared(self, weight):
        """Whether products with a matrix or with experts read prepared activations."""
        return self.digits_read(weight) > 0

    def digits_read(self, weight):
        """Count the digits that such products read of them.

        0: they read floats; 4: numbers in fixed point, more precise than bfloat16.
        """
        cdef packed_matrix matrix
        if isinstance(weight, PackedExperts):
            matrix = (<PackedExperts>weight).matrix
        else:
            matrix = (<PackedMatrix?>weight).matrix
        return self.kernels.digits_read(&matrix)

    def rounds(self, weight):
        """Whether such products round activations to bfloat16 or to less."""
        return 0 < self.digits_read(weight) < 4

    def add(self, added, *, waits=False):
        """Add a step, which follows all steps before it if it `waits`.

        Parameters
        ----------
        added : Step
            Its operands are arrays: float32, (n_batch, width), or uint8 if prepared.
        waits : bool
            Whether all items of the steps before must be done.

        Raises
        ------
        ValueError
            There is no such kind of step.
        """
        cdef step* grown
        cdef step new
        memset(&new, 0, sizeof(step))
        new.waits = waits
        new.of_wanted = added.of_wanted
        self.fill(&new, added.op, added.reads, added.writes, added.constants)
        if "prepared" in added.writes and new.kind not in (STEP_PREPARE, STEP_GATHER):
            fill_result(&new.result, added.writes, added.constants)
        if added.of_wanted and new.kind in (
                STEP_ROPE_TABLE, STEP_SCORES, STEP_ATTENTION):
            self.needs_wanted = True
        grown = <step*>realloc(self.steps, (self.n_steps + 1) * sizeof(step))
        if grown is NULL:
            raise MemoryError("no memory for the steps of a plan")
        self.steps = grown
        self.steps[self.n_steps] = new
        self.n_steps += 1
        self._kept.append(added)

    cdef int fill(self, step* s, str op, r, w, c) except -1:
        """Turn what a step reads, writes and has as constants into its struct."""
        if op == "embedding":
            s.kind = STEP_EMBEDDING
            fill_embedding(&s.embedding, w, c)
            if s.embedding.mapped.data is not NULL:
                self.most_panel = max(self.most_panel, s.embedding.weight.panel)
        elif op == "position_embedding":
            s.kind = STEP_POSITION_EMBEDDING
            fill_embedding(&s.embedding, w, c)
        elif op == "type_embedding":
            s.kind = STEP_TYPE_EMBEDDING
            fill_embedding(&s.embedding, w, c)
            self.needs_types = True
        elif op == "rope_table":
            s.kind = STEP_ROPE_TABLE
            fill_rope_table(&s.rope_table, w, c)
            if s.rope_table.angles is NULL:
                self.n_angles = s.rope_table.n_dims // 2
        elif op == "rms_norm":
            s.kind = STEP_NORM
            fill_norm(&s.norm, self.kernels.rms_norm, r, w, c)
        elif op == "layer_norm":
            s.kind = STEP_NORM
            fill_norm(&s.norm, self.kernels.layer_norm, r, w, c)
        elif op == "prepare":
            s.kind = STEP_PREPARE
            fill_prepare(&s.prepare, r, w, c)
        elif op == "linear":
            s.kind = STEP_LINEAR
            fill_linear(&s.linear, r, w, c)
        elif op == "append":
            s.kind = STEP_APPEND
            fill_append(&s.append, r, w, c)
        elif op == "scores":
            s.kind = STEP_SCORES
            fill_attention(&s.attention, r, w, c)
            self.most_scores = max(self.most_scores, <size_t>(
                count_strips(&s.attention.kv) * s.attention.kv.n_head_kv
                * STRIP_ROWS * self.kernels.span_tokens))
        elif op == "attention":
            s.kind = STEP_ATTENTION
            fill_attention(&s.attention, r, w, c)
            self.most_dims = max(
                self.most_dims, s.attention.kv.head_dim, r["state"].spec.value_dim)
            if s.attention.kv.is_latent:
                self.most_latent = max(self.most_latent, s.attention.kv.value_dim)
        elif op == "wanted":
            s.kind = STEP_WANTED
            s.wanted.x, s.wanted.y = rows_of(r["x"]), rows_of(w["y"])
            s.wanted.n = c.get("n", s.wanted.y.ld)
        elif op == "mean":
            s.kind = STEP_MEAN
            s.mean.x, s.mean.y = rows_of(r["x"]), rows_of(w["y"])
            s.mean.n = c["n"]
        elif op == "copy":
            s.kind = STEP_COPY
            fill_copy(&s.copy, r, w, c)
        elif op == "join":
            s.kind = STEP_JOIN
            fill_join(&s.join, r, w, c)
        elif op == "head_linear":
            s.kind = STEP_HEAD_LINEAR
            fill_head_linear(&s.head_linear, r, w, c)
        elif op == "gain":
            s.kind = STEP_BINARY
            fill_gain(self.kernels, &s.binary, r, w, c)
        elif op == "sigmoid_gate":
            s.kind = STEP_SIGMOID_GATE
            fill_sigmoid_gate(&s.sigmoid_gate, r, w, c)
        elif op == "head_gate":
            s.kind = STEP_HEAD_GATE
            fill_head_gate(self.kernels, &s.head_gate, r, w, c)
        elif op == "route":
            s.kind = STEP_ROUTE
            s.route.routes = routes_of(w)
            s.route.scores = rows_of(r["scores"])
            s.route.bias = floats_of(c.get("bias"))
        elif op == "group":
            s.kind = STEP_GROUP
            s.group = routes_of(w)
        elif op == "gather":
            s.kind = STEP_GATHER
            fill_gather(&s.gather, r, w, c)
        elif op == "experts":
            s.kind = STEP_EXPERTS
            fill_experts(&s.experts, r, w, c)
        elif op == "mix":
            s.kind = STEP_MIX
            fill_mix(&s.mix, r, w, c)
        elif op == "delta_rule":
            s.kind = STEP_DELTA_RULE
            fill_delta_rule(self.kernels, &s.delta_rule, r, w, c)
            self.most_dims = max(self.most_dims, s.delta_rule.args.key_dim)
        elif op == "ssm_scan":
            s.kind = STEP_SSM_SCAN
            fill_ssm_scan(self.kernels, &s.ssm_scan, r, w, c)
            self.most_dims = max(self.most_dims, s.ssm_scan.args.key_dim)
        elif op == "selective_scan":
            s.kind = STEP_SELECTIVE_SCAN
            self._kept.append(
                fill_selective_scan(self.kernels, &s.selective_scan, r, w, c))
            self.most_dims = max(self.most_dims, s.selective_scan.args.key_dim)
        elif op == "squares":
            s.kind = STEP_SQUARES
            fill_squares(&s.squares, r, w, c)
        elif op == "causal_conv":
            s.kind = STEP_CAUSAL_CONV
            self._kept.append(fill_conv(&s.conv, r, w, c))
        else:
            fill_elementwise(self.kernels, s, op, r, w, c)
        return 0
