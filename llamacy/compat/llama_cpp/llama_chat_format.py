"""llama-cpp-python's chat formats and handlers: `llama_cpp.llama_chat_format`.

A *formatter* makes a prompt from messages; a *handler* answers messages with a `Llama`.
Scripts may write and register their own. The formats that llama-cpp-python brings are
those of `llamacy.load(...).chat`, by the same names; its handlers for pictures and for
forced tool calls cannot be made, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from llamacy.arguments import short
from llamacy.chat.template import render
from llamacy.compat.llama_cpp.answers import answer, answer_chunks
from llamacy.compat.llama_cpp.callbacks import StoppingCriteria, StoppingCriteriaList
from llamacy.compat.llama_cpp.handlers import (
    LlamaChatCompletionHandler,
    LlamaChatCompletionHandlerNotFoundException,
    add_handler,
    get_chat_completion_handler,
    register_chat_completion_handler,
)
from llamacy.compat.llama_cpp.llama_grammar import ResponseFormat
from llamacy.compat.llama_cpp.pictures import (
    Gemma4ChatHandler,
    Llama3VisionAlpha,
    Llama3VisionAlphaChatHandler,
    Llava15ChatHandler,
    Llava16ChatHandler,
    MiniCPMv26ChatHandler,
    MoondreamChatHandler,
    MTMDChatHandler,
    NanoLlavaChatHandler,
    ObsidianChatHandler,
    Qwen25VLChatHandler,
)
from llamacy.errors import ArgumentError, UnsupportedCallError

if TYPE_CHECKING:
    from llamacy.compat.llama_cpp.llama import Llama
    from llamacy.protocols.openai.chat import CreateChatCompletionResponse

__all__ = [
    "ChatFormatter",
    "ChatFormatterResponse",
    "Gemma4ChatHandler",
    "Jinja2ChatFormatter",
    "Llama3VisionAlpha",
    "Llama3VisionAlphaChatHandler",
    "LlamaChatCompletionHandler",
    "LlamaChatCompletionHandlerNotFoundException",
    "Llava15ChatHandler",
    "Llava16ChatHandler",
    "MTMDChatHandler",
    "MiniCPMv26ChatHandler",
    "MoondreamChatHandler",
    "NanoLlavaChatHandler",
    "ObsidianChatHandler",
    "Qwen25VLChatHandler",
    "chat_formatter_to_chat_completion_handler",
    "get_chat_completion_handler",
    "hf_autotokenizer_to_chat_formatter",
    "hf_tokenizer_config_to_chat_completion_handler",
    "hf_tokenizer_config_to_chat_formatter",
    "register_chat_completion_handler",
    "register_chat_format",
]


@dataclass
class ChatFormatterResponse:
    """A prompt, and the end of its answer.

    Attributes
    ----------
    prompt : str
        The prompt; names of control tokens are those tokens.
    stop : str, list of str, or None
        Strings that end the answer.
    stopping_criteria : callable or None
        Functions that end the answer.
    added_special : bool
        Whether the prompt has its beginning-of-text token already.
    """

    prompt: str
    stop: str | list[str] | None = None
    stopping_criteria: StoppingCriteria | None = None
    added_special: bool = False


class ChatFormatter(Protocol):
    """Makes a prompt from messages."""

    def __call__(
        self, *, messages: list[dict[str, Any]], **kwargs: Any
    ) -> ChatFormatterResponse:
        """Return the prompt."""


class Jinja2ChatFormatter:
    """A chat template, in the language of transformers.

    Parameters
    ----------
    template : str
        The template.
    eos_token, bos_token : str
        Names of the tokens that end and begin a text.
    add_generation_prompt : bool
        Whether to begin the answer.
    stop_token_ids : sequence of int, optional
        Tokens that end the answer.
    """

    def __init__(
        self,
        template: str,
        eos_token: str,
        bos_token: str,
        add_generation_prompt: bool = True,
        stop_token_ids: Sequence[int] | None = None,
    ) -> None:
        self.template = template
        self.eos_token = eos_token
        self.bos_token = bos_token
        self.add_generation_prompt = add_generation_prompt
        self.stop_token_ids = None if stop_token_ids is None else set(stop_token_ids)

    def __call__(
        self, *, messages: list[dict[str, Any]], **kwargs: Any
    ) -> ChatFormatterResponse:
        """Return the prompt, which ends where the template's end token is written.

        Raises
        ------
        ChatTemplateError
            The template is invalid, fails, or rejects the messages.
        """
        values = {
            "messages": messages,
            "eos_token": self.eos_token,
            "bos_token": self.bos_token,
            "add_generation_prompt": self.add_generation_prompt,
            "strftime_now": lambda form: datetime.now().strftime(form),
            **{name: value for name, value in kwargs.items() if value is not None},
        }
        prompt = render(self.template, type(self).__name__, values)
        criteria = None
        if self.stop_token_ids is not None:
            ends = self.stop_token_ids
            criteria = StoppingCriteriaList([lambda ids, _: int(ids[-1]) in ends])
        return ChatFormatterResponse(prompt, [self.eos_token], criteria, True)

    def to_chat_handler(self) -> LlamaChatCompletionHandler:
        """Return a handler that answers the template's prompts."""
        return chat_formatter_to_chat_completion_handler(self)


