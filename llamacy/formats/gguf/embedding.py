"""Embeddings and scores of texts, as the metadata of a GGUF file describe them.

GGUF has keys for pooling, for the names of scores and for the widths of dense layers.
The others are llamacy's own: a folder says more than that.
"""

from __future__ import annotations

from typing import Final, Literal, cast

from llamacy.arguments import MAX_CTX
from llamacy.config import ClassifierPooling, EmbeddingConfig, FamilyRules, Pooling
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.limits import MAX_EMBD

POOLINGS: Final[tuple[Pooling, ...]] = ("none", "mean", "cls", "last", "rank")
"""Kinds of pooling by their numbers in files."""

NORMALIZED: Final = "embedding.normalize"
N_TOKENS: Final = "embedding.max_tokens"
PROMPT_NAMES: Final = "embedding.prompt_names"
PROMPTS: Final = "embedding.prompts"
DEFAULT_PROMPT: Final = "embedding.default_prompt"
SIMILARITY: Final = "embedding.similarity"
TANH: Final = "embedding.dense_tanh"
SCORE_ACTIVATION: Final = "embedding.score_activation"
LATE: Final = "embedding.scores_rows"
SCORE_ACTIVATIONS: Final = ("identity", "sigmoid")
DENSE: Final = ("dense_2", "dense_3")

EMBEDDING_KEYS: Final = frozenset(
    (
        *("pooling_type", "classifier.pooling_type", "classifier.output_labels"),
        *(NORMALIZED, N_TOKENS, PROMPT_NAMES, PROMPTS, DEFAULT_PROMPT, SIMILARITY),
        *(TANH, SCORE_ACTIVATION, LATE),
        *(f"{name}_feat_{end}" for name in DENSE for end in ("in", "out")),
    )
)
"""Keys that are read here, without the family's name before them."""

_UNSPECIFIED: Final = -1  # in llama.cpp
_WIDTH: Final = "embedding_length_out"  # of a dense layer, in files of LFM2


def read_embedding(keys: Keys, rules: FamilyRules, n_embd: int) -> EmbeddingConfig:
    """Read how a model embeds texts.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    rules : FamilyRules
        The family's rules.
    n_embd : int
        Width of the model's rows.

    Raises
    ------
    FormatError
        A value is of another type, out of range, or does not go with another.
    """
    names, prompts = keys.texts(f".{PROMPT_NAMES}"), keys.texts(f".{PROMPTS}")
    if len(names) != len(prompts):
        keys.fail(f".{PROMPTS}", f"{len(names)} of them", len(prompts))
    default = keys.text(f".{DEFAULT_PROMPT}", default="")
    if default and default not in names:
        keys.fail(f".{DEFAULT_PROMPT}", "the name of a prompt", default)
    n_tokens = f".{N_TOKENS}"
    pooling, dense = _pooling(keys, ".pooling_type"), _dense(keys, n_embd)
    if not dense and _WIDTH in rules.keys and (width := _width(keys)):
        dense, pooling = (width,), pooling or "none"
    return EmbeddingConfig(
        pooling=pooling,
        dense=dense,
        has_tanh=keys.flag(f".{TANH}", False),
        classifier_pooling=_classifier_pooling(keys, rules, pooling),
        classifier_activation=rules.classifier_activation,
        labels=keys.texts(".classifier.output_labels"),
        is_normalized=keys.flag(f".{NORMALIZED}", False),
        n_tokens=keys.integer(n_tokens, 1, MAX_CTX) if n_tokens in keys else None,
        prompts=dict(zip(names, prompts, strict=True)),
        default_prompt=default,
        similarity=keys.text(f".{SIMILARITY}", default=""),
        score_activation=_score_activation(keys),
    )


def _pooling(keys: Keys, key: str) -> Pooling | None:
    number = keys.integer(key, _UNSPECIFIED, len(POOLINGS) - 1, default=_UNSPECIFIED)
    return None if number == _UNSPECIFIED else POOLINGS[number]


def _width(keys: Keys) -> int:
    """Read the width of rows after a dense layer; 0 without one."""
    return keys.integer(f".{_WIDTH}", 0, MAX_EMBD, default=0)


def _classifier_pooling(
    keys: Keys, rules: FamilyRules, pooling: Pooling | None
) -> ClassifierPooling:
    """Read what a classifier reads: the last row of a model that writes texts."""
    if keys.flag(f".{LATE}", False):
        return "late"
    key = ".classifier.pooling_type"
    found = _pooling(keys, key)
    if found == "none" or found == "rank":
        keys.fail(key, "a kind that makes one row of many", POOLINGS.index(found))
    if found is not None:
        return found
    is_causal = keys.flag(".attention.causal", rules.is_causal)
    return "last" if is_causal and pooling == "rank" else rules.classifier_pooling


def _score_activation(keys: Keys) -> Literal["", "identity", "sigmoid"]:
    found = keys.text(f".{SCORE_ACTIVATION}", default="")
    if found not in ("", *SCORE_ACTIVATIONS):
        keys.refuse(f".{SCORE_ACTIVATION}", " or ".join(SCORE_ACTIVATIONS), found)
    return cast(Literal["", "identity", "sigmoid"], found)


def _dense(keys: Keys, n_embd: int) -> tuple[int, ...]:
    """Read the widths of dense layers, each of which reads the one before."""
    widths: list[int] = []
    n_in = n_embd
    for name in DENSE:
        if f".{name}_feat_out" not in keys:
            break
        found = keys.integer(f".{name}_feat_in", 1, MAX_EMBD, default=n_in)
        if found != n_in:
            keys.fail(f".{name}_feat_in", n_in, found)
        n_in = keys.integer(f".{name}_feat_out", 1, MAX_EMBD)
        widths.append(n_in)
    return tuple(widths)
