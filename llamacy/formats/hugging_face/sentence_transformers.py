"""The files that sentence-transformers puts beside a model: how texts are embedded.

modules.json lists what a text goes through: the model, pooling, dense layers, and the
division by the norm. Each has a folder with its settings, and weights if it has any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from llamacy.config import Pooling
from llamacy.errors import UnsupportedError
from llamacy.formats.gguf.embedding import (
    DEFAULT_PROMPT,
    DENSE,
    N_TOKENS,
    NORMALIZED,
    POOLINGS,
    PROMPT_NAMES,
    PROMPTS,
    SIMILARITY,
    TANH,
)
from llamacy.formats.gguf.limits import MAX_EMBD
from llamacy.formats.hugging_face.forms import Matrix, Vector
from llamacy.formats.json_text import read_json, read_json_items
from llamacy.formats.metadata import Metadata
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.folder import SINGLE, ByteTensor, open_safetensors

MODULES: Final = "modules.json"
_SETTINGS: Final = "config_sentence_transformers.json"
_MODULE_SETTINGS: Final = "config.json"
_POOLING: Final = "Pooling"
_DENSE: Final = "Dense"
_LOWERCASE: Final = "tokenizer.ggml.normalizer.lowercase"
_TOKENIZER: Final = "tokenizer_config.json"
_OF_MODEL: Final = tuple(
    f"sentence_{kind}_config.json"
    for kind in (
        *("bert", "roberta", "distilbert", "camembert", "xlm-roberta"),
        *("albert", "xlnet"),
    )
)
SETTINGS_FILES: Final = (_SETTINGS, *_OF_MODEL)
"""Optional files beside modules.json that say how texts are embedded."""

_POOLINGS: Final[dict[str, Pooling]] = {
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}
_FLAGS: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: Final = {"Identity": False, "Tanh": True}


def read_modules(
    folder: Path, architecture: str, metadata: Metadata, opened: ExitStack
) -> dict[str, ModelTensor]:
    """Add the keys of a model that sentence-transformers has saved.

    Parameters
    ----------
    folder : Path
        The model's folder; nothing is added if it has no modules.json.
    architecture : str
        The family, which keys begin with.
    metadata : Metadata
        Receives the keys.
    opened : ExitStack
        Receives the files that are opened.

    Returns
    -------
    dict of str to ModelTensor
        The weights of dense layers, by GGUF's names.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A module, or a kind of pooling, that llamacy does not have.
    """
    if not (folder / MODULES).exists():
        return {}
    dense: list[Path] = []
    is_pooled = False
    for kind, name in _modules(folder):
        if kind == _POOLING:
            is_pooled = True
            _add_pooling(folder / name, architecture, metadata)
        elif kind == _DENSE:
            dense.append(folder / name)
        elif kind == "Normalize":
            metadata.flag(f"{architecture}.{NORMALIZED}", True)
    if dense and not is_pooled:  # as in ColBERT: a text has an embedding for each row
        number = POOLINGS.index("none")
        metadata.integer(f"{architecture}.pooling_type", number)
    _add_settings(folder, architecture, metadata)
    _add_length(folder, architecture, metadata)
    return _read_dense(dense, architecture, metadata, opened)


def module_files(folder: Path) -> list[str]:
    """Return the paths of the files that modules.json needs beside itself.

    Raises
    ------
    ModelFileError
        modules.json cannot be read.
    FormatError
        It is broken.
    UnsupportedError
        It has a module that llamacy does not have.
    """
    files: list[str] = []
    for kind, name in _modules(folder):
        if kind in (_POOLING, _DENSE):
            files.append(f"{name}/{_MODULE_SETTINGS}")
        if kind == _DENSE:
            files.append(f"{name}/{SINGLE}")
    return files


def _modules(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the kinds of the modules that modules.json lists, and their folders."""
    n_dense = 0
    for number, module in enumerate(read_json_items(folder / MODULES)):
        kind = module.text("type").rpartition(".")[2]
        name = module.text("path", "")
        n_dense += kind == _DENSE
        if kind == "Transformer":
            if number or name not in ("", "."):
                module.refuse("path", "the folder itself", name)
        elif kind == _POOLING or (kind == _DENSE and n_dense <= len(DENSE)):
            if Path(name).name != name or name in ("", ".."):
                module.fail("path", "the name of a folder beside it", name)
        elif kind not in ("Normalize", "Dropout"):
            wanted = "Transformer, Pooling, Normalize, or up to two of Dense"
            module.refuse("type", wanted, module.get("type"))
        yield kind, name


