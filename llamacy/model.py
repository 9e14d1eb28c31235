"""A loaded model: text or tokens in, text, tokens or logits out."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from types import TracebackType
from typing import Any, Self, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures import find_architecture
from llamacy.config import ModelConfig
from llamacy.cpu_count import default_threads
from llamacy.errors import (
    ArgumentError,
    ClosedError,
    ContextLengthError,
    FormatError,
)
from llamacy.formats.gguf import open_gguf
from llamacy.formats.gguf_config import read_architecture, read_config
from llamacy.generation import Request, Stream, decode
from llamacy.loading import Executor, load_executor
from llamacy.ops.batch import Batch
from llamacy.ops.runtime import KV_TYPES
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions, SamplingParams, checked_integer
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer

_MAX_THREADS = 1024  # more is a slip of the hand, and may exhaust the machine
_MAX_CTX = 2**31 - 1  # positions are int32

_logger = logging.getLogger("llamacy")


def load(
    source: str | os.PathLike[str],
    *,
    n_ctx: int | None = None,
    n_threads: int | None = None,
    kv_type: str = "f16",
    progress: Callable[[float], None] | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    source : path of a GGUF file; of a split model, the path of its first file.
    n_ctx : most tokens of prompt and text together; None is what the model was
        trained for. Memory for them is taken as they come.
    n_threads : threads to compute with; None is one for each physical core this
        process may use.
    kv_type : how keys and values are kept: ``"f16"``, ``"f32"``, or ``"q8_0"``,
        which takes half the memory of f16.
    progress : called with the share loaded, 0.0 to 1.0.

    Raises
    ------
    ModelFileError : the file cannot be read.
    FormatError : it is not a sound GGUF file, or (UnsupportedError) needs
        something llamacy does not have.
    ArgumentError : an option has a value that cannot be used.

    Examples
    --------
    >>> model = load("llama-2-7b.Q4_K_M.gguf", n_ctx=2048)  # doctest: +SKIP
    """
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"source: wanted a path, found {source!r}")
    if n_ctx is not None:
        n_ctx = checked_integer("n_ctx", n_ctx, 1, _MAX_CTX)
    if n_threads is None:
        n_threads = default_threads()
    n_threads = checked_integer("n_threads", n_threads, 1, _MAX_THREADS)
    if kv_type not in tuple(KV_TYPES):
        raise ArgumentError(
            f"kv_type: wanted one of {', '.join(KV_TYPES)}, found {kv_type!r}"
        )
    with open_gguf(source) as file:
        # An unknown family is refused as such, whatever keys it has of its own.
        find_architecture(read_architecture(file), str(file.path))
        config = read_config(file)
        executor = load_executor(
            file, config, n_threads=n_threads, kv_type=kv_type, progress=progress
        )
        metadata = file.metadata
    if n_ctx is None:
        n_ctx = config.n_ctx_train
    elif n_ctx > config.n_ctx_train:
        _logger.warning(
            "%s: a context of %d tokens is more than the %d the model was trained on",
            os.fspath(source), n_ctx, config.n_ctx_train,
        )  # fmt: skip
    return Model(os.fspath(source), config, executor, metadata, n_ctx=n_ctx)


