"""The HTML of models and results: complete, and safe whatever a model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import llamacy
from llamacy.notebook import Transcript
from llamacy.notebook.cards import score_html
from llamacy.notebook.page import clean

ATTACKS = [
    "</pre><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "\x00\x1b[31m\ud800\u202e",
    "\n\n  two lines\n",
]
ANSWER = llamacy.ChatCompletion(
    "",
    [],
    "stop",
    llamacy.Usage(3, 2, 1),
    llamacy.Timings(3, 0.5, 1, 0.25, 0.5),
    n_dropped=2,
    n_forgotten=4,
)


class Read(HTMLParser):
    """The tags of a page with their attributes, and the texts of some of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Any]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        self._open.append(tag)
        if tag in ("pre", "code"):
            self.texts.append("")
        self._begins_pre = tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"pre", "code"} & set(self._open):
            # browsers drop a line's end right after <pre>
            self.texts[-1] += data.removeprefix("\n") if self._begins_pre else data
        self._begins_pre = False


def answer(text: str) -> llamacy.ChatCompletion:
    call = llamacy.ToolCall(text, {text: [text]}, text)
    return replace(
        ANSWER,
        text=text,
        reasoning=text,
        tool_calls=(call,),
        bad_calls=(text,),
    )


def conversation(text: str) -> Transcript:
    call = {"id": text, "function": {"name": text, "arguments": text}}
    parts = [{"type": "text", "text": text}, {"type": text}]
    return Transcript(
        [
            {"role": text, "content": text, "reasoning_content": text},
            {"role": "assistant", "content": parts, "tool_calls": [call, text]},
        ]
    )


FORMS: dict[str, Callable[[str], Any]] = {
    "answer": answer,
    "choice": lambda text: llamacy.Choice(text, 0, {text: 1.0}, {text: -1.0}),
    "completion": lambda text: llamacy.Completion(
        text, [], "stop", ANSWER.usage, ANSWER.timings
    ),
    "conversation": conversation,
    "message": lambda text: answer(text).message,
    "score": lambda text: llamacy.Score([1, 2], [None, -2.0], [text, text]),
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(text=st.text(min_size=1))
@example(ATTACKS[0])
@example(ATTACKS[1])
@example(ATTACKS[2])
@example(ATTACKS[3])
@example(ATTACKS[4])
@example(ATTACKS[5])
@example(ATTACKS[6])
def test_no_text_changes_the_elements_of_a_page(form: str, text: str) -> None:
    page = Read(FORMS[form](text)._repr_html_())
    assert page.tags == Read(FORMS[form]("harmless")._repr_html_()).tags
    assert any(clean(text) in one for one in (*page.texts, "".join(page.texts)))
    assert "alert" not in str(page.tags)


@pytest.mark.parametrize("name", ATTACKS)
def test_name_of_a_model_cannot_change_its_page(name: str) -> None:
    with llamacy.load("demo") as model:
        plain = Read(model._repr_html_())
        model.config = replace(model.config, name=name)
        page = Read(model._repr_html_())
    assert page.tags == plain.tags
    assert page.texts[0] == clean(name)


def test_page_of_a_model_tells_its_family_sizes_and_memory() -> None:
    with llamacy.load("demo", n_ctx=256) as model:
        page = model._repr_html_()
        for shown in ("llamacy demo", "llama", "256 tokens", "Q6_K", model.path):
            assert shown in page
        n_bytes = llamacy.inspect("demo").weights_bytes
        assert model.executor.weight_bytes == n_bytes  # type: ignore[union-attr]
        assert f"{n_bytes / 2**20:.1f} MiB of weights" in page
    assert "freed: the model is closed" in model._repr_html_()


def test_answer_folds_its_reasoning_and_notes_its_numbers() -> None:
    page = replace(ANSWER, text="Yes.", reasoning="Hm.")._repr_html_()
    assert "<details style" in page
    read = Read(page)
    assert read.texts == [
        "Hm.",
        "Yes.",
        "stop · 3 tokens of prompt (1 cached) · 2 generated · 4.0 tokens/s · "
        "first token after 0.50 s",
        "the oldest 2 messages were left out",
        "the first 4 tokens of the answer were forgotten",
    ]


def test_unlikely_tokens_are_redder() -> None:
    score = llamacy.Score([1, 2, 3, 4], [None, 0.0, -2.0, -99.0], list("abcd"))
    spans = [dict(attrs) for tag, attrs in Read(score._repr_html_()).tags]
    styles = [span["style"] for span in spans if "title" in span]
    depths = [float(style.rpartition(",")[2].rstrip(")")) for style in styles]
    assert depths == [0, 0, 0.15, 0.75]


def test_scores_without_texts_show_token_ids_and_long_ones_are_cut() -> None:
    assert Read(llamacy.Score([7, 8], [None, -1.0])._repr_html_()).texts[0] == "7 8 "
    page = Read(score_html(["x"] * 9000, [-1.0] * 9000, ""))
    assert page.texts[0] == "x" * 4000
    assert "the first 4000 of 9000 tokens" in page.texts


def test_session_shows_its_text() -> None:
    with llamacy.load("demo") as model, model.session() as session:
        session.feed("The capital of France is")
        session.generate(temperature=0)
        shown = Read(session._repr_html_()).texts
        assert shown == ["The capital of France is Paris", f"{session.n_past} tokens"]


def test_transcript_follows_its_list() -> None:
    messages = [{"role": "user", "content": "Hello"}]
    transcript = Transcript(messages)
    messages.append({"role": "assistant", "content": "Hi"})
    assert repr(transcript) == "user: Hello\nassistant: Hi"
    assert Read(transcript._repr_html_()).texts == ["user", "Hello", "assistant", "Hi"]
