"""Functions that answer messages with a Llama, by the names scripts give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from llamacy.arguments import short
from llamacy.errors import ArgumentError


class LlamaChatCompletionHandler(Protocol):
    """Answers messages; is given all arguments of `create_chat_completion` by name."""

    def __call__(
        self, *, llama: Any, messages: list[dict[str, Any]], **arguments: Any
    ) -> Any:
        """Return the dict of an answer, or with `stream` an iterator of its chunks."""


_handlers: dict[str, LlamaChatCompletionHandler] = {}
_Handler = TypeVar("_Handler", bound=LlamaChatCompletionHandler)


class LlamaChatCompletionHandlerNotFoundException(Exception):
    """There is no handler of a name."""


def register_chat_completion_handler(name: str) -> Callable[[_Handler], _Handler]:
    """Return a decorator that makes a handler known as `chat_format` `name`."""

    def decorate(handler: _Handler) -> _Handler:
        add_handler(name, handler)
        return handler

    return decorate


def get_chat_completion_handler(name: str) -> LlamaChatCompletionHandler:
    """Return a registered handler.

    Raises
    ------
    LlamaChatCompletionHandlerNotFoundException
        No handler was registered under this name. llamacy's own formats are not among
        them: give their names to `Llama` as `chat_format`.
    """
    handler = registered(name)
    if handler is None:
        raise LlamaChatCompletionHandlerNotFoundException(
            f"no handler was registered as {short(name)}"
        )
    return handler


def registered(name: str | None) -> LlamaChatCompletionHandler | None:
    """Return the handler registered under a name, if there is one."""
    return None if name is None else _handlers.get(name)


def add_handler(name: str, handler: LlamaChatCompletionHandler) -> None:
    """Make a handler known; raises ArgumentError if the name is taken."""
    if name in _handlers:
        raise ArgumentError(f"name: wanted a new one, found {short(name)}")
    _handlers[name] = handler
