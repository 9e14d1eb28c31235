"""The class that llama-cpp-python's scripts are written around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Literal, NoReturn, Self, Unpack, overload

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
    model_path : a GGUF file.
    n_ctx : most tokens of prompt and text together; 0 is what the model was trained
        for.
    n_threads : threads to compute with; None is one for each physical core.
    seed : makes the draws of a run repeat themselves; -1 or 2**32 - 1: never.
    last_n_tokens_size : tokens back that penalties look.
    chat_format : how conversations are written; None is the model's own template.
    type_k, type_v : ggml's number of the KV cache's type: 1 (F16), 0 (F32), 8 (Q8_0).
    lora_path, lora_scale : a LoRA adapter, and how much of it.
    verbose : makes no difference: llamacy logs, and never prints.
    others : taken where they make no difference, or ask for nothing.

    Raises
    ------
    ArgumentError : an argument that would change results is not supported.
    LlamacyError : whatever :func:`llamacy.load` raises.

    Attributes
    ----------
    model_path : the file.
    metadata : its keys and values, as texts; without arrays.
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
        """Turn UTF-8 text into token ids; `special`: read control tokens' names."""
        return self._tokenizer.tokenize(text, add_bos, special)

    def detokenize(
        self,
        tokens: Sequence[int],
        prev_tokens: Sequence[int] | None = None,
        special: bool = False,
    ) -> bytes:
        """Turn token ids into UTF-8 text; `special`: write control tokens out."""
        return self._tokenizer.detokenize(tokens, prev_tokens, special)

    def tokenizer(self) -> LlamaTokenizer:
        """Return the vocabulary as an object of its own."""
        return self._tokenizer

    def token_bos(self) -> int:
        """Return the token that begins a text, -1 if there is none."""
        return self._tokenizer.bos

    def token_eos(self) -> int:
        """Return the token that ends a text, -1 if there is none."""
        return self._tokenizer.eos

    def token_nl(self) -> int:
        """Return the last token of a line."""
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
        prompt : text, in which names of control tokens count as those; or token ids.
        max_tokens : most tokens to generate; None, 0 or less goes on to the end of
            the text or of the context.
        temperature : 0 always takes the likeliest token; less than 0 draws from all
            tokens, as likely as they are.
        stream : return an iterator of chunks instead, which come without the usage
            and never echo the prompt.
        arguments : the others of llama-cpp-python.

        Raises
        ------
        ArgumentError : one of them is not supported, or has a bad value.
        ContextLengthError : the prompt does not fit into the context.
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
            return prompt
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
        messages : dicts with `role` and `content`.
        stream : return an iterator of chunks instead, which come without the usage.
        arguments : the others of llama-cpp-python, with its defaults: `temperature`
            0.2, `max_tokens` None, which goes on to the end of the answer. `tools`
            are JSON schemas; calls of them come as OpenAI's API gives them.

        Raises
        ------
        ArgumentError : one of them is not supported, or has a bad value.
        ChatTemplateError : the model has no template, and no `chat_format` was given.
        ContextLengthError : the conversation does not fit into the context.
        """
        given, tools = chat_arguments(arguments)
        params = self._params(given)
        options: Any = {"chat_format": self.chat_format, "tools": tools}
        head = Head.new("chatcmpl", given.model or self.model_path)
        response = ChatResponse(head, self._tokenizer.text)
        if stream:
            pieces = self._model.stream_chat(messages, params, **options)
            return chat_chunks(response, pieces)
        return response.whole(self._model.chat(messages, params, **options))

    def create_chat_completion_openai_v1(self, *_: object, **__: object) -> NoReturn:
        """Raise UnsupportedCallError: there are no objects of OpenAI's package here."""
        raise UnsupportedCallError(
            "create_chat_completion_openai_v1: llamacy does not use OpenAI's package; "
            "create_chat_completion returns dicts"
        )

    # What llama-cpp-python has besides.

    def set_seed(self, seed: int) -> None:
        """Make the draws that follow repeat those that followed this seed before."""
        seed_or_any = checked_seed(seed)
        self._random = None if seed_or_any is None else Random(seed_or_any)

    def set_cache(self, cache: object) -> None:
        """Do nothing: the beginnings of prompts are always found again."""

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
