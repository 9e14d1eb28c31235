"""Sessions with one change are refused with a typed error, or go on."""

from __future__ import annotations

from typing import Any

from fuzz.documents import data_of, document_of
from fuzz.targets import session
from hypothesis import given, settings

from tests.support.changes import changed

# an error that is not typed leaves the target's `run`
DOCUMENTS = [each for each in map(document_of, session.seeds()) if each]


@given(document=changed(DOCUMENTS))
@settings(max_examples=60, deadline=None)
def test_a_session_with_one_change_is_refused_or_loaded(
    document: dict[str, Any],
) -> None:
    session.run(data_of(document))
