"""The sandbox in which chat templates run, with the names that transformers provides.

Imported when a template is first compiled, because importing Jinja takes a while.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from llamacy.chat import budget, growth
from llamacy.chat.values import NoText

# Jinja would import this codec with the first string, without the lock of imports.
codecs.lookup("unicode-escape")

NOT_GIVEN = ("tools", "documents")
"""Variables that pass for None where the caller gives no such list."""


class _Generation(Extension):
    """`{% generation %}`, which marks text to train on and has no effect here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Names(Namespace):
    """`namespace()`, which refuses names with a leading underscore."""

    # without named parameters, a template may use any name, "self" included
    def __init__(*args: Any, **values: Any) -> None:  # noqa: N805
        self, *positional = args
        names = dict(*positional, **values)
        for name in names:
            _check_name(name)
        Namespace.__init__(self, names)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


class _NotGiven(Undefined):
    """A list that the caller did not give: undefined, and none where a template asks.

    transformers passes None, for which `is none` holds; llama.cpp passes nothing, so
    that a template may iterate. Published templates rely on either.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or type(self) is type(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(type(self))


def _is_none(value: object) -> bool:
    """Return whether a template takes a value for none."""
    return value is None or isinstance(value, _NotGiven | NoText)


def _count_value(value: object) -> object:
    """Count the characters of a value that becomes part of a text."""
    growth.count_characters(value)
    return value


@pass_context  # makes Jinja call it for constants too, at rendering time
def _count_output(context: Context, value: object) -> object:
    """Count the characters of a value that is written to the output."""
    return _count_value(value)


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox; it counts the work of each rendering against the current budget."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    enter_block = staticmethod(budget.enter_block)
    count_value = staticmethod(_count_value)
    count_container = staticmethod(growth.count_container)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
            # constant folding would compute at compile time, outside any budget
            optimized=False,
            finalize=_count_output,
        )
        tests: dict[str, Any] = self.tests
        for name in growth.COMPARING_TESTS:
            tests[name] = growth.counting_test(tests[name])
        self.tests["none"] = _is_none
        self.filters["tojson"] = _to_json
        for name, function in self.filters.items():
            self.filters[name] = growth.counting_filter(name, function)
        del self.globals["lipsum"]  # generates any amount of text
        self.globals.update(
            raise_exception=_raise,
            strftime_now=lambda form: datetime.now().strftime(form),
            namespace=_Names,
            **{name: _NotGiven(name=name) for name in NOT_GIVEN},
        )

    def compiled(self, source: str) -> Template:
        """Compile a template that counts its own steps and characters."""
        tree = self.parse(source)
        budget.count_steps(tree)
        tree.set_environment(self)
        return self.from_string(tree)

    def is_safe_attribute(self, obj: Any, attribute: str, value: Any) -> bool:
        """Say whether a template may use an attribute.

        Kimi K2's templates queue the ids of calls in a list of their own.
        """
        if type(obj) is list and attribute in ("append", "pop"):
            return not budget.is_given(obj)
        return super().is_safe_attribute(obj, attribute, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Refuse at the access itself, where Jinja waits until the value is used."""
        raise SecurityError(
            f"access to attribute {attribute!r} of {type(obj).__name__!r} is unsafe"
        )

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item; a key is hashed, or written into an error message."""
        return super().getitem(obj, growth.count_container(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Check an intercepted operation, then compute it."""
        budget.check_operands(operator, left, right)
        if operator == "%" and isinstance(left, str | bytes):
            growth.check(operator, left, [right])
        return super().call_binop(context, operator, left, right)

    # without named parameters, as in `_Names`
    def call(*args: Any, **options: Any) -> Any:  # noqa: N805
        """Call a function from a template, counting the step and the result."""
        _, _, function, *arguments = args
        if function in _COUNTERS:
            return function(*arguments)
        budget.step()
        arguments += options.values()
        growth.check_method(function, arguments)
        arguments = arguments[: len(arguments) - len(options)]
        return ImmutableSandboxedEnvironment.call(*args[:3], *arguments, **options)


_COUNTERS: Final = (budget.enter_block, _count_value, growth.count_container)
"""Functions that `budget` calls from templates, in addition to their own calls."""


def render_within_budget(template: Template, names: dict[str, Any]) -> str:
    """Render a template within a budget of its own."""

    def pieces() -> Iterator[str]:
        with budget.new_budget(names):
            yield from template.generate(**names)

    return "".join(pieces())


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"access to attribute {name!r} of a namespace is unsafe")


def _raise(message: object) -> NoReturn:
    growth.count_characters(message)
    raise TemplateError(str(message))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return JSON for a model: unlike Jinja's, without escapes for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_none_for_not_given,
    )


def _none_for_not_given(value: object) -> None:
    if not isinstance(value, _NotGiven):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
