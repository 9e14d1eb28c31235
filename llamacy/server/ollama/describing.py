"""Models as Ollama's API describes them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamacy.chat.formats import own_templates
from llamacy.chat.variables import takes_tools
from llamacy.ggml.file_types import file_type_name
from llamacy.model.model import Model

_THINKING = ("enable_thinking", "reasoning_effort", "<think>", "<|channel|>")


def entry(
    name: str, model: Model | None, modified: str, n_bytes: int | None
) -> dict[str, Any]:
    """Return a model as an entry of a list.

    Parameters
    ----------
    name : str
        Its name.
    model : Model or None
        The model; None if it is not loaded.
    modified : str
        When it was last changed.
    n_bytes : int or None
        Its size, if it is not loaded.
    """
    recipe = None if model is None else model.recipe
    fingerprint = name if recipe is None else recipe.fingerprint
    return {
        "name": name,
        "model": name,
        "modified_at": modified,
        "size": (n_bytes or 0) if model is None else _size(Path(model.path)),
        "digest": hashlib.sha256(fingerprint.encode()).hexdigest(),
        "details": {} if model is None else details(model),
    }


def details(model: Model) -> dict[str, Any]:
    """Return a model's family and size."""
    family = model.config.architecture
    shapes: Mapping[str, tuple[int, ...]] = model.executor.shapes
    n_params = sum(math.prod(shape) for shape in shapes.values())
    return {
        "parent_model": "",
        "format": "gguf" if model.path.endswith(".gguf") else "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": f"{n_params / 1e9:.1f}B"
        if n_params >= 1e9
        else f"{n_params / 1e6:.1f}M",
        "quantization_level": file_type_name(model.metadata) or "unknown",
    }


def described(model: Model) -> dict[str, Any]:
    """Return what ``/api/show`` says of a model."""
    template = next(iter(own_templates(model.metadata).values()), "")
    facts = {
        key: value
        for key, value in model.metadata.items()
        if isinstance(value, str | int | float) and value != template
    }
    defaults = model.default_params
    names = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")
    return {
        "modelfile": "",
        "parameters": "\n".join(f"{name} {getattr(defaults, name)}" for name in names),
        "template": template,
        "details": details(model),
        "model_info": facts,
        "capabilities": _capabilities(template)
        if model.config.is_causal
        else ["embedding"],
    }


def _capabilities(template: str) -> list[str]:
    found = ["completion"]
    if template and takes_tools(template):
        found.append("tools")
    if any(mark in template for mark in _THINKING):
        found.append("thinking")
    return found


def _size(path: Path) -> int:
    """Return the bytes of a model's file, or of its folder's; 0 if it is gone."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
