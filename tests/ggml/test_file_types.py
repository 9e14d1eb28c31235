"""File types have llama.cpp's names and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamacy.errors import ArgumentError
from llamacy.ggml.file_types import FILE_TYPES, file_type_name, find_file_type
from llamacy.ggml.types import GGMLType

gguf = pytest.importorskip("gguf")


def test_names_and_numbers_are_those_of_llama_cpp() -> None:
    for name, file_type in FILE_TYPES.items():
        prefix = "ALL" if name == "F32" else "MOSTLY"
        assert file_type.name == name
        if name == "Q2_0":  # which the package does not have
            assert file_type.number == 41
            continue
        assert file_type.number == gguf.LlamaFileType[f"{prefix}_{name}"]


def test_a_file_type_is_found_by_its_name_in_any_case() -> None:
    assert find_file_type("q4_k_m") is find_file_type("Q4_K")
    assert find_file_type("bf16").base == GGMLType.BF16


@pytest.mark.parametrize("name", ["Q4_K_XL", "", None])
def test_an_unknown_file_type_is_refused(name: Any) -> None:
    wanted = r"type: wanted one of F32, .*, Q2_K, .*, Q1_0"
    with pytest.raises(ArgumentError, match=wanted):
        find_file_type(name)


def test_a_file_type_is_named_by_its_number() -> None:
    assert file_type_name({"general.file_type": 15}) == "Q4_K_M"
    assert file_type_name({"general.file_type": 10**6}) is None
    assert file_type_name({}) is None
    assert file_type_name({"general.file_type": np.array([15, 15])}) is None
