"""A loaded model: text or tokens in, text, tokens or logits out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llamacy.arguments import checked_integer, checks_options
from llamacy.chat.formats import TemplateSource
from llamacy.config import ModelConfig
from llamacy.errors import NotPicklableError
from llamacy.generation.drafting.draft_model import DraftModel
from llamacy.generation.drafting.mtp_head import MtpHead
from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.engine import Engine
from llamacy.model.adapters import Adapter, AdapterSet, Lora, read_adapters
from llamacy.model.conversations import Conversations
from llamacy.model.embeddings import TextEmbeddings
from llamacy.model.likelihoods import Likelihoods
from llamacy.model.pickling import Recipe, load_again, unpickle
from llamacy.model.reranking import Reranking
from llamacy.model.texts import Texts
from llamacy.model.tokens import Tokens
from llamacy.sampling import SamplingParams
from llamacy.sampling.file_defaults import file_defaults
from llamacy.sessions.origin import Origin
from llamacy.system.forks import importing
from llamacy.tokenizers.lazy import LazyTokenizer

if TYPE_CHECKING:
    from llamacy.model.draft_models import LoadedDraft
    from llamacy.model.executors import LoadedExecutor
    from llamacy.roofline.explain import Explanation
    from llamacy.sessions.session import Session


class Model(Texts, Conversations, Likelihoods, TextEmbeddings, Reranking, Tokens):
    """A language model in memory; made by `llamacy.load`.

    Any number of threads and tasks may call it: their texts share each forward pass.
    Its memory is freed by `close`, at the end of a ``with`` block, or when it is
    garbage-collected.

    Attributes
    ----------
    path : str
        The file or folder it came from.
    config : ModelConfig
        Its hyperparameters.
    n_ctx : int
        Most tokens of prompt and text together.
    executor : LoadedExecutor
        Runs its forward passes.

    Examples
    --------
    >>> with llamacy.load("demo") as model:
    ...     print(model.generate("The capital of France is", temperature=0))
    ...     print(model.chat("What is 12 + 30?", temperature=0))
     Paris
    42
    """

    def __init__(
        self,
        path: str,
        config: ModelConfig,
        executor: LoadedExecutor,
        metadata: Mapping[str, Any],
        *,
        n_ctx: int,
        cache_bytes: int,
        max_active: int,
        max_waiting: int | None = None,
        drafting: bool = True,
        draft: LoadedDraft | None = None,
        origin: Origin,
        adapters: AdapterSet | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self.path = path
        self.config = config
        self.n_ctx = n_ctx
        self._metadata = metadata
        self._tokenizer = LazyTokenizer(metadata, path)
        self._template_source = TemplateSource(metadata, path)
        self._origin = origin
        self._recipe = recipe
        engine = Engine(
            executor,
            self._tokenizer,
            n_ctx,
            cache_bytes,
            max_waiting,
            file_defaults(metadata, path),
            writes=config.is_causal,
            drafting=drafting,
            proposer=_proposer(executor, config, draft, n_ctx, cache_bytes),
            max_active=max_active,
        )
        super().__init__(engine, executor)
        self._adapters: tuple[Adapter, ...] = ()
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

    def __reduce__(self) -> tuple[Callable[[Recipe], Model], tuple[Recipe]]:
        """Return what pickle needs: the source and the options, not the weights.

        Another process that unpickles it loads the model again, once: equal pickles
        give the same model, until another comes.
        """
        return unpickle, (self._known_recipe(),)

    def __copy__(self) -> Model:
        return load_again(self._known_recipe())

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        """Load the model again: a second one, with adapters and memory of its own."""
        return load_again(self._known_recipe())

    def _known_recipe(self) -> Recipe:
        self._check_open()
        recipe = self.recipe
        if recipe is None:
            raise NotPicklableError(
                "a model that llamacy.load did not make cannot be pickled or copied: "
                "load it in each process"
            )
        return recipe

    @property
    def recipe(self) -> Recipe | None:
        """Its source and options; None if `llamacy.load` did not make it."""
        if self._recipe is None:
            return None
        return self._recipe._replace(adapters=self._adapters)

    def _repr_html_(self) -> str:
        from llamacy.model.describing import facts  # only in a notebook
        from llamacy.notebook.cards import facts_html

        return facts_html(self.config.name or os.path.basename(self.path), facts(self))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The file's metadata: numbers, strings, and arrays of them, under GGUF's keys.

        Examples
        --------
        >>> llamacy.load("demo").metadata["general.architecture"]
        'llama'
        """
        return self._metadata

    @property
    def default_params(self) -> SamplingParams:
        """The sampling options of a call without `params`, where it gives none itself.

        A file may have some of its authors': a GGUF file under the keys
        `general.sampling.*`, a folder in generation_config.json. All others are those
        of `SamplingParams`.

        Examples
        --------
        >>> llamacy.load("demo").default_params.temperature
        0.8
        """
        return self._engine.defaults

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """The LoRA adapters in use: paths and scales."""
        return self._adapters

    @checks_options()
    def set_adapters(self, lora: Lora) -> None:
        """Use these LoRA adapters from now on, and no others.

        Switch between fine-tunings without loading the model again: the weights stay as
        they are, and the adapters' products are computed beside them. Sessions stay,
        too, and read their texts again when they go on, because keys and values depend
        on the adapters: all of their texts, or with an activated adapter (aLoRA) the
        part from its invocation on.

        Parameters
        ----------
        lora : path, (path, float), sequence of either, or None
            An adapter, a GGUF file or a folder as PEFT writes it; or an adapter with a
            scale, 1.0 unless given; or several, whose effects add up. None or an empty
            list is the model without adapters.

        Raises
        ------
        ModelFileError
            An adapter cannot be read.
        FormatError
            It is broken, or is for a model of another family or size.
        ArgumentError
            An invalid path or scale.
        BusyError
            Texts are being generated, or streams are open.
        OutOfMemoryError
            No memory for the adapters.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.set_adapters("pirate.gguf")
        >>> model.set_adapters([("pirate.gguf", 0.5), ("rhymes.gguf", 1.5)])
        >>> model.adapters[1]
        Adapter(path='rhymes.gguf', scale=1.5)
        >>> model.set_adapters(None)
        """
        self._check_open()
        self._use_adapters(read_adapters(lora, self.config))

    def _use_adapters(self, adapters: AdapterSet) -> None:
        with importing:  # only for adapters
            from llamacy.model.joining import low_ranks, saved_tensors

        executor = self.executor
        pairs = low_ranks(adapters, executor.shapes, executor.weight_rows)
        saved = saved_tensors(adapters, executor.shapes)

        def change() -> None:
            executor.set_adapters(pairs, saved, is_activated=bool(adapters.invocation))
            self._adapters = adapters.used

        self._engine.worker.switch(adapters.reading(), change)

    @checks_options()
    def explain(self, n_rows: int = 1, *, n_past: int = 0) -> Explanation:
        """Tell where the time of a forward pass goes, step by step.

        Use it to see whether memory or arithmetic limits a model here, and which steps
        stay below this machine's limits, which are measured along the way: it takes
        some seconds, in which nothing else should run. `llamacy bench --explain` prints
        the same as a table.

        Parameters
        ----------
        n_rows : int, default 1
            Rows of the pass: 1 for decoding one text, more for prefill; at most
            `n_batch` of `llamacy.load`.
        n_past : int, default 0
            Tokens of context before them; an encoder can have none.

        Returns
        -------
        Explanation
            The steps by kind, with bytes read, operations and seconds.

        Raises
        ------
        ArgumentError
            `n_past + n_rows` tokens exceed the context, or `n_rows` a pass.

        Examples
        --------
        >>> pass_ = llamacy.load("demo").explain(16)
        >>> sum(kind.n_steps for kind in pass_.kinds) == len(pass_.report.steps)
        True
        """
        from llamacy.roofline.explain import explain  # measures: only where asked for

        self._check_open()
        most_rows = min(self.executor.n_batch, self.n_ctx)
        n_rows = checked_integer("n_rows", n_rows, 1, most_rows)
        n_past = checked_integer("n_past", n_past, 0, self.n_ctx - n_rows)
        return explain(self.executor, n_rows, n_past=n_past)

    @checks_options()
    def session(self) -> Session:
        """Begin a text that grows turn by turn, with a place of its own in memory.

        `generate` finds the beginning of a prompt in a cache that all texts share, and
        which may have dropped it; a session keeps what it has read until it is closed,
        can be forked, rewound and saved to a file.

        Returns
        -------
        Session
            An empty one.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> with model.session() as session:
        ...     session.feed("The capital of France is")
        ...     session.generate(temperature=0).text
        ' Paris'
        """
        with importing:  # late, with zipfile for saving
            from llamacy.sessions.session import Session

        return Session(self.engine, self._origin)

    @checks_options()
    def load_session(self, path: str | os.PathLike[str]) -> Session:
        """Load a session that `Session.save` wrote, and go on without reading it again.

        Parameters
        ----------
        path : str or os.PathLike
            The session's file.

        Returns
        -------
        Session
            The text as it was saved.

        Raises
        ------
        ModelFileError
            The file cannot be read.
        FormatError
            It is damaged, or was saved by another model, with another `kv_type`, or
            with other adapters.
        ContextLengthError
            It has more than `n_ctx` tokens.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> with model.session() as session:
        ...     session.feed("The capital of France is")
        ...     session.save("france.session")
        >>> with model.load_session("france.session") as session:
        ...     session.generate(temperature=0).text
        ' Paris'
        """
        with importing:
            from llamacy.sessions.held import HeldText
            from llamacy.sessions.session import Session

        held = HeldText.load(path, self._origin, self.engine)
        return Session(self.engine, self._origin, held)


def _proposer(
    executor: LoadedExecutor,
    config: ModelConfig,
    draft: LoadedDraft | None,
    n_ctx: int,
    cache_bytes: int,
) -> Proposer[Any] | None:
    """Return what drafts beside the texts: a draft model, or the model's own head."""
    if draft is None:
        return MtpHead(executor) if config.has_mtp else None
    n_ctx = n_ctx if draft.n_ctx is None else min(n_ctx, draft.n_ctx)
    return DraftModel(draft.executor, config.n_vocab, n_ctx, cache_bytes)
