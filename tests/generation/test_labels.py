"""Labels as tokens: what follows a prompt, and where a vocabulary joins the two."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.errors import ArgumentError
from llamacy.generation.engine import Engine
from llamacy.generation.labels import checked_labels, label_forms
from llamacy.tokenizers.bpe import _BYTE_CHARS
from llamacy.tokenizers.lazy import LazyTokenizer
from tests.support.scripted import ScriptedExecutor

WORDS = "is Ġis ye yes Ġyes Ġn Ġno no un ab le able unable".split()
MERGES = ["i s", "Ġ is", "y e", "ye s", "Ġ yes", "Ġ n", "Ġn o", "n o", "u n", "a b"]
MERGES += ["l e", "ab le", "un able"]


def engine(**metadata: Any) -> Engine:
    keys = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
    tokenizer = LazyTokenizer(keys, "none")
    return Engine(ScriptedExecutor({}), tokenizer, n_ctx=100, cache_bytes=0)


@pytest.fixture(scope="module")
def bpe() -> Engine:
    return engine(
        model="gpt2", pre="gpt-2", tokens=[*_BYTE_CHARS, *WORDS], merges=MERGES
    )


@pytest.fixture(scope="module")
def spm() -> Engine:
    in_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    words = ["▁", *"eisny", "▁is", "is", "▁yes", "yes"]
    joins = ["ye", "▁i", "▁y", "▁ye"]
    tokens = ["<unk>", "<s>", "</s>", *in_bytes, *words, *joins]
    scores = [float(len(token)) for token in tokens]
    types = [2, 3, 3, *[6] * 256, *[1] * (len(words) + len(joins))]
    return engine(model="llama", tokens=tokens, scores=scores, token_type=types)


def pieces(engine: Engine, ids: Any) -> list[str]:
    return [engine.tokenizer.get().piece(token) for token in ids]


def forms(engine: Engine, prompt: Any, *labels: str) -> tuple[list[str], Any]:
    ids, found = label_forms(engine, prompt, labels)
    shown = [[pieces(engine, form) for form in each] for each in found]
    return pieces(engine, ids), shown


@pytest.mark.parametrize("label", ["yes", " yes"])
def test_a_label_counts_with_a_space_and_without_however_it_is_given(
    bpe: Engine, label: str
) -> None:
    prompt, (found,) = forms(bpe, "is", label)
    assert prompt == ["is"]
    assert found == [["yes"], ["Ġyes"]]


def test_a_space_at_the_end_of_a_prompt_joins_the_label(bpe: Engine) -> None:
    prompt, found = forms(bpe, "is ", "yes", "no")
    assert prompt == ["is"]  # "Ġ" alone would come before no word
    assert found == [[["Ġyes"], ["Ġ", "Ġyes"]], [["Ġno"], ["Ġ", "Ġno"]]]


def test_a_label_that_joins_the_prompts_last_token_moves_the_border_of_all(
    bpe: Engine,
) -> None:
    prompt, (joined, other) = forms(bpe, "is un", "able", "yes")
    assert prompt == ["is", "Ġ"]
    assert joined == [["unable"], ["un", "Ġ", "able"]]
    assert other == [["un", "yes"], ["un", "Ġyes"]]


def test_a_prompt_keeps_a_token_where_a_label_joins_all_of_it(bpe: Engine) -> None:
    prompt, (joined, _) = forms(bpe, "un", "able", "yes")
    assert (prompt, joined[0]) == (["un"], ["able"])


def test_sentencepiece_labels_have_the_pieces_of_the_whole_text(spm: Engine) -> None:
    prompt, (found,) = forms(spm, "is", "yes")
    assert prompt == ["<s>", "▁is"]
    assert found == [["yes"], ["▁yes"]]
    prompt, (found,) = forms(spm, "is ", "yes")
    assert prompt == ["<s>", "▁is"]
    assert found[0] == ["▁yes"]


def test_labels_after_ids_get_no_prefix(spm: Engine) -> None:
    ids = spm.prompt_ids("is")
    prompt, (found,) = forms(spm, ids, "yes")
    assert prompt == ["<s>", "▁is"]
    assert found == [["yes"], ["▁yes"]]


def test_a_label_that_begins_with_a_line_is_taken_as_it_is(bpe: Engine) -> None:
    _, (found,) = forms(bpe, "is", "\nyes")
    assert found == [["Ċ", "yes"]]


def test_labels_that_the_vocabulary_cannot_tell_apart_are_refused() -> None:
    tokens = ["<unk>", "<s>", "</s>", "▁", "a"]
    unablen = engine(
        model="llama", tokens=tokens, scores=[0.0] * 5, token_type=[2, 3, 3, 1, 1]
    )
    with pytest.raises(ArgumentError, match="labels: wanted labels that .* 'é' and 'è"):
        label_forms(unablen, "a", ["é", "è"])


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([], "found none"),
        ("yes", "wanted a list of str, found 'yes'"),
        (b"yes", "wanted a list of str"),
        (7, "wanted a list of str, found 7"),
        (["yes", 1], "found 1 in it"),
        (["yes", None], "found None in it"),
        (["yes", ""], "found ''"),
        (["yes", "  \n"], "wanted labels with text"),
        (["yes", "no", "yes"], "wanted different labels, found 'yes' and 'yes'"),
        (["yes", " yes"], "found 'yes' and ' yes'"),
    ],
)
def test_bad_labels_are_refused_by_name(labels: Any, found: str) -> None:
    with pytest.raises(ArgumentError, match="^labels: ") as info:
        checked_labels(labels)
    assert found in str(info.value)


def test_any_iterable_of_labels_will_do() -> None:
    assert checked_labels(label for label in ("a", "b")) == ["a", "b"]
    assert checked_labels({"a": 1, "b": 2}) == ["a", "b"]


def test_a_label_that_is_not_unicode_is_named(bpe: Engine) -> None:
    with pytest.raises(ArgumentError, match="^labels: .*surrogate"):
        label_forms(bpe, "is", ["\ud800"])
