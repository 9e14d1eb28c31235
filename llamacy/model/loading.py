"""From files to a model in memory: where the layers meet."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import replace

from llamacy.architectures import find_architecture
from llamacy.arguments import check_callback, checked_integer
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.model_file import ModelFile
from llamacy.formats.requantized import RequantizedFile
from llamacy.model.adapters import Lora, read_adapters
from llamacy.model.executors import Progress, load_executor
from llamacy.model.model import Model
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import find_source
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.sessions.file import Origin
from llamacy.system.threads import default_threads

_MAX_THREADS = 1024  # more is a slip of the hand, and may exhaust the machine
_MAX_CTX = 2**31 - 1  # positions are int32
_MAX_PROMPT_CACHE = 2**30  # bytes, where nothing is said

_logger = logging.getLogger("llamacy")


def load(
    source: str | os.PathLike[str],
    *,
    n_ctx: int | None = None,
    n_threads: int | None = None,
    kv_type: str = "f16",
    quantize: str | None = None,
    prompt_cache: int | None = None,
    lora: Lora = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    source : path of a GGUF file; of a split model, the path of any part. Or the
        path of a folder as Hugging Face has them, with config.json and safetensors.
        Or a name on the Hugging Face hub, ``"user/repo:Q4_K_M"``, which is fetched
        (see :func:`llamacy.pull`) if it is not in the cache; if the repository has
        safetensors, the type is what they are quantised to. ``"demo"`` is the tiny
        model that comes with the package.
    n_ctx : most tokens of prompt and text together; None is what the model was
        trained for. Memory for them is taken as they come.
    n_threads : threads to compute with; None is one for each physical core this
        process may use.
    kv_type : how keys and values are kept: ``"f16"``, ``"f32"``, or ``"q8_0"``,
        which takes half the memory of f16.
    quantize : a file type as ``"Q4_K_M"`` that the weights are turned into on the way
        in, tensor by tensor; None leaves them as they are. It takes longer than to
        load a file that :func:`llamacy.quantize` wrote.
    prompt_cache : most bytes of keys and values kept of past texts, for new prompts
        that begin like them; None is a full context, at most 1 GiB; 0 keeps none.
    lora : LoRA adapters to begin with, as of :meth:`~llamacy.Model.set_adapters`.
    progress : called with the share loaded, 0.0 to 1.0.

    Raises
    ------
    ModelFileError : the file cannot be read.
    HubError : the hub does not have it, refuses it, or cannot be reached.
    FormatError : it is not a sound model, or (UnsupportedError) needs something
        llamacy does not have.
    OutOfMemoryError : the weights do not fit into memory; see
        :func:`llamacy.inspect`.
    ArgumentError : an option has a value that cannot be used.

    Examples
    --------
    >>> model = load("llama-2-7b.Q4_K_M.gguf", n_ctx=2048)  # doctest: +SKIP
    >>> load("demo").generate("What is", max_tokens=1).usage.completion_tokens
    1
    """
    found = find_source(source)
    path = found.path
    if n_ctx is not None:
        n_ctx = checked_integer("n_ctx", n_ctx, 1, _MAX_CTX)
    if n_threads is None:
        n_threads = default_threads()
    n_threads = checked_integer("n_threads", n_threads, 1, _MAX_THREADS)
    if kv_type not in tuple(KV_TYPES):
        raise ArgumentError(
            f"kv_type: wanted one of {', '.join(KV_TYPES)}, found {kv_type!r}"
        )
    if prompt_cache is not None:
        prompt_cache = checked_integer("prompt_cache", prompt_cache, 0)
    check_callback("progress", progress)
    file_type = found.file_type(quantize, "quantize")
    with ExitStack() as opened:
        file: ModelFile = opened.enter_context(open_model(path))
        config = _read_config(file, n_ctx)
        adapters = read_adapters(lora, config)
        if file_type is not None:
            usual = usual_experts(file.tensors, file.path)
            requantized = RequantizedFile(file, file_type, n_threads, usual)
            file = opened.enter_context(requantized)
        executor = load_executor(
            file, config, n_threads=n_threads, kv_type=kv_type, progress=progress
        )
        fingerprint = _fingerprint(file, config)
        metadata = file.metadata
    page_bytes = executor.page_bytes
    n_ctx = _context(n_ctx, config.n_ctx_train, str(path))
    if prompt_cache is None:
        prompt_cache = min(-(-n_ctx // PAGE) * page_bytes, _MAX_PROMPT_CACHE)
    return Model(
        str(path),
        config,
        executor,
        metadata,
        n_ctx=n_ctx,
        n_cache_pages=prompt_cache // page_bytes,
        origin=Origin(fingerprint, kv_type, PAGE, page_bytes),
        adapters=adapters,
    )


def _read_config(file: ModelFile, n_ctx: int | None) -> ModelConfig:
    """Read the hyperparameters, for a context of `n_ctx` tokens if that is said."""
    # An unknown family is refused as such, whatever keys it has of its own.
    find_architecture(read_architecture(file), str(file.path))
    config = read_config(file)
    return config if n_ctx is None else replace(config, n_ctx=n_ctx)


def _fingerprint(file: ModelFile, config: ModelConfig) -> str:
    """Tell what the model computes from what others do."""
    fingerprint = file.fingerprint()
    if config.is_long_context and "rope_factors_long.weight" in file.tensors:
        fingerprint += "-long"  # whose keys are rotated otherwise
    return fingerprint


def _context(n_ctx: int | None, n_ctx_train: int, path: str) -> int:
    """Tokens of context; more than the model was trained for may confuse it: warn."""
    if n_ctx is None:
        return n_ctx_train
    if n_ctx > n_ctx_train:
        _logger.warning(
            "%s: a context of %d tokens is more than the %d the model was trained on",
            path, n_ctx, n_ctx_train,
        )  # fmt: skip
    return n_ctx
