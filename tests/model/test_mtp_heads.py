"""Texts drafted by a model's own MTP head are those without drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app
from llamacy.errors import ArgumentError, OutOfMemoryError
from llamacy.generation.drafting.mtp_head import MtpHead
from llamacy.generation.drafting.worth import Worth
from llamacy.kernels.levels import Level
from llamacy.model.model import Model
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.roofline.explain import explain, explain_draft
from tests.support import mtp_model
from tests.support.drafted import FreeRows, rows_cost_nothing

PROMPT = "bada kidu"
N_TOKENS = 60
NO_END: dict[str, Any] = {"logit_bias": {2: -100}}

WriteModel = Callable[..., Path]


@pytest.fixture(scope="module")
def write(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> WriteModel:
    def made(**options: Any) -> Path:
        path = tmp_path_factory.mktemp("mtp") / "model.gguf"
        args = (write_gguf, llama_metadata, random_tensors)
        return mtp_model.write(path, *args, **options)

    return made


@pytest.fixture(scope="module")
def path(write: WriteModel) -> Path:
    """A model whose head is right more often than not."""
    return write(habit=0.1)


@pytest.fixture
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let heads be asked, although rows of such small models are no cheaper."""
    monkeypatch.setattr(Worth, "of_another", lambda self, drafter, rate=None: 2.0)


def load(path: Path, **options: Any) -> Model:
    model = llamacy.load(path, n_ctx=300, **options)
    rows_cost_nothing(model.engine.worker)
    return model


@pytest.fixture
def model(path: Path, always_asked: None) -> Iterator[Model]:
    with load(path) as model:
        yield model


def plain(model: Model, prompt: Any, **options: Any) -> Any:
    return model.generate(prompt, drafting=False, **options)


@pytest.mark.usefixtures("always_asked")
def test_a_head_that_knows_all_is_always_right(write: WriteModel) -> None:
    with load(write(habit=0)) as model:
        options: dict[str, Any] = {"max_tokens": N_TOKENS, "temperature": 0, **NO_END}
        options["repeat_penalty"] = 1.0
        wanted = plain(model, PROMPT, **options)
        found = model.generate(PROMPT, **options)
        assert found.tokens == wanted.tokens
        assert found.usage.accepted_tokens == found.usage.drafted_tokens
        assert found.timings.n_generation_passes <= -(-N_TOKENS // 14)


@pytest.mark.usefixtures("always_asked")
def test_greedy_text_is_the_same_at_every_level(
    selected_level: Level, path: Path
) -> None:
    with load(path, n_threads=2) as model:
        options: dict[str, Any] = {"max_tokens": N_TOKENS, "temperature": 0, **NO_END}
        wanted = plain(model, PROMPT, **options)
        found = model.generate(PROMPT, **options)
        assert found.tokens == wanted.tokens
        assert 0 < found.usage.accepted_tokens < found.usage.drafted_tokens


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7, "repeat_penalty": 1.3},
        {"temperature": 0, "stop": "ba"},
        {"temperature": 1, "mirostat": 2, "logprobs": 2},
    ],
    ids=str,
)
def test_texts_are_those_without_drafts(model: Model, options: dict[str, Any]) -> None:
    options = {"max_tokens": 40, "seed": 5, **options}
    prompts = [PROMPT, "tozu", f"{PROMPT} lemo"]
    wanted = plain(model, prompts, n=2, **options)
    found = model.generate(prompts, n=2, **options)
    for samples, others in zip(found, wanted, strict=True):
        for one, other in zip(samples, others, strict=True):
            assert one.tokens == other.tokens
            assert one.logprobs == other.logprobs
    usages = [one.usage for samples in found for one in samples]
    assert sum(each.accepted_tokens for each in usages) > 0


