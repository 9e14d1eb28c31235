"""Compiling: other languages than JSON, limits, threads, forks and the cache."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy import ConstraintError, ConstraintLimitError
from llamacy.structured import compiling, spare
from llamacy.structured.compiling import Compiler, compiler_of
from llamacy.structured.grammar import json_grammar
from llamacy.structured.schema.patterns import n_copies
from tests.support.structured import (
    constraint,
    demo_compiler,
    demo_tokenizer,
    follows,
    form,
    refusal,
)

pytest.importorskip("llguidance")

GBNF = r"""
root ::= "[" item ("," item)* "]" # a list
item ::= [a-z]+ | "-"? [0-9]{1,3} | "\"" [^"\\\x00-\x1F]* "\""
"""


@pytest.mark.parametrize(
    ("options", "good", "bad"),
    [
        (
            {"regex": r"\d{3}-\d{4}"},
            ["555-1234"],
            ["555-123", "\u0665\u0665\u0665-1234"],
        ),
        ({"regex": "a/b\n\\/[/c]?"}, ["a/b\n/", "a/b\n//"], ["a/b/"]),
        ({"regex": "^(a|b)/c$"}, ["a/c"], ["c/c", "a/"]),
        ({"choices": ["yes", "no", 'a "b"\n', "yes!"]}, ["yes", 'a "b"\n'], ["y", "n"]),
        ({"grammar": GBNF}, ['[ab,-12,"\u00e9 c"]'], ["[]", "[ab,]", "[1234]"]),
        ({"grammar": 'start: "a"+ B\nB: /[0-9]/'}, ["aa7"], ["7", "a"]),
        ({"response_format": {"type": "json_object"}}, ['{"a": [1]}'], ["[1]"]),
    ],
    ids=str,
)
def test_a_form_allows_its_own_texts_alone(
    options: Any, good: list[str], bad: list[str]
) -> None:
    matcher = demo_compiler().constraint(form(**options))
    assert all(follows(matcher, text) for text in good)
    assert not any(follows(matcher, text) for text in bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regex": "a("}, "^regex: .*unclosed group"),
        ({"regex": r"\bfoo\b"}, "^regex: .*lookarounds not supported"),
        ({"grammar": 'root ::= "a" b'}, "^grammar: wanted GBNF: Rule 'b' not found"),
        ({"grammar": "start: b"}, '^grammar: .*unknown name: "b"'),
        ({"grammar": "words"}, "^grammar: "),
        ({"regex": "a[^x[^x]]"}, "^regex: wanted a form that some text follows$"),
    ],
    ids=str,
)
def test_a_broken_regex_or_grammar_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConstraintError, match=message):
        demo_compiler().constraint(form(**options))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def choices_of_two(n: int) -> dict[str, Any]:
    """Return a schema of 2**n alternatives."""
    parts = [
        {"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(n)
    ]
    return {"type": "object", "allOf": parts}


HOSTILE = {
    "levels": nested(49),
    "alternatives": choices_of_two(24),
    "copies of a pattern": {"type": "string", "pattern": "^((a{99}){99}){99}$"},
    "length of a pattern": {"type": "string", "pattern": "a" * 20_001},
    "states of a multiple": {"type": "integer", "multipleOf": 1_000_003},
    "digits of a multiple": {"type": "number", "multipleOf": 1e-30},
    "digits of a bound": {"type": "number", "minimum": 1e-300},
    "parts": {"enum": [str(i) for i in range(20_001)]},
    "bytes": {"const": "a" * 2**20},
    "least number of items": {"type": "array", "minItems": 10**10},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_refused_soon(name: str) -> None:
    began = time.thread_time()
    with pytest.raises(ConstraintLimitError):
        constraint(HOSTILE[name])
    assert time.thread_time() - began < 2


def test_a_large_but_honest_schema_is_not_refused() -> None:
    assert follows(constraint(nested(40)), "[" * 40 + "1" + "]" * 40)
    properties = {f"property_{i}": {"type": "string"} for i in range(300)}
    assert not refusal({"type": "object", "properties": properties})
    assert not refusal({"type": "string", "maxLength": 10**6, "minLength": 2000})


def test_a_pattern_that_grows_while_it_is_matched_ends_with_a_typed_error() -> None:
    matcher = demo_compiler().constraint(form(regex="((.{0,99}a){0,99}b){2}"))
    logits = np.zeros(demo_tokenizer().n_vocab, np.float32)
    with pytest.raises(ConstraintLimitError, match="regex: wanted a constraint of fe"):
        for character in "xyza" * 200:
            matcher.accept_text(character)
            matcher.allow(logits)


@pytest.mark.parametrize(
    ("pattern", "n"),
    [
        ("a{3}", 3),
        ("(a{3}b){2,10}", 30),
        ("(a{3}|b{4}){2}c{5}", 8),
        (r"\{9}a{2}", 2),
        ("[{9}]{2}", 2),
        ("[a[bc]{9}]{2}", 2),
        ("a{,9}", 1),
        ("a)b{2", 1),
    ],
)
def test_copies_of_counted_repetitions_are_multiplied(pattern: str, n: int) -> None:
    assert n_copies(pattern) == n


@pytest.mark.parametrize("pattern", ["^[[a]|b]$", "[a-z&&[^b]]", "[a-z--b]", "[a~~b]"])
def test_a_pattern_that_rust_reads_otherwise_is_refused(pattern: str) -> None:
    for schema, place in (
        ({"type": "string", "pattern": pattern}, "#/pattern"),
        ({"type": "object", "patternProperties": {pattern: {}}}, "#/patternProp"),
    ):
        assert place in refusal(schema)
        assert "wanted classes" in refusal(schema)


@pytest.mark.parametrize(
    "pattern", [r"^[-\w-]$", r"^[\[\]a-]$", "^(a&&b--)$", "^[&-~]$"]
)
def test_a_pattern_that_all_read_alike_is_not_refused(pattern: str) -> None:
    assert not refusal({"type": "string", "pattern": pattern})


def test_a_panic_of_the_library_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PanicException(BaseException):
        """Rust's, which no `except Exception` catches."""

    def fail(*_: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(compiling, "_built", fail)
    with pytest.raises(ConstraintError, match="llguidance failed: index out of bounds"):
        demo_compiler().constraint(form(regex="panic"))


def test_seconds_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(compiling, "MAX_SECONDS", 0.01)
    monkeypatch.setattr(compiling, "_built", lambda *_: may_end.wait(10))
    with pytest.raises(ConstraintLimitError, match="regex: .* ready within 0 s"):
        demo_compiler().constraint(form(regex="slow"))
    may_end.set()


def test_parts_of_a_schema_are_not_tried_when_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[dict[str, Any]] = []
    may_go_on = threading.Event()

    def try_slowly(node: dict[str, Any]) -> Any:
        tried.append(node)
        may_go_on.wait(10)
        return json_grammar(node)

    monkeypatch.setattr(compiling, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(compiling, "json_grammar", try_slowly)
    text = {"type": "string", "minLength": 1, "pattern": "tried"}
    with pytest.raises(ConstraintLimitError, match="takes longer"):
        constraint({"type": "object", "properties": dict.fromkeys("abc", text)})
    may_go_on.set()
    for thread in threading.enumerate():
        if thread.name == spare._NAME:
            thread.join()
    assert len(tried) <= 1


def test_a_process_ends_after_its_compiling_threads() -> None:
    """Rust code that comes back to an interpreter that is gone crashes."""
    code = """
import time
from llamacy.structured import spare

def compute():
    time.sleep(0.5)
    print("done")

try:
    spare.within(0.01, compute)
except TimeoutError:
    print("late")
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["late", "done"]


def test_errors_of_spare_threads_come_to_the_caller() -> None:
    def fail() -> None:
        raise ConstraintError("no")

    with pytest.raises(ConstraintError, match="no"):
        spare.within(5, fail)
    with pytest.raises(ConstraintError, match="no"):
        spare.begin(fail).result(5)


def test_a_form_is_compiled_once_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler = Compiler(demo_compiler().vocabulary)
    first = compiler.constraint(form(regex="[ab]+"))
    monkeypatch.setattr(compiling, "_built", None)  # not called again

    def grow(letter: str) -> bool:
        own = compiler.constraint(form(regex="[ab]+"))
        return not own.accept_text(letter * 20) and own.is_complete

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(grow, "ab" * 20))
    assert not first.is_complete


def test_the_cache_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_N_KEPT", 2)
    compiler = Compiler(demo_compiler().vocabulary)
    forms = [form(regex=f"a{{{n}}}") for n in (1, 2, 3)]
    for one in (*forms[:2], forms[0], forms[2]):
        compiler.constraint(one)
    assert [*compiler._kept] == [forms[0], forms[2]]


def test_a_vocabulary_goes_with_its_tokenizer() -> None:
    tokenizer = llamacy.load_tokenizer("demo")
    compiler = compiler_of(tokenizer, tokenizer.n_vocab)
    assert compiler_of(tokenizer, tokenizer.n_vocab) is compiler
    assert follows(compiler.constraint(form(regex="ab")), "ab")
    gone = weakref.ref(tokenizer), weakref.ref(compiler.vocabulary)
    del tokenizer, compiler
    gc.collect()
    assert [one() for one in gone] == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_makes_constraints_and_masks() -> None:
    matcher = demo_compiler().constraint(form(regex="[ab]{5}"))
    matcher.prepare()  # the parent has spare threads, the child does not
    child = os.fork()
    if not child:
        status = 1
        try:
            own = demo_compiler().constraint(form(regex="[ab]{5}"))
            own.accept_text("a")
            own.prepare()
            other = demo_compiler().constraint(form(regex="[cd]{5}"))
            if own.forced() == [] and follows(other, "cdcdc"):
                own.allow(np.zeros(demo_tokenizer().n_vocab, np.float32))
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert follows(matcher, "ababa")
