"""Shapes of llama-cpp-python's dicts: `llama_cpp.llama_types`.

Results are OpenAI's, and have llamacy's types. Requests are described here.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from llamacy.protocols.openai.chat import (
    CalledFunction,
    ChatChoice,
    ChatLogprobs,
    ChatMessage,
    ToolCallDict,
)
from llamacy.protocols.openai.chat import (
    CreateChatCompletionResponse as CreateChatCompletionResponse,
)
from llamacy.protocols.openai.common import CompletionUsage as CompletionUsage
from llamacy.protocols.openai.completions import (
    CompletionChoice as CompletionChoice,
)
from llamacy.protocols.openai.completions import (
    CompletionLogprobs as CompletionLogprobs,
)
from llamacy.protocols.openai.completions import (
    CreateCompletionResponse as CreateCompletionResponse,
)

JsonType = None | int | str | bool | list[Any] | dict[str, Any]


class EmbeddingUsage(TypedDict):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class Embedding(TypedDict):
    """One of several vectors; or, of a model without pooling, one for each token."""

    index: int
    object: str
    embedding: list[float] | list[list[float]]


class CreateEmbeddingResponse(TypedDict):
    """Vectors of texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class ChatCompletionTopLogprobToken(TypedDict):
    """A token that might have come."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatCompletionLogprobToken(ChatCompletionTopLogprobToken):
    """A token, with those that might have come instead."""

    top_logprobs: list[ChatCompletionTopLogprobToken]


class ChatCompletionFunction(TypedDict):
    """A function that a model may call; `parameters` is a JSON schema."""

    name: str
    description: NotRequired[str]
    parameters: dict[str, JsonType]


class ChatCompletionTool(TypedDict):
    """A tool that a model may call."""

    type: Literal["function"]
    function: ChatCompletionFunction


class ChatCompletionRequestFunctionCallOption(TypedDict):
    """Names the function that a model has to call."""

    name: str


class ChatCompletionNamedToolChoice(TypedDict):
    """Names the tool that a model has to call."""

    type: Literal["function"]
    function: ChatCompletionRequestFunctionCallOption


class ChatCompletionRequestResponseFormat(TypedDict):
    """The form of an answer."""

    type: Literal["text", "json_object"]
    schema: NotRequired[JsonType]


class ChatCompletionRequestMessageContentPartText(TypedDict):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatCompletionRequestMessageContentPartImageImageUrl(TypedDict):
    """Address of a picture."""

    url: str
    detail: NotRequired[Literal["auto", "low", "high"]]


class ChatCompletionRequestMessageContentPartImage(TypedDict):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: str | ChatCompletionRequestMessageContentPartImageImageUrl


ChatCompletionRequestMessageContentPart = (
    ChatCompletionRequestMessageContentPartText
    | ChatCompletionRequestMessageContentPartImage
)


class ChatCompletionRequestSystemMessage(TypedDict):
    """Instructions."""

    role: Literal["system"]
    content: str | None


class ChatCompletionRequestUserMessage(TypedDict):
    """A question."""

    role: Literal["user"]
    content: str | list[ChatCompletionRequestMessageContentPart] | None


class ChatCompletionRequestAssistantMessage(TypedDict):
    """An earlier answer."""

    role: Literal["assistant"]
    content: NotRequired[str | None]
    tool_calls: NotRequired[list[ToolCallDict]]
    function_call: NotRequired[CalledFunction]


class ChatCompletionRequestToolMessage(TypedDict):
    """The result of a tool call."""

    role: Literal["tool"]
    content: str | None
    tool_call_id: str


class ChatCompletionRequestFunctionMessage(TypedDict):
    """The result of a function call."""

    role: Literal["function"]
    content: str | None
    name: str


ChatCompletionRequestMessage = (
    ChatCompletionRequestSystemMessage
    | ChatCompletionRequestUserMessage
    | ChatCompletionRequestAssistantMessage
    | ChatCompletionRequestToolMessage
    | ChatCompletionRequestFunctionMessage
)

# llama-cpp-python's names of the types above, and of llamacy's
EmbeddingData = Embedding
Completion = CompletionChunk = CreateCompletionResponse
CreateCompletionStreamResponse = CreateCompletionResponse
ChatCompletion = CreateChatCompletionResponse
ChatCompletionChunk = CreateChatCompletionResponse
ChatCompletionStreamResponse = CreateChatCompletionResponse
CreateChatCompletionStreamResponse = CreateChatCompletionResponse
ChatCompletionChoice = ChatCompletionResponseChoice = ChatChoice
ChatCompletionChunkChoice = ChatCompletionStreamResponseChoice = ChatChoice
ChatCompletionMessage = ChatCompletionResponseMessage = ChatMessage
ChatCompletionChunkDelta = ChatCompletionStreamResponseDelta = ChatMessage
ChatCompletionChunkDeltaEmpty = ChatCompletionStreamResponseDeltaEmpty = ChatMessage
ChatCompletionLogprobs = ChatLogprobs
ChatCompletionMessageToolCall = ChatCompletionMessageToolCallChunk = ToolCallDict
ChatCompletionMessageToolCalls = list[ToolCallDict]
ChatCompletionMessageToolCallFunction = CalledFunction
ChatCompletionMessageToolCallChunkFunction = CalledFunction
ChatCompletionFunctionCall = ChatCompletionResponseFunctionCall = CalledFunction
ChatCompletionStreamResponseDeltaFunctionCall = CalledFunction
ChatCompletionRequestAssistantMessageFunctionCall = CalledFunction
ChatCompletionFunctions = ChatCompletionResponseFunction = ChatCompletionFunction
ChatCompletionToolFunction = ChatCompletionFunction
ChatCompletionFunctionParameters = dict[str, JsonType]
ChatCompletionFunctionCallOption = ChatCompletionRequestFunctionCallOption
ChatCompletionNamedToolChoiceFunction = ChatCompletionRequestFunctionCallOption
ChatCompletionRequestFunctionCall = (
    Literal["none", "auto"] | ChatCompletionRequestFunctionCallOption
)
ChatCompletionToolChoiceOption = (
    Literal["none", "auto", "required"] | ChatCompletionNamedToolChoice
)
