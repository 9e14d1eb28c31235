"""Choosing the format of a conversation: the model's own, or one that is named.

A file may hold several templates. The key `tokenizer.chat_template` has the usual one,
and further keys below it have those with names, of which `tool_use` is for
conversations with tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamacy.arguments import short
from llamacy.chat.built_in import BUILT_IN, ChatFormat
from llamacy.errors import ArgumentError, ChatTemplateError

_KEY = "tokenizer.chat_template"
_DEFAULT, _TOOL_USE = "default", "tool_use"

CHAT_FORMATS = tuple(BUILT_IN)
"""Names of the built-in chat formats."""


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """Where to find the format of a model's conversations.

    Attributes
    ----------
    metadata : mapping
        Metadata of the model's file, which may hold templates.
    path : str
        Path of the file, for error messages.
    """

    metadata: Mapping[str, Any]
    path: str

    def find(self, chat_format: str | None, has_tools: bool = False) -> ChatFormat:
        """Find a format.

        Parameters
        ----------
        chat_format : str or None
            Name of a built-in format or of one of the file's templates, or a template;
            None uses the file's own.
        has_tools : bool
            Whether the conversation has tools, for which the file may have a template
            of its own.

        Raises
        ------
        ArgumentError
            There is no format of that name.
        ChatTemplateError
            The file has no template.
        """
        own = own_templates(self.metadata)
        if chat_format is None:
            return self._own(own, has_tools)
        if isinstance(chat_format, str):
            if "{{" in chat_format or "{%" in chat_format:
                return ChatFormat("chat_format", chat_format)
            for name, known in BUILT_IN.items():
                if _plain(name) == _plain(chat_format):
                    return known
            if chat_format in own:
                return self._named(own, chat_format)
        names = (*CHAT_FORMATS, *(name for name in own if name != _DEFAULT))
        raise ArgumentError(
            f"chat_format: wanted one of {', '.join(names)}, or a template, "
            f"found {short(chat_format)}"
        )

    def _own(self, own: Mapping[str, str], has_tools: bool) -> ChatFormat:
        order = (_TOOL_USE, _DEFAULT) if has_tools else (_DEFAULT, _TOOL_USE)
        for name in order:
            if name in own:
                return self._named(own, name)
        if own:
            raise ChatTemplateError(
                f"{self.path}: {_KEY}: found only templates with names: name one "
                f"(chat_format=, --chat-template), of {', '.join(own)}"
            )
        raise ChatTemplateError(
            f"{self.path}: {_KEY}: found none, so it looks like a base model: give it "
            "a text to continue (generate, llamacy run --raw), or name a chat format "
            f"(chat_format=, --chat-template), one of {', '.join(CHAT_FORMATS)}"
        )

    def _named(self, own: Mapping[str, str], name: str) -> ChatFormat:
        key = _KEY if name == _DEFAULT else f"{_KEY}.{name}"
        return ChatFormat(f"{self.path}: {key}", own[name])


def own_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the templates in a model's metadata by name; the usual one is `default`.

    Empty templates are left out.
    """
    keys = (_KEY, *(key for key in metadata if key.startswith(f"{_KEY}.")))
    found: dict[str, str] = {}
    for key in keys:
        template = metadata.get(key)
        if isinstance(template, str) and template.strip():
            found.setdefault(key.removeprefix(_KEY)[1:] or _DEFAULT, template)
    return found


def has_template(metadata: Mapping[str, Any]) -> bool:
    """Return whether a model's metadata contains a chat template.

    Models tuned to follow instructions have one, base models hardly ever.
    """
    return bool(own_templates(metadata))


def _plain(name: str) -> str:
    """Return `name` without case, hyphens and underscores: `LLaMA2` is `llama-2`."""
    return name.lower().replace("-", "").replace("_", "")
