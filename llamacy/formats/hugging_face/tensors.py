"""Presents Hugging Face's tensors under GGUF's names and in GGUF's layouts."""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face import latent
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.experts import PARTS, Source, is_expert, stacked
from llamacy.formats.hugging_face.families import IGNORED
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.forms import Array, Matrix, Vector
from llamacy.formats.hugging_face.images import without_images
from llamacy.formats.hugging_face.layouts import (
    add_constants,
    group_order,
    halved,
    interleaved,
    kernel,
    last_rows,
    multiplied,
    of_each_type,
    scan_vector,
    stacked_heads,
    turned,
)
from llamacy.formats.hugging_face.mtp import with_head
from llamacy.formats.hugging_face.tensor_names import (
    HEAD,
    check_complete,
    full_name,
    gguf_part,
    is_bare,
    layer_of,
    named_as_usual,
)
from llamacy.formats.hugging_face.tied import is_untied
from llamacy.formats.hugging_face.value_heads import delta_rule_tensors
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.folder import ByteTensor, Floats
from llamacy.printable import shown

# Routers: small matrices that GGUF files store in float32, and vectors that Hugging
# Face's files store as matrices of one row.
_ROWS: Final = ("ffn_gate_inp_shexp", "exp_probs_b")
_FLOATS: Final = ("ffn_gate_inp", *_ROWS)
_VECTORS: Final = ("decay", "rate", "column", "by_scan_group")
_OF_HEAD: Final = re.compile(r"(.+\.norms)\.(0|[1-9][0-9]{0,5})\.weight")
_N_NAMED: Final = 3  # tensors named in the log
_logger = logging.getLogger("llamacy")


def translate(
    tensors: Mapping[str, Source], config: Config, path: Path
) -> dict[str, ModelTensor]:
    """Translate tensors to GGUF's names and layouts.

    Parameters
    ----------
    tensors : Mapping of str to Source
        Tensors by Hugging Face's names.
    config : Config
        The translated config.json.
    path : Path
        The folder, for errors.

    Returns
    -------
    dict of str to ModelTensor
        Tensors by GGUF's names, in the order in which a forward pass needs them. Shapes
        are checked only where a layout depends on them.

    Raises
    ------
    FormatError
        A tensor is missing or duplicated, or its shape does not allow reordering its
        rows or separating its experts.
    UnsupportedError
        A tensor would change the model in a way that the family does not have.
    """
    tensors = without_images(tensors, config.family, path)
    may_lack_head = config.is_tied or is_bare(tensors, config.family)
    tensors, constants = _without_constants(
        named_as_usual(tensors, config.family), config.family
    )
    add_constants(constants, config, path)
    tensors, config = with_head(tensors, config)
    is_tied = config.is_tied and not is_untied(tensors, path)
    translation = _Translation(config, path)
    for name, source in tensors.items():
        if name.endswith(IGNORED) or (is_tied and name == f"{HEAD}.weight"):
            continue
        translation.take(name, source)
    translation.add_norms_of_heads()
    _note_passed(translation.passed, path)
    check_complete(translation.tensors, config, path, may_lack_head=may_lack_head)
    translation.drop_zeros()
    translation.add_experts()
    translation.add_rope_divisors()
    return translation.in_order()


