"""The word list: each rule finds what it should, and reads nothing but prose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from check_words import COMPILED, RULES, findings, prose

ROOT = Path(__file__).resolve().parents[2]


def found(folder: Path, name: str, source: str) -> list[str]:
    """Return the findings in one file, without its folder."""
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return [line.removeprefix(f"{folder}/") for line in findings(path)]


EXAMPLES = [
    ("The `path` is none.", "is none"),
    ("Both are none, of course.", "are none"),
    ("Read so many bytes.", "so many"),
    ("There is not so much memory.", "so much"),
    ("a file that the folder has not.", "has not."),
    ("Some have not the key.", "have not the"),
    ("Who waits, spins.", "Who"),
    ("Done. Whose share is done, helps.", "Whose"),
    ("What is left is read.", "What"),
    ("Those that wait are next.", "Those that"),
    ("Read are the weights.", "Read are"),
    ("Accepts a path, as of `load`.", "as of `"),
    ("It finds calls of tools.", "calls of tools"),
    ("A second buffer would be dear.", "dear"),
    ("Nothing is to be had.", "to be had"),
    ("It works off-line.", "off-line"),
    ("See :func:`llamacy.load`.", ":func:`"),
    ("TODO: more.", "TODO"),
    ("It was formerly slow.", "formerly"),
]


@pytest.mark.parametrize(("sentence", "words"), EXAMPLES)
def test_words_to_avoid_are_found(tmp_path: Path, sentence: str, words: str) -> None:
    (line,) = found(tmp_path, "page.md", f"First.\n\n{sentence}\n")
    assert line.startswith(f'page.md:3: "{words}": ')


def test_every_rule_has_an_example() -> None:
    assert len(COMPILED) == len(RULES)
    for pattern in COMPILED:
        assert any(pattern.search(sentence) for sentence, _ in EXAMPLES), pattern


@pytest.mark.parametrize(
    "sentence",
    [
        'The reasoning; "" if there is none.',
        "None of these is none of them.",
        "So much faster that nobody waits; so many that it shows.",
        "The file has not been read.",
        "A default of `None`, and `is none` in code.",
        "What does it cost? Who knows?",
        "Somebody who waits, and what is left.",
        "The weights are read. Those are the pages.",
        "It holds as of today.",
        "## What is kept",
        'Not "so many of\nthem", but "twelve".',
    ],
)
def test_idiomatic_sentences_are_left_alone(tmp_path: Path, sentence: str) -> None:
    assert found(tmp_path, "page.md", f"{sentence}\n") == []


@pytest.mark.parametrize(
    ("name", "source", "line"),
    [
        ("a.py", 'x = 1\n"""It\nis none."""\n', 3),
        ("a.py", "x = 1  # This is\n# none.\n", 1),
        ("a.py", 'def f():\n    raise E(f"{x!r} is "\n        f"none")\n', 2),
        ("a.py", 'x = Option(1, help="It is none.", y=2)\n', 1),
        ("a.pyx", 'cdef f(int* x):\n    """It is none."""\n', 2),
        ("a.pxd", "cdef int x  # is none\n", 1),
        ("a.pxi", "# the next\n# is\n# none\n", 2),
        ("a.pyi", 'def f() -> int:\n    """It is none."""\n', 2),
        ("a.h", "int x; /* the other\n        * is\n * none */\n", 2),
        ("a.h", "// this\n// is none\n", 2),
        ("a.md", "- This\n  is\n- none\n", 2),
    ],
)
def test_prose_of_each_language_is_read(
    tmp_path: Path, name: str, source: str, line: int
) -> None:
    (finding,) = found(tmp_path, name, source)
    assert finding.startswith(f"{name}:{line}: ")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.py", 'x = "it is none"\ny = f("it is none", a="so many")\n'),
        ("a.py", 'if x:\n    raise E(x)\ny = "it is none"\n'),
        ("a.py", 'x = Option(help="fine", y="it is none")\n'),
        ("a.py", '# this is\nx = 1\n# none\n"""that\n\n>>> x is none\n"""\n'),
        ("a.pyx", "# this is\ncdef int none\n"),
        ("a.h", "/* this is */ int none;\n"),
        ("a.md", "```text\nit is none\n```\n<!-- it is none -->\n"),
    ],
)
def test_code_is_not_prose(tmp_path: Path, name: str, source: str) -> None:
    assert found(tmp_path, name, source) == []


def test_prose_stands_where_it_stood() -> None:
    source = 'x = 1  # one\ny = "two"\n"""Three `four`."""\n'
    text = prose(source, ".py")
    assert len(text) == len(source)
    assert text.index("one") == source.index("one")
    assert text.index("Three") == source.index("Three")
    assert "two" not in text
    assert "four" not in text


GOOD = '''
def f():
    """Do it.

    Parameters
    ----------
    tokens, rows : int32, (n_rows,)
        Token ids.
    **options : str, optional
        Anything else.

    Returns
    -------
    float32, (n_tokens, n_vocab)
        Logits.

    Raises
    ------
    ContextLengthError, ValueError
        More than `n_ctx` tokens.

    Attributes
    ----------
    WAITING
        A member of an enumeration.

    Notes
    -----
    Anything. At all.
    """
'''


@pytest.mark.parametrize(
    ("right", "wrong", "advice"),
    [
        ("int32, (n_rows,)", "what the rows hold.", "`name : type`, and a sentence"),
        (
            "int32, (n_rows,)",
            "token ids of rows, " * 4,
            "`name : type`, and a sentence",
        ),
        ("tokens, rows : int32, (n_rows,)", "tokens", "`name : type`"),
        (
            "float32, (n_tokens, n_vocab)",
            "The logits.",
            "`name : type`, and a sentence",
        ),
        ("ContextLengthError, V", "ContextLengthError : V", "the error's name alone"),
        (
            "    Raises\n    ------\n    C",
            "    Raises\n    ------\n    If C",
            "the error",
        ),
    ],
)
def test_sections_must_be_numpydoc(
    tmp_path: Path, right: str, wrong: str, advice: str
) -> None:
    assert found(tmp_path, "a.py", GOOD) == []
    assert right in GOOD
    (finding,) = found(tmp_path, "a.py", GOOD.replace(right, wrong))
    assert f": {advice}" in finding


def test_findings_fail_the_command(tmp_path: Path) -> None:
    tool = ROOT / "tools" / "check_words.py"
    (tmp_path / "good.md").write_text("Good.\n")
    (tmp_path / "data.json").write_text("it is none")
    command = [sys.executable, str(tool), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 files: nothing to write otherwise\n"
    (tmp_path / "bad.md").write_text("It is none.\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
