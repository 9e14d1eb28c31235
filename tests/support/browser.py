"""Chromium without a window, as playwright drives it, and a page watched by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@contextmanager
def launched() -> Iterator[Any]:
    """Start the browser that is installed; skip the test if there is none."""
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed: looked for {', '.join(NAMES)}")
    as_root = getattr(os, "geteuid", lambda: 1)() == 0
    flags = ["--no-sandbox"] if as_root else []  # which Chromium refuses to root
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what must not happen on it.

    Attributes
    ----------
    page : playwright.sync_api.Page
        The page.
    outside : list of str
        Addresses of other servers that it has asked for.
    errors : list of str
        Uncaught errors, messages of the console, and dialogs of the browser.
    """

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Any, url: str, **options: Any) -> Iterator[Watched]:
    """Open an address in a context of its own; fail if the page misbehaves.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
        The browser.
    url : str
        The address.
    **options : object
        Options of `Browser.new_context`.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())

    def route(asked: Any) -> None:
        if asked.request.url.startswith(url.rstrip("/") + "/"):
            asked.continue_()
        else:
            watched.outside.append(asked.request.url)
            asked.abort()

    def closed(dialog: Any) -> None:
        watched.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.route(lambda address: not address.startswith(("data:", "blob:")), route)
    watched.page.on("dialog", closed)
    watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
    watched.page.on("console", lambda line: watched.errors.append(line.text))
    try:
        watched.page.goto(url)
        yield watched
        assert not watched.outside
        assert not watched.errors
    finally:
        context.close()
