"""The form of the embeddings that a call wants of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from llamacy.arguments import checked_choice, checked_flag, checked_integer
from llamacy.config import ModelConfig, Pooling
from llamacy.errors import ArgumentError

VectorPooling: TypeAlias = Literal["mean", "cls", "last"]
"""How the rows of a text become one vector."""

_CHOICES: Final = ("mean", "cls", "last", "none")
_DOT: Final = ("dot", "dot_product", "dot-product")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of embeddings.

    Attributes
    ----------
    pooling : Pooling
        How rows become vectors.
    n_dim : int
        Numbers to keep of a vector.
    normalize : bool
        Whether to divide vectors by their norms.
    """

    pooling: Pooling
    n_dim: int
    normalize: bool


def form_of(
    config: ModelConfig,
    pooling: str | None,
    dimensions: int | None,
    normalize: bool | None,
) -> Form:
    """Return the form that a call asks for; see `Model.embed`.

    Raises
    ------
    ArgumentError
        The model cannot give it.
    """
    how = _pooling(config, pooling)
    dense = config.embedding.dense_of(how)
    n_dim = dense[-1] if dense else config.n_embd
    if dimensions is not None:
        n_dim = checked_integer("dimensions", dimensions, 1, n_dim)
    if normalize is None:
        normalize = how != "none" and not _compares_lengths(config)
    return Form(how, n_dim, checked_flag("normalize", normalize))


def _pooling(config: ModelConfig, wanted: str | None) -> Pooling:
    if wanted is not None:
        return checked_choice("pooling", wanted, _CHOICES)  # type: ignore[return-value]
    of_model = config.embedding.pooling
    if of_model == "rank":
        raise ArgumentError(
            "model: wanted one that embeds texts, found one that ranks them: "
            "use rerank, or say how to pool"
        )
    if of_model is None:
        return "last" if config.is_causal else "mean"
    return of_model


def _compares_lengths(config: ModelConfig) -> bool:
    """Whether the makers compare embeddings by more than their directions."""
    embedding = config.embedding
    return not embedding.is_normalized and embedding.similarity in _DOT
