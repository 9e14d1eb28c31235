"""Random tokenizer.json files give the ids of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llamacy.errors import UnsupportedError
from llamacy.model_files.tokenizer import load_tokenizer
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata
from llamacy.tokenizers.hugging_face import read_tokenizer_files
from llamacy.tokenizers.pretokenizers import PRETOKENIZERS
from tests.support.hugging_face import write_json

Json = dict[str, Any]

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
QUICK = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def spaced() -> Json:
    """Return a SentencePiece vocabulary's model."""
    pieces = ["<unk>", "<s>", "</s>", *BYTES, *"▁abcxé1,<m>", "ab", "▁a", "▁ab", "bc"]
    merges = [["a", "b"], ["▁", "a"], ["▁", "ab"], ["▁a", "b"], ["b", "c"]]
    order = {"ab": 0, "▁a": 1, "▁ab": 2, "bc": 4}
    merges.sort(key=lambda pair: order["".join(pair)])
    vocab = {piece: i for i, piece in enumerate(pieces)}
    flags = {"fuse_unk": True, "byte_fallback": True, "unk_token": "<unk>"}
    return {"type": "BPE", "vocab": vocab, "merges": merges} | flags


def byte_level() -> Json:
    chars = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocab = {char: i for i, char in enumerate([*chars, "ab", "Ġa"])}
    return {"type": "BPE", "vocab": vocab, "merges": [["a", "b"], ["Ġ", "a"]]}


(LLAMA_3,) = PRETOKENIZERS["llama3"].patterns
MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = {"type": "Prepend", "prepend": "▁"}


def metaspace(scheme: str, *, split: bool) -> Json:
    return {
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": scheme,
            "split": split,
        },
    }


SPACED: list[Json] = [
    {"normalizer": {"type": "Sequence", "normalizers": [PREPEND, MARK]}},
    {"normalizer": MARK},
    {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, MARK]}},
    *(
        metaspace(scheme, split=split)
        for scheme in ("first", "always", "never")
        for split in (False, True)
    ),
]


def byte_steps(*, prefix: bool) -> Json:
    flags = {"trim_offsets": True, "use_regex": True}
    return {"type": "ByteLevel", "add_prefix_space": prefix} | flags


BYTE_LEVEL: list[Json] = [
    {"normalizer": normalizer, "pre_tokenizer": byte_steps(prefix=prefix)}
    for normalizer in (None, {"type": "NFC"}, {"type": "NFKC"})
    for prefix in (False, True)
]


def whole(model: Json, parts: Json, added: list[Json]) -> Json:
    listed = []
    for text in ("<unk>", "<s>", "</s>"):
        if text in model["vocab"]:
            flags = dict.fromkeys(FLAGS, False) | {"special": True}
            listed.append({"id": model["vocab"][text], "content": text} | flags)
    ids = dict(model["vocab"])
    for entry in added:
        listed.append({"id": ids.setdefault(entry["content"], len(ids))} | entry)
    return {"version": "1.0", "added_tokens": listed, "model": model} | parts


entries = st.lists(
    st.fixed_dictionaries(
        {
            "content": st.sampled_from(["<m>", "<m>a", "a<", "qq", "q", "c, c", "aq"])
            | st.sampled_from(["bcb", "e\u0301q"])
        }
        | dict.fromkeys(FLAGS, st.booleans())
    ),
    max_size=3,
    unique_by=lambda entry: entry["content"],
).map(lambda found: [only_plain_are_normalized(entry) for entry in found])


def only_plain_are_normalized(entry: Json) -> Json:
    """Control tokens are found in the text as it is: no space may hide one."""
    return entry | {"normalized": entry["normalized"] and not entry["special"]}


def flagged(text: str, flag: str) -> Json:
    return {"content": text} | dict.fromkeys(FLAGS, False) | {flag: True}


NORMALIZED_Q = flagged("q", "normalized")

texts = st.lists(
    st.sampled_from(["a", "ab", "b", " ", "  ", "\n", "<m>", "<s>", "<", "q", "é"])
    | st.sampled_from(["½", "1", "²", ", ", "e\u0301", "\u00a0", "_", "c", "</s>"]),
    max_size=8,
).map("".join)


