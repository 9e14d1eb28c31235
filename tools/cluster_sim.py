"""A job on many machines, on paper: what stragglers, failures and the driver cost.

    python tools/cluster_sim.py [--workers 1000] [--rate 5] [--rows 2000000] ...

Events are simulated one by one. Rows are handed out by `RowsLeft`, the very code of
`llamacy batch --ray`; times are those of machines that were not at hand: a worker's
speed, its failures, the model's way to it, and the driver, which is one process and
takes results one after another. docs/inside/clusters.md has the figures.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from llamacy.jobs.ordering import N_ROWS
from llamacy.jobs.ray.rows_left import RowsLeft
from llamacy.jobs.rows import Row

N_CALLS = 2  # of a worker at once
_POSITIVE = (
    *("workers", "rate", "rows", "slowness", "bandwidth", "sends"),
    "days_between_failures",
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster and a job. Times are in seconds, sizes in gigabytes."""

    workers: int = 1000
    rate: float = 5.0  # rows per second of a usual worker
    rows: int = 2_000_000
    spread: float = 0.1  # of workers' speeds, as a share
    slow: float = 0.02  # share of workers that are slower
    slowness: float = 4.0  # how much
    days_between_failures: float = 30.0  # of a worker
    start: float = 8.0  # a process, Ray, the model from the page cache
    model: float = 4.0
    bandwidth: float = 5.0  # of the place that all get the model from, a second
    detection: float = 10.0  # of a failure
    row_cost: float = 45e-6  # of the driver: read, note, write
    batch_cost: float = 90e-6  # of the driver: take a batch of results
    look_cost: float = 2.8e-6  # of the driver: look twice at each call under way
    rest: float = 1e-5  # of the driver, for each call under way, before a look
    call_cost: float = 350e-6  # of the driver: send some rows
    sends: float = 200.0  # batches of results a second, of all workers


class Outcome(NamedTuple):
    """The time of a job, and its shares."""

    seconds: float
    efficiency: float
    busy: float
    again: int
    tail: float


@dataclass(eq=False)
class _Worker:
    speed: float
    is_up: bool = False
    life: int = 0  # events of an earlier one do not count
    is_sending: bool = False
    calls: list[list[int]] = field(default_factory=list)
    n_done: list[int] = field(default_factory=list)  # of each call


class Simulation:
    """A job's events, in the order of their times."""

    def __init__(self, cluster: Cluster, seed: int = 0) -> None:
        self._c, self._random = cluster, random.Random(seed)
        self._events: list[tuple[float, int, str, _Worker, int]] = []
        self._order = count()
        self._left = RowsLeft(_windows(cluster.rows))
        self._now = self._driver = self._busy = self._late = 0.0
        self._look = -1.0  # when the driver looks, or has looked, for results
        self._n_done = self._n_computed = 0
        self._workers = [_Worker(self._speed()) for _ in range(cluster.workers)]
        self._interval = max(0.1, cluster.workers / cluster.sends)

    def run(self) -> Outcome:
        """Return what the job took."""
        c = self._c
        for place, worker in enumerate(self._workers):
            fetched = c.model * (place + 1) / c.bandwidth
            self._at(fetched + c.start, "up", worker)
        while self._n_done < c.rows:
            self._now, _, kind, worker, life = heapq.heappop(self._events)
            if life == worker.life:
                getattr(self, f"_{kind}")(worker)
        seconds = max(self._now, self._driver)
        most = sum(worker.speed for worker in self._workers) * seconds
        again = self._n_computed - c.rows
        tail = seconds - self._late
        return Outcome(seconds, c.rows / most, self._busy / seconds, again, tail)

    def _speed(self) -> float:
        speed = self._c.rate * self._random.lognormvariate(0, self._c.spread)
        is_slow = self._random.random() < self._c.slow
        return speed / self._c.slowness if is_slow else speed

    def _at(self, time: float, kind: str, worker: _Worker) -> None:
        event = (time, next(self._order), kind, worker, worker.life)
        heapq.heappush(self._events, event)

    def _drive(self, cost: float) -> None:
        """Have the driver busy, after all that it has to do before."""
        self._driver = max(self._driver, self._now) + cost
        self._busy += cost

    def _up(self, worker: _Worker) -> None:
        worker.is_up = True
        mean = self._c.days_between_failures * 86400
        self._at(self._now + self._random.expovariate(1 / mean), "down", worker)
        self._feed(worker)

    def _down(self, worker: _Worker) -> None:
        worker.life += 1
        worker.is_up = worker.is_sending = False
        self._at(self._now + self._c.detection, "lost", worker)

    def _lost(self, worker: _Worker) -> None:
        for rows in worker.calls:
            self._left.returned(rows, is_lost=True)
        worker.calls, worker.n_done = [], []
        self._at(self._now + self._c.start, "up", worker)
        for other in self._workers:
            self._feed(other)

    def _feed(self, worker: _Worker) -> None:
        while worker.is_up and len(worker.calls) < N_CALLS:
            rows = self._left.chunk(self._c.workers)
            rows = rows or ([] if worker.calls else self._left.late())
            if not rows:
                break
            worker.calls.append([row.index for row in rows])
            worker.n_done.append(0)
            self._drive(self._c.call_cost)
        if worker.calls and not worker.is_sending:
            worker.is_sending = True
            # the driver's answer comes when it has done what is before it
            waits = max(self._driver - self._now, 0.0)
            self._at(self._now + waits + self._interval, "send", worker)

    def _send(self, worker: _Worker) -> None:
        worker.is_sending = False
        n = self._due(worker)
        self._n_computed += n
        if self._now > self._look:  # else that look, which is to come, finds it
            n_calls = N_CALLS * self._c.workers
            self._driver = max(self._now + n_calls * self._c.rest, self._driver)
            self._look = self._driver
            self._drive(n_calls * self._c.look_cost)
        self._drive(self._c.batch_cost + n * self._c.row_cost)
        while n and worker.calls:
            rows, before = worker.calls[0], worker.n_done[0]
            after = min(len(rows), before + n)
            done = [i for i in rows[before:after] if self._left.done(i) is not None]
            self._n_done += len(done)
            n -= after - before
            worker.n_done[0] = after
            if after == len(rows):
                self._left.returned(worker.calls.pop(0))
                worker.n_done.pop(0)
        if self._n_done >= 0.99 * self._c.rows and not self._late:
            self._late = self._now
        self._feed(worker)

    def _due(self, worker: _Worker) -> int:
        """Return the rows that a worker has done in an interval, a part by chance."""
        due = worker.speed * self._interval
        return int(due) + (self._random.random() < due % 1)


def _windows(n: int) -> Iterator[list[Row]]:
    for start in range(0, n, N_ROWS):
        yield [Row(i, b"", 1, 0) for i in range(start, min(n, start + N_ROWS))]


def main(words: list[str] | None = None) -> None:
    """Print what a job takes."""
    parser = argparse.ArgumentParser(description="A job on many machines, on paper.")
    for name, value in vars(Cluster()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    given = vars(parser.parse_args(words)).items()
    for name, value in given:
        if value is not None and (value < 0 or (value == 0 and name in _POSITIVE)):
            parser.error(f"--{name.replace('_', '-')}: out of range: {value}")
    cluster = Cluster(**{name: value for name, value in given if value is not None})
    found = Simulation(cluster).run()
    print(
        f"{found.seconds:,.0f} s, {found.efficiency:.1%} of the workers' speed, driver "
        f"busy {found.busy:.0%}, last hundredth {found.tail:.0f} s, "
        f"{found.again:,} rows answered twice"
    )


if __name__ == "__main__":
    main()
