"""From files to a model in memory: where the layers meet."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import replace

from llamacy.adapters import Lora, read_adapters
from llamacy.architectures import find_architecture
from llamacy.cpu_count import default_threads
from llamacy.errors import ArgumentError
from llamacy.executors import Progress, load_executor
from llamacy.formats.file_types import find_file_type
from llamacy.formats.gguf_config import read_architecture, read_config
from llamacy.formats.model_file import ModelFile
from llamacy.formats.requantized import RequantizedFile
from llamacy.model import Model
from llamacy.model_files import open_model
from llamacy.ops.steps import KV_TYPES, PAGE
from llamacy.sampling.checks import check_callback, checked_integer
from llamacy.session_file import Origin
from llamacy.sources import locate

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
    source : path of a GGUF file; of a split model, the path of its first file. Or
        path of a folder as Hugging Face has them, with config.json and safetensors.
        Or a name on the Hugging Face hub, ``"user/repo:Q4_K_M"``, which is fetched
        (see :func:`llamacy.pull`) if it is not in the cache. ``"demo"`` is the tiny
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
    path = locate(source)
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
    file_type = None
    if quantize is not None:
        file_type = find_file_type(quantize, argument="quantize")
    with ExitStack() as opened:
        file: ModelFile = opened.enter_context(open_model(path))
        # An unknown family is refused as such, whatever keys it has of its own.
        find_architecture(read_architecture(file), str(file.path))
        config = read_config(file)
        adapters = read_adapters(lora, config)
        if n_ctx is not None:
            config = replace(config, n_ctx=n_ctx)
        if file_type is not None:
            requantized = RequantizedFile(file, file_type, n_threads)
            file = opened.enter_context(requantized)
        executor = load_executor(
            file, config, n_threads=n_threads, kv_type=kv_type, progress=progress
        )
        fingerprint = file.fingerprint()
        if config.is_long_context and "rope_factors_long.weight" in file.tensors:
            fingerprint += "-long"  # whose keys are rotated otherwise
        origin = Origin(fingerprint, kv_type, PAGE, executor.page_bytes)
        metadata = file.metadata
    if n_ctx is None:
        n_ctx = config.n_ctx_train
    elif n_ctx > config.n_ctx_train:
        _logger.warning(
            "%s: a context of %d tokens is more than the %d the model was trained on",
            path, n_ctx, config.n_ctx_train,
        )  # fmt: skip
    if prompt_cache is None:
        prompt_cache = min(-(-n_ctx // PAGE) * executor.page_bytes, _MAX_PROMPT_CACHE)
    return Model(
        str(path),
        config,
        executor,
        metadata,
        n_ctx=n_ctx,
        n_cache_pages=prompt_cache // executor.page_bytes,
        origin=origin,
        adapters=adapters,
    )
