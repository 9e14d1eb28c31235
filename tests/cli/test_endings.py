"""The line that explains an empty text, or one that the context cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.cli.endings import note_ending
from llamacy.sampling import SamplingParams
from tests.support.puppet import saying
from tests.support.tool_templates import HERMES

Shell = Callable[..., Any]
END_AT_ONCE = ("-l", "2+1000")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-n", 0), "no text: the limit is 0 tokens (-n)"),
        (END_AT_ONCE, "no text: the model ended it at once; ask in other words, "),
        (
            (*END_AT_ONCE, "--raw"),
            "no text: the model ended it at once; it has a chat template: ",
        ),
        (
            (
                "--raw",
                "--ignore-eos",
                *(word for x in "abdegiloptuz " for word in ("-r", x)),
            ),
            "no text: it began with a stop text (-r)",
        ),
    ],
)
def test_a_line_says_why_there_is_no_text(
    shell: Shell, babble_model: Path, words: tuple[object, ...], why: str
) -> None:
    done = shell("run", babble_model, "bada", "--temp", 0, *words)
    assert (done.status, done.out) == (0, "\n")
    assert done.err.startswith(f"llamacy: {why}")
    assert done.err.count("\n") == 1


def test_a_base_model_that_says_nothing_is_given_another_advice(
    shell: Shell, base_model: Path
) -> None:
    done = shell("run", base_model, "bada", *END_AT_ONCE)
    assert (done.status, done.out) == (0, "\n")
    assert "give it another beginning, or --ignore-eos" in done.err


def test_a_full_context_is_explained(shell: Shell, babble_model: Path) -> None:
    words = ["run", babble_model, "bada bede", "--raw", "--ignore-eos", "--temp", 0]
    done = shell(*words, "--json", "-n", 1)
    n_prompt = json.loads(done.out)["usage"]["prompt_tokens"]
    assert done.err == ""
    full = shell(*words, "-c", n_prompt)
    assert (full.status, full.out) == (0, "\n")
    assert full.err == (
        f"llamacy: no text: the prompt fills the context of {n_prompt} tokens (-c)\n"
    )
    cut = shell(*words, "-c", n_prompt + 9)
    assert cut.out.strip()
    assert cut.err == "llamacy: the context is full: the text was cut off\n"
    assert shell(*words, "-c", n_prompt + 9, "-n", 3).err == ""


@pytest.mark.parametrize(
    ("n_tokens", "why"),
    [
        (8, "no answer: the limit (-n) or the context cut off the reasoning, 8 tokens"),
        (None, "no answer: the text was the reasoning"),
    ],
)
def test_reasoning_without_an_answer_is_explained(
    babble_model: Path,
    capsys: pytest.CaptureFixture[str],
    n_tokens: int | None,
    why: str,
) -> None:
    with llamacy.load(babble_model) as model:
        said = saying(model, "<think>bada bede bigo</think>")
        params = SamplingParams(max_tokens=n_tokens, **said)
        answer = model.chat("bada", params, chat_format=HERMES)
        assert (answer.text, bool(answer.reasoning)) == ("", True)
        note_ending(model, answer, params, answers=True)
    assert capsys.readouterr().err.startswith(f"llamacy: {why}")


def test_a_cancelled_text_needs_no_explanation(
    babble_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = SamplingParams()
    with llamacy.load(babble_model) as model, model.stream("bada", params) as stream:
        pass
    note_ending(model, stream.completion, params, answers=False)
    assert capsys.readouterr().err == ""
