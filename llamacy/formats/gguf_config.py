"""Hyperparameters from the metadata of a GGUF file.

Keys are those of the GGUF specification, prefixed with the architecture's name;
defaults are llama.cpp's. Whether the architecture is one llamacy can run is not
decided here. Limits lie far beyond any real model: they keep absurd numbers from
becoming absurd allocations further up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np

from llamacy.config import ModelConfig, RopeConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.cursor import shown
from llamacy.formats.model_file import ModelFile

MAX_LAYERS: Final = 1 << 12
MAX_EMBD: Final = 1 << 20
MAX_HEADS: Final = 1 << 16
MAX_HEAD_DIM: Final = 1 << 16
MAX_FF: Final = 1 << 24
MAX_VOCAB: Final = 1 << 24
MAX_CTX: Final = (1 << 31) - 1  # positions are int32
MAX_ROPE_SCALE: Final = 1e6  # of factors, magnitudes and YaRN's betas
MIN_ROPE_SCALE: Final = 1e-6  # smaller ones make angles overflow
MAX_FREQ_BASE: Final = 1e15

_SCALINGS: Final = ("none", "linear", "yarn")


def read_architecture(file: ModelFile) -> str:
    """Read the name of a model's family, which other keys begin with.

    Raises
    ------
    FormatError : the file does not say.
    """
    return _Keys(file, "").text("general.architecture")


def read_config(file: ModelFile) -> ModelConfig:
    """Read and check a model's hyperparameters.

    Parameters
    ----------
    file : open, or closed already: only its metadata are needed.

    Raises
    ------
    FormatError : a key is missing, of another type, out of range, or does not go
        with another; it names the key.
    UnsupportedError : layers that differ from one another, keys and values of
        different lengths, or a kind of RoPE scaling not known here.
    """
    architecture = read_architecture(file)
    keys = _Keys(file, architecture)
    n_layer = keys.integer(".block_count", 1, MAX_LAYERS)
    n_embd = keys.integer(".embedding_length", 1, MAX_EMBD)
    n_head = keys.per_layer(".attention.head_count", n_layer, MAX_HEADS)
    n_head_kv = keys.per_layer(
        ".attention.head_count_kv", n_layer, MAX_HEADS, default=n_head
    )
    if n_head % n_head_kv:
        keys.fail(".attention.head_count_kv", f"a divisor of {n_head}", n_head_kv)
    head_dim = _head_dim(keys, n_embd, n_head)
    n_ctx_train = keys.integer(".context_length", 1, MAX_CTX)
    return ModelConfig(
        architecture=architecture,
        name=keys.text("general.name", default=""),
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=head_dim,
        n_ff=keys.per_layer(".feed_forward_length", n_layer, MAX_FF),
        n_vocab=_n_vocab(keys),
        n_ctx_train=n_ctx_train,
        norm_eps=keys.real(".attention.layer_norm_rms_epsilon", most=1.0),
        rope=_rope(keys, head_dim, n_ctx_train),
    )


def _head_dim(keys: _Keys, n_embd: int, n_head: int) -> int:
    key = ".attention.key_length"
    if key not in keys and n_embd % n_head:
        keys.fail(".attention.head_count", f"a divisor of {n_embd}", n_head)
    head_dim = keys.integer(key, 1, MAX_HEAD_DIM, default=n_embd // n_head)
    key = ".attention.value_length"
    value_dim = keys.integer(key, 1, MAX_HEAD_DIM, default=n_embd // n_head)
    if value_dim != head_dim:
        keys.refuse(key, f"{head_dim}, the length of keys", value_dim)
    return head_dim


def _n_vocab(keys: _Keys) -> int:
    """Count the vocabulary; in files without one, take what the key says."""
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return keys.integer(".vocab_size", 1, MAX_VOCAB)
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_VOCAB:
        wanted = f"1 to {MAX_VOCAB} strings"
        keys.fail("tokenizer.ggml.tokens", wanted, tokens)
    return len(tokens)


def _rope(keys: _Keys, head_dim: int, n_ctx_train: int) -> RopeConfig:
    n_dims = keys.integer(".rope.dimension_count", 2, head_dim, default=head_dim)
    if n_dims % 2:
        keys.fail(".rope.dimension_count", "an even number", n_dims)
    freq_base = keys.real(".rope.freq_base", most=MAX_FREQ_BASE, default=10000.0)
    if freq_base <= 1:
        keys.fail(".rope.freq_base", "more than 1", freq_base)
    scaling = keys.text(".rope.scaling.type", default="linear")
    if scaling not in _SCALINGS:
        keys.refuse(".rope.scaling.type", f"one of {', '.join(_SCALINGS)}", scaling)
    factor = _rope_factor(keys)
    if scaling == "none" or (scaling == "linear" and factor == 1):
        scaling, factor = "none", 1.0
    ext_factor = 0.0
    if scaling == "yarn":
        if factor < 1:
            keys.fail(".rope.scaling.factor", "at least 1 for YaRN", factor)
        ext_factor = keys.share(".rope.scaling.yarn_ext_factor", default=1.0)
    attn_factor = keys.scale(".rope.scaling.attn_factor")
    if ext_factor == 0:  # llama.cpp replaces this one where YaRN extrapolates
        attn_factor *= keys.scale(".rope.scaling.yarn_attn_factor")
    key = ".rope.scaling.original_context_length"
    return RopeConfig(
        n_dims=n_dims,
        freq_base=freq_base,
        scaling=scaling,
        factor=factor,
        n_ctx_orig=keys.integer(key, 0, MAX_CTX, default=0) or n_ctx_train,
        attn_factor=attn_factor,
        ext_factor=ext_factor,
        beta_fast=keys.scale(".rope.scaling.yarn_beta_fast", default=32.0),
        beta_slow=keys.scale(".rope.scaling.yarn_beta_slow"),
    )


def _rope_factor(keys: _Keys) -> float:
    """Read the newer key, or else the older one; 0 means that there is no scaling."""
    for key in (".rope.scaling.factor", ".rope.scale_linear"):
        if key in keys:
            found = keys.real(
                key, most=MAX_ROPE_SCALE, least=MIN_ROPE_SCALE, is_zero_allowed=True
            )
            return found or 1.0
    return 1.0


class _Keys:
    """Values of a file's metadata, checked.

    A key given with a leading dot is one of the architecture's:
    ``".block_count"`` stands for ``"llama.block_count"``.
    """

    def __init__(self, file: ModelFile, architecture: str) -> None:
        self.metadata: Mapping[str, Any] = file.metadata
        self._path = file.path
        self._architecture = architecture

    def __contains__(self, key: str) -> bool:
        return self._full(key) in self.metadata

    def integer(
        self, key: str, least: int, most: int, default: int | None = None
    ) -> int:
        """Read a whole number in a range."""
        found = self._get(key, default)
        if not isinstance(found, int) or isinstance(found, bool):
            self.fail(key, "a whole number", found)
        if not least <= found <= most:
            self.fail(key, f"{least} to {most}", found)
        return found

    def per_layer(
        self, key: str, n_layer: int, most: int, default: int | None = None
    ) -> int:
        """Read a whole number of at least 1, or an array of it, once per layer."""
        found = self._get(key, default)
        if not isinstance(found, np.ndarray):
            return self.integer(key, 1, most, default)
        if found.dtype.kind not in "iu" or len(found) != n_layer:
            self.fail(key, f"a whole number, or {n_layer} of them", found)
        first = int(found[0])
        if not 1 <= first <= most:
            self.fail(key, f"1 to {most}", first)
        if (found != found[0]).any():
            self.refuse(key, "the same number for all layers", "different ones")
        return first

    def real(
        self,
        key: str,
        most: float,
        default: float | None = None,
        least: float = 0.0,
        is_zero_allowed: bool = False,
    ) -> float:
        """Read a finite number above 0 and not below `least`, or 0 if it is allowed."""
        found = self._get(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.fail(key, "a number", found)
        # a NaN fails every comparison
        is_in_range = found > 0 and least <= found <= most
        if not is_in_range and not (is_zero_allowed and found == 0):
            lowest = f"from {least:g}" if least else "above 0"
            wanted = f"a number {lowest}, at most {most:g}"
            self.fail(key, f"0, or {wanted}" if is_zero_allowed else wanted, found)
        return float(found)

    def scale(self, key: str, default: float = 1.0) -> float:
        """Read a magnitude."""
        return self.real(
            key, most=MAX_ROPE_SCALE, default=default, least=MIN_ROPE_SCALE
        )

    def share(self, key: str, default: float) -> float:
        """Read a number up to 1; a negative one means the default, as in llama.cpp."""
        found = self._get(key, default)
        if isinstance(found, float) and -math.inf < found < 0:
            return default
        return self.real(key, most=1.0, default=default, is_zero_allowed=True)

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string, not empty unless it may be missing."""
        found = self._get(key, default)
        if not isinstance(found, str):
            self.fail(key, "a string", found)
        if not found and default is None:
            self.fail(key, "a name", "an empty one")
        return found

    def fail(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that is wrong."""
        raise FormatError(self._path, self._full(key), wanted, shown(found))

    def refuse(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that llamacy cannot make use of."""
        raise UnsupportedError(self._path, self._full(key), wanted, shown(found))

    def _get(self, key: str, default: object) -> object:
        found = self.metadata.get(self._full(key), default)
        if found is None:
            self.fail(key, "a value", "no such key")
        return found

    def _full(self, key: str) -> str:
        return self._architecture + key if key.startswith(".") else key
