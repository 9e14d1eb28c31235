"""Sessions whose texts are drafted, well or badly: their texts are those without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model
from llamacy.sessions.session import Session
from tests.support import recurrent_model
from tests.support.drafted import drafting, foretelling, wrong_at_random
from tests.support.levels import rows_alone

FAMILIES = ("llama", *recurrent_model.KEYS)


@pytest.fixture(scope="module", params=FAMILIES)
def model(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    babble_model: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Iterator[Model]:
    path = babble_model
    if request.param != "llama":
        folder = tmp_path_factory.mktemp("recurrent")
        path = recurrent_model.write(
            folder, write_gguf, llama_metadata, random_tensors, request.param
        )
    # drafted tokens are rows of the passes that check them
    with rows_alone(), llamacy.load(path, n_ctx=160, n_threads=1) as model:
        yield model


feeds = st.lists(st.integers(260, 380), min_size=1, max_size=30).map(
    lambda ids: ("feed", ids)
)
answers = st.fixed_dictionaries(
    {
        "max_tokens": st.sampled_from([1, 2, 9, 40, None]),
        "seed": st.integers(0, 3),
        "temperature": st.sampled_from([0, 0.3, 1]),
    },
    optional={
        "stop": st.sampled_from(["ba", "d", "ki t"]),
        "repeat_penalty": st.just(1.2),
        "mirostat": st.just(2),
        "logprobs": st.just(1),
    },
).map(lambda options: ("generate", options))
streams = st.tuples(st.just("stream"), st.integers(0, 12))
rewinds = st.tuples(st.just("rewind"), st.floats(0, 1))
forks = st.just(("fork", None))
SCRIPTS = st.lists(
    st.one_of(feeds, answers, answers, streams, rewinds, forks), max_size=8
)


class Actor:
    """Does one thing after another with a session, and with its forks."""

    def __init__(self, model: Model, opened: ExitStack) -> None:
        self.model = model
        self._opened = opened
        self.session: Session = opened.enter_context(model.session())
        self.session.feed([300, 301, 302])

    def act(self, verb: str, how: Any) -> Any:
        session = self.session
        match verb:
            case "feed":
                if session.n_past + len(how) <= self.model.n_ctx:
                    session.feed(how)
            case "generate":
                out = session.generate(**how)
                return out.text, out.tokens, out.finish_reason, out.logprobs
            case "stream":
                with session.stream(max_tokens=30, temperature=0) as stream:
                    return [piece for _, piece in zip(range(how), stream, strict=False)]
            case "rewind":
                session.rewind(int(how * (session.n_past - 1)))
            case "fork":
                self.session = self._opened.enter_context(session.fork())
        return None


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(SCRIPTS, st.integers(0, 99))
def test_whatever_is_done_the_texts_are_those_without_drafts(
    model: Model, script: list[tuple[str, Any]], seed: int
) -> None:
    with ExitStack() as opened:
        plain, drafted = Actor(model, opened), Actor(model, opened)
        change = wrong_at_random(seed, model.config.n_vocab)
        for verb, how in script:
            before = plain.session.tokens
            with drafting(model, foretelling((), None)):
                wanted = plain.act(verb, how)
            text = plain.session.tokens
            if verb == "stream":  # which goes on ahead of its reader
                text = [
                    *before,
                    *model.generate(before, max_tokens=30, temperature=0).tokens,
                ]
            with drafting(model, foretelling(text, change)):
                assert drafted.act(verb, how) == wanted
            assert drafted.session.tokens == plain.session.tokens
