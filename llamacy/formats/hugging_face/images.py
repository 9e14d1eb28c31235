"""Models that see images or hear: their texts' settings, and what is left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llamacy.formats.hugging_face.family import Family
from llamacy.formats.json_text import JsonObject

_KEPT: Final = (
    *("vision_config", "architectures"),
    *("quantization_config", "quantization", "dtype", "torch_dtype"),
)
_TIED: Final = "tie_word_embeddings"
_TEXTS: Final = {
    "Mistral3ForConditionalGeneration": {
        "mistral": "Mistral3ForConditionalGeneration",
        "ministral3": "Ministral3ForCausalLM",
        "mistral4": "Mistral4ForCausalLM",
    }
}
"""Classes whose keys the texts of a class have, by their `model_type`."""

_logger = logging.getLogger("llamacy")


def text_settings(config: JsonObject, name: str) -> tuple[JsonObject, str]:
    """Return the settings of a model's texts, and the class whose keys they are.

    They may be in an object of their own, beside that for images, or outside both.

    Parameters
    ----------
    config : JsonObject
        The file's object.
    name : str
        The model's class.

    Raises
    ------
    UnsupportedError
        The texts are those of a class that is not known.
    """
    text = config.child("text_config")
    if text is None:
        return config, name
    classes = _TEXTS.get(name)
    if classes is not None:
        kind = text.text("model_type", next(iter(classes)))
        if kind not in classes:
            text.refuse("model_type", f"one of {', '.join(classes)}", kind)
        name = classes[kind]
    values: dict[str, Any] = dict(text.values)
    values |= {key: config.get(key) for key in _KEPT if key in config}
    for holder in (config, text):
        if _TIED in holder and holder.flag(_TIED):
            values[_TIED] = True
    if _TIED in config:
        values.setdefault(_TIED, config.flag(_TIED))
    return JsonObject(config.path, values), name


def without_images(
    tensors: Mapping[str, Any], family: Family, path: Path
) -> dict[str, Any]:
    """Return the tensors of a model's texts, and name in the log the other parts."""
    others = {name for name in tensors if name.startswith(family.images)}
    if others:
        parts = [
            start.removesuffix(".")
            for start in family.images
            if any(name.startswith(start) for name in others)
        ]
        _logger.warning(
            "%s: left out, as only texts are read: %s, %d tensors",
            *(path, ", ".join(parts), len(others)),
        )
    return {name: tensors[name] for name in tensors if name not in others}
