"""Tokens that end a generated text."""

from __future__ import annotations

from llamacy.tokenizers.end_tokens import find_end_tokens
from llamacy.tokenizers.fields import Fields

_CONTROL, _USER_DEFINED, _NORMAL = 3, 4, 1


def _find(tokens: dict[str, int], **named: int) -> tuple[set[str], dict[str, int]]:
    """Return the texts of the end tokens, and all token types afterwards."""
    texts, types = list(tokens), list(tokens.values())
    ids = {text: i for i, text in enumerate(texts)}
    metadata = {f"tokenizer.ggml.{key}_token_id": i for key, i in named.items()}
    found = find_end_tokens(Fields(metadata, "x.gguf"), ids, types)
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


def test_ordinary_tokens_with_an_end_tokens_text_are_not_end_tokens() -> None:
    found, types = _find({"</s>": _NORMAL, "<EOT>": _NORMAL})
    assert found == set()
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


def test_ids_beyond_the_vocabulary_are_ignored() -> None:
    assert _find({"a": _NORMAL}, eos=1, eot=-1)[0] == set()
