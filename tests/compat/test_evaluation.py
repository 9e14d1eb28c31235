"""Evaluating and sampling token by token."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

import llamacy
from llamacy.compat.llama_cpp import Llama

IDS = [1, 403, 407]
FOLLOWING = [261, 378, 432, 383, 286]


@pytest.fixture(autouse=True)
def forgotten(stories: Llama) -> None:
    stories.reset()


def test_eval_and_sample_give_the_greedy_text(stories: Llama) -> None:
    stories.eval(IDS[:1])
    stories.eval(IDS[1:])
    assert stories.sample(temp=0.0) == FOLLOWING[0]
    assert (stories.n_tokens, stories.input_ids.tolist()) == (3, IDS)
    written = list(IDS)
    for wanted in FOLLOWING:
        token = stories.sample(temp=0.0)
        assert token == wanted
        stories.eval([token])
        written.append(token)
    assert stories.eval_tokens == written
    stories.reset()
    assert stories.n_tokens == 0


def test_scores_are_the_logits_of_llama_cpp_python(stories: Llama) -> None:
    assert stories.scores.shape == (0, 512)
    stories.eval(IDS)
    assert (stories.scores.shape, stories.scores.dtype.name) == ((3, 512), "float32")
    # llama-cpp-python's logits of the first token after the prompt
    wanted = [-12.14061164855957, 1.778256893157959, -12.142465591430664]
    assert stories.scores[2, :3] == pytest.approx(wanted, rel=1e-3)
    assert int(np.argmax(stories.eval_logits[-1])) == FOLLOWING[0]


def test_generate_yields_the_greedy_tokens(stories: Llama) -> None:
    assert list(islice(stories.generate(IDS, temp=0.0), 5)) == FOLLOWING
    stories.reset()
    stories.eval(IDS[:2])
    drawn = stories.generate(IDS[2:], temp=0.0, top_k=1, reset=False)
    assert list(islice(drawn, 5)) == FOLLOWING


def test_generate_yields_the_end_of_text_token(stories: Llama) -> None:
    def end(ids: object, scores: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        scores[2] = 100

    tokens = list(stories.generate(IDS, temp=0.0, logits_processor=end))
    assert tokens == [stories.token_eos()]


def test_a_saved_state_can_be_loaded_again(stories: Llama) -> None:
    stories.eval(IDS)
    state = stories.save_state()
    stories.eval([5, 6, 7])
    for _ in range(2):
        stories.load_state(state)
        assert stories.eval_tokens == IDS
        assert stories.sample(temp=0.0) == FOLLOWING[0]
        stories.eval([5])
    assert state.n_tokens == 3


def test_impossible_calls_are_refused(stories: Llama) -> None:
    with pytest.raises(llamacy.ArgumentError, match="sample: wanted"):
        stories.sample()
    with pytest.raises(llamacy.ContextLengthError):
        stories.eval([5] * 600)
    stories.eval(IDS)
    with pytest.raises(llamacy.ArgumentError, match="idx"):
        stories.sample(idx=0)
