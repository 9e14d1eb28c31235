"""Threads beside those that compute the model: for masks, and for compiling."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")

_N_THREADS = 2
_NAME = "llamacy-mask"

_pool: ThreadPoolExecutor | None = None


def begin(compute: Callable[[], ResultT]) -> Future[ResultT]:
    """Compute on a spare thread; on this one where the process is ending."""
    global _pool
    try:
        if _pool is None:
            _pool = ThreadPoolExecutor(_N_THREADS, thread_name_prefix=_NAME)
        return _pool.submit(compute)
    except RuntimeError:  # the interpreter starts no more threads
        future: Future[ResultT] = Future()
        _run(compute, future)
        return future


def within(seconds: float, compute: Callable[[], ResultT]) -> ResultT:
    """Compute on a thread of its own, and wait for it only so long.

    The process ends after the thread: it is no daemon, for native code that comes back
    to an interpreter that is gone crashes.

    Raises
    ------
    TimeoutError
        It takes longer; the thread ends when it is done.
    """
    future: Future[ResultT] = Future()
    threading.Thread(target=_run, args=(compute, future), name=_NAME).start()
    return future.result(seconds)


def _run(compute: Callable[[], ResultT], future: Future[ResultT]) -> None:
    try:
        result = compute()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _forget() -> None:
    """Begin anew in a forked child, which has no such threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
