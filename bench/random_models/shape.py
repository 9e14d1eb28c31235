"""The hyperparameters of a model, from which the rest of its file follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from llamacy.config import family_rules

Keys = Mapping[str, Any]
OfLayers = Callable[[int], Any]
"""Given the number of layers, returns a value for all, or a list of one for each."""

TINY_VOCAB: Final = 512

_WIDTH: Final = ".embedding_length"
_HEADS: Final = ".attention.head_count"
_HEADS_KV: Final = ".attention.head_count_kv"
_HEAD_DIM: Final = ".attention.key_length"

# Divisors of the sizes of tiny models, and units of which the results are multiples:
# 32 is a block of most types.
_DIVISORS: Final = {
    (64, 32): (
        *(".embedding_length", ".feed_forward_length", ".expert_feed_forward_length"),
        ".expert_shared_feed_forward_length",
    ),
    (8, 32): (".embedding_length_per_layer_input",),
    (4, 2): (
        *(".attention.key_length", ".attention.key_length_swa"),
        *(".attention.value_length", ".attention.value_length_swa"),
        *(".rope.dimension_count", ".rope.dimension_count_swa"),
        *(".attention.key_length_mla", ".attention.value_length_mla"),
        *(".attention.kv_lora_rank", ".attention.q_lora_rank", ".kda.head_dim"),
    ),
    (4, 1): (
        *(".rope.dimension_sections", ".ssm.inner_size", ".ssm.time_step_rank"),
        ".ssm.group_count",
    ),
}
_MOST: Final = {
    ".context_length": 512,
    ".attention.sliding_window": 32,
    ".expert_count": 16,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's hyperparameters.

    Attributes
    ----------
    architecture : str
        The family.
    n_layer : int
        Layers of the real model.
    n_vocab : int
        Tokens of its vocabulary.
    keys : mapping of str to Any
        The file's metadata; keys with a leading dot are the family's.
        A function stands for what it returns for the number of layers.
    optional : tuple of str
        Endings of the names of those tensors that a model of the family may have, and
        this one has.
    optional_in_windows : tuple of str
        The same, of tensors that only layers with a window have.
    joined : tuple of str
        Matrices that stand for several in all files of the family: `"attn_qkv"`, or
        `"ffn_up"` for gate and up.
    n_tiny_layers : int
        Layers of its tiny model, which has every kind of layer.
    has_mtp : bool
        Whether it has an MTP head, a layer that is not counted among the others.
    """

    architecture: str
    n_layer: int
    n_vocab: int
    keys: Keys
    optional: tuple[str, ...] = ()
    optional_in_windows: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    n_tiny_layers: int = 2
    has_mtp: bool = False

    def metadata(
        self, n_layer: int | None = None, n_vocab: int | None = None
    ) -> dict[str, Any]:
        """Return the keys with the family's name before its own.

        Parameters
        ----------
        n_layer : int, optional
            Layers, by default those of the real model.
        n_vocab : int, optional
            Tokens of the vocabulary, by default those of the real model.
        """
        n_layer = n_layer or self.n_layer
        keys = _of_layers(self.keys, n_layer)
        return self._named(keys, n_layer, n_vocab or self.n_vocab)

    def tiny_metadata(self) -> dict[str, Any]:
        """Return the keys of a model of the same kind with small sizes."""
        n_layer = self.n_tiny_layers
        keys = _with_fewer_heads(_of_layers(self.keys, n_layer))
        for (divisor, unit), names in _DIVISORS.items():
            for name in keys.keys() & names:
                keys[name] = _divided(keys[name], divisor, unit)
        if self._is_square():  # some families have no other models
            keys[_WIDTH] = keys[_HEADS] * keys[_HEAD_DIM]
        for name in keys.keys() & _MOST:
            keys[name] = min(keys[name], _MOST[name])
        return self._named(keys, n_layer, TINY_VOCAB)

    def _is_square(self) -> bool:
        """Whether the heads together are as wide as the residual."""
        n_head, head_dim = (self.keys.get(k, 0) for k in (_HEADS, _HEAD_DIM))
        return bool(self.keys[_WIDTH] == n_head * head_dim)

    def _named(self, keys: Keys, n_layer: int, n_vocab: int) -> dict[str, Any]:
        kind = "norm" if family_rules(self.architecture).has_layer_norm else "norm_rms"
        keys = {
            ".vocab_size": n_vocab,
            ".block_count": n_layer + self.has_mtp,
            f".attention.layer_{kind}_epsilon": 1e-5,
        } | dict(keys)
        if self.has_mtp:
            keys[".nextn_predict_layers"] = 1
        named = {
            self.architecture + key if key.startswith(".") else key: value
            for key, value in keys.items()
        }
        return {"general.architecture": self.architecture} | named


def _of_layers(keys: Keys, n_layer: int) -> dict[str, Any]:
    found = {
        key: value(n_layer) if callable(value) else value for key, value in keys.items()
    }
    return {
        key: np.array(value) if isinstance(value, list) else value
        for key, value in found.items()
    }


def _with_fewer_heads(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys with one or two heads of keys, and up to four times of queries.

    Where layers differ, some have more.
    """
    if _HEADS_KV not in keys:  # none attends
        return keys
    n_head_kv = np.atleast_1d(keys[_HEADS_KV])
    n, most = int(np.gcd.reduce(n_head_kv)), int(n_head_kv.max())
    divisor = n if n % 2 else n // 2
    n_head = most // divisor * min(keys[_HEADS] // most, 4)
    return keys | {_HEADS: n_head, _HEADS_KV: keys[_HEADS_KV] // divisor}


def _divided(size: Any, divisor: int, unit: int) -> Any:
    """Divide a size, or each of an array; what is not 0 stays above it."""
    if isinstance(size, np.ndarray):
        return np.array([_divided(int(each), divisor, unit) for each in size])
    return -(-size // (divisor * unit)) * unit
