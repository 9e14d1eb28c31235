"""The class that llama-cpp-python's scripts are written around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Literal, NoReturn, Self, Unpack, overload

from llamacy.chat.messages import checked_messages
from llamacy.compat.llama_cpp.arguments import (
    ANY_SEED,
    Arguments,
    CompletionArguments,
    checked_seed,
)
from llamacy.compat.llama_cpp.chat import (
    ChatArguments,
    chat_arguments,
    known_format,
)
from llamacy.compat.llama_cpp.chunks import chat_chunks, completion_chunks
from llamacy.compat.llama_cpp.construction import check_constructor, kv_type
from llamacy.compat.llama_cpp.evaluation import Evaluation
from llamacy.compat.llama_cpp.vocabulary import LlamaTokenizer, metadata_texts
from llamacy.errors import UnsupportedCallError
from llamacy.model.loading import load
from llamacy.protocols.openai.chat import ChatResponse, CreateChatCompletionResponse
from llamacy.protocols.openai.common import Head
from llamacy.protocols.openai.completions import (
    CompletionResponse,
    CreateCompletionResponse,
)


class Llama(Evaluation):
    """A model, with llama-cpp-python's calls.

    Parameters
    ----------
    model_path : str
        A GGUF file, or another source for `llamacy.load`.
    n_ctx : int
        Most tokens of prompt and text together; 0 is as many as the model was trained
        on.
    n_threads : int or None
        Threads to compute with; None or 0 is one for each physical core.
    seed : int
        Makes the draws of a run repeatable; -1 or 2**32 - 1 makes them differ.
    last_n_tokens_size : int
        Last tokens that penalties consider.
    chat_format : str or None
        How to write conversations; None is the model's own template.
    type_k, type_v : int or None
        ggml's number of the KV cache's type: 1 (F16), 0 (F32) or 8 (Q8_0).
    lora_path : str or None
        A LoRA adapter.
    lora_scale : float
        How strongly it acts.
    verbose : bool
        Makes no difference: llamacy logs, and never prints.
    **others : object
        Accepted if they make no difference, or ask for nothing.

    Raises
    ------
    ArgumentError
        An argument that would change results is not supported.
    LlamacyError
        Any error of `llamacy.load`.

    Attributes
    ----------
    model_path : str
        The file.
    metadata : dict of str to str
        Its keys and values as text, without arrays.
    """

    def __init__(
        self,
        model_path: str,
        *,
        n_ctx: int = 512,
        n_threads: int | None = None,
        seed: int = ANY_SEED,
        last_n_tokens_size: int = 64,
        chat_format: str | None = None,
        type_k: int | None = None,
        type_v: int | None = None,
        lora_path: str | None = None,
        lora_scale: float = 1.0,
        verbose: bool = True,
        **others: Any,
    ) -> None:
        check_constructor(others)
        self.chat_format = known_format(chat_format)
        self.model_path = model_path
        self.verbose = verbose
        self.last_n_tokens_size = last_n_tokens_size
        self.set_seed(seed)
        model = load(
            model_path,
            n_ctx=n_ctx or None,
            n_threads=n_threads or None,
            kv_type=kv_type(type_k, type_v),
            lora=None if lora_path is None else (lora_path, lora_scale),
        )
        super().__init__(model)
        self.metadata = metadata_texts(model.metadata)
        self._tokenizer = LlamaTokenizer(model.tokenizer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # The vocabulary.

    def tokenize(
        self, text: bytes, add_bos: bool = True, special: bool = False
    ) -> list[int]:
        """Turn UTF-8 text into token ids; `special` reads names of control tokens."""
        return self._tokenizer.tokenize(text, add_bos, special)

    def detokenize(
        self,
        tokens: Sequence[int],
        prev_tokens: Sequence[int] | None = None,
        special: bool = False,
    ) -> bytes:
        """Turn token ids into UTF-8 text; `special` writes control tokens out."""
        return self._tokenizer.detokenize(tokens, prev_tokens, special)

    def tokenizer(self) -> LlamaTokenizer:
        """Return the vocabulary."""
        return self._tokenizer

    def token_bos(self) -> int:
        """Return the token that begins a text, -1 if there is none."""
        return self._tokenizer.bos

    def token_eos(self) -> int:
        """Return the token that ends a text, -1 if there is none."""
        return self._tokenizer.eos

    def token_nl(self) -> int:
        """Return the token of a line break."""
        return self._tokenizer.tokenize(b"\n", add_bos=False)[-1]

    # Completions.

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
            An argument is not supported, or has an invalid value.
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
        response = CompletionResponse(head, self._tokenizer.text, text, given.echo)
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

    # Conversations.

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
            An argument is not supported, or has an invalid value.
        ChatTemplateError
            The model has no template, and no `chat_format` was given.
        ContextLengthError
            The conversation does not fit into the context.
        """
        given, tools = chat_arguments(arguments)
        params = self._params(given)
        options: Any = {"chat_format": self.chat_format, "tools": tools}
        head = Head.new("chatcmpl", given.model or self.model_path)
        response = ChatResponse(head, self._tokenizer.text)
        if stream:
            pieces = self._model.stream_chat(messages, params, **options)
            return chat_chunks(response, pieces)
        checked_messages(messages)  # `chat` would take other lists for conversations
        return response.whole(self._model.chat(messages, params, **options))

    def create_chat_completion_openai_v1(self, *_: object, **__: object) -> NoReturn:
        """Raise UnsupportedCallError: there are no objects of OpenAI's package here."""
        raise UnsupportedCallError(
            "create_chat_completion_openai_v1: llamacy does not use OpenAI's package; "
            "create_chat_completion returns dicts"
        )

    # The rest of llama-cpp-python.

    def set_seed(self, seed: int) -> None:
        """Seed the draws that follow, so that the same calls give the same texts."""
        seed_or_any = checked_seed(seed)
        self._random = None if seed_or_any is None else Random(seed_or_any)

    def set_cache(self, cache: object) -> None:
        """Do nothing: the beginnings of prompts are always found."""

    def create_embedding(self, *_: object, **__: object) -> NoReturn:
        """Raise UnsupportedCallError: llamacy makes no embeddings."""
        raise UnsupportedCallError("create_embedding: llamacy makes no embeddings")

    def embed(self, *_: object, **__: object) -> NoReturn:
        """Raise UnsupportedCallError: llamacy makes no embeddings."""
        raise UnsupportedCallError("embed: llamacy makes no embeddings")

    @classmethod
    def from_pretrained(cls, *_: object, **__: object) -> NoReturn:
        """Raise UnsupportedCallError: a name on the hub is a path to llamacy."""
        raise UnsupportedCallError(
            "from_pretrained: give Llama the name on the hub as its model_path: "
            "user/repo:Q4_K_M or user/repo/file.gguf"
        )
