"""The table of families names their files, whose functions are those of a family."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy.architectures
from llamacy.architectures import ARCHITECTURES
from llamacy.architectures.architecture import Family, WithMtp, WithTensorsOutside

each_family = pytest.mark.parametrize("name", ARCHITECTURES)


def declared(protocol: type) -> dict[str, Callable[..., Any]]:
    """Return a protocol's functions by name."""
    return {key: each for key, each in vars(protocol).items() if key[0] != "_"}


def types(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Return what a call must give, by names and types, and the type of its result."""
    signature = inspect.signature(function)
    needed = [one for one in signature.parameters.values() if one.default is one.empty]
    found = [(one.name, one.annotation) for one in needed if one.name != "self"]
    return [*found, ("return", signature.return_annotation)]


@each_family
def test_a_familys_file_has_its_name(name: str) -> None:
    assert ARCHITECTURES[name].module == name.replace("-", "_")


@each_family
def test_a_familys_functions_have_the_types_of_a_family(name: str) -> None:
    family = ARCHITECTURES[name].family
    functions = declared(Family)
    for more in (WithTensorsOutside, WithMtp):
        if isinstance(family, more):
            functions |= declared(more)
    for key, function in functions.items():
        assert types(getattr(family, key)) == types(function), key


def test_every_file_with_a_forward_pass_is_in_the_table() -> None:
    (folder,) = map(Path, llamacy.architectures.__path__)
    files = {
        file.stem
        for file in folder.glob("*.py")
        if "def forward(model" in file.read_text("utf-8")
    }
    assert files <= {each.module for each in ARCHITECTURES.values()}
