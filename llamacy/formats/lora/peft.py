"""LoRA adapters as PEFT saves them: a folder with JSON and safetensors.

`adapter_config.json` has the scale, and `adapter_model.safetensors` the pairs, under
Hugging Face's names of the matrices; with DoRA, the norms of their rows too. Neither
file states the model's family, so names and row order are interpreted by the family of
the model that the adapter is loaded for. Source: `lora/layer.py` and `save_and_load.py`
of the peft library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.config import DeltaRuleConfig, ModelConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.gguf.header import TensorInfo
from llamacy.formats.hugging_face.families import FAMILIES, OUTSIDE
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.latent import OF_BOTH
from llamacy.formats.hugging_face.tensor_names import IN_LAYER
from llamacy.formats.json_text import read_json
from llamacy.formats.lora import EMBEDDING, LoraFile, Pair, Saved, check_pair
from llamacy.formats.lora.invocation import PEFT_KEY, checked_invocation
from llamacy.formats.lora.peft_experts import DOWN, ExpertPairs, refuse_magnitude
from llamacy.formats.lora.peft_heads import split_pair
from llamacy.formats.lora.peft_order import attention_of, in_gguf_order
from llamacy.formats.lora.peft_settings import Scales, read_scales
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.safetensors.file import read_header
from llamacy.ggml.types import GGMLType
from llamacy.printable import shown

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

# Between a module and its tensor, some files keep the name of the adapter. Models of
# text and pictures have those for text in a part of their own.
_START: Final = r"base_model\.model\.(?:model\.language_model\.|language_model\.)?"
_NAME: Final = re.compile(
    rf"{_START}(?P<module>.+)\."
    r"(?:lora_(?P<linear>[AB])(?:\.\w+)?\.weight"
    r"|lora_embedding_(?P<embedding>[AB])(?:\.\w+)?"
    r"|lora_(?P<magnitude>m)agnitude_vector(?:\.\w+){0,2})"
)
# Copies of the model's own embedding or output matrix beside their adapters.
_FROZEN: Final = re.compile(
    rf"{_START}(?:model\.embed_tokens|lm_head)\.base_layer\.weight"
)
# Modules that were trained whole, or saved along.
_SAVED: Final = re.compile(
    rf"{_START}(?P<module>.+?)(?:\.modules_to_save(?:\.\w+)?)?\.weight"
)

Floats = NDArray[np.float32]


def read_peft_adapter(folder: Path, config: ModelConfig) -> LoraFile:
    """Read an adapter.

    Parameters
    ----------
    folder : Path
        A folder that PEFT's `save_pretrained` wrote.
    config : ModelConfig
        The model that the adapter is loaded for.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A file is broken, or the adapter does not fit the model.
    UnsupportedError
        The adapter has more than pairs of matrices, embeddings and norms, or the
        model's family has no known Hugging Face names.
    """
    settings = read_json(folder / CONFIG)
    scales = read_scales(settings)
    family = _family(folder, config)
    file = MappedFile(folder / WEIGHTS)
    try:
        tensors = {
            info.name: Tensor(file, info)
            for info in read_header(file)
            if not _is_frozen(file.path, info, config)
        }
        saved = _take_saved(file.path, tensors, family, config)
        pairs = _pairs(file.path, tensors, scales, family, config)
    finally:
        file.close()
    if not pairs and not saved:
        raise FormatError(file.path, "tensors", "at least one pair", "none")
    if EMBEDDING in {*pairs, *saved} and settings.flag("ensure_weight_tying", False):
        settings.refuse("ensure_weight_tying", "false", "true")
    tokens = settings.values.get(PEFT_KEY)
    invocation = checked_invocation(settings.path, PEFT_KEY, tokens)
    if invocation and scales.has_magnitudes:
        settings.refuse(PEFT_KEY, "null beside use_dora", tokens)
    is_scaled = family.mixture is not None and family.mixture.is_scaled
    scaled = {name for name in pairs if is_scaled and name.endswith(DOWN)}
    return LoraFile(
        folder, config.architecture, pairs, saved, invocation, frozenset(scaled)
    )


def _pairs(
    path: Path,
    tensors: Mapping[str, Tensor],
    scales: Scales,
    family: Family,
    config: ModelConfig,
) -> dict[str, Pair]:
    pairs: dict[str, Pair] = {}
    experts = ExpertPairs(path, scales, family, config)
    for module, parts in _by_module(path, tensors).items():
        a, b, magnitude = parts["A"], parts["B"], parts.get("m")
        in_layer = IN_LAYER.fullmatch(module)
        if in_layer and experts.add(module, int(in_layer[1]), in_layer[2], a, b):
            if magnitude is not None:
                refuse_magnitude(path, module)
            continue
        name = _gguf_name(path, module, family, config)
        if name in pairs:  # which the family knows under two names
            raise FormatError(path, f"module {shown(module)}", "one adapter", "another")
        found = in_gguf_order(path, name, Pair(a, b, 1.0, magnitude), family, config)
        for ours, pair in found.items():
            rank = check_pair(path, ours, pair.a, pair.b)
            _check_magnitude(path, module, pair, has_magnitudes=scales.has_magnitudes)
            scaled = pair._replace(scale=scales.of(module, rank))
            if ours.endswith(f"{OF_BOTH}.weight"):
                mixer = attention_of(path, ours, config)
                pairs |= split_pair(path, ours, scaled, mixer)
            else:
                pairs[ours] = scaled
    return pairs | experts.pairs()


def _check_magnitude(
    path: Path, module: str, pair: Pair, *, has_magnitudes: bool
) -> None:
    """Check that there are magnitudes where the settings say so, and finite ones."""
    field = f"tensor {shown(module)}.lora_magnitude_vector"
    if pair.magnitude is None:
        if has_magnitudes:
            raise FormatError(path, field, "one, as use_dora is true", "no such tensor")
        return
    if not has_magnitudes:
        wanted = "no such tensor, as use_dora is not true"
        raise UnsupportedError(path, field, wanted, "one")
    if not np.isfinite(pair.magnitude).all():
        raise FormatError(path, field, "finite numbers", "NaN or infinity")


def _take_saved(
    path: Path, tensors: dict[str, Tensor], family: Family, config: ModelConfig
) -> dict[str, Saved]:
    """Take the modules that were saved whole out of `tensors`, as GGUF has them."""
    saved = {}
    for name in list(tensors):
        match = _SAVED.fullmatch(name)
        if match is None or _NAME.fullmatch(name):
            continue
        part = _part(match["module"], family, config)
        if part is None or not (
            part in ("token_embd", "output") or part.endswith("norm")
        ):
            wanted = "a pair, an embedding, an output matrix or a norm"
            raise UnsupportedError(path, f"tensor {shown(name)}", wanted, "another")
        tensor = tensors.pop(name)
        values = tensor.dequantize()
        if not np.isfinite(values).all():
            found = "NaN or infinity"
            raise FormatError(path, f"tensor {shown(name)}", "finite numbers", found)
        ours = _full_name(match["module"], part, family)
        if part.endswith("norm"):
            values += np.float32(family.offset_of(part))
            kind, data = GGMLType.F32, values.view(np.uint8).reshape(-1)
        else:
            kind, data = tensor.type, np.array(tensor.data)
        saved[ours] = Saved(kind, tuple(tensor.shape), data)
    return saved


def _part(module: str, family: Family, config: ModelConfig) -> str | None:
    """Return GGUF's name of a part of the model; None for another module."""
    module = _usual_name(module, family)
    in_layer = IN_LAYER.fullmatch(module)
    if in_layer is None:
        return OUTSIDE.get(module)
    layer, name = int(in_layer[1]), family.aliases.get(in_layer[2], in_layer[2])
    is_recurrent = layer < config.n_layer and isinstance(
        config.layers[layer].mixer, DeltaRuleConfig
    )
    return family.parts(is_recurrent=is_recurrent).get(name)


