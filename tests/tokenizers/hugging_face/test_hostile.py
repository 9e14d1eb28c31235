"""tokenizer.json with one change is refused with a typed error, or works."""

from __future__ import annotations

from typing import Any

from fuzz.documents import data_of, document_of
from fuzz.targets import tokenizer
from hypothesis import given, settings

from tests.support.changes import changed

# an error that is not typed leaves the target's `run`
DOCUMENTS = [each for each in map(document_of, tokenizer.seeds()) if each]


@given(document=changed(DOCUMENTS))
@settings(max_examples=60, deadline=None)
def test_a_vocabulary_with_one_change_is_refused_or_works(
    document: dict[str, Any],
) -> None:
    tokenizer.run(data_of(document))
