"""Saved sessions: zip archives with a header, tokens and pages."""

from __future__ import annotations

import atexit
import zipfile

import llamacy
from llamacy.errors import LlamacyError

from .. import files
from ..documents import data_of, document_of, text_of

_PATH = files.scratch() / "session"
_MODEL = llamacy.load("demo", n_threads=1, prompt_cache=0)
atexit.register(_MODEL.close)


def seeds() -> list[bytes]:
    """Return sessions of the demo model, as documents and as they are."""
    with _MODEL.session() as session:
        session.save(_PATH)
        nothing = _PATH.read_bytes()
        session.feed("Once upon a time")
        session.save(_PATH)
    with zipfile.ZipFile(_PATH) as archive:
        header = document_of(archive.read("header.json")) or {}
        n_tokens = archive.getinfo("tokens").file_size // 4
        pages = {
            each.filename: each.file_size
            for each in archive.infolist()
            if each.filename.startswith("pages/")
        }
    whole = {"header": header, "tokens": list(range(n_tokens)), "parts": pages}
    empty = {"header": header | {"n_past": 0}, "tokens": [], "parts": {}}
    gone = whole | {"header": header | {"n_gone": 1}}
    broken = whole | {"header": text_of(header).decode()[:-1]}
    return [data_of(each) for each in (whole, empty, gone, broken)] + [nothing]


def run(data: bytes) -> None:
    """Load a session, and use it if that works."""
    document = document_of(data)
    if document is None:
        _PATH.write_bytes(data)
    else:
        files.write_session(_PATH, document)
    files.attempts(_load, allowed=LlamacyError)


def _load() -> None:
    with _MODEL.load_session(_PATH) as session:
        assert len(session.tokens) >= session.n_past
        assert isinstance(session.text, str)
