"""Check the project's prose against a list of words to avoid, and its docstrings' form.

Prose is comments, docstrings, error messages, help texts and Markdown; code is left
alone, in backticks too. `RULES` lists the words and what to write instead. Sections of
docstrings must be numpydoc: a type on the line of the name, a sentence below.
CONTRIBUTING.md gives the reasons.

    python tools/check_words.py [PATH ...]      files or folders (all of the project)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PATHS = "llamacy tests bench tools docs README.md CHANGELOG.md CONTRIBUTING.md setup.py"

SENTENCE = r"(?:^|[.:;]\s)\s*"

RULES = {
    r"(?<!there\s)\b(?:is|are|was|were|be) none\b(?! of)": (
        'say what it is not: "is not a path", "an invalid path"'
    ),
    r"\bso (?:much|many)\b(?! (?:that|\w+er|more|less)\b)": (
        'name the number: "`n` samples", "not enough memory"'
    ),
    r"\b(?:has|have|had) not(?: (?:an?|the|any|enough|all|its|their|as|one|every)\b|"
    r"\s*[.,;:)])": '"does not have", "is not in", "lacks"',
    SENTENCE + r"(?:Who|Whose|Whoever|What|Whatever|Those (?:that|of|in|with|which|"
    r"whose|from|about|without))\b(?![^.]*\?)": (
        'begin with the subject: "A thread that waits ...", "Bytes that ..."'
    ),
    SENTENCE + r"(?:Checked|Computed|Copied|Counted|Given|Held|Kept|Left|Needed|Read|"
    r"Taken|Wanted|Written) (?:is|are|was|were)\b": (
        'the subject comes before the verb: "Weights are read"'
    ),
    r"\bas of `": '"like" or "accepts": "accepts what `set_adapters` does"',
    r"\bcalls? of (?:tools?|functions?)\b": '"tool call", "function call"',
    r"\b(?:dear|dearer|dearest)\b": '"expensive", "costs more"',
    r"\bto be had\b": '"available"',
    r"\boff-line\b": '"offline"',
    r":(?:func|class|meth|mod|attr|data|exc|obj|ref|doc):`": (
        "plain backticks: the site shows roles as they are written"
    ),
    r"\b(?:TODO|FIXME|XXX|HACK)\b": "do it, or open an issue",
    r"\b(?:formerly|used to be)\b": "say how it is; git knows how it was",
}
"""Regular expressions, where a space is any white space, and what to write instead."""

EXEMPT = ("tests/chat/tools/test_signatures.py",)
"""Files with docstrings that are test data."""

COMPILED = {
    re.compile(pattern.replace(" ", r"\s+"), re.M): advice
    for pattern, advice in RULES.items()
}

LONGEST_TYPE = 60
"""Characters; a longer one is a sentence."""

PROSE_IN_TYPE = re.compile(
    r";|\b(?:the|is|are|was|that|which|it|its|they|has|have|does|not|no|than|when|"
    r"where|whether|what|how|if)\b"
)
"""Words that sentences have, and types do not."""

TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<docstring>^[^\S\n]*[rR]?\"{3}(?:\\.|[^\\])*?\"{3})
    | (?P<string>[rbfuRBFU]{0,2}(?:
        \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
        | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
    | (?P<message>\b(?:raise\b|help=))
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<comma>,)
    | (?P<newline>\n)
    """,
    re.X | re.M | re.S,
)
"""The parts of Python and Cython to tell apart for finding prose."""

C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
NO_PROSE = re.compile(  # in Markdown: blocks of code, comments, headings
    r"^([^\S\n]*)(`{3,}|~{3,}).*?^\1\2[^\n]*$|<!--.*?-->|^#[^\n]*$", re.M | re.S
)
MARKS = {
    ".py": re.compile(r"\A[^\S\n]*(?:#|[rbfuRBFU]{0,2}[\"']+)|[\"']+\Z"),
    ".h": re.compile(r"^\s*/?\*+/?|//|\*/", re.M),
    ".md": re.compile(r"^\s*(?:[-*>|]+|\d+\.)\s|\"[^\"]{1,80}\"", re.M),
}
"""By suffix, marks in prose or around it, and in Markdown what it quotes."""

INLINE_CODE = re.compile(r"`[^`\n]+\n?[^`\n]*`")
EXAMPLE = re.compile(r"^\s*(?:>>>|\.\.\.)[^\n]*", re.M)
HEADING = re.compile(
    r"^([^\S\n]*)((?:Other )?Parameters|Attributes|Returns|Yields|Raises|Warns)\n"
    r"\1-{3,}\n",
    re.M,
)


