"""The page as one document, and how it is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest

import llamacy

pytest.importorskip("llamacy.server", exc_type=ImportError)
pytest.importorskip("httpx")

from starlette import testclient
from starlette.applications import Starlette
from starlette.routing import Mount

from llamacy import server
from llamacy.server.page.document import SOURCES, document

pytestmark = pytest.mark.server


def get(application: Any, path: str = "/", method: str = "GET", **headers: str) -> Any:
    client = testclient.TestClient(application, "http://localhost")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request(method, path, headers=named)


def test_the_document_needs_nothing_else(demo: llamacy.Model) -> None:
    response = get(server.app(demo))
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    text = response.text
    html = text.partition("<script")[0]
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", html)
    assert not re.findall(r"^(?:import|export)\b.*", text, re.MULTILINE)
    assert not re.findall(r"url\(|@import", text)
    assert text.count("</script") == text.count("</style") == 1


def test_no_two_modules_define_the_same_name() -> None:
    pattern = r"^(?:export )?(?:async )?(?:function\*?|const|let|class) ([\w$]+)"
    names = [
        name
        for source in SOURCES.glob("*.js")
        for name in re.findall(pattern, source.read_text(), re.MULTILINE)
    ]
    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)


def test_every_module_is_part_of_the_document() -> None:
    body = document().body.decode()
    for source in SOURCES.glob("*.js"):
        first = source.read_text().partition("\n")[0]
        assert body.count(first) == 1


def test_the_policy_names_the_script_and_allows_little(demo: llamacy.Model) -> None:
    policy = get(server.app(demo)).headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["style-src"])


def test_a_copy_that_is_still_right_is_not_sent_again(demo: llamacy.Model) -> None:
    application = server.app(demo)
    etag = get(application).headers["etag"]
    for known in (etag, f'"other", W/{etag}'):
        again = get(application, if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert get(application, if_none_match='"other"').status_code == 200


def test_head_has_the_headers_of_get(demo: llamacy.Model) -> None:
    application = server.app(demo)
    head, whole = get(application, method="HEAD"), get(application)
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(whole.content))


def test_the_page_needs_no_key_and_its_questions_do(demo: llamacy.Model) -> None:
    application = server.app(demo, api_keys=["key"])
    assert get(application).status_code == 200
    assert get(application, "/v1/models").status_code == 401
    assert get(application, host="evil.example").status_code == 403


def test_the_page_can_be_left_out(demo: llamacy.Model) -> None:
    assert get(server.app(demo, page=False)).status_code == 404


def test_a_mounted_page_has_its_addresses_below_its_own(demo: llamacy.Model) -> None:
    application = Starlette(routes=[Mount("/llm", app=server.app(demo))])
    assert get(application, "/llm/").text == document().body.decode()
    assert not re.findall(r"fetch\w*\([`\"']/", document().body.decode())
