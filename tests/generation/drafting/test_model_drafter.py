"""Drafts of one text by a smaller model, and by the text itself."""

from __future__ import annotations

import pytest

from llamacy.generation.drafting.draft_model import DraftModel
from llamacy.generation.drafting.drafter import TextDrafter
from llamacy.generation.drafting.model_drafter import ModelDrafter
from llamacy.generation.drafting.row_costs import RowCosts
from tests.support.drafted import FreeRows
from tests.support.scripted import N_VOCAB, ScriptedExecutor, Vocabulary

TEXT = Vocabulary.ids("so it is, so")


@pytest.fixture
def model() -> DraftModel:
    executor = ScriptedExecutor({"so it is, so": Vocabulary.ids("on")}, n_batch=32)
    return DraftModel(executor, N_VOCAB, n_ctx=100, cache_bytes=0)


def begun(model: DraftModel, costs: RowCosts) -> ModelDrafter:
    drafter = model.drafter(TEXT)
    drafter.begin(2, ScriptedExecutor({}).new_sequence())
    model.write(1, costs)
    return drafter


def test_the_model_is_asked_where_the_text_is_less_sure(model: DraftModel) -> None:
    drafter = begun(model, FreeRows())
    assert drafter.propose(2) == drafter.tokens == Vocabulary.ids("on")


def test_where_the_model_says_nothing_the_text_drafts(model: DraftModel) -> None:
    text = TextDrafter(TEXT)
    text.begin(2, ScriptedExecutor({}).new_sequence())
    drafter = begun(model, RowCosts())  # without a time to compare with
    assert not drafter.tokens
    assert 0 < drafter.chances()[0] < drafter.usual_rate
    assert drafter.chances() == text.chances()
    assert drafter.propose(2) == text.propose(2) == Vocabulary.ids(" i")
