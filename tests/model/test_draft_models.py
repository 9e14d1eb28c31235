"""Models that draft for others: found, checked, and of no consequence for texts."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import (
    ArgumentError,
    FormatError,
    ModelFileError,
    OutOfMemoryError,
)
from llamacy.generation.drafting.draft_model import DraftModel
from llamacy.generation.drafting.model_drafter import ModelDrafter
from llamacy.generation.drafting.worth import Worth
from llamacy.ggml.file_types import find_file_type
from llamacy.kernels.packing.matrices import PackedMatrix
from llamacy.model.draft_models import read_draft
from llamacy.model.model import Model
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import Source
from llamacy.ops.plan.plan import Plan
from tests.support import random_model, recurrent_model
from tests.support.drafted import FreeRows, rows_cost_nothing
from tests.support.levels import rows_alone

PROMPT = "Once upon a time"
N_TOKENS = 60
IDS = [int(each) for each in np.random.default_rng(1).integers(260, 380, 120)]


@pytest.fixture
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let draft models be asked, although they are no faster."""
    monkeypatch.setattr(Worth, "of_another", lambda self, drafter, rate=None: 2.0)


@pytest.fixture(scope="module")
def paths(shared: Path) -> tuple[Path, Path]:
    kinds = ("F32", "Q8_0")
    one, other = (shared / f"models/stories260K-{kind}.gguf" for kind in kinds)
    return one, other


@pytest.fixture
def model(paths: tuple[Path, Path], always_asked: None) -> Iterator[Model]:
    one, other = paths
    with llamacy.load(one, draft=other, n_ctx=300) as model:
        rows_cost_nothing(model.engine.worker)
        yield model


def draft_of(model: Model) -> DraftModel:
    draft = model.engine._proposer
    assert isinstance(draft, DraftModel)
    return draft


def pages_of_draft(model: Model) -> int:
    """Return the pages that the draft model holds, but for those of past prompts."""
    draft = draft_of(model)
    draft._cache.clear()
    executor = draft._executor
    assert isinstance(executor, Plan)
    return executor.n_pages_used


def plain(model: Model, prompt: Any, **options: Any) -> Any:
    return model.generate(prompt, drafting=False, **options)


def test_a_draft_of_the_same_model_is_nearly_always_right(model: Model) -> None:
    options: dict[str, Any] = {"max_tokens": N_TOKENS, "temperature": 0}
    wanted = plain(model, PROMPT, **options)
    found = model.generate(PROMPT, **options)
    assert found.tokens == wanted.tokens
    assert found.usage.accepted_tokens > 0.8 * N_TOKENS
    assert found.timings.n_generation_passes < N_TOKENS / 4


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1},
        {"temperature": 0.7, "repeat_penalty": 1.3},
        {"temperature": 0, "stop": "ing"},
        {"temperature": 1, "mirostat": 2, "logprobs": 2},
    ],
    ids=str,
)
def test_texts_are_those_without_drafts(model: Model, options: dict[str, Any]) -> None:
    options = {"max_tokens": N_TOKENS, "seed": 5, **options}
    prompts = [PROMPT, "The dog", f"{PROMPT} there was", "Tim and Sue"]
    wanted = plain(model, prompts, n=2, **options)
    found = model.generate(prompts, n=2, **options)
    for samples, others in zip(found, wanted, strict=True):
        for one, other in zip(samples, others, strict=True):
            assert one.tokens == other.tokens
            assert one.logprobs == other.logprobs
            assert one.usage.drafted_tokens > 0
    assert pages_of_draft(model) == 0


def test_sessions_go_back_and_on_with_a_draft_model(model: Model) -> None:
    options: dict[str, Any] = {"max_tokens": 20, "temperature": 0}
    with model.session() as session, model.session() as other:
        for one, drafting in ((session, True), (other, False)):
            one.feed(PROMPT)
            one.generate(drafting=drafting, **options)
            one.rewind(7)
            one.generate(" The", drafting=drafting, **options)
        assert session.tokens == other.tokens
        with session.fork() as fork:
            found = fork.generate(**options).tokens
        assert found == other.generate(drafting=False, **options).tokens


@pytest.mark.usefixtures("always_asked")
def test_a_conversation_that_drops_turns_is_drafted(babble_model: Path) -> None:
    with llamacy.load(babble_model, draft=babble_model, n_ctx=96) as model:
        rows_cost_nothing(model.engine.worker)
        turns = [{"role": "user", "content": f"bada kidu {n}"} for n in range(9)]
        options: dict[str, Any] = {"overflow": "shift", "max_tokens": 120, "seed": 1}
        wanted = model.chat(turns, drafting=False, **options)
        found = model.chat(turns, **options)
        assert found.tokens == wanted.tokens
        assert found.usage.accepted_tokens > 20


@pytest.mark.usefixtures("always_asked")
def test_a_long_prompt_is_read_in_parts_and_once_for_all_samples(
    paths: tuple[Path, Path],
) -> None:
    one, other = paths
    with llamacy.load(one, draft=other, n_batch=32, n_ctx=300) as model:
        rows_cost_nothing(model.engine.worker)
        prompt = (model.tokenize(PROMPT + " there was a little girl. ") * 20)[:150]
        options: dict[str, Any] = {"max_tokens": 30, "temperature": 1, "seed": 2}
        wanted = plain(model, prompt, n=3, **options)
        executor = draft_of(model)._executor
        n_rows: list[int] = []
        forward = executor.forward

        def counted(batch: Any, logits: Any = None, go_on: Any = None) -> Any:
            n_rows.append(len(batch.tokens))
            return forward(batch, logits, go_on)

        executor.forward = counted  # type: ignore[method-assign]
        found = model.generate(prompt, n=3, **options)
        assert [each.tokens for each in found] == [each.tokens for each in wanted]
        assert max(n_rows) <= 32
        assert sum(n for n in n_rows if n > 16) < 2 * len(prompt)


