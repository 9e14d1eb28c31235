"""A model for LlamaIndex: completes texts, answers messages, calls tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection

from llamacy.integrations.fields import ChatFields
from llamacy.integrations.llama_index.messages import (
    to_completion,
    to_dicts,
    to_response,
)
from llamacy.integrations.loading import LoadedModel
from llamacy.integrations.messages import has_chat_template, takes_tools

_N_OUTPUT = 256  # LlamaIndex's own default, to be kept free for an answer


class Llamacy(FunctionCallingLLM, LoadedModel, ChatFields):
    """An LLM of LlamaIndex.

    `chat` answers messages by the chat template in the model's file; `complete`
    continues a text as it is. LlamaIndex's engines choose by the model's `metadata`.
    With a template that writes tools, agents and structured prediction use tool calls.
    A call cannot be forced: LlamaIndex raises its own error where the model makes none.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    chat_format, overflow, template_arguments, reasoning_effort, merge_system : optional
        As for `llamacy.Model.chat`.
    max_tokens, temperature, top_k, top_p, min_p, seed, stop, ... : optional
        Fields of `llamacy.SamplingParams`. Each call may override all of these.

    Examples
    --------
    >>> from llama_index.core.llms import ChatMessage
    >>> from llamacy.integrations.llama_index import Llamacy
    >>> llm = Llamacy(model="demo", temperature=0)
    >>> llm.complete("The capital of France is").text
    ' Paris'
    >>> llm.chat([ChatMessage("What is 12 + 30?")]).message.content
    '42'
    """

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows the class."""
        return "Llamacy_LLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The model's context, and whether it answers messages and calls tools."""
        model = self.loaded
        answers = has_chat_template(model) or self.chat_format is not None
        return LLMMetadata(
            context_window=model.n_ctx,
            num_output=self.max_tokens or min(_N_OUTPUT, model.n_ctx // 4),
            is_chat_model=answers,
            is_function_calling_model=takes_tools(model, self.chat_format),
            model_name=self.model_name,
        )

    @llm_completion_callback()
    def complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Continue a text."""
        text = self._text(prompt, formatted)
        return to_completion(self.loaded.generate(text, **self._sampling(kwargs)))

    @llm_completion_callback()
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Continue a text without blocking the event loop."""
        text = self._text(prompt, formatted)
        options = self._sampling(kwargs)
        return to_completion(await self.loaded.agenerate(text, **options))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """Continue a text, piece by piece."""
        text = self._text(prompt, formatted)
        stream = self.loaded.stream(text, **self._sampling(kwargs))

        def responses() -> Generator[CompletionResponse, None, None]:
            said = ""
            with stream:
                for piece in stream:
                    said += piece.text
                    yield CompletionResponse(text=said, delta=piece.text)
            yield to_completion(stream.completion, "")

        return responses()

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Continue a text, piece by piece, without blocking the event loop."""
        text = self._text(prompt, formatted)
        stream = self.loaded.astream(text, **self._sampling(kwargs))
        await stream.start()

        async def responses() -> AsyncGenerator[CompletionResponse, None]:
            said = ""
            async with stream:
                async for piece in stream:
                    said += piece.text
                    yield CompletionResponse(text=said, delta=piece.text)
            yield to_completion(stream.completion, "")

        return responses()

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages."""
        options = self._chatting(kwargs)
        return to_response(self.loaded.chat(to_dicts(messages), **options))

    @llm_chat_callback()
    async def achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Answer messages without blocking the event loop."""
        options = self._chatting(kwargs)
        return to_response(await self.loaded.achat(to_dicts(messages), **options))

    @llm_chat_callback()
    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """Answer messages, piece by piece."""
        options = self._chatting(kwargs)
        stream = self.loaded.stream_chat(to_dicts(messages), **options)

        def responses() -> Generator[ChatResponse, None, None]:
            so_far = stream.completion
            with stream:
                for piece in stream:
                    so_far = _extended(so_far, piece)
                    yield to_response(so_far, piece.text)
            yield to_response(stream.completion, "")

        return responses()

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Answer messages, piece by piece, without blocking the event loop."""
        options = self._chatting(kwargs)
        stream = self.loaded.astream_chat(to_dicts(messages), **options)
        await stream.start()

        async def responses() -> AsyncGenerator[ChatResponse, None]:
            so_far = stream.completion
            async with stream:
                async for piece in stream:
                    so_far = _extended(so_far, piece)
                    yield to_response(so_far, piece.text)
            yield to_response(stream.completion, "")

        return responses()

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **_: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of an answer.

        Raises
        ------
        ValueError
            The answer has no tool call, and `error_on_no_tool_call` is true.
        """
        blocks = response.message.blocks
        calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            found = (response.message.content or "")[:80]
            raise ValueError(f"wanted a tool call, found a text: {found!r}")
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "",
                tool_name=call.tool_name,
                tool_kwargs=call.tool_kwargs,
            )
            for call in calls
        ]

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[Any],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of `chat`.

        `tool_required` and a `tool_choice` force a call. Structured prediction gives
        `tool_choice`, so that its calls have valid arguments.
        """
        messages = list(chat_history or ())
        if isinstance(user_msg, str):
            user_msg = ChatMessage(role=MessageRole.USER, content=user_msg)
        if user_msg is not None:
            messages.append(user_msg)
        # longer descriptions than OpenAI's service takes are no trouble here
        schemas = [tool.metadata.to_openai_tool(True) for tool in tools]
        if tool_choice == "none":
            schemas = []
        choice = "required" if tool_required and tool_choice is None else tool_choice
        if schemas and choice not in (None, "auto", "none"):
            kwargs = {"tool_choice": choice, **kwargs}
        return {"messages": messages, "tools": schemas, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[Any],
        allow_parallel_tool_calls: bool = False,
        **_: Any,
    ) -> ChatResponse:
        """Keep the first tool call alone where the caller wants at most one."""
        if not allow_parallel_tool_calls:
            message = response.message
            calls = [one for one in message.blocks if isinstance(one, ToolCallBlock)]
            message.blocks = [one for one in message.blocks if one not in calls[1:]]
        return response

    def _text(self, prompt: str, formatted: bool) -> str:
        return prompt if formatted else self.completion_to_prompt(prompt)

    def _sampling(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**self.sampling_options(), **given}

    def _chatting(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**self.sampling_options(), **self.chat_options(), **given}


def _extended(so_far: Any, piece: Any) -> Any:
    """Return an answer with its next piece, for responses that hold it all."""
    return replace(
        so_far,
        text=so_far.text + piece.text,
        reasoning=so_far.reasoning + piece.reasoning,
        tool_calls=so_far.tool_calls + piece.tool_calls,
    )
