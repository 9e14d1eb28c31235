"""Texts of a model with recurrent layers: the same, however they are gone on with."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

import llamacy
from llamacy import kernels
from llamacy.cli import app
from llamacy.errors import FormatError
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.model.model import Model
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.sessions.session import Session
from tests.support import recurrent_model
from tests.support.drafted import drafting, foretelling
from tests.support.verbs import has_tiles

GREEDY: dict[str, Any] = {"temperature": 0, "logit_bias": {2: -100}}  # without end
N_MOST = 12  # tokens of a continuation
HAS_TILES = has_tiles(kernels.selected().name)  # whose products round otherwise
alone_as_together = pytest.mark.skipif(HAS_TILES, reason="tiles round otherwise")
IDS: list[int] = np.random.default_rng(0).integers(260, 400, 150).tolist()


def load(path: Path, **options: Any) -> Model:
    """Load the model, with passes that are too short for tiles."""
    return llamacy.load(path, n_batch=8 if HAS_TILES else 512, **options)


@pytest.fixture(scope="module", params=recurrent_model.KEYS)
def path(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    folder = tmp_path_factory.mktemp("recurrent")
    return recurrent_model.write(
        folder, write_gguf, llama_metadata, random_tensors, request.param
    )


@pytest.fixture
def model(path: Path) -> Iterator[Model]:
    with load(path, n_threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def plain(path: Path) -> Iterator[Model]:
    """The model, that keeps nothing of past texts."""
    with load(path, n_threads=1, prompt_cache=0) as model:
        yield model


Follow = Callable[[list[int], int], list[int]]


@pytest.fixture(scope="module")
def follow(plain: Model) -> Follow:
    """Continue a text that is read at once, from its first token on."""
    known: dict[tuple[int, ...], list[int]] = {}

    def follow(ids: list[int], n: int) -> list[int]:
        assert n <= N_MOST
        if tuple(ids) not in known:
            out = plain.generate(ids, max_tokens=N_MOST, **GREEDY)
            assert out.usage.cached_tokens == 0
            known[tuple(ids)] = out.tokens
        return known[tuple(ids)][:n]

    return follow


def states_used(model: Model) -> int:
    assert isinstance(model.executor, Plan)
    pool = model.executor._pool.states
    assert pool is not None
    return pool.n_used


def test_the_plan_computes_what_the_reference_does(path: Path) -> None:
    with open_model(path) as file:
        _, config = read_hyperparameters(file)
        both: list[LoadedExecutor] = [
            load_executor(file, config, executor="reference"),
            load_executor(file, config, n_threads=2, kv_type="f32"),
        ]
    want, got = (
        each.forward(Batch.of(IDS, each.new_sequence(), "all")) for each in both
    )
    assert off(got, want) <= (0.06 if HAS_TILES else 1e-3)
    for each in both:  # and both go back to what was marked, and on from there
        sequence = each.new_sequence()
        sequence.mark([70])
        rows = each.forward(Batch.of(IDS[:100], sequence, "all"))
        sequence.truncate(90)
        assert sequence.n_past == 70
        again = each.forward(Batch.of(IDS[70:100], sequence, "all"))
        assert off(again, rows[70:]) <= (0.06 if HAS_TILES else 1e-5)


def off(got: NDArray[np.float32], want: NDArray[np.float32]) -> float:
    """Return the root mean square of differences, of the spread of what is wanted."""
    return float(np.sqrt(np.mean((got - want) ** 2)) / want.std())


@alone_as_together
def test_a_text_read_in_parts_is_the_one_read_at_once(path: Path) -> None:
    with load(path, n_threads=2) as model:
        plan = model.executor
        whole = plan.forward(Batch.of(IDS, plan.new_sequence(), "last"))
        for step in (1, 7, 64):
            sequence = plan.new_sequence()
            for first in range(0, len(IDS), step):
                part = IDS[first : first + step]
                got = plan.forward(Batch.of(part, sequence, "last"))
            np.testing.assert_array_equal(got, whole)


@alone_as_together
def test_a_broken_pass_is_taken_back(
    plain: Model, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plain.executor
    assert isinstance(plan, Plan)
    sequence = plan.new_sequence()
    sequence.mark([40])
    plan.forward(Batch.of(IDS[:60], sequence, "none"))

    def interrupt(self: PagedSequence, n_tokens: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PagedSequence, "advance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            plan.forward(Batch.of(IDS[60:70], sequence, "none"))
    assert sequence.n_past == 40
    logits = plan.forward(Batch.of(IDS[40:70], sequence))
    assert logits[0].argmax() == follow(IDS[:70], 1)[0]
    sequence.close()


@pytest.mark.parametrize("every", [1, 2, 3, 7, 1000])
def test_drafting_gives_the_text_of_a_token_a_pass(model: Model, every: int) -> None:
    """Whether the guess is wrong at each token, at some, or nowhere."""
    wanted = model.generate(IDS[:50], max_tokens=60, drafting=False, **GREEDY)
    guess = [
        token if (at + 1) % every else 261 for at, token in enumerate(wanted.tokens)
    ]
    with drafting(model, foretelling(IDS[:50] + guess)):
        found = model.generate(IDS[:50], max_tokens=60, **GREEDY)
    assert found.tokens == wanted.tokens
    assert found.timings.n_generated == 59  # nothing was read again
    assert (found.timings.n_generation_passes < 59) == (every > 1)


@pytest.mark.parametrize("every", [2, 1000])
def test_drafts_beside_forced_tokens_change_no_text(model: Model, every: int) -> None:
    pytest.importorskip("llguidance")
    options: dict[str, Any] = {"regex": "([abc] so ){9}", "temperature": 0}
    wanted = model.generate(IDS[:50], drafting=False, **options)
    guess = [
        token if (at + 1) % every else 261 for at, token in enumerate(wanted.tokens)
    ]
    with drafting(model, foretelling(IDS[:50] + guess)):
        found = model.generate(IDS[:50], **options)
    assert (found.text, found.tokens) == (wanted.text, wanted.tokens)
    # constraints leave wrong guesses out, so that those cost no pass
    assert found.timings.n_passes < wanted.timings.n_passes


def test_what_is_read_before_is_not_read_again(model: Model, follow: Follow) -> None:
    prompts = [IDS[:100], IDS[:100], IDS[:100] + follow(IDS[:100], 8) + IDS[5:25]]
    cached = []
    for prompt in prompts:
        out = model.generate(prompt, max_tokens=8, **GREEDY)
        assert out.tokens == follow(prompt, 8)
        cached.append(out.usage.cached_tokens)
        assert out.timings.n_prompt == len(prompt) - cached[-1]
    # the last token of the text is in no pass, for nothing follows it
    assert cached == [0, 99, 107]


def test_a_text_that_leaves_a_past_one_goes_on_from_a_snapshot(
    model: Model, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    model.generate(IDS[:100], max_tokens=N_MOST, **GREEDY)
    prompt = [*IDS[:100], *follow(IDS[:100], 5), *IDS[:20]]
    with caplog.at_level(logging.DEBUG, "llamacy"):
        out = model.generate(prompt, max_tokens=N_MOST, **GREEDY)
    assert out.tokens == follow(prompt, N_MOST)
    assert out.usage.cached_tokens == 99
    said = "begins with 105 tokens of a past text; 6 of them are read again"
    assert said in caplog.text


def test_samples_and_lists_share_what_they_begin_with(
    model: Model, follow: Follow
) -> None:
    outs = model.generate(IDS[:90], n=5, max_tokens=N_MOST, **GREEDY)
    assert [out.tokens for out in outs] == [follow(IDS[:90], N_MOST)] * 5
    if not HAS_TILES:  # with passes as short, they do not wait for the last tokens
        assert [out.usage.cached_tokens for out in outs] == [0, *[89] * 4]
    prompts = [IDS[60:120] + [300 + i] * (i + 1) for i in range(5)]
    outs = model.generate(prompts, max_tokens=N_MOST, **GREEDY)
    assert [o.tokens for o in outs] == [follow(p, N_MOST) for p in prompts]
    assert all(out.usage.cached_tokens >= 32 for out in outs[1:])
    if not HAS_TILES:
        assert [out.usage.cached_tokens for out in outs] == [0, *[60] * 4]


def test_many_threads_get_what_one_gets(model: Model, follow: Follow) -> None:
    prompts = [IDS[: 40 + 9 * (i % 5)] + [270 + i] for i in range(10)]
    wanted = [follow(prompt, N_MOST) for prompt in prompts]

    def run(prompt: list[int]) -> list[int]:
        tokens: list[int] = model.generate(prompt, max_tokens=N_MOST, **GREEDY).tokens
        return tokens

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(run, prompts)) == wanted


def test_a_stream_closed_early_leaves_what_was_taken(
    model: Model, follow: Follow
) -> None:
    with model.session() as session:
        session.feed(IDS[:80])
        stream = session.stream(max_tokens=500, **GREEDY)
        pieces = [next(stream) for _ in range(3)]
        stream.close()
        taken = [token for piece in pieces for token in piece.tokens]
        text = [*IDS[:80], *taken]
        assert session.tokens == text
        assert session.generate(max_tokens=9, **GREEDY).tokens == follow(text, 9)
    with model.stream(IDS[:80], max_tokens=500, **GREEDY) as stream:
        next(stream)
    out = model.generate(IDS[:80], max_tokens=9, **GREEDY)
    assert (out.tokens, out.usage.cached_tokens) == (follow(IDS[:80], 9), 79)


def test_likelihoods_do_not_depend_on_what_is_cached(
    model: Model, plain: Model
) -> None:
    model.generate(IDS[:90], max_tokens=5, **GREEDY)
    np.testing.assert_array_equal(model.logits(IDS[:60]), plain.logits(IDS[:60]))
    assert model.score(IDS[:80]) == plain.score(IDS[:80])
    labels = ["ba da", "ba do", "ki"]
    ours, theirs = (each.choose(IDS[:70], labels) for each in (model, plain))
    assert ours.label == theirs.label
    assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-5)


def test_a_chat_reads_only_what_is_new(model: Model, plain: Model) -> None:
    messages: list[dict[str, Any]] = []
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 20}
    n_before = 0
    for turn in range(4):
        messages.append({"role": "user", "content": f"ba da {turn} " + "ki lo mu " * 9})
        out, want = (each.chat(messages, **options) for each in (model, plain))
        assert out.text == want.text
        assert want.usage.cached_tokens == 0
        # from before the answer on, or from its end, where its text gives its tokens
        assert out.usage.cached_tokens >= n_before - 1
        messages.append({"role": "assistant", "content": out.text})
        n_before = out.usage.prompt_tokens
    messages[5]["content"] = "ba"  # an answer that is rewritten
    messages.append({"role": "user", "content": "go on"})
    out, want = (each.chat(messages, **options) for each in (model, plain))
    assert out.text == want.text
    assert out.usage.cached_tokens > n_before // 3


def test_a_full_context_is_made_room_in(path: Path) -> None:
    messages = [
        {"role": role, "content": f"{i} " + "ba da ki lo " * 6}
        for i, role in enumerate(["user", "assistant"] * 4 + ["user"])
    ]
    options: dict[str, Any] = {**GREEDY, "max_tokens": 250, "overflow": "shift"}
    texts = []
    for prompt_cache in (0, None):
        with load(path, n_ctx=384, prompt_cache=prompt_cache) as model:
            out = model.chat(messages, **options)
            assert out.usage.completion_tokens == 250
            texts.append(out.text)
    assert texts[0] == texts[1]


def test_memory_is_what_inspect_says(path: Path) -> None:
    info = llamacy.inspect(path)
    of_layer = {
        "lfm2": 2 * 64,
        "jamba": 3 * 64 + 64 * 8,
        "kimi-linear": 3 * 96 + 4 * 8 * 8,
        "mamba2": 3 * 80 + 64 * 8,
    }[info.architecture]
    assert info.state_bytes == 33 * 3 * of_layer * 4  # of three layers, with snapshots
    with load(path, prompt_cache=0) as model, model.session() as session:
        plan = model.executor
        assert isinstance(plan, Plan)
        for first in range(40):
            session.feed(IDS[first : first + 4])
            assert plan.kv_bytes_used <= info.kv_bytes(max(1, session.n_past))
        assert states_used(model) == 33
        assert plan.kv_bytes_used == info.kv_bytes(session.n_past)
    shown = CliRunner().invoke(app, ["show", str(path)]).stdout
    sizes = {
        "lfm2": "49.5",
        "jamba": "272.2",
        "kimi-linear": "210.4",
        "mamba2": "290.8",
    }
    n_kib = sizes[info.architecture]
    assert f"of which {n_kib} KiB for the states of recurrent layers" in shown
    page = info.kv_page_bytes["f16"]
    assert info.kv_bytes(64) - info.kv_bytes(32) == page
    assert info.longest_context(info.memory_bytes(320)) == 320


def test_past_texts_take_no_more_than_they_may(path: Path) -> None:
    for prompt_cache in (0, 30_000, 100_000):
        with load(path, prompt_cache=prompt_cache) as model:
            plan = model.executor
            assert isinstance(plan, Plan)
            for first in range(0, 100, 10):
                model.generate(IDS[first : first + 50], max_tokens=3, **GREEDY)
                assert plan.kv_bytes_used <= prompt_cache
            assert bool(plan.kv_bytes_used) == bool(prompt_cache)


class Texts:
    """Sessions, and what is in them; all of them are checked after each action."""

    def __init__(self, model: Model, follow: Follow, folder: Path) -> None:
        self.model, self.follow, self.folder = model, follow, folder
        self.held: list[tuple[Session, list[int]]] = [(model.session(), [])]

    def act(self, action: str, n: int) -> None:
        session, text = self.held[n % len(self.held)]
        if action == "feed":
            more = IDS[n : n + 1 + n // 3]
            session.feed(more)
            text += more
        elif action == "generate" and text:
            out = session.generate(max_tokens=1 + n % N_MOST, **GREEDY)
            assert out.tokens == self.follow(text, 1 + n % N_MOST)
            text += out.tokens
        elif action == "stream" and text:
            with session.stream(max_tokens=50, **GREEDY) as stream:
                text += [token for token in next(stream).tokens]
        elif action == "rewind":
            session.rewind(min(n, len(text)))
            del text[len(text) - min(n, len(text)) :]
        elif action == "fork" and len(self.held) < 4:
            self.held.append((session.fork(), list(text)))
        elif action == "reload":
            session.save(self.folder / "session")
            loaded = self.model.load_session(self.folder / "session")
            self.held[n % len(self.held)] = loaded, text
            session.close()
        elif action == "ask" and text:  # beside the sessions, from the cache
            out = self.model.generate(text, max_tokens=N_MOST, **GREEDY)
            assert out.tokens == self.follow(text, N_MOST)
        assert all(session.tokens == text for session, text in self.held)

    def finish(self) -> None:
        for session, text in self.held:
            if text:
                out = session.generate(max_tokens=N_MOST, **GREEDY)
                assert out.tokens == self.follow(text, N_MOST)
            session.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    actions=st.lists(
        st.tuples(
            st.sampled_from(
                ["feed", "generate", "stream", "rewind", "fork", "reload", "ask"]
            ),
            st.integers(0, 60),
        ),
        min_size=3,
        max_size=14,
    )
)
def test_whatever_happens_to_it_a_text_goes_on_as_if_read_at_once(
    path: Path, follow: Follow, tmp_path: Path, actions: list[tuple[str, int]]
) -> None:
    with load(path, n_threads=1) as model:
        texts = Texts(model, follow, tmp_path)
        for action, n in actions:
            texts.act(action, n)
        texts.finish()
        model.close()
        assert states_used(model) == 0


def test_a_file_has_the_states_and_their_snapshots(
    model: Model, tmp_path: Path, follow: Follow
) -> None:
    file = tmp_path / "session"
    with model.session() as session:
        session.feed(IDS[:40])
        session.feed(IDS[40:70])
        session.save(file)
    with zipfile.ZipFile(file) as archive:
        header = json.loads(archive.read("header.json"))
        states = [name for name in archive.namelist() if name.startswith("states/")]
    assert header["snapshots"] == [39, 40, 69]
    assert states == [f"states/{n}" for n in (39, 40, 69, 70)]
    with model.load_session(file) as session:
        session.rewind(25)
        out = session.generate(IDS[:5], max_tokens=4, **GREEDY)
        assert out.tokens == follow(IDS[:45] + IDS[:5], 4)
        assert out.usage.cached_tokens == 40


@pytest.mark.parametrize(
    "snapshots", [[0], [71], [3, 2], [4, 4], [1.5], ["a"], {}, list(range(1, 40)), [7]]
)
def test_a_file_whose_snapshots_cannot_be_is_refused(
    model: Model, tmp_path: Path, snapshots: Any
) -> None:
    with model.session() as session:
        session.feed(IDS[:70])
        session.save(tmp_path / "sound")
    with (
        zipfile.ZipFile(tmp_path / "sound") as sound,
        zipfile.ZipFile(tmp_path / "other", "w") as other,
    ):
        for name in sound.namelist():
            data = sound.read(name)
            if name == "header.json":
                data = json.dumps(json.loads(data) | {"snapshots": snapshots}).encode()
            other.writestr(name, data)
    with pytest.raises(FormatError, match="snapshots|states/7"):
        model.load_session(tmp_path / "other")
    model.close()
    assert states_used(model) == 0
