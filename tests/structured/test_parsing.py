"""Values of finished texts: those that Python does not read have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

import llamacy
from llamacy.results import Completion
from llamacy.structured.parsing import with_value
from tests.support.structured import form


@pytest.fixture(scope="module")
def finished() -> Completion:
    with llamacy.load("demo") as model:
        return replace(model.generate("Once", max_tokens=1), finish_reason="stop")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1]", [1]),
        ("[1", None),
        ("1" * 5000, None),
        ("[" * 100_000 + "]" * 100_000, None),
    ],
    ids=["whole", "cut", "digits", "depth"],
)
def test_a_text_that_python_cannot_read_has_no_value(
    finished: Completion, text: str, value: object
) -> None:
    assert with_value(finished, form(json_schema=True), text).parsed == value
