"""tokenizer.json and the files beside it."""

from __future__ import annotations

import base64
from typing import Any

from llamacy.errors import LlamacyError
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers.pretokenizers import PRETOKENIZERS

from .. import files
from ..documents import data_of, document_of

_FOLDER = files.scratch()
_TEXTS = ("ab <s> a b 11 </s>", "a\u2581b\n\0\U0001f600e\u0301")


def _added(i: int, text: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": text, "special": True} | flags


def _byte_level(pre: str) -> dict[str, Any]:
    steps: list[Any] = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
        | {"invert": False}
        for pattern in PRETOKENIZERS[pre].patterns
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False}
    steps.append(byte_level | {"trim_offsets": True, "use_regex": False})
    texts = ["a", "b", "\u0120", "1", "ab", "\u0120a"]
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}},
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(6, "<s>"), _added(7, "</s>")],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": template,
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "ignore_merges": PRETOKENIZERS[pre].ignore_merges,
            "vocab": {text: i for i, text in enumerate(texts)},
            "merges": ["a b", ["\u0120", "a"]],
        },
    }


def _merged() -> dict[str, Any]:
    texts = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    texts += ["a", "b", "ab", "\u2581", "\u2581a"]
    mark = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    prefix = {"type": "Prepend", "prepend": "\u2581"}
    return {
        "added_tokens": [_added(i, text) for i, text in enumerate(texts[:3])],
        "normalizer": {"type": "Sequence", "normalizers": [prefix, mark]},
        "pre_tokenizer": None,
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "byte_fallback": True,
            "fuse_unk": True,
            "vocab": {text: i for i, text in enumerate(texts)},
            "merges": [["a", "b"], ["\u2581", "a"]],
        },
    }


_METASPACE = {"type": "Metaspace", "replacement": "\u2581"}


def _word_pieces() -> dict[str, Any]:
    texts = ["<unk>", "<s>", "</s>", "a", "b", "##b", "##a", "1"]
    normalizer = {"type": "BertNormalizer", "clean_text": True, "lowercase": True}
    return {
        "added_tokens": [_added(i, text) for i, text in enumerate(texts[:3])],
        "normalizer": normalizer | {"strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 1],
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "<unk>",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {text: i for i, text in enumerate(texts)},
        },
    }


def _unigram() -> dict[str, Any]:
    texts = ["<unk>", "<s>", "</s>", "\u2581", "a", "b", "ab", "\u2581a"]
    data = base64.b64encode(files.character_map()).decode()
    steps = [
        {"type": "Precompiled", "precompiled_charsmap": data},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ]
    mark = _METASPACE | {"prepend_scheme": "always", "split": True}
    return {
        "added_tokens": [_added(i, text) for i, text in enumerate(texts[:3])],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": mark,
        "decoder": mark,
        "model": {
            "type": "Unigram",
            "unk_id": 0,
            "byte_fallback": False,
            "vocab": [[text, -0.5 * i] for i, text in enumerate(texts)],
        },
    }


def seeds() -> list[bytes]:
    """Return folders of both kinds of vocabulary, with settings in every shape."""
    settings: dict[str, Any] = {
        "bos_token": "<s>",
        "eos_token": {"content": "</s>", "special": True},
        "unk_token": None,
        "add_bos_token": True,
        "add_prefix_space": None,
        "added_tokens_decoder": {"6": _added(6, "<s>")},
        "chat_template": "{{ messages[0].content }}",
        "tokenizer_class": "LlamaTokenizer",
    }
    plain = settings | {"added_tokens_decoder": {"1": _added(1, "<s>")}}
    named = [{"name": "default", "template": "{{ 1 }}"}]
    generation = {"eos_token_id": [7, 6], "temperature": 0.7}
    whole: list[dict[str, Any]] = [
        {"tokenizer.json": _byte_level(pre), "tokenizer_config.json": settings}
        for pre in ("gpt-2", "llama-bpe", "qwen2")
    ]
    whole[0] |= {"generation_config.json": generation, "config.json": {"vocab_size": 8}}
    whole[1]["special_tokens_map.json"] = {"bos_token": "<s>", "pad_token": "</s>"}
    whole[2]["tokenizer_config.json"] = settings | {"chat_template": named}
    whole[2]["added_tokens.json"] = {"<s>": 6, "</s>": 7}
    for made in (_merged(), _word_pieces(), _unigram()):
        whole.append({"tokenizer.json": made, "tokenizer_config.json": plain})
    lines = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"])
    whole.append({"vocab.txt": lines, "tokenizer_config.json": {"do_lower_case": True}})
    return [data_of(each) for each in whole]


def run(data: bytes) -> None:
    """Read a vocabulary, then a text with it."""
    document = document_of(data)
    if document is not None:
        files.write_folder(_FOLDER, document)
        files.attempts(_use, allowed=LlamacyError)


def _use() -> None:
    tokenizer = load_tokenizer(_FOLDER)
    for text in _TEXTS:
        ids = tokenizer.encode(text, parse_special=True)
        assert all(0 <= token < tokenizer.n_vocab for token in ids)
        tokenizer.decode(ids, skip_special=False)
