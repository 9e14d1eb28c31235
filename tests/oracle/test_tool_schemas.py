"""Functions' schemas, and prompts with tools, are those of transformers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest

import llamacy
from llamacy.chat.tools import function_schema
from tests.support import random_model, tool_templates

pytestmark = pytest.mark.oracle


class Level(Enum):
    LOW = 1
    HIGH = "high"


def plain(
    a: int,
    b: float,
    c: str,
    d: bool,
    e: list,  # type: ignore[type-arg]
    f: dict,  # type: ignore[type-arg]
    g: tuple,  # type: ignore[type-arg]
    h: Any,
) -> None:
    """Take everything plain.

    In several lines,
        indented too.

    Args:
        a: an int
        b: a float, over
            several lines: with a colon
        c (str): a text
        d (bool, optional): yes or no
        e: a list

        f: a dict
        g: a tuple
        h: anything
    """


def nested(
    a: list[list[int]],
    b: dict[str, list[float]],
    c: tuple[int, str],
    d: Optional[str] = None,  # noqa: UP045
    e: Union[int, str, None] = None,  # noqa: UP007
    f: int | list[int] = 1,
    g: list | tuple | None = None,  # type: ignore[type-arg]
) -> dict[str, int]:
    """Take what is nested.

    Args:
        a: lists
        b: dict
        c: tuple
        d: optional
        e: union
        f: one or more
        g: some

    Returns:
        Counts.
        By name.

    Raises:
        ValueError: never
    """
    return {}


def chosen(
    a: Literal["x", "y"],
    b: Literal[1, "x", None],
    c: Level,
    d: str = "tea",
    e: Level | None = None,
) -> Literal["z"]:
    """Choose.

    Args:
        a: letters
        b: mixed
        c: a level
        d: a drink (choices: ["tea", "coffee"])
        e: another
    """
    return "z"


def silent() -> bytes:
    """Return what no schema has."""
    return b""


FUNCTIONS: list[Callable[..., Any]] = [plain, nested, chosen, silent]
NAMES = [function.__name__ for function in FUNCTIONS]


def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.mark.parametrize("function", FUNCTIONS, ids=NAMES)
def test_schemas_are_those_of_transformers(function: Callable[..., Any]) -> None:
    assert function_schema(function) == transformers().utils.get_json_schema(function)


@pytest.mark.parametrize("family", tool_templates.TEMPLATES)
def test_prompts_with_tools_are_those_of_transformers(
    family: str, tmp_path: Path
) -> None:
    tokenizers: Any = pytest.importorskip("tokenizers")
    oracle = transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()),
        bos_token="<s>",
        eos_token="</s>",
    )
    template = tool_templates.TEMPLATES[family]
    call = llamacy.ToolCall("nested", {"a": [[1]], "b": {}}, "k3f9a2000")
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Hé <b>?"},
        {"role": "assistant", "content": "", "tool_calls": [call.as_message_part()]},
        call.result({"n": 5}),
    ]
    file = tmp_path / "model.gguf"
    random_model.write(
        str(file), marks=tool_templates.MARKS, n_ctx=8192, space_prefix=False
    )
    with llamacy.load(file) as model:
        ids = model.chat_prompt(messages, tools=FUNCTIONS, chat_format=template)
        text = model.tokenizer.decode(ids, skip_special=False)
    wanted = oracle.apply_chat_template(
        messages,
        tools=FUNCTIONS,
        chat_template=template,
        tokenize=False,
        add_generation_prompt=True,
    )
    # SentencePiece's vocabulary has the space mark as a space, outside control tokens
    text, wanted = (each.replace("\u2581", " ") for each in (text, wanted))
    assert text.removeprefix("<s>") == wanted.removeprefix("<s>")
