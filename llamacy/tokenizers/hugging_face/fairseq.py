"""The tokens that Hugging Face's classes add to a SentencePiece model of encoders.

XLM-RoBERTa was trained with fairseq, which numbers the special tokens itself: `<s>`,
`<pad>`, `</s>` and `<unk>` are the first four, the model's other pieces follow, one id
further than in the file, and `<mask>` is the last. T5 appends tokens that mark the gaps
of a text, numbered backwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.processor import Around
from llamacy.tokenizers.hugging_face.sentencepiece_file import read_model
from llamacy.tokenizers.hugging_face.token_list import TokenList

FAIRSEQ_FILE: Final = "sentencepiece.bpe.model"
T5_FILE: Final = "spiece.model"
_CLASSES: Final = {
    FAIRSEQ_FILE: ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast"),
    T5_FILE: ("T5Tokenizer", "T5TokenizerFast", "MT5Tokenizer", "MT5TokenizerFast"),
}
_FAMILIES: Final = {
    FAIRSEQ_FILE: ("xlm-roberta", "xlm-roberta-xl"),
    T5_FILE: ("t5", "mt5", "umt5", "longt5"),
}
_OWN: Final = ("<s>", "<pad>", "</s>", "<unk>")
_N_DROPPED: Final = 3  # of the file: <unk>, <s> and </s>, in this order
_N_GAPS: Final = 100


def read_encoder_model(
    path: Path, settings: JsonObject, config: JsonObject, metadata: Metadata
) -> tuple[TokenList, Around]:
    """Return a model's tokens with those that its class adds, and those around a text.

    Parameters
    ----------
    path : Path
        A `sentencepiece.bpe.model`, or a `spiece.model`.
    settings : JsonObject
        tokenizer_config.json, which names the class.
    config : JsonObject
        config.json, which names the family, where the class is not named.
    metadata : Metadata
        Receives the keys of the vocabulary.

    Raises
    ------
    FormatError
        The file is broken.
    UnsupportedError
        The class is another one, whose files have this name too.
    """
    name = settings.text("tokenizer_class", "")
    family = config.get("model_type")
    is_known = name in _CLASSES[path.name] or (
        not name and family in _FAMILIES[path.name]
    )
    if not is_known:
        wanted = f"{_CLASSES[path.name][0]}, for {path.name} alone"
        settings.refuse("tokenizer_class", wanted, name or "no such key")
    tokens = read_model(path, metadata)
    if metadata.values["tokenizer.ggml.model"] != "t5":
        settings.refuse(path.name, "a Unigram model", "another one")
    if path.name == T5_FILE:
        _add_gaps(tokens, settings)
        return tokens, ([], ["</s>"])
    tokens.replace_first(_N_DROPPED, _OWN)
    tokens.add_unknown(metadata)
    mask = len(tokens)
    tokens.add_entry(_entry(path, "<mask>", lstrip=True), mask)
    return tokens, (["<s>"], ["</s>"])


def _add_gaps(tokens: TokenList, settings: JsonObject) -> None:
    """Add T5's `<extra_id_0>` and so on, unless a list of added tokens has them."""
    listed = settings.child("added_tokens_decoder")
    if listed is not None:
        return
    count = settings.integer("extra_ids", 0, 1 << 16, _N_GAPS)
    first = len(tokens)
    for i in range(count):
        entry = _entry(settings.path, f"<extra_id_{i}>", lstrip=False)
        tokens.add_entry(entry, first + count - 1 - i)


def _entry(path: Path, text: str, *, lstrip: bool) -> JsonObject:
    return JsonObject(path, {"content": text, "special": True, "lstrip": lstrip})
