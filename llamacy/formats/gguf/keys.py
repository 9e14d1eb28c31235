"""Values of a GGUF file's metadata, checked as they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.limits import MAX_SCALE, MIN_SCALE
from llamacy.formats.model_file import ModelFile
from llamacy.printable import shown


class Keys:
    """Values of a file's metadata, checked.

    A key with a leading dot is one of the architecture's: `".block_count"` stands for
    `"llama.block_count"`.

    Parameters
    ----------
    file : ModelFile
        The file; of its tensors the names alone are read.
    architecture : str
        The family, which its keys begin with.

    Attributes
    ----------
    n_more_layers : int
        Layers after those of the model, which arrays of one value a layer may count.
    """

    def __init__(self, file: ModelFile, architecture: str) -> None:
        self.metadata: Mapping[str, Any] = file.metadata
        self.path = file.path
        self.n_more_layers = 0
        self._architecture, self._file = architecture, file

    def has_tensor(self, name: str) -> bool:
        """Whether the file has a tensor of this name."""
        return name in self._file.tensors

    def __contains__(self, key: str) -> bool:
        return self.full(key) in self.metadata

    def is_array(self, key: str) -> bool:
        """Whether a key has several numbers."""
        return isinstance(self.metadata.get(self.full(key)), np.ndarray)

    def integer(
        self, key: str, least: int, most: int, default: int | None = None
    ) -> int:
        """Read a whole number in a range."""
        found = self._get(key, default)
        if not isinstance(found, int) or isinstance(found, bool):
            self.fail(key, "a whole number", found)
        if not least <= found <= most:
            self.fail(key, f"{least} to {most}", found)
        return found

    def per_layer(
        self,
        key: str,
        n_layer: int,
        most: int,
        default: Sequence[int] | None = None,
        lacked: str = "",
        least: int = 1,
        may_lack: bool = False,
    ) -> tuple[int, ...]:
        """Read a number for each layer: one for all, or an array of them.

        Parameters
        ----------
        key : str
            The key.
        n_layer : int
            Layers, and so numbers of an array.
        most : int
            The largest number.
        default : sequence of int or None
            Each layer's number if there is no such key; None if there must be one.
        lacked : str
            The part that a layer whose number in an array is 0 does not have,
            `"attention"`; `""` where 0 means nothing.
        least : int
            The smallest number.
        may_lack : bool
            Whether some of the layers may lack it.

        Raises
        ------
        FormatError
            The value is neither, or has a number out of range.
        UnsupportedError
            Some layers, but not all, have 0.
        """
        if default is not None and key not in self:
            numbers = tuple(default)
        else:
            numbers = self._one_or_each(key, n_layer, least, most)
        for layer, number in enumerate(numbers):
            if may_lack and number == 0 and any(numbers):
                continue
            if lacked and number == 0 and any(numbers):
                self.refuse(key, f"{lacked} in every layer", f"0 in layer {layer}")
            if not least <= number <= most:
                self.fail(key, f"{least} to {most}", f"{number} in layer {layer}")
        return numbers

    def _one_or_each(
        self, key: str, n_layer: int, least: int, most: int
    ) -> tuple[int, ...]:
        found = self._get(key, None)
        if not isinstance(found, np.ndarray):
            return (self.integer(key, least, most),) * n_layer
        if found.dtype.kind not in "iu" or not self._is_of_layers(found, n_layer):
            self.fail(key, f"a whole number, or {n_layer} of them", found)
        return tuple(found[:n_layer].tolist())

    def _is_of_layers(self, array: NDArray[Any], n_layer: int) -> bool:
        return len(array) in (n_layer, n_layer + self.n_more_layers)

    def real(
        self,
        key: str,
        most: float,
        default: float | None = None,
        least: float = 0.0,
        is_zero_allowed: bool = False,
    ) -> float:
        """Read a finite number above 0 and not below `least`, or 0 if it is allowed."""
        found = self._get(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.fail(key, "a number", found)
        # a NaN fails every comparison
        is_in_range = found > 0 and least <= found <= most
        if not is_in_range and not (is_zero_allowed and found == 0):
            lowest = f"from {least:g}" if least else "above 0"
            wanted = f"a number {lowest}, at most {most:g}"
            self.fail(key, f"0, or {wanted}" if is_zero_allowed else wanted, found)
        return float(found)

    def below_zero(self, key: str) -> float:
        """Read a finite number below 0."""
        found = self._get(key, None)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.fail(key, "a number", found)
        if not -MAX_SCALE <= found < 0:
            self.fail(key, f"a number from {-MAX_SCALE:g}, below 0", found)
        return float(found)

    def reals_per_layer(self, key: str, n_layer: int) -> tuple[float, ...]:
        """Read a finite number of either sign for each layer: one for all, or each."""
        found = self._get(key, None)
        if isinstance(found, float):
            found = np.full(n_layer, found)
        wanted = f"a finite number of at most {MAX_SCALE:g}, or {n_layer} of them"
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            self.fail(key, wanted, found)
        is_fit = self._is_of_layers(found, n_layer)
        if not is_fit or not (np.abs(found) <= MAX_SCALE).all():
            self.fail(key, wanted, found)
        return tuple(map(float, found[:n_layer].tolist()))

    def scale(self, key: str, default: float = 1.0) -> float:
        """Read a magnitude."""
        return self.real(key, most=MAX_SCALE, default=default, least=MIN_SCALE)

    def constant(self, key: str) -> float | None:
        """Read a factor or bound; None if the key is missing or 0, as in llama.cpp."""
        if key not in self:
            return None
        found = self.real(key, most=MAX_SCALE, least=MIN_SCALE, is_zero_allowed=True)
        return found or None

    def flag(self, key: str, default: bool) -> bool:
        """Read a truth value."""
        found = self._get(key, default)
        if not isinstance(found, bool):
            self.fail(key, "true or false", found)
        return found

    def flags(self, key: str, n_layer: int) -> tuple[bool, ...] | None:
        """Read an array of one truth value a layer; None if the value is no array."""
        found = self._get(key, 0)
        if not isinstance(found, np.ndarray):
            return None
        if not self._is_of_layers(found, n_layer) or not np.isin(found, (0, 1)).all():
            self.fail(key, f"a whole number, or {n_layer} times true or false", found)
        return tuple(map(bool, found[:n_layer].tolist()))

    def share(self, key: str, default: float) -> float:
        """Read a number from 0 to 1; a negative one is the default, as in llama.cpp."""
        found = self._get(key, default)
        if isinstance(found, float) and -math.inf < found < 0:
            return default
        return self.real(key, most=1.0, default=default, is_zero_allowed=True)

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string; one without a default must not be empty."""
        found = self._get(key, default)
        if not isinstance(found, str):
            self.fail(key, "a string", found)
        if not found and default is None:
            self.fail(key, "a name", "an empty one")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Read an array of strings; () if there is no such key."""
        found = self._get(key, [])
        if isinstance(found, np.ndarray) and not len(found):
            return ()
        if not isinstance(found, list):
            self.fail(key, "an array of strings", found)
        return tuple(found)

    def fail(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that is wrong."""
        raise FormatError(self.path, self.full(key), wanted, shown(found))

    def refuse(self, key: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a value that llamacy does not support."""
        raise UnsupportedError(self.path, self.full(key), wanted, shown(found))

    def _get(self, key: str, default: object) -> object:
        found = self.metadata.get(self.full(key), default)
        if found is None:
            self.fail(key, "a value", "no such key")
        return found

    def full(self, key: str) -> str:
        """Return a key with the family's name before it, if it is one of the family."""
        return self._architecture + key if key.startswith(".") else key
