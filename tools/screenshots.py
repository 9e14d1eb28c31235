"""Take the screenshots in docs/guides/page.md.

python tools/screenshots.py MODEL

MODEL is SmolLM2-135M-Instruct. Needs `pip install '.[server]' playwright` and Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "guides" / "images"
MAX_BYTES = 120_000
CHATS = (
    ["What is photosynthesis?"],
    [
        "Name three reasons to go for a walk, as a list.",
        "Write a Python function that squares a number.",
    ],
)
CHROMIUM = ("chromium", "chromium-headless-shell", "google-chrome")


@contextmanager
def served(model: str) -> Iterator[str]:
    """Run the server; yield its address."""
    command = [sys.executable, "-m", "llamacy", "serve", f"SmolLM2-135M={model}"]
    process = subprocess.Popen(
        [*command, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        yield next(line.split()[-1] for line in process.stderr if "serving" in line)
    finally:
        process.kill()
        process.wait()


def chat(page: Any, url: str) -> None:
    """Ask the questions, at temperature 0, so that the answers are always the same."""
    page.goto(url)
    page.locator("#model").wait_for()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Temperature").fill("0")
    page.get_by_role("button", name="Done").click()
    for questions in CHATS:
        page.get_by_role("link", name="New chat").click()
        for question in questions:
            page.get_by_label("Message").fill(question)
            page.keyboard.press("Enter")
            page.locator("#stop").wait_for(state="hidden")
    page.mouse.move(0, 0)  # away from links


def save(page: Any, name: str) -> None:
    """Save a screenshot; exit if it is too large for the documentation."""
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    if path.stat().st_size > MAX_BYTES:
        sys.exit(f"{path}: {path.stat().st_size} bytes, wanted {MAX_BYTES} at most")


def main() -> None:
    """Run as a command."""
    FOLDER.mkdir(exist_ok=True)
    chromium = next(filter(None, map(shutil.which, CHROMIUM)))
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with served(sys.argv[1]) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        size = {"width": 1100, "height": 640}
        page = browser.new_page(viewport=size, reduced_motion="reduce")
        chat(page, url)
        save(page, "page-light")
        page.get_by_role("button", name="Settings").click()
        save(page, "page-settings")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 640})
        page.reload()
        page.locator("#model").wait_for()
        save(page, "page-narrow")
        browser.close()


if __name__ == "__main__":
    main()