def _usual_name(module: str, family: Family) -> str:
    """Return the name that a module has in most families."""
    usual = family.usual_name(module)
    is_bare = usual.startswith(("layers.", "embed_tokens", "norm"))
    return f"model.{usual}" if is_bare else usual


def _full_name(module: str, part: str, family: Family) -> str:
    in_layer = IN_LAYER.fullmatch(_usual_name(module, family))
    return f"blk.{in_layer[1]}.{part}.weight" if in_layer else f"{part}.weight"


def _family(folder: Path, config: ModelConfig) -> Family:
    """Return the family of the model's architecture, which may be one with experts."""
    has_experts = any(each.feed_forward.experts for each in config.layers)
    alike = [x for x in FAMILIES.values() if x.architecture == config.architecture]
    for family in alike:
        if (family.mixture is not None) == has_experts:
            return family
    if alike:
        return alike[0]
    known = sorted({family.architecture for family in FAMILIES.values()})
    wanted = f"a model of {', '.join(known)}"
    raise UnsupportedError(folder, "adapter", wanted, config.architecture)


def _is_frozen(path: Path, info: TensorInfo, config: ModelConfig) -> bool:
    """Whether a tensor is a copy of the model's own, not part of the adapter."""
    if not _FROZEN.fullmatch(info.name):
        return False
    shape = (config.n_vocab, config.n_embd)
    if info.shape != shape:  # the adapter is for a model with another vocabulary
        raise FormatError(path, f"tensor {info.name}: shape", shape, info.shape)
    return True


def _by_module(
    path: Path, tensors: Mapping[str, Tensor]
) -> dict[str, dict[str, Floats]]:
    """Return A, B and, of DoRA, m of each module; an embedding's A as GGUF has it."""
    found: dict[str, dict[str, Floats]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            wanted = "lora_A or lora_B of a layer, lora_embedding_A or _B"
            raise UnsupportedError(path, f"tensor {shown(name)}", wanted, "another")
        letter = match["linear"] or match["embedding"] or match["magnitude"]
        if letter in found.get(match["module"], ()):  # of adapters by other names
            raise FormatError(path, f"tensor {shown(name)}", "one adapter", "another")
        values = tensor.dequantize()
        if match["embedding"] and letter == "A":
            values = values.T  # (rank, n_vocab) to rows of the table
        found.setdefault(match["module"], {})[letter] = values
    for module, parts in found.items():
        for letter in sorted({"A", "B"} - parts.keys()):
            field = f"tensor {shown(module)}.lora_{letter}"
            raise FormatError(path, field, "one", "no such tensor")
    return found


def _gguf_name(path: Path, module: str, family: Family, config: ModelConfig) -> str:
    part = _part(module, family, config)
    if part is None or part.endswith("norm"):
        wanted = f"a linear layer or the embedding of {family.architecture}"
        raise UnsupportedError(path, f"module {shown(module)}", wanted, "another")
    return _full_name(module, part, family)
