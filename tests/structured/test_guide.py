"""The examples of structured output in the documentation run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import ROOT, blocks


@pytest.mark.parametrize(
    ("name", "n_examples"),
    [("guides/structured-output.md", 4), ("start/recipes.md", 1)],
)
def test_examples_run(
    name: str,
    n_examples: int,
    babble_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = ROOT / "docs" / name
    monkeypatch.chdir(tmp_path)
    shutil.copy(babble_model, "model.gguf")
    space: dict[str, Any] = {"__name__": "example"}
    examples = [one for one in blocks(page, "python") if "llguidance" in one.needs]
    assert len(examples) == n_examples
    for line, code, needs in examples:
        for package in needs:
            pytest.importorskip(package)
        # without this file's own annotations that are texts, which pydantic must find
        made = compile("\n" * line + code, str(page), "exec", dont_inherit=True)
        exec(made, space)
