"""A model's calls that embed texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checked_flag, checks_options
from llamacy.config import ModelConfig
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.jobs import Job
from llamacy.generation.prompts import TEXTS, Prompt, Prompts, given
from llamacy.generation.tally import OnProgress
from llamacy.model.opened import Opened
from llamacy.system.forks import importing

if TYPE_CHECKING:
    from llamacy.generation.embedding.calls import EmbeddingCall
    from llamacy.generation.embedding.forms import VectorPooling
    from llamacy.generation.embedding.vectors import Embeddings

Rows: TypeAlias = "NDArray[np.float32]"
"""An embedding of each token of a text: (n_tokens, n_embd)."""


class EmbedOptions(TypedDict, total=False):
    """Options of `Model.embed` but `pooling`, for type checkers."""

    dimensions: int | None
    normalize: bool | None
    prompt_name: str | None
    prompt: str | None
    truncate: bool
    cancel: CancelToken | None
    progress: OnProgress | None


class TextEmbeddings(Opened):
    """The part of a `Model` that embeds texts."""

    config: ModelConfig

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        text: Prompt,
        *,
        pooling: Literal["none"],
        **options: Unpack[EmbedOptions],
    ) -> Rows: ...

    @overload
    def embed(
        self,
        text: Prompts,
        *,
        pooling: Literal["none"],
        **options: Unpack[EmbedOptions],
    ) -> list[Rows]: ...

    @overload
    def embed(
        self,
        text: Prompt | Prompts,
        *,
        pooling: VectorPooling | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Embeddings: ...

    @checks_options()
    def embed(
        self,
        text: Any,
        *,
        pooling: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate: bool = False,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> Any:
        """Turn a text, or several, into vectors that are near for similar meanings.

        Search by meaning, find duplicates, group texts. Encoders such as MiniLM, BGE or
        E5 are made for it; a model that writes texts has embeddings, too. Give many
        texts in one call: they are packed into passes of about `n_batch` rows, the
        longest first. An iterable is read as its texts are embedded.

        Parameters
        ----------
        text : str, sequence of int, or an iterable of either
            A text, or its token ids as `tokenize` returns them; or several, with a
            vector for each in the same order. Names of control tokens, such as
            ``[SEP]``, are text like any other.
        pooling : {"mean", "cls", "last", "none"}, optional
            How the rows of a text's tokens become its vector: their mean, the first or
            the last one. By default as the file says; if it does not, the mean for an
            encoder, the last one for a model that writes texts. With `"none"` every
            token has a vector.
        dimensions : int, optional
            Keep only the first numbers of each vector. Models that were trained for it
            (Matryoshka) lose little.
        normalize : bool, optional
            Whether to divide vectors by their norms, so that ``a @ b`` is the cosine.
            By default it is done, but not with `"none"`, and not for a model whose
            makers compare vectors that are not normalised by their dot product.
        prompt_name : str, optional
            Name of a prompt of the model's, ``"query"`` for example, to put before each
            text: ``model.config.embedding.prompts`` has them. By default the one that
            the model's makers mean to be used always, if there is one.
        prompt : str, optional
            A text to put before each text; `""` puts nothing there.
        truncate : bool, default False
            Whether a text that is too long is cut, before the token that ends it. By
            default it is an error.
        cancel : CancelToken, optional
            Anything with ``is_set()``: ends the call after the pass at hand.
        progress : callable, optional
            Called in this thread with the share of the texts that is done, up to 1.0.

        Returns
        -------
        Embeddings
            A float32 array, (n_texts, n_dim), or (n_dim,) for one text. It has the
            `token_counts` of the texts, and their `usage`. Without pooling, a list of
            plain arrays, (n_tokens, n_embd), or one array for one text.

        Raises
        ------
        ContextLengthError
            A text has more than `n_ctx` tokens; `index` says which.
        ArgumentError
            A text without tokens, a prompt or dimension that the model does not have, a
            model that ranks texts.
        ModelOutputError
            A text's vector is not finite, because weights are broken.
        CancelledError
            `cancel` was set.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> a, b, c = model.embed(["Once upon a time", "Once upon a hill", "2 + 2 ="])
        >>> bool(a @ b > a @ c)
        True
        >>> model.embed("Once upon a time", dimensions=8).shape
        (8,)
        """
        call = self._embedding(
            text,
            pooling=pooling,
            dimensions=dimensions,
            normalize=normalize,
            prompt_name=prompt_name,
            prompt=prompt,
            truncate=truncate,
            cancel=cancel,
            progress=progress,
        )
        return call.run()

    @overload
    async def aembed(  # type: ignore[overload-overlap]
        self,
        text: Prompt,
        *,
        pooling: Literal["none"],
        **options: Unpack[EmbedOptions],
    ) -> Rows: ...

    @overload
    async def aembed(
        self,
        text: Prompts,
        *,
        pooling: Literal["none"],
        **options: Unpack[EmbedOptions],
    ) -> list[Rows]: ...

    @overload
    async def aembed(
        self,
        text: Prompt | Prompts,
        *,
        pooling: VectorPooling | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Embeddings: ...

    @checks_options()
    async def aembed(
        self,
        text: Any,
        *,
        pooling: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate: bool = False,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> Any:
        """Turn texts into vectors without blocking the event loop.

        Parameters, result and errors are those of `embed`. Texts of several tasks and
        threads share passes. Cancelling the task ends the call after the pass at hand.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> asyncio.run(model.aembed(["Once upon a time", "The end."])).shape[0]
        2
        """
        call = self._embedding(
            text,
            pooling=pooling,
            dimensions=dimensions,
            normalize=normalize,
            prompt_name=prompt_name,
            prompt=prompt,
            truncate=truncate,
            cancel=cancel,
            progress=progress,
        )
        return await call.run_async()

    def _embedding_job(
        self,
        texts: Sequence[str],
        cancel: CancelToken | None,
        options: EmbedOptions,
    ) -> Job[Any]:
        """Return the job that embeds texts beside others."""
        call = self._embedding(
            texts,
            pooling=None,
            dimensions=options.get("dimensions"),
            normalize=options.get("normalize"),
            prompt_name=options.get("prompt_name"),
            prompt=options.get("prompt"),
            truncate=options.get("truncate", False),
            cancel=cancel,
            progress=None,
        )
        return call.job()

    def _embedding(
        self,
        text: object,
        *,
        pooling: str | None,
        dimensions: int | None,
        normalize: bool | None,
        prompt_name: str | None,
        prompt: str | None,
        truncate: bool,
        cancel: CancelToken | None,
        progress: OnProgress | None,
    ) -> EmbeddingCall:
        # imported late: most models only continue texts
        with importing:
            from llamacy.generation.embedding.calls import EmbeddingCall
            from llamacy.generation.embedding.forms import form_of
            from llamacy.generation.embedding.reading import Reader, prompt_of

        engine, config = self.engine, self.config
        form = form_of(config, pooling, dimensions, normalize)
        before, is_asked_for = prompt_of(config.embedding, prompt_name, prompt)
        truncate = checked_flag("truncate", truncate)
        reader = Reader(engine, before, is_asked_for, truncate)
        texts = given(text, TEXTS, lazy=True)
        return EmbeddingCall(engine, texts, reader, form, cancel, progress)
