"""Tool calls that are told while they are written: name first, then the arguments.

Only calls whose arguments are JSON can be told early, and only where they begin in the
way that is usual: name, then arguments. All others are told at their end.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from llamacy.chat.reply.json_text import ObjectWriter
from llamacy.chat.reply.parts import ArgumentText, CallBegun, Early

_LONGEST: Final = 400
"""Most characters before the arguments of a call."""

_NAMED: Final = r'"(?P<name>[^"\\]++)"'
_ID: Final = r'"id"\s*+:\s*+"(?P<id>[\w-]++)"\s*+,\s*+'
_OTHERS: Final = (
    r'(?:"(?:type|tool_call_id|index)"\s*+:\s*+(?:"[^"\\]*+"|\d++)\s*+,\s*+)*+'
)

OBJECTS: Final = re.compile(
    r"[\s,;\[\]}]*+(?:```(?:json)?+\s*+\[?+\s*+)?+\{\s*+"
    rf'{_OTHERS}(?:{_ID})?+{_OTHERS}(?:"function"\s*+:\s*+\{{\s*+)?'
    rf'"(?:name|function|tool_name)"\s*+:\s*+{_NAMED}\s*+,\s*+'
    r'"(?:arguments|parameters)"\s*+:\s*+(?=\{)'
)
"""Objects with a name and arguments, alone or in a list."""

NAMED: Final = re.compile(
    r"\s*+(?P<name>[^\s<>{}()\[\]\"]++)\s*+(?:\[CALL_ID\]\s*+(?P<id>[\w-]++)\s*+)?+"
    r"(?:\[ARGS\]\s*+)?+(?=\{)"
)
"""Mistral's form: a name and its arguments."""

NAMED_OR_OBJECTS: Final = re.compile(
    rf"(?:{NAMED.pattern})|"
    + OBJECTS.pattern.replace("?P<name>", "?P<name2>").replace("?P<id>", "?P<id2>")
)
"""Both of Mistral's forms."""

KEYED: Final = re.compile(rf"[\s,\[}}]*+\{{\s*+{_NAMED}\s*+:\s*+(?=\{{)")
"""Objects whose one key is the name, as Apertus writes them."""

DEEPSEEK: Final = re.compile(
    r"(?:\s|```|<｜tool▁call▁end｜>)*+<｜tool▁call▁begin｜>\s*+"
    r"(?:(?P<name>[^\s<>{}()\[\]\"]++)\s*+<｜tool▁sep｜>\s*+"
    r"|[^\s<]*+<｜tool▁sep｜>\s*+(?P<name2>[^\s<>{}()\[\]\"`]++)\s*+```(?:json)?+\s*+)"
    r"(?=\{)"
)
"""DeepSeek's marks, with plain arguments or fenced ones."""

SOLAR: Final = re.compile(
    r"(?:\s|<\|tool_call:end\|>)*+<\|tool_call:begin\|>\s*+(?P<id>[\w-]++)\s*+"
    r"<\|tool_call:name\|>\s*+(?P<name>[^\s<>{}()\[\]\"]++)\s*+"
    r"<\|tool_call:args\|>\s*+(?=\{)"
)
"""Solar Open's marks."""

KIMI: Final = re.compile(
    r"(?:\s|<\|tool_call_end\|>)*+<\|tool_call_begin\|>\s*+"
    r"(?P<id>(?:functions\.)?+(?P<name>[^\s<>{}()\[\]\":]++)(?::\d++)?+)\s*+"
    r"<\|tool_call_argument_begin\|>\s*+(?=\{)"
)
"""Kimi's marks, before which the id stands."""

ARGUMENTS: Final = re.compile(r"\s*+(?=\{)")
"""Arguments alone, after a header that has told the name."""


class BegunCalls:
    """Tells calls while their text arrives.

    Parameters
    ----------
    heads : re.Pattern or None
        The text before the arguments of each call; None if they are told at their end.
    names : collection of str
        Names of the tools; other calls are not told.
    name : str, optional
        The name of the call, if `heads` has none.
    """

    def __init__(
        self, heads: re.Pattern[str] | None, names: Collection[str], name: str = ""
    ) -> None:
        self._heads = heads
        self._names = names
        self._name = name
        self._held = ""
        self._writer: ObjectWriter | None = None  # of the call that is written
        self._is_told = False

    def push(self, text: str) -> Iterator[Early]:
        """Add text; yield the calls that have begun, and what is certain of them."""
        self._held += text
        while self._heads is not None:
            if self._writer is None:
                head = self._heads.match(self._held, 0, _LONGEST)
                if head is None:
                    if len(self._held) >= _LONGEST:
                        self._heads = None
                    return
                yield from self._begin(head)
            else:
                written = self._writer.push(self._held)
                self._held = ""
                if written:
                    yield ArgumentText(written)
                if self._writer.is_broken:
                    self._heads = None
                if not self._writer.is_over:
                    return
                self._held = self._writer.left
                self._writer = None

    def _begin(self, head: re.Match[str]) -> Iterator[Early]:
        found = head.groupdict()
        name = found.get("name") or found.get("name2") or self._name
        if name not in self._names:
            self._heads = None
            return
        if self._is_told:
            yield ArgumentText("}")  # of the call before, which another one follows
        self._is_told = True
        self._held = self._held[head.end() :]
        self._writer = ObjectWriter()
        yield CallBegun(name, found.get("id") or found.get("id2"))
