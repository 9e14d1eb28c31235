"""The models of the plugin, for blocking and asynchronous use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import llm
from pydantic import BeforeValidator, Field

from llamacy.integrations.fields import ChatFields, SamplingFields
from llamacy.integrations.llm.messages import events, finish, to_dicts, to_schemas
from llamacy.integrations.llm.sources import sources
from llamacy.integrations.loading import load_shared
from llamacy.integrations.messages import has_chat_template

if TYPE_CHECKING:
    from llamacy import Model


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Offer each model to `llm`; none is opened yet."""
    for name, source in sources().items():
        register(LlamacyModel(name, source), AsyncLlamacyModel(name, source))


def _parsed(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


class LlamacyOptions(llm.Options, SamplingFields, ChatFields):
    """Options of a prompt, ``-o NAME VALUE``."""

    n_ctx: int | None = Field(
        None, description="Most tokens of prompt and text together"
    )
    n_threads: int | None = Field(None, description="Threads to compute with")
    kv_type: str | None = Field(
        None, description="How keys and values are kept: f16, f32 or q8_0"
    )
    template_arguments: Annotated[dict[str, Any] | None, BeforeValidator(_parsed)] = (
        Field(None, description="Variables of the chat template, as JSON")
    )

    def load_options(self) -> dict[str, Any]:
        """Return the options that are set, for `llamacy.load`."""
        names = ("n_ctx", "n_threads", "kv_type")
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


class _Shared:
    """A model of the plugin, loaded when it is first prompted."""

    can_stream = True
    supports_tools = True
    supports_schema = True
    Options = LlamacyOptions

    def __init__(self, name: str, source: str) -> None:
        self.model_id = f"llamacy/{name}"
        self.source = source
        self._held: Model | None = None

    def __str__(self) -> str:
        return f"Local model: {self.model_id}"

    def load(self, prompt: Any) -> Model:
        """Return the model in memory, with the options of a prompt."""
        self._held = load_shared(self.source, prompt.options.load_options())
        return self._held

    def options(self, prompt: Any) -> dict[str, Any]:
        """Return the options of a prompt, for `llamacy.Model.chat`."""
        options = prompt.options.sampling_options() | prompt.options.chat_options()
        if prompt.tools:
            options["tools"] = to_schemas(prompt.tools)
        if prompt.schema:
            options["json_schema"] = prompt.schema
        return options

    def continues(self, model: Model, prompt: Any) -> bool:
        """Whether to continue the prompt: a base model's, which is a text alone."""
        if has_chat_template(model) or prompt.options.chat_format is not None:
            return False
        return [one.role for one in prompt.messages] == ["user"] and not prompt.tools


class LlamacyModel(_Shared, llm.Model):
    """A model for blocking use: a base model continues, another one answers."""

    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any
    ) -> Iterator[Any]:
        """Generate the response to a prompt, event by event."""
        model, options = self.load(prompt), self.options(prompt)
        dicts = to_dicts(prompt.messages)
        pieces: Any
        if self.continues(model, prompt):
            pieces = model.stream(dicts[0]["content"], **options)
        else:
            pieces = model.stream_chat(dicts, **options)
        with pieces:
            for piece in pieces:
                yield from events(piece)
        finish(response, pieces.completion)


class AsyncLlamacyModel(_Shared, llm.AsyncModel):
    """A model for coroutines; the event loop is never blocked."""

    async def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any
    ) -> AsyncGenerator[Any, None]:
        """Generate the response to a prompt, event by event."""
        model = await asyncio.to_thread(self.load, prompt)
        options, dicts = self.options(prompt), to_dicts(prompt.messages)
        pieces: Any
        if self.continues(model, prompt):
            pieces = model.astream(dicts[0]["content"], **options)
        else:
            pieces = model.astream_chat(dicts, **options)
        async with pieces:
            async for piece in pieces:
                for event in events(piece):
                    yield event
        finish(response, pieces.completion)