def chat_formatter_to_chat_completion_handler(
    chat_formatter: ChatFormatter,
) -> LlamaChatCompletionHandler:
    """Return a handler that continues a formatter's prompts.

    Tools reach the formatter, which may write them into the prompt; the answer is text.
    """

    def handle(
        *,
        llama: Llama,
        messages: list[dict[str, Any]],
        stream: bool = False,
        **arguments: Any,
    ) -> CreateChatCompletionResponse | Iterator[CreateChatCompletionResponse]:
        told = {name: arguments.pop(name, None) for name in _TOLD}
        form = arguments.pop("response_format", None)
        if told["tool_choice"] not in (None, "auto", "none"):
            raise UnsupportedCallError(
                "tool_choice: wanted 'auto' or 'none', as the answers of a handler's "
                f"prompts are text, found {short(told['tool_choice'])}"
            )
        if form is not None:
            arguments["grammar"] = ResponseFormat(form)
        made = chat_formatter(messages=messages, **told)
        stop = [*_listed(arguments.pop("stop", None)), *_listed(made.stop)]
        n_top = arguments.pop("top_logprobs", None) or 0
        given = {
            **arguments,
            "logprobs": n_top if arguments.get("logprobs") else None,
            "stop": stop,
            "stopping_criteria": made.stopping_criteria,
        }
        ids = llama.tokenize(made.prompt.encode(), not made.added_special, True)
        if stream:
            return answer_chunks(llama.create_completion(ids, stream=True, **given))
        return answer(llama.create_completion(ids, **given))

    return handle


def hf_tokenizer_config_to_chat_formatter(
    tokenizer_config: Mapping[str, Any], add_generation_prompt: bool = True
) -> Jinja2ChatFormatter:
    """Return the chat template of a tokenizer_config.json.

    Raises
    ------
    ArgumentError
        It has no template, or does not name its tokens.
    """
    texts = []
    for name in ("chat_template", "eos_token", "bos_token"):
        value = tokenizer_config.get(name)
        text = value.get("content") if isinstance(value, Mapping) else value
        if not isinstance(text, str):
            raise ArgumentError(
                f"tokenizer_config[{short(name)}]: wanted a string, "
                f"found {short(value)}"
            )
        texts.append(text)
    template, eos_token, bos_token = texts
    return Jinja2ChatFormatter(template, eos_token, bos_token, add_generation_prompt)


def hf_tokenizer_config_to_chat_completion_handler(
    tokenizer_config: Mapping[str, Any], add_generation_prompt: bool = True
) -> LlamaChatCompletionHandler:
    """Return a handler of the chat template of a tokenizer_config.json."""
    return hf_tokenizer_config_to_chat_formatter(
        tokenizer_config, add_generation_prompt
    ).to_chat_handler()


def hf_autotokenizer_to_chat_formatter(pretrained_model_name_or_path: str) -> NoReturn:
    """Raise UnsupportedCallError: llamacy does not load tokenizers of transformers."""
    raise UnsupportedCallError(
        "hf_autotokenizer_to_chat_formatter: llamacy does not use transformers; "
        "Jinja2ChatFormatter takes a template"
    )


_TOLD = ("functions", "function_call", "tools", "tool_choice")
_Formatter = TypeVar("_Formatter", bound=ChatFormatter)


def register_chat_format(name: str) -> Callable[[_Formatter], _Formatter]:
    """Return a decorator that makes a formatter known as `chat_format` `name`."""

    def decorate(formatter: _Formatter) -> _Formatter:
        add_handler(name, chat_formatter_to_chat_completion_handler(formatter))
        return formatter

    return decorate


def _listed(stop: str | list[str] | None) -> list[str]:
    return [] if stop is None else [stop] if isinstance(stop, str) else stop
