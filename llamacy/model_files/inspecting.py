"""What a model is and what it needs, before it is loaded: `inspect`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from llamacy.architectures import find_architecture
from llamacy.architectures.weights import Tensor, TensorSpec, select_tensors
from llamacy.arguments import checked_integer
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.file_types import file_type_name
from llamacy.model_files.opening import open_model_as
from llamacy.model_files.sources import find_source
from llamacy.ops.batch import N_BATCH
from llamacy.ops.plan.packed_weights import weight_bytes
from llamacy.ops.plan.recorder import Recorder
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.specs import StateSpec
from llamacy.ops.state.windows import most_pages
from llamacy.ops.vocabulary import Forward

_MAX_CTX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model's file says it is, and the memory it needs.

    Attributes
    ----------
    path : the file, or the first of several; or the folder.
    architecture : the family, as ``"llama"``.
    name : the model's own name, or ``""``.
    file_type : as :func:`llamacy.quantize` takes it, ``"Q4_K_M"``; None if the file
        does not say, or says one not known here.
    tensor_types : how many tensors there are of each type.
    n_params : weights of all tensors.
    n_ctx_train : tokens of context the model was made for.
    n_vocab : tokens of the vocabulary.
    file_bytes : of all tensors, as the file has them.
    weights_bytes : of the weights in memory, once the model is loaded.
    kv_page_bytes : of `page_tokens` tokens' keys and values, by `kv_type`.
    page_tokens : tokens of a page: memory for a context is taken in pages.
    window : tokens that attention sees in any layer, where all layers have a window;
        None for all. Pages of those before are given back.
    has_chat_template : whether :meth:`llamacy.Model.chat` finds how to write messages.
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
    kv_page_bytes: dict[str, int]
    page_tokens: int
    window: int | None
    has_chat_template: bool

    def kv_bytes(self, n_ctx: int | None = None, kv_type: str = "f16") -> int:
        """Most bytes of keys and values of a text until its context is full.

        Parameters
        ----------
        n_ctx : its tokens; None is `n_ctx_train`.
        kv_type : as :func:`llamacy.load` takes it.

        Raises
        ------
        ArgumentError : one of them is not possible.
        """
        if n_ctx is None:
            n_ctx = self.n_ctx_train
        n_ctx = checked_integer("n_ctx", n_ctx, 1, _MAX_CTX)
        if kv_type not in tuple(self.kv_page_bytes):
            known = ", ".join(self.kv_page_bytes)
            raise ArgumentError(f"kv_type: wanted one of {known}, found {kv_type!r}")
        n_pages = most_pages(n_ctx, self.page_tokens, self.window, N_BATCH)
        return n_pages * self.kv_page_bytes[kv_type]


def inspect(
    source: str | os.PathLike[str], *, quantize: str | None = None
) -> ModelInfo:
    """Tell what a model is and what memory it needs, without loading it.

    Parameters
    ----------
    source : as :func:`llamacy.load` takes it.
    quantize : likewise; what is told is of the model in that type.

    Raises
    ------
    ArgumentError : there is no such type, or the model's name says another.
    ModelFileError : the file cannot be read.
    HubError : the hub does not have it, refuses it, or cannot be reached.
    FormatError : it is not a sound model, or (UnsupportedError) needs something
        llamacy does not have: `load` would say the same.

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
    """Do the same of an open file."""
    path = str(file.path)
    # an unknown family is refused as such, whatever keys it has of its own
    architecture = find_architecture(read_architecture(file), path)
    config = read_config(file)
    specs = architecture.tensors(config)
    needed = select_tensors(specs, usual_experts(file.tensors, file.path), path)
    tensors = file.tensors.values()
    states = _states(architecture.forward, config, specs, needed)
    layouts = {kv_type: StateLayout(states, kv_type) for kv_type in KV_TYPES}
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
        kv_page_bytes={name: layout.page_bytes for name, layout in layouts.items()},
        page_tokens=PAGE,
        window=layouts["f16"].window,
        has_chat_template=bool(file.metadata.get("tokenizer.chat_template")),
    )


def _states(
    forward: Forward,
    config: ModelConfig,
    specs: Mapping[str, TensorSpec],
    tensors: Mapping[str, Tensor],
) -> list[StateSpec]:
    """List what layers keep.

    Recording a pass takes the shapes of weights, and the values of divisors.
    """
    weights = {
        name: tensor.dequantize() if _is_divisor(name, specs) else tensor
        for name, tensor in tensors.items()
    }
    recorder = Recorder()
    forward(recorder, config, weights)
    return recorder.states


def _is_divisor(name: str, specs: Mapping[str, TensorSpec]) -> bool:
    return name in specs and specs[name].is_divisor  # what was stacked has no spec
