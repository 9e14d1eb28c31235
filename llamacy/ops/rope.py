"""Rotary position embedding: the angle each pair of dimensions turns per position.

Scaling methods change these angles and nothing else, so both executors work from
the one table made here. Sources: Su et al. 2021 (arXiv:2104.09864); linear
scaling, Chen et al. 2023 (arXiv:2306.15595); YaRN, Peng et al. 2023
(arXiv:2309.00071); LongRoPE, Ding et al. 2024 (arXiv:2402.13753), and Llama 3.1's
scaling are divisions of the frequencies by factors that GGUF files carry. Dynamic
scaling (NTK-aware, bloc97 2023) raises the base with the length of the text.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig, RopeConfig

ADJACENT: Final = 0
"""Stands for the distance in pairs of dimensions 2i and 2i + 1, to the kernels."""


@dataclass(frozen=True)
class Rope:
    """Angles and magnitude of a rotary embedding.

    Attributes
    ----------
    n_dims : int
        Leading dimensions of a head that are rotated.
    head_dim : int
        Dimensions of a head; those past `n_dims` are left alone.
    angles : float32, (n_dims / 2,)
        Radians per position of each pair.
    magnitude : float
        Factor on the rotated dimensions.
    is_neox : bool
        Whether pairs are dimensions i and i + n_dims / 2, in the order of GPT-NeoX
        (Black et al. 2022, arXiv:2204.06745), not 2i and 2i + 1.
    long_angles : float32, (n_dims / 2,), or None
        The angles in long texts; None if they are the same.
    dynamic : RopeConfig or None
        Base and scaling of angles that depend on the length of the text.
    growth : float
        Of the magnitude with the position p: it is multiplied by
        1 + growth * ln(1 + floor(p / n_ctx_orig)). 0 for the same at all positions.
    n_ctx_orig : int
        Positions up to which it does not grow.
    """

    n_dims: int
    head_dim: int
    angles: NDArray[np.float32]
    magnitude: float
    is_neox: bool = False
    long_angles: NDArray[np.float32] | None = None
    dynamic: RopeConfig | None = None
    growth: float = 0.0
    n_ctx_orig: int = 1

    @property
    def half(self) -> int:
        """Distance of the dimensions of a pair in NeoX order, else `ADJACENT`."""
        return self.n_dims // 2 if self.is_neox else ADJACENT

    @property
    def first(self) -> slice:
        """The first dimensions of all pairs."""
        return slice(self.half) if self.is_neox else slice(0, self.n_dims, 2)

    @property
    def second(self) -> slice:
        """The second dimensions of all pairs."""
        if self.is_neox:
            return slice(self.half, self.n_dims)
        return slice(1, self.n_dims, 2)

    @classmethod
    def from_config(
        cls,
        config: RopeConfig,
        head_dim: int,
        freq_factors: NDArray[np.float32] | None = None,
        *,
        long_factors: NDArray[np.float32] | None = None,
    ) -> Rope:
        """Make the table.

        Parameters
        ----------
        config : RopeConfig
            Base, scaling, and the order of pairs.
        head_dim : int
            Dimensions of a head.
        freq_factors : float32, (n_dims / 2,), or None
            Divisors of the frequencies.
        long_factors : float32, (n_dims / 2,), or None
            Divisors of the frequencies in long texts, instead of `freq_factors`.
        """
        if long_factors is not None:
            short = cls.from_config(config, head_dim, freq_factors)
            other = cls.from_config(config, head_dim, long_factors)
            return replace(short, long_angles=other.angles)
        pair = np.arange(config.n_dims // 2, dtype=np.float64)
        angles = config.freq_base ** (-2.0 * pair / config.n_dims)
        if freq_factors is not None:
            angles /= freq_factors
        magnitude = config.attn_factor
        if config.scaling in ("linear", "longrope"):
            angles /= config.factor
        elif config.scaling == "yarn":
            interpolated = angles / config.factor
            mix = _extrapolated_share(config, pair) * config.ext_factor
            angles = interpolated * (1 - mix) + angles * mix
            if config.ext_factor != 0:
                magnitude *= 1 + 0.1 * math.log(config.factor)
        return cls(
            config.n_dims,
            head_dim,
            angles.astype(np.float32),
            magnitude,
            config.is_neox,
            dynamic=config if config.scaling == "dynamic" else None,
            growth=config.query_growth,
            n_ctx_orig=config.n_ctx_orig or 1,
        )

    @classmethod
    def growing(cls, config: RopeConfig, head_dim: int) -> Rope:
        """Make the table of dimensions that grow as rotated ones do, and do not turn.

        Parameters
        ----------
        config : RopeConfig
            How queries grow with their positions.
        head_dim : int
            Dimensions of a head, an even number.
        """
        return cls(
            head_dim,
            head_dim,
            np.zeros(head_dim // 2, np.float32),
            1.0,
            growth=config.query_growth,
            n_ctx_orig=config.n_ctx_orig or 1,
        )

    def rotations(
        self,
        positions: NDArray[np.int32],
        n_long: NDArray[np.int32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return cosines and sines, float32 (n_rows, n_dims / 2), times `magnitude`.

        Parameters
        ----------
        positions : int32, (n_rows,)
            Positions of the rows.
        n_long : int32, (n_rows,), or None
            `SequenceState.n_long` of each row's text; None for short texts alone.
        """
        angles = self.angles
        if n_long is None:
            n_long = np.zeros_like(positions)
        if self.long_angles is not None:
            angles = np.where(n_long[:, None] != 0, self.long_angles, self.angles)
        elif self.dynamic is not None:
            angles = dynamic_angles(self.dynamic, positions, n_long)
        theta = positions[:, None].astype(np.float32) * angles
        magnitudes = np.full((len(positions), 1), self.magnitude, np.float32)
        if self.growth:
            n_contexts = (positions // self.n_ctx_orig).astype(np.float32)
            magnitudes[:, 0] *= 1 + np.float32(self.growth) * np.log1p(n_contexts)
        return (
            (np.cos(theta) * magnitudes).astype(np.float32),
            (np.sin(theta) * magnitudes).astype(np.float32),
        )


class LongTexts(NamedTuple):
    """How a model rotates texts longer than those that it was first trained with.

    Attributes
    ----------
    n_short : int
        Most tokens of a text that is not long.
    is_dynamic : bool
        Whether rotations depend on the length of a long text. They are the same for all
        long texts otherwise, and for all of their tokens.
    """

    n_short: int
    is_dynamic: bool = False

    def n_long(self, n_tokens: int) -> int:
        """Return `SequenceState.n_long` of a text of that many tokens."""
        if n_tokens <= self.n_short:
            return 0
        return n_tokens if self.is_dynamic else 1


def long_texts(config: ModelConfig, weights: Container[str]) -> LongTexts | None:
    """Return how a model rotates long texts; None if it rotates all texts alike.

    LongRoPE has two sets of factors: one for texts within the context that the model
    was first trained for, another for all tokens of longer texts. As keys are kept
    rotated, a text that grows longer is read again.

    Dynamic scaling has frequencies for each length. As in transformers, the tokens of a
    prompt have those of its length, and each token after them those of the text that
    ends with it, so that a text can grow without being read again.

    Parameters
    ----------
    config : ModelConfig
        The model.
    weights : container of str
        Names of its weights.
    """
    names = "rope_factors_short.weight", "rope_factors_long.weight"
    has_two = "rope_freqs.weight" not in weights and any(
        name in weights for name in names
    )
    is_dynamic = config.rope.scaling == "dynamic"
    if not has_two and not is_dynamic:
        return None
    return LongTexts(config.rope.n_ctx_orig, is_dynamic)


def dynamic_angles(
    config: RopeConfig, positions: NDArray[np.int32], n_long: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the angles of rows whose texts are scaled by their length.

    Parameters
    ----------
    config : RopeConfig
        Base and scaling.
    positions : int32, (n_rows,)
        Positions of the rows.
    n_long : int32, (n_rows,)
        `SequenceState.n_long` of each row's text.

    Returns
    -------
    float32, (n_rows, n_dims / 2)
        Radians per position of each pair.
    """
    n_tokens = np.maximum(positions.astype(np.float64) + 1, n_long)
    stretch = 1 + config.factor * np.maximum(n_tokens / config.n_ctx_orig - 1, 0)
    pair = np.arange(config.n_dims // 2, dtype=np.float64)
    # the last pair is slowed by the whole stretch, the first not at all
    share = pair / max(1, config.n_dims // 2 - 1)
    angles = config.freq_base ** (-2.0 * pair / config.n_dims)
    return (angles / stretch[:, None] ** share).astype(np.float32)


def _extrapolated_share(
    config: RopeConfig, pair: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return YaRN's ramp: 1 where a pair turns often enough to be left as trained."""

    def pair_turning(n_rotations: float) -> float:
        wavelength = config.n_ctx_orig / (n_rotations * 2 * math.pi)
        return config.n_dims * math.log(wavelength) / (2 * math.log(config.freq_base))

    low, high = pair_turning(config.beta_fast), pair_turning(config.beta_slow)
    if config.is_range_rounded:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(0.0, low), min(config.n_dims - 1.0, high)
    ramp = (pair - low) / max(0.001, high - low)
    return 1 - np.clip(ramp, 0, 1)
