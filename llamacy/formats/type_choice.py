"""Types of single tensors that a caller chooses, before a recipe does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from llamacy.arguments import checked_flag, short
from llamacy.errors import ArgumentError
from llamacy.formats.recipes import (
    EMBEDDINGS,
    OUTPUT,
    ModelShape,
    fitting,
    may_change,
    tensor_type,
)
from llamacy.ggml.file_types import FileType
from llamacy.ggml.quantization import QUANTIZERS
from llamacy.ggml.types import GGMLType

_PER_LAYER: Final = "per_layer_token_embd.weight"


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """Types of some tensors, and whether the others follow their file type's recipe.

    Attributes
    ----------
    patterns : tuple of (re.Pattern, GGMLType)
        Types of the tensors whose names a pattern is found in; the first one decides.
    output : GGMLType or None
        Type of the matrix that makes the logits.
    embedding : GGMLType or None
        Type of the token embedding.
    is_pure : bool
        All others get the file type's main type.
    leaves_output : bool
        The output matrix stays as it is.
    """

    patterns: tuple[tuple[re.Pattern[str], GGMLType], ...] = ()
    output: GGMLType | None = None
    embedding: GGMLType | None = None
    is_pure: bool = False
    leaves_output: bool = False

    @classmethod
    def checked(
        cls,
        tensor_types: object,
        output: object,
        embedding: object,
        is_pure: object,
        leaves_output: object,
    ) -> TypeChoice:
        """Return the choice that the arguments of `llamacy.quantize` make.

        Raises
        ------
        ArgumentError
            There is no such type, or a pattern is not a regular expression.
        """
        return cls(
            _checked_patterns(tensor_types),
            _checked_type("output_tensor_type", output),
            _checked_type("token_embedding_type", embedding),
            checked_flag("pure", is_pure),
            checked_flag("leave_output_tensor", leaves_output),
        )

    def type_of(
        self,
        file_type: FileType,
        model: ModelShape,
        name: str,
        shape: tuple[int, ...],
        current: GGMLType,
        *,
        has_imatrix: bool,
    ) -> GGMLType:
        """Choose a tensor's type: see `llamacy.formats.recipes.tensor_type`."""
        if not may_change(name, shape) or (self.leaves_output and name == OUTPUT):
            return current
        chosen = self._own(model, name)
        if chosen is None and self.is_pure:
            chosen = file_type.base
        if chosen is not None:
            return fitting(chosen, shape)
        return tensor_type(
            file_type, model, name, shape, current, has_imatrix=has_imatrix
        )

    def unused(self, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """List the patterns that are in no name of a tensor whose type may change."""
        names = [name for name, shape in shapes.items() if may_change(name, shape)]
        return [
            pattern.pattern
            for pattern, _ in self.patterns
            if not any(pattern.search(name) for name in names)
        ]

    def _own(self, model: ModelShape, name: str) -> GGMLType | None:
        """Return the type that the caller gave a tensor."""
        matched = next((each for p, each in self.patterns if p.search(name)), None)
        if name in EMBEDDINGS and self.embedding is not None:
            is_named = name == _PER_LAYER and matched is not None
            return matched if is_named else self.embedding
        if name == OUTPUT and self.output is not None:
            return self.output
        if matched is None and name in EMBEDDINGS and not model.has_output:
            return self.output
        return matched


def _checked_type(name: str, value: object) -> GGMLType | None:
    if value is None:
        return None
    known = {each.name: each for each in QUANTIZERS}
    found = known.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise ArgumentError(
            f"{name}: wanted a type of tensors, one of {', '.join(known)}, "
            f"found {short(value)}"
        )
    return found


def _checked_patterns(
    tensor_types: object,
) -> tuple[tuple[re.Pattern[str], GGMLType], ...]:
    if tensor_types is None:
        return ()
    if not isinstance(tensor_types, Mapping):
        raise ArgumentError(
            "tensor_types: wanted a dict of patterns and types, "
            f"found {short(tensor_types)}"
        )
    patterns = []
    for pattern, name in tensor_types.items():
        found = _checked_type(f"tensor_types[{short(pattern)}]", name)
        try:
            compiled = re.compile(pattern, re.IGNORECASE)
        except (re.error, TypeError) as error:
            wanted = f"wanted a regular expression, found {short(pattern)} ({error})"
            raise ArgumentError(f"tensor_types: {wanted}") from None
        if found is None or not pattern:
            raise ArgumentError("tensor_types: wanted a pattern and a type")
        patterns.append((compiled, found))
    return tuple(patterns)