def test_sessions_go_back_and_on(model: Model, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_tokens": 20, "temperature": 0, **NO_END}
    with model.session() as session, model.session() as other:
        for one, drafting in ((session, True), (other, False)):
            one.feed(PROMPT)
            one.generate(drafting=drafting, **options)
            one.rewind(7)
            one.generate(" ba", drafting=drafting, **options)
        assert session.tokens == other.tokens
        session.save(tmp_path / "saved")
        with session.fork() as fork:
            found = fork.generate(**options)
        wanted = other.generate(drafting=False, **options)
        assert found.tokens == wanted.tokens
        assert found.usage.accepted_tokens
        with model.load_session(tmp_path / "saved") as again:
            later = again.generate(**options)
    assert later.tokens == wanted.tokens
    assert later.usage.accepted_tokens == found.usage.accepted_tokens


def test_a_conversation_that_drops_turns_is_drafted(path: Path) -> None:
    with llamacy.load(path, n_ctx=96) as model:
        rows_cost_nothing(model.engine.worker)
        turns = [{"role": "user", "content": f"bada kidu {n}"} for n in range(9)]
        options: dict[str, Any] = {"overflow": "shift", "max_tokens": 80, "seed": 1}
        options |= NO_END
        wanted = model.chat(turns, drafting=False, **options)
        found = model.chat(turns, **options)
        assert found.tokens == wanted.tokens
        assert found.usage.drafted_tokens > 10


def test_the_head_is_not_asked_where_tokens_must_follow_first(model: Model) -> None:
    pytest.importorskip("llguidance")
    options: dict[str, Any] = {"regex": "([a-z]{6} and then ){9}", "temperature": 0}
    wanted = plain(model, PROMPT, **options)
    found = model.generate(PROMPT, **options)
    assert (found.text, found.tokens) == (wanted.text, wanted.tokens)
    assert found.timings.n_passes < wanted.timings.n_passes


def test_pages_are_given_back(model: Model) -> None:
    executor = model.executor
    assert isinstance(executor, Plan)
    model.generate([PROMPT] * 2, max_tokens=40, seed=1, n=2)
    model.engine.worker._loop._scheduler._cache.clear()
    assert executor.kv_bytes_used == 0
    assert executor._mtp is not None
    assert executor._mtp._blocks.n_used == 0


def test_a_lack_of_memory_ends_no_text(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise OutOfMemoryError("no memory for more")

    options: dict[str, Any] = {"max_tokens": 30, "temperature": 0}
    wanted = plain(model, PROMPT, **options)
    monkeypatch.setattr(Plan, "draft", fail)
    found = model.generate(PROMPT, **options)
    assert found.tokens == wanted.tokens
    assert "the MTP head is not used any more: no memory for more" in caplog.text
    executor = model.executor
    assert isinstance(executor, Plan)
    assert executor._mtp is not None
    assert executor._mtp._blocks.n_used == 0


@pytest.mark.usefixtures("always_asked")
def test_a_draft_model_takes_the_place_of_the_head(path: Path) -> None:
    options: dict[str, Any] = {"max_tokens": 30, "temperature": 0, **NO_END}
    with load(path, draft=path) as model, load(path) as other:
        assert not model.config.has_mtp
        assert isinstance(other.engine._proposer, MtpHead)
        assert model.generate(PROMPT, **options).tokens == (
            other.generate(PROMPT, **options).tokens
        )


def test_a_head_is_asked_only_where_a_single_token_is_unread(model: Model) -> None:
    ids = [7, 301, 302, 303, 304, 305]
    executor = model.executor
    assert isinstance(executor, Plan)
    head, sequence = MtpHead(executor), executor.new_sequence()
    executor.forward(Batch.of(ids[:4], sequence, "none"))
    drafter = head.drafter(ids)
    drafter.begin(3, sequence)
    head.write(1, FreeRows())
    assert not drafter.tokens  # the last two tokens had to follow
    executor.forward(Batch.of(ids[4:5], sequence, "none"))
    drafter.begin(3, sequence)
    head.write(1, FreeRows())
    assert len(drafter.tokens) == 3
    sequence.close()


def test_a_head_that_costs_too_much_is_hardly_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    draft = Plan.draft

    def counted(self: Plan, tokens: Any, aheads: Any, logits: Any = None) -> Any:
        asked.append(tokens)
        return draft(self, tokens, aheads, logits)

    monkeypatch.setattr(Plan, "draft", counted)
    monkeypatch.setattr(MtpHead, "_pass_cost", lambda self, costs: 1.0)
    with load(path) as model:
        model.generate(PROMPT, max_tokens=200, seed=1, **NO_END)
    assert len(asked) < 30


def test_the_heads_pass_is_explained(path: Path) -> None:
    """Its steps are those of a layer and of the output, after a text of that length."""
    shown = CliRunner().invoke(
        app, ["bench", str(path), "-p", "40", "-r", "1", "--explain", "--no-limits"]
    )
    assert shown.exit_code == 0
    assert "the MTP head alone, which drafts one token:\n1 row after 40" in shown.stdout
    with llamacy.load(path) as model:
        explained = explain_draft(
            model.executor, n_past=40, repetitions=1, with_limits=False
        )
        whole = explain(model.executor, 1, n_past=40, repetitions=1, with_limits=False)
        executor = model.executor
        assert isinstance(executor, Plan)
        assert executor.kv_bytes_used == 0
        for n_past, repetitions in ((0, 1), (40, 0)):
            with pytest.raises(ArgumentError, match="n_past|repetitions"):
                executor.explain_draft(n_past, repetitions=repetitions)
    kinds = [kind.kind for kind in explained.kinds]
    assert sum("attention" in kind for kind in kinds) == 1
    assert 0 < explained.report.cost.n_bytes < whole.report.cost.n_bytes
    with llamacy.load("demo") as model:
        with pytest.raises(ArgumentError, match="a plan with the passes of an MTP"):
            explain_draft(model.executor, n_past=1)