def load(folder: Path, made: Json) -> tuple[Tokenizer, Any]:
    write_json(folder / "tokenizer.json", made)
    library = tokenizers.Tokenizer.from_str(json.dumps(made))
    return load_tokenizer(folder), library


@QUICK
# the token takes the text's space, and leaves the added one before it alone
@example(parts=SPACED[0], added=[NORMALIZED_Q], text=" q<s> q q")
# the first is formed by merges within words, since it is in the vocabulary
@example(parts=SPACED[0], added=[flagged("bc", "normalized")], text="abc")
@example(parts=SPACED[0], added=[flagged("bcb", "single_word")], text="abcb")
@given(parts=st.sampled_from(SPACED), added=entries, text=texts)
def test_a_sentencepiece_vocabulary_gives_the_librarys_ids(
    tmp_path: Path, parts: Json, added: list[Json], text: str
) -> None:
    got, library = load(tmp_path, whole(spaced(), parts, added))
    ids = got.encode(text, add_bos=False, parse_special=True)
    assert ids == library.encode(text, add_special_tokens=False).ids


def test_nothing_is_added_to_a_text_that_continues(tmp_path: Path) -> None:
    got, _ = load(tmp_path, whole(spaced(), SPACED[0], [NORMALIZED_Q]))
    (q,) = got.encode("q", add_bos=False)
    space, *_ = got.encode(" ", add_bos=False)
    assert got.split(" q") == ["", q]
    assert got.encode(" q", add_bos=False) == [space, q]
    assert got.encode(" q", add_bos=False, continues=True) == [q]


@QUICK
# it is found in the normalized text, and its own text is normalized, too
@example(BYTE_LEVEL[2], [flagged("\u00e9q", "normalized")], "e\u0301q")
@example(BYTE_LEVEL[2], [flagged("e\u0301q", "normalized")], "\u00e9q")
@given(parts=st.sampled_from(BYTE_LEVEL), added=entries, text=texts)
def test_a_byte_level_vocabulary_gives_the_librarys_ids(
    tmp_path: Path, parts: Json, added: list[Json], text: str
) -> None:
    added = [entry for entry in added if len(entry["content"]) > 1]  # not a byte
    got, library = load(tmp_path, whole(byte_level(), parts, added))
    ids = got.encode(text, add_bos=False, parse_special=True)
    assert ids == library.encode(text, add_special_tokens=False).ids


def test_of_tokens_with_one_normal_form_the_first_is_found(tmp_path: Path) -> None:
    added = [flagged("\ufb01", "normalized"), flagged("fi", "normalized")]
    parts = BYTE_LEVEL[2] | {"normalizer": {"type": "NFKC"}}
    got, library = load(tmp_path, whole(byte_level(), parts, added))
    first = library.token_to_id("\ufb01")
    assert got.encode("fi \ufb01", add_bos=False)[::2] == [first, first]


def test_a_part_of_a_word_is_not_an_added_token_of_words(tmp_path: Path) -> None:
    split = {"pattern": {"Regex": LLAMA_3}, "behavior": "Isolated", "invert": False}
    to_bytes = byte_steps(prefix=False) | {"use_regex": False}
    words = [{"type": "Split"} | split, to_bytes]
    parts = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": words}}
    model = byte_level() | {"ignore_merges": True}
    made = whole(model, parts, [flagged("qq", "single_word")])
    got, library = load(tmp_path, made)
    for text in ("1qq", "1 qq", "qq"):
        ids = library.encode(text, add_special_tokens=False).ids
        assert got.encode(text, add_bos=False) == ids


