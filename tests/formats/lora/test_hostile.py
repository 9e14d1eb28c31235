"""PEFT's adapters with one change are refused with a typed error, or work."""

from __future__ import annotations

from typing import Any

from fuzz.documents import data_of, document_of
from fuzz.targets import adapter
from hypothesis import given, settings

from tests.support.changes import changed

# an error that is not typed leaves the target's `run`
DOCUMENTS = [each for each in map(document_of, adapter.seeds()) if each]


@given(document=changed(DOCUMENTS))
@settings(max_examples=100, deadline=None)
def test_an_adapter_with_one_change_is_refused_or_read(
    document: dict[str, Any],
) -> None:
    adapter.run(data_of(document))
