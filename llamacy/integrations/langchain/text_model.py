"""A model that continues texts, as LangChain's `BaseLLM`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from llamacy import Completion
from llamacy.integrations.langchain.messages import response_metadata, usage_metadata
from llamacy.integrations.langchain.options import call_options
from llamacy.integrations.loading import LoadedModel


class Llamacy(BaseLLM, LoadedModel):
    """An LLM of LangChain: continues a text, or several texts together.

    For base models, and prompts that you write whole; `ChatLlamacy` answers messages.
    `batch`, `generate` and their asynchronous forms decode their prompts together.
    Streams give tokens to callbacks; so does `invoke` with ``streaming=True``.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    max_tokens, temperature, top_k, top_p, min_p, seed, stop, ... : optional
        Fields of `llamacy.SamplingParams`. Each call may give others, or override them:
        ``llm.invoke(prompt, temperature=0)``, ``llm.bind(logprobs=2)``.
    streaming : bool, default False
        Whether `invoke` gives tokens to callbacks while it generates.

    Examples
    --------
    >>> from llamacy.integrations.langchain import Llamacy
    >>> llm = Llamacy(model="demo", temperature=0)
    >>> llm.invoke("The capital of France is")
    ' Paris'
    >>> llm.batch(["The capital of France is", "The capital of Italy is"])
    [' Paris', ' Rome']
    """

    streaming: bool = False

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        if self.streaming and len(prompts) == 1:
            chunks = self._stream(prompts[0], stop, run_manager, **kwargs)
            whole = next(chunks)
            for chunk in chunks:
                whole += chunk
            return LLMResult(generations=[[whole]])
        options = call_options(self.sampling_options(), stop, kwargs)
        return self._result(self.loaded.generate(prompts, **options))

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        if self.streaming and len(prompts) == 1:
            chunks = self._astream(prompts[0], stop, run_manager, **kwargs)
            whole = await anext(chunks)
            async for chunk in chunks:
                whole += chunk
            return LLMResult(generations=[[whole]])
        options = call_options(self.sampling_options(), stop, kwargs)
        return self._result(await self.loaded.agenerate(prompts, **options))

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        options = call_options(self.sampling_options(), stop, kwargs)
        with self.loaded.stream(prompt, **options) as stream:
            for piece in stream:
                chunk = GenerationChunk(text=piece.text)
                if run_manager is not None:
                    run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk
            yield GenerationChunk(
                text="", generation_info=self._info(stream.completion)
            )

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        options = call_options(self.sampling_options(), stop, kwargs)
        async with self.loaded.astream(prompt, **options) as stream:
            async for piece in stream:
                chunk = GenerationChunk(text=piece.text)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk
            yield GenerationChunk(
                text="", generation_info=self._info(stream.completion)
            )

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without a beginning-of-text token."""
        return self.loaded.tokenize(text, add_bos=False)

    @property
    def _llm_type(self) -> str:
        return "llamacy"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.loaded.path, **self.sampling_options()}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        given = {"model": self.model_name, **kwargs}
        return super()._get_ls_params(stop=stop, **given)

    def _result(self, completions: list[Completion]) -> LLMResult:
        used = [completion.usage for completion in completions]
        return LLMResult(
            generations=[
                [Generation(text=one.text, generation_info=self._info(one))]
                for one in completions
            ],
            llm_output={
                "model_name": self.model_name,
                "token_usage": {
                    "prompt_tokens": sum(one.prompt_tokens for one in used),
                    "completion_tokens": sum(one.completion_tokens for one in used),
                    "total_tokens": sum(one.total_tokens for one in used),
                },
            },
        )

    def _info(self, completion: Completion) -> dict[str, Any]:
        usage = usage_metadata(completion.usage)
        return {
            **response_metadata(completion, self.model_name),
            "usage_metadata": usage,
        }
