"""The examples of the guide to other libraries run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pages import ROOT, blocks

pytestmark = pytest.mark.integrations

GUIDE = ROOT / "docs/guides/integrations.md"


@pytest.mark.parametrize("package", ["langchain_core", "llama_index"])
def test_examples_run(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(package)
    examples = [one for one in blocks(GUIDE, "python") if package in one.needs]
    space: dict[str, Any] = {"__name__": "example"}
    for line, code, _ in examples:
        exec(compile("\n" * line + code, str(GUIDE), "exec"), space)
    assert "Rome" in capsys.readouterr().out
