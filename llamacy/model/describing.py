"""A loaded model in a few lines, for a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llamacy.ggml.file_types import file_type_name
from llamacy.ops.plan.plan import Plan

if TYPE_CHECKING:
    from llamacy.model.model import Model


def facts(model: Model) -> dict[str, str]:
    """Return a model's family, sizes and memory, as texts by their names."""
    config, executor = model.config, model.executor
    found = {
        "family": config.architecture,
        "layers": f"{config.n_layer} of width {config.n_embd:,}",
        "vocabulary": f"{config.n_vocab:,} tokens",
        "context": f"{model.n_ctx:,} tokens, trained on {config.n_ctx_train:,}",
    }
    if isinstance(executor, Plan) and executor.shapes:
        n_params = sum(math.prod(shape) for shape in executor.shapes.values())
        file_type = file_type_name(model.metadata)
        found["weights"] = f"{_short(n_params)} parameters" + (
            f", {file_type}" if file_type else ""
        )
        found["memory"] = (
            f"{_mebibytes(executor.weight_bytes)} of weights, "
            f"{_mebibytes(executor.kv_bytes_used)} of KV cache"
        )
        found["instructions"] = executor.level
    else:
        found["memory"] = "freed: the model is closed"
    if model.adapters:
        found["adapters"] = ", ".join(f"{path} × {x:g}" for path, x in model.adapters)
    found["file"] = model.path
    return found


def _short(number: int) -> str:
    """Return a number of parameters as people say it: `"135M"`, `"1.1B"`."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.{1 if number < 10 * size else 0}f}{unit}"
    return str(number)


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f} MiB"
