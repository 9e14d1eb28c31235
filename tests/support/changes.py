"""A strategy of hypothesis: JSON documents with one change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**40])
    | st.integers(-100, 100)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
"""Values that a JSON file may hold; NaN and infinity, too, which Python reads."""


@st.composite
def changed(draw: st.DrawFn, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Draw one of the documents, with one value replaced, moved or removed."""
    whole: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(documents))))
    places = list(_places(whole))
    owner, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(("replace", "replace", "copy", "rename", "remove"))):
        case "replace":
            owner[key] = draw(ANYTHING)
        case "copy":
            other, its_key = draw(st.sampled_from(places))
            owner[key] = json.loads(json.dumps(other[its_key]))
        case "rename" if isinstance(owner, dict):
            names = sorted({name for _, name in places if isinstance(name, str)})
            owner[draw(st.sampled_from(names))] = owner.pop(key)
        case _:
            del owner[key]
    return whole


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or dict inside, with each of its indices or keys."""
    keys: Any = ()
    if isinstance(value, dict):
        keys = value
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])
