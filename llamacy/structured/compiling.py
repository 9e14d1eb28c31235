"""Grammars made ready for a vocabulary, within limits, and kept for the next text."""

from __future__ import annotations

import json
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from llamacy.errors import ConstraintError, ConstraintLimitError
from llamacy.structured import spare
from llamacy.structured.form import Form
from llamacy.structured.grammar import (
    JSON_STYLE,
    Grammar,
    grammar_of,
    json_grammar,
    lark_grammar,
)
from llamacy.structured.library import llguidance
from llamacy.structured.masks import mask_of
from llamacy.structured.matcher import Matcher
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.translated import Translated
from llamacy.structured.vocabulary import Vocabulary
from llamacy.system.forks import Rank, fork_lock
from llamacy.tokenizers.base import Tokenizer

MAX_SECONDS: Final = 10.0
"""Longest that a grammar may take; OpenAI-sized schemas take some milliseconds."""

_N_KEPT: Final = 64
"""Grammars kept of a vocabulary."""

_N_TRIED: Final = 2000
"""Most parts of a schema that are tried to find the place of an error."""

_LIMITS: Final = {
    "max_lexer_states": 50_000,  # some 2 kB each
    "max_grammar_size": 250_000,
    "verbose_errors": False,
}
"""Of llguidance, where its own are larger than a server can spare for a text."""

_TOO_LARGE: Final = ("too large", "too big", "limit", "fuel", "too many")


class Compiler:
    """Makes constraints for the texts of a model.

    Compiled grammars are kept: the next text with the same form gets a copy. Any thread
    may call.

    Parameters
    ----------
    vocabulary : Vocabulary
        The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._lock = fork_lock(Rank.MODEL)
        self._kept: OrderedDict[object, Matcher] = OrderedDict()

    def constraint(self, form: Form) -> Matcher:
        """Return a new constraint that follows a form.

        Raises
        ------
        ConstraintError
            The form cannot be enforced.
        ConstraintLimitError
            It takes too many states, bytes or seconds.
        """
        if (known := self._copy(form)) is not None:
            return known
        return self._compiled(form, grammar_of(form), form.argument)

    def framed(
        self,
        rules: str,
        forms: Mapping[str, Form],
        style: Mapping[str, Any] = JSON_STYLE,
    ) -> Matcher:
        """Return a new constraint that follows several forms, and rules around them.

        Parameters
        ----------
        rules : str
            In Lark's notation; a form is ``@name`` in it.
        forms : mapping of str to Form
            By name. Each is compiled alone first, for the errors.
        style : mapping
            Where JSON has spaces.
        """
        key = (rules, *forms.items(), *map(str, style.items()))
        if (known := self._copy(key)) is not None:
            return known
        for form in forms.values():
            self.constraint(form)
        others = {name: grammar_of(form, style) for name, form in forms.items()}
        argument = next((form.argument for form in forms.values()), "tools")
        return self._compiled(key, lark_grammar(rules, others), argument)

    def _compiled(self, key: object, grammar: Grammar, argument: str) -> Matcher:
        """Compile a grammar and keep it as `key`; return a constraint of its own."""
        deadline = time.monotonic() + MAX_SECONDS
        build = partial(_built, grammar, self.vocabulary, argument, deadline)
        try:
            made = spare.within(MAX_SECONDS, build)
        except TimeoutError:
            raise ConstraintLimitError(
                f"{argument}: wanted a constraint that is ready within "
                f"{MAX_SECONDS:.0f} s, found one that takes longer"
            ) from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # of Rust
                raise
            raise ConstraintError(f"{argument}: llguidance failed: {error}") from error
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
            return made.fork()

    def _copy(self, key: object) -> Matcher | None:
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                return None
            self._kept.move_to_end(key)
            return known.fork()


def compiler_of(tokenizer: Tokenizer, n_vocab: int) -> Compiler:
    """Return the compiler of a model; it is made once, which takes up to a second.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.
    n_vocab : int
        Logits of a row.

    Raises
    ------
    MissingPackageError
        llguidance is not installed.
    """
    llguidance()
    with _building:
        known = _compilers.setdefault(tokenizer, {})
        if n_vocab not in known:
            known[n_vocab] = Compiler(Vocabulary(tokenizer, n_vocab))
        return known[n_vocab]


_compilers: weakref.WeakKeyDictionary[Tokenizer, dict[int, Compiler]] = (
    weakref.WeakKeyDictionary()
)
_building = fork_lock(Rank.MODEL)


def _built(
    grammar: Grammar, vocabulary: Vocabulary, argument: str, deadline: float
) -> Matcher:
    """Compile a grammar, and compute its first mask."""
    package = llguidance()
    matcher = package.LLMatcher(
        vocabulary.trie,
        grammar.source,
        log_level=0,
        limits=package.LLParserLimits(**_LIMITS),
    )
    if matcher.is_error():
        raise _refused(matcher.get_error(), grammar, argument, deadline)
    if grammar.translated is not None:
        _check_properties(grammar.translated, deadline)
    made = Matcher(matcher, vocabulary, argument)
    made.keep(mask_of(matcher, vocabulary, argument))
    return made


def _refused(
    message: str, grammar: Grammar, argument: str, deadline: float
) -> ConstraintError:
    """Return the error of a grammar, with the place in the schema."""
    kind = ConstraintError
    if any(word in message for word in _TOO_LARGE):
        kind = ConstraintLimitError
    place = argument
    if grammar.translated is not None:
        place = str(_place_of(grammar.translated, argument, deadline))
        message = message.partition("\n")[0]
    return kind(f"{place}: {' '.join(message.split())[:400]}")


def _place_of(translated: Translated, argument: str, deadline: float) -> Place:
    """Find the innermost part of a schema that is refused by itself."""
    for part in translated.parts[:_N_TRIED]:
        if not _is_possible(part.node, translated, deadline):
            return part.at
    return Place(argument)


def _check_properties(translated: Translated, deadline: float) -> None:
    """Check that each declared property can be written at all.

    Raises
    ------
    ConstraintError
        One cannot: nothing fits its schema, or the schemas of it and of a pattern.
    """
    for part in translated.properties[:_N_TRIED]:
        if not _is_possible(part.node, translated, deadline):
            part.at.refuse("a property that something fits", dict(part.node))
    for overlap in translated.overlaps[:_N_TRIED]:
        is_both = _is_possible(
            {"type": "string", "pattern": overlap.pattern, "enum": [overlap.key]},
            translated,
            deadline,
        )
        if is_both and not _is_possible(overlap.node, translated, deadline):
            overlap.at.refuse(
                "a property that something fits",
                f"one that the pattern {overlap.pattern} makes impossible",
            )


def _is_possible(node: dict[str, Any], translated: Translated, deadline: float) -> bool:
    """Whether anything fits a part of a schema.

    Raises
    ------
    TimeoutError
        It is past the deadline, so that nobody waits for the answer.
    """
    if time.monotonic() > deadline:
        raise TimeoutError
    definitions = translated.schema.get("$defs")
    is_whole = not definitions or '"$ref"' not in json.dumps(node)
    whole = node if is_whole else {**node, "$defs": definitions}
    return not llguidance().LLMatcher.validate_grammar(json_grammar(whole).source)
