"""LoRA adapters as PEFT saves them: a folder with JSON and safetensors.

`adapter_config.json` has the scale, and `adapter_model.safetensors` the pairs, under
Hugging Face's names of the matrices. Neither file states the model's family, so names
and row order are interpreted by the family of the model that the adapter is loaded
for. Source: `LoraConfig` and `lora/layer.py` of the peft library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig
from llamacy.errors import FormatError, UnsupportedError, shown
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.gguf.header import TensorInfo
from llamacy.formats.hugging_face.families import FAMILIES, OUTSIDE
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.tensors import IN_LAYER, interleaved
from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.lora import LoraFile, Pair, check_pair
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.safetensors.file import read_header

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

_MAX_ALPHA: Final = 1e9
_NAME: Final = re.compile(
    r"base_model\.model\.(?P<module>.+)\."
    r"(?:lora_(?P<linear>[AB])\.weight|lora_embedding_(?P<embedding>[AB]))"
)
# Copies of the model's own embedding or output matrix beside their adapters.
_FROZEN: Final = re.compile(
    r"base_model\.model\.(?:model\.embed_tokens|lm_head)\.base_layer\.weight"
)
# Initialisations that leave the model's own weights unchanged.
_INITIALISATIONS: Final = (None, True, False, "gaussian", "eva")

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
        The adapter has more than pairs of matrices, or the model's family has no known
        Hugging Face names.
    """
    settings = read_json(folder / CONFIG)
    _check_kind(settings)
    family = _family(folder, config)
    file = MappedFile(folder / WEIGHTS)
    try:
        tensors = {
            info.name: Tensor(file, info)
            for info in read_header(file)
            if not _is_frozen(file.path, info, config)
        }
        pairs = {}
        for module, (a, b) in _by_module(file.path, tensors).items():
            name = _gguf_name(file.path, module, family)
            pairs[name] = _pair(file.path, name, a, b, family, config)
            rank = check_pair(file.path, name, *pairs[name][:2])
            pairs[name] = pairs[name]._replace(scale=_scale(settings, module, rank))
    finally:
        file.close()
    return LoraFile(folder, config.architecture, pairs)


def _check_kind(settings: JsonObject) -> None:
    """Check that the adapter adds `scale * b @ a` to matrices and nothing else."""
    kind = settings.text("peft_type")
    if kind != "LORA":
        settings.refuse("peft_type", "LORA", kind)
    for key in ("use_dora", "fan_in_fan_out", "lora_bias"):
        if settings.flag(key, False):
            settings.refuse(key, "false", "true")
    if settings.text("bias", "none") != "none":
        settings.refuse("bias", "none", settings.get("bias"))
    initial = settings.get("init_lora_weights")
    if isinstance(initial, dict | list) or initial not in _INITIALISATIONS:
        wanted = "an initialisation that leaves the model's weights unchanged"
        settings.refuse("init_lora_weights", wanted, initial)


def _family(folder: Path, config: ModelConfig) -> Family:
    for family in FAMILIES.values():
        if family.architecture == config.architecture:
            return family
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
) -> dict[str, tuple[Floats, Floats]]:
    """Return A and B of each module; an embedding's are transposed as in GGUF."""
    found: dict[str, dict[str, Floats]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            wanted = "lora_A or lora_B of a layer, lora_embedding_A or _B"
            raise UnsupportedError(path, f"tensor {shown(name)}", wanted, "another")
        letter = match["linear"] or match["embedding"]
        values = tensor.dequantize()
        if match["embedding"] and letter == "A":
            values = values.T  # (rank, n_vocab) to rows of the table
        found.setdefault(match["module"], {})[letter] = values
    for module, pair in found.items():
        if len(pair) < 2:
            missing = f"lora_{({'A', 'B'} - pair.keys()).pop()}"
            field = f"tensor {shown(module)}.{missing}"
            raise FormatError(path, field, "one", "no such tensor")
    if not found:
        raise FormatError(path, "tensors", "at least one pair", "none")
    return {module: (pair["A"], pair["B"]) for module, pair in found.items()}


def _gguf_name(path: Path, module: str, family: Family) -> str:
    in_layer = IN_LAYER.fullmatch(module)
    known = family.layer if in_layer else OUTSIDE
    part = known.get(in_layer[2] if in_layer else module)
    if part is None or part.endswith("norm"):
        wanted = f"a linear layer or the embedding of {family.architecture}"
        raise UnsupportedError(path, f"module {shown(module)}", wanted, "another")
    return f"blk.{in_layer[1]}.{part}.weight" if in_layer else f"{part}.weight"


def _pair(
    path: Path, name: str, a: Floats, b: Floats, family: Family, config: ModelConfig
) -> Pair:
    """Reorder the rows of B as GGUF orders those of queries and keys; scale is 1."""
    part = name.split(".")[-2]
    if family.is_interleaved and part in ("attn_q", "attn_k"):
        layer = int(name.split(".")[1])
        if layer >= config.n_layer:
            wanted = f"a layer below {config.n_layer}"
            raise FormatError(path, f"tensor {name}.lora_b", wanted, layer)
        mixer = config.layers[layer].mixer
        n_head = mixer.n_head if part == "attn_q" else mixer.n_head_kv
        n_rows = n_head * mixer.head_dim
        if b.ndim != 2 or b.shape[0] != n_rows:
            wanted = f"{n_rows} rows, like the model's matrix"
            raise FormatError(path, f"tensor {name}.lora_b: shape", wanted, b.shape)
        b = interleaved(b, n_head=n_head)
    return Pair(a, b, 1.0)


def _scale(settings: JsonObject, module: str, rank: int) -> float:
    """Return the factor of a module's product."""
    alpha = settings.real("lora_alpha", 0.0, _MAX_ALPHA)
    patterns = settings.child("alpha_pattern")
    for key in patterns.values if patterns else ():
        # PEFT reads keys as regular expressions, but most are plain names
        if not re.fullmatch(r"[\w.]+", key):
            settings.refuse("alpha_pattern", "names of modules", key)
        if patterns and (module == key or module.endswith(f".{key}")):
            alpha = patterns.real(key, 0.0, _MAX_ALPHA)
            break
    if settings.flag("use_rslora", False):  # Kalajdzievski 2023, arXiv:2312.03732
        return alpha / math.sqrt(rank)
    return alpha / rank
