"""Tokens that end a generated text."""

from __future__ import annotations

from typing import Any

from llamacy.tokenizers.attributes import END_KEY, LEFTMOST, MATCHING_KEY
from llamacy.tokenizers.end_tokens import find_end_tokens
from llamacy.tokenizers.fields import Fields

_CONTROL, _USER_DEFINED, _NORMAL = 3, 4, 1


def _find(
    tokens: dict[str, int], *, is_true: bool = False, **named: int
) -> tuple[set[str], dict[str, int]]:
    """Return the texts of the end tokens, and all token types afterwards.

    `is_true`: whether the types are those of Hugging Face's files.
    """
    texts, types = list(tokens), list(tokens.values())
    ids = {text: i for i, text in enumerate(texts)}
    metadata: dict[str, Any] = {
        f"tokenizer.ggml.{key}_token_id": i for key, i in named.items()
    }
    if is_true:
        metadata[MATCHING_KEY] = LEFTMOST
    found, _ = find_end_tokens(Fields(metadata, "x.gguf"), ids, types)
    return {texts[i] for i in found}, dict(zip(texts, types, strict=True))


def test_ids_that_the_file_names_are_end_tokens() -> None:
    tokens = {"a": _NORMAL, "b": _CONTROL, "c": _CONTROL, "d": _CONTROL}
    assert _find(tokens, eos=1, eot=2, eom=0)[0] == {"a", "b", "c"}


def test_well_known_texts_are_end_tokens() -> None:
    texts = ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<|eom_id|>")
    assert _find({text: _CONTROL for text in texts})[0] == set(texts)


def test_user_defined_end_tokens_become_control_tokens() -> None:
    found, types = _find({"<|im_end|>": _USER_DEFINED, "<tool>": _USER_DEFINED})
    assert found == {"<|im_end|>"}
    assert types == {"<|im_end|>": _CONTROL, "<tool>": _USER_DEFINED}


def test_tokens_with_an_end_tokens_text_are_end_tokens_whatever_their_type() -> None:
    texts = ("</s>", "<EOT>", "<|im_end|>", "<PAD>", "<|repo_name|>", "<|file_sep|>")
    for kind in (_NORMAL, _USER_DEFINED, _CONTROL, 0):
        found, types = _find(dict.fromkeys(texts, kind))
        assert found == set(texts)
        assert set(types.values()) == {_CONTROL}


def test_ordinary_tokens_of_hugging_faces_files_are_not_end_tokens() -> None:
    tokens = {"</s>": _NORMAL, "<|im_end|>": _USER_DEFINED, "<PRE>": _NORMAL}
    found, types = _find(tokens, is_true=True)
    assert found == {"<|im_end|>"}
    assert types == {"</s>": _NORMAL, "<|im_end|>": _CONTROL, "<PRE>": _NORMAL}


def test_unused_tokens_stay_unused() -> None:
    found, types = _find({"[PAD]": 5})
    assert (found, types) == ({"[PAD]"}, {"[PAD]": 5})


def test_tokens_around_a_hole_are_control_tokens_and_end_nothing() -> None:
    found, types = _find({"<PRE>": _NORMAL, "▁<SUF>": _USER_DEFINED, "<MID>": 6})
    assert (found, set(types.values())) == (set(), {_CONTROL})
    _, types = _find({"<PRE>": _NORMAL, "x": _NORMAL}, prefix=1)
    assert set(types.values()) == {_NORMAL}


def test_fill_in_the_middle_tokens_are_end_tokens() -> None:
    tokens = {"<|fim_pad|>": _CONTROL, "<PAD>": _CONTROL, "<|file_sep|>": _CONTROL}
    assert _find(tokens)[0] == {"<|fim_pad|>", "<|file_sep|>"}
    assert _find(tokens, fim_pad=1)[0] == {"<PAD>", "<|file_sep|>"}


def test_an_end_of_message_token_does_not_end_a_text() -> None:
    texts = ("<|return|>", "<|call|>", "<|end|>", "<|channel|>")
    found, types = _find({text: _CONTROL for text in texts})
    assert found == {"<|return|>", "<|call|>"}
    assert types["<|end|>"] == types["<|channel|>"] == _USER_DEFINED


def test_the_end_of_a_sentence_is_ordinary_beside_other_ends() -> None:
    found, types = _find({"<|tool_response>": _CONTROL, "</s>": _CONTROL})
    assert (found, types["</s>"]) == ({"<|tool_response>"}, _NORMAL)
    tokens = {"<|plamo:eos|>": _CONTROL, "</s>": _NORMAL}
    assert _find(tokens, eos=0)[0] == {"<|plamo:eos|>"}
    assert _find(tokens)[0] == {"</s>"}


def test_ids_beyond_the_vocabulary_are_ignored() -> None:
    assert _find({"a": _NORMAL}, eos=1, eot=-1)[0] == set()


def test_end_tokens_beyond_ggufs_three_keys() -> None:
    types = [_NORMAL] * 6
    ids = {text: i for i, text in enumerate("abcdef")}
    metadata = {"tokenizer.ggml.eos_token_id": 1, END_KEY: [3, 5, 9, -1]}
    assert find_end_tokens(Fields(metadata, "x.gguf"), ids, types)[0] == {1, 3, 5}