class Model:
    """A language model in memory; made by :func:`load`.

    Any number of threads may call it. It gives its memory back when it is closed,
    by :meth:`close`, by leaving its ``with`` block, or by being forgotten.

    Attributes
    ----------
    path : the file it came from.
    config : its hyperparameters.
    n_ctx : most tokens of prompt and text together.
    executor : runs its forward passes.
    """

    def __init__(
        self,
        path: str,
        config: ModelConfig,
        executor: Executor,
        metadata: Mapping[str, Any],
        *,
        n_ctx: int,
    ) -> None:
        self.path = path
        self.config = config
        self.n_ctx = n_ctx
        self.executor = executor
        self._metadata = metadata
        self._lock = threading.Lock()  # of the two below
        self._tokenizer: Tokenizer | FormatError | None = None
        self._closed = False

    def __repr__(self) -> str:
        config = self.config
        closed = ", closed" if self._closed else ""
        return (
            f"<llamacy.Model {config.name or os.path.basename(self.path)!r}: "
            f"{config.architecture}, n_layer={config.n_layer}, "
            f"n_embd={config.n_embd}, n_vocab={config.n_vocab}, "
            f"n_ctx={self.n_ctx}{closed}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; every later call raises ClosedError."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.executor.close()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The file's metadata: numbers, texts, and arrays of those."""
        return self._metadata

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary, built when first needed.

        Raises
        ------
        FormatError : the file has none that can be used.
        """
        tokenizer = self._find_tokenizer()
        if isinstance(tokenizer, FormatError):
            raise tokenizer.with_traceback(None)
        return tokenizer

    def tokenize(
        self, text: str, *, add_bos: bool | None = None, parse_special: bool = False
    ) -> list[int]:
        """Turn text into token ids.

        Parameters
        ----------
        text : any text.
        add_bos : begin with the beginning-of-text token; None is the model's rule.
        parse_special : read the names of control tokens in `text` as those tokens.
        """
        self._check_open()
        if not isinstance(text, str):
            raise ArgumentError(f"text: wanted a str, found {text!r}")
        return self.tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

    def detokenize(self, ids: Sequence[int]) -> str:
        """Turn token ids into text, leaving control tokens out."""
        self._check_open()
        return self.tokenizer.decode(self._checked_ids("ids", ids))

    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion: ...

    @overload
    def generate(
        self,
        prompt: list[str] | list[list[int]] | tuple[str, ...],
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> list[Completion]: ...

    def generate(
        self,
        prompt: Any,
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion | list[Completion]:
        """Continue a prompt, or several together.

        Parameters
        ----------
        prompt : a text or its token ids; or a list of those, which are decoded
            together, with a result for each in the same order.
        params : how to choose tokens and when to end.
        options : the fields of SamplingParams one by one; they go before `params`.

        Raises
        ------
        ContextLengthError : a prompt has more than `n_ctx` tokens.
        ArgumentError : an empty prompt, an id outside the vocabulary, a bad option.

        Examples
        --------
        >>> model.generate("Once upon a time", max_tokens=8).text  # doctest: +SKIP
        ', there was a little girl'
        """
        several = isinstance(prompt, list | tuple) and any(
            not isinstance(item, Integral) for item in prompt
        )
        made = self._params(params, options)
        requests = [
            self._request(one, made) for one in (prompt if several else [prompt])
        ]
        for _ in decode(self.executor, requests):
            pass
        completions = [request.completion() for request in requests]
        return completions if several else completions[0]

    def stream(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Continue a prompt, piece by piece as it is generated.

        Takes what :meth:`generate` takes, and checks it at once. After the last
        piece the stream's `completion` holds the whole result.

        Examples
        --------
        >>> for piece in model.stream("Once upon a time"):  # doctest: +SKIP
        ...     print(piece.text, end="", flush=True)
        """
        request = self._request(prompt, self._params(params, options))
        return Stream(self.executor, request)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Logits of the token after each of `ids`.

        Returns
        -------
        float32, (n_tokens, n_vocab).

        Raises
        ------
        ContextLengthError : more than `n_ctx` tokens.
        ArgumentError : no ids, or one outside the vocabulary.
        """
        self._check_open()
        ids = self._checked_ids("ids", ids)
        if not ids:
            raise ArgumentError("ids: wanted at least one token, found none")
        if len(ids) > self.n_ctx:
            raise ContextLengthError(len(ids), self.n_ctx)
        result = np.empty((len(ids), self.config.n_vocab), np.float32)
        sequence = self.executor.new_sequence()
        try:
            for start in range(0, len(ids), self.executor.n_batch):
                part = ids[start : start + self.executor.n_batch]
                batch = Batch.of(part, sequence, "all")
                result[start : start + len(part)] = self.executor.forward(batch)
        finally:
            sequence.close()
        return result

    def _params(
        self, params: SamplingParams | None, options: SamplingOptions
    ) -> SamplingParams:
        if params is None:
            return SamplingParams(**options)
        if not isinstance(params, SamplingParams):
            raise ArgumentError(f"params: wanted SamplingParams, found {params!r}")
        return replace(params, **options)

    def _request(self, prompt: str | Sequence[int], params: SamplingParams) -> Request:
        self._check_open()
        if isinstance(prompt, str):
            ids = self.tokenize(prompt)
            # A text that is to go on must not be marked as ended.
            if self.tokenizer.add_eos and ids[-1:] == [self.tokenizer.eos_id]:
                ids.pop()
            ids = self._checked_ids("prompt", ids)
        else:
            ids = self._checked_ids("prompt", prompt)
        if not ids:
            raise ArgumentError("prompt: wanted at least one token, found none")
        tokenizer = self._find_tokenizer()
        if isinstance(tokenizer, FormatError):
            return Request(ids, params, self.n_ctx, None)
        return Request(ids, params, self.n_ctx, tokenizer)

    def _checked_ids(self, name: str, ids: object) -> list[int]:
        """`ids` as a list of ints, each in the vocabulary."""
        if isinstance(ids, np.ndarray) and ids.ndim == 1:
            ids = ids.tolist()
        if not isinstance(ids, Sequence) or isinstance(ids, str | bytes):
            raise ArgumentError(f"{name}: wanted token ids, found {ids!r}")
        n_vocab = self.config.n_vocab
        for token in ids:
            fits = isinstance(token, Integral) and not isinstance(token, bool)
            if not fits or not 0 <= token < n_vocab:
                raise ArgumentError(
                    f"{name}: wanted token ids from 0 to {n_vocab - 1}, found {token!r}"
                )
        return [int(token) for token in ids]

    def _find_tokenizer(self) -> Tokenizer | FormatError:
        """Return the tokenizer, or why there is none."""
        with self._lock:
            if self._tokenizer is None:
                try:
                    self._tokenizer = tokenizer_from_metadata(self._metadata, self.path)
                except FormatError as error:
                    _logger.warning("only token ids can be used: %s", error)
                    self._tokenizer = error
            return self._tokenizer

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the model is closed")
