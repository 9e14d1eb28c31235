"""Latent attention, as the metadata of a GGUF file describe it.

Files say how large the one key of all heads is, and, in keys that end in `_mla`, the
own keys and values of heads. Older files have only the latter, in the usual keys.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from llamacy.config import (
    AttentionConfig,
    FamilyRules,
    LatentAttentionConfig,
    RopeConfig,
)
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.limits import MAX_EMBD, MAX_HEAD_DIM, MAX_SCALE

RANK: Final = "attention.kv_lora_rank"
LOG_MULTIPLIER: Final = ".rope.scaling.yarn_log_multiplier"
_KEY_LENGTH: Final = ".attention.key_length"
_VALUE_LENGTH: Final = ".attention.value_length"
_SECTIONS: Final = ".rope.dimension_sections"


class LatentSizes(NamedTuple):
    """Sizes of latent attention, of all layers.

    Attributes
    ----------
    n_latent, n_rotated : int
        The two parts of a key: the latent, and dimensions that are rotated.
    n_q_latent : int
        Numbers that queries are made of; 0 if they are made of the row.
    key_dim, out_dim : int
        Dimensions of a head's own key, rotated ones among them, and of its value.
    """

    n_latent: int
    n_rotated: int
    n_q_latent: int
    key_dim: int
    out_dim: int


def read_latent(keys: Keys, rules: FamilyRules) -> LatentSizes | None:
    """Read the sizes of latent attention; None for a family without it.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    """
    if RANK not in rules.keys:
        return None
    n_latent = keys.integer(f".{RANK}", 1, MAX_HEAD_DIM)
    mla = [f"{key}_mla" for key in (_KEY_LENGTH, _VALUE_LENGTH)]
    are_own = all(key in keys for key in mla)
    of_keys, of_values = mla if are_own else (_KEY_LENGTH, _VALUE_LENGTH)
    key_dim = keys.integer(of_keys, 2, MAX_HEAD_DIM)
    n_rotated = keys.integer(".rope.dimension_count", 2, key_dim - 1)
    if rules.has_recurrent_layers:
        _check_sections(keys)
    if are_own:
        lengths = {_KEY_LENGTH: n_latent + n_rotated, _VALUE_LENGTH: n_latent}
        if rules.has_recurrent_layers:  # whose files have there what nobody reads
            del lengths[_VALUE_LENGTH]
        for key, wanted in lengths.items():
            found = keys.integer(key, 1, MAX_HEAD_DIM, default=wanted)
            if found != wanted:
                keys.fail(key, wanted, found)
    return LatentSizes(
        n_latent,
        n_rotated,
        keys.integer(".attention.q_lora_rank", 0, MAX_EMBD, default=0),
        key_dim,
        keys.integer(of_values, 1, MAX_HEAD_DIM),
    )


def _check_sections(keys: Keys) -> None:
    """Refuse sections of a family whose pairs are others in models that see images.

    Raises
    ------
    UnsupportedError
        There are such.
    """
    sections = keys.metadata.get(keys.full(_SECTIONS))
    if sections is not None and np.any(sections):
        keys.refuse(_SECTIONS, "none, of a model of texts", sections)


def with_latent(
    keys: Keys, mixer: AttentionConfig, sizes: LatentSizes, rope: RopeConfig
) -> LatentAttentionConfig:
    """Return a layer's attention, which is to latents.

    YaRN multiplies scores by the square of a factor (DeepSeek's `mscale_all_dim`).

    Raises
    ------
    UnsupportedError
        Queries grow with their positions, and have an odd number of dimensions.
    """
    plain_dim = sizes.key_dim - sizes.n_rotated
    if rope.query_growth and plain_dim % 2:
        wanted = "an even number, as queries grow by pairs of dimensions"
        keys.refuse(f"{_KEY_LENGTH}_mla", wanted, sizes.key_dim)
    factor = 1.0
    if rope.scaling == "yarn":
        factor = 1 + 0.1 * log_multiplier(keys) * math.log(rope.factor)
    return mixer.extended(
        LatentAttentionConfig,
        scale=factor**2 / math.sqrt(sizes.key_dim),
        plain_dim=plain_dim,
        out_dim=sizes.out_dim,
        n_q_latent=sizes.n_q_latent,
    )


def log_multiplier(keys: Keys) -> float:
    """Read DeepSeek's `mscale_all_dim`, of which converters write the tenth."""
    found = keys.real(LOG_MULTIPLIER, most=MAX_SCALE, default=0.0, is_zero_allowed=True)
    return 10 * found