def converted(folder: Path) -> Tokenizer:
    """Return the tokenizer of a file that was made from a folder."""
    made = read_tokenizer_files(folder)
    assert made is not None
    return tokenizer_from_metadata(made.values, "made.gguf")


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_texts_are_decoded_as_by_the_library(tmp_path: Path, scheme: str) -> None:
    made = whole(spaced(), metaspace(scheme, split=False), [])
    decoders: list[Json] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    made["decoder"] = {"type": "Sequence", "decoders": decoders}
    got, library = load(tmp_path, made)
    for text in ("ab", "a b", "ab</s>ab", " x ab</s> ab", "é½"):
        ids = library.encode(text, add_special_tokens=False).ids
        wanted = library.decode(ids, skip_special_tokens=False)
        assert got.decode(ids, skip_special=False) == wanted


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"type": "Replace", "pattern": {"String": "b"}, "content": "B"}, "Replace of"),
        ({"type": "Strip", "content": " ", "start": 1, "stop": 0}, "whole text"),
        ({"type": "Strip", "content": "x", "start": 1, "stop": 0}, "whole text"),
        ({"type": "WordPiece", "prefix": "##", "cleanup": True}, "found WordPiece"),
        ({"type": "CTC"}, "found CTC"),
        ({"type": "ByteLevel"}, "found ByteLevel"),
        ({"type": "Fuse", "mode": 1}, "mode: wanted no such key"),
        ({"type": "Metaspace", "replacement": "_"}, "found Metaspace"),
    ],
)
def test_decoders_that_would_give_other_texts_are_refused(
    tmp_path: Path, decoder: Json, message: str
) -> None:
    made = whole(spaced(), SPACED[0], [])
    write_json(tmp_path / "tokenizer.json", made | {"decoder": decoder})
    with pytest.raises(UnsupportedError, match=message):
        load_tokenizer(tmp_path)


PLAIN = dict.fromkeys(FLAGS, False)


@pytest.mark.parametrize(
    ("i", "text", "given"),
    [(265, "<new>", "{n}"), (300, "<new>", "{n}"), (280, "ab", "{ab}")],
)
def test_added_tokens_that_the_library_would_renumber_are_refused(
    tmp_path: Path, i: int, text: str, given: str
) -> None:
    made = whole(spaced(), SPACED[0], [])
    made["added_tokens"].append(PLAIN | {"id": i, "content": text})
    vocab = made["model"]["vocab"]
    write_json(tmp_path / "tokenizer.json", made)
    library = tokenizers.Tokenizer.from_str(json.dumps(made))
    wanted = given.format(n=len(vocab), ab=vocab["ab"])
    assert library.token_to_id(text) == int(wanted) != i
    message = f"wanted {wanted}, which the tokenizers library gives {text}"
    with pytest.raises(UnsupportedError, match=message):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"ignore_merges": True}}, "ignore_merges"),
        ({"model": {"cache": 3}}, "model.cache: wanted no such key"),
        ({"model": {"end_of_word_suffix": "</w>"}}, "end_of_word_suffix"),
        ({"post": {}}, "post: wanted no such key"),
        ({"normalizer": {"type": "NFC", "form": 1}}, "form: wanted no such key"),
        ({"post_processor": {"type": "Unheard"}}, "found Unheard"),
        (
            {"added_tokens": [PLAIN | {"id": 0, "content": "<unk>", "color": "red"}]},
            "color: wanted no such key",
        ),
    ],
)
def test_unknown_keys_and_options_are_refused(
    tmp_path: Path, change: Json, message: str
) -> None:
    made = whole(spaced(), SPACED[0], [])
    made["model"] |= change.get("model", {})
    made |= {key: value for key, value in change.items() if key != "model"}
    write_json(tmp_path / "tokenizer.json", made)
    with pytest.raises(UnsupportedError, match=message):
        load_tokenizer(tmp_path)


def test_batch_settings_and_empty_options_are_harmless(tmp_path: Path) -> None:
    made = whole(spaced(), SPACED[0], [])
    made["model"] |= {"dropout": None, "end_of_word_suffix": "", "ignore_merges": None}
    made |= {"padding": {"strategy": "BatchLongest"}, "truncation": {"max_length": 2}}
    write_json(tmp_path / "tokenizer.json", made)
    assert len(load_tokenizer(tmp_path).encode("b c b x", add_bos=False)) == 8


def test_a_vocabulary_without_all_bytes_is_refused(tmp_path: Path) -> None:
    made = whole(spaced(), SPACED[0], [])
    del made["model"]["vocab"]["<0x41>"]
    write_json(tmp_path / "tokenizer.json", made)
    with pytest.raises(UnsupportedError, match="tokens for 255 of 256"):
        load_tokenizer(tmp_path)


