"""Reads special tokens, whether texts begin and end with them, and chat templates."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.chat_templates import add_chat_templates
from llamacy.tokenizers.hugging_face.token_list import TokenList

# GGUF's names by those of Hugging Face
_NAMES: Final = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


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

    def add_to(self, metadata: Metadata, tokens: TokenList) -> None:
        """Add the special tokens' ids, and whether texts begin and end with them."""
        for name, ours in _NAMES.items():
            i = self._find(name, tokens)
            if i is not None:
                metadata.integer(f"tokenizer.ggml.{ours}_token_id", i)
        for name, is_first in (("bos", True), ("eos", False)):
            is_added = self._settings.get(f"add_{name}_token")
            if not isinstance(is_added, bool):
                is_added = self._is_in_template(name, is_first=is_first)
            if is_added is not None:
                key = f"tokenizer.ggml.add_{name}_token"
                has_one = f"tokenizer.ggml.{name}_token_id" in metadata.values
                metadata.flag(key, is_added and has_one)

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

    def _is_in_template(self, name: str, *, is_first: bool) -> bool | None:
        """Whether tokenizer.json adds a token to texts; None if it does not say."""
        step = self._whole.child("post_processor") if self._whole else None
        if step is None:
            return None
        steps = [step, *step.children("processors")]
        for each in steps:
            template = each.items("single")
            if each.get("type") == "TemplateProcessing" and template:
                part = template[0 if is_first else -1]
                special = part.get("SpecialToken") if isinstance(part, dict) else None
                text = special.get("id") if isinstance(special, dict) else None
                return text is not None and text == self._text(name)
        return False

    def add_template(self, folder: Path, metadata: Metadata) -> None:
        """Add the chat templates, if there are any."""
        add_chat_templates(folder, self._settings, metadata)
