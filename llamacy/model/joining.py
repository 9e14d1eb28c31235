"""Adapters put together for one model, whose matrices they fit.

Several adapters of one matrix become one pair of low-rank matrices, their ranks side by
side, with all scales in it: its product `b @ a` is the sum of theirs. One that sets
magnitudes (DoRA) multiplies the rows of what those before it have made of the matrix,
and its own; the norms that it divides by are those of the model's matrix with its own
update alone, as in PEFT.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.lora import (
    EMBEDDING,
    OUTPUT,
    TYPES,
    LoraFile,
    Pair,
    Saved,
    check_fits,
    is_of_experts,
)
from llamacy.model.adapters import AdapterSet
from llamacy.ops.adapters import LowRank
from llamacy.printable import shown

Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
"""Shapes of a model's weights, by name."""

Rows: TypeAlias = "Callable[[str, int, int], NDArray[np.float32]]"
"""Rows of the model's matrix of a name: given the first, and how many."""

_N_FLOATS: Final = 1 << 24  # of a matrix that are unpacked at once


def low_ranks(
    adapters: AdapterSet, shapes: Shapes, rows: Rows
) -> dict[str, LowRank[NDArray[np.float32]]]:
    """Put adapters together for a model.

    Parameters
    ----------
    adapters : AdapterSet
        The adapters, and their scales.
    shapes : dict of str to tuple of int
        Shapes of all the model's weights, by name.
    rows : callable
        Returns rows of the model's matrices, whose norms DoRA needs.

    Returns
    -------
    dict of str to LowRank
        For each matrix that adapters change, ``down`` (rank, n_in) and ``up``
        (n_out, rank), with the scales in it, and factors of its rows.

    Raises
    ------
    FormatError
        An adapter is for a matrix that the model does not have, or that has another
        shape in the model; or it sets magnitudes of rows of zeros, or of a matrix
        that another adapter replaces.
    """
    replaced = {
        name
        for (_, scale), file in zip(adapters.used, adapters.files, strict=True)
        for name in file.saved
        if scale
    }
    joined: dict[str, LowRank[NDArray[np.float32]]] = {}
    known = _with_output(shapes)
    for (_, scale), file in zip(adapters.used, adapters.files, strict=True):
        for name, pair in file.pairs.items():
            check_fits(file, name, pair, known.get(name))
            if not scale:
                continue
            if pair.magnitude is not None:
                _check_plain(file, name, shapes, replaced)
            scaled = pair._replace(scale=scale * pair.scale)
            scales = f"{name.removesuffix('weight')}scale"
            if name in file.scaled and scales in shapes:
                (of_experts,) = rows(scales, 0, 1)
                scaled = scaled._replace(b=pair.b * of_experts[:, None, None])
            # a model without an output matrix reads its embedding backwards
            theirs = name if name in shapes else EMBEDDING
            one = _low_rank(file, name, scaled, partial(rows, theirs), known[name])
            joined[name] = _joined(name, joined[name], one) if name in joined else one
    return joined


def _check_plain(
    file: LoraFile, name: str, shapes: Shapes, replaced: Collection[str]
) -> None:
    """Check that the norms of a matrix's rows are those of its own numbers."""
    field = f"tensor {name}.lora_magnitude_vector"
    if name in replaced:
        wanted = "a matrix that no adapter replaces"
        raise FormatError(file.path, field, wanted, "one that is replaced")
    if f"{name.removesuffix('weight')}scale" in shapes:
        raise FormatError(file.path, field, "a matrix without a scale", "one with")


