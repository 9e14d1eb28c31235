"""Adapters of experts in PEFT's folders: one an expert, or one of all of a layer.

Experts were modules of their own before transformers 5, `experts.3.gate_proj`, with an
adapter each. Since then they are parameters of one module, `experts.gate_up_proj` and
`experts.down_proj`, and PEFT puts the ranks of all experts side by side: A is
(n_expert * rank, n_in), expert by expert, and B (n_out, rank * n_expert), rank by rank.
Both adapters go by the name of the module; the outer one wraps the inner one, which
`base_layer` stands for, so that only shapes tell which is which. Source: `ParamWrapper`
in `lora/layer.py` of the peft library.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ExpertConfig, ModelConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.experts import PARTS
from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.lora import Pair, check_pair
from llamacy.formats.lora.peft_settings import Scales
from llamacy.printable import shown

Floats = NDArray[np.float32]

_GATE, _UP, _DOWN = PARTS
_WRAPPER: Final = ".base_layer"
DOWN: Final = f"{_DOWN}.weight"


class ExpertPairs:
    """Collects the adapters of experts, and gives those of a layer as one pair a part.

    Parameters
    ----------
    path : Path
        The file, for errors.
    scales : Scales
        Factors of the adapters.
    family : Family
        The model's family.
    config : ModelConfig
        The model that the adapter is loaded for, complete.
    """

    def __init__(
        self, path: Path, scales: Scales, family: Family, config: ModelConfig
    ) -> None:
        self._path = path
        self._scales = scales
        self._mixture = family.mixture
        self._config = config
        self._alone: dict[str, dict[int, tuple[Floats, Floats]]] = {}
        self._pairs: dict[str, Pair] = {}

    def add(self, module: str, layer: int, rest: str, a: Floats, b: Floats) -> bool:
        """Take the adapter of a module, if that is an expert or has them.

        Parameters
        ----------
        module : str
            Its whole name.
        layer : int
            The number of its layer.
        rest : str
            Its name within the layer.
        a, b : float32
            The adapter.

        Raises
        ------
        FormatError
            There is no such expert, or the shapes are not those of experts.
        """
        if self._mixture is None:
            return False
        place = _place(rest, self._mixture)
        if place is None:
            return False
        experts = self._experts(module, layer)
        part, number = place
        if number is None:
            self._add_all(module, layer, experts, a, b)
            return True
        if number >= experts.n_expert:
            self._fail(module, f"an expert below {experts.n_expert}", number)
        name = f"blk.{layer}.{part}.weight"
        of_part = self._alone.setdefault(name, {})
        if number in of_part:
            self._fail(module, "one adapter of an expert", "another")
        for matrix in (a, b):
            if matrix.ndim != 2:
                self._fail(module, "matrices", matrix.shape)
        if a.shape[0] != b.shape[1] or not a.shape[0]:
            self._fail(module, f"lora_A of {b.shape[1]} rows, 1 or more", a.shape)
        of_part[number] = a, b * np.float32(self._scales.of(module, a.shape[0]))
        return True

    def pairs(self) -> dict[str, Pair]:
        """Return the pairs of all layers, by GGUF's names.

        Raises
        ------
        FormatError
            Adapters of one layer's experts differ in shape, or have NaN or infinity.
        """
        for name, alone in self._alone.items():
            if name in self._pairs:
                self._fail(name, "adapters of single experts or of all", "both")
            n_expert = self._experts(name, int(name.split(".")[1])).n_expert
            self._pairs[name] = self._joined(name, alone, n_expert)
        for name, pair in self._pairs.items():
            check_pair(self._path, name, pair.a, pair.b)
        return self._pairs

    def _joined(
        self, name: str, alone: dict[int, tuple[Floats, Floats]], n_expert: int
    ) -> Pair:
        """Put the adapters of single experts together; others get one of zeros."""
        sizes = {(a.shape[1], b.shape[0]) for a, b in alone.values()}
        if len(sizes) > 1:
            self._fail(name, "adapters of one shape for all experts", sorted(sizes)[:2])
        ((n_in, n_out),) = sizes
        rank = max(len(a) for a, _ in alone.values())
        a = np.zeros((n_expert, rank, n_in), np.float32)
        b = np.zeros((n_expert, n_out, rank), np.float32)
        for number, (of_a, of_b) in alone.items():
            a[number, : len(of_a)] = of_a
            b[number, :, : len(of_a)] = of_b
        return Pair(a, b, 1.0)

    def _add_all(
        self, module: str, layer: int, experts: ExpertConfig, a: Floats, b: Floats
    ) -> None:
        """Take the adapter of all experts of a layer apart."""
        assert self._mixture is not None
        is_down, n_expert = self._is_down(module, experts, a, b), experts.n_expert
        n_ranks = a.shape[0]
        if n_ranks != b.shape[1] or not n_ranks or n_ranks % n_expert:
            wanted = f"a rank for each of {n_expert} experts, the same in both"
            self._fail(module, wanted, f"{a.shape} and {b.shape}")
        up = "gate_up_proj" if self._mixture.is_gated else "up_proj"
        parameter = "down_proj" if is_down else up
        while module.endswith(_WRAPPER):
            module = module.removesuffix(_WRAPPER)
        scale = self._scales.of(f"{module}.{parameter}", n_ranks // n_expert)
        of_a = a.reshape(n_expert, -1, a.shape[1])
        of_b = b.reshape(len(b), -1, n_expert).transpose(2, 0, 1)
        rows = {_DOWN: slice(None)} if is_down else _rows(self._mixture, experts.n_ff)
        for part, its_rows in rows.items():
            name = f"blk.{layer}.{part}.weight"
            if name in self._pairs:
                self._fail(module, f"one adapter of {parameter}", "another")
            of_part = np.ascontiguousarray(of_b[:, its_rows])
            self._pairs[name] = Pair(of_a, of_part, scale)

    def _is_down(
        self, module: str, experts: ExpertConfig, a: Floats, b: Floats
    ) -> bool:
        """Whether the shapes of an adapter of all experts are those of `down_proj`."""
        assert self._mixture is not None
        n_in, n_ff = experts.n_latent or self._config.n_embd, experts.n_ff
        n_up = 2 * n_ff if self._mixture.is_gated else n_ff
        sizes = (a.shape[-1], b.shape[0]) if a.ndim == b.ndim == 2 else None
        if sizes not in ((n_in, n_up), (n_ff, n_in)):
            wanted = f"(…, {n_in}) and ({n_up}, …), or (…, {n_ff}) and ({n_in}, …)"
            self._fail(module, wanted, f"{a.shape} and {b.shape}")
        if n_up == n_ff == n_in:
            field, wanted = f"module {shown(module)}", f"experts wider than {n_in}"
            raise UnsupportedError(self._path, field, wanted, n_ff)
        return sizes == (n_ff, n_in)

    def _experts(self, module: str, layer: int) -> ExpertConfig:
        layers = self._config.layers
        experts = layers[layer].feed_forward.experts if layer < len(layers) else None
        if experts is None:
            self._fail(module, "a layer that has experts", layer)
        return experts

    def _fail(self, module: str, wanted: object, found: object) -> NoReturn:
        raise FormatError(self._path, f"module {shown(module)}", wanted, found)


def _rows(mixture: Mixture, n_ff: int) -> dict[str, slice]:
    """Return the rows of each part in what is before the activation."""
    if not mixture.is_gated:
        return {_UP: slice(None)}
    if mixture.is_turned:
        return {_GATE: slice(0, None, 2), _UP: slice(1, None, 2)}
    return {_GATE: slice(n_ff), _UP: slice(n_ff, None)}


def refuse_magnitude(path: Path, module: str) -> NoReturn:
    """Refuse DoRA of an expert."""
    wanted = "an adapter of experts without lora_magnitude_vector"
    raise UnsupportedError(path, f"module {shown(module)}", wanted, "one with it")


def _place(rest: str, mixture: Mixture) -> tuple[str, int | None] | None:
    """Return the part and number of an expert; of all, no number; None of others."""
    while rest.endswith(_WRAPPER):
        rest = rest.removesuffix(_WRAPPER)
    for names in mixture.names:
        if rest == names.module:
            return "", None
        parts = {names.gate: _GATE} if names.gate else {}
        parts |= {names.up: _UP, names.down: _DOWN}
        number, _, matrix = rest.removeprefix(f"{names.module}.").partition(".")
        if matrix in parts and re.fullmatch("0|[1-9][0-9]{0,5}", number):
            return parts[matrix], int(number)
    return None