class _Translation:
    """The tensors of a folder that are translated so far.

    Attributes
    ----------
    tensors : dict of str to ModelTensor
        Tensors by GGUF's names.
    passed : list of str
        Names of those that the model does not need.
    """

    def __init__(self, config: Config, path: Path) -> None:
        self.tensors: dict[str, ModelTensor] = {}
        self.passed: list[str] = []
        self._config = config
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._experts: defaultdict[int, dict[str, Source]] = defaultdict(dict)
        self._heads: defaultdict[tuple[int, str], dict[int, Source]] = defaultdict(dict)

    def take(self, name: str, source: Source) -> None:
        """Translate a tensor, or keep one that GGUF has together with others."""
        layer, rest = layer_of(name)
        if layer is not None:
            if layer >= self._config.sizes.n_layer:
                self.passed.append(name)
                return
            if self._keep(rest, layer, source):
                return
            part = self._config.parts_of(layer).get(rest.rpartition(".")[0])
            if part in self._config.lacked[layer]:
                return
        known = gguf_part(name, rest, layer, self._config, self._path)
        if known is None:
            self.passed.append(name)
            return
        part, suffix = known
        ours = full_name(layer, part, suffix)
        if ours in self.tensors:
            field = f"tensor {shown(name)}"
            raise FormatError(
                self._path, field, "one of its kind", "it under two names"
            )
        for each in _tensors(ours, layer, part, source, self._config, self._path):
            self._add(each, layer, part)

    def add_norms_of_heads(self) -> None:
        """Add the norms of single heads, of which GGUF has a layer's in one tensor."""
        for (layer, part), norms in self._heads.items():
            name = f"blk.{layer}.{part}.weight"
            one = stacked_heads(name, layer, part, norms, self._config, self._path)
            self._add(one, layer, part)

    def drop_zeros(self) -> None:
        """Drop biases of mixtures that are 0, which llama.cpp's files do not have."""
        for layer in range(self._config.sizes.n_layer):
            name = f"blk.{layer}.ffn_token_types.weight"
            if name in self.tensors and not self.tensors[name].dequantize().any():
                del self.tensors[name]

    def add_experts(self) -> None:
        """Add the experts of each layer that has some."""
        experts = self._config.experts
        for layer, is_sparse in enumerate(experts.are_sparse if experts else ()):
            if not is_sparse:
                continue
            kept = self._experts[layer]
            for one in stacked(layer, kept, self._config, self._path):
                self._add(one, layer, one.name.split(".")[2])

    def add_rope_divisors(self) -> None:
        """Add the divisors of frequencies that config.json gives."""
        for name, values in self._config.rope_divisors.items():
            one = Vector(name, values.shape, partial(np.copy, values))
            self._add(one, None, "token_embd")

    def in_order(self) -> dict[str, ModelTensor]:
        """Return the tensors in the order in which a forward pass needs them."""
        names = sorted(self.tensors, key=self._places.__getitem__)
        return {name: self.tensors[name] for name in names}

    def _keep(self, rest: str, layer: int, source: Source) -> bool:
        """Keep a tensor of experts or of a single head; return whether it is one."""
        family, experts = self._config.family, self._config.experts
        is_sparse = experts is not None and experts.are_sparse[layer]
        if family.mixture is not None and is_sparse and is_expert(rest, family):
            rest = family.mixture.merged.get(rest, rest)
            self._experts[layer][f"model.layers.{layer}.{rest}"] = source
            return True
        if of_head := _OF_HEAD.fullmatch(rest):
            part = family.stacked.get(of_head[1])
            if part is not None and part in self._config.parts:
                self._heads[layer, part][int(of_head[2])] = source
                return True
        return False

    def _add(self, tensor: ModelTensor, layer: int | None, part: str) -> None:
        self.tensors[tensor.name] = tensor
        self._places[tensor.name] = _place(layer, part, self._config)


def _without_constants(
    tensors: Mapping[str, Source], family: Family
) -> tuple[dict[str, Source], dict[str, Source]]:
    """Split off the tensors that are keys in GGUF."""
    constants = {
        name: tensor
        for name, tensor in tensors.items()
        if layer_of(name)[1] in family.layer_constants
    }
    return {name: tensors[name] for name in tensors if name not in constants}, constants


def _note_passed(names: list[str], path: Path) -> None:
    """Name in the log the tensors that the model does not need."""
    if not names:
        return
    which = ", ".join(map(shown, names[:_N_NAMED]))
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    _logger.warning(
        "%s: tensors passed over that the model does not need: %s%s", path, which, more
    )


