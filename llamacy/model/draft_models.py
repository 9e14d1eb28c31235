"""Draft models: read beside the model that they draft for, whose tokens they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from llamacy.config import ModelConfig
from llamacy.errors import FormatError
from llamacy.formats.model_file import ModelFile
from llamacy.model.executors import load_executor
from llamacy.model.quantizing import quantized
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import Source

if TYPE_CHECKING:
    from llamacy.ops.plan.plan import Plan

_TOKENS = "tokenizer.ggml.tokens"


class LoadedDraft(NamedTuple):
    """A draft model in memory.

    Attributes
    ----------
    executor : Plan
        Runs it.
    n_ctx : int or None
        Most tokens of a text that it can read; None if any number.
    """

    executor: Plan
    n_ctx: int | None


def read_draft(
    source: Source, model: ModelFile, config: ModelConfig, **options: Any
) -> LoadedDraft:
    """Read a draft model.

    Parameters
    ----------
    source : Source
        Its file or folder, and the type to quantise it to.
    model : ModelFile
        The file of the model that it drafts for.
    config : ModelConfig
        The hyperparameters of that model.
    **options : Any
        Options of `load_executor`, `n_threads` among them.

    Raises
    ------
    FormatError
        It has other tokens; or any other error of `llamacy.load`.
    """
    with open_model(source.path) as file:
        _, its_config = read_hyperparameters(file)
        its_config = replace(its_config, has_mtp=False)  # nothing drafts for it
        _check_tokens(file, its_config, model, config)
        n_threads: int = options["n_threads"]
        with quantized(file, its_config, source.type, n_threads) as weights:
            executor = load_executor(weights, its_config, **options)
        learned = its_config.has_learned_positions
        return LoadedDraft(executor, its_config.n_ctx_train if learned else None)


def _check_tokens(
    draft: ModelFile, its_config: ModelConfig, model: ModelFile, config: ModelConfig
) -> None:
    """Check that two models mean the same by each token that both have.

    Vocabularies are often padded, so that one may have more tokens than the other.

    Raises
    ------
    FormatError
        They differ in a token; or, where one has no vocabulary, in their sizes.
    """
    ours, theirs = _tokens(model.metadata), _tokens(draft.metadata)
    if ours is None or theirs is None:
        if its_config.n_vocab != config.n_vocab:
            wanted = f"{config.n_vocab}, as in {model.path}"
            raise FormatError(draft.path, "vocab_size", wanted, its_config.n_vocab)
        return
    for token, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our != their:
            wanted = f"{our!r}, as in {model.path}"
            raise FormatError(draft.path, f"{_TOKENS}[{token}]", wanted, repr(their))


def _tokens(metadata: Mapping[str, Any]) -> Any:
    return metadata.get(_TOKENS)
