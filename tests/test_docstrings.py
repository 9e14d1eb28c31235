"""The examples in docstrings: all of them run, and every public call has one."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.hub_server import HubServer, Repo
from tests.support.hugging_face import write_babble
from tests.support.lora_files import random_pairs, write_lora

QUERY = "blk.0.attn_q.weight"
PACKAGE = Path(llamacy.__file__).parent
OPTIONAL = {"llamacy.integrations": "integrations", "llamacy.server": "server"}
CALLS = [
    *(name for name in llamacy.__all__ if inspect.isfunction(getattr(llamacy, name))),
    "Model",
    "Session",
    "SamplingParams",
    *(
        f"Model.{name}"
        for name, value in inspect.getmembers(llamacy.Model, inspect.isfunction)
        if not name.startswith("_")
    ),
]

NEEDED = {"llamacy.jobs.ray.predictor": "pyarrow"}
"""Packages that the examples of modules need, and the modules do not."""


def has_examples(file: Path) -> bool:
    """Whether any of its docstrings has; few files are parsed to know it."""
    source = file.read_text(encoding="utf-8")
    if ">>>" not in source:
        return False
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        ">>>" in (ast.get_docstring(node) or "")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, holders)
    )


def modules() -> list[Any]:
    """Modules that have examples; compiled ones have none."""
    names = [
        ".".join(
            ("llamacy", *file.relative_to(PACKAGE).with_suffix("").parts)
        ).removesuffix(".__init__")
        for file in sorted(PACKAGE.rglob("*.py"))
        if has_examples(file)
    ]
    return [
        pytest.param(name, marks=getattr(pytest.mark, mark)) if mark else name
        for name in names
        for mark in [OPTIONAL.get(part_of(name), "")]
    ]


def part_of(module: str) -> str:
    """Return the part of the package that a module is in."""
    return ".".join(module.split(".")[:2])


def examples(module: str) -> list[doctest.DocTest]:
    if part_of(module) in OPTIONAL:  # whose libraries need not be installed
        pytest.importorskip(module, exc_type=ImportError)
    if package := NEEDED.get(module):
        pytest.importorskip(package, reason=f"{package} is absent")
    return [
        test
        for test in doctest.DocTestFinder().find(importlib.import_module(module))
        if test.examples
    ]


def run(test: doctest.DocTest) -> str:
    """Run one docstring's examples; return what failed."""
    test.globs.update(llamacy=llamacy, asyncio=asyncio, Path=Path)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    return "".join(said)


@pytest.fixture
def folder(
    tmp_path: Path,
    babble_model: Path,
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The working directory of the examples, with the files that they name."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(babble_model, "model.gguf")
    write_babble(tmp_path / "SmolLM2-135M")
    with llamacy.load("demo") as model:
        shapes = model.executor.shapes
    query = "blk.0.attn_q.weight"
    for name in ("pirate.gguf", "rhymes.gguf"):
        write_lora(
            tmp_path / name, random_pairs({query: shapes[query]}, rank=2, seed=0)
        )
    files = {"SmolLM2-135M-Instruct-Q4_K_M.gguf": babble_model.read_bytes()}
    hub.repos["bartowski/SmolLM2-135M-Instruct-GGUF"] = Repo(files)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("module", modules())
def test_examples_run(module: str) -> None:
    assert "".join(map(run, examples(module))) == ""


@pytest.mark.parametrize("module", modules())
def test_no_example_is_skipped(module: str) -> None:
    for test in examples(module):
        assert not any(doctest.SKIP in each.options for each in test.examples)


@pytest.mark.parametrize("name", CALLS)
def test_every_public_call_has_an_example(name: str) -> None:
    value: Any = llamacy
    for part in name.split("."):
        value = getattr(value, part)
    assert ">>>" in (inspect.getdoc(value) or "")
