"""The page on narrow screens, in the dark, and for people who do not see it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from tests.support.browser import opened
from tests.support.chatting import begin_chat, said, say

pytestmark = pytest.mark.server

RICH = """say # Title
> quoted `code` and [a link](https://example.org/)

1. one
   - [ ] two

| a | b |
|:--|--:|
| 1 | 2 |

```py
x = 1
```"""
WIDE = "\n\n".join(
    [f"say {'x' * 120}", f"```\n{'y' * 120}\n```", f"|{'a' * 90}|b|\n|-|-|"]
)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_nothing_keeps_anybody_out(
    browser: Any, url: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    size = {"width": width, "height": 720}
    with opened(
        browser, f"{url}/", color_scheme=scheme, viewport=size, reduced_motion="reduce"
    ) as watched:
        page = watched.page
        found = [axe.run(page)]
        say(page, RICH)
        found.append(axe.run(page))
        if width < 600:
            page.get_by_role("button", name="Chats").click()
            found.append(axe.run(page))
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Settings").click()
        found.append(axe.run(page))
        assert [each.generate_report() for each in found if each.violations_count] == []


def test_wide_texts_do_not_scroll_a_narrow_page(browser: Any, url: str) -> None:
    size = {"width": 320, "height": 600}
    with opened(browser, f"{url}/", viewport=size) as watched:
        page = watched.page
        assert page.evaluate(OVERFLOW) == 0
        say(page, WIDE)
        assert page.evaluate(OVERFLOW) == 0
        inner = "(e => e.scrollWidth - e.clientWidth)"
        scroller = page.locator("#scroller")
        assert scroller.evaluate(inner) == 0
        assert page.locator("pre").evaluate(inner) > 0
        page.get_by_role("button", name="Chats").click()
        begin_chat(page)
        assert said(page) == []
        assert page.get_by_role("textbox", name="Message").is_visible()
        page.get_by_role("button", name="Settings").click()
        assert page.evaluate(OVERFLOW) == 0


def ground(page: Any) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_the_appearance_follows_the_system_or_a_choice(page: Any) -> None:
    page.emulate_media(color_scheme="light")
    light = ground(page)
    page.emulate_media(color_scheme="dark")
    dark = ground(page)
    assert light != dark
    page.get_by_label("Appearance").select_option("Light")
    assert ground(page) == light
    page.reload()
    assert ground(page) == light
    page.get_by_label("Appearance").select_option("System")
    assert ground(page) == dark


def test_the_keyboard_reaches_all_in_order(page: Any) -> None:
    say(page, "say one")
    page.locator("#skip").focus()
    names = []
    for _ in range(13):
        names.append(
            page.evaluate(
                """() => {
                    const one = document.activeElement;
                    const label = one.labels?.[0]?.firstChild.textContent.trim();
                    return one.ariaLabel ?? label ?? one.textContent;
                }"""
            )
        )
        page.keyboard.press("Tab")
    order = ["Skip to the message box", "New chat", "say one", "Appearance", "Model"]
    order += ["Settings", "This chat", "Conversation", "Edit", "Copy", "Copy"]
    order += ["Try again", "Message"]
    assert names == order


def test_a_link_skips_to_the_message_box(page: Any) -> None:
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "prompt"
