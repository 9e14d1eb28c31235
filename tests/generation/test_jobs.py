"""Prompts on their way to results: whose error is raised, and whose returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import llamacy
from llamacy.generation.calls import run
from llamacy.generation.completions import completion
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompts import PROMPTS, given
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from llamacy.results import Completion
from tests.support.scripted import ScriptedExecutor, Vocabulary, request

SCRIPT = {"go": Vocabulary.ids("abc"), "long": [50] * 10**6}


class Broken(ScriptedExecutor):
    """Runs out of memory in every pass."""

    def forward(self, batch: Any, logits: Any = None, go_on: Any = None) -> Any:
        raise llamacy.OutOfMemoryError("no room", needed=2, available=1)


class Scripted:
    """As much of an engine as `run` needs."""

    def __init__(self, executor: ScriptedExecutor | None = None) -> None:
        self.executor = executor or ScriptedExecutor(SCRIPT)
        self.worker = Worker(self.executor, 0)

    def run(
        self, prompt: Any, on_error: str = "raise", progress: Any = None, **options: Any
    ) -> Any:
        def make(text: Any, name: str) -> Job[Completion]:
            one = request(text, **{"n_ctx": 10**7, **options})
            return Job([one], lambda: completion(one))

        jobs = Jobs(given(prompt, PROMPTS), lambda: make, on_error)
        try:
            return run(self, jobs, progress)  # type: ignore[arg-type]
        finally:
            assert self.executor.n_open == 0


def refusing(text: str, error: BaseException) -> Any:
    """Return a logits processor that raises at a prompt."""

    def refuse(ids: Sequence[int], logits: Any) -> None:
        if list(ids) == Vocabulary.ids(text):
            raise error

    return refuse


def test_results_have_the_shape_of_the_prompts() -> None:
    engine = Scripted()
    assert engine.run("go").text == "abc"
    assert [one.text for one in engine.run(["go", "no"])] == ["abc", ""]
    assert engine.run([]) == []


def test_a_prompt_that_cannot_begin_or_go_on_is_named() -> None:
    engine = Scripted()
    with pytest.raises(llamacy.ContextLengthError) as info:
        engine.run(["go", "a" * 9], n_ctx=8)
    assert str(info.value) == (
        "prompts[1]: 9 tokens do not fit into a context of 8 tokens"
    )
    assert (info.value.index, info.value.n_tokens) == (1, 9)
    bad = llamacy.ArgumentError("mine: wanted less")
    with pytest.raises(llamacy.ArgumentError, match=r"^prompts\[1\]: mine: ") as later:
        engine.run(["long", "go"], logits_processors=refusing("go", bad))
    assert later.value.index == 1
    assert (bad.index, str(bad)) == (None, "mine: wanted less")
    assert later.tb is not None


def test_a_single_prompt_is_not_named() -> None:
    engine = Scripted()
    with pytest.raises(llamacy.ContextLengthError, match="^9 tokens") as info:
        engine.run("a" * 9, n_ctx=8)
    assert info.value.index is None
    error = engine.run("a" * 9, "return", n_ctx=8)
    assert isinstance(error, llamacy.ContextLengthError)


def test_errors_are_returned_in_their_places_and_the_others_go_on() -> None:
    bad = llamacy.ArgumentError("mine: wanted less")
    results = Scripted().run(
        ["go", "a" * 9, "no", "go"],
        "return",
        n_ctx=8,
        logits_processors=refusing("no", bad),
    )
    assert [str(one) for one in results] == [
        "abc",
        "prompts[1]: 9 tokens do not fit into a context of 8 tokens",
        "prompts[2]: mine: wanted less",
        "abc",
    ]
    assert [one.__traceback__ for one in results[1:3]] == [None, None]


def test_one_error_of_several_prompts_has_each_ones_index() -> None:
    results = Scripted(Broken(SCRIPT)).run(["go", "no"], "return")
    assert [(one.index, str(one), one.needed) for one in results] == [
        (0, "prompts[0]: no room", 2),
        (1, "prompts[1]: no room", 2),
    ]


@pytest.mark.parametrize("error", [KeyError("mine"), llamacy.BusyError("of the model")])
def test_errors_that_are_of_no_prompt_end_the_call(error: Exception) -> None:
    processor = refusing("go", error)
    with pytest.raises(type(error)) as info:
        Scripted().run(["long", "go"], "return", logits_processors=processor)
    assert info.value is error


def test_on_error_is_checked() -> None:
    match = "^on_error: wanted one of raise, return, found 'ignore'"
    with pytest.raises(llamacy.ArgumentError, match=match):
        Scripted().run(["go"], "ignore")


def test_ctrl_c_keeps_what_there_is_of_every_text() -> None:
    def interrupt(share: float) -> None:
        if share > 2 / 3:
            raise KeyboardInterrupt

    refuse = refusing("no", llamacy.ArgumentError("mine: wanted less"))
    prompts = ["go", "no", "long"]
    with pytest.raises(llamacy.Interrupted) as info:
        Scripted().run(prompts, "return", interrupt, logits_processors=refuse)
    done, failed, cut = info.value.completion
    assert (done.text, done.finish_reason) == ("abc", "stop")
    assert str(failed) == "prompts[1]: mine: wanted less"
    assert cut.finish_reason == "cancelled"
    assert cut.text == "1" * len(cut.tokens) != ""
    with pytest.raises(KeyboardInterrupt) as single:
        Scripted().run("long", progress=interrupt, n_ctx=1000)
    assert single.value.completion.text.startswith("1")  # type: ignore[attr-defined]


def test_ctrl_c_before_anything_runs_is_a_keyboard_interrupt() -> None:
    engine = Scripted()

    def make(text: Any, name: str) -> Job[Completion]:
        raise KeyboardInterrupt

    jobs = Jobs(given(["go"], PROMPTS), lambda: make)
    with pytest.raises(KeyboardInterrupt) as info:
        run(engine, jobs, None)  # type: ignore[arg-type]
    assert type(info.value) is KeyboardInterrupt


def test_a_refused_job_has_no_requests() -> None:
    error = llamacy.ArgumentError("no")
    job: Job[Completion] = Job.refused(error)
    job.withdraw()
    assert (job.result, list(job.requests)) == (error, list[Request[Any]]())
