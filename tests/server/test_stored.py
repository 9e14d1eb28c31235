"""Stored responses: as many as fit into a bound."""

from __future__ import annotations

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy.server.errors import Refusal
from llamacy.server.openai.stored import Store

pytestmark = pytest.mark.server


def test_the_least_recently_used_go_first() -> None:
    store = Store(most_bytes=300)
    for id in ("a", "b"):
        store.add({"id": id}, [{"role": "user", "content": "x" * 80}])
    store.get("a")
    store.add({"id": "c"}, [{"role": "user", "content": "x" * 80}])
    assert store.get("a").messages[0]["content"] == "x" * 80
    with pytest.raises(Refusal, match="drops old ones") as caught:
        store.get("b", "previous_response_id")
    assert (caught.value.status, caught.value.field) == (400, "previous_response_id")
    store.remove("a")
    with pytest.raises(Refusal) as caught:
        store.remove("a")
    assert caught.value.status == 404
    store.add({"id": "d"}, [])
    assert store.get("c")


def test_a_response_beyond_the_bound_is_not_stored() -> None:
    store = Store(most_bytes=100)
    store.add({"id": "a"}, [{"role": "user", "content": "x" * 200}])
    with pytest.raises(Refusal):
        store.get("a")
    store.add({"id": "b"}, [])
    assert store.get("b")
