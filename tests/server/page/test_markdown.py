"""Markdown as elements: what it knows, and what it does with hostile texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy.server.page.document import SOURCES
from tests.support.browser import opened
from tests.support.chatting import say

pytestmark = pytest.mark.server

SHOW = """async (texts) => {
    const { showMarkdown } = await import("./markdown.js");
    const box = document.createElement("div");
    for (const text of texts) showMarkdown(box, text);
    return box.innerHTML;
}"""
MEASURE = """async (text) => {
    const { showMarkdown } = await import("./markdown.js");
    const box = document.createElement("div");
    const begin = performance.now();
    showMarkdown(box, text);
    const seconds = (performance.now() - begin) / 1000;
    let depth = 0;
    for (let level = [box]; level.length; depth += 1) {
        level = level.flatMap((one) => [...one.children]);
    }
    return { seconds, depth, length: box.textContent.length };
}"""
LINK = '<a href="https://a.example/" rel="noopener noreferrer" target="_blank">'


@pytest.fixture(scope="module")
def modules(browser: Any) -> Iterator[Any]:
    """A page that can import the sources, each as a module of its own."""

    def serve(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        if not name:
            route.fulfill(body="<!doctype html>", content_type="text/html")
        else:
            source = (SOURCES / name).read_text()
            route.fulfill(body=source, content_type="text/javascript")

    context = browser.new_context()
    context.route("http://page.test/**", serve)
    page = context.new_page()
    page.goto("http://page.test/")
    yield page
    context.close()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("# A #\n### b", '<h2 class="level-1">A</h2><h4 class="level-3">b</h4>'),
        ("#no", "<p>#no</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("- a\n  1. b\n- c", "<ul><li>a<ol><li>b</li></ol></li><li>c</li></ul>"),
        ("1. a\n  - b", "<ol><li>a<ul><li>b</li></ul></li></ol>"),
        ("1) a\n\tb", "<ol><li>a<br>b</li></ol>"),
        ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
        ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
        ("1986 was\n1990. No", "<p>1986 was<br>1990. No</p>"),
        (
            "> a\nb\n> > c",
            "<blockquote><p>a<br>b</p><blockquote><p>c</p></blockquote></blockquote>",
        ),
        ("***\n\n- - -", "<hr><hr>"),
        ("a *b* _c_", "<p>a <em>b</em> <em>c</em></p>"),
        ("**d** __e__", "<p><strong>d</strong> <strong>e</strong></p>"),
        ("***a***", "<p><em><strong>a</strong></em></p>"),
        ("**b *c***", "<p><strong>b <em>c</em></strong></p>"),
        ("~~a~~ ~b~", "<p><del>a</del> ~b~</p>"),
        ("snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"),
        ("**a *b**", "<p><strong>a *b</strong></p>"),
        ("`a*b*` ``c`d``", "<p><code>a*b*</code> <code>c`d</code></p>"),
        ("`a", "<p>`a</p>"),
        (r"\*a\* \\", r"<p>*a* \</p>"),
        ("[a *b*](https://a.example/ 'x')", f"<p>{LINK}a <em>b</em></a></p>"),
        ("(https://a.example/).", f"<p>({LINK}https://a.example/</a>).</p>"),
        ("<https://a.example/>", f"<p>{LINK}https://a.example/</a></p>"),
        (
            "[https://a.example/](https://a.example/)",
            f"<p>{LINK}https://a.example/</a></p>",
        ),
        ("![a](https://a.example/)", f"<p>{LINK}Image: a</a></p>"),
        ("[a](b) [c]", "<p>[a](b) [c]</p>"),
        ("a<br>b &amp; &lt;c&gt; &x;", "<p>a<br>b &amp; &lt;c&gt; &amp;x;</p>"),
        (r"\(a_1 * b*2\) and $x*y*z$", r"<p>\(a_1 * b*2\) and $x*y*z$</p>"),
        ("$5 or $6*7*", "<p>$5 or $6<em>7</em></p>"),
        ("$$\n- a\n= b\n$$", '<p class="formula">$$\n- a\n= b\n$$</p>'),
        ("\\[\na", '<p class="formula">\\[\na</p>'),
    ],
)
def test_markdown_becomes_elements(modules: Any, text: str, html: str) -> None:
    assert modules.evaluate(SHOW, [text]) == html


def test_tables_have_sides_and_scroll(modules: Any) -> None:
    html = modules.evaluate(SHOW, ["| a | b |\n|--:|---|\n| `|` \\| | 2 | 3 |\n"])
    head = '<thead><tr><th class="end" scope="col">a</th><th class="start" scope="col">'
    assert head in html
    assert '<td class="end">`</td>' in html
    assert '<div class="table" tabindex="0" role="region" aria-label="Table">' in html


@pytest.mark.parametrize("end", ["\n```", ""])
def test_code_is_shown_as_it_is(modules: Any, end: str) -> None:
    html = modules.evaluate(SHOW, [f"```py x\n<b> *a*\n\n  c{end}"])
    assert "<code>&lt;b&gt; *a*\n\n  c</code>" in html
    assert 'aria-label="Code, py"' in html


def test_a_text_that_grows_keeps_its_elements(modules: Any) -> None:
    text = "# a\n\nb *c*\n\n- d\n- e\n\n```\nf\n```\n\n| g | h |\n|---|---|\n| i | j |"
    grown = [text[:length] for length in range(len(text) + 1)]
    assert modules.evaluate(SHOW, grown) == modules.evaluate(SHOW, [text])
    assert modules.evaluate(SHOW, [*grown, "k"]) == "<p>k</p>"
    kept = """async ([before, after]) => {
        const { showMarkdown } = await import("./markdown.js");
        const box = document.createElement("div");
        showMarkdown(box, before);
        const first = box.firstChild;
        showMarkdown(box, after);
        return first === box.firstChild && box.children.length;
    }"""
    assert modules.evaluate(kept, ["a\n\nb", "a\n\nbc"]) == 2


HOSTILE: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "[" * n,
    "closing brackets": lambda n: "]" * n,
    "brackets in turn": lambda n: "[](" * (n // 3),
    "images": lambda n: "![" * (n // 2),
    "links never closed": lambda n: "[a](https://b" * (n // 13),
    "links with spaces": lambda n: "[a](" + " " * n,
    "stars": lambda n: "*" * n,
    "stars in turn": lambda n: "*a **b " * (n // 7),
    "underscores": lambda n: "_a __b" * (n // 6),
    "strikes": lambda n: "~~a " * (n // 4),
    "backticks": lambda n: "".join("`" * i + " " for i in range(int((2 * n) ** 0.5))),
    "backticks in turn": lambda n: "`a``b" * (n // 5),
    "formulas": lambda n: r"\(a \[b " * (n // 8),
    "dollars": lambda n: "$a $$" * (n // 5),
    "lines of formulas": lambda n: "\\[\n" * (n // 3),
    "addresses": lambda n: "https://" + ")" * n,
    "angles": lambda n: "<https://a" * (n // 10),
    "nested lists": lambda n: "".join("  " * i + "- a\n" for i in range(int(n**0.5))),
    "lists in a line": lambda n: "+ " * (n // 2),
    "quotes": lambda n: ">" * n,
    "lines of quotes": lambda n: "> > > a\n" * (n // 8),
    "fences": lambda n: "```\n~~~\n" * (n // 8),
    "fence with backticks": lambda n: "```" + "a" * n + "`",
    "headings": lambda n: "# " + "#" * n + "a",
    "spaces": lambda n: "a" + " " * n + "b",
    "rules": lambda n: "* " * (n // 2) + "a",
    "tables": lambda n: "|a|b|\n|-|-|\n" * (n // 12),
    "wide table": lambda n: "|a" * (n // 4) + "\n" + "|-" * (n // 4) + "\n|b" * 9,
    "lines of bars": lambda n: "|\n" * (n // 2),
    "tags": lambda n: "<img src=x onerror=a>" * (n // 21),
    "blank lines": lambda n: "a\n\n" * (n // 3),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_cost_little(modules: Any, name: str) -> None:
    text = HOSTILE[name](100_000)
    found = modules.evaluate(MEASURE, text)
    assert found["depth"] < 50
    # Linear work takes a tenth of a second; work that grows with the square, minutes.
    assert found["seconds"] < 5


def test_nothing_of_an_answer_runs_or_is_fetched(browser: Any, url: str) -> None:
    parts = [
        "<script>ran = 1</script><img src=x onerror=alert(1)>",
        "![x](https://outside.test/x.png) ![x](data:image/png;base64,x)",
        "[x](javascript:alert(1)) [x](JaVa\tscript:alert(1)) <javascript:alert(1)>",
        "[x](data:text/html,<script>alert(1)</script>) [x](vbscript:x)",
        "[x](//outside.test) [x](/v1/models)",
        "```html\n<script>alert(1)</script>\n```",
        '|<img src=x onerror=alert(1)>|\n|-|\n|<a href="javascript:alert(1)">x</a>|',
    ]
    with opened(browser, f"{url}/") as watched:
        page = watched.page
        page.evaluate(
            """() => {
                window.violations = [];
                document.addEventListener("securitypolicyviolation",
                    (event) => violations.push(event.violatedDirective));
            }"""
        )
        say(page, "say " + "\n\n".join(parts))
        links = page.locator("#messages a").evaluate_all("all => all.map(a => a.href)")
        assert links == ["https://outside.test/x.png"]
        names = "script, img, iframe, object, embed, svg, style, form, [onerror]"
        assert page.locator("#messages").locator(names).count() == 0
        assert page.evaluate("[window.ran, violations]") == [None, []]
        page.reload()
        assert page.locator("#messages").locator(names).count() == 0


def test_the_policy_forbids_strings_as_html(browser: Any, url: str) -> None:
    with opened(browser, f"{url}/") as watched:
        refused = watched.page.evaluate(
            """() => {
                try {
                    document.body.innerHTML = "<img>";
                    return "";
                } catch (error) {
                    return error.name;
                }
            }"""
        )
        assert refused == "TypeError"
        assert watched.errors
        watched.errors.clear()
