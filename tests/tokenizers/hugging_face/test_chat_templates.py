"""A folder's chat templates, in each of their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.chat_templates import add_chat_templates
from tests.support.hugging_face import write_json

KEY = "tokenizer.chat_template"
NAMED = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]


def found(folder: Path, in_settings: Any = None) -> dict[str, Any]:
    settings = {} if in_settings is None else {"chat_template": in_settings}
    metadata = Metadata()
    add_chat_templates(folder, JsonObject(folder, settings), metadata)
    assert set(metadata.values) == set(metadata.types)
    return metadata.values


def test_newer_places_come_first(tmp_path: Path) -> None:
    assert found(tmp_path) == {}
    write_json(tmp_path / "chat_template.json", {"chat_template": "oldest"})
    assert found(tmp_path) == {KEY: "oldest"}
    # null is as good as missing
    assert found(tmp_path, in_settings=None) == {KEY: "oldest"}
    assert found(tmp_path, "z") == {KEY: "z"}
    (tmp_path / "chat_template.jinja").write_text("{{ 'neu: ä' }}", encoding="utf-8")
    assert found(tmp_path, "z") == {KEY: "{{ 'neu: ä' }}"}


@pytest.mark.parametrize("listed", [NAMED, {"tool_use": "x", "default": "y"}])
def test_templates_with_names_have_keys_below(tmp_path: Path, listed: Any) -> None:
    wanted = {KEY: "y", f"{KEY}.tool_use": "x", f"{KEY}s": ["tool_use"]}
    assert found(tmp_path, listed) == wanted
    write_json(tmp_path / "chat_template.json", {"chat_template": listed})
    assert found(tmp_path) == wanted


def test_files_replace_the_list(tmp_path: Path) -> None:
    further = tmp_path / "additional_chat_templates"
    further.mkdir()
    (further / "rag.jinja").write_text("r")
    (further / "tool-use!.jinja").write_text("t")
    (further / "notes.txt").write_text("n")
    named = {f"{KEY}.rag": "r", f"{KEY}.tooluse": "t", f"{KEY}s": ["rag", "tooluse"]}
    assert found(tmp_path) == named
    assert found(tmp_path, NAMED) == {KEY: "y"} | named
    (tmp_path / "chat_template.jinja").write_text("d")
    assert found(tmp_path, NAMED) == {KEY: "d"} | named
    (tmp_path / "chat_template.jinja").write_text("")
    assert found(tmp_path, NAMED) == {KEY: ""} | named


@pytest.mark.parametrize("strange", [[], [3], 3, {}, {"default": 3}, {"!": "x"}, False])
def test_a_template_of_an_unknown_form_counts_as_absent(
    tmp_path: Path, strange: Any
) -> None:
    assert found(tmp_path, strange) == {}


def test_unreadable_templates_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_bytes(b"\xff")
    with pytest.raises(FormatError, match="UTF-8 text"):
        found(tmp_path)
    path.write_bytes(b" " * ((1 << 22) + 1))
    with pytest.raises(FormatError, match="at most"):
        found(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelFileError, match="a folder"):
        found(tmp_path)


def test_too_many_templates_are_refused(tmp_path: Path) -> None:
    further = tmp_path / "additional_chat_templates"
    further.mkdir()
    for i in range(65):
        (further / f"t{i}.jinja").write_text("x")
    with pytest.raises(FormatError, match="wanted at most 64 templates, found 65"):
        found(tmp_path)


def test_templates_whose_names_are_no_texts_are_passed_over(tmp_path: Path) -> None:
    named = [{"name": ["a"], "template": "b"}, {"name": "c", "template": "d"}]
    assert found(tmp_path, named) == {f"{KEY}.c": "d", f"{KEY}s": ["c"]}
