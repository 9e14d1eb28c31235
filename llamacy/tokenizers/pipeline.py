"""The steps of a tokenizer.json that llamacy leaves to the tokenizers library.

Vocabularies of WordPiece and Unigram that come from a folder keep the steps of its
normalizer and its pre-tokenizer in one key, as JSON; texts then become the ids that the
library gives. GGUF files of other programs lack the key, and follow llama.cpp's rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from llamacy.formats.json_text import JsonObject, parse_json
from llamacy.tokenizers.attributes import FORMS, PIPELINE_KEY, SpacePrefix
from llamacy.tokenizers.character_map import read_character_map
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.vocabulary import SPACE

_SPACES: Final = " {2,}"  # the one regular expression that converters write
_SCHEMES: Final = {
    "always": SpacePrefix.ALWAYS,
    "first": SpacePrefix.FIRST,
    "never": SpacePrefix.NONE,
}
_LONGEST_WORD: Final = 100  # characters; a longer one costs its square
_MOST_ITEMS: Final = 1000
_MOST_GROWTH: Final = 64  # of a text by replacements, which may follow each other


class Pipeline:
    """Checked steps, from which the library's objects are built.

    Parameters
    ----------
    values : JsonObject
        Lists of steps under `normalizers` and `pre_tokenizers`, and for WordPiece the
        numbers `longest_word` and `cleans`.
    characters : bytes
        A checked `precompiled_charsmap`, or nothing.

    Attributes
    ----------
    longest_word : int
        Characters of the longest word that WordPiece does not call unknown.
    cleans : bool
        Whether spaces before signs are taken out of a decoded text.
    splits_words : bool
        Whether a step splits a text at all white space before spaces are marked.
    space_prefix : SpacePrefix
        Which texts begin with an added space.

    Raises
    ------
    FormatError
        A step is broken.
    UnsupportedError
        A step is not one of those that llamacy leaves to the library.
    """

    def __init__(self, values: JsonObject, characters: bytes) -> None:
        self._normalizers = list(values.children("normalizers"))
        self._pre_tokenizers = list(values.children("pre_tokenizers"))
        self._characters = characters
        self.longest_word = values.integer("longest_word", 1, 1000, _LONGEST_WORD)
        self.cleans = values.flag("cleans", True)
        kinds = [step.text("type") for step in self._pre_tokenizers]
        self.splits_words = "WhitespaceSplit" in kinds
        marks = kinds.index("Metaspace") if "Metaspace" in kinds else None
        self.space_prefix = SpacePrefix.NONE
        if marks is not None:
            self.space_prefix = metaspace_prefix(self._pre_tokenizers[marks])
        growth = math.prod(map(_growth, self._normalizers))
        if growth > _MOST_GROWTH:
            wanted = f"texts that grow by a factor of {_MOST_GROWTH} at most"
            values.refuse("normalizers", wanted, f"{growth:.0f}")
        self.normalizer()  # finds what is wrong with the steps
        self.pre_tokenizer()

    def normalizer(self) -> Callable[[str], str]:
        """Return the function that normalizes a text."""
        from tokenizers import normalizers

        steps = [self._normalizer(step) for step in self._normalizers]
        if not steps:
            return str
        normalize: Callable[[str], str] = normalizers.Sequence(steps).normalize_str
        return normalize

    def pre_tokenizer(self) -> Any:
        """Return the object that splits a text.

        It adds a space to every word if the text is split at white space before;
        otherwise none, which is done with `space_prefix`.
        """
        from tokenizers import pre_tokenizers

        steps = [self._pre_tokenizer(step) for step in self._pre_tokenizers]
        return pre_tokenizers.Sequence(steps)

    def _normalizer(self, step: JsonObject) -> Any:
        from tokenizers import Regex, normalizers

        kind = step.text("type")
        if kind == "BertNormalizer":
            strips = step.flag("strip_accents") if "strip_accents" in step else None
            return normalizers.BertNormalizer(
                clean_text=step.flag("clean_text", True),
                handle_chinese_chars=step.flag("handle_chinese_chars", True),
                strip_accents=strips,
                lowercase=step.flag("lowercase", True),
            )
        if kind == "Precompiled":
            if not self._characters:
                step.fail("precompiled_charsmap", "an array of bytes", "no such key")
            try:
                return normalizers.Precompiled(self._characters)
            except Exception as error:  # the library raises nothing more specific
                found = str(error)[:200]
                step.fail("precompiled_charsmap", "a map of the library", found)
        if kind == "Strip":
            sides = (step.flag(f"strip_{side}", False) for side in ("left", "right"))
            return normalizers.Strip(*sides)
        if kind == "Replace":
            return normalizers.Replace(_pattern(step, Regex), step.text("content"))
        if kind not in (*FORMS, "Lowercase", "StripAccents", "Nmt"):
            step.refuse("type", "a normalizer that llamacy knows", kind)
        return getattr(normalizers, kind)()

    def _pre_tokenizer(self, step: JsonObject) -> Any:
        from tokenizers import pre_tokenizers

        kind = step.text("type")
        if kind == "Metaspace":
            if step.text("replacement", SPACE) != SPACE:
                step.refuse("replacement", SPACE, step.get("replacement"))
            prefix = metaspace_prefix(step)
            if self.splits_words and prefix is not SpacePrefix.ALWAYS:
                step.refuse("prepend_scheme", "always, after WhitespaceSplit", prefix)
            scheme = "always" if self.splits_words else "never"
            return pre_tokenizers.Metaspace(
                SPACE, prepend_scheme=scheme, split=step.flag("split", True)
            )
        if kind not in ("BertPreTokenizer", "WhitespaceSplit"):
            step.refuse("type", "a pre-tokenizer that llamacy knows", kind)
        return getattr(pre_tokenizers, kind)()


def read_pipeline(fields: Fields) -> Pipeline | None:
    """Return the steps that a file has; None if it follows llama.cpp's rules.

    Raises
    ------
    FormatError
        The value is not JSON, or has an invalid step.
    """
    text = fields.text(PIPELINE_KEY, "")
    if not text:
        return None
    values = parse_json(text.encode(), fields.path, PIPELINE_KEY, most=_MOST_ITEMS)
    if not isinstance(values, dict):
        raise fields.error(PIPELINE_KEY, "a JSON object", type(values).__name__)
    owner = JsonObject(Path(fields.path), values, PIPELINE_KEY)
    return Pipeline(owner, read_character_map(fields))


def pipeline_values(
    normalizers: Iterable[JsonObject],
    pre_tokenizers: Iterable[JsonObject],
    **options: int | bool,
) -> dict[str, Any]:
    """Return the value of the key; a character map has a key of its own."""
    return {
        "normalizers": [_without_map(step) for step in normalizers],
        "pre_tokenizers": [step.values for step in pre_tokenizers],
        **options,
    }


def _without_map(step: JsonObject) -> dict[str, Any]:
    values = step.values
    return {key: values[key] for key in values if key != "precompiled_charsmap"}


def _growth(step: JsonObject) -> float:
    """Return how many times longer a step may make a text by replacing."""
    if step.text("type") != "Replace":
        return 1.0
    pattern = step.child("pattern")
    given = pattern.get("String") if pattern is not None else None
    length = len(given) if isinstance(given, str) and given else 1
    return max(1.0, len(step.text("content")) / length)


def _pattern(step: JsonObject, regex: Callable[[str], Any]) -> Any:
    """Return what a Replace looks for: a text, or several spaces."""
    pattern = step.child("pattern")
    if pattern is None:
        step.fail("pattern", "an object", "no such key")
    if "String" in pattern:
        text = pattern.text("String")
        return text if text else pattern.fail("String", "a text", "an empty one")
    if pattern.text("Regex") != _SPACES:
        pattern.refuse("Regex", _SPACES, pattern.get("Regex"))
    return regex(_SPACES)


def metaspace_prefix(step: JsonObject) -> SpacePrefix:
    """Return where a Metaspace adds spaces."""
    if "prepend_scheme" not in step:  # in older files
        is_added = step.flag("add_prefix_space", True)
        return SpacePrefix.ALWAYS if is_added else SpacePrefix.NONE
    scheme = step.text("prepend_scheme")
    if scheme not in _SCHEMES:
        step.refuse("prepend_scheme", f"one of {', '.join(_SCHEMES)}", scheme)
    return _SCHEMES[scheme]
