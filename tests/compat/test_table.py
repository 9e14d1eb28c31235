"""The page's tables name everything in llama-cpp-python's Llama, and are right."""

from __future__ import annotations

import importlib.util
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.compat.llama_cpp import IgnoredArgumentWarning, Llama, ignoring
from tests.compat.llama_cpp_python import CHAT, COMPLETION, CONSTRUCTOR, MEMBERS

PAGE = Path(__file__).parents[2] / "docs/guides/llama-cpp-python.md"
STATUSES = ("supported", "no effect", "refused", "absent")
TABLES = {
    "Arguments of Llama": CONSTRUCTOR.keys(),
    "Arguments of completions": COMPLETION.keys(),
    "Arguments of chats": CHAT.keys(),
    "Methods and attributes of Llama": MEMBERS,
}


def table(heading: str) -> dict[str, str]:
    """Return the status of each name in the table below a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"### {heading}\n")[1]
    found: dict[str, str] = {}
    for line in section.split("\n### ")[0].splitlines():
        if line.startswith("| `"):
            names, here = line.strip("| ").split(" | ", 1)
            (status,) = [each for each in STATUSES if here.startswith(each)]
            for name in re.findall(r"`(\w+)`", names):
                assert name not in found
                found[name] = status
    return found


def rows(heading: str, *statuses: str) -> list[tuple[str, str]]:
    return [pair for pair in table(heading).items() if pair[1] in statuses]


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_names_everything_there_is(heading: str) -> None:
    assert table(heading).keys() == TABLES[heading]


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignoring, "_told", set())


def outcome(call: Any, *words: Any, **options: Any) -> str:
    """Return the status that a call shows."""
    (name,) = set(options) & {*CONSTRUCTOR, *COMPLETION, *CHAT} - {"n_ctx", "stream"}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            made = call(*words, **options)
        except (llamacy.ArgumentError, llamacy.UnsupportedCallError) as error:
            assert str(error).startswith(f"{name}: wanted ")
            return "refused"
        if isinstance(made, Llama):
            made.close()
    told = [one for one in found if one.category is IgnoredArgumentWarning]
    assert not told or str(told[0].message).endswith(f": {name}")
    return "no effect" if told else "supported"


@pytest.mark.parametrize(
    ("name", "status"), rows("Arguments of Llama", "no effect", "refused")
)
def test_an_argument_of_the_constructor_does_what_the_page_says(
    babble_model: Path, name: str, status: str
) -> None:
    options = {name: CONSTRUCTOR[name]}
    # nothing is lost where log-probabilities are there anyway, or no times are taken
    wanted = "supported" if name in ("logits_all", "no_perf") else status
    assert outcome(Llama, str(babble_model), n_ctx=64, **options) == wanted


def test_supported_arguments_of_the_constructor_are_in_its_signature() -> None:
    named = inspect.signature(Llama.__init__).parameters.keys()
    supported = dict(rows("Arguments of Llama", "supported"))
    assert named - {"self", "others"} == supported.keys()


@pytest.mark.parametrize(
    ("heading", "first", "examples"),
    [
        ("Arguments of completions", "prompt", COMPLETION),
        ("Arguments of chats", "messages", CHAT),
    ],
)
def test_arguments_of_calls_do_what_the_page_says(
    babble_model: Path, heading: str, first: str, examples: dict[str, Any]
) -> None:
    text: Any = "ba" if first == "prompt" else [{"role": "user", "content": "ba"}]
    with Llama(str(babble_model), n_ctx=64) as llm:
        call = llm if first == "prompt" else llm.create_chat_completion

        def shown(name: str) -> str:
            ignoring._told.clear()
            return outcome(lambda **given: run(call, text, given), **{name: value})

        def run(call: Any, text: Any, given: dict[str, Any]) -> None:
            made = call(text, **{"max_tokens": 2, "temperature": 0.5, **given})
            if given.get("stream"):
                assert list(made)

        found = {}
        has_llguidance = importlib.util.find_spec("llguidance") is not None
        for name, value in examples.items():
            if name in ("grammar", "response_format") and not has_llguidance:
                found[name] = "supported"
            elif name in (first, "stream"):
                run(call, text, {name: value} if name == "stream" else {})
                found[name] = "supported"
            else:
                found[name] = shown(name)
    assert found == table(heading)


def test_members_are_there_or_refused_or_absent(babble: Llama) -> None:
    for name, status in table("Methods and attributes of Llama").items():
        if status == "absent":
            assert not hasattr(babble, name)
        elif status == "refused":
            with pytest.raises(llamacy.UnsupportedCallError, match=f"^{name}: "):
                getattr(babble, name)("hi")
        else:
            assert getattr(babble, name) is not None or name.startswith("chat_")