def _add_pooling(path: Path, architecture: str, metadata: Metadata) -> None:
    config = read_json(path / _MODULE_SETTINGS)
    modes = [mode for key, mode in _FLAGS.items() if config.flag(key, False)]
    if "pooling_mode" in config:
        found = config.get("pooling_mode")
        is_list = isinstance(found, list)
        modes = list(map(str, found)) if is_list else [config.text("pooling_mode")]
    modes = modes or ["mean"]
    if len(modes) > 1 or modes[0] not in _POOLINGS:
        wanted = f"one of {', '.join(_POOLINGS)}"
        config.refuse("pooling_mode", wanted, ", ".join(modes))
    if not config.flag("include_prompt", True):
        config.refuse("include_prompt", True, False)
    number = POOLINGS.index(_POOLINGS[modes[0]])
    metadata.integer(f"{architecture}.pooling_type", number)


def _add_settings(folder: Path, architecture: str, metadata: Metadata) -> None:
    """Add the prompts, and the function that compares embeddings."""
    if not (folder / _SETTINGS).exists():
        return
    config = read_json(folder / _SETTINGS)
    prompts = config.child("prompts")
    if prompts is not None and prompts.values:
        names = list(prompts.values)
        texts = [prompts.text(name, "") for name in names]
        metadata.texts(f"{architecture}.{PROMPT_NAMES}", names)
        metadata.texts(f"{architecture}.{PROMPTS}", texts)
    for key, ours in (
        ("default_prompt_name", DEFAULT_PROMPT),
        ("similarity_fn_name", SIMILARITY),
    ):
        if key in config:
            metadata.text(f"{architecture}.{ours}", config.text(key))


def _add_length(folder: Path, architecture: str, metadata: Metadata) -> None:
    """Add how many tokens a text may have, if that is fewer than the model can read."""
    most = metadata.values[f"{architecture}.context_length"]
    files = {name: "max_seq_length" for name in _OF_MODEL}
    for name, key in (files | {_TOKENIZER: "model_max_length"}).items():
        if not (folder / name).exists():
            continue
        config = read_json(folder / name)
        is_lowered = name != _TOKENIZER and config.flag("do_lower_case", False)
        if is_lowered and not metadata.values.get(_LOWERCASE):
            config.refuse("do_lower_case", "false, or a vocabulary that does it", True)
        if key not in config:
            continue
        n_tokens = config.real(key, 1, 1e300)  # a tokenizer without a limit has 1e30
        if n_tokens < most:
            metadata.integer(f"{architecture}.{N_TOKENS}", int(n_tokens))
        return


def _read_dense(
    paths: list[Path], architecture: str, metadata: Metadata, opened: ExitStack
) -> dict[str, ModelTensor]:
    """Add the widths of dense layers, and return their weights."""
    tensors: dict[str, ModelTensor] = {}
    have_tanh: list[bool] = []
    for name, path in zip(DENSE, paths, strict=False):
        config = read_json(path / _MODULE_SETTINGS)
        n_in, n_out = (
            config.integer(key, 1, MAX_EMBD) for key in ("in_features", "out_features")
        )
        activation = config.text("activation_function", "Tanh").rpartition(".")[2]
        if activation not in _ACTIVATIONS:
            wanted = f"one of {', '.join(_ACTIVATIONS)}"
            config.refuse("activation_function", wanted, activation)
        if config.flag("use_residual", False):
            config.refuse("use_residual", False, True)
        have_tanh.append(_ACTIVATIONS[activation])
        if have_tanh[-1] != have_tanh[0]:
            config.refuse("activation_function", "that of the layer before", activation)
        metadata.integer(f"{architecture}.{name}_feat_in", n_in)
        metadata.integer(f"{architecture}.{name}_feat_out", n_out)
        tensors |= _weights(name, path, opened)
    if any(have_tanh):
        metadata.flag(f"{architecture}.{TANH}", True)
    return tensors


def _weights(name: str, path: Path, opened: ExitStack) -> dict[str, ModelTensor]:
    tensors: dict[str, ModelTensor] = {}
    files = opened.enter_context(closing(open_safetensors(path)))
    for theirs, source in {**files.tensors, **files.bytes}.items():
        suffix = theirs.removeprefix("linear.")
        n_dims = {"weight": 2, "bias": 1}.get(suffix)
        if isinstance(source, ByteTensor) or len(source.shape) != n_dims:
            wanted = "linear.weight or linear.bias, of floats"
            raise UnsupportedError(path, "tensor", wanted, theirs)
        ours = f"{name}.{suffix}"
        if suffix == "weight":
            tensors[ours] = Matrix(ours, source, None)
        else:
            tensors[ours] = Vector(ours, source.shape, source.dequantize)
    return tensors
