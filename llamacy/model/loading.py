"""From files to a model in memory: where the layers meet."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llamacy.arguments import (
    MAX_CTX,
    check_callback,
    checked_choice,
    checked_flag,
    checked_integer,
    checks_options,
)
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.file_types import FileType
from llamacy.model.active_texts import choose_active
from llamacy.model.adapters import AdapterSet, Lora, read_adapters
from llamacy.model.draft_models import LoadedDraft, read_draft
from llamacy.model.executors import Progress, load_executor
from llamacy.model.model import Model
from llamacy.model.pickling import Recipe, lasting_source
from llamacy.model.quantizing import quantized
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import Source, find_source
from llamacy.ops.batch import MAX_BATCH, N_BATCH
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.sessions.file import Origin
from llamacy.system.memory import available_memory
from llamacy.system.threads import checked_threads

if TYPE_CHECKING:
    from llamacy.ops.plan.plan import Plan

_MAX_PROMPT_CACHE = 2**30  # bytes, unless the caller says

_USUAL_TEXT = 4096  # tokens of a text, for which active ones should have memory

_logger = logging.getLogger("llamacy")


@checks_options()
def load(
    source: str | os.PathLike[str],
    *,
    n_ctx: int | None = None,
    n_threads: int | None = None,
    n_batch: int = N_BATCH,
    kv_type: str = "f16",
    quantize: str | None = None,
    prompt_cache: int | None = None,
    max_active: int | None = None,
    max_waiting: int | None = None,
    drafting: bool = True,
    draft: str | os.PathLike[str] | None = None,
    lora: Lora = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model into memory, ready to generate.

    `llamacy.inspect` says beforehand what it will need. The weights are packed for this
    machine's instruction set, in memory of their own, so that the file may be deleted
    afterwards. Only the embeddings that each layer of Gemma 4 has of its own stay in
    the file, which must not be written to while the model is in use.

    Parameters
    ----------
    source : str or os.PathLike
        Path of a GGUF file, or of any part of a split one; or of a folder in Hugging
        Face's layout, with config.json and safetensors. Or a name on the Hugging Face
        hub, ``"user/repo:Q4_K_M"``, which is fetched as by `llamacy.pull`; if the
        repository has safetensors, the type is what they are quantised to. ``"demo"``
        is the tiny model that comes with the package.
    n_ctx : int, optional
        Most tokens of prompt and text together; by default as many as the model was
        trained on, or for an encoder as its makers say. Its memory is taken page by
        page as texts grow, so that a large number costs nothing until it is used; more
        than the model was trained on may confuse it, and is logged as a warning.
    n_threads : int, optional
        Threads to compute with; by default one for each physical core that this process
        may use, and at most `OMP_NUM_THREADS`. More are slower: they share a core's
        vector units.
    n_batch : int, default 512
        Most rows of a forward pass, up to 8192, each a token of a prompt or of a text.
        A larger number prefills a long prompt a little faster, because each pass reads
        all weights; a smaller one takes less memory, and keeps texts that are being
        generated from waiting long for others' prompts.
    kv_type : {"f16", "f32", "q8_0"}, default "f16"
        How keys and values are kept. ``"q8_0"`` halves the memory of a context, at a
        small cost in quality; ``"f32"`` doubles it, and is for comparisons. ``"f16"``
        is bfloat16 where attention is computed in that.
    quantize : str, optional
        A file type such as ``"Q4_K_M"`` to quantise the weights to, tensor by tensor,
        while they are loaded. By default they stay as they are. If you load a model
        more than once, `llamacy.quantize` it to a file, which loads faster.
    prompt_cache : int, optional
        Most bytes of keys and values kept of texts that have ended, for prompts that
        begin alike. By default one full context, at most 1 GiB; 0 keeps none.
    max_active : int, optional
        Most texts that are generated together, up to `n_batch`: each pass over the
        weights adds a token to all of them. By default 16 to 64: four for each thread,
        and more of a mixture of experts, if there is memory for them. Further ones
        wait; streams that stand still until their readers catch up do not count. At
        every level but `amx` texts do not depend on it.
    max_waiting : int, optional
        Most requests that may wait for a place when another call comes, which then
        raises BusyError; one call may bring any number. By default no call is refused.
        `model.engine.load().n_waiting` says how many wait.
    drafting : bool, default True
        Whether passes check several tokens at once where a text repeats what it or its
        prompt says, or where the model's own MTP head says how it goes on. No text is
        changed by it, and it is not done where measured times show that it does not
        pay; calls may decide otherwise. False leaves an MTP head out of memory.
    draft : str or os.PathLike, optional
        A smaller model with the same tokens, of the same family for example: it drafts
        what a text does not repeat, in place of the model's MTP head. Each of its
        tokens takes a pass of it, so that it should have a tenth of the weights or
        fewer. No text is changed by it.
    lora : path, (path, float), or sequence of either, optional
        LoRA adapters to start with, as for `Model.set_adapters`.
    progress : callable, optional
        Called with the share loaded, 0.0 to 1.0.

    Returns
    -------
    Model
        Use it in a ``with`` block, or `close` it, to free its memory.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    HubError
        The hub does not have it, refuses it, or cannot be reached.
    FormatError
        The file is broken; or UnsupportedError, it needs something that llamacy does
        not have; or the draft model has other tokens.
    OutOfMemoryError
        The weights do not fit into memory.
    ArgumentError
        An option has an invalid value.

    Examples
    --------
    >>> with llamacy.load("demo", n_ctx=256, kv_type="q8_0") as model:
    ...     model.generate("The capital of France is", temperature=0).text
    ' Paris'
    """
    check_callback("progress", progress)
    options: dict[str, Any] = {
        "n_ctx": n_ctx,
        "n_threads": n_threads,
        "n_batch": n_batch,
        "kv_type": kv_type,
        "quantize": quantize,
        "prompt_cache": prompt_cache,
        "max_active": max_active,
        "max_waiting": max_waiting,
        "drafting": drafting,
        "draft": draft,
    }
    settings = _check(source, **options)
    if draft is not None and settings.draft is not None:
        options["draft"] = lasting_source(draft, settings.draft.path)
    parts = _read(settings, lora, progress)
    lasting = lasting_source(source, settings.path)
    recipe = Recipe(lasting, tuple(options.items()), parts.fingerprint)
    return _assemble(parts, settings, recipe)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The checked arguments of `load`; None leaves a size to the model."""

    path: Path
    n_ctx: int | None
    n_threads: int
    n_batch: int
    kv_type: str
    file_type: FileType | None
    prompt_cache: int | None
    max_active: int | None
    max_waiting: int | None
    drafting: bool
    draft: Source | None


class _Parts(NamedTuple):
    """The contents of a file, which may be closed."""

    config: ModelConfig
    executor: Plan
    metadata: dict[str, Any]
    fingerprint: str
    adapters: AdapterSet
    draft: LoadedDraft | None


def _check(
    source: str | os.PathLike[str],
    *,
    n_ctx: int | None,
    n_threads: int | None,
    n_batch: int,
    kv_type: str,
    quantize: str | None,
    prompt_cache: int | None,
    max_active: int | None,
    max_waiting: int | None,
    drafting: bool,
    draft: str | os.PathLike[str] | None,
) -> _Settings:
    """Find the model, and check the other arguments; its files are not opened yet."""
    found = find_source(source)
    if n_ctx is not None:
        n_ctx = checked_integer("n_ctx", n_ctx, 1, MAX_CTX)
    if prompt_cache is not None:
        prompt_cache = checked_integer("prompt_cache", prompt_cache, 0)
    n_batch = checked_integer("n_batch", n_batch, 1, MAX_BATCH)
    if max_active is not None:
        max_active = checked_integer("max_active", max_active, 1, n_batch)
    if max_waiting is not None:
        max_waiting = checked_integer("max_waiting", max_waiting, 0)
    return _Settings(
        found.path,
        n_ctx,
        checked_threads(n_threads),
        n_batch,
        checked_choice("kv_type", kv_type, tuple(KV_TYPES)),
        found.file_type(quantize, "quantize"),
        prompt_cache,
        max_active,
        max_waiting,
        checked_flag("drafting", drafting),
        None if draft is None else find_source(draft, argument="draft"),
    )


def _read(settings: _Settings, lora: Lora, progress: Progress | None) -> _Parts:
    """Read the file: hyperparameters, adapters, and the weights, which are packed."""
    with ExitStack() as opened:
        file: ModelFile = opened.enter_context(open_model(settings.path))
        _, config = read_hyperparameters(file)
        drafts = settings.drafting and settings.draft is None
        config = replace(config, has_mtp=config.has_mtp and drafts)
        adapters = read_adapters(lora, config)
        weights = opened.enter_context(
            quantized(file, config, settings.file_type, settings.n_threads)
        )
        options: dict[str, Any] = {
            "n_threads": settings.n_threads,
            "kv_type": settings.kv_type,
            "n_batch": settings.n_batch,
        }
        draft = None
        if settings.draft is not None:  # first: it may have other tokens
            draft = read_draft(settings.draft, file, config, **options)
        executor = load_executor(weights, config, progress=progress, **options)
        fingerprint = weights.fingerprint()
        return _Parts(config, executor, weights.metadata, fingerprint, adapters, draft)


def _assemble(parts: _Parts, settings: _Settings, recipe: Recipe) -> Model:
    """Make the model, with the sizes that depend on what was read."""
    path, page_bytes = str(settings.path), parts.executor.page_bytes
    n_ctx = _context(settings.n_ctx, parts.config, path)
    prompt_cache, max_active = settings.prompt_cache, settings.max_active
    if prompt_cache is None:
        prompt_cache = min(_text_bytes(parts.executor, n_ctx), _MAX_PROMPT_CACHE)
    if max_active is None:
        of_text = _text_bytes(parts.executor, min(n_ctx, _USUAL_TEXT))
        n_threads = settings.n_threads
        max_active = choose_active(parts.config, n_threads, of_text, available_memory())
    return Model(
        path,
        parts.config,
        parts.executor,
        parts.metadata,
        n_ctx=n_ctx,
        cache_bytes=prompt_cache,
        max_waiting=settings.max_waiting,
        max_active=max_active,
        drafting=settings.drafting,
        draft=parts.draft,
        origin=Origin(parts.fingerprint, settings.kv_type, PAGE, page_bytes),
        adapters=parts.adapters,
        recipe=recipe,
    )


def _text_bytes(executor: Plan, n_tokens: int) -> int:
    """Return the most memory that a text of `n_tokens` takes."""
    return -(-n_tokens // PAGE) * executor.page_bytes + executor.most_text_bytes


def _context(n_ctx: int | None, config: ModelConfig, path: str) -> int:
    """Return the tokens of context; warn of more than the model was trained on.

    Raises
    ------
    ArgumentError
        The model has learned its positions, and there are no more of them.
    """
    n_ctx_train = config.n_ctx_train
    if n_ctx is None:
        return min(n_ctx_train, _most_embedded(config))
    if n_ctx > n_ctx_train and config.has_learned_positions:
        wanted = f"at most {n_ctx_train}, the positions that the model has learned"
        raise ArgumentError(f"n_ctx: wanted {wanted}, found {n_ctx}")
    if n_ctx > n_ctx_train:
        _logger.warning(
            "%s: a context of %d tokens is more than the %d the model was trained on",
            path,
            n_ctx,
            n_ctx_train,
        )
    return n_ctx


def _most_embedded(config: ModelConfig) -> int:
    """Return the most tokens that makers of a model for embeddings mean it to read."""
    embedding = config.embedding
    is_for_embeddings = not config.is_causal or embedding.pooling is not None
    return (is_for_embeddings and embedding.n_tokens) or MAX_CTX
