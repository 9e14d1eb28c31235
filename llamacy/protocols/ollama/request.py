"""Requests of Ollama's clients as arguments of `Model.chat` and `Model.generate`.

Fields and options that are not known are ignored, like in Ollama; those that ask for
something that llamacy does not do are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.sampling import MAX_TOP, sampling_options
from llamacy.protocols.openai.structure import taken_tools

_LATEST: Final = ":latest"


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request for an answer or a text.

    Attributes
    ----------
    model : str
        The model's name.
    messages : list of dict
        The conversation; empty if only the model is to be loaded or unloaded.
    prompt : str
        The text to continue, of a request that has no conversation.
    options : dict
        Sampling options.
    prompt_options : dict
        Keyword arguments of `Model.chat` about the prompt.
    shows_thinking : bool
        Whether the answer has the model's reasoning.
    stream : bool
        Whether the answer comes line by line.
    is_raw : bool
        Whether `prompt` is to be continued as it is, and not answered.
    unloads : bool
        Whether the model is wanted no longer.
    """

    model: str
    messages: list[dict[str, Any]]
    prompt: str
    options: dict[str, Any]
    prompt_options: dict[str, Any]
    shows_thinking: bool
    stream: bool
    is_raw: bool
    unloads: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be generated."""
        return not self.messages and not self.prompt


def chat_asked(body: object) -> Asked:
    """Check the body of ``/api/chat``, all but the contents of its messages.

    Raises
    ------
    ArgumentError
        A field's value is invalid or not supported; the message begins with its name.
    """
    fields = Fields(body)
    messages = enumerate(fields.items("messages"))
    written = [_written(f"messages[{index}]", one) for index, one in messages]
    return _asked(fields, written, "", is_raw=False)


def generate_asked(body: object) -> Asked:
    """Check the body of ``/api/generate``; errors are those of `chat_asked`."""
    fields = Fields(body)
    prompt = fields.text("prompt") or ""
    system = fields.text("system")
    is_raw = fields.flag("raw", False)
    for name, reason in (
        ("suffix", "texts can only be continued"),
        ("template", "the model's own template is used"),
    ):
        fields.refuse(name, reason, ("",))
    fields.refuse("images", "answers are about texts", ([],))
    messages = [{"role": "user", "content": prompt}] if prompt else []
    if messages and system:
        messages.insert(0, {"role": "system", "content": system})
    return _asked(fields, messages, prompt, is_raw)


def show_asked(body: object) -> str:
    """Check the body of ``/api/show``; return the model's name."""
    return model_asked(Fields(body))


def pull_asked(body: object) -> tuple[str, bool]:
    """Check the body of ``/api/pull``.

    Returns
    -------
    name : str
        The model's name.
    stream : bool
        Whether the progress is wanted line by line.
    """
    fields = Fields(body)
    return model_asked(fields), fields.flag("stream", True)


def model_asked(fields: Fields) -> str:
    """Take a model's name, which may end with ``:latest``."""
    name = fields.take("model", fields.take("name"))
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"model: wanted a name, found {short(name)}")
    return name


def without_latest(name: str) -> str:
    """Return a model's name without Ollama's tag for "the usual one"."""
    return name.removesuffix(_LATEST)


def _asked(
    fields: Fields, messages: list[dict[str, Any]], prompt: str, is_raw: bool
) -> Asked:
    prompt_options, shows_thinking = _prompt_options(fields)
    options = _options(fields.take("options", {})) | _format(fields.take("format"))
    n_top = checked_integer("top_logprobs", fields.take("top_logprobs", 0), 0, MAX_TOP)
    if fields.flag("logprobs", False) or n_top:
        options["logprobs"] = n_top
    return Asked(
        model_asked(fields),
        messages,
        prompt,
        options,
        prompt_options,
        shows_thinking,
        fields.flag("stream", True),
        is_raw,
        fields.take("keep_alive") in (0, "0", "0s"),
    )


def _options(given: object) -> dict[str, Any]:
    """Return sampling options under llamacy's names."""
    fields = Fields(given, "options")
    options: dict[str, Any] = {**sampling_options(fields)}
    options.pop("max_tokens", None)  # no option of Ollama's
    most = checked_integer("options.num_predict", fields.take("num_predict", -1), -2)
    if most >= 0:
        options["max_tokens"] = most
    return options


def _format(wanted: object) -> dict[str, Any]:
    """Return the form of the answer: any JSON object, or one of a schema."""
    match wanted:
        case None | "":
            return {}
        case "json":
            return {"response_format": {"type": "json_object"}}
        case Mapping():
            return {"json_schema": wanted}
    raise ArgumentError(f"format: wanted json or a schema, found {short(wanted)}")


def _prompt_options(fields: Fields) -> tuple[dict[str, Any], bool]:
    """Take the tools, and how the model is to think; return whether that is shown."""
    options: dict[str, Any] = {}
    if tools := taken_tools(fields):
        options["tools"] = tools
    match fields.take("think"):
        case None:
            return options, True
        case bool(thinks):
            options["template_arguments"] = {"enable_thinking": thinks}
            return options, thinks
        case str(effort):
            return {**options, "reasoning_effort": effort}, True
        case found:
            raise ArgumentError(f"think: wanted a flag or a text, found {short(found)}")


def _written(name: str, message: object) -> dict[str, Any]:
    """Return a message in the shape that chat templates expect."""
    if not isinstance(message, Mapping):
        raise ArgumentError(f"{name}: wanted an object, found {short(message)}")
    Fields(message, name).refuse("images", "answers are about texts", ([],))
    written = {key: value for key, value in message.items() if key != "images"}
    if (tool_name := written.pop("tool_name", None)) is not None:
        written["name"] = tool_name
    return written
