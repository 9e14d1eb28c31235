"""Describes a model and the memory it needs, without loading it: `inspect`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from llamacy.architectures.selecting import select_tensors
from llamacy.architectures.tensors import TensorSpec
from llamacy.arguments import MAX_CTX, checked_choice, checked_integer, checks_options
from llamacy.config import ModelConfig
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.file_types import file_type_name
from llamacy.ggml.tensor import Tensor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model_as
from llamacy.model_files.sources import find_source
from llamacy.ops.batch import MAX_BATCH, N_BATCH
from llamacy.ops.plan.embedding import layout_of_pass
from llamacy.ops.plan.mtp_passes import MOST_TEXTS
from llamacy.ops.plan.packed_weights import mapped_bytes, weight_bytes
from llamacy.ops.plan.pass_memory import Outline, buffer_bytes
from llamacy.ops.plan.recorder import Node, Recorder
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.windows import most_pages
from llamacy.ops.vocabulary import Forward
from llamacy.system.memory import process_bytes


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Describes a model and the memory that it needs.

    Attributes
    ----------
    path : str
        The file, or the first of several; or the folder.
    architecture : str
        The family, such as `"llama"`.
    name : str
        The model's own name, or `""`.
    file_type : str or None
        The file type, such as `"Q4_K_M"`; None if unknown.
    tensor_types : dict of str to int
        Number of tensors of each type.
    n_params : int
        Number of weights in all tensors.
    n_ctx_train : int
        Length of the context that the model was trained for, in tokens.
    n_vocab : int
        Number of tokens in the vocabulary.
    file_bytes : int
        Size of all tensors in the file, in bytes.
    weights_bytes : int
        Size of the weights in memory once the model is loaded, in bytes.
    mapped_bytes : int
        Size of the weights that stay in the file, of which only the rows that a text
        needs are read, in bytes.
    buffer_bytes : int
        Size of the buffers of a pass of 512 rows, which is the default `n_batch`, at
        the instruction-set level in use, in bytes.
    kv_page_bytes : dict of str to int
        Size of a page of the KV cache, in bytes, by `kv_type`.
    state_bytes : int
        Most bytes that recurrent layers keep of a text, however long: their state, and
        the snapshots that it can be gone back to; 0 without such layers.
    draft_bytes : int
        Most bytes of the states after drafted tokens, of all texts of a pass together,
        in bytes; 0 without such layers.
    page_tokens : int
        Tokens per page; the KV cache is allocated in pages.
    window : int or None
        Most tokens that attention sees in any layer, if all layers have a sliding
        window; None otherwise. Pages before the window are freed.
    has_mtp : bool
        Whether the model has an MTP head, with which it drafts its texts.
    has_chat_template : bool
        Whether the model has a chat template, which `llamacy.Model.chat` needs.
    """

    path: str
    architecture: str
    name: str
    file_type: str | None
    tensor_types: dict[str, int]
    n_params: int
    n_ctx_train: int
    n_vocab: int
    file_bytes: int
    weights_bytes: int
    mapped_bytes: int
    buffer_bytes: int
    kv_page_bytes: dict[str, int]
    state_bytes: int
    draft_bytes: int
    page_tokens: int
    window: int | None
    has_mtp: bool
    has_chat_template: bool

    def kv_bytes(
        self, n_ctx: int | None = None, kv_type: str = "f16", n_batch: int = N_BATCH
    ) -> int:
        """Return the largest KV cache of a text that fills its context, in bytes.

        The states of recurrent layers count, too.

        Parameters
        ----------
        n_ctx : int, optional
            Tokens of the text; by default `n_ctx_train`.
        kv_type : {"f16", "f32", "q8_0"}, default "f16"
            Type of keys and values, as for `llamacy.load`.
        n_batch : int, default 512
            Most rows of a forward pass, as for `llamacy.load`. Only a model with a
            `window` needs more memory for a larger number.

        Raises
        ------
        ArgumentError
            `n_ctx` or `n_batch` is out of range, or `kv_type` unknown.
        """
        if n_ctx is None:
            n_ctx = self.n_ctx_train
        n_ctx = checked_integer("n_ctx", n_ctx, 1, MAX_CTX)
        checked_choice("kv_type", kv_type, self.kv_page_bytes)
        n_batch = checked_integer("n_batch", n_batch, 1, MAX_BATCH)
        n_pages = most_pages(n_ctx, self.page_tokens, self.window, n_batch)
        return n_pages * self.kv_page_bytes[kv_type] + self.state_bytes

    def memory_bytes(
        self, n_ctx: int | None = None, kv_type: str = "f16", n_batch: int = N_BATCH
    ) -> int:
        """Return the memory of a process with the model and one such text, in bytes.

        That is the weights, the KV cache and the buffers of a pass, and an estimate of
        the rest: Python, its libraries, the vocabulary. The loader takes memory for the
        KV cache as texts grow. Each text at the same time needs a cache of its own, and
        `prompt_cache` keeps those of texts that have ended.

        Parameters
        ----------
        n_ctx : int, optional
            Tokens of the text; by default `n_ctx_train`.
        kv_type : {"f16", "f32", "q8_0"}, default "f16"
            Type of keys and values, as for `llamacy.load`.
        n_batch : int, default 512
            Most rows of a forward pass, as for `llamacy.load`.

        Raises
        ------
        ArgumentError
            `n_ctx` or `n_batch` is out of range, or `kv_type` unknown.

        Examples
        --------
        >>> info = llamacy.inspect("demo")
        >>> info.memory_bytes(512) - info.memory_bytes(256) == info.kv_bytes(256)
        True
        """
        kv_bytes = self.kv_bytes(n_ctx, kv_type, n_batch)
        buffers = self.buffer_bytes * n_batch // N_BATCH + self.draft_bytes
        return self.weights_bytes + kv_bytes + buffers + process_bytes(self.n_vocab)

    def longest_context(
        self, n_bytes: int, kv_type: str = "f16", n_batch: int = N_BATCH
    ) -> int:
        """Return the length of the longest text that fits into memory of that size.

        Parameters
        ----------
        n_bytes : int
            Memory for the process, in bytes.
        kv_type : {"f16", "f32", "q8_0"}, default "f16"
            Type of keys and values, as for `llamacy.load`.
        n_batch : int, default 512
            Most rows of a forward pass, as for `llamacy.load`.

        Returns
        -------
        int
            Tokens, in whole pages, at most `n_ctx_train`; 0 if not even a page fits.

        Raises
        ------
        ArgumentError
            `n_batch` is out of range, or `kv_type` unknown.

        Examples
        --------
        >>> info = llamacy.inspect("demo")
        >>> info.longest_context(info.memory_bytes(128)), info.longest_context(0)
        (128, 0)
        """
        if self.memory_bytes(self.n_ctx_train, kv_type, n_batch) <= n_bytes:
            return self.n_ctx_train
        page = self.page_tokens
        least = self.memory_bytes(page, kv_type, n_batch)
        if n_bytes < least:
            return 0
        return page * ((n_bytes - least) // self.kv_page_bytes[kv_type] + 1)


@checks_options()
def inspect(
    source: str | os.PathLike[str], *, quantize: str | None = None
) -> ModelInfo:
    """Return a model's facts and the memory it needs, without loading it.

    Ask before you load: whether llamacy can run the model, whether its weights fit into
    memory, and how long a context fits beside them.

    Parameters
    ----------
    source : str or os.PathLike
        A path or a name, as for `llamacy.load`.
    quantize : str, optional
        A file type, as for `llamacy.load`; the sizes are those of the model in it.

    Returns
    -------
    ModelInfo
        Family, types, sizes, and bytes.

    Raises
    ------
    ArgumentError
        There is no such type, or the model's name says another.
    ModelFileError
        The file cannot be read.
    HubError
        The hub does not have it, refuses it, or cannot be reached.
    FormatError
        The file is broken; or UnsupportedError, it needs something that llamacy does
        not have. `load` raises the same.

    Examples
    --------
    >>> info = inspect("demo")
    >>> info.architecture, info.file_type, info.n_ctx_train
    ('llama', 'Q6_K', 512)
    >>> info.kv_bytes(1024) == 2 * info.kv_bytes(512)
    True
    """
    found = find_source(source)
    file_type = found.file_type(quantize, "quantize")
    with open_model_as(found.path, file_type) as file:
        return inspect_file(file)


def inspect_file(file: ModelFile) -> ModelInfo:
    """Return the same as `inspect`, for an open file."""
    path = str(file.path)
    architecture, config = read_hyperparameters(file)
    specs = architecture.tensors(config)
    needed = select_tensors(specs, usual_experts(file.tensors, file.path), path)
    tensors = file.tensors.values()
    forward: Forward = architecture.forward
    if not config.is_causal:  # its passes keep nothing
        forward = partial(architecture.embed, pooling="mean")
    recorder, output = _record(forward, config, specs, needed)
    kept = recorder.states if config.is_causal else []
    layouts = {kind: StateLayout(kept, kind) for kind in KV_TYPES}
    layout = layouts["f16"] if config.is_causal else layout_of_pass(recorder.nodes)
    n_pages = 0 if config.is_causal else N_BATCH // PAGE
    buffers = buffer_bytes(recorder.nodes, output, layout, N_BATCH)
    if config.has_mtp:
        of_head, its_output = _record(architecture.draft, config, specs, needed)
        its_layout = layout.beside(of_head.states)
        buffers += buffer_bytes(of_head.nodes, its_output, its_layout, MOST_TEXTS)
    return ModelInfo(
        path=path,
        architecture=config.architecture,
        name=config.name,
        file_type=file_type_name(file.metadata),
        tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
        n_params=sum(math.prod(tensor.shape) for tensor in tensors),
        n_ctx_train=config.n_ctx_train,
        n_vocab=config.n_vocab,
        file_bytes=sum(tensor.n_bytes for tensor in tensors),
        weights_bytes=weight_bytes(needed),
        mapped_bytes=mapped_bytes(needed),
        buffer_bytes=buffers + n_pages * layout.page_bytes,
        kv_page_bytes={name: layout.page_bytes for name, layout in layouts.items()},
        state_bytes=layouts["f16"].most_text_bytes,
        draft_bytes=layouts["f16"].n_tried * layouts["f16"].text_bytes,
        page_tokens=PAGE,
        window=layouts["f16"].window,
        has_mtp=config.has_mtp,
        has_chat_template=_has_template(file.metadata),
    )


def _has_template(metadata: Mapping[str, object]) -> bool:
    """Whether a file has a chat template, be it one with a name."""
    return any(
        isinstance(value, str) and bool(value.strip())
        for key, value in metadata.items()
        if key == "tokenizer.chat_template"
        or key.startswith("tokenizer.chat_template.")
    )


def _record(
    forward: Forward,
    config: ModelConfig,
    specs: Mapping[str, TensorSpec],
    tensors: Mapping[str, Tensor],
) -> tuple[Recorder, Node]:
    """Record a forward pass: its operations, and the one whose value is the result.

    Recording needs the values of divisors, constants and scales, but only the shapes of
    other weights.
    """
    weights = {
        name: tensor.dequantize() if _is_valued(name, specs) else Outline.of(tensor)
        for name, tensor in tensors.items()
    }
    recorder = Recorder()
    return recorder, forward(recorder, config, weights)


def _is_valued(name: str, specs: Mapping[str, TensorSpec]) -> bool:
    if name.endswith(".scale"):
        return True
    spec = specs.get(name)  # stacked experts have none
    return spec is not None and (spec.is_divisor or spec.is_constant)
