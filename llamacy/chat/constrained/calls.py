"""Grammars of tool calls, as each family writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from llamacy.chat.constrained.lark import Marks, in_pattern
from llamacy.chat.constrained.values import TextValue, text_value
from llamacy.chat.constrained.wanted import Tool
from llamacy.chat.reply.call_forms import CallForm
from llamacy.structured.form import Form
from llamacy.structured.grammar import lark_text
from llamacy.structured.schema.keywords import ASSERTIONS
from llamacy.structured.schema.objects import shape
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.translating import translate

_PLACES: Final = re.compile("«(name|arguments|index|key|value|string)»")
_INDEX: Final = "/[0-9]{1,2}/"
_NAME: Final = re.compile(r"[\w.:/-]+")

# keywords of an object's schema that say which arguments there are, one by one
_ONE_BY_ONE: Final = frozenset(
    "type properties required additionalProperties unevaluatedProperties".split()
)


class Calls(NamedTuple):
    """The grammar of calls.

    Attributes
    ----------
    rules : str
        Rules in Lark's notation: `calls`, and all that they refer to.
    forms : dict of str to Form
        The forms of arguments that are written as JSON.
    """

    rules: str
    forms: dict[str, Form]


def calls_of(
    tools: Sequence[Tool], form: CallForm, marks: Marks, *, most: int | None = None
) -> Calls:
    """Return the grammar of one or several calls of some tools.

    Parameters
    ----------
    tools : sequence of Tool
        The tools, at least one.
    form : CallForm
        How the model writes calls.
    marks : Marks
        Writes marks.
    most : int, optional
        Most calls, if fewer than the form's.

    Raises
    ------
    ConstraintError
        A tool's schema cannot be written in this form.
    """
    writer = _Writer(form, marks)
    for i, tool in enumerate(tools):
        writer.add(f"call_{i}", tool)
    one = " | ".join(f"call_{i}" for i in range(len(tools)))
    most = min(form.most, most or form.most)
    before, between, after = map(marks, (form.before, form.between, form.after))
    more = f" ({between} call){{0,{most - 1}}}" if most > 1 else ""
    rules = f"calls: {before} call{more} {after}\ncall: {one}\n"
    return Calls(rules + "".join(writer.rules), writer.forms)


class _Writer:
    """Writes the rules of calls, tool by tool."""

    def __init__(self, form: CallForm, marks: Marks) -> None:
        self._form = form
        self._marks = marks
        self.rules: list[str] = []
        self.forms: dict[str, Form] = {}

    def add(self, rule: str, tool: Tool) -> None:
        """Add the rule of a tool's calls."""
        name = tool.name
        if self._form.values == "json":
            name = json.dumps(name, ensure_ascii=False)[1:-1]
            self.forms[f"{rule}_json"] = tool.form
            arguments = f"@{rule}_json"
        else:
            if not _NAME.fullmatch(name):
                Place(tool.argument, "").refuse("a name that tags can hold", name)
            arguments = self._one_by_one(rule, tool)
        parts = {"name": self._marks(name), "arguments": arguments, "index": _INDEX}
        self.rules.append(f"{rule}: {self._filled(self._form.call, parts)}\n")

    def _filled(self, text: str, parts: Mapping[str, str]) -> str:
        """Return a form's text as terms, with the parts in their places."""
        terms = []
        for i, piece in enumerate(_PLACES.split(text)):
            if i % 2:
                terms.append(parts[piece])
            elif piece:
                terms.append(self._marks(piece))
        return " ".join(terms)

    def _one_by_one(self, rule: str, tool: Tool) -> str:
        """Add the rules of arguments that are written one by one."""
        at = Place(tool.argument)
        form = tool.form
        schema = json.loads(form.source)
        translate(schema, tool.argument)  # all its values are of the right types then
        for keyword in schema.keys() & (ASSERTIONS - _ONE_BY_ONE):
            (at / keyword).refuse("arguments that are declared one by one", keyword)
        properties, _, _, required = shape(schema, at)
        for key in required:
            if key not in properties:
                (at / "required").refuse("properties that are declared", key)
        items = [
            (self._argument(f"{rule}_{i}", form, schema, key), key in required)
            for i, key in enumerate(properties)
            if properties[key] is not False
        ]
        between = ", " if self._form.values == "python" else ""
        self._sequence(rule, items, between)
        return f"{rule}_first_0"

    def _sequence(
        self, rule: str, items: Sequence[tuple[str, bool]], between: str
    ) -> None:
        """Add rules for items in order, some of which may be left out.

        `first` rules have nothing before them, and `rest` rules an item.
        """
        comma = lark_text(between) if between else ""
        for kind, lead in (("first", ""), ("rest", comma)):
            for i, (item, is_required) in enumerate(items):
                skip = "" if is_required else f" | {rule}_{kind}_{i + 1}"
                self.rules.append(
                    f"{rule}_{kind}_{i}: {lead} {item} {rule}_rest_{i + 1}{skip}\n"
                )
            self.rules.append(f'{rule}_{kind}_{len(items)}: ""\n')

    def _argument(
        self, rule: str, form: Form, schema: Mapping[str, Any], key: str
    ) -> str:
        """Add the rules of one argument, and return its terms.

        Parameters
        ----------
        rule : str
            The name of its rule.
        form : Form
            The form of all arguments.
        schema : mapping
            Their schema.
        key : str
            The argument's name.
        """
        at = Place(form.argument) / "properties" / key
        is_name = _NAME.fullmatch(key) if self._form.values == "text" else None
        if not (is_name or key.isidentifier()):
            at.refuse("a name that calls can hold", key)
        value = None
        if self._form.values == "text":
            value = text_value(schema, schema["properties"][key], at)
        parts = {"key": lark_text(key), "string": '"true"'}
        if value is None:
            self.forms[f"{rule}_json"] = replace(form, start=at.pointer)
            parts |= {"value": f"@{rule}_json", "string": '"false"'}
            return self._filled(self._form.argument, parts)
        before, _, after = self._form.argument.partition("«value»")
        terms = self._filled(before, parts)
        if value.texts is not None:
            options = " | ".join(map(lark_text, value.texts))
            return f"{terms} ({options}) {self._filled(after, parts)}"
        self.rules.append(self._free(rule, value, after))
        return f"{terms} {rule}"

    def _free(self, rule: str, value: TextValue, after: str) -> str:
        """Return the rule of free text up to the end of its tag.

        No tag of the form may be in it, which a reader would take for one of ours.
        """
        tags = {"<" + tag for tag in re.findall(r"<(/?[^\s<>=«]+)", self._tags)}
        inner = "|".join(in_pattern(tag) for tag in sorted(tags))
        return (
            f"{rule}[lazy]: /{value.pattern}{in_pattern(after)}/ & "
            f"~/(.|\\n)*({inner})(.|\\n)*{in_pattern(after)}/\n"
        )

    @property
    def _tags(self) -> str:
        return self._form.call + self._form.argument + self._form.after
