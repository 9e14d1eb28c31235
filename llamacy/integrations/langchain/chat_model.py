"""A model that answers messages, as LangChain's `BaseChatModel`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import get_config_list
from langchain_core.utils.function_calling import convert_to_openai_tool

from llamacy.integrations.fields import ChatFields
from llamacy.integrations.langchain.messages import (
    last_chunk,
    to_chunk,
    to_dicts,
    to_message,
)
from llamacy.integrations.langchain.options import call_options
from llamacy.integrations.langchain.structured import structured
from llamacy.integrations.loading import LoadedModel
from llamacy.integrations.messages import takes_tools


class ChatLlamacy(BaseChatModel, LoadedModel, ChatFields):
    """A chat model of LangChain: answers messages, and may ask for tool calls.

    Messages are written by the chat template in the model's file. Conversations of a
    `batch`, of tasks and of threads are decoded together. Reasoning is in
    ``additional_kwargs["reasoning_content"]`` and in the message's `content_blocks`.

    `bind_tools` offers tools, which the model is free to call unless ``tool_choice``
    says otherwise. `with_structured_output` asks for a tool call in the schema's form,
    and raises an OutputParserException where the model answers with text; its method
    ``"json_schema"`` leaves the model no choice.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    chat_format, overflow, template_arguments, reasoning_effort, merge_system : optional
        As for `llamacy.Model.chat`.
    max_tokens, temperature, top_k, top_p, min_p, seed, stop, ... : optional
        Fields of `llamacy.SamplingParams`. Each call may override all of these, and
        give any other option of `llamacy.Model.chat`: ``chat.bind(logprobs=2)``.
    streaming : bool, default False
        Whether `invoke` gives tokens to callbacks while it generates.

    Examples
    --------
    >>> from llamacy.integrations.langchain import ChatLlamacy
    >>> chat = ChatLlamacy(model="demo", temperature=0)
    >>> answer = chat.invoke("What is 12 + 30?")
    >>> answer.content, answer.response_metadata["finish_reason"]
    ('42', 'stop')
    >>> for chunk in chat.stream("What is the capital of Italy?"):
    ...     print(chunk.content, end="")
    Rome
    """

    streaming: bool = False

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = self._options(stop, kwargs)
        answer = self.loaded.chat(to_dicts(messages), **options)
        message = to_message(answer, self.model_name)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = self._options(stop, kwargs)
        answer = await self.loaded.achat(to_dicts(messages), **options)
        message = to_message(answer, self.model_name)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs)
        n_calls = 0
        with self.loaded.stream_chat(to_dicts(messages), **options) as stream:
            for piece in stream:
                chunk = _generation(to_chunk(piece, n_calls))
                n_calls += len(piece.tool_calls)
                if run_manager is not None:
                    run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk
            yield _generation(last_chunk(stream.completion, self.model_name))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs)
        n_calls = 0
        async with self.loaded.astream_chat(to_dicts(messages), **options) as stream:
            async for piece in stream:
                chunk = _generation(to_chunk(piece, n_calls))
                n_calls += len(piece.tool_calls)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk
            yield _generation(last_chunk(stream.completion, self.model_name))

    def batch(
        self,
        inputs: list[Any],
        config: Any = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answer several conversations, decoded together.

        `max_concurrency` in `config` limits how many are begun at once, by default as
        many as share a forward pass: see `max_active` of `llamacy.load`.
        """
        if not inputs:
            return []
        configs = get_config_list(config, len(inputs))
        if configs[0].get("max_concurrency") is None:
            # LangChain's own default is a few threads for each core.
            for one in configs:
                one["max_concurrency"] = self.loaded.engine.worker.max_active
        return super().batch(
            inputs, configs, return_exceptions=return_exceptions, **kwargs
        )

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Offer tools to the model: functions, LangChain's tools, classes or schemas.

        Parameters
        ----------
        tools : sequence
            Anything that LangChain converts to a tool.
        tool_choice : str, bool or dict, optional
            ``"none"`` hides the tools; ``"any"``, ``"required"`` and True make the
            model call one of them, with valid arguments, and a name that one.
        """
        schemas = [convert_to_openai_tool(tool) for tool in tools]
        if tool_choice == "none":
            schemas, tool_choice = [], None
        chosen = {"tool_choice": tool_choice} if tool_choice else {}
        return self.bind(tools=schemas, **chosen, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "function_calling",
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Ask for an answer in the form of a schema.

        Parameters
        ----------
        schema : dict or type
            A pydantic model, a TypedDict, or a JSON schema.
        include_raw : bool, default False
            Whether to return a dict of `raw`, `parsed` and `parsing_error`.
        method : {"function_calling", "json_schema", "json_mode"}
            ``"function_calling"`` asks for a tool call, which the model may leave out.
            ``"json_schema"`` makes the answer follow the schema, and ``"json_mode"``
            makes it any JSON object, which is parsed as the schema says.

        Raises
        ------
        ArgumentError
            Another method, or an option that llamacy does not know.
        """
        return structured(self, schema, include_raw, method, kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without a beginning-of-text token."""
        return self.loaded.tokenize(text, add_bos=False)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the number of tokens of the prompt that a conversation becomes."""
        schemas = [convert_to_openai_tool(tool) for tool in tools or ()]
        options: Any = {**self.chat_options(), "tools": schemas}
        return len(self.loaded.chat_prompt(to_dicts(messages), **options))

    def _options(self, stop: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
        own = {**self.sampling_options(), **self.chat_options()}
        return call_options(own, stop, given)

    def _resolve_model_profile(self) -> Any:
        return {
            "name": self.model_name,
            "open_weights": True,
            "max_input_tokens": self.loaded.n_ctx,
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": False,
            "tool_calling": takes_tools(self.loaded, self.chat_format),
            "structured_output": True,
            "tool_choice": True,
            "tool_call_streaming": True,
        }

    @property
    def _llm_type(self) -> str:
        return "llamacy-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.loaded.path, **self._options(None, {})}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        given = {"model": self.model_name, **kwargs}
        return super()._get_ls_params(stop=stop, **given) | {"ls_provider": "llamacy"}


def _generation(chunk: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=chunk)
