"""A conversation at the command line, and the commands that change it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamacy.cli.chat_input import Command
from llamacy.cli.failures import UsageError
from llamacy.system.whole_files import file_errors, new_file

if TYPE_CHECKING:
    from llamacy.results import Completion
    from llamacy.sampling import SamplingParams

_REASONING = {"show": True, "hide": False}
_SHORT = {"temp": "temperature", "n": "max_tokens", "n_predict": "max_tokens"}
_OTHER_NAMES = {"exit": "bye", "quit": "bye", "?": "help"}


@dataclass
class Talk:
    """The conversation so far, and the settings for the next answer.

    Attributes
    ----------
    params : SamplingParams
        How to choose tokens.
    system : str
        The system message; may be empty.
    messages : list of dict
        Messages of the user and the model, in turn.
    answers : bool
        Whether the model answers the last message, or else continues its text.
    verbose : bool
        Whether to show timings.
    shows_reasoning : bool
        Whether to show the reasoning before an answer, at a terminal.
    n_dropped : int
        Messages left out of the last prompt because the context was full.
    is_over : bool
        Whether the user has ended the chat.
    """

    params: SamplingParams
    system: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: bool = True
    verbose: bool = False
    shows_reasoning: bool = True
    n_dropped: int = 0
    is_over: bool = False

    @property
    def all_messages(self) -> list[dict[str, Any]]:
        """The system message, if there is one, followed by the others."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return first + self.messages

    @property
    def awaits_answer(self) -> bool:
        """Whether it is the model's turn to speak."""
        return bool(self.messages) and self.messages[-1]["role"] != "assistant"

    def say(self, text: str) -> None:
        """Add a message from the user."""
        self.messages.append({"role": "user", "content": text})

    def reply(self, completion: Completion) -> None:
        """Add a message from the model."""
        own = {"role": "assistant", "content": completion.text}
        self.messages.append(getattr(completion, "message", own))


def obey(command: Command, talk: Talk) -> str:
    """Carry out a command; return the reply to the user.

    Raises
    ------
    UsageError
        There is no such command, or its argument is invalid.
    LlamacyError
        A setting has an invalid value, or a file cannot be read or written.
    """
    name = _OTHER_NAMES.get(command.name, command.name)
    if name not in COMMANDS:
        alike = get_close_matches(name, [*COMMANDS, *_OTHER_NAMES], 1)
        meant = "".join(f" (did you mean /{each}?)" for each in alike)
        raise UsageError(
            f"no command /{name}{meant}; /help lists them, "
            "and a space before the / makes it a message"
        )
    return COMMANDS[name].do(talk, command.argument)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A command: its arguments, its purpose, and its action."""

    takes: str
    help: str
    do: Callable[[Talk, str], str]


def _help(talk: Talk, argument: str) -> str:
    lines = [
        f"/{f'{name} {kind.takes}':<16} {kind.help}" for name, kind in COMMANDS.items()
    ]
    return "\n".join(
        [
            *lines,
            'A line ending in \\ continues on the next; """ encloses several lines.',
            "/exit and /quit end the chat as well.",
            "Ctrl-C stops an answer, Ctrl-D ends the chat.",
        ]
    )


def _system(talk: Talk, argument: str) -> str:
    if argument and not talk.answers:
        raise UsageError("/system: the model continues texts, without messages")
    if argument:
        talk.system = "" if argument == '""' else argument
        return "system message set" if talk.system else "system message removed"
    return talk.system or "no system message"


def _set(talk: Talk, argument: str) -> str:
    from llamacy.sampling import SamplingParams

    name, _, text = argument.removeprefix("parameter ").partition(" ")
    name = name.lower().replace("-", "_")
    if name in ("verbose", "quiet") and not text:
        talk.verbose = name == "verbose"
        return f"verbose = {talk.verbose}"
    if name == "reasoning" and text.strip() in _REASONING:
        talk.shows_reasoning = _REASONING[text.strip()]
        return f"reasoning = {text.strip()}"
    name = _SHORT.get(name, name)
    names = [field.name for field in fields(SamplingParams)]
    names.remove("logits_processors")
    if not name:
        shown = [f"{each} = {getattr(talk.params, each)!r}" for each in names]
        reasoning = "show" if talk.shows_reasoning else "hide"
        shown += [f"verbose = {talk.verbose}", f"reasoning = {reasoning}"]
        return "\n".join(shown)
    if name not in names or not text.strip():
        known = ", ".join(["verbose", "quiet", "reasoning show|hide", *names])
        raise UsageError(f"/set: wanted a name and a value; names: one of {known}")
    talk.params = replace(talk.params, **{name: _value(text.strip())})
    return f"{name} = {getattr(talk.params, name)!r}"


def _value(text: str) -> Any:
    """Return the Python literal in `text`, or else `text` itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _save(talk: Talk, argument: str) -> str:
    path = _path("save", argument)
    if not talk.all_messages:
        raise UsageError("/save: the chat is empty")
    text = json.dumps({"messages": talk.all_messages}, ensure_ascii=False, indent=2)
    with new_file(path) as draft, file_errors(path):
        Path(draft).write_text(f"{text}\n", encoding="utf-8")
    return f"{len(talk.all_messages)} messages saved to {path}"


def _load(talk: Talk, argument: str) -> str:
    from llamacy.chat.contents import joined
    from llamacy.chat.messages import checked_messages

    path = _path("load", argument)
    with file_errors(path):
        data = path.read_bytes()
    try:
        messages = checked_messages(json.loads(data.decode())["messages"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: wanted a chat written by /save: {error}") from None
    messages = [{**each, "content": joined(each["content"])} for each in messages]
    has_system = messages[0]["role"] == "system"
    talk.system = messages.pop(0)["content"] if has_system else ""
    talk.messages = messages
    return f"{len(talk.all_messages)} messages loaded from {path}"


def _path(name: str, argument: str) -> Path:
    if not argument:
        raise UsageError(f"/{name}: wanted the name of a file, found nothing")
    return Path(argument).expanduser()


def _regen(talk: Talk, argument: str) -> str:
    if not talk.messages:
        raise UsageError("/regen: the chat is empty")
    if not talk.awaits_answer:
        talk.messages.pop()
    return ""


def _clear(talk: Talk, argument: str) -> str:
    talk.messages.clear()
    return "conversation forgotten"


def _bye(talk: Talk, argument: str) -> str:
    talk.is_over = True
    return ""


COMMANDS = {
    "help": _Kind("", "show this list", _help),
    "system": _Kind(
        "[TEXT]", 'set the system message ("" removes it), or show it', _system
    ),
    "set": _Kind(
        "[NAME VALUE]",
        "set a sampling option; verbose, quiet; reasoning show|hide",
        _set,
    ),
    "save": _Kind("FILE", "write the chat to a file", _save),
    "load": _Kind("FILE", "continue a chat from a file", _load),
    "regen": _Kind("", "answer the last message again", _regen),
    "clear": _Kind("", "forget the conversation", _clear),
    "bye": _Kind("", "end the chat", _bye),
}
