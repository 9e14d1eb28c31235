"""Remakes `llama_cpp_vectors.json`: small vocabularies, and llama.cpp's ids of texts.

Run by hand, where gguf, sentencepiece and llama-cpp-python are installed::

    python -m tests.tokenizers.make_vectors

llama-cpp-python 0.3.36 made the file.
"""

from __future__ import annotations

import base64
import ctypes
import io
import json
import tempfile
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("llama_cpp_vectors.json")

TEXTS = [
    *("", " ", "\n", "the cat", "The Cat's hat", "the  cat \t sat", "catsat"),
    *("häßliche Hüte, schön!", "e\u0301te\u0308", "ÀÉÎ\u0327", "İstanbul ẞ", "ﬁne ①②"),
    *(
        "猫 sat 中文",
        "かな カナ ｱ",
        "한국 cat",
        "हिन्दी",
        "ไทย",
        "🙂 cat 👍🏽",
        "x\u200by\u200dz",
    ),
    *("a\x00b\x07c", "\x7fthe\x85cat\xa0sat\u2028on\u3000mat", "\ufeffthe \ufffdcat"),
    *("the.cat?sat!on,mat", "(the) [cat] {sat} <on>", "$5 + 5€ = 10^1 ~ `x`", "_a-b_"),
    *("▁the ▁▁cat▁", "##at c##at", "t h e", "unknownword qqq", "a" * 120, "the" * 40),
    *(
        "[CLS] the cat [SEP]",
        "the [MASK] sat",
        "the<user>cat",
        " <user> sat",
        "<s>the</s>",
    ),
    *(
        "don't we'll he's I'm they've",
        "' the ' cat '",
        "the , cat . sat ?",
        "1234567 ½ Ⅻ",
    ),
    "  The mat isn't the cat's, and there are 2024 other mats;\n that one  ",
]

WORDS = "the cat sat on mat hat and there are other that one we he i they don fine"
PARTS = "s at t n a b c d e f g h i k l m o p r u w x y z ate hat he her ing ä ö ü 猫"
SIGNS = (
    list(".,!?'\"-_()[]{}<>$+=^~`;#½€")
    + list("0123456789")
    + ["2024", "中", "文", "ᄒ"]
)


def word_pieces(**more: Any) -> dict[str, Any]:
    """Return the keys of a WordPiece vocabulary as llama.cpp's converter writes it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted({*"abcdefghijklmnopqrstuvwxyz", *"äöüßé", "ı", "ẞ", "İ", "T", "C"})
    starts = [*dict.fromkeys([*WORDS.split(), *letters, *SIGNS])]
    inner = [*dict.fromkeys([*PARTS.split(), *letters])]
    tokens = [*special, *(f"▁{word}" for word in starts), *inner, "<user>"]
    types = [3] * 5 + [1] * (len(tokens) - 6) + [4]
    ids = {"bos_token_id": 2, "unknown_token_id": 1, "seperator_token_id": 3}
    return {
        "model": "bert",
        "tokens": tokens,
        "token_type": types,
        **ids,
        **more,
    }


def unigram(*, map_characters: bool = True, **more: Any) -> dict[str, Any]:
    """Return the keys of a Unigram vocabulary that sentencepiece trains."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
    from sentencepiece import sentencepiece_model_pb2 as protobuf

    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        pairs = [("ﬁ", "fi"), ("①", "1"), ("\u3000", " "), ("\t", " "), ("\u200b", "")]
        pairs += [("e\u0301", "é"), ("e\u0308", "ë"), ("½", "1/2"), ("\x07", "")]
        rows = (
            " ".join(f"{ord(c):X}" for c in old)
            + "\t"
            + " ".join(f"{ord(c):X}" for c in new)
            for old, new in pairs
        )
        rules.write_text("\n".join(rows) + "\n", encoding="utf-8")
        out = io.BytesIO()
        normal: Any = {"normalization_rule_tsv": str(rules)}
        plain: Any = {"normalization_rule_name": "identity"}
        SentencePieceTrainer.train(
            sentence_iterator=iter(
                [t for t in TEXTS if t.strip() and "\0" not in t] * 3
            ),
            model_writer=out,
            model_type="unigram",
            vocab_size=300,
            character_coverage=0.98,
            hard_vocab_limit=False,
            minloglevel=2,
            **(normal if map_characters else plain),
        )
    model = protobuf.ModelProto.FromString(out.getvalue())
    processor = SentencePieceProcessor(model_proto=out.getvalue())
    pieces = [piece.piece for piece in model.pieces]
    characters = model.normalizer_spec.precompiled_charsmap
    made: dict[str, Any] = {
        "model": "t5",
        "tokens": [*pieces, "<user>"],
        "scores": [*(piece.score for piece in model.pieces), 0.0],
        "token_type": [*(piece.type for piece in model.pieces), 4],
        "unknown_token_id": processor.unk_id(),
        "bos_token_id": processor.bos_id(),
        "eos_token_id": processor.eos_id(),
        "add_space_prefix": True,
        "remove_extra_whitespaces": True,
    }
    if characters:
        made["precompiled_charsmap"] = base64.b64encode(characters).decode()
    return made | more


def vocabularies() -> dict[str, dict[str, Any]]:
    """Return the keys of each vocabulary, without `tokenizer.ggml.`."""
    return {
        "bert": word_pieces(),
        "bert-cased": word_pieces(**{"normalizer.lowercase": False}),
        "bert-accents": word_pieces(**{"normalizer.strip_accents": False}),
        "t5": unigram(),
        "t5-spaces": unigram(remove_extra_whitespaces=False, add_bos_token=True),
        "t5-plain": unigram(map_characters=False, add_space_prefix=False),
    }


def write_gguf(path: Path, keys: dict[str, Any]) -> None:
    """Write a file of a vocabulary alone."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    for name, value in keys.items():
        key = f"tokenizer.ggml.{name}"
        if name == "precompiled_charsmap":
            data = base64.b64decode(value)
            kind, item = gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT8
            writer.add_key_value(key, list(data), kind, sub_type=item)
        elif isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def rows(path: Path) -> list[dict[str, Any]]:
    """Return llama.cpp's ids of each text, and its text of the ids."""
    import llama_cpp

    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    made = []
    for text in TEXTS:
        row: dict[str, Any] = {"text": text}
        for special in (False, True):
            data = text.encode()
            ids = (llama_cpp.llama_token * (len(data) + 8))()
            n = llama_cpp.llama_tokenize(
                vocabulary, data, len(data), ids, len(ids), True, special
            )
            if not special:
                buffer = ctypes.create_string_buffer(16 * len(data) + 64)
                size = llama_cpp.llama_detokenize(
                    vocabulary, ids, n, buffer, len(buffer), True, False
                )
                row |= {"ids": ids[:n], "decoded": buffer.raw[:size].decode()}
            elif ids[:n] != row["ids"]:
                row["special"] = ids[:n]
        made.append(row)
    return made


def main() -> None:
    """Write the file."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, keys in vocabularies().items():
            path = Path(folder) / f"{name}.gguf"
            write_gguf(path, keys)
            made[name] = {"keys": keys, "rows": rows(path)}
    text = json.dumps(made, ensure_ascii=True, separators=(",", ":"))
    PATH.write_text(text.replace('},{"text"', '},\n{"text"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
