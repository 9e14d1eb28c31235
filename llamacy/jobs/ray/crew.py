"""The workers of a cluster: one on each node, which come and go with the nodes."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import llamacy
from llamacy.errors import FormatError, LlamacyError
from llamacy.generation.cancelling import CancelToken
from llamacy.jobs.packages import ray_package
from llamacy.jobs.ray.clusters import Node, nodes
from llamacy.jobs.ray.rows_left import RowsLeft
from llamacy.jobs.ray.worker import Begun, Found, LoadArguments, Worker
from llamacy.jobs.rows import Row
from llamacy.jobs.tasks import Result, Task

_CALLS: Final = 2  # of a worker at once: one has rows while the other ends
_MOST_SENDS: Final = 200  # a second, of all workers: each costs this process a little
_REST_SECONDS: Final = 1e-5  # for each call, before all that are ready are taken
_WAIT_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 2.0  # between two looks at the nodes
_ALONE_SECONDS: Final = 120.0  # without a node, after which a job ends
_MAX_DEATHS: Final = 5  # of workers of a node, one after another, without a result

_logger = logging.getLogger("llamacy.jobs")


@dataclass(eq=False)
class _Hand:
    """A worker as the crew sees it."""

    node: str
    actor: Any
    calls: dict[Any, list[int]] = field(default_factory=dict)  # to their rows
    is_ready: bool = False


class Crew:
    """Workers on all nodes of the cluster that this process is connected to.

    A context manager, which ends them.

    Parameters
    ----------
    task : Task
        The task.
    arguments : LoadArguments
        Arguments with which each worker loads the model.
    memory : int, default 0
        Bytes that each worker asks Ray for; 0 if they are not known.
    """

    def __init__(self, task: Task, arguments: LoadArguments, memory: int = 0) -> None:
        self._ray = ray_package()
        self._task, self._arguments, self._memory = task, arguments, memory
        self._hands: dict[Any, _Hand] = {}  # by what they are waited for
        self._crew: dict[str, _Hand] = {}  # by their nodes
        self._deaths: dict[str, int] = {}
        self._faults: dict[str, LlamacyError] = {}  # nodes that cannot do it
        self._identity: dict[str, Any] | None = None
        self._looked = -_LOOK_SECONDS
        self._seen = monotonic()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        for hand in list(self._crew.values()):
            self._dismiss(hand)

    def identity(self, cancel: CancelToken | None = None) -> dict[str, Any] | None:
        """Return the identity of the model, once a worker has loaded it.

        Parameters
        ----------
        cancel : CancelToken, optional
            Once it is set, nobody waits for it: None.

        Raises
        ------
        LlamacyError
            No node can load it, or the task is not for it.
        """
        left = RowsLeft([])
        while self._identity is None:
            if cancel is not None and cancel.is_set():
                return None
            for _ in self._step(left):
                pass
        return self._identity

    def answers(
        self,
        task: Task,
        windows: Iterable[Sequence[Row]],
        *,
        cancel: CancelToken | None = None,
    ) -> Generator[tuple[Row, Result], None, None]:
        """Yield the result of each row once, in any order, as `answering.answers` does.

        Rows of workers that are lost go to others. Rows that have lost several workers
        go alone, and in the end have errors. While no other rows are left, workers
        without any do again what others have not ended: the first result counts.

        Parameters
        ----------
        task : Task
            The crew's own.
        windows : iterable of sequences of Row
            Rows, some at a time, which are taken as workers become free.
        cancel : CancelToken, optional
            Once it is set, no more results come.

        Yields
        ------
        tuple of Row and Result
            Each row once.

        Raises
        ------
        LlamacyError
            No worker can answer the rows, or all nodes are lost.
        """
        left = RowsLeft(windows)
        while True:
            self._feed(left)
            for row in left.hopeless():
                error = LlamacyError(
                    "each of several workers was lost that answered it"
                )
                yield row, task.failure(row, error)
            if left.is_empty or (cancel is not None and cancel.is_set()):
                return
            yield from self._step(left)

    def _feed(self, left: RowsLeft) -> None:
        """Give rows to all workers that have room."""
        n_workers = len(self._crew)
        for hand in self._crew.values():
            answer = hand.actor.answer.options(num_returns="streaming")
            while hand.is_ready and len(hand.calls) < _CALLS:
                rows = left.chunk(n_workers) or ([] if hand.calls else left.late())
                if not rows:
                    break
                call = answer.remote(rows, n_workers / _MOST_SENDS)
                hand.calls[call] = [row.index for row in rows]
                self._hands[call] = hand

    def _step(self, left: RowsLeft) -> Iterator[tuple[Row, Result]]:
        """Wait for something to happen, and yield the results that have come."""
        if monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        if not self._hands:
            time.sleep(_WAIT_SECONDS)  # for nodes
            return
        calls = [*self._hands]
        ready, _ = self._ray.wait(calls, num_returns=1, timeout=_WAIT_SECONDS)
        if ready and len(calls) > _CALLS:
            # a look takes a microsecond for each call: among many, it shall find some
            time.sleep(len(calls) * _REST_SECONDS)
            ready, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        for call in ready:
            if (hand := self._hands.get(call)) is None:
                continue  # of a worker that has just been lost
            if call in hand.calls:
                yield from self._results(hand, call, left)
            else:
                self._begun(hand, call)

    def _look(self) -> None:
        """Begin workers on nodes that have none.

        Raises
        ------
        LlamacyError
            No node can do the job, or there has been none for minutes.
        """
        self._looked = monotonic()
        up = nodes()
        for name, node in up.items():
            if name in self._crew or name in self._faults:
                continue
            if node.memory < self._memory:
                self._refuse(name, _too_small(node, self._memory))
            else:
                n_threads = self._arguments.n_threads or node.n_cpus
                self._begin(name, min(node.n_cpus, n_threads))
        if self._crew:
            self._seen = monotonic()
            return
        if self._faults and self._faults.keys() >= up.keys():
            raise next(iter(self._faults.values()))
        if monotonic() - self._seen > _ALONE_SECONDS:
            raise LlamacyError(
                "ray: the cluster has had no node with a CPU for minutes"
            )

    def _begin(self, node: str, n_cpus: int) -> None:
        strategies = self._ray.util.scheduling_strategies
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=n_cpus,
                memory=self._memory or None,
                max_concurrency=_CALLS,
                max_restarts=0,
                scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(
                    node, soft=False
                ),
            )
            .remote(self._task, self._arguments)
        )
        hand = self._crew[node] = _Hand(node, actor)
        self._hands[actor.begin.remote()] = hand

    def _begun(self, hand: _Hand, call: Any) -> None:
        """Note that a worker has loaded the model, or why it cannot."""
        del self._hands[call]
        try:
            found: Begun | LlamacyError = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._lost(hand, error, None)
            return
        if isinstance(found, Begun):
            try:
                self._check(found)
            except LlamacyError as error:
                found = error
        if isinstance(found, LlamacyError):
            self._refuse(hand.node, found)
            self._dismiss(hand)
            self._looked = -_LOOK_SECONDS
        else:
            hand.is_ready = True

    def _refuse(self, node: str, fault: LlamacyError) -> None:
        """Have no workers on a node that cannot do the job."""
        _logger.warning("node %s cannot do the job: %s", node, fault)
        self._faults[node] = fault

    def _check(self, begun: Begun) -> None:
        """Check that a worker answers as the others do.

        Raises
        ------
        LlamacyError
            It does not.
        """
        if begun.version != llamacy.__version__:
            raise LlamacyError(
                f"ray: wanted llamacy {llamacy.__version__} on all nodes, found "
                f"{begun.version}"
            )
        if self._identity is None:
            self._identity = begun.model
        elif begun.model != self._identity:
            wanted = "the model that other nodes have"
            raise FormatError(self._arguments.source, "file", wanted, "another model")

    def _results(
        self, hand: _Hand, call: Any, left: RowsLeft
    ) -> Iterator[tuple[Row, Result]]:
        """Yield the results that a call has sent."""
        try:
            found: Found | LlamacyError = self._ray.get(next(call))
        except StopIteration:
            del self._hands[call]
            left.returned(hand.calls.pop(call))
            return
        except self._ray.exceptions.RayTaskError as error:
            raise LlamacyError(f"ray: a worker has failed: {error}") from error
        except self._ray.exceptions.RayError as error:
            self._lost(hand, error, left)
            return
        if isinstance(found, LlamacyError):
            raise found
        self._deaths.pop(hand.node, None)
        for index, result in found:
            if (row := left.done(index)) is not None:
                yield row, result

    def _lost(self, hand: _Hand, error: Exception, left: RowsLeft | None) -> None:
        """Give the rows of a worker that is lost to others."""
        reason = str(error).partition("\n")[0]
        _logger.warning("the worker of node %s is lost: %s", hand.node, reason)
        n_deaths = self._deaths[hand.node] = self._deaths.get(hand.node, 0) + 1
        if n_deaths >= _MAX_DEATHS:
            self._faults[hand.node] = LlamacyError(f"ray: workers are lost: {reason}")
        if left is not None:
            for indices in hand.calls.values():
                left.returned(indices, is_lost=True)
        self._dismiss(hand)
        self._looked = -_LOOK_SECONDS

    def _dismiss(self, hand: _Hand) -> None:
        for call in [each for each, owner in self._hands.items() if owner is hand]:
            del self._hands[call]
        hand.calls.clear()
        del self._crew[hand.node]
        self._ray.kill(hand.actor)


def _too_small(node: Node, memory: int) -> LlamacyError:
    wanted, found = (f"{n / 2**30:.2g} GiB" for n in (memory, node.memory))
    return LlamacyError(
        f"ray: wanted {wanted} of memory for the model and its rows, found a node with "
        f"{found}: `ray start --memory` says how much it has"
    )