def saved_tensors(adapters: AdapterSet, shapes: Shapes) -> dict[str, Saved]:
    """Return the tensors that adapters put in the place of the model's.

    They are not scaled, but an adapter with a scale of 0 has none.

    Parameters
    ----------
    adapters : AdapterSet
        The adapters, and their scales.
    shapes : dict of str to tuple of int
        Shapes of all the model's weights, by name.

    Raises
    ------
    FormatError
        The model has no such tensor, or one of another shape; or two adapters have
        the same.
    """
    tensors: dict[str, Saved] = {}
    shapes = _with_output(shapes)
    for (_, scale), file in zip(adapters.used, adapters.files, strict=True):
        for name, saved in file.saved.items():
            shape = shapes.get(name)
            if saved.shape != shape:
                wanted = "no such tensor" if shape is None else f"{shape}, the model's"
                field = f"tensor {shown(name)}: shape"
                raise FormatError(file.path, field, wanted, saved.shape)
            if name in tensors and scale:
                wanted = "one adapter that replaces it"
                raise FormatError(file.path, f"tensor {name}", wanted, "another")
            if scale:
                tensors[name] = saved
    return tensors


def _with_output(shapes: Shapes) -> Shapes:
    """Add the shape of an output matrix, which a tied model may be given."""
    embedding = shapes.get(EMBEDDING)
    return shapes if embedding is None else {OUTPUT: embedding, **shapes}


def _low_rank(
    file: LoraFile,
    name: str,
    pair: Pair,
    rows: Callable[[int, int], NDArray[np.float32]],
    shape: tuple[int, ...],
) -> LowRank[NDArray[np.float32]]:
    """Return one adapter's part in a matrix, with its scale and gain in `up`."""
    down, up = pair.a, pair.b * np.float32(pair.scale)
    if name.endswith(TYPES):  # whose rows are looked up
        if pair.magnitude is not None:
            field = f"tensor {name}.lora_magnitude_vector"
            raise FormatError(file.path, field, "none of a table of types", "one")
        return LowRank(up, np.ascontiguousarray(down.T))
    if pair.magnitude is None:
        return LowRank(down, up)
    with np.errstate(all="ignore"):
        norms = np.sqrt(_squares(name, down, up, rows, shape))
        gain = (pair.magnitude / norms).astype(np.float32)
    is_sound = np.isfinite(gain) & np.isfinite(norms)
    if not is_sound.all():
        row = int(np.argmin(is_sound))
        field = f"tensor {name}.lora_magnitude_vector"
        wanted = "norms of the changed matrix to divide by, neither 0 nor infinite"
        raise FormatError(file.path, field, wanted, f"{norms[row]:g} in row {row}")
    return LowRank(down, up * gain[:, None], gain)


def _squares(
    name: str,
    down: NDArray[np.float32],
    up: NDArray[np.float32],
    rows: Callable[[int, int], NDArray[np.float32]],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Return the squared norms of a changed matrix's rows; of an embedding, columns."""
    squares = np.zeros(len(up))
    n_rows = shape[0] if len(shape) > 1 else 1  # of a vector
    n_piece = max(1, _N_FLOATS // shape[-1])
    for first in range(0, n_rows, n_piece):
        piece = slice(first, first + n_piece)
        is_embedding = name == EMBEDDING
        update = down[piece] @ up.T if is_embedding else up[piece] @ down
        matrix = np.add(rows(first, n_piece), update)
        if is_embedding:
            squares += np.einsum("ij,ij->j", matrix, matrix)
        else:
            squares[piece] = np.einsum("ij,ij->i", matrix, matrix)
    return squares


def _joined(
    name: str,
    before: LowRank[NDArray[np.float32]],
    one: LowRank[NDArray[np.float32]],
) -> LowRank[NDArray[np.float32]]:
    """Join two adapters of a matrix, their ranks side by side.

    The gain of the second is a factor of all that the first has made.
    """
    has_rows = name == EMBEDDING or name.endswith(TYPES)
    axis = 1 if has_rows or is_of_experts(name) else 0
    up, gain = before.up, before.gain
    if one.gain is not None:
        up = up * one.gain[:, None]
        gain = one.gain if gain is None else gain * one.gain
    down = np.concatenate([before.down, one.down], axis=axis)
    return LowRank(down, np.concatenate([up, one.up], axis=-1), gain)