def python_prose(source: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of comments, docstrings and messages, of Cython too."""
    depth, message = 0, None  # of brackets: here, and where a message began
    for token in TOKEN.finditer(source):
        kind = token.lastgroup
        if kind == "comment" or (kind == "docstring" and not depth):
            yield token.span()
        elif kind in ("string", "docstring") and message is not None:
            yield token.span()
        elif kind == "message":
            message = depth
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        if message is not None and (
            depth < message
            or (kind == "comma" and depth == message)
            or (kind == "newline" and not depth)
        ):
            message = None


def markdown_prose(source: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the prose of a page."""
    begin = 0
    for block in NO_PROSE.finditer(source):
        yield begin, block.start()
        begin = block.end()
    yield begin, len(source)


def c_prose(source: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the comments of a C header."""
    for comment in C_COMMENT.finditer(source):
        yield comment.span()


READERS = {
    **dict.fromkeys((".py", ".pyi", ".pyx", ".pxd", ".pxi"), python_prose),
    ".h": c_prose,
    ".md": markdown_prose,
}


def spaces(match: re.Match[str]) -> str:
    """As many spaces as characters were matched; lines stay lines."""
    return re.sub(r"[^\n]", " ", match[0])


def zeros(text: str) -> str:
    """`text` without a word: a zero for each character that is no space."""
    return re.sub(r"\S", "\0", text)


def prose(source: str, suffix: str) -> str:
    """Return `source` with nothing left but sentences, each where it stood.

    Zeros stand for code, so that no sentence continues behind it; spaces stand for the
    marks of comments and strings, so that sentences continue from line to line.
    """
    marks = MARKS.get(suffix, MARKS[".py"])
    text, end = "", 0
    for begin, stop in READERS[suffix](source):
        part = EXAMPLE.sub(lambda match: zeros(match[0]), source[begin:stop])
        part = marks.sub(spaces, part)
        part = INLINE_CODE.sub(lambda match: re.sub(r"[^`\n]", "x", match[0]), part)
        text += zeros(source[end:begin]) + part
        end = stop
    return text + zeros(source[end:])


def wrong_words(source: str, suffix: str) -> Iterator[tuple[int, str, str]]:
    """Yield (offset, words, advice) for each match of a rule."""
    text = prose(source, suffix)
    for pattern, advice in COMPILED.items():
        for match in pattern.finditer(text):
            words = re.sub(r"\A(?:[.:;]?\s+)?", "", match[0])
            yield match.end() - len(words), " ".join(words.split()), advice


def is_sentence(kind: str) -> bool:
    """Whether a sentence stands where a type should be."""
    return (
        (kind.endswith(".") and not kind.endswith("..."))
        or len(kind) > LONGEST_TYPE
        or PROSE_IN_TYPE.search(kind) is not None
    )


def entries(docstring: str) -> Iterator[tuple[str, int, str]]:
    """Yield (section, offset, line) for each entry of each section."""
    for heading in HEADING.finditer(docstring):
        indent, section = heading.groups()
        offset = heading.end()
        lines = docstring[offset:].split("\n")
        for line, below in zip(lines, [*lines[1:], ""], strict=True):
            entry = line.removeprefix(indent)
            if '"""' in line or set(below.strip()) == {"-"}:
                break  # the end of the docstring or of the section
            if entry.strip() and not entry[0].isspace():
                yield section, offset + len(indent), entry
            offset += len(line) + 1


def advice_on(section: str, entry: str) -> str | None:
    """Return how an entry of a docstring's section should be written, if not so."""
    if section in ("Raises", "Warns"):
        if not re.fullmatch(r"[\w.]+(?:(?:, | or )[\w.]+)*", entry):
            return "the error's name alone, and a sentence below"
        return None
    name, colon, kind = entry.partition(" : ")
    if is_sentence(kind if colon else name):
        return "`name : type`, and a sentence below"
    is_constant = name.isupper()  # such as the members of an enumeration
    if not (colon or is_constant or section in ("Returns", "Yields")):
        return "`name : type`"
    return None


def wrong_sections(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield (offset, entry, advice) for each entry that is not numpydoc."""
    for token in TOKEN.finditer(source):
        if token.lastgroup == "docstring":
            for section, offset, entry in entries(token[0]):
                if advice := advice_on(section, entry):
                    yield token.start() + offset, entry, f"{section}: {advice}"


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each place in a file that should be written otherwise."""
    source = path.read_text(encoding="utf-8")
    found = list(wrong_words(source, path.suffix))
    if READERS[path.suffix] is python_prose and not str(path).endswith(EXEMPT):
        found += wrong_sections(source)
    for offset, words, advice in sorted(found):
        line = source.count("\n", 0, offset) + 1
        yield f'{path}:{line}: "{words}": {advice}'


def main() -> None:
    """Run as a command: print what was found; exit with 1 if anything was."""
    paths = [Path(name) for name in sys.argv[1:] or PATHS.split()]
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*.*")) if path.is_dir() else [path])
        if file.suffix in READERS
    ]
    found = [line for file in files for line in findings(file)]
    print("\n".join(found) or f"{len(files)} files: nothing to write otherwise")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
