"""The examples of the guide to the server run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pages import ROOT, Block, blocks

pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

GUIDE = ROOT / "docs/guides/server.md"


@pytest.mark.parametrize(
    "block", list(blocks(GUIDE, "python")), ids=lambda one: one.needs[0]
)
def test_examples_run(
    block: Block, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in block.needs:
        pytest.importorskip(package)
    code = block.code.replace("http://127.0.0.1:8080", url)
    space: dict[str, Any] = {"__name__": "example"}
    exec(compile("\n" * block.line + code, str(GUIDE), "exec"), space)
    assert capsys.readouterr().out in ("42\n", "")
