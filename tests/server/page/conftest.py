"""The page in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import launched, opened
from tests.support.relay import Relay


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser.

    It is closed before tests in other files: playwright's loop runs in this thread
    meanwhile, so that `asyncio.run` would be refused.
    """
    with launched() as one:
        yield one


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page of a server with the models ``puppet`` and ``demo``."""
    with opened(browser, f"{url}/") as watched:
        yield watched.page


@pytest.fixture
def relay(url: str) -> Iterator[Relay]:
    """A relay in front of that server."""
    one = Relay(url)
    yield one
    one.close()
