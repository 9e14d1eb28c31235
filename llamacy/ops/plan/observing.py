"""Sums of the squares of matrices' inputs, over many passes.

An importance matrix is made of them. A plan with an `Observer` has a step more before a
product: it reads the product's input, of which it changes nothing, and adds to sums
that stay when the pass is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.step import Place, Step


class InputSquares:
    """The sums of one matrix's inputs, or of each expert's.

    Parameters
    ----------
    n_expert, n_in : int
        Experts, or 1, and columns of a matrix; or of the matrices of all heads, side by
        side, as all heads see every row.

    Attributes
    ----------
    sums : float64, (n_expert, n_in)
        Sums of the squares of each column's inputs.
    counts : int64, (n_expert,)
        The rows of input that were added up.
    """

    def __init__(self, n_expert: int, n_in: int) -> None:
        self.sums: Final = np.zeros((n_expert, n_in))
        self.counts: Final = np.zeros(n_expert, np.int64)

    def __str__(self) -> str:
        return f"squares{self.sums.shape}"


class Observer:
    """Emits the steps that add up squares, for one program.

    Parameters
    ----------
    weights : mapping of str to weights
        The matrices to observe, by name. A matrix may have several names.

    Attributes
    ----------
    squares : dict of InputSquares
        By name, of the matrices that the program multiplies with.
    """

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self._names: dict[int, list[str]] = {}
        for name, weight in weights.items():
            self._names.setdefault(id(weight), []).append(name)
        self.squares: dict[str, InputSquares] = {}
        self._of_value: dict[Node, InputSquares] = {}

    def look(
        self,
        matrices: tuple[Any, ...],
        x: Place,
        *,
        of_wanted: bool,
        value: Node | None = None,
        routes: Routing | None = None,
        is_by_row: bool = True,
    ) -> list[Step]:
        """Return the step that adds up the squares of `x`, if it is to be observed.

        Parameters
        ----------
        matrices : tuple of weights
            The matrices that `x` is multiplied with; Nones are skipped.
        x : Buffer or Columns
            Their input.
        of_wanted : bool
            Its rows are the wanted ones.
        value : Node, optional
            The value in `x`, which is added up once for all matrices that read it.
        routes : Routing, optional
            Which expert each row goes to.
        is_by_row : bool
            `x` has a row for each of the batch, not for each slot of the experts.
        """
        found = [name for each in matrices for name in self._names.get(id(each), ())]
        if not found:
            return []
        if value is not None and value in self._of_value:
            self.squares |= dict.fromkeys(found, self._of_value[value])
            return []
        first = next(each for each in matrices if id(each) in self._names)
        *n_matrices, _, n_in = first.shape
        n_expert = math.prod(n_matrices) if routes is not None else 1
        squares = InputSquares(n_expert, math.prod(n_matrices) * n_in // n_expert)
        self.squares |= dict.fromkeys(found, squares)
        if value is not None:
            self._of_value[value] = squares
        return [
            Step.of(
                "squares",
                {"x": x, "routes": routes},
                {"sums": squares},
                of_wanted=of_wanted,
                is_by_row=is_by_row,
            )
        ]
