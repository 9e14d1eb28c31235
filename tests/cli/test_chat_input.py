"""Reading messages and commands of a chat."""

from __future__ import annotations

import pytest

from llamacy.cli.chat_input import Command, read_entry
from tests.support.typed_lines import typed


@pytest.mark.parametrize(
    ("lines", "entry"),
    [
        (["hello /there"], "hello /there"),
        ([" /no command"], " /no command"),
        (["one \\", "two\\", "three"], "one \ntwo\nthree"),
        (["unfinished\\"], "unfinished"),
        (['"""one', "", 'two"""'], "one\n\ntwo"),
        (['"""', "/one\\", '"""  '], "/one\\"),
        (['"""one"""'], "one"),
        (['"""one', "two"], "one\ntwo"),
        ([""], ""),
        (["/help"], Command("help")),
        (["/Set  temp   0.5 "], Command("set", "temp   0.5")),
        (["/"], Command("")),
    ],
)
def test_lines_are_read_as_messages_and_commands(
    lines: list[str], entry: Command | str
) -> None:
    assert read_entry(typed(*lines)) == entry
