"""What a model's calls about conversations do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, cast

from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import ChatPrompt, PromptOptions, make_prompt
from llamacy.chat.stream import ChatStream, chat_completion
from llamacy.generation.engine import Engine
from llamacy.generation.gather import OnProgress, gather
from llamacy.generation.request import CancelToken
from llamacy.results import ChatCompletion
from llamacy.sampling import SamplingOptions, SamplingParams

_PROMPT_OPTIONS = PromptOptions.__annotations__.keys()


class Chats:
    """Conversations with one model.

    Parameters
    ----------
    engine : generates.
    metadata, path : of the model's file.
    """

    def __init__(self, engine: Engine, metadata: Mapping[str, Any], path: str) -> None:
        self._engine = engine
        self._source = TemplateSource(metadata, path)

    def answer(
        self,
        messages: Messages,
        params: SamplingParams | None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Any,
    ) -> ChatCompletion:
        """Generate the answer to a conversation."""
        made = self._made(messages, params, options)
        request = self._engine.request(made.ids, made.params, cancel)
        gather(self._engine.worker, [request], progress)
        return chat_completion(request.completion(), made.n_dropped)

    def stream(
        self,
        messages: Messages,
        params: SamplingParams | None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Any,
    ) -> ChatStream:
        """Begin to generate the answer to a conversation."""
        made = self._made(messages, params, options)
        request = self._engine.request(made.ids, made.params, cancel)
        return ChatStream(self._engine.worker, request, progress, made.n_dropped)

    def prompt(self, messages: Messages, **options: Unpack[PromptOptions]) -> list[int]:
        """Token ids of the prompt of a conversation."""
        return self._made(messages, None, dict(options)).ids

    def _made(
        self,
        messages: Messages,
        params: SamplingParams | None,
        options: dict[str, Any],
    ) -> ChatPrompt:
        engine = self._engine
        how: Any = {name: options.pop(name) for name in _PROMPT_OPTIONS & options}
        checked = engine.params(params, cast(SamplingOptions, options))
        tokenizer = engine.tokenizer.get()
        return make_prompt(
            messages, checked, tokenizer, self._source, engine.n_ctx, how
        )
