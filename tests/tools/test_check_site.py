"""The check of the built site: it finds whatever readers would stumble on."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_site import findings

PAGE = """<!doctype html><html><head><meta charset="utf-8"></head><body>
<nav>See :func:<code>outside</code>, which is no part of the page.</nav>
<article>
<div class="doc doc-object doc-function">
  <h2 class="doc"><span class="doc doc-object-name">quantize</span></h2>
  <div class="doc doc-contents first">
    <p>Write a model like <code>convert</code> does.<br>Ratio 4:<code>1</code>.</p>
    <p><span class="doc-section-title">Parameters:</span></p>
    <ul>
      <li class="doc-section-item field-body">
        <b><code>n_threads</code></b>
        (<code><span>int</span></code>, default: <code>None</code>)
        <div class="doc-md-description"><p>Threads to compute with.</p></div>
      </li>
    </ul>
    <p><span class="doc-section-title">Raises:</span></p>
    <ul>
      <li class="doc-section-item field-body">
        <code><a href="#">ArgumentError</a></code>
        <div class="doc-md-description"><p>An unknown type.</p></div>
      </li>
    </ul>
  </div>
</div>
</article></body></html>
"""


def site(folder: Path, page: str, name: str = "reference/models") -> Path:
    """Make a site of one page."""
    path = folder / name / "index.html"
    path.parent.mkdir(parents=True)
    path.write_text(page, encoding="utf-8")
    return folder


def test_page_that_shows_what_was_meant(tmp_path: Path) -> None:
    assert list(findings(site(tmp_path, PAGE))) == []


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        (
            "like <code>convert</code>",
            "like :func:<code>convert</code>",
            ":func:`convert` is shown as it was written",
        ),
        (
            "<span>int</span>",
            "threads to compute with.",
            'n_threads: "threads to compute with." stands where a type should be',
        ),
        (
            "<p>Threads to compute with.</p>",
            "",
            "n_threads: no sentence says what it is",
        ),
        (
            '<a href="#">ArgumentError</a>',
            "Error : it is new",
            'Error : it is new: "Error : it is new" stands where a type should be',
        ),
        (
            "<p>An unknown type.</p>",
            "",
            "ArgumentError: no sentence says what it is",
        ),
        ("doc-object ", "doc-thing ", "it describes nothing"),
    ],
)
def test_page_that_shows_something_else(
    tmp_path: Path, right: str, wrong: str, finding: str
) -> None:
    assert right in PAGE
    page = PAGE.replace(right, wrong)
    assert list(findings(site(tmp_path, page))) == [f"reference/models: {finding}"]


def test_object_without_a_docstring(tmp_path: Path) -> None:
    begin, end = PAGE.index("    <p>Write"), PAGE.index("    <ul>")
    page = PAGE[:begin] + PAGE[end:].replace('<p><span class="doc-section', "<i><i c")
    (line,) = findings(site(tmp_path, page))
    assert line == "reference/models: quantize: it has no docstring"


def test_reference_without_any_parameter(tmp_path: Path) -> None:
    (line,) = findings(site(tmp_path, PAGE, "guides/chat"))
    assert line.startswith("reference: it has no parameters")
