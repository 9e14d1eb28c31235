"""Reads and checks the part of a vocabulary that all tokenizers share."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Final

from llamacy.tokenizers.attributes import (
    BEGIN_KEY,
    SUPPRESS_FIRST_KEY,
    SUPPRESS_KEY,
    Attributes,
    read_attributes,
)
from llamacy.tokenizers.end_tokens import find_end_tokens
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import TokenType

SPACE: Final = "\u2581"
"""Stands for a space in SentencePiece's vocabularies, and begins words in others."""

_logger = logging.getLogger("llamacy")
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """A family's defaults for keys that a file lacks.

    Attributes
    ----------
    add_bos : bool
        Whether text begins with the BOS token, if there is one.
    add_eos : bool
        Whether text ends with the EOS token, if there is one.
    bos_id : int or None
        The token that begins a text.
    eos_id : int or None
        The token that ends a text.
    unk_id : int or None
        The token for unknown text.
    infer_types : bool
        Whether to infer byte and control tokens from texts and ids if the file has no
        types.
    may_repeat : bool
        Whether tokens may have equal texts, which then stand for the last of them.
    """

    add_bos: bool = False
    add_eos: bool = False
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    infer_types: bool = False
    may_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Tokens, their types, and the ids of special tokens.

    Attributes
    ----------
    tokens : list of str
        Text of each token in the file.
    types : list of int
        Type of each token, a `TokenType`.
    ids : dict of str to int
        Id of each non-empty text, the last of those that have it.
    not_normal : list of int
        Ids of the tokens of other types than normal, usually few.
    bos_id : int or None
        The token that begins a text.
    eos_id : int or None
        The token that ends a text.
    unk_id : int or None
        The token for unknown text.
    eog_ids : frozenset of int
        The tokens that end a generation.
    ordinary : frozenset of int
        The control tokens that merges may form nonetheless.
    attributes : Attributes
        How special tokens are found in a text.
    add_bos : bool
        Whether text begins with the BOS token.
    add_eos : bool
        Whether text ends with the EOS token.
    begin_ids : list of int
        The tokens that begin a text unless BOS does.
    suppressed : frozenset of int
        The tokens that are never sampled.
    suppressed_first : frozenset of int
        The tokens that are not sampled as the first of a text.
    """

    tokens: list[str]
    types: list[int]
    ids: dict[str, int]
    not_normal: list[int]
    bos_id: int | None
    eos_id: int | None
    unk_id: int | None
    eog_ids: frozenset[int]
    ordinary: frozenset[int]
    attributes: Attributes
    add_bos: bool
    add_eos: bool
    begin_ids: list[int]
    suppressed: frozenset[int]
    suppressed_first: frozenset[int]


def read_vocabulary(fields: Fields, defaults: Defaults) -> Vocabulary:
    """Read and check the part of the metadata that all families share.

    Raises
    ------
    FormatError
        A value is missing, of a wrong type, or contradicts another.
    """
    tokens = fields.strings("tokenizer.ggml.tokens")
    if not tokens:
        raise fields.error("tokenizer.ggml.tokens", "at least one token", "none")
    ids = _index(fields, tokens, may_repeat=defaults.may_repeat)
    special = {
        "bos": _special_id(fields, "bos", len(tokens), defaults.bos_id),
        "eos": _special_id(fields, "eos", len(tokens), defaults.eos_id),
        "unknown": _special_id(fields, "unknown", len(tokens), defaults.unk_id),
    }
    types = fields.integers("tokenizer.ggml.token_type", len(tokens))
    if types is None:
        types = [int(TokenType.NORMAL)] * len(tokens)
        if defaults.infer_types:
            _infer_types(tokens, types, special)
    _check_types(fields, tokens, types)
    eog_ids, ordinary = find_end_tokens(fields, ids, types)
    if special["eos"] is not None:
        eog_ids |= {special["eos"]}
    return Vocabulary(
        tokens=tokens,
        types=types,
        ids=ids,
        not_normal=_not_normal(types),
        bos_id=special["bos"],
        eos_id=special["eos"],
        unk_id=special["unknown"],
        eog_ids=eog_ids,
        ordinary=ordinary,
        attributes=read_attributes(fields, tokens, types),
        add_bos=_adds(fields, "bos", special["bos"], default=defaults.add_bos),
        add_eos=_adds(fields, "eos", special["eos"], default=defaults.add_eos),
        begin_ids=fields.ids(BEGIN_KEY, len(tokens)),
        suppressed=fields.known_ids(SUPPRESS_KEY, len(tokens)),
        suppressed_first=fields.known_ids(SUPPRESS_FIRST_KEY, len(tokens)),
    )


def byte_of(token: str) -> int | None:
    """Return the byte that a text like `<0x0A>` stands for; None for other texts."""
    match = _BYTE.fullmatch(token)
    return int(match[1], 16) if match else None


def _index(fields: Fields, tokens: list[str], *, may_repeat: bool) -> dict[str, int]:
    """Map texts to ids, without the empty texts that some files have."""
    ids = dict(zip(tokens, range(len(tokens)), strict=True))
    n_empty = tokens.count("")
    ids.pop("", None)
    if len(ids) + n_empty != len(tokens) and not may_repeat:
        first: dict[str, int] = {}
        for i, token in enumerate(tokens):
            if token and first.setdefault(token, i) != i:
                key = f"tokenizer.ggml.tokens[{i}]"
                found = f"{token[:80]!r}, like token {first[token]}"
                raise fields.error(key, "a text that no other token has", found)
    return ids


def _special_id(
    fields: Fields, name: str, n_vocab: int, default: int | None
) -> int | None:
    token = fields.token_id(f"tokenizer.ggml.{name}_token_id", n_vocab)
    if token is None and default is not None and default < n_vocab:
        return default
    return token


def _infer_types(
    tokens: list[str], types: list[int], special: dict[str, int | None]
) -> None:
    for i, token in enumerate(tokens):
        if byte_of(token) is not None:
            types[i] = TokenType.BYTE
    for name, token_id in special.items():
        if token_id is not None:
            unknown = name == "unknown"
            types[token_id] = TokenType.UNKNOWN if unknown else TokenType.CONTROL


def _check_types(fields: Fields, tokens: list[str], types: list[int]) -> None:
    kinds = set(types)
    strange = kinds - set(TokenType)
    if strange:
        i = next(i for i, kind in enumerate(types) if kind in strange)
        key = f"tokenizer.ggml.token_type[{i}]"
        raise fields.error(key, "a type from 0 to 6", types[i])
    for i in _not_normal(types) if TokenType.BYTE in kinds else []:
        if types[i] == TokenType.BYTE and byte_of(tokens[i]) is None:
            key = f"tokenizer.ggml.tokens[{i}]"
            wanted = "a text from <0x00> to <0xFF>, because its type is byte"
            raise fields.error(key, wanted, repr(tokens[i][:80]))


def _not_normal(types: list[int]) -> list[int]:
    normal = int(TokenType.NORMAL)
    return [i for i, kind in enumerate(types) if kind != normal]


def _adds(fields: Fields, name: str, token: int | None, *, default: bool) -> bool:
    """Whether texts get a token, BOS or EOS, by default."""
    key = f"tokenizer.ggml.add_{name}_token"
    is_added = fields.flag(key)
    if is_added and token is None:
        _logger.warning("%s: %s: ignored: there is no such token", fields.path, key)
    return token is not None and (default if is_added is None else is_added)
