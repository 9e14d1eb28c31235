"""The part of a Llama that continues prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Unpack, overload

from llamacy.compat.llama_cpp.arguments import Arguments, CompletionArguments
from llamacy.compat.llama_cpp.chunks import completion_chunks
from llamacy.compat.llama_cpp.evaluation import Evaluation
from llamacy.protocols.openai.common import Head
from llamacy.protocols.openai.completions import (
    CompletionResponse,
    CreateCompletionResponse,
)


class Completing(Evaluation):
    """Continues prompts; any number of threads may."""

    model_path: str

    @overload
    def create_completion(
        self,
        prompt: str | list[int],
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        *,
        stream: Literal[False] = False,
        **arguments: Unpack[CompletionArguments],
    ) -> CreateCompletionResponse: ...

    @overload
    def create_completion(
        self,
        prompt: str | list[int],
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        *,
        stream: Literal[True],
        **arguments: Unpack[CompletionArguments],
    ) -> Iterator[CreateCompletionResponse]: ...

    def create_completion(
        self,
        prompt: str | list[int],
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        *,
        stream: bool = False,
        **arguments: Unpack[CompletionArguments],
    ) -> CreateCompletionResponse | Iterator[CreateCompletionResponse]:
        """Continue a prompt.

        Parameters
        ----------
        prompt : str or list of int
            Text, in which names of control tokens are those tokens; or token ids.
        suffix : None
            No other value is supported.
        max_tokens : int or None
            Most tokens to generate; None, 0 or less continues to the end of the text or
            of the context.
        temperature : float
            0 always takes the likeliest token; less than 0 draws from the unchanged
            distribution.
        stream : bool
            Return an iterator of chunks, which have no usage and never echo the prompt.
        **arguments : CompletionArguments
            Further arguments of llama-cpp-python.

        Raises
        ------
        ArgumentError
            An argument has an invalid value.
        UnsupportedCallError
            An argument asks for a feature that llamacy does not have.
        ContextLengthError
            The prompt does not fit into the context.
        """
        given = Arguments(
            suffix=suffix, max_tokens=max_tokens, temperature=temperature, **arguments
        )
        ids = self._prompt_ids(prompt)
        params = self._params(given)
        text = prompt if isinstance(prompt, str) else self._tokenizer.decode(ids)
        head = Head.new("cmpl", given.model or self.model_path)
        response = CompletionResponse(
            head, self._tokenizer.token_bytes, text, given.echo
        )
        if stream:
            return completion_chunks(response, self._model.stream(ids, params))
        shown = ids[1:] if ids[:1] == [self.token_bos()] else ids
        return response.whole(self._model.generate(ids, params), shown)

    __call__ = create_completion

    def _prompt_ids(self, prompt: str | list[int]) -> list[int]:
        if not isinstance(prompt, str):
            return self._model.engine.prompt_ids(prompt)
        ids = self._tokenizer.encode(prompt) or [self.token_bos()]
        if ids[:2] == [self.token_bos()] * 2:
            return ids[1:]
        return ids
