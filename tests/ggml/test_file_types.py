"""File types: names, and numbers that llama.cpp gave them."""

from __future__ import annotations

import pytest

from llamacy.errors import ArgumentError
from llamacy.ggml.file_types import FILE_TYPES, file_type_name, find_file_type
from llamacy.ggml.types import GGMLType

gguf = pytest.importorskip("gguf")


def test_names_and_numbers_are_those_of_llama_cpp() -> None:
    for name, file_type in FILE_TYPES.items():
        prefix = "ALL" if name == "F32" else "MOSTLY"
        assert file_type.name == name
        assert file_type.number == gguf.LlamaFileType[f"{prefix}_{name}"]


def test_finding_one() -> None:
    assert find_file_type("q4_k_m") is find_file_type("Q4_K")
    assert find_file_type("bf16").base == GGMLType.BF16
    for name in ("Q4_K_XL", "", None):
        with pytest.raises(ArgumentError, match=r"type: wanted one of F32, .*, Q2_K"):
            find_file_type(name)  # type: ignore[arg-type]


def test_naming_one() -> None:
    assert file_type_name({"general.file_type": 15}) == "Q4_K_M"
    assert file_type_name({"general.file_type": 10**6}) is None
    assert file_type_name({}) is None
