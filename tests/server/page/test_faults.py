"""The page without a connection, a key, a chat template, a loaded model, or room."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import llamacy

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy import server
from tests.support.browser import opened
from tests.support.chatting import begun, ended, said, say
from tests.support.relay import Relay
from tests.support.served import running

pytestmark = pytest.mark.server

LONG = "say " + "all work and no play " * 12


def expected(watched: Any) -> None:
    """Accept the browser's own lines about requests that fail."""
    watched.errors[:] = [line for line in watched.errors if "net::" not in line]
    watched.errors[:] = [line for line in watched.errors if "status of" not in line]


def test_a_lost_connection_keeps_the_answer(browser: Any, relay: Relay) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        relay.stall_after(4000)
        say(page, LONG, wait=False)
        begun(page)
        relay.cut()
        ended(page)
        text = said(page)[1]
        assert LONG[4:].startswith(text)
        assert "connection" in page.locator(".problem").inner_text()
        page.get_by_role("button", name="Go on").click()
        page.locator(".problem", has_text="cannot be reached").wait_for()
        assert said(page)[1] == text
        relay.mend()
        page.get_by_role("button", name="Go on").click()
        ended(page)
        assert said(page)[1].strip() == LONG[4:].strip()
        assert not page.locator(".problem").is_visible()
        expected(watched)


def test_a_server_that_falls_silent_is_not_waited_for(
    browser: Any, relay: Relay
) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        page.clock.install()
        relay.stall_after(4000)
        say(page, LONG, wait=False)
        begun(page)
        page.clock.fast_forward(61_000)
        page.locator(".problem", has_text="says nothing").wait_for()
        assert LONG[4:].startswith(said(page)[1])


def test_an_answer_stopped_before_it_began_says_so(browser: Any, relay: Relay) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        relay.stall_after(0)
        say(page, LONG, wait=False)
        page.get_by_text("Waiting for the server").wait_for()
        page.keyboard.press("Escape")
        page.locator(".problem", has_text="Stopped.").wait_for()
        relay.flow()
        page.get_by_role("button", name="Try again").click()
        ended(page)
        assert said(page)[1].strip() == LONG[4:].strip()
        assert page.evaluate("document.activeElement.id") == "prompt"


def test_a_server_that_is_down_is_asked_again(browser: Any, relay: Relay) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        relay.cut()
        say(page, "say one")
        assert "cannot be reached" in page.locator(".problem").inner_text()
        relay.mend()
        page.get_by_role("button", name="Try again").click()
        ended(page)
        assert said(page) == ["say one", "one"]
        expected(watched)


def test_a_refusal_is_shown(browser: Any, url: str, base_model: Path) -> None:
    with (
        llamacy.load(base_model) as model,
        running(server.app(model)) as address,
        opened(browser, f"{address}/") as watched,
    ):
        say(watched.page, "Hello")
        assert "base model" in watched.page.locator(".problem").inner_text()
        expected(watched)


def test_a_key_is_asked_for(browser: Any, puppet: llamacy.Model) -> None:
    with (
        running(server.app(puppet, api_keys=["right"])) as address,
        opened(browser, f"{address}/") as watched,
    ):
        page = watched.page
        page.get_by_label("Key", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("does not accept this key").wait_for()
        page.get_by_label("Key", exact=True).fill("right")
        page.keyboard.press("Enter")
        page.get_by_label("Model", exact=True).wait_for()
        say(page, "say one")
        assert said(page) == ["say one", "one"]
        page.reload()
        page.get_by_label("Model", exact=True).wait_for()
        assert "right" not in page.evaluate("JSON.stringify(localStorage)")
        expected(watched)


def test_a_model_that_loads_is_waited_for(
    browser: Any, puppet: llamacy.Model, demo: llamacy.Model
) -> None:
    is_shown = threading.Event()

    def load() -> llamacy.Model:
        is_shown.wait(10)
        return llamacy.load("demo")

    with (
        running(server.app({"late": server.OnDemand(load)})) as address,
        opened(browser, f"{address}/") as watched,
    ):
        page = watched.page
        say(page, "What is 12 + 30?", wait=False)
        page.get_by_text("Loading late").wait_for()
        is_shown.set()
        ended(page)
        assert said(page)[1] == "42"


def test_a_full_store_is_told_of(page: Any) -> None:
    page.evaluate("localStorage.setItem('other', 'x'.repeat(5 * 2 ** 20 - 200))")
    say(page, "say one")
    page.get_by_text("This browser has no room").wait_for()
    assert said(page) == ["say one", "one"]


def test_a_broken_store_is_passed_over(page: Any) -> None:
    say(page, "say one")
    page.evaluate(
        """() => {
            localStorage.setItem("llamacy.chat.1", "{");
            localStorage.setItem("llamacy.chat.2", '{"id": "2", "messages": 3}');
            localStorage.setItem("llamacy.settings", '"x"');
        }"""
    )
    page.reload()
    assert page.locator("#chats li").all_inner_texts() == ["say one"]
