"""A loaded model: text or tokens in, text, tokens or logits out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checked_flag
from llamacy.chat.calls import Conversations
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, ClosedError
from llamacy.generation.engine import Engine
from llamacy.generation.prompt_logits import prompt_logits
from llamacy.model.adapters import Adapter, AdapterSet, Lora, low_ranks, read_adapters
from llamacy.sessions.file import Origin
from llamacy.sessions.held import HeldText
from llamacy.sessions.session import Session
from llamacy.system.forks import Rank, fork_lock
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.lazy import LazyTokenizer

if TYPE_CHECKING:
    from llamacy.model.executors import Executor


class Model(Conversations):
    """A language model in memory; made by :func:`llamacy.load`.

    Any number of threads may call it. It gives its memory back when it is closed,
    by :meth:`close`, by leaving its ``with`` block, or by being forgotten.

    Attributes
    ----------
    path : the file or folder it came from.
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
        n_cache_pages: int,
        max_waiting: int | None = None,
        origin: Origin,
        adapters: AdapterSet | None = None,
    ) -> None:
        self.path = path
        self.config = config
        self.n_ctx = n_ctx
        self.executor = executor
        self._metadata = metadata
        self._tokenizer = LazyTokenizer(metadata, path)
        self._origin = origin
        engine = Engine(executor, self._tokenizer, n_ctx, n_cache_pages, max_waiting)
        super().__init__(engine, metadata, path)
        self._adapters: tuple[Adapter, ...] = ()
        self._closing = fork_lock(Rank.MODEL)
        self._is_closed = False
        if adapters is not None and adapters.used:
            self._use_adapters(adapters)

    def __repr__(self) -> str:
        config = self.config
        closed = ", closed" if self._is_closed else ""
        return (
            f"<llamacy.Model {config.name or os.path.basename(self.path)!r}: "
            f"{config.architecture}, n_layer={config.n_layer}, "
            f"n_embd={config.n_embd}, n_vocab={config.n_vocab}, "
            f"n_ctx={self.n_ctx}{closed}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; every later call raises ClosedError.

        So does every text that other threads are generating.
        """
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._engine.worker.close()
        self.executor.close()

    @property
    def engine(self) -> Engine:
        """Makes requests and runs them, for what is built upon the model.

        Raises
        ------
        ClosedError : the model is closed.
        """
        self._check_open()
        return self._engine

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The file's metadata: numbers, texts, and arrays of those."""
        return self._metadata

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """The LoRA adapters in use: paths and scales."""
        return self._adapters

    def set_adapters(self, lora: Lora) -> None:
        """Use these LoRA adapters from now on, and no others.

        The weights stay as they are; what adapters add is computed beside them.
        Sessions stay too, and read their texts again when they go on.

        Parameters
        ----------
        lora : path of an adapter, a GGUF file or a folder as PEFT writes it; or such a
            path and a scale, ``("style.gguf", 0.5)``; or a list of these, whose effects
            add up; None or an empty list is the model without adapters.

        Raises
        ------
        ModelFileError : an adapter cannot be read.
        FormatError : it is not sound, or not one of this model's family and sizes.
        ArgumentError : no path, or no scale.
        BusyError : texts are being generated, or streams are open.
        OutOfMemoryError : no memory for the adapters.

        Examples
        --------
        >>> model.set_adapters(["style.gguf", ("facts.gguf", 0.5)])  # doctest: +SKIP
        """
        self._check_open()
        self._use_adapters(read_adapters(lora, self.config))

    def _use_adapters(self, adapters: AdapterSet) -> None:
        executor = self.executor
        pairs = low_ranks(adapters, executor.shapes)

        def change() -> None:
            executor.set_adapters(pairs)
            self._adapters = adapters.used

        self._engine.worker.switch(adapters.fingerprint(), change)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary, built when first needed.

        Raises
        ------
        FormatError : the file has none that can be used.
        """
        return self._tokenizer.get()

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
        if add_bos is not None:
            checked_flag("add_bos", add_bos)
        checked_flag("parse_special", parse_special)
        return self.tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

    def detokenize(self, ids: Sequence[int]) -> str:
        """Turn token ids into text, leaving control tokens out."""
        self._check_open()
        return self.tokenizer.decode(self._engine.checked_ids("ids", ids))

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
        ids = self._engine.checked_ids("ids", ids)
        if not ids:
            raise ArgumentError("ids: wanted at least one token, found none")
        return prompt_logits(self._engine, ids)

    def session(self) -> Session:
        """Begin a text that grows: see :class:`~llamacy.sessions.session.Session`."""
        self._check_open()
        return Session(self._engine, self._origin)

    def load_session(self, path: str | os.PathLike[str]) -> Session:
        """Bring a session back that :meth:`Session.save` wrote.

        Raises
        ------
        ModelFileError : the file cannot be read.
        FormatError : it is damaged, or is a session of another model, of another
            `kv_type`, or with other adapters.
        ContextLengthError : it has more than `n_ctx` tokens.
        """
        self._check_open()
        held = HeldText.load(path, self._origin, self._engine)
        return Session(self._engine, self._origin, held)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the model is closed")
