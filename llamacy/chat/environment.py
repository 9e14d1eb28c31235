"""What a chat template finds around it: the same as in transformers, in a sandbox.

Imported when a template is first compiled, because importing Jinja takes a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from llamacy.chat import budget, growth


class _Generation(Extension):
    """``{% generation %}``, which marks what to train on, and does nothing here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Names(Namespace):
    """``namespace()``, without names that Python itself looks for."""

    def __init__(*args: Any, **values: Any) -> None:  # noqa: N805 -- "self" is free
        self, *given = args
        made = dict(*given, **values)
        for name in made:
            _check_name(name)
        Namespace.__init__(self, made)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _counted(value: object) -> object:
    """Count the characters of a value that goes into a text."""
    growth.measured(value)
    return value


@pass_context  # which tells Jinja to call it for constants too, when they are written
def _written(context: Context, value: object) -> object:
    """Count the characters of a value that is written out."""
    return _counted(value)


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with a budget for each rendering."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    entered = staticmethod(budget.entered)
    counted = staticmethod(_counted)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
            # nothing is computed while it is compiled, where no budget holds
            optimized=False,
            finalize=_written,
        )
        self.filters["tojson"] = _to_json
        for name, function in self.filters.items():
            self.filters[name] = growth.counted(name, function)
        del self.globals["lipsum"]  # makes text without end
        self.globals.update(
            raise_exception=_raise,
            strftime_now=lambda form: datetime.now().strftime(form),
            namespace=_Names,
        )

    def compiled(self, source: str) -> Template:
        """Compile a template so that it counts what it does."""
        tree = self.parse(source)
        budget.count_steps(tree)
        tree.set_environment(self)
        return self.from_string(tree)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Refuse at once, and not only when something is done with it."""
        raise SecurityError(
            f"access to attribute {attribute!r} of {type(obj).__name__!r} is unsafe"
        )

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute an intercepted operation."""
        budget.check_operands(operator, left, right)
        if operator == "%" and isinstance(left, str | bytes):
            growth.check(operator, left, [right])
        return super().call_binop(context, operator, left, right)

    def call(*args: Any, **options: Any) -> Any:  # noqa: N805 -- "self" is free
        """Call something; it may have arguments of any name."""
        _, _, function, *given = args
        if function in (budget.entered, _counted):
            return function(*given)
        budget.step()
        given += options.values()
        growth.check_method(function, given)
        given = given[: len(given) - len(options)]
        return ImmutableSandboxedEnvironment.call(*args[:3], *given, **options)


def rendered(template: Template, names: dict[str, Any]) -> str:
    """Render a template within a budget."""

    def pieces() -> Iterator[str]:
        with budget.a_budget():
            yield from template.generate(**names)

    return "".join(pieces())


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"access to attribute {name!r} of a namespace is unsafe")


def _raise(message: object) -> NoReturn:
    raise TemplateError(str(message))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON for a model: HTML's special characters stay what they are."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
