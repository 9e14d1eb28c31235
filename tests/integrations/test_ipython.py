"""Models, results and streams in IPython, in a terminal and in a notebook."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("IPython")

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

pytestmark = pytest.mark.integrations

LOADED = "import llamacy; model = llamacy.load('demo')"
# goes on for seconds, one word after another
ENDLESS = """
import time
def slowly(ids, logits):
    time.sleep(0.02)
    logits[model.tokenize(" a", add_bos=False)[0]] = 1e9
"""


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    """IPython as in a terminal, with a model loaded."""
    shell = InteractiveShell.instance()
    with pytest.MonkeyPatch.context() as patch:
        # Doctests of this process leave one, and IPython would not set its own.
        patch.delattr(builtins, "_", raising=False)
        assert shell.run_cell(LOADED).success
        yield shell
        shell.run_cell("model.close()")
    InteractiveShell.clear_instance()


def said(shell: InteractiveShell, cell: str) -> str:
    with capture_output() as captured:
        shell.run_cell(cell, store_history=True)
    assert not captured.stderr
    return str(captured.stdout)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("stream('They all lived happily', temperature=0)", " ever after."),
        ("stream_chat('What is 12 + 30?', temperature=0)", "42"),
    ],
)
def test_stream_prints_its_text_in_a_terminal(
    shell: InteractiveShell, call: str, text: str
) -> None:
    assert said(shell, f"model.{call}").rstrip().endswith(text)
    shell.run_cell("kept = _")
    assert shell.user_ns["kept"].completion.text == text
    # shown once more, and from the middle on
    assert said(shell, "kept").rstrip().endswith(text)
    shell.run_cell(f"kept = model.{call}; first = next(kept)")
    assert said(shell, "kept").rstrip().endswith(text)


def test_results_have_an_html_form_beside_their_text(shell: InteractiveShell) -> None:
    format_of = shell.display_formatter.format
    for cell, text in {
        "model": "llamacy.Model",
        "model.chat('What is 12 + 30?', temperature=0)": "ChatCompletion('42'",
        "model.score('2 + 2 = 4')": "Score(n_tokens=",
        "model.session()": "llamacy.Session",
        "llamacy.notebook.Transcript([{'role': 'user', 'content': 'Hi'}])": "user: Hi",
    }.items():
        result = shell.run_cell(f"import llamacy.notebook; {cell}", silent=True).result
        forms, _ = format_of(shell.ev(cell)) if result is None else format_of(result)
        assert text in forms["text/plain"]
        assert forms["text/html"].startswith('<div class="llamacy')


def test_an_interrupted_call_ends_in_one_line(shell: InteractiveShell) -> None:
    shell.run_cell("def stop(share): raise KeyboardInterrupt")
    printed = said(shell, "model.generate('Once', progress=stop)")
    assert printed.splitlines()[-1].startswith("Interrupted: `completion` has the ")
    assert "Traceback" not in printed
    shell.run_cell("import sys; text = sys.last_value.completion.finish_reason")
    assert shell.user_ns["text"] == "cancelled"


# A notebook's kernel, in a process of its own.


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """A client of a kernel that has a model loaded."""
    jupyter = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    manager, client = jupyter.start_new_kernel()
    client.interrupt = manager.interrupt_kernel
    client.execute_interactive(LOADED, timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client: Any, cell: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the state of a cell's end, and the messages that it sent."""
    sent: list[dict[str, Any]] = []
    reply = client.execute_interactive(cell, output_hook=sent.append, timeout=60)
    return reply["content"]["status"], sent


def displayed(sent: list[dict[str, Any]]) -> list[str]:
    """Return the HTML of one output: as displayed, and as updated."""
    shown = [one for one in sent if "display_data" in one["msg_type"]]
    ids = {one["content"]["transient"]["display_id"] for one in shown}
    assert len(ids) == 1
    assert shown[0]["msg_type"] == "display_data"
    assert all(one["msg_type"] == "update_display_data" for one in shown[1:])
    return [one["content"]["data"]["text/html"] for one in shown]


def value(client: Any, expression: str) -> str:
    """Return the text of an expression's value in the kernel."""
    _, sent = run(client, expression)
    (result,) = (one for one in sent if one["msg_type"] == "execute_result")
    return str(result["content"]["data"]["text/plain"])


def test_stream_updates_one_output_of_a_cell(kernel: Any) -> None:
    cell = "model.stream_chat('What is the capital of Italy?', temperature=0)"
    status, sent = run(kernel, cell)
    assert status == "ok"
    first, *_, last = displayed(sent)
    assert "reading the prompt" in first
    assert "Rome" in last
    assert "stop · " in last
    assert not [one for one in sent if one["msg_type"] in ("stream", "execute_result")]
    assert value(kernel, "_.completion.text") == "'Rome'"


def test_interrupt_of_a_cell_keeps_the_text_so_far(kernel: Any) -> None:
    run(kernel, ENDLESS)
    sent: list[dict[str, Any]] = []

    def interrupt(message: dict[str, Any]) -> None:
        sent.append(message)
        html = message["content"].get("data", {}).get("text/html", "")
        if " a a a" in html and not interrupted:
            interrupted.append(True)
            kernel.interrupt()

    interrupted: list[bool] = []
    cell = "stream = model.stream('Once', logits_processors=slowly); stream"
    reply = kernel.execute_interactive(cell, output_hook=interrupt, timeout=60)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    last = displayed(sent)[-1]
    assert "cancelled · " in last
    assert " a a a" in last
    assert value(kernel, "_ is stream") == "True"
    run(kernel, "text = stream.completion.text")
    assert (
        value(kernel, "text.startswith(' a a a') and text in " + repr(last)) == "True"
    )
    assert value(kernel, "model.engine.load().n_active") == "0"


def test_error_of_a_stream_is_told_below_the_text_so_far(kernel: Any) -> None:
    cell = (
        "def fails(ids, logits): 1 / 0\nmodel.stream('Once', logits_processors=fails)"
    )
    _, sent = run(kernel, cell)
    displayed(sent)
    told = str(
        [one["content"] for one in sent if one["msg_type"] in ("error", "stream")]
    )
    assert "ZeroDivisionError" in told
