"""The type of the numbers in pages: what attention computes in, where that is as short.

A level with dot products of bfloat16 rounds keys and values to it before they meet
queries, if they were computed from rounded activations. Pages of such a model hold
them in bfloat16 at once, as the products read them, instead of in float16: the same
memory, nothing to convert at every token, and results that are rounded once, not twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.ops.plan.kernel_choice import Kernels
from llamacy.ops.plan.recorder import Node
from llamacy.ops.state.page_numbers import fits_bf16
from llamacy.ops.state.specs import KeyValues

_DECIDING = {"attention": 2, "latent_attention": 1, "shared_attention": 0}
"""The input that decides whether attention may round, by operation."""


def may_round(node: Node, kernels: Kernels) -> bool:
    """Whether an operation of attention may round what it reads to bfloat16."""
    return _is_rounded(node.inputs[_DECIDING[node.op]], kernels)


def page_type(kv_type: str, nodes: Iterable[Node], kernels: Kernels) -> str:
    """Return the type of numbers in pages, ``"bf16"`` instead of ``"f16"`` if it fits.

    Parameters
    ----------
    kv_type : str
        The type that was asked for.
    nodes : iterable of Node
        The operations of the pass that reads the pages.
    kernels : Kernels
        The kernels of the level in use.
    """
    if kv_type != "f16" or not kernels.has_bf16:
        return kv_type
    readers = [node for node in nodes if node.op in _DECIDING]
    fits = all(_fits(node) and may_round(node, kernels) for node in readers)
    return "bf16" if readers and fits else kv_type


def _fits(node: Node) -> bool:
    assert isinstance(node.state, KeyValues)
    return fits_bf16(node.state)


def _is_rounded(node: Node, kernels: Kernels) -> bool:
    """Whether activations before it were rounded to bfloat16 or to less."""
    if node.op == "linear":
        return kernels.rounds(node.attributes["weight"])
    return any(_is_rounded(each, kernels) for each in node.inputs)