def _place(layer: int | None, part: str, config: Config) -> tuple[int, int]:
    """Return a tensor's rank in a forward pass: embedding, layers, output."""
    if layer is not None:
        return layer, [*config.parts_of(layer).values(), *PARTS].index(part)
    is_first = part in ("token_embd", *config.family.outside.values())
    return -1 if is_first else config.sizes.n_layer, part == "output"


def _tensors(
    name: str,
    layer: int | None,
    part: str,
    source: Source,
    config: Config,
    path: Path,
) -> list[ModelTensor]:
    """Return the tensor called `name`, or the two that the source holds.

    They are made from one of Hugging Face's files.
    """
    if isinstance(source, ByteTensor):
        field = f"tensor {shown(source.name)}: dtype"
        raise UnsupportedError(path, field, "floats", source.dtype)
    form, mixer = config.family.forms.get(part), config.delta_rule
    if mixer is not None and form is not None:
        return delta_rule_tensors(name, form, source, mixer, path)
    one = _tensor(name, layer, part, source, config, path)
    if part == latent.OF_BOTH:
        return latent.split_heads(one, config.metadata, path)
    other = config.family.halves.get(part)
    return halved(one, name.replace(part, other)) if other else [one]


def _tensor(
    name: str,
    layer: int | None,
    part: str,
    source: Floats,
    config: Config,
    path: Path,
) -> ModelTensor:
    n_dims, shape = len(source.shape), source.shape
    form = config.family.forms.get(part)
    if form == "kernel":
        return kernel(name, source, path)
    is_vector = max(shape, default=0) == math.prod(shape)
    if form in _VECTORS and (is_vector or (form == "decay" and n_dims == 2)):
        return scan_vector(name, source, form, config, path)
    if n_dims == 3 and form == "squeezed" and shape[1] == 1:
        return Vector(name, (shape[0], shape[2]), source.dequantize)
    if n_dims == 1 and form == "by_type":
        return of_each_type(name, source, config)
    if not 1 <= n_dims <= 2:
        wanted = "a vector or a matrix"
        raise FormatError(path, f"tensor {shown(source.name)}", wanted, source.shape)
    if n_dims == 2 and form == "turned":
        return turned(name, source)
    if n_dims == 2 and form == "last_rows":
        return last_rows(name, source, config.sizes.n_ctx_train)
    if n_dims == 2 and (factors := config.factors.get(part)) is not None:
        return multiplied(name, source, factors, path)
    reorder = _row_order(layer, part, source, config, path)
    if n_dims == 2 and part not in _FLOATS:
        return Matrix(name, source, reorder)
    offset = config.family.offset_of(part)

    def values() -> NDArray[np.float32]:
        floats: NDArray[np.float32] = source.dequantize()
        floats = reorder(floats) if reorder is not None else floats
        return floats + np.float32(offset) if offset else floats

    is_row = n_dims == 2 and source.shape[0] == 1 and part in _ROWS
    return Vector(name, source.shape[1:] if is_row else source.shape, values)


def _row_order(
    layer: int | None, part: str, source: Floats, config: Config, path: Path
) -> Callable[[Array], Array] | None:
    """Return what puts rows in GGUF's order; None where they are in it."""
    family, sizes = config.family, config.sizes
    if layer is None:
        return None
    if family.forms.get(part) == "by_group":
        return group_order(source, layer, config, path)
    heads = {"attn_q": sizes.n_head, "attn_k": sizes.n_head_kv}
    if not family.is_interleaved or part not in heads:
        return None
    n_head = heads[part][layer]
    n_rows = n_head * sizes.head_dim
    if source.shape[0] != n_rows:
        field = f"tensor {shown(source.name)}: shape"
        raise FormatError(path, field, f"{n_rows} rows", source.shape)
    return partial(interleaved, n_head=n_head)