@pytest.mark.usefixtures("always_asked")
@pytest.mark.parametrize("family", recurrent_model.KEYS)
def test_recurrent_models_draft_and_are_drafted(
    family: str,
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> None:
    args = (tmp_path, write_gguf, llama_metadata, random_tensors, family)
    path = recurrent_model.write(*args)
    with (
        rows_alone(),
        llamacy.load(path, draft=tmp_path / "whole.gguf", n_ctx=300) as model,
    ):
        rows_cost_nothing(model.engine.worker)
        options: dict[str, Any] = {"max_tokens": 60, "temperature": 0.3, "seed": 1}
        options["logit_bias"] = {2: -100}  # no end
        wanted = plain(model, IDS[:70], **options)
        found = model.generate(IDS[:70], **options)
        assert found.tokens == wanted.tokens
        assert found.usage.accepted_tokens > 10


def test_a_draft_model_with_other_tokens_is_refused(
    tmp_path: Path, babble_model: Path, shared: Path
) -> None:
    wanted = r"tokenizer\.ggml\.tokens\[3\]: wanted '<0x00>', as in .*, found '<0x01>'"
    pieces, scores, types = random_model.vocabulary()
    assert pieces[3] == "<0x00>"
    changed = tmp_path / "changed.gguf"
    data = babble_model.read_bytes()
    assert data.count(b"<0x00>") == 1
    changed.write_bytes(data.replace(b"<0x00>", b"<0x01>"))
    with pytest.raises(FormatError, match=wanted) as caught:
        llamacy.load(babble_model, draft=changed)
    assert caught.value.path == str(changed)
    with pytest.raises(FormatError, match=r"tokens\[\d+\]: wanted .*, found"):
        llamacy.load(shared / "models/stories260K-F32.gguf", draft=babble_model)
    with pytest.raises(ModelFileError, match=r"no\.gguf"):
        llamacy.load(babble_model, draft=tmp_path / "no.gguf")
    with pytest.raises(ArgumentError, match="draft: wanted a path or a name, found"):
        llamacy.load(babble_model, draft="")


def test_a_draft_model_has_the_type_that_its_name_asks_for(
    paths: tuple[Path, Path],
) -> None:
    """As folders on the hub: "user/repo:Q8_0"."""
    source = Source(paths[0], find_file_type("Q8_0"))
    with open_model(paths[0]) as file:
        _, config = read_hyperparameters(file)
        draft = read_draft(source, file, config, n_threads=1)
    weight = draft.executor._weights["blk.0.attn_q.weight"]
    assert isinstance(weight, PackedMatrix)
    assert weight.type_name == "Q8_0"
    draft.executor.close()


def test_a_draft_model_is_pickled_with_its_model(model: Model) -> None:
    name, *_ = (value for key, value in model.recipe.options if key == "draft")  # type: ignore[union-attr]
    assert Path(name).is_absolute()
    with pickle.loads(pickle.dumps(model)) as other:
        assert draft_of(other) is not draft_of(model)


def test_an_error_of_the_draft_model_ends_no_text(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Any, logits: Any = None) -> Any:
        raise OutOfMemoryError("no memory for drafts", 1, 0)

    options: dict[str, Any] = {"max_tokens": N_TOKENS, "temperature": 0}
    wanted = plain(model, PROMPT, **options)
    monkeypatch.setattr(draft_of(model)._executor, "forward", broken)
    with caplog.at_level(logging.WARNING, "llamacy"):
        for _ in range(2):
            assert model.generate(PROMPT, **options).tokens == wanted.tokens
    assert caplog.messages == [
        "the draft model is not used any more: no memory for drafts"
    ]


def test_a_draft_model_that_is_no_faster_is_hardly_asked(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_passes = []
    run = DraftModel._run

    def counted(self: DraftModel, rows: Any) -> None:
        n_passes.append(len(rows))
        run(self, rows)
        self._seconds[-1] = 1e9

    monkeypatch.setattr(DraftModel, "_run", counted)
    with llamacy.load(paths[0], draft=paths[0], n_ctx=300) as model:
        for _ in range(3):
            model.generate(PROMPT, max_tokens=100, temperature=1)
    assert n_passes == [1]


def test_a_model_that_is_often_wrong_is_asked_again_later_and_later() -> None:
    drafter = ModelDrafter([1, 2], None)  # type: ignore[arg-type]
    tries = [n for n in range(1, 1000) if drafter.tries_again()]
    assert tries == [64, 64 + 128, 64 + 128 + 256, 64 + 128 + 256 + 512]


def test_a_token_more_is_worth_its_share_of_the_time() -> None:
    class Drafter:
        chance = 0.9
        usual_rate = 0.8

    costs = FreeRows()
    one: Any = Drafter()
    assert Worth(1, costs, 0.1).of_another(one) == pytest.approx(7.2)
    assert Worth(1, costs, 2.0).of_another(one) == pytest.approx(0.36)
    worth = Worth(4, costs, 2.0, n_sharing=4)
    assert worth.of_another(one) == pytest.approx(0.72 / 0.5 / 4)
    worth.note_pass([one, one], 2.0)
    assert worth.n_sharing == 2
    assert worth.of_another(one) == pytest.approx(0.72 / 1.0 * 3 / 5.8)
    assert Worth(1, costs, 0.1).of_another(one, 1.0) == pytest.approx(9.0)
    assert Worth(1, costs, 0.0).of_another(one) > 1e9
