"""How a folder's weights are quantised, as config.json has it; others are refused.

Two methods are read. `fp8` has floats of 8 bits and scales for blocks of them, as
DeepSeek and Qwen publish it. `compressed-tensors` has floats or integers of 8 bits, or
packed integers of 4 or 8. Both may quantise activations too when another program runs
the model; here they stay floats, as in transformers' `dequantize=True`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from llamacy.arguments import MAX_CTX
from llamacy.formats.json_text import JsonObject
from llamacy.ggml.types import GGMLType

_KEY: Final = "quantization_config"
READ: Final = (
    "fp8, compressed-tensors or none (instead, load a GGUF file of the model, or its "
    "unquantised repository with quantize=)"
)
"""The methods that are read, and what to do about others, for errors."""

_DTYPES: Final = {
    "bfloat16": GGMLType.BF16,
    "float16": GGMLType.F16,
    "float32": GGMLType.F32,
}
_FP8_BLOCK: Final = (128, 128)
_REORDERED: Final = ("group", "dynamic", True)  # `actorder` with an order of columns


class Form(Enum):
    """How a matrix of quantised weights is stored."""

    FLOAT8 = "floats of 8 bits"
    BYTES = "integers, one a byte"
    PACKED = "integers packed into words of 32 bits"


class Scheme(NamedTuple):
    """One way in which matrices are quantised.

    Attributes
    ----------
    form : Form
        How the weights are stored.
    n_bits : int
        Bits of a weight.
    n_rows, n_columns : int
        Size of the blocks that share a scale; 0 for all rows, or all columns.
    is_symmetric : bool
        Whether there are no zero points, which are subtracted before scaling.
    """

    form: Form
    n_bits: int
    n_rows: int
    n_columns: int
    is_symmetric: bool = True

    def grid(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of the scales of a matrix."""
        sizes = zip(shape, (self.n_rows, self.n_columns), strict=True)
        n_rows, n_columns = (-(-n // size) if size else 1 for n, size in sizes)
        return n_rows, n_columns


class Quantization(NamedTuple):
    """How the weights of a folder are quantised.

    Attributes
    ----------
    method : str
        `"fp8"` or `"compressed-tensors"`.
    schemes : tuple of Scheme
        The ways in which matrices may be quantised; each may be a float as well.
    dtype : GGMLType or None
        The model's type of weights; None for that of its first tensor of floats.
    """

    method: str
    schemes: tuple[Scheme, ...]
    dtype: GGMLType | None


def read_quantization(config: JsonObject, *, has_mxfp4: bool) -> Quantization | None:
    """Read how a model's weights are quantised; None if they are floats, or in MXFP4.

    Parameters
    ----------
    config : JsonObject
        The whole config.json.
    has_mxfp4 : bool
        Whether the family is gpt-oss, of which the names of tensors say whether the
        experts are in MXFP4.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        The method, or a setting of it, is not supported.
    """
    if not config.get(_KEY):
        mlx = config.get("quantization")
        if isinstance(mlx, dict) and "bits" in mlx:
            config.refuse("quantization", READ, "MLX's weights")
        return None
    found = config.child(_KEY)
    assert found is not None
    method = found.get("quant_method")
    if has_mxfp4:
        if method != "mxfp4":
            config.refuse(_KEY, "weights that are floats, or mxfp4", method)
        return None
    if method == "fp8":
        return Quantization(method, _fp8(found), _dtype(config))
    if method == "compressed-tensors":
        schemes = tuple(dict.fromkeys(_compressed(found)))
        return Quantization(method, schemes, _dtype(config))
    found.refuse("quant_method", READ, _named(found, method))


def _named(found: JsonObject, method: Any) -> Any:
    """Return the name of a method that is not read."""
    if method is None and "bits" in found:
        return "MLX's weights"
    if method is None and (found.get("load_in_4bit") or found.get("load_in_8bit")):
        return "bitsandbytes"
    return method


def _dtype(config: JsonObject) -> GGMLType | None:
    """Return the type to which transformers would dequantise."""
    key = "dtype" if "dtype" in config else "torch_dtype"
    if key not in config:
        return None
    name = config.text(key).removeprefix("torch.")
    if name not in _DTYPES:
        config.refuse(key, f"one of {', '.join(_DTYPES)}", name)
    return _DTYPES[name]


def _fp8(found: JsonObject) -> tuple[Scheme, ...]:
    """Return the scheme of blocks, if there are any, of rows, and of whole matrices."""
    kind = found.text("expert_dtype", "fp8")
    if kind != "fp8":
        found.refuse("expert_dtype", "fp8", kind)
    blocks = [(1, 0), (0, 0)]
    if "weight_block_size" not in found.values:
        blocks.insert(0, _FP8_BLOCK)
    elif "weight_block_size" in found:
        blocks.insert(0, _block(found, "weight_block_size"))
    return tuple(Scheme(Form.FLOAT8, 8, *block) for block in blocks)


def _block(found: JsonObject, key: str) -> tuple[int, int]:
    sizes = found.items(key)
    are_whole = all(type(size) is int and 0 < size <= MAX_CTX for size in sizes)
    if len(sizes) != 2 or not are_whole:
        found.fail(key, "two sizes", sizes)
    return sizes[0], sizes[1]


def _compressed(found: JsonObject) -> Iterator[Scheme]:
    """Yield the schemes of compressed-tensors' groups.

    Which matrices belong to a group is left to their shapes: its `targets` may be
    regular expressions, and those of a hostile file may take forever.
    """
    status = found.text("quantization_status", "compressed")
    if status != "compressed":
        found.refuse("quantization_status", "compressed", status)
    if found.get("transform_config"):
        found.refuse("transform_config", "none", "transforms of activations")
    sparsity = found.child("sparsity_config")
    if sparsity is not None and sparsity.values:
        layout = sparsity.text("format", "dense")
        if layout != "dense":
            sparsity.refuse("format", "dense", layout)
    groups = found.child("config_groups")
    if groups is None or not groups.values:
        found.fail("config_groups", "an object of groups", "none")
    for name in groups.values:
        group = groups.child(name)
        weights = group.child("weights") if group is not None else None
        if group is not None and weights is not None:
            owner = group if "format" in group else found
            yield _scheme(weights, owner)


def _scheme(weights: JsonObject, owner: JsonObject) -> Scheme:
    """Read a group's settings of weights; `owner` names the format."""
    kind = weights.text("type", "int").lower()
    n_bits = weights.integer("num_bits", 1, 64, 8)
    form = _form(kind, n_bits, owner)
    if form is None:
        weights.refuse("num_bits", "4 or 8 of integers, 8 of floats", n_bits)
    if weights.get("actorder") in _REORDERED:
        weights.refuse("actorder", "weight, static or none", weights.get("actorder"))
    if weights.get("dynamic"):
        weights.refuse("dynamic", False, weights.get("dynamic"))
    is_symmetric = weights.flag("symmetric", True)
    block = _strategy(weights)
    if not is_symmetric and (form is Form.FLOAT8 or block[0] != 1):
        weights.refuse("symmetric", "true, but for integers of rows or groups", False)
    return Scheme(form, n_bits, *block, is_symmetric)


def _form(kind: str, n_bits: int, owner: JsonObject) -> Form | None:
    """Return how weights are stored; None for a number of bits that is not read."""
    wanted = {
        "pack-quantized": ("int", {4: Form.PACKED, 8: Form.PACKED}),
        "int-quantized": ("int", {4: Form.BYTES, 8: Form.BYTES}),
        "float-quantized": ("float", {8: Form.FLOAT8}),
    }
    layout = owner.text("format")
    if layout == "naive-quantized":
        layout = f"{kind}-quantized"
    if layout not in wanted or wanted[layout][0] != kind:
        owner.refuse("format", f"one of {', '.join(wanted)}", f"{layout} of {kind}")
    return wanted[layout][1].get(n_bits)


def _strategy(weights: JsonObject) -> tuple[int, int]:
    """Return the rows and columns that share a scale; 0 stands for all."""
    size = weights.integer("group_size", -1, MAX_CTX, 0)
    usual = "group" if size > 0 else "channel" if size else "tensor"
    strategy = weights.text("strategy", usual).lower()
    if strategy == "tensor":
        return 0, 0
    if strategy == "channel":
        return 1, 0
    if strategy == "group":
        return 1, weights.integer("group_size", 1, MAX_CTX)
    if strategy == "block":
        return _block(weights, "block_structure")
    weights.refuse("strategy", "tensor, channel, group or block", strategy)
