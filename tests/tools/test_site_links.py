"""The hook that makes public names in code links to the reference."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_links import described, linked

OBJECTS = {"load": "llamacy.loading.load", "Model": "llamacy.model.Model"}


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("llamacy.load", "llamacy.loading.load"),
        ("Model", "llamacy.model.Model"),
        ("Model.chat", "llamacy.model.Model.chat"),
        ("llamacy.Model", "llamacy.model.Model"),
        ("BusyError", "llamacy.errors.BusyError"),
        ("llamacy.BusyError", "llamacy.errors.BusyError"),
    ],
)
def test_public_names_become_references(name: str, full: str) -> None:
    code = f"<code>{name}</code>"
    html = f"<p>See {code}.</p>"
    wanted = f'<p>See <autoref optional identifier="{full}">{code}</autoref>.</p>'
    assert linked(html, OBJECTS) == wanted


@pytest.mark.parametrize(
    "html",
    [
        "<p><code>load</code> loads, <code>temperature</code> does not.</p>",
        "<p><code>Q4_K</code>, <code>OtherThing</code>, <code>Other.thing</code></p>",
        "<p><code>llamacy.unknown</code>, <code>load(x)</code>, llamacy.load</p>",
        '<p><a href="x">read about\n<code>Model</code></a></p>',
        "<pre><span></span><code>Model</code></pre>",
        "<h2 id='x'><code>Model</code></h2>",
    ],
)
def test_other_code_stays_as_it_is(html: str) -> None:
    assert linked(html, OBJECTS) == html


def test_objects_are_read_from_the_reference(tmp_path: Path) -> None:
    (tmp_path / "models.md").write_text(
        "# Models\n\n::: llamacy.loading.load\n\n::: llamacy.model.Model\n"
        "    options:\n      inherited_members: true\n"
    )
    assert described(tmp_path) == OBJECTS
