"""The part of a Llama that answers messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from llamacy.chat.messages import checked_messages
from llamacy.compat.llama_cpp.chat import (
    ChatArguments,
    chat_arguments,
    handler_arguments,
)
from llamacy.compat.llama_cpp.chunks import chat_chunks
from llamacy.compat.llama_cpp.evaluation import Evaluation
from llamacy.compat.llama_cpp.handlers import LlamaChatCompletionHandler, registered
from llamacy.protocols.openai.chat import ChatResponse, CreateChatCompletionResponse
from llamacy.protocols.openai.common import Head

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk


class Conversing(Evaluation):
    """Answers messages; any number of threads may."""

    model_path: str
    chat_format: str | None
    chat_handler: LlamaChatCompletionHandler | None

    @overload
    def create_chat_completion(
        self,
        messages: list[dict[str, Any]],
        *,
        stream: Literal[False] = False,
        **arguments: Unpack[ChatArguments],
    ) -> CreateChatCompletionResponse: ...

    @overload
    def create_chat_completion(
        self,
        messages: list[dict[str, Any]],
        *,
        stream: Literal[True],
        **arguments: Unpack[ChatArguments],
    ) -> Iterator[CreateChatCompletionResponse]: ...

    def create_chat_completion(
        self,
        messages: list[dict[str, Any]],
        *,
        stream: bool = False,
        **arguments: Unpack[ChatArguments],
    ) -> CreateChatCompletionResponse | Iterator[CreateChatCompletionResponse]:
        """Answer the last message of a conversation.

        Parameters
        ----------
        messages : list of dict
            Dicts with `role` and `content`.
        stream : bool
            Return an iterator of chunks, which have no usage.
        **arguments : ChatArguments
            Further arguments of llama-cpp-python, with its defaults: `temperature` 0.2,
            and `max_tokens` None, which continues to the end of the answer. `tools` are
            JSON schemas; tool calls have the shape of OpenAI's API.

        Raises
        ------
        ArgumentError
            An argument has an invalid value.
        UnsupportedCallError
            An argument asks for a feature that llamacy does not have.
        ChatTemplateError
            The model has no template, and no `chat_format` was given.
        ContextLengthError
            The conversation does not fit into the context.
        """
        handler = self.chat_handler or registered(self.chat_format)
        if handler is not None:
            every = handler_arguments(arguments)
            made: CreateChatCompletionResponse | Iterator[CreateChatCompletionResponse]
            made = handler(llama=self, messages=messages, stream=stream, **every)
            return made
        given, how = chat_arguments(arguments)
        params = self._params(given)
        options: Any = {"chat_format": self.chat_format, **how}
        head = Head.new("chatcmpl", given.model or self.model_path)
        response = ChatResponse(head, self._tokenizer.token_bytes)
        if stream:
            pieces = self._model.stream_chat(messages, params, **options)
            return chat_chunks(response, pieces)
        checked_messages(messages)  # `chat` would take other lists for conversations
        return response.whole(self._model.chat(messages, params, **options))

    def create_chat_completion_openai_v1(
        self, *args: Any, **kwargs: Any
    ) -> ChatCompletion | Iterator[ChatCompletionChunk]:
        """Answer like `create_chat_completion`, in objects of the package `openai`.

        Parameters
        ----------
        *args, **kwargs : object
            Arguments of `create_chat_completion`.

        Returns
        -------
        ChatCompletion
            The answer, or with `stream` an iterator of `ChatCompletionChunk`.

        Raises
        ------
        ImportError
            The package `openai` is not installed.
        LlamacyError
            Any error of `create_chat_completion`.
        """
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        if kwargs.get("stream"):
            chunks = self.create_chat_completion(*args, **kwargs)
            return (ChatCompletionChunk.model_validate(chunk) for chunk in chunks)
        answer = self.create_chat_completion(*args, **kwargs)
        return ChatCompletion.model_validate(answer)
