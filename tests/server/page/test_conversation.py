"""Conversations on the page: answers, stopping, asking again, editing, keeping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from tests.support.browser import opened
from tests.support.chatting import begin_chat, begun, ended, said, say
from tests.support.relay import Relay
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

LONG = "say " + "all work and no play " * 20


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def last(page: Any, name: str) -> Any:
    return page.locator(".message").last.get_by_role("button", name=name, exact=True)


def test_the_demo_model_answers(page: Any) -> None:
    page.get_by_label("Model", exact=True).select_option("demo")
    say(page, "What is 12 + 30?")
    assert said(page) == ["What is 12 + 30?", "42"]
    assert page.get_by_role("heading", level=1).inner_text() == "What is 12 + 30?"
    assert page.locator(".figures").inner_text().startswith("2 tokens · ")
    assert page.get_by_role("status").inner_text() == "42"  # read out


def test_shift_enter_begins_a_line(page: Any) -> None:
    page.get_by_role("textbox", name="Message").fill("say one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    ended(page)
    assert said(page) == ["say one\ntwo", "one\ntwo"]


@pytest.mark.parametrize("how", ["Escape", "Stop"])
def test_a_stopped_answer_stays_and_goes_on(
    browser: Any, relay: Relay, how: str
) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        relay.stall_after(4000)
        say(page, LONG, wait=False)
        begun(page)
        if how == "Escape":
            page.keyboard.press("Escape")
        else:
            button(page, "Stop").click()
        ended(page)
        relay.flow()
        text = said(page)[1]
        assert LONG[4:].startswith(text)
        assert len(text) < 100
        assert page.locator(".figures").inner_text().startswith("about ")
        last(page, "Go on").click()
        ended(page)
        assert said(page)[1].strip() == LONG[4:].strip()


def test_an_answer_is_written_again(page: Any) -> None:
    say(page, "say one")
    say(page, "say two")
    page.locator(".message").nth(1).hover()
    page.locator(".assistant").first.get_by_role("button", name="Try again").click()
    ended(page)
    assert said(page) == ["say one", "one"]


def test_a_message_is_edited_and_answered(page: Any) -> None:
    say(page, "say one")
    say(page, "say two")
    page.locator(".user").first.hover()
    page.locator(".user").first.get_by_role("button", name="Edit").click()
    field = page.get_by_label("Edit the message")
    assert field.input_value() == "say one"
    page.keyboard.press("Escape")
    assert said(page) == ["say one", "one", "say two", "two"]
    page.locator(".user").first.get_by_role("button", name="Edit").click()
    field.fill("say three")
    page.keyboard.press("Enter")
    ended(page)
    assert said(page) == ["say three", "three"]


def test_chats_stay_when_the_page_is_loaded_again(page: Any) -> None:
    say(page, "say one")
    begin_chat(page)
    say(page, "say two")
    page.reload()
    assert said(page) == ["say two", "two"]
    page.get_by_role("link", name="say one").click()
    page.locator("h1", has_text="say one").wait_for()
    assert said(page) == ["say one", "one"]
    page.go_back()
    page.locator("h1", has_text="say two").wait_for()
    assert said(page) == ["say two", "two"]


def test_a_chat_is_written_to_while_another_is_shown(page: Any) -> None:
    say(page, LONG, wait=False)
    begun(page)
    begin_chat(page)
    say(page, "say two")
    assert said(page) == ["say two", "two"]
    page.get_by_role("link", name="say all work").click()
    page.locator("h1", has_text="say all work").wait_for()
    ended(page)
    assert said(page)[1].strip() == LONG[4:].strip()


def test_chats_of_another_tab_appear_and_go(page: Any, url: str) -> None:
    other = page.context.new_page()
    other.goto(f"{url}/")
    say(page, "say one")
    other.get_by_role("link", name="say one").click()
    other.locator("h1", has_text="say one").wait_for()
    assert said(other) == ["say one", "one"]
    say(page, "say two")
    other.locator(".said", has_text="say two").wait_for()
    button(page, "This chat").click()
    button(page, "Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    other.locator("#welcome").wait_for()
    assert other.locator("#chats li").count() == 0


def test_a_page_closed_meanwhile_keeps_what_was_written(
    browser: Any, relay: Relay
) -> None:
    with opened(browser, f"{relay.url}/") as watched:
        page = watched.page
        page.locator("#model").wait_for()
        relay.stall_after(4000)  # or the answer might have ended before the reload
        say(page, LONG, wait=False)
        begun(page)
        wait_until(lambda: relay.is_stalled)
        relay.let_others_pass()
        page.reload()
        assert LONG[4:].startswith(said(page)[1])
        assert page.locator(".problem").is_visible()
        assert last(page, "Go on").is_visible()


def test_chats_are_renamed_exported_and_deleted(page: Any, tmp_path: Path) -> None:
    say(page, "say **one**")
    button(page, "This chat").click()
    button(page, "Rename").click()
    page.get_by_label("Title").fill("<b>Mine")
    page.keyboard.press("Enter")
    page.locator("h1", has_text="<b>Mine").wait_for()
    for name, file in (("Markdown", "b-mine.md"), ("JSON", "b-mine.json")):
        button(page, "This chat").click()
        with page.expect_download() as download:
            button(page, f"Export as {name}").click()
        assert download.value.suggested_filename == file
        download.value.save_as(tmp_path / file)
    chat = json.loads((tmp_path / "b-mine.json").read_text())
    assert [one["content"] for one in chat["messages"]] == ["say **one**", "**one**"]
    assert "## Answer\n\n**one**\n" in (tmp_path / "b-mine.md").read_text()
    button(page, "This chat").click()
    button(page, "Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator("#welcome").wait_for()
    assert said(page) == []
    page.reload()
    assert page.locator("#chats li").count() == 0


def test_settings_are_sent_and_kept(page: Any) -> None:
    page.get_by_label("Model", exact=True).select_option("demo")
    button(page, "Settings").click()
    temperature = page.get_by_label("Temperature")
    page.locator("#sampling-top_k[placeholder]").wait_for()
    temperature.fill("0.5")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Let models that can reason").uncheck()
    button(page, "Done").click()
    with page.expect_request("**/v1/chat/completions") as request:
        say(page, "What is 12 + 30?")
    body = request.value.post_data_json
    assert body["temperature"] == 0.5
    assert "top_p" not in body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    page.reload()
    page.locator("#model").wait_for()
    assert page.get_by_label("Model", exact=True).input_value() == "demo"
    button(page, "Settings").click()
    assert temperature.input_value() == "0.5"
    button(page, "Use all defaults").click()
    assert temperature.input_value() == ""


def test_reasoning_is_folded(page: Any) -> None:
    say(page, "say <think>\nHm.\n</think>\n\nYes.")
    assert said(page)[1] == "Yes."
    thoughts = page.locator(".reasoning div")
    assert not thoughts.is_visible()
    page.locator(".reasoning summary").click()
    assert thoughts.inner_text() == "Hm."


def test_answers_and_code_are_copied(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer = "Look:\n\n```py\nx = 1\n```"
    say(page, f"say {answer}")
    last(page, "Copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == answer
    button(page, "Copy code").click()
    page.locator(".code-head", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "x = 1"
