"""Folders with one change are refused with a typed error, or open."""

from __future__ import annotations

from typing import Any

from fuzz.documents import data_of, document_of
from fuzz.targets import config
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.formats.hugging_face.generation import USED
from tests.support.changes import ANYTHING, changed

DOCUMENTS = [each for each in map(document_of, config.seeds()) if each]


@given(document=changed(DOCUMENTS))
@settings(max_examples=40, deadline=None)
def test_a_folder_with_one_change_is_refused_or_opens(document: dict[str, Any]) -> None:
    config.run(data_of(document))  # an error that is not typed leaves it


@given(generation=st.dictionaries(st.sampled_from(sorted(USED)), ANYTHING, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_generation_config_is_refused_or_read(generation: dict[str, Any]) -> None:
    config.run(data_of(DOCUMENTS[0] | {"generation_config.json": generation}))
