"""Reads special tokens, whether texts begin and end with them, and chat templates."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import BEGIN_KEY
from llamacy.tokenizers.hugging_face.chat_templates import add_chat_templates
from llamacy.tokenizers.hugging_face.processor import (
    Around,
    has_two_ends,
    read_processor,
)
from llamacy.tokenizers.hugging_face.token_list import TokenList

# GGUF's names by those of Hugging Face
_NAMES: Final = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
_EDGES: Final = {"bos": "cls", "eos": "sep"}
"""Tokens that encoders have for BOS and EOS."""

ENCODERS: Final = ("bert", "t5")
"""Names in `tokenizer.ggml.model` of vocabularies that encoders have."""

_ENCODER_NAMES: Final = {
    "bos cls": "bos_token_id",
    "eos sep": "eos_token_id",
    "sep eos": "seperator_token_id",  # GGUF's spelling
    "pad": "padding_token_id",
    "mask": "mask_token_id",
}


class Special:
    """The files that state which tokens are special.

    Parameters
    ----------
    settings : JsonObject
        tokenizer_config.json.
    older : JsonObject or None
        special_tokens_map.json, if there is one.
    config : JsonObject
        config.json.
    whole : JsonObject or None
        tokenizer.json, if there is one.
    """

    def __init__(
        self,
        settings: JsonObject,
        older: JsonObject | None,
        config: JsonObject,
        whole: JsonObject | None,
    ) -> None:
        self._settings = settings
        self._older = older
        self._config = config
        self._whole = whole

    def add_to(
        self, metadata: Metadata, tokens: TokenList, around: Around | None = None
    ) -> None:
        """Add the special tokens' ids, and whether texts begin and end with them.

        Parameters
        ----------
        metadata : Metadata
            Receives the keys.
        tokens : TokenList
            The vocabulary.
        around : Around, optional
            The tokens before and after a text, where the class of a vocabulary for
            encoders says so rather than a tokenizer.json.
        """
        if self._whole is not None and has_two_ends(self._whole):
            metadata.flag("tokenizer.ggml.add_sep_token", True)
        if metadata.values["tokenizer.ggml.model"] in ENCODERS:
            if around is None and self._whole is not None:
                around = read_processor(self._whole)
            self._add_encoder(metadata, tokens, around)
            return
        for name, ours in _NAMES.items():
            i = self._find(name, tokens)
            if i is not None:
                metadata.integer(f"tokenizer.ggml.{ours}_token_id", i)
        found = read_processor(self._whole) if self._whole else None
        if found is None:
            before = after = None
        else:
            before, after = found
            self._check_end(after)
        for name, texts in (("bos", before), ("eos", after)):
            key = f"tokenizer.ggml.{name}_token_id"
            is_added = self._settings.get(f"add_{name}_token")
            if not isinstance(is_added, bool):
                is_added = None if texts is None else texts == [self._edge(name)]
                if is_added and texts and self._text(name) is None:
                    self._add_edge(key, texts[0], metadata, tokens)
                if name == "bos" and texts and not is_added:
                    self._add_beginning(texts, metadata, tokens)
            if is_added is not None:
                is_added = is_added and key in metadata.values
                metadata.flag(f"tokenizer.ggml.add_{name}_token", is_added)

    def _add_encoder(
        self, metadata: Metadata, tokens: TokenList, around: Around | None
    ) -> None:
        """Add the special tokens of an encoder, which stand on both sides of a text."""
        for names, key in _ENCODER_NAMES.items():
            found = (self._find(name, tokens) for name in names.split())
            i = next((i for i in found if i is not None), None)
            if i is not None:
                metadata.integer(f"tokenizer.ggml.{key}", i)
        for name, texts in zip(("bos", "eos"), around or ([], []), strict=True):
            metadata.flag(f"tokenizer.ggml.add_{name}_token", bool(texts))
            if not texts:
                continue
            i = tokens.find(texts[0])
            if len(texts) > 1 or i is None:
                wanted = "a token of the vocabulary on each side of a text, at most"
                owner = self._whole or self._settings
                owner.refuse("post_processor", wanted, ", ".join(texts))
            metadata.integer(f"tokenizer.ggml.{name}_token_id", i)
            if name == "eos":  # what llama.cpp adds after a text of WordPiece
                metadata.integer("tokenizer.ggml.seperator_token_id", i)

    def _check_end(self, after: list[str]) -> None:
        """Check that nothing but EOS comes after a text, which a model continues."""
        if after and after != [self._edge("eos")] and self._whole is not None:
            found = ", ".join(after)
            self._whole.refuse("post_processor", "no token but EOS after texts", found)

    def _add_beginning(
        self, before: list[str], metadata: Metadata, tokens: TokenList
    ) -> None:
        """Add the tokens before a text where they are others than BOS."""
        known = tokens.ids()
        ids = [known[text] for text in before if text in known]
        if len(ids) < len(before) and self._whole is not None:
            missing = next(text for text in before if text not in known)
            wanted = "tokens of the vocabulary before texts"
            self._whole.refuse("post_processor", wanted, missing)
        metadata.integers(BEGIN_KEY, ids)

    def _edge(self, name: str) -> str | None:
        """Return the text of BOS or EOS, or of the one that encoders have instead."""
        return self._text(name) or self._text(_EDGES[name])

    def _add_edge(
        self, key: str, text: str, metadata: Metadata, tokens: TokenList
    ) -> None:
        """Add the id of a token that encoders have for BOS or EOS."""
        i = tokens.find(text)
        if i is not None:
            metadata.integer(key, i)
            if text == self._text("sep"):
                metadata.integer("tokenizer.ggml.seperator_token_id", i)

    def _find(self, name: str, tokens: TokenList) -> int | None:
        """Find a special token by its text, or else by its id in config.json."""
        text = self._text(name)
        i = tokens.find(text) if text is not None else None
        if i is None:
            i = self._config.get(f"{name}_token_id")
            i = i[0] if isinstance(i, list) and i else i  # a model may have several EOS
        is_id = isinstance(i, int) and not isinstance(i, bool)
        return i if is_id and i in tokens else None

    def _text(self, name: str) -> str | None:
        for file in (self._settings, self._older):
            found = file.get(f"{name}_token") if file is not None else None
            if isinstance(found, dict):
                found = found.get("content")
            if isinstance(found, str):
                return found
        return None

    def add_template(self, folder: Path, metadata: Metadata) -> None:
        """Add the chat templates, if there are any."""
        add_chat_templates(folder, self._settings, metadata)
