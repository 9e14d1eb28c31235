"""Pages of keys and values as the attention kernels lay them out; see interface.h."""

from llamacy.kernels.interface cimport (
    KV_BF16, KV_F16, KV_F32, KV_Q8_0, PAGE_TOKENS, kv_layout_of, kv_type,
)

PAGE = PAGE_TOKENS
"""Tokens of one page."""
KV_TYPES = {"f32": KV_F32, "f16": KV_F16, "q8_0": KV_Q8_0}
"""Types of cached keys and values that can be asked for, by name."""
PAGE_TYPES = {**KV_TYPES, "bf16": KV_BF16}
"""Types of the numbers in pages; ``"bf16"`` may be chosen instead of ``"f16"``."""


def layer_bytes(
    str type_name, int n_head_kv, int head_dim, int value_dim, bint is_latent=False
):
    """Count the bytes of one layer's keys and values in one page.

    Parameters
    ----------
    type_name : str
        One of `PAGE_TYPES`.
    n_head_kv : int
        Heads of keys and values.
    head_dim, value_dim : int
        Dimensions of one head's key and value.
    is_latent : bool, optional
        Whether values are the first dimensions of keys.
    """
    cdef kv_type type = PAGE_TYPES[type_name]
    return kv_layout_of(
        type, n_head_kv, n_head_kv, head_dim, value_dim, is_latent).layer_bytes
