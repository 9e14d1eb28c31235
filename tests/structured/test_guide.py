"""The examples of the guide on structured output run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import ROOT, blocks

GUIDE = ROOT / "docs/guides/structured-output.md"


def test_examples_of_the_guide_run(
    babble_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(babble_model, "model.gguf")
    space: dict[str, Any] = {"__name__": "example"}
    examples = list(blocks(GUIDE, "python"))
    assert len(examples) == 4
    for line, code, needs in examples:
        for package in needs:
            pytest.importorskip(package)
        # without this file's own annotations that are texts, which pydantic must find
        made = compile("\n" * line + code, str(GUIDE), "exec", dont_inherit=True)
        exec(made, space)
