"""The life of a model: open until it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from llamacy.errors import ClosedError
from llamacy.generation.engine import Engine
from llamacy.system.forks import Rank, fork_lock

if TYPE_CHECKING:
    from llamacy.model.executors import LoadedExecutor


class Opened:
    """The base of all parts of a `Model`: its engine, until `close`.

    Parameters
    ----------
    engine : Engine
        Makes requests and runs them.
    executor : LoadedExecutor
        Runs the engine's forward passes.

    Attributes
    ----------
    executor : LoadedExecutor
        Runs the forward passes.
    """

    def __init__(self, engine: Engine, executor: LoadedExecutor) -> None:
        self.executor = executor
        self._engine = engine
        self._closing = fork_lock(Rank.MODEL)
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def engine(self) -> Engine:
        """The engine that runs the model's requests.

        Build on it what `Model` does not have: a server that submits requests of its
        own, a measurement that looks at every logit (`llamacy.perplexity` is one).

        Raises
        ------
        ClosedError
            The model is closed.
        """
        self._check_open()
        return self._engine

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def close(self) -> None:
        """Free the model's memory; every later call raises ClosedError.

        Texts that other threads are generating end with ClosedError, too. A model in a
        ``with`` block is closed at its end, and one that nothing refers to any more is
        freed by the garbage collector; call `close` to decide when. Closing twice does
        no harm.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.close()
        >>> model.generate("Once upon a time")
        Traceback (most recent call last):
        llamacy.errors.ClosedError: the model is closed
        """
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._engine.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the model is closed")
