"""Locks that a fork acquires first."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from llamacy.system.forks import Rank, fork_lock, importing
from tests.support.waiting import wait_until


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_no_lock_is_held_in_a_forked_child() -> None:
    outer, inner = fork_lock(Rank.MODEL), fork_lock(Rank.PAGES)
    whole = [0, 0]  # never unequal while nobody holds the locks
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            with outer, inner:
                whole[0] += 1
                time.sleep(0.001)
                whole[1] += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                free = outer.acquire(blocking=False) and inner.acquire(blocking=False)
                os._exit(0 if free and whole[0] == whole[1] else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_the_module_that_another_thread_was_importing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "slowly_imported"
    (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(0.3)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def load() -> None:
        with importing:
            import_module(name)

    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: name in sys.modules)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        load()
        os._exit(0)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    del sys.modules[name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_fork_while_another_thread_makes_locks() -> None:
    kept = [fork_lock(Rank.PAGES) for _ in range(1000)]
    stop = threading.Event()

    def make() -> None:
        while not stop.is_set():
            [fork_lock(Rank.PAGES) for _ in range(50)]

    thread = threading.Thread(target=make)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                fork_lock(Rank.PAGES)  # whose guard the other thread may have held
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert kept


def _others_may_have(lock: threading.RLock) -> bool:
    """Whether another thread gets the lock at once."""

    def take() -> bool:
        if got := lock.acquire(blocking=False):
            lock.release()
        return got

    with ThreadPoolExecutor(1) as other:
        return other.submit(take).result()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_leaves_no_lock_held(request: pytest.FixtureRequest) -> None:
    lock = fork_lock(Rank.PAGES)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGALRM, before))
    for nested in (False, True) * 30:
        with contextlib.suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 2e-4)
            while True:
                with lock:
                    if nested:
                        with lock:
                            pass
        assert _others_may_have(lock)