def template(*parts: str) -> Json:
    """Return a step that puts tokens around a text, which `$A` stands for."""
    ids = {"<unk>": 0, "<s>": 1, "</s>": 2}
    special = [part for part in parts if part != "$A"]
    made = [
        {"SpecialToken": {"id": part, "type_id": 0}}
        if part in ids
        else {"Sequence": {"id": "A", "type_id": 0}}
        for part in parts
    ]
    return {
        "type": "TemplateProcessing",
        "single": made,
        "pair": [*made, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            part: {"id": part, "ids": [ids[part]], "tokens": [part]} for part in special
        },
    }


@pytest.mark.parametrize(
    "steps",
    [
        [template("$A")],
        [template("<s>", "$A")],
        [template("$A", "</s>")],
        [template("<s>", "$A", "</s>")],
        [template("<s>", "<unk>", "$A")],
        [template("$A", "</s>"), template("<s>", "$A")],
        [template("<s>", "$A"), template("<unk>", "$A")],
        [{"type": "BertProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2]}],
        [byte_steps(prefix=True), template("<s>", "$A")],
    ],
)
def test_the_tokens_around_a_text_are_those_of_the_library(
    tmp_path: Path, steps: list[Json]
) -> None:
    made = whole(spaced(), SPACED[0], [])
    made["post_processor"] = {"type": "Sequence", "processors": steps}
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    write_json(tmp_path / "tokenizer_config.json", names)
    got, library = load(tmp_path, made)
    assert got.encode("a b") == library.encode("a b").ids
    assert converted(tmp_path).encode("a b") == got.encode("a b")
    bare = library.encode("a b", add_special_tokens=False).ids
    assert got.encode("a b", add_bos=False) == bare


def test_the_tokens_around_a_text_may_be_those_of_encoders(tmp_path: Path) -> None:
    """ModernBERT has [CLS] and [SEP], and names neither BOS nor EOS."""
    made = whole(spaced(), SPACED[0], [])
    made["post_processor"] = template("<s>", "$A", "</s>")
    names = {"cls_token": "<s>", "sep_token": "</s>"}
    write_json(tmp_path / "tokenizer_config.json", names)
    got, library = load(tmp_path, made)
    assert got.encode("a b") == library.encode("a b").ids
    assert converted(tmp_path).encode("a b") == got.encode("a b")


def test_tokens_after_a_text_that_do_not_end_it_are_refused(tmp_path: Path) -> None:
    made = whole(spaced(), SPACED[0], [])
    made["post_processor"] = template("$A", "<unk>")
    write_json(tmp_path / "tokenizer.json", made)
    with pytest.raises(UnsupportedError, match="no token but EOS after texts"):
        load_tokenizer(tmp_path)


def test_tokenizer_config_overrides_attributes_and_no_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = whole(spaced(), SPACED[1], [PLAIN | {"content": "<m>"}])
    n_pieces = len(made["model"]["vocab"])
    entry: Json = {"content": "<m>", "lstrip": True, "rstrip": True}
    listed = {str(n_pieces): entry}
    config = {"added_tokens_decoder": listed, "shade": 1}
    write_json(tmp_path / "tokenizer_config.json", config)
    got, _ = load(tmp_path, made)
    assert got.encode("a <m> a", add_bos=False) == got.encode("a<m>a", add_bos=False)
    assert "unknown keys: shade" in caplog.text
    entry["content"] = "<n>"
    write_json(tmp_path / "tokenizer_config.json", config)
    assert load_tokenizer(tmp_path).piece(n_pieces) == "<m>"
    assert "<n> ignored" in caplog.text
    config = {"added_tokens_decoder": {"265": entry}}
    write_json(tmp_path / "tokenizer_config.json", config)
    with pytest.raises(UnsupportedError, match="the vocabulary's token 265"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("key", ["split_special_tokens", "do_lower_case"])
def test_settings_that_change_texts_are_refused(tmp_path: Path, key: str) -> None:
    load(tmp_path, whole(spaced(), SPACED[0], []))
    write_json(tmp_path / "tokenizer_config.json", {key: False})
    load_tokenizer(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {key: True})
    with pytest.raises(UnsupportedError, match=f"{key}: wanted false"):
        load_tokenizer(tmp_path)
