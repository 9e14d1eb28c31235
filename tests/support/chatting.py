"""Using the page as a person does."""

from __future__ import annotations

import re
from typing import Any


def say(page: Any, text: str, *, wait: bool = True) -> None:
    """Send a message, and wait until it was answered."""
    page.locator("#model").wait_for()  # the server's models are known
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")
    if wait:
        ended(page)


def ended(page: Any) -> None:
    """Wait until no answer is being written."""
    page.locator("#stop").wait_for(state="hidden")


def begun(page: Any) -> None:
    """Wait until a part of the last answer is there."""
    text = page.locator(".assistant .text").last
    text.filter(has_text=re.compile(".{4}")).wait_for()


def begin_chat(page: Any) -> None:
    """Begin a new chat, from one that has messages."""
    page.get_by_role("link", name="New chat").click()
    page.locator(".user").first.wait_for(state="detached")


def said(page: Any) -> list[str]:
    """Return the texts of all messages."""
    texts: list[str] = page.locator(".user .said, .assistant .text").all_inner_texts()
    return texts
