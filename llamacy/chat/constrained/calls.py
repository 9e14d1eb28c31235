"""Grammars of tool calls, as each family writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from llamacy.chat.constrained.elements import READ_AS_OTHERS, Elements
from llamacy.chat.constrained.lark import Marks, without
from llamacy.chat.constrained.nested import NestedValues, sequence
from llamacy.chat.constrained.notations import Braces, Notation, Quoted
from llamacy.chat.constrained.values import TextValue, text_value
from llamacy.chat.constrained.wanted import Tool
from llamacy.chat.reply.call_forms import CallForm
from llamacy.chat.reply.tool_call_json import checked_name
from llamacy.structured.form import Form
from llamacy.structured.grammar import lark_text
from llamacy.structured.schema.keywords import ASSERTIONS
from llamacy.structured.schema.objects import shape
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.translating import translate

_PLACES: Final = re.compile("«(name|arguments|index|id|key|value|string|type)»")
_NOTATIONS: Final[dict[str, Callable[[Marks], Notation]]] = {
    "braces": Braces,
    "elements": Elements,
}
_OTHER_TYPES: Final = "/number|boolean|null|object|array/"
_NUMBERS: Final = {"index": "/[0-9]{1,2}/", "id": "/[a-z0-9]{10}/"}
_NAME: Final = re.compile(r"[\w.:/-]+")
_NAMES: Final = {
    "json": re.compile(r"[^\\\x00-\x1f]+"),
    "python": re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*"),
}
"""Names that calls can hold, by `CallForm.values`, where not `_NAME`."""

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
        nested = _NOTATIONS.get(self._form.values)
        name = self._name(tool)
        if self._form.values == "json":
            self.forms[f"{rule}_json"] = tool.form
            arguments = f"@{rule}_json"
        else:
            if nested is not None:
                arguments = self._nested(rule, tool, nested(self._marks))
            elif tool.is_strict or self._form.values == "python":
                arguments = self._one_by_one(rule, tool)
            else:
                self._add_free(rule, name)
                return
        parts = {"name": name, "arguments": arguments, **_NUMBERS}
        self.rules.append(f"{rule}: {self._filled(self._form.call, parts)}\n")

    def _name(self, tool: Tool) -> str:
        """Return a tool's name as a term; a token's name in it stays text.

        Raises
        ------
        ConstraintError
            No reader would take it for a name.
        """
        name = tool.name
        pattern = _NAMES.get(self._form.values, _NAME)
        try:
            is_known = bool(pattern.fullmatch(checked_name(name)))
        except ValueError:
            is_known = False
        if not is_known:
            Place(tool.argument, "").refuse("a name that calls can hold", name)
        return lark_text(name)

    def _filled(self, text: str, parts: Mapping[str, str]) -> str:
        """Return a form's text as terms, with the parts in their places."""
        terms = []
        for i, piece in enumerate(_PLACES.split(text)):
            if i % 2:
                terms.append(parts[piece])
            elif piece:
                terms.append(self._marks(piece))
        return " ".join(terms)

    def _add_free(self, rule: str, name: str) -> None:
        """Add the rule of calls with any arguments, whether they can be read or not."""
        before, _, after = self._form.call.partition("«arguments»")
        terms = self._filled(before, {"name": name, **_NUMBERS})
        after = after or self._form.after
        self.rules.append(f"{rule}: {terms} {rule}_any\n")
        self.rules.append(self._marks.up_to(f"{rule}_any", after))

    def _nested(self, rule: str, tool: Tool, notation: Notation) -> str:
        """Add the rules of arguments in a notation of lists and objects."""
        if not tool.is_strict and not notation.has_free_keys:
            arguments, more = notation.any_arguments(f"{rule}_any".upper())
            self.rules.append(more)
            return arguments
        values = NestedValues(notation, rule, tool.form)
        arguments = values.arguments(has_ends=self._form.values == "braces")
        self.rules += values.rules
        self.forms |= values.forms
        return arguments

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
        return sequence(self.rules, rule, items, lark_text(between) if between else "")

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
        if self._form.values == "python":
            self.forms[f"{rule}_json"] = replace(form, start=at.pointer)
            parts = {"key": lark_text(key), "value": f"@{rule}_json"}
            return self._filled(self._form.argument, parts)
        value = text_value(schema, schema["properties"][key], at)
        before, _, after = self._form.argument.partition("«value»")
        parts = {"key": lark_text(key), "string": '"true"', "type": '"string"'}
        opening, closing = self._filled(before, parts), self._filled(after, parts)
        found = [f"{opening} {lark_text(text)} {closing}" for text in value.texts]
        if value.pattern is not None:
            self.rules.append(self._free(rule, value, after))
            found.append(f"{opening} {rule}")
        if value.others:
            notation = Quoted(self._marks, self._inner_tags)
            json_values = NestedValues(notation, rule, form)
            parts |= {"string": '"false"', "type": _OTHER_TYPES}
            opening = self._filled(before, parts)
            for node, place in value.others:
                terms = json_values.value(node, place)
                found.append(f"{opening} {terms} {closing}")
            self.rules += json_values.rules
            self.forms |= json_values.forms
        return f"({' | '.join(found)})"

    def _free(self, rule: str, value: TextValue, after: str) -> str:
        """Return the rule of free text up to the end of its tag.

        No tag of the form may be in it, which a reader would take for one of ours; nor
        may it be read as a value that is no text, if that is to follow a rule and no
        attribute of the tag says that it is text.
        """
        parts = [value.pattern or "", without(*self._inner_tags)]
        if value.is_other and not _tells_texts(self._form):
            parts += [f"~/{pattern}/" for pattern in READ_AS_OTHERS]
            parts.append(r"~/[\s\x1c-\x1f]*(true|false|null)(.|\n)*/")  # JSON goes on
        text = " & ".join(parts)
        if self._marks.is_token(after):
            name = f"{rule}_text".upper()
            return f"{rule}: {name} {self._marks(after)}\n{name}: {text}\n"
        return f"{rule}[lazy]: ({text}) {lark_text(after)}\n"

    @property
    def _inner_tags(self) -> list[str]:
        """The beginnings of all tags, which no value may contain."""
        return sorted({"<" + tag for tag in re.findall(r"<(/?[^\s<>=«]+)", self._tags)})

    @property
    def _tags(self) -> str:
        return self._form.call + self._form.argument + self._form.after


def _tells_texts(form: CallForm) -> bool:
    """Whether an attribute of each argument says if it is text."""
    return "«string»" in form.argument or "«type»" in form.argument
