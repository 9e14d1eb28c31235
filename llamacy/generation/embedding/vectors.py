"""Embeddings as they are returned, and what is made of a pass's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.results import Usage

Array: TypeAlias = NDArray[np.float32]


class Embeddings(np.ndarray[Any, np.dtype[np.float32]]):
    """Vectors of texts: a float32 array that also counts the texts' tokens.

    It is (n_texts, n_dim), or (n_dim,) for a single text. Arithmetic, indexing and
    NumPy's functions give plain arrays; results of its other methods have no counts.

    Parameters
    ----------
    vectors : float32, (n_texts, n_dim) or (n_dim,)
        The vectors.
    token_counts : tuple of int
        Tokens of each text that were read.
    cut_counts : tuple of int
        Tokens of each text that were cut off.

    Examples
    --------
    >>> vectors = llamacy.load("demo").embed(["Once upon a time", "The end."])
    >>> vectors.token_counts
    (5, 4)
    >>> similarity = vectors @ vectors.T
    >>> type(similarity).__name__, similarity.shape
    ('ndarray', (2, 2))
    """

    _counts: tuple[tuple[int, ...], tuple[int, ...]] | None

    def __new__(
        cls,
        vectors: Array,
        token_counts: tuple[int, ...],
        cut_counts: tuple[int, ...],
    ) -> Embeddings:
        """Make them of an array, which they share the memory of."""
        made = np.asarray(vectors, np.float32).view(cls)
        made._counts = token_counts, cut_counts
        return made

    def __array_finalize__(self, source: object) -> None:
        """Have no counts: another shape or view may have other rows."""
        self._counts = None

    @property
    def token_counts(self) -> tuple[int, ...]:
        """Tokens of each text that were read, those put around it included."""
        return self._known()[0]

    @property
    def cut_counts(self) -> tuple[int, ...]:
        """Tokens of each text that ``truncate=True`` has cut off: 0 for most."""
        return self._known()[1]

    @property
    def usage(self) -> Usage:
        """Tokens of all texts together."""
        return Usage(sum(self.token_counts), 0)

    def _known(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self._counts is None:
            raise AttributeError("these are not the embeddings of a call, but a view")
        return self._counts

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """Compute with plain arrays; in place, these embeddings stay themselves."""
        given = options.get("out", ())
        if given:
            options["out"] = tuple(map(_plain, given))
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        if given and result is not NotImplemented:
            return given[0] if len(given) == 1 else given
        return result

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, options: Any
    ) -> Any:
        """Call NumPy's function with plain arrays."""
        return function(*_all_plain(args), **_all_plain(options))

    def copy(self, order: Any = "C") -> Embeddings:
        """Return a copy, which counts the same tokens."""
        return self._with_counts(np.asarray(self).copy(order))

    def __copy__(self) -> Embeddings:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Embeddings:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the vectors and the counts; a view, as a plain array."""
        vectors = np.asarray(self)
        if self._counts is None:
            return vectors.__reduce_ex__(protocol)
        return Embeddings, (vectors, *self._counts)

    def _with_counts(self, vectors: Array) -> Embeddings:
        made = vectors.view(Embeddings)
        made._counts = self._counts
        return made


def vector_of_each(found: object) -> Embeddings:
    """Return the result of `Model.embed`, checked to have one vector for each text.

    Raises
    ------
    ArgumentError
        It has one for each token, as the caller or the model's file says.
    """
    if not isinstance(found, Embeddings):
        wanted = "mean, cls or last, for a vector of each text"
        raise ArgumentError(f"pooling: wanted {wanted}, found none")
    return found


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Embeddings) else value


def _all_plain(value: Any) -> Any:
    """Return arguments with plain arrays, in lists and tuples, too."""
    if isinstance(value, list | tuple):
        return type(value)(map(_all_plain, value))
    if isinstance(value, dict):
        return {key: _all_plain(each) for key, each in value.items()}
    return _plain(value)


def finished(rows: Array, n_dim: int, *, normalize: bool) -> Array:
    """Cut vectors to `n_dim` numbers, and divide them by their norms.

    A vector of zeros stays as it is.

    Parameters
    ----------
    rows : float32, (n, n_out)
        The vectors.
    n_dim : int
        Numbers to keep of each.
    normalize : bool
        Whether to divide them.
    """
    rows = rows[:, :n_dim]
    if not normalize:
        return rows
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    norms[norms == 0] = 1
    divided: Array = (rows / norms).astype(np.float32)
    return divided
