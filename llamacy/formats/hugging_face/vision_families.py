"""Families that see images: the part of them that reads and writes texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    EXPERTS,
    HEAD_NORMS,
    LAYER,
    MIXTURE_LAYER,
    QKV,
)

TEXT_PART: Final = {
    "model.language_model.": "model.",
    "language_model.model.": "model.",
    "language_model.lm_head.": "lm_head.",
}
"""Beginnings of names in models that have a part for images."""

IMAGE_PART: Final = (
    *("model.visual.", "visual."),
    *("model.vision_tower.", "vision_tower."),
    *("model.multi_modal_projector.", "multi_modal_projector."),
)
"""Beginnings of names of the part for images."""

_QWEN2VL: Final = Family(
    architecture="qwen2vl",
    layer=LAYER,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    always_biased=frozenset(QKV),
    sections=(16, 24, 24),
)
_QWEN3VL: Final = Family(
    architecture="qwen3vl",
    layer=LAYER | HEAD_NORMS,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    sections=(24, 20, 20),
)
_QWEN3VLMOE: Final = replace(
    _QWEN3VL,
    architecture="qwen3vlmoe",
    layer=MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(EXPERTS,), may_have_columns=True, width="moe_intermediate_size"
    ),
)
_MISTRAL3: Final = Family(
    architecture="mistral3",
    layer=LAYER,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    is_interleaved=True,
    query_growth="llama_4_scaling_beta",
)

VISION_FAMILIES: Final[Mapping[str, Family]] = {
    "Qwen2VLForConditionalGeneration": _QWEN2VL,
    "Qwen2_5_VLForConditionalGeneration": _QWEN2VL,
    "Qwen3VLForConditionalGeneration": _QWEN3VL,
    "Qwen3VLMoeForConditionalGeneration": _QWEN3VLMOE,
    "Ministral3ForCausalLM": _MISTRAL3,
    "Mistral3ForConditionalGeneration": _MISTRAL3,
}
"""These families by the name of their class."""
